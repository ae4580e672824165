"""data/draw-faces.py: faces as a function of seed and number, and varied ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import assert_refused, load_picture, load_script, run_script

SCRIPT = "data/draw-faces.py"


def load_all(folder: Path) -> np.ndarray:
    return np.stack([load_picture(path) for path in sorted(folder.iterdir())]).astype(float)


def test_number_and_size_are_as_asked(faces16: Path, tmp_path: Path) -> None:
    assert load_all(faces16).shape == (40, 16, 16, 3)
    done = run_script(SCRIPT, "--n", 3, "--size", 48, "--out", "new/faces", cwd=tmp_path)
    assert "3 faces" in done.stdout
    assert load_all(tmp_path / "new" / "faces").shape == (3, 48, 48, 3)


def test_defaults_are_a_few_thousand_faces_of_32_pixels() -> None:
    args = load_script(SCRIPT).build_parser().parse_args(["--out", "x"])
    assert (args.n, args.size, args.seed) == (3000, 32, 0)


def test_faces_are_a_function_of_seed_and_number(faces16: Path, tmp_path: Path) -> None:
    run_script(SCRIPT, "--n", 5, "--size", 16, "--out", "same", cwd=tmp_path)
    same = sorted((tmp_path / "same").iterdir())
    for path, other in zip(same, sorted(faces16.iterdir())[:5], strict=True):
        assert path.name == other.name
        np.testing.assert_array_equal(load_picture(path), load_picture(other))
    run_script(SCRIPT, "--n", 5, "--size", 16, "--seed", 1, "--out", "other", cwd=tmp_path)
    others = np.concatenate([load_all(tmp_path / "same"), load_all(tmp_path / "other")])
    assert len(np.unique(others.reshape(10, -1), axis=0)) == 10


def test_seeds_may_share_a_folder(tmp_path: Path) -> None:
    for seed in (0, 1):
        run_script(SCRIPT, "--n", 2, "--size", 16, "--seed", seed, "--out", "all", cwd=tmp_path)
    assert load_all(tmp_path / "all").shape[0] == 4


def test_faces_differ_in_all_that_matters(faces16: Path) -> None:
    images = load_all(faces16)
    assert len(np.unique(images.reshape(40, -1), axis=0)) == 40
    deviations = images.std(axis=0).mean(axis=-1)
    assert deviations.min() > 15  # everywhere: skin, hair, background
    brightness = images.mean(axis=(1, 2, 3))
    assert brightness.max() - brightness.min() > 60
    # Not only in brightness: what is left without it still differs.
    relative = images / images.mean(axis=(1, 2, 3), keepdims=True)
    assert relative.std(axis=0).mean() > 0.1
    # Light comes from left and from right.
    halves = relative[:, :, :8].mean(axis=(1, 2, 3)) - relative[:, :, 8:].mean(axis=(1, 2, 3))
    assert halves.min() < -0.03
    assert halves.max() > 0.03


def test_each_picture_shows_something(faces16: Path) -> None:
    contrast = load_all(faces16).std(axis=(1, 2)).mean(axis=-1)
    assert contrast.min() > 12


def test_small_and_large_pictures_show_the_same_face() -> None:
    script = load_script(SCRIPT)
    small = script.draw_face(np.random.default_rng([0, 3]), 16).astype(float)
    large = script.draw_face(np.random.default_rng([0, 3]), 64).astype(float)
    blocks = large.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    other = script.draw_face(np.random.default_rng([0, 4]), 16).astype(float)
    assert np.abs(blocks - small).mean() < 6
    assert np.abs(blocks - other).mean() > 12


REFUSED = {
    "below a file": (("--out", "file/faces"), "--out file/faces"),
    "a file": (("--out", "file"), "--out file"),
    "nowhere": ((), "--out"),
    "no face": (("--out", "new", "--n", 0), "--n"),
    "no size": (("--out", "new", "--size", "big"), "--size"),
    "seed below 0": (("--out", "new", "--seed=-1"), "--seed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_refused(case: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    arguments, word = REFUSED[case]
    assert_refused(run_script(SCRIPT, *arguments, cwd=tmp_path, status=2), word)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "here first"
