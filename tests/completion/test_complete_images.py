"""Many images for complete.py: neighbours, shards, sizes, channels, those that cannot be used."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from completion_helpers import (
    AGAIN,
    GIVEN,
    NAMES,
    OPTIONS,
    SCRIPT,
    SIZE,
    noise_images,
    rows_of,
    z_of,
)
from helpers import TINY, Run, load_picture, run_script, save_picture

pytest_plugins = ["completion_fixtures"]


@pytest.fixture(scope="module")
def among_others(
    completed: tuple[Path, object], faces16: Path
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The same images in another order, with others, some of which cannot be used."""
    folder = completed[0].parent / "among others"
    shutil.copytree(completed[0], folder)
    shutil.rmtree(folder / "completions")
    shutil.copy(sorted(faces16.iterdir())[9], folder / "other.png")
    (folder / "bad.png").write_text("not an image")
    save_picture(folder / "cut.png", noise_images(1)[0])
    whole = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])  # its head can be read
    save_picture(folder / "wide.png", noise_images(1, 24)[0])
    others = ("bad.png", "other.png", GIVEN[2], "cut.png", "missing.png", "wide.png")
    return folder, run_script(SCRIPT, *others, *GIVEN[:2], *OPTIONS, cwd=folder, status=1)


def test_results_depend_neither_on_neighbours_nor_on_place(
    completed: tuple[Path, object], among_others: tuple[Path, object]
) -> None:
    one, other = completed[0] / "completions", among_others[0] / "completions"
    results = {row[0]: row[1:] for row in rows_of(other)}
    assert list(results) == ["other.png", GIVEN[2], *GIVEN[:2]]
    for row in rows_of(one):
        assert results[row[0]] == row[1:]
        finals = [load_picture(out / "final" / row[1]) for out in (one, other)]
        np.testing.assert_array_equal(*finals)
    z = np.concatenate([z_of(other)[1:], z_of(other / "batch-0002")])
    np.testing.assert_array_equal(np.roll(z, -1, axis=0)[:2], z_of(one))
    np.testing.assert_array_equal(z[:1], z_of(one / "batch-0002"))


def test_what_cannot_be_used_is_named_and_the_rest_is_done(
    among_others: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = among_others
    assert "4 images completed" in done.stdout
    lines = [line for line in done.stderr.splitlines() if "skipped: " in line]
    problems = {line.partition("skipped: ")[2] for line in lines}
    assert len(problems) == len(lines) == 4
    for name, word in {
        "bad.png": "cannot be read",
        "cut.png": "cannot be read",
        "missing.png": "no such file",
        "wide.png": "24x24",
    }.items():
        (problem,) = [p for p in problems if p.startswith(name)]
        assert word in problem
    config = json.loads((folder / "completions" / "config.json").read_text())
    assert config["completion"]["finished"] is True


def test_shards_divide_the_images_and_change_nothing(copy: Path, run_complete: Run) -> None:
    parts = []
    for part in (1, 2):
        out = copy / f"part {part}"
        options = ("--shard", f"{part}/2", "--outDir", out.name)
        done = run_complete(*AGAIN, *options, cwd=copy)
        assert done.returncode == 0, done.stderr
        parts.append(sorted(path.stem for path in (out / "final").iterdir()))
        for name in parts[-1]:
            whole = load_picture(copy / "completions" / "final" / f"{name}.png").astype(int)
            assert np.abs(whole - load_picture(out / "final" / f"{name}.png")).max() <= 1
    assert parts == [[NAMES[0], NAMES[2]], [NAMES[1]]]


def test_resize_crops_and_scales(vivid: Path, tmp_path: Path, run_complete: Run) -> None:
    image = np.zeros([40, 100, 3], np.uint8)
    image[:, 30:70] = [200, 100, 50]  # the central square
    save_picture(tmp_path / "wide.png", image)
    save_picture(tmp_path / "gray.png", np.full([SIZE, SIZE], 77, np.uint8))
    arguments = ("wide.png", "gray.png", "--checkpointDir", vivid, "--nIter", 1, "--imgSize", 16)
    done = run_complete(*arguments, "--resize", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "completions"
    before = load_picture(out / "before.png")
    assert before.shape == (SIZE, 2 * SIZE, 3)
    assert (before[:, :SIZE] == [200, 100, 50]).all()
    assert (before[:, SIZE:] == 77).all()
    final = load_picture(out / "final" / "wide.png")
    assert (final[:4] == [200, 100, 50]).all()
    assert final.shape == (SIZE, SIZE, 3)


def test_a_model_of_gray_pictures_completes_gray_ones(
    faces16: Path, tmp_path: Path, run_complete: Run, run_any: Run
) -> None:
    arguments = ("--dataset", faces16, *TINY, "--channels", 1, "--epoch", 1)
    done = run_any("train-dcgan.py", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = sorted(faces16.iterdir())[0]
    done = run_complete(path, "--nIter", 2, "--maskType", "left", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "completions"
    final, before = load_picture(out / "final" / path.name), load_picture(out / "before.png")
    assert final.shape == before.shape == (SIZE, SIZE)
    luma = load_picture(path) @ np.array([299, 587, 114]) / 1000  # ITU-R 601-2
    assert np.abs(before - luma).max() <= 1
    np.testing.assert_array_equal(final[:, 8:], before[:, 8:])


def test_one_checkpoint_may_be_named(copy: Path, run_complete: Run) -> None:
    finals = {}
    for name in ("ckpt-10", "ckpt-11", "ckpt-11.index", "."):
        where = ("--checkpointDir", f"checkpoint/{name}", "--outDir", f"out {name}")
        done = run_complete(GIVEN[0], "--nIter", 2, *where, cwd=copy)
        assert done.returncode == 0, done.stderr
        used = "ckpt-10" if name == "ckpt-10" else "ckpt-11"
        assert f"{used}:" in done.stdout
        finals[name] = load_picture(copy / f"out {name}" / "final" / "1.png")
    np.testing.assert_array_equal(finals["ckpt-11"], finals["."])
    np.testing.assert_array_equal(finals["ckpt-11"], finals["ckpt-11.index"])
    assert (finals["ckpt-10"] != finals["ckpt-11"]).any()
