"""What the tests of train-dcgan.py share: its options' defaults, and how its outputs are read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import tensorflow as tf
from helpers import Run, assert_refused, contents
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

COLUMNS = ["step", "epoch", "d_loss", "d_loss_real", "d_loss_fake", "g_loss", "d_real", "d_fake"]

DEFAULTS = {
    "epoch": 25,
    "learning_rate": 0.0002,
    "beta1": 0.5,
    "train_size": "all",
    "batch_size": 64,
    "image_size": 64,
    "channels": 3,
    "z_dim": 100,
    "gf_dim": 64,
    "df_dim": 64,
    "g_updates": 2,
    "seed": 0,
    "dataset": ["data"],
    "checkpoint_dir": "checkpoint",
    "sample_dir": "samples",
    "log_dir": "logs",
    "sample_interval": 100,
    "checkpoint_interval": 500,
    "minutes": None,
    "traceback": False,
    "holdout": None,
    "max_pixels": 100_000_000,
    "flip": False,
    "diffaugment": [],
    "init_from": None,
    "d_learning_rate": None,
    "decay_epochs": 0.0,
    "label_smoothing": 0.0,
    "average_decay": 0.999,
    "precision": "auto",
    "deterministic": False,
    "sync_batch_norm": False,
    "keep": 5,
}


def rows_of(log: Path) -> list[list[str]]:
    with open(log / "scalars.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == COLUMNS
    return rows


def tensors(prefix: Path) -> dict[str, np.ndarray]:
    """All of a checkpoint but its own bookkeeping."""
    reader = tf.train.load_checkpoint(str(prefix))
    names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE")]
    return {name: reader.get_tensor(name) for name in names if not name.startswith("save_counter")}


def newest(folder: Path) -> int:
    """The step of a folder's newest checkpoint."""
    return int(tf.train.latest_checkpoint(str(folder)).rpartition("ckpt-")[2])


def train_here(run_any: Run, *arguments: object, cwd: Path) -> None:
    done = run_any("train-dcgan.py", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr


def load_events(folder: Path) -> dict[str, EventAccumulator]:
    """TensorBoard's runs below a folder of logs."""
    return {
        path.name: EventAccumulator(str(path), size_guidance={"tensors": 0}).Reload()
        for path in folder.iterdir()
        if path.is_dir()
    }


def numbers(events: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(p.step, float(tf.make_ndarray(p.tensor_proto))) for p in events.Tensors(tag)]


def refused(run_any: Run, *arguments: object, cwd: Path, words: tuple[str, ...] = ()) -> None:
    """The run is refused in one line, and leaves the folder as it was."""
    before = contents(cwd)
    assert_refused(run_any("train-dcgan.py", *arguments, cwd=cwd), *words)
    assert contents(cwd) == before
