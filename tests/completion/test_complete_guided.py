"""complete.py with a context encoder: guided, direct, without, damaged, changed."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from completion_helpers import history_of, rows_of, unfinish, z_of
from helpers import Run, assert_refused, load_picture, save_encoder, save_picture

from dcgan_completion import checkpoints, utils
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.inpaint import blending
from dcgan_completion.inpaint.estimator import Estimator
from dcgan_completion.masks import drawing
from dcgan_completion.masks.mask import Mask
from dcgan_completion.settings.search import GUIDED

pytest_plugins = ["completion_fixtures"]
QUICK = ("--nIter", 3, "--precision", "float32", "--outDir", "out")
HINT = "no context encoder beside"


@pytest.fixture
def folder(guided: Path, faces16: Path, tmp_path: Path) -> Path:
    """A folder with two faces, and a model with a context encoder in ./checkpoint."""
    shutil.copytree(guided, tmp_path / "checkpoint")
    for path in sorted(faces16.iterdir())[:2]:
        shutil.copy(path, tmp_path / path.name)
    return tmp_path


@pytest.fixture
def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.png"))


def options_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / "out" / "config.json").read_text())["options"]


# --- auto ---


def test_auto_is_guided_by_the_models_encoder(
    folder: Path, names: list[str], run_complete: Run, encoder: ContextEncoder
) -> None:
    done = run_complete(*names, *QUICK, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert HINT not in done.stdout + done.stderr
    options = options_of(folder)
    assert (options["guide"], options["average"]) == (GUIDED["guide"], GUIDED["average"])
    assert options["context_encoder"] == checkpoints.network_hash(encoder.architecture, encoder.e)
    guided = z_of(folder / "out")
    # results.csv has the known pixels' loss, which is less than what is minimised.
    _, losses = history_of(folder / "out")
    reported = np.array([row[2:] for row in rows_of(folder / "out")], float)
    assert (reported[:, 0] < losses[0]).all()
    done = run_complete(*names, *QUICK, "--guide", 0, "--overwrite", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert options_of(folder)["guide"] == 0
    assert options_of(folder)["context_encoder"] is None
    unguided = [z_of(folder / "out"), *map(load_picture, sorted((folder / "out").rglob("*.png")))]
    assert (guided[:, 0] != unguided[0][:, 0, 0]).any()
    # Without an encoder all is as with --guide 0.
    shutil.rmtree(folder / "checkpoint" / "context-encoder")
    done = run_complete(*names, *QUICK, "--overwrite", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(HINT) == 1
    again = [z_of(folder / "out"), *map(load_picture, sorted((folder / "out").rglob("*.png")))]
    for one, other in zip(unguided, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "options", [("--guide", 0), ("--mask-type", "full"), ("--approach", "adam")]
)
def test_an_encoder_is_not_missed_where_it_would_not_help(
    options: tuple[object, ...], folder: Path, names: list[str], run_complete: Run
) -> None:
    shutil.rmtree(folder / "checkpoint" / "context-encoder")
    done = run_complete(*names, *QUICK, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert HINT not in done.stdout + done.stderr


@pytest.mark.parametrize("mask_type", drawing.WHOLE_TYPES)
def test_without_a_hole_auto_is_unguided(
    mask_type: str, folder: Path, names: list[str], run_complete: Run
) -> None:
    done = run_complete(*names, *QUICK, "--mask-type", mask_type, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (options_of(folder)["guide"], options_of(folder)["context_encoder"]) == (0, None)
    done = run_complete(*names, "--outDir", "b", "--mask-type", mask_type, "--guide", 1, cwd=folder)
    assert_refused(done, "--guide 1", "no hole", "--mask-type", mask_type)
    assert not (folder / "b").exists()


def test_only_the_same_encoder_continues_a_folder(
    folder: Path, names: list[str], run_complete: Run
) -> None:
    assert run_complete(*names, *QUICK, cwd=folder).returncode == 0
    unfinish(folder / "out")
    assert run_complete(*names, *QUICK, cwd=folder).returncode == 0
    unfinish(folder / "out")
    shutil.rmtree(folder / "checkpoint" / "context-encoder")
    save_encoder(ContextEncoder(image_size=16, width=4, seed=2), folder / "checkpoint")
    done = run_complete(*names, *QUICK, cwd=folder)
    assert_refused(done, "--outDir out", "other options", "--overwrite")


# --- what is wrong ---


def damage(folder: Path) -> None:
    for path in (folder / "checkpoint" / "context-encoder").glob("*.index"):
        path.write_bytes(b"no checkpoint" * 9)


def resize(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoint" / "context-encoder")
    save_encoder(ContextEncoder(image_size=32, width=4), folder / "checkpoint")


def make_gray(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoint" / "context-encoder")
    save_encoder(ContextEncoder(image_size=16, channels=1, width=4), folder / "checkpoint")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (damage, ["context-encoder", "damaged"]),
        (resize, ["32 pixels", "16"]),
        (make_gray, ["1 channels", "3"]),
    ],
)
def test_an_encoder_that_cannot_be_used(
    change: object, words: list[str], folder: Path, names: list[str], run_complete: Run
) -> None:
    change(folder)
    assert_refused(run_complete(*names, *QUICK, cwd=folder), *words, "--guide 0")
    done = run_complete(*names, "--approach", "direct", "--outDir", "out", cwd=folder)
    assert_refused(done, *words)
    assert "--guide 0" not in done.stderr
    assert not (folder / "out").exists()
    assert run_complete(*names, *QUICK, "--guide", 0, cwd=folder).returncode == 0


@pytest.mark.parametrize("options", [("--guide", 2), ("--approach", "direct")])
def test_an_encoder_that_is_not_there(
    options: tuple[object, ...], folder: Path, names: list[str], run_complete: Run
) -> None:
    shutil.rmtree(folder / "checkpoint" / "context-encoder")
    done = run_complete(*names, *options, "--outDir", "out", cwd=folder)
    assert_refused(done, str(options[0]), "no context encoder", "./train-context-encoder.py")
    assert not (folder / "out").exists()


# --- direct ---


def test_direct_writes_completions_without_losses(
    folder: Path, names: list[str], run_complete: Run, encoder: ContextEncoder
) -> None:
    options = ("--approach", "direct", "--precision", "float32", "--outDir", "out")
    done = run_complete(*names, *options, "--batch-size", 2, cwd=folder)
    assert done.returncode == 0, done.stderr
    out = folder / "out"
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {
        "before.png",
        "config.json",
        "masked.png",
        "results.csv",
        *(f"final/{name}" for name in names),
    }
    with open(out / "results.csv", newline="") as file:
        assert list(csv.reader(file)) == [["input", "output"], *([n, n] for n in names)]
    images = np.stack([utils.load_image(folder / name) for name in names])
    mask = Mask.of_type("center", [drawing.center(16)] * 2)
    estimate = Estimator(encoder, batch_size=2).candidates(images, mask)
    wanted = blending.fill(images, mask, estimate, "smooth")
    for name, own in zip(names, wanted, strict=True):
        np.testing.assert_array_equal(load_picture(out / "final" / name), own)
    assert options_of(folder)["n_iter"] is None
    assert options_of(folder)["context_encoder"]


def test_direct_goes_on_after_the_last_batch(
    folder: Path, names: list[str], run_complete: Run
) -> None:
    options = ("--approach", "direct", "--outDir", "out", "--batch-size", 1)
    assert run_complete(*names, *options, cwd=folder).returncode == 0
    whole = {n: load_picture(folder / "out" / "final" / n) for n in names}
    unfinish(folder / "out")
    table = (folder / "out" / "results.csv").read_text().splitlines(keepends=True)
    (folder / "out" / "results.csv").write_text("".join(table[:-1]))
    save_picture(folder / "out" / "final" / names[0], np.zeros([16, 16, 3], np.uint8))
    done = run_complete(*names, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "resuming in out: 1 images are done" in done.stdout
    assert (folder / "out" / "results.csv").read_text() == "".join(table)
    assert not load_picture(folder / "out" / "final" / names[0]).any()  # was not done again
    np.testing.assert_array_equal(
        load_picture(folder / "out" / "final" / names[1]), whole[names[1]]
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--samples", 2),
        ("--nIter", 3),
        ("--lam", 0.1),
        ("--average", 2),
        ("--weighted", 0.5),
        ("--distance", "l2"),
        ("--lr", 0.1),
        ("--guide", 1),
        ("--outInterval", 2),
    ],
)
def test_direct_refuses_the_options_of_a_search(
    options: tuple[object, ...], folder: Path, names: list[str], run_complete: Run
) -> None:
    done = run_complete(*names, "--approach", "direct", *options, "--outDir", "out", cwd=folder)
    flag = {"--nIter": "--n-iter", "--outInterval": "--out-interval"}.get(options[0], options[0])
    assert_refused(done, flag, "--approach direct")
    assert not (folder / "out").exists()


def test_direct_needs_a_hole(folder: Path, names: list[str], run_complete: Run) -> None:
    options = ("--approach", "direct", "--mask-type", "lowres", "--outDir", "out")
    assert_refused(run_complete(*names, *options, cwd=folder), "--approach direct", "no hole")
    assert not (folder / "out").exists()
