"""What a run leaves to look at: TensorBoard events, scalars.csv, the record in config.json."""

from __future__ import annotations

import contextlib
import csv
import glob
import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2

import devices
from checkpoints import write_config
from model import DCGAN
from training.trainer import StepResult
from utils import image_grid, remove_partial, replacing, save_gif, save_image, to_uint8, write_csv

if TYPE_CHECKING:
    from completion.completer import Completion

SCALARS = "scalars.csv"
SCALAR_NAMES = ("d_loss", "d_loss_real", "d_loss_fake", "g_loss", "d_real", "d_fake")
COLUMNS = ("step", "epoch", *SCALAR_NAMES)
# How TensorBoard shows them: the run (a folder below the logs) and the name. Equal names of
# several runs share one chart; names with a common group share a section, which is open at first.
GROUP = "DCGAN"
CHARTS = {
    "d_loss": ("discriminator", f"{GROUP}/loss"),
    "g_loss": ("generator", f"{GROUP}/loss"),
    "d_loss_real": ("real images", f"{GROUP}/loss of the discriminator by kind of image"),
    "d_loss_fake": ("generated images", f"{GROUP}/loss of the discriminator by kind of image"),
    "d_real": ("real images", f"{GROUP}/mean output of the discriminator"),
    "d_fake": ("generated images", f"{GROUP}/mean output of the discriminator"),
}
SHARED_RUN = "training"  # all else
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "pillow", "opencv-python-headless")


def _git_commit() -> str | None:
    """The commit of the toolkit's checkout, None for an installed package."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not os.path.exists(os.path.join(here, ".git")):
        return None
    try:
        command = ["git", "-C", here, "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def record(options: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run repeatable, for config.json: options, command, versions, machine."""
    return {
        "command": shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        "options": dict(options),
        "packages": {
            "python": platform.python_version(),
            **{package: _version(package) for package in PACKAGES},
        },
        "git_commit": _git_commit(),
        "processor": devices.processor(),
        "devices": [f"{d.device_type} {d.name}" for d in tf.config.list_logical_devices()],
    }


def _keep_rows(path: str, last_step: int) -> None:
    """Drops the rows of a scalars.csv after `last_step`: a resumed run writes them again."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    # A row cut short by a crash is dropped too.
    kept = [r for r in rows[1:] if len(r) == len(COLUMNS) and int(r[0]) <= last_step]
    write_csv(path, COLUMNS, kept)


# Without AutoGraph, which would read the source again, at a time when it may have been edited.
@tf.function(reduce_retracing=True, autograph=False)
def _generate(model: DCGAN, z: tf.Tensor, weights: dict[str, tf.Variable] | None) -> tf.Tensor:
    return model.generator(z, weights=weights)


def generate(
    model: DCGAN,
    z: np.ndarray,
    batch_size: int = 64,
    weights: dict[str, tf.Variable] | None = None,
) -> np.ndarray:
    """Pictures of G(z), uint8 [N, S, S, C], for latent z [N, z_dim]; `batch_size` at a time.

    `weights` stand in for the generator's own, as in `DCGAN.generator`.
    """
    batches = np.split(np.asarray(z, np.float32), range(batch_size, len(z), batch_size))
    return np.concatenate(
        [to_uint8(_generate(model, tf.constant(batch), weights)) for batch in batches]
    )


def _keep_events(path: str, last_step: int) -> None:
    """Drops the events after `last_step` from a file of TensorBoard's, as `_keep_rows` does."""
    with (
        replacing(path) as temporary,
        tf.io.TFRecordWriter(temporary) as writer,
        contextlib.suppress(tf.errors.DataLossError),  # a record that a crash cut short is the last
    ):
        for record in tf.data.TFRecordDataset(path):
            if event_pb2.Event.FromString(record.numpy()).step <= last_step:
                writer.write(record.numpy())


