"""sample-dcgan.py as users run it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import Run, assert_refused, contents, load_picture, load_script, run_script

from dcgan_completion import runs
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.training import Rules
from dcgan_completion.training import checkpointing
from dcgan_completion.training.trainer import DCGANTrainer

SCRIPT = "sample-dcgan.py"


@pytest.fixture(scope="module")
def model(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model, and as step 20 one whose pictures differ plainly from each other."""
    folder = tmp_path_factory.mktemp("model") / "checkpoint"
    shutil.copytree(trained / "checkpoint", folder)
    config = runs.read_config(str(folder))
    trainer = DCGANTrainer(DCGAN(**config["architecture"]), Rules(batch_size=8))
    saver = checkpointing.Checkpoints(trainer, str(folder))
    saver.restore()
    random = np.random.default_rng(0)
    for variable in trainer.model.generator_variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    for name, variable in trainer.model.g.items():
        trainer.averaged[name].assign(variable)
    trainer.step.assign(20)
    saver.save()
    return folder


@pytest.fixture(scope="module")
def drawn(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a grid of 5 pictures and a folder of 3, of seed 3, each by a run of its own."""
    folder = tmp_path_factory.mktemp("drawn")
    shutil.copytree(model, folder / "checkpoint")
    done = run_script(SCRIPT, "--n", 5, "--seed", 3, "--out", "new/grid.png", cwd=folder)
    assert "new/grid.png" in done.stdout
    assert "checkpoint/ckpt-20" in done.stdout
    run_script(SCRIPT, "--n", 3, "--seed", 3, "--individual", "each", cwd=folder)
    return folder


def cells(grid: np.ndarray) -> np.ndarray:
    """The pictures of a grid, unused cells included, as [N, 16, 16, 3] of signed numbers."""
    rows, columns = grid.shape[0] // 16, grid.shape[1] // 16
    pictures = grid.reshape(rows, 16, columns, 16, 3).swapaxes(1, 2)
    return pictures.reshape(-1, 16, 16, 3).astype(int)


def assert_same_pictures(some: np.ndarray, others: np.ndarray) -> None:
    # Batches of another size may be summed in another order: a level, where one is rounded.
    assert np.abs(some - others).max() <= 1


def test_the_default_is_a_grid_of_64(run_here: Run, drawn: Path) -> None:
    settings = load_script(SCRIPT).read_settings([])
    assert (len(settings.names()), settings.seed, settings.checkpoint_dir) == (64, 0, None)
    assert settings.individual is None
    assert settings.overwrite is False
    done = run_here(cwd=drawn)
    assert done.returncode == 0, done.stderr
    grid = load_picture(drawn / "samples.png")
    assert grid.shape == (8 * 16, 8 * 16, 3)
    assert len(np.unique(cells(grid).reshape(64, -1), axis=0)) == 64


def test_grid_and_single_files_hold_the_same_first_pictures(drawn: Path) -> None:
    grid = load_picture(drawn / "new" / "grid.png")
    assert grid.shape == (2 * 16, 3 * 16, 3)
    pictures = cells(grid)
    assert (pictures[5] == 255).all()
    files = sorted((drawn / "each").iterdir())
    assert len(files) == 3
    assert_same_pictures(np.stack([load_picture(path) for path in files]), pictures[:3])
    assert np.abs(pictures[0] - pictures[1]).max() > 50


def test_pictures_are_a_function_of_seed_and_number(
    run_here: Run, model: Path, drawn: Path, tmp_path: Path
) -> None:
    def draw(n: int, seed: int, out: str) -> np.ndarray:
        where = ("--checkpoint-dir", model, "--out", out)
        done = run_here("--n", n, "--seed", seed, *where, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return cells(load_picture(tmp_path / out))

    first = draw(5, 3, "first.png")
    assert_same_pictures(first, cells(load_picture(drawn / "new" / "grid.png")))
    # More than are generated at a time.
    assert_same_pictures(draw(70, 3, "many.png")[:5], first[:5])
    assert np.abs(draw(5, 4, "other.png")[:5] - first[:5]).max() > 50


def test_one_checkpoint_may_be_named(run_here: Run, model: Path, tmp_path: Path) -> None:
    grids = {}
    for step, name in ((0, "ckpt-0"), (20, "ckpt-20"), (20, "ckpt-20.index")):
        arguments = ("--n", 4, "--checkpoint-dir", model / name, "--out", "a.png", "--overwrite")
        done = run_here(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"ckpt-{step} " in done.stdout
        grids[name] = load_picture(tmp_path / "a.png")
    assert (grids["ckpt-0"] != grids["ckpt-20"]).any()
    np.testing.assert_array_equal(grids["ckpt-20"], grids["ckpt-20.index"])


def test_files_are_replaced_only_on_demand(run_here: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("precious")
    (tmp_path / "each").mkdir()
    (tmp_path / "each" / "0-00001.png").write_text("precious")
    before = contents(tmp_path)
    grid = ("--n", 2, "--checkpoint-dir", model, "--out", "a.png")
    each = ("--n", 2, "--checkpoint-dir", model, "--individual", "each")
    assert_refused(run_here(*grid, cwd=tmp_path), "a.png", "exists", "--overwrite")
    assert_refused(run_here(*each, cwd=tmp_path), "each/0-00001.png", "exists", "--overwrite")
    assert contents(tmp_path) == before
    for arguments in (grid, each):
        done = run_here(*arguments, "--overwrite", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert load_picture(tmp_path / "a.png").shape == (16, 32, 3)
    assert load_picture(tmp_path / "each" / "0-00001.png").shape == (16, 16, 3)
    assert len(list((tmp_path / "each").iterdir())) == 2


def test_no_checkpoint_is_refused(
    run_here: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TensorFlow's messages are held back unless the environment asks for them, as conftest does.
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    # Named, it does not fall back to the shipped model.
    done = run_script(SCRIPT, "--checkpoint-dir", "checkpoint", cwd=tmp_path, status=2)
    assert_refused(done, "--checkpoint-dir checkpoint", "no checkpoint", "train-dcgan.py")
    (tmp_path / "empty").mkdir()
    for path in ("empty", model / "ckpt-11"):
        done = run_here("--checkpoint-dir", path, cwd=tmp_path)
        assert_refused(done, f"--checkpoint-dir {path}", "no checkpoint")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_damaged_checkpoint_is_refused(run_here: Run, model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "checkpoint")
    data = tmp_path / "checkpoint" / "ckpt-20.data-00000-of-00001"
    os.truncate(data, data.stat().st_size // 2)
    assert_refused(run_here(cwd=tmp_path), "checkpoint/ckpt-20", "damaged")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_another_programs_checkpoint_is_refused(run_here: Run, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "checkpoint"
    shutil.copytree(model, copy)
    config = copy / "config.json"
    text = config.read_text()
    config.unlink()
    assert_refused(run_here(cwd=tmp_path), "checkpoint", "another program")
    config.write_text('{"program": "other"}')
    assert_refused(run_here(cwd=tmp_path), "config.json", "another program")
    other = json.loads(text)
    other["architecture"]["z_dim"] = 9
    config.write_text(json.dumps(other))
    assert_refused(run_here(cwd=tmp_path), "ckpt-20", "config.json")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_checkpoint_whose_files_are_gone_is_refused(run_here: Run, tmp_path: Path) -> None:
    folder = tmp_path / "orig"
    folder.mkdir()
    (folder / "checkpoint").write_text('model_checkpoint_path: "DCGAN.model-1002"\n')
    refused = run_here("--checkpoint-dir", "orig", cwd=tmp_path)
    assert_refused(refused, "--checkpoint-dir orig", "no checkpoint")


def test_a_checkpoint_of_the_tutorials_time_is_refused(run_here: Run, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "checkpoint").write_text('model_checkpoint_path: "DCGAN.model-1002"\n')
    (folder / "DCGAN.model-1002").write_bytes(b"weights in one file, without an index")
    assert_refused(run_here(cwd=tmp_path), "checkpoint", "another program")


REFUSED = {
    "two places": (("--out", "a.png", "--individual", "each"), ("--out", "--individual")),
    "not a png": (("--out", "a.jpg"), ("--out a.jpg", "PNG")),
    "below a file": (("--out", "file/a.png"), ("--out", "file")),
    "a folder below a file": (("--individual", "file/each"), ("--individual", "file")),
    "a file as folder": (("--individual", "file"), ("--individual", "file")),
    "no picture": (("--n", 0), ("--n", "0")),
    "no number": (("--n", "many"), ("--n", "many")),
    "seed below 0": (("--seed=-1",), ("--seed", "-1")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_refused(case: str, run_here: Run, model: Path, tmp_path: Path) -> None:
    arguments, words = REFUSED[case]
    (tmp_path / "file").write_text("here first")
    before = contents(tmp_path)
    done = run_here("--checkpoint-dir", model, *arguments, cwd=tmp_path)
    assert_refused(done, *words)
    assert contents(tmp_path) == before
