"""A run around a trainer: its settings, its end, and what it writes, whatever is trained."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from toy_trainer import ToyTrainer
from training_runs import load_events, numbers

from dcgan_completion import devices, runs
from dcgan_completion.settings.training import OutputSettings
from dcgan_completion.training import logs, run
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.training.loop import train
from dcgan_completion.utils import UserError


def folders_in(folder: Path) -> dict[str, str]:
    return {f"{name}_dir": str(folder / name) for name in ("checkpoint", "sample", "log")}


# --- settings ---


@pytest.fixture
def given(trained: Path, tmp_path: Path) -> dict[str, Any]:
    """Options of a run that goes on where the tiny model stands."""
    return {
        "dataset": [str(tmp_path)],
        "checkpoint_dir": str(trained / "checkpoint"),
        "sample_dir": str(trained / "samples"),
        "log_dir": str(trained / "logs"),
    }


def test_what_is_left_out_is_as_in_the_run_that_is_resumed(given: dict[str, Any]) -> None:
    settings, config = run.resolve_settings(given)
    stored = json.loads(Path(given["checkpoint_dir"], "config.json").read_text())
    assert config == stored
    for name in ("image_size", "z_dim", "batch_size", "learning_rate", "train_size", "precision"):
        assert settings.options()[name] == stored["options"][name]
    assert settings.data.dataset == given["dataset"]
    assert settings.run.epoch == 25  # not the 2 of that run


def test_what_is_given_stands(given: dict[str, Any]) -> None:
    changed = {"learning_rate": 0.5, "flip": True, "diffaugment": ["cutout"], "train_size": 9}
    settings, _ = run.resolve_settings(given | changed | {"precision": "float32", "seed": 0})
    assert settings.options().items() >= changed.items()
    assert settings.precision == devices.Precision("float32", "float32")


def test_a_run_goes_on_where_bfloat16_is_emulated(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = runs.read_config(given["checkpoint_dir"])
    config["options"] |= {"precision": "auto", "precision_used": "bfloat16"}
    monkeypatch.setattr(devices, "has_bfloat16", lambda: False)
    assert run.resolve_precision(given, config) == devices.Precision("auto", "float32")


def test_another_start_than_the_run_that_is_resumed_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="--init-from other contradicts the run"):
        run.resolve_settings(given | {"init_from": "other"})


def test_outputs_of_another_run_are_refused(tmp_path: Path) -> None:
    output = OutputSettings(**folders_in(tmp_path))
    assert run.find_run(output, "some/checkpoint", {"seed": 3}) is None
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "scalars.csv").write_text("")
    with pytest.raises(UserError, match=r"log/scalars\.csv belongs to another run"):
        run.find_run(output, None, {})


# --- the end ---


@pytest.fixture
def handlers() -> Iterator[None]:
    numbers_ = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers_}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_run_ends_by_a_signal_or_by_its_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = tf.distribute.get_strategy()
    now = 1000.0
    monkeypatch.setattr(run.time, "monotonic", lambda: now)
    endless, timed = run.StopRequest(strategy, None), run.StopRequest(strategy, 2.0)
    now += 119
    assert not timed.due()
    now += 2
    assert timed.due()
    assert not endless.due()
    endless = run.StopRequest(strategy, None)
    signal.raise_signal(signal.SIGTERM)
    assert endless.due()
    assert endless.signals.received == signal.SIGTERM


# --- what is written ---


def write_run(trainer: ToyTrainer, dataset: ImageFolders, folder: Path, last: int) -> str:
    """Trains up to a step, as train-dcgan.py does; returns the newest checkpoint."""
    output = OutputSettings(**folders_in(folder), sample_interval=4, checkpoint_interval=3, keep=2)
    with run.RunWriter(trainer, dataset, 3, output, {"what": "toy"}) as writer:
        for result in train(trainer, dataset, last):
            writer.write(result, ends=result.step == last)
    return writer.saver.latest


@pytest.fixture
def dataset(faces16: Path) -> ImageFolders:
    return ImageFolders([str(faces16)], image_size=16, batch_size=8)


def test_another_trainers_run_is_written(
    dataset: ImageFolders, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trainer = ToyTrainer()
    newest = write_run(trainer, dataset, tmp_path, 7)
    assert newest == str(tmp_path / "checkpoint" / "ckpt-7")
    assert runs.read_config(str(tmp_path / "checkpoint"))["what"] == "toy"
    assert {path.stem for path in (tmp_path / "checkpoint").glob("*.index")} == {"ckpt-6", "ckpt-7"}
    grids = sorted(path.name for path in (tmp_path / "sample").iterdir())
    assert grids == ["train_01_0004.png", "train_02_0002.png"]
    with Image.open(tmp_path / "sample" / "train_02_0002.png") as grid:
        assert grid.size == (32, 32)
        assert np.asarray(grid).max() - np.asarray(grid).min() == 0
    # Statistics are estimated before each grid (over few batches) and each checkpoint.
    assert trainer.estimates == [100, 10, 100, 10, 100]
    assert float(trainer.statistic) == float(trainer.mean)
    stderr = capfd.readouterr().err
    assert "epoch 2/3" in stderr
    assert "loss " in stderr
    steps, values, last_good = zip(*trainer.monitor.seen, strict=True)
    assert steps == tuple(range(1, 8))
    assert [set(v) for v in values[:3]] == [{"loss"}, {"loss"}, {"loss", "held_out"}]
    assert last_good[2].endswith("ckpt-0")
    assert last_good[3].endswith("ckpt-3")


def test_another_trainers_run_goes_on(dataset: ImageFolders, tmp_path: Path) -> None:
    whole = ToyTrainer()
    write_run(whole, dataset, tmp_path / "whole", 8)
    write_run(ToyTrainer(), dataset, tmp_path / "parts", 5)
    # Rows of a run that died after its last checkpoint are dropped.
    with open(tmp_path / "parts" / "log" / "scalars.csv", "a") as file:
        file.write("6,2,9,\r\n7,2")
    parts = ToyTrainer()
    saver = run.checkpointing.Checkpoints(parts, str(tmp_path / "parts" / "checkpoint"))
    saver.restore()
    assert int(parts.step) == 5
    write_run(parts, dataset, tmp_path / "parts", 8)
    assert float(parts.mean) == float(whole.mean)
    logs_ = [(tmp_path / name / "log" / "scalars.csv").read_bytes() for name in ("whole", "parts")]
    assert logs_[0] == logs_[1]


def test_another_trainers_scalars_are_logged(dataset: ImageFolders, tmp_path: Path) -> None:
    trainer = ToyTrainer()
    write_run(trainer, dataset, tmp_path, 7)
    with open(tmp_path / "log" / "scalars.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["step", "epoch", "loss", "held_out"]
    assert [row[:2] for row in rows] == [[str(i), str((i + 4) // 5)] for i in range(1, 8)]
    assert [bool(row[3]) for row in rows] == [i % 3 == 0 for i in range(1, 8)]
    assert float(rows[2][3]) == pytest.approx(2 * float(rows[2][2]), rel=1e-5)

    events = load_events(tmp_path / "log")
    assert set(events) == {"training images", "held-out images", "training"}
    points = numbers(events["training images"], "toy/error")
    assert [step for step, _ in points] == list(range(1, 8))
    np.testing.assert_allclose([v for _, v in points], [float(r[2]) for r in rows], rtol=1e-5)
    assert [step for step, _ in numbers(events["held-out images"], "toy/error")] == [3, 6]
    tags = set(events["training"].Tags()["tensors"])
    assert tags == {"toy/samples", "toy/training images", "toy/pixels", "configuration"}

    paths = logs.plot_losses(str(tmp_path / "log"), trainer.scalars.losses)
    assert [Path(path).name for path in paths] == ["losses.png", "losses.pdf"]
    with Image.open(paths[0]) as plot:
        colours = {rgb for _, rgb in plot.convert("RGB").getcolors(plot.width * plot.height)}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # matplotlib's first two: a line for each
