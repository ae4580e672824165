"""A training that is killed again and again ends where one that was left alone does."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, TINY
from training_runs import tensors

EPOCHS = 24  # of 5 steps
OPTIONS = (*TINY, "--epoch", EPOCHS, "--sample-interval", 7, "--checkpoint-interval", 3)


def command(faces16: Path) -> list[str]:
    script = (sys.executable, ROOT / "train-dcgan.py", "--dataset", faces16)
    return [*map(str, (*script, *OPTIONS))]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, faces16: Path) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    subprocess.run(command(faces16), cwd=folder, check=True, capture_output=True)
    return folder


def writing_a_checkpoint(folder: Path) -> bool:
    """Whether a checkpoint is being written just now: parts of it lie in a temporary folder."""
    try:
        return any("_temp" in name for name in os.listdir(folder / "checkpoint"))
    except FileNotFoundError:
        return False


def kill_once(folder: Path, faces16: Path, in_a_write: bool, random: np.random.Generator) -> bool:
    """Starts the training and kills it at a random moment, or within a checkpoint write.

    Returns whether it ended by itself before.
    """
    process = subprocess.Popen(
        command(faces16), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    rows = folder / "logs" / "scalars.csv"
    before = rows.stat().st_mtime if rows.exists() else 0.0
    while process.poll() is None and not (rows.exists() and rows.stat().st_mtime > before):
        time.sleep(0.01)  # TensorFlow starts: nothing to interrupt yet
    moment = time.monotonic() + random.uniform(0, 1.5)
    while process.poll() is None:
        if writing_a_checkpoint(folder) if in_a_write else time.monotonic() > moment:
            process.send_signal(signal.SIGKILL)
        elif in_a_write:
            time.sleep(0.0002)
        else:
            time.sleep(0.005)
    return process.wait() == 0


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_run_survives_kills(
    kills: int, tmp_path: Path, faces16: Path, uninterrupted: Path
) -> None:
    random = np.random.default_rng(kills)
    killed = 0
    for i in range(kills):
        killed += not kill_once(tmp_path, faces16, in_a_write=i % 2 == 1, random=random)
    assert killed >= kills // 2  # the training was long enough to be killed
    subprocess.run(command(faces16), cwd=tmp_path, check=True, capture_output=True)
    last = f"checkpoint/ckpt-{5 * EPOCHS}"
    one, other = tensors(uninterrupted / last), tensors(tmp_path / last)
    assert set(one) == set(other)
    for name, value in one.items():
        np.testing.assert_array_equal(other[name], value, err_msg=name)
    csv = Path("logs", "scalars.csv")
    assert (tmp_path / csv).read_bytes() == (uninterrupted / csv).read_bytes()
    names = [path.name for path in tmp_path.rglob("*")]
    assert not [name for name in names if "temp" in name or "partial" in name]
    indices = {path.stem for path in (tmp_path / "checkpoint").glob("*.index")}
    assert indices == {path.stem for path in (uninterrupted / "checkpoint").glob("*.index")}


def test_a_full_disk_ends_in_one_line_and_loses_nothing(
    trained: Path, tmp_path: Path, faces16: Path
) -> None:
    """The limit of a file's size stands in for a full disk: writing fails half-way."""

    shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "logs")  # the graph in it is larger than a checkpoint
    data = tmp_path / "run" / "checkpoint" / "ckpt-10.data-00000-of-00001"
    before = data.read_bytes()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (data.stat().st_size - 1000,) * 2)

    command = [sys.executable, ROOT / "train-dcgan.py", "--dataset", faces16, "--epoch", "3"]
    quiet = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    options = {"cwd": tmp_path / "run", "env": quiet, "capture_output": True, "text": True}
    done = subprocess.run(command, preexec_fn=limit, **options)
    assert done.returncode == 2, (done.returncode, done.stderr)
    last = done.stderr.strip().splitlines()[-1]
    assert "train-dcgan.py: error: checkpoint: the checkpoint of step 15 cannot be written" in last
    assert "free some disk space" in last
    assert "it resumes from checkpoint/ckpt-10" in last
    assert data.read_bytes() == before
    assert "Traceback" not in done.stderr
    again = subprocess.run(command, **options)
    assert again.returncode == 0, again.stderr
    assert "resuming from checkpoint/ckpt-10" in again.stdout
