"""What train-dcgan.py refuses, in one line, and leaving everything as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from helpers import TINY, Run, assert_refused, contents, run_script
from training_runs import refused


def test_a_missing_dataset_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # TensorFlow's messages are held back unless the environment asks for them, as conftest does.
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    done = run_script("train-dcgan.py", "--dataset", "nowhere", cwd=tmp_path, status=2)
    assert_refused(done, "--dataset nowhere", "no such folder")
    assert list(tmp_path.iterdir()) == []


def test_other_unusable_datasets_are_refused(run_any: Run, faces16: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "below").mkdir(parents=True)
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    refused(run_any, "--dataset", "empty", cwd=tmp_path, words=("--dataset empty", "no images"))
    data = ("--dataset", faces16)
    refused(run_any, *data, "empty", *TINY, cwd=tmp_path, words=("--dataset empty",))
    refused(run_any, "--dataset", "empty/notes.txt", cwd=tmp_path, words=("not a folder",))
    # 40 faces: the default is a batch of 64.
    refused(run_any, *data, cwd=tmp_path, words=("40", "64", "--batch-size"))
    refused(run_any, *data, *TINY, "--train_size", 7, cwd=tmp_path, words=("7", "8"))
    gone = ("--holdout", "gone.txt")
    refused(run_any, *data, *TINY, *gone, cwd=tmp_path, words=("--holdout gone.txt", "No such"))


def write_unreadable(folder: Path, number: int) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(number):
        (folder / f"broken-{i}.png").write_text("no image")
    return folder


def refused_as_unreadable(run_any: Run, folder: Path, *arguments: object, cwd: Path) -> list[str]:
    """The run names unreadable files, each once, and is refused; returns the lines that do."""
    before = contents(cwd)
    done = run_any("train-dcgan.py", "--dataset", folder, *arguments, cwd=cwd)
    *skipped, last = done.stderr.splitlines()
    assert done.returncode == 2
    assert "fewer than a batch of 8" in last
    assert contents(cwd) == before
    assert len(skipped) == len(set(skipped))
    assert all(line.startswith(f"skipped: {folder}/broken-") for line in skipped), skipped
    return skipped


def test_a_folder_of_unreadable_images_is_refused(run_any: Run, tmp_path: Path) -> None:
    folder = write_unreadable(tmp_path / "broken", 12)
    # Up to the one that leaves too few.
    assert len(refused_as_unreadable(run_any, folder, *TINY, cwd=tmp_path)) >= 5


@pytest.mark.parametrize("seed", [0, 1])
def test_too_few_readable_images_are_refused_at_once(
    seed: int, run_any: Run, faces16: Path, tmp_path: Path
) -> None:
    # Whether or not the unreadable ones are in the first batch: of these seeds, one has them all.
    folder = write_unreadable(tmp_path / "data", 3)
    for path in sorted(faces16.glob("*.png"))[:7]:
        shutil.copy(path, folder)
    skipped = refused_as_unreadable(run_any, folder, *TINY, "--seed", seed, cwd=tmp_path)
    assert len(skipped) == 3


@pytest.mark.parametrize("flag", ["--checkpoint_dir", "--sample_dir", "--log-dir"])
def test_unwritable_outputs_are_refused(
    flag: str, run_any: Run, faces16: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("here first")
    kebab = flag.replace("_", "-")
    for path in ("file", "file/below", "file/far/below"):
        arguments = ("--dataset", faces16, *TINY, flag, path)
        refused(run_any, *arguments, cwd=tmp_path, words=(f"{kebab} {path}",))


def test_another_programs_checkpoint_is_refused(
    run_any: Run, faces16: Path, tmp_path: Path
) -> None:
    data = ("--dataset", faces16, *TINY)
    tf.train.Checkpoint(x=tf.Variable(1.0)).save(str(tmp_path / "checkpoint" / "other"))
    refused(run_any, *data, cwd=tmp_path, words=("checkpoint", "another program"))
    (tmp_path / "checkpoint" / "config.json").write_text('{"program": "other"}')
    words = ("checkpoint/config.json", "another program")
    refused(run_any, *data, cwd=tmp_path, words=words)


def test_another_runs_pictures_and_logs_are_not_mixed(
    run_any: Run, faces16: Path, trained: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    shutil.rmtree(copy / "checkpoint")
    data = ("--dataset", faces16, *TINY)
    words = ("samples/train_02_0005.png", "another run", "--sample-dir")
    refused(run_any, *data, cwd=copy, words=words)
    shutil.rmtree(copy / "samples")
    words = ("logs/scalars.csv", "another run", "--log-dir")
    refused(run_any, *data, cwd=copy, words=words)
