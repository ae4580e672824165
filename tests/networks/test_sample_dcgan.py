"""sample-dcgan.py: which model it takes, which it refuses, and what it replaces."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import Run, assert_refused, contents, load_picture, load_script, run_script

SCRIPT = "sample-dcgan.py"


def test_the_default_is_a_grid_of_64(run_here: Run, vivid: Path, tmp_path: Path) -> None:
    settings = load_script(SCRIPT).read_settings([])
    assert (len(settings.names()), settings.seed, settings.checkpoint_dir) == (64, 0, None)
    (tmp_path / "checkpoint").symlink_to(vivid)
    done = run_here(cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote 64 samples of checkpoint/ckpt-11 to samples.png\n"
    grid = load_picture(tmp_path / "samples.png")
    assert grid.shape == (8 * 16, 8 * 16, 3)
    cells = grid.reshape(8, 16, 8, 16, 3).swapaxes(1, 2).reshape(64, -1)
    assert len(np.unique(cells, axis=0)) == 64


def test_one_checkpoint_may_be_named(run_here: Run, vivid: Path, tmp_path: Path) -> None:
    grids = {}
    for step, name in ((0, "ckpt-0"), (11, "ckpt-11"), (11, "ckpt-11.index")):
        arguments = ("--n", 4, "--checkpoint-dir", vivid / name, "--out", "a.png", "--overwrite")
        done = run_here(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"ckpt-{step} " in done.stdout
        grids[name] = load_picture(tmp_path / "a.png")
    assert (grids["ckpt-0"] != grids["ckpt-11"]).any()
    np.testing.assert_array_equal(grids["ckpt-11"], grids["ckpt-11.index"])


def test_files_are_replaced_only_on_demand(run_here: Run, vivid: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("precious")
    (tmp_path / "each").mkdir()
    (tmp_path / "each" / "0-00001.png").write_text("precious")
    before = contents(tmp_path)
    for option, out, file in (("--out", "a.png", "a.png"), ("--individual", "each", "0-00001.png")):
        words = ("--n", 2, "--checkpoint-dir", vivid, option, out)
        assert_refused(run_here(*words, cwd=tmp_path), file, "exists", "--overwrite")
        assert contents(tmp_path) == before
        done = run_here(*words, "--overwrite", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        before = contents(tmp_path)
    assert load_picture(tmp_path / "a.png").shape == (16, 32, 3)
    assert load_picture(tmp_path / "each" / "0-00001.png").shape == (16, 16, 3)
    assert len(list((tmp_path / "each").iterdir())) == 2


def test_no_checkpoint_is_refused(
    run_here: Run, vivid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TensorFlow's messages are held back unless the environment asks for them, as conftest does.
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    # Named, it does not fall back to the shipped model.
    done = run_script(SCRIPT, "--checkpoint-dir", "checkpoint", cwd=tmp_path, status=2)
    assert_refused(done, "--checkpoint-dir checkpoint", "no checkpoint", "train-dcgan.py")
    (tmp_path / "empty").mkdir()
    for path in ("empty", vivid / "ckpt-12"):
        done = run_here("--checkpoint-dir", path, cwd=tmp_path)
        assert_refused(done, f"--checkpoint-dir {path}", "no checkpoint")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_damaged_checkpoint_is_refused(run_here: Run, vivid: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(vivid, tmp_path / "checkpoint"))
    data = folder / "ckpt-11.data-00000-of-00001"
    os.truncate(data, data.stat().st_size // 2)
    assert_refused(run_here(cwd=tmp_path), "checkpoint/ckpt-11", "damaged")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_another_programs_checkpoint_is_refused(run_here: Run, vivid: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(vivid, tmp_path / "checkpoint"))
    config = folder / "config.json"
    other = json.loads(config.read_text())
    config.unlink()
    assert_refused(run_here(cwd=tmp_path), "checkpoint", "another program")
    config.write_text('{"program": "other"}')
    assert_refused(run_here(cwd=tmp_path), "config.json", "another program")
    other["architecture"]["z_dim"] = 9
    config.write_text(json.dumps(other))
    assert_refused(run_here(cwd=tmp_path), "ckpt-11", "config.json")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_checkpoints_that_are_gone_or_of_the_tutorials_time_are_refused(
    run_here: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "checkpoint").write_text('model_checkpoint_path: "DCGAN.model-1002"\n')
    refused = run_here("--checkpoint-dir", "checkpoint", cwd=tmp_path)
    assert_refused(refused, "--checkpoint-dir checkpoint", "no checkpoint")
    (folder / "DCGAN.model-1002").write_bytes(b"weights in one file, without an index")
    assert_refused(run_here(cwd=tmp_path), "checkpoint", "another program")
