"""Runs of train-dcgan.py that go on from a checkpoint."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import TINY, Run, contents, run_script
from training_runs import load_events, newest, numbers, refused, tensors, train_here


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained model's folder."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


# --- going on ---


# In the reference's spelling, and with intervals: neither may change what is learned.
STRAIGHT = (
    *("--epoch", 4, "--learning_rate", 0.0002, "--beta1", 0.5, "--train_size", "all"),
    *("--batch_size", 8, "--image_size", 16, "--z-dim", 8, "--gf-dim", 4, "--df-dim", 4),
    *("--checkpoint_dir", "out/model", "--sample_dir", "out/pictures", "--log-dir", "out/log"),
    *("--sample-interval", 3, "--checkpoint-interval", 6),
)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, faces16: Path) -> Path:
    """The outputs of 4 epochs at a stretch, in folders of other names."""
    folder = tmp_path_factory.mktemp("straight")
    done = run_script("train-dcgan.py", "--dataset", faces16, *STRAIGHT, cwd=folder)
    assert [path.name for path in folder.iterdir()] == ["out"]
    assert "ckpt-20" in done.stdout
    for word in ("epoch 4/4", "20/20", "d_loss", "g_loss", "images/s"):
        assert word in done.stderr, done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def resumed(
    tmp_path_factory: pytest.TempPathFactory, trained: Path, faces16: Path
) -> Iterator[Path]:
    """The outputs of 2 epochs and then another 2."""
    folder = tmp_path_factory.mktemp("resumed") / "copy"
    shutil.copytree(trained, folder)
    # What a run leaves that dies between two checkpoints: rows that will be made again.
    with open(folder / "logs" / "scalars.csv", "a") as file:
        file.write("11,3,9,9,9,9,0.9,0.9\r\n12,3,9,9")
    writer = tf.summary.create_file_writer(str(folder / "logs" / "generator"))
    with writer.as_default(11):
        tf.summary.scalar("loss", 9.0)
    writer.close()
    done = run_script("train-dcgan.py", "--dataset", faces16, "--epoch", 4, cwd=folder)
    assert "ckpt-10" in done.stdout.splitlines()[0]
    return folder


def test_two_and_two_epochs_equal_four(straight: Path, resumed: Path) -> None:
    whole, parts = tensors(straight / "model" / "ckpt-20"), tensors(resumed / "checkpoint/ckpt-20")
    assert set(whole) == set(parts)
    # 16 weights and two averages of each, 6 statistics; the averaged generator's 9 weights and 4
    # statistics; the learning rate and the count of each optimizer; the step.
    assert len(whole) == 3 * 16 + 6 + 9 + 4 + 2 * 2 + 1
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name], value, err_msg=name)
    assert (resumed / "logs/scalars.csv").read_bytes() == (
        straight / "log/scalars.csv"
    ).read_bytes()
    last = "train_04_0005.png"
    grids = (straight / "pictures" / last, resumed / "samples" / last)
    assert grids[0].read_bytes() == grids[1].read_bytes()


def test_tensorboard_shows_each_step_once(straight: Path, resumed: Path) -> None:
    whole, parts = load_events(straight / "log"), load_events(resumed / "logs")
    assert [step for step, _ in numbers(parts["generator"], "DCGAN/loss")] == list(range(1, 21))
    for name in ("generator", "discriminator"):
        assert numbers(parts[name], "DCGAN/loss") == numbers(whole[name], "DCGAN/loss")


def test_pictures_and_checkpoints_come_at_their_intervals(straight: Path) -> None:
    pictures = ["01_0003", "02_0001", "02_0004", "03_0002", "03_0005", "04_0003", "04_0005"]
    found = sorted(path.name for path in (straight / "pictures").iterdir())
    assert found == [f"train_{name}.png" for name in pictures]
    steps = {int(path.stem.removeprefix("ckpt-")) for path in (straight / "model").glob("*.index")}
    assert steps == {0, 6, 12, 18, 20}


def test_a_finished_run_changes_nothing(run_any: Run, copy: Path, faces16: Path) -> None:
    before = contents(copy)
    done = run_any("train-dcgan.py", "--dataset", faces16, "--epoch", 2, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert "--epoch" in done.stdout
    assert contents(copy) == before


def test_another_learning_rate_stays(run_any: Run, copy: Path, faces16: Path) -> None:
    def rates() -> list[float]:
        prefix = copy / "checkpoint" / f"ckpt-{newest(copy / 'checkpoint')}"
        return [float(v) for k, v in tensors(prefix).items() if "learning_rate" in k]

    assert rates() == [pytest.approx(2e-4)] * 2
    data = ("--dataset", faces16)
    train_here(run_any, *data, "--epoch", 3, "--learning_rate", 0.01, cwd=copy)
    assert rates() == [pytest.approx(0.01)] * 2
    train_here(run_any, *data, "--epoch", 4, cwd=copy)
    assert rates() == [pytest.approx(0.01)] * 2
    options = json.loads((copy / "checkpoint" / "config.json").read_text())["options"]
    assert options["learning_rate"] == 0.01


def test_the_networks_and_only_they_may_be_named_again(
    run_any: Run, copy: Path, faces16: Path
) -> None:
    train_here(run_any, "--dataset", faces16, *TINY, "--seed", 0, "--epoch", 3, cwd=copy)
    assert newest(copy / "checkpoint") == 15


# --- errors ---


def test_a_run_is_not_resumed_on_other_images(
    run_any: Run, copy: Path, faces16: Path, tmp_path: Path
) -> None:
    others = tmp_path / "others"
    shutil.copytree(faces16, others)
    resumes = ("--epoch", 2)
    done = run_any("train-dcgan.py", "--dataset", others, *resumes, cwd=copy)
    assert done.returncode == 0, done.stderr  # the same images in another place
    (others / "face-0-00000.png").rename(others / "renamed.png")
    words = ("--dataset", "not the images", "--init-from")
    refused(run_any, "--dataset", others, *resumes, cwd=copy, words=words)


CONTRADICTIONS = {
    "--image_size": (32, 16),
    "--channels": (1, 3),
    "--z-dim": (9, 8),
    "--gf-dim": (8, 4),
    "--df-dim": (8, 4),
    "--batch_size": (4, 8),
    "--seed": (1, 0),
}


@pytest.mark.parametrize("flag", CONTRADICTIONS)
def test_contradictions_name_both_values(
    flag: str, run_any: Run, trained: Path, faces16: Path
) -> None:
    wanted, stored = CONTRADICTIONS[flag]
    kebab = flag.replace("_", "-")
    words = (f"{kebab} {wanted}", f"{kebab} {stored}", "checkpoint/ckpt-10")
    arguments = ("--dataset", faces16, "--epoch", 3, flag, wanted)
    refused(run_any, *arguments, cwd=trained, words=words)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    run_any: Run, copy: Path, straight: Path, faces16: Path
) -> None:
    data = copy / "checkpoint" / "ckpt-10.data-00000-of-00001"
    os.truncate(data, data.stat().st_size // 2)
    done = run_any("train-dcgan.py", "--dataset", faces16, "--epoch", 4, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert "checkpoint/ckpt-10 is damaged" in done.stderr
    assert "resuming from checkpoint/ckpt-0" in done.stdout
    whole, parts = tensors(straight / "model/ckpt-20"), tensors(copy / "checkpoint/ckpt-20")
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name], value, err_msg=name)


def test_a_checkpoint_copied_by_hand_is_resumed(run_any: Run, copy: Path, faces16: Path) -> None:
    (copy / "checkpoint" / "checkpoint").write_text('model_checkpoint_path: "ckpt-10"\n')
    done = run_any("train-dcgan.py", "--dataset", faces16, "--epoch", 3, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert "resuming from checkpoint/ckpt-10" in done.stdout