class TrainingLog:
    """Scalars of every step, as CSV and for TensorBoard; histograms, pictures and the graph.

    Use as a context manager: leaving it closes the files.
    """

    def __init__(self, folder: str, first_step: int) -> None:
        """Opens the logs in `folder`, which exists, to go on after `first_step`.

        What an earlier run has written about later steps is dropped.
        """
        path = os.path.join(folder, SCALARS)
        if os.path.exists(path):
            _keep_rows(path, first_step)
        for run in glob.glob(os.path.join(glob.escape(folder), "*", "")):
            remove_partial(run)
        for events in glob.glob(os.path.join(glob.escape(folder), "*", "events.out.tfevents.*")):
            _keep_events(events, first_step)
        self._file = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115
        self._csv = csv.writer(self._file)
        if self._file.tell() == 0:
            self._csv.writerow(COLUMNS)
        self._events = {
            run: tf.summary.create_file_writer(os.path.join(folder, run))
            for run in {SHARED_RUN, *(run for run, _ in CHARTS.values())}
        }

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        for writer in self._events.values():
            writer.close()

    def flush(self) -> None:
        """Makes what was written so far visible to others."""
        self._file.flush()
        for writer in self._events.values():
            writer.flush()

    def write_run(self, model: DCGAN, text: str) -> None:
        """The configuration as text, and the graph of D(G(z))."""

        @tf.function(autograph=False)
        def networks(z: tf.Tensor) -> tf.Tensor:
            return model.discriminator(model.generator(z))

        graph = networks.get_concrete_function(tf.TensorSpec([None, model.z_dim])).graph
        with self._events[SHARED_RUN].as_default():
            tf.summary.text("configuration", f"```\n{text}\n```", step=0)
            tf.summary.graph(graph)

    def write_step(self, result: StepResult) -> dict[str, float]:
        """The step's scalars; returns them as numbers, by name."""
        values = {name: float(result.scalars[name]) for name in SCALAR_NAMES}
        self._csv.writerow([result.step, result.epoch, *(f"{v:.6g}" for v in values.values())])
        for name, value in values.items():
            run, chart = CHARTS[name]
            with self._events[run].as_default(result.step):
                tf.summary.scalar(chart, value)
        return values

    def write_histograms(self, result: StepResult) -> None:
        """Histograms of z, D(x) and D(G(z))."""
        with self._events[SHARED_RUN].as_default(result.step):
            for name, values in result.histograms.items():
                tf.summary.histogram(f"{GROUP}/{name}", values)

    def write_picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """One picture, uint8 [H, W, C]."""
        with self._events[SHARED_RUN].as_default(step):
            tf.summary.image(f"{GROUP}/{name}", picture[np.newaxis])


def plot_losses(folder: str) -> list[str]:
    """Draws losses.png and losses.pdf from the scalars.csv in `folder`; returns their paths.

    Thin lines are the losses of each step, thick ones their rolling average over a
    hundredth of the run (at least ten steps).
    """
    from matplotlib.figure import Figure

    with open(os.path.join(folder, SCALARS), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    steps = np.array([int(row["step"]) for row in rows])
    window = min(max(10, len(rows) // 100), len(rows))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss")
    for name, label in (("d_loss", "discriminator"), ("g_loss", "generator")):
        values = np.array([float(row[name]) for row in rows])
        (line,) = axes.plot(steps, values, linewidth=0.4, alpha=0.4)
        average = np.convolve(values, np.full(window, 1 / window), mode="valid")
        axes.plot(steps[window - 1 :], average, color=line.get_color(), label=label)
    axes.legend(title=f"average over {window} steps")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    paths = [os.path.join(folder, f"losses.{kind}") for kind in ("png", "pdf")]
    for path, kind in zip(paths, ("png", "pdf"), strict=True):
        with replacing(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=200)
    return paths


class CompletionFolder:
    """The output folder of complete.py.

    The first batch's pictures lie in it, those of later ones in batch-0002 and so on, under the
    reference's names; final/, results.csv and config.json are about all images.
    """

    PICTURES = ("before.png", "masked.png", "completion.gif", "hats_imgs", "completed", "logs")
    RESULTS = ("results.csv", "final", "samples")
    COLUMNS = ("input", "output", "contextual", "perceptual", "total")

    def __init__(self, path: str) -> None:
        self.path = path
        self._rows: list[Sequence[Any]] = []

    @property
    def done(self) -> set[str]:
        """Paths of the inputs whose results are there."""
        return {row[0] for row in self._rows}

    def existing(self) -> list[str]:
        """Paths of what an earlier completion left there, config.json aside."""
        try:
            names = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []
        known = (*self.PICTURES, *self.RESULTS)
        ours = [name for name in names if name in known or re.fullmatch(r"batch-\d{4,}", name)]
        return [os.path.join(self.path, name) for name in ours]

    def holds(self, path: str) -> bool:
        """Whether a file is or lies below one of `existing`."""
        real = os.path.realpath(path)
        ours = [os.path.realpath(existing) for existing in self.existing()]
        return any(real == own or real.startswith(own + os.sep) for own in ours)

    def start(self, config: Mapping[str, Any]) -> None:
        """Makes the folder, clears it of an earlier completion and writes config.json."""
        for path in self.existing():
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        os.makedirs(os.path.join(self.path, "final"), exist_ok=True)
        write_config(self.path, config)

    def resume(self) -> None:
        """Goes on after the last batch that a completion by the same options has finished."""
        with contextlib.suppress(FileNotFoundError):
            path = os.path.join(self.path, self.RESULTS[0])
            with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
                self._rows = list(csv.reader(file))[1:]

    def start_batch(self, batch: int, before: np.ndarray, masked: np.ndarray) -> None:
        """Pictures of a batch (from 1) as it is given and as it is known, uint8 [N, S, S, C]."""
        self._batch = self.path if batch == 1 else os.path.join(self.path, f"batch-{batch:04d}")
        self._frames: list[str] = []
        self._losses: list[np.ndarray] = []
        self._masked = masked
        for name in ("hats_imgs", "completed", "logs"):
            os.makedirs(os.path.join(self._batch, name), exist_ok=True)
        save_image(os.path.join(self._batch, "before.png"), image_grid(before))
        save_image(os.path.join(self._batch, "masked.png"), image_grid(masked))

    def write_state(self, state: Completion) -> None:
        """Where the search stands: its losses since the last time, and pictures."""
        name = f"{state.iteration:04d}.png"
        save_image(os.path.join(self._batch, "hats_imgs", name), image_grid(state.generated))
        self._frames.append(os.path.join(self._batch, "completed", name))
        save_image(self._frames[-1], image_grid(state.completed))
        self._losses.append(state.history)

    def finish_batch(self, names: Mapping[str, str], before: np.ndarray, last: Completion) -> None:
        """The results of a batch.

        Args:
          names: input path -> output name without extension, in the batch's order.
          before: the images as given, uint8 [N, S, S, C].
          last: their completion.
        """
        logs, outputs = os.path.join(self._batch, "logs"), list(names.values())
        history = np.concatenate(self._losses)
        rows = ([i, *(f"{loss:.6g}" for loss in row)] for i, row in enumerate(history))
        write_csv(os.path.join(logs, "losses.csv"), ["iteration", *outputs], rows)
        arrays = {"names": np.array(outputs), "inputs": np.array(list(names))}
        z, several = last.samples_z, last.samples_z.shape[1] > 1
        if z.shape[2] == 1:  # not the mean of several searches
            z = z[:, :, 0]
        arrays["z"] = z[:, 0]
        if several:
            arrays |= {"samples_z": z, "samples_losses": last.samples_losses[0]}
        with replacing(os.path.join(logs, "z.npz")) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
        save_gif(os.path.join(self._batch, "completion.gif"), self._frames)
        for i, (path, name) in enumerate(names.items()):
            save_image(os.path.join(self.path, "final", f"{name}.png"), last.completed[i])
            if several:
                self._write_samples(name, before[i], self._masked[i], last.samples_completed[i])
            total, contextual, perceptual = (f"{loss[i]:.6g}" for loss in last.losses)
            self._rows.append([path, f"{name}.png", contextual, perceptual, total])
        write_csv(os.path.join(self.path, self.RESULTS[0]), self.COLUMNS, self._rows)

    def _write_samples(
        self, name: str, before: np.ndarray, masked: np.ndarray, completed: np.ndarray
    ) -> None:
        """An image's completions, the best first: one file each, and all beside the image."""
        folder = os.path.join(self.path, "samples", name)
        os.makedirs(folder, exist_ok=True)
        for rank, sample in enumerate(completed, 1):
            save_image(os.path.join(folder, f"{rank}.png"), sample)
        sheet = image_grid(np.stack([before, masked, *completed]), columns=2 + len(completed))
        save_image(f"{folder}.png", sheet)
