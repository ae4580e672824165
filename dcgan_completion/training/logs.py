"""The logs of a training: scalars.csv, TensorBoard's events, the plot of the losses."""

from __future__ import annotations

import csv
import dataclasses
import glob
import logging
import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2

from dcgan_completion.utils import UserError, open_text, remove_partial, replacing, write_csv

logger = logging.getLogger(__name__)

SCALARS = "scalars.csv"
FRAME = 16  # bytes around each record of TensorBoard's files: its length and two checksums
SHARED_RUN = "training"  # TensorBoard's run of everything but scalars


@dataclasses.dataclass(frozen=True)
class LoggedScalars:
    """The scalars that a trainer's steps have, and how they are shown.

    Attributes:
      group: TensorBoard's section for all that the trainer logs.
      charts: by scalar, in the order of the CSV's columns: TensorBoard's run (a folder below the
        logs) and the chart's name. Charts of the same name of several runs are drawn as one.
      losses: scalars that are plotted, and shown in the progress bar, each with its label in the
        plot.
      axis: label of the plot's vertical axis.
    """

    group: str
    charts: Mapping[str, tuple[str, str]]
    losses: Mapping[str, str]
    axis: str = "loss"

    @property
    def columns(self) -> list[str]:
        """The columns of scalars.csv."""
        return ["step", "epoch", *self.charts]


@dataclasses.dataclass(frozen=True)
class StepResult:
    """The results of a training step, as tensors: only reading them waits for the step.

    Attributes:
      step: number of steps done, this one included.
      epoch: its epoch, from 1.
      scalars: by name, those of the trainer's `LoggedScalars` that the step has.
      histograms: by name, each [N].
    """

    step: int
    epoch: int
    scalars: Mapping[str, tf.Tensor]
    histograms: Mapping[str, tf.Tensor]


def keep_rows(path: str, columns: Sequence[str], last_step: int) -> None:
    """Drop the rows of a scalars.csv after `last_step`: a resumed run writes them again.

    Damaged rows are dropped, too, and counted in a warning.

    Raises:
      UserError: it is another table.
    """
    try:
        with open_text(path, errors="replace") as file:
            head, *rows = csv.reader(file)
    except csv.Error:
        head, rows = [], []
    except ValueError:  # not even a header
        if last_step:
            logger.warning("%s: is empty; the rows up to step %d are lost", path, last_step)
        head, rows = list(columns), []
    if head != list(columns):
        raise UserError(
            f"{path}: is not of this training; move it away, or choose another --log-dir"
        )
    steps = [_step_of(row, len(columns)) for row in rows]
    kept = [row for row, step in zip(rows, steps, strict=True) if step and step <= last_step]
    # A crash leaves the last row cut short; the steps up to `last_step` had all been written.
    whole = [step for step in steps if step]
    if None in steps[:-1] or (whole and whole[-1] < last_step):
        first = whole[0] if whole else 1
        lost = last_step + 1 - first - len(kept)
        message = "%s: is damaged; %d of the rows of steps %d to %d are lost"
        logger.warning(message, path, lost, first, last_step)
    write_csv(path, columns, kept)


def _step_of(row: Sequence[str], columns: int) -> int | None:
    """Read the step of a row of scalars.csv; None if it is cut short or damaged."""
    try:
        step, epoch = (int(cell) if cell.isdecimal() else 0 for cell in row[:2])
        for cell in row[2:]:
            float(cell or 0)
    except ValueError:
        return None
    return step if len(row) == columns and min(step, epoch) > 0 else None


def keep_events(path: str, last_step: int) -> None:
    """Drop the events after `last_step` from a file of TensorBoard's, as `keep_rows` does."""
    step, unread, damaged = -1, os.path.getsize(path), False
    with replacing(path) as temporary, tf.io.TFRecordWriter(temporary) as writer:
        try:
            for record in tf.data.TFRecordDataset(path):
                event = event_pb2.Event()  # pyright: ignore[reportAttributeAccessIssue]
                step = event.FromString(record.numpy()).step
                unread -= len(record.numpy()) + FRAME
                if step <= last_step:
                    writer.write(record.numpy())
        except (tf.errors.OpError, DecodeError) as error:
            damaged = "truncated" not in str(error)
    # A crash cuts a record short; it is the last one, and of a later step.
    if damaged or (unread and step < last_step):
        logger.warning("%s: is damaged; the events after step %d are lost", path, step)


class TrainingLog:
    """Scalars of every step, as CSV and for TensorBoard; histograms, pictures and the graph.

    Use as a context manager: leaving it closes the files.
    """

    def __init__(self, folder: str, first_step: int, scalars: LoggedScalars) -> None:
        """Open the logs in `folder`, which exists, to continue after `first_step`.

        What an earlier run has written about later steps is dropped.

        Raises:
          UserError: a training with other scalars wrote the logs there.
        """
        self._scalars = scalars
        path = os.path.join(folder, SCALARS)
        if os.path.lexists(path):
            keep_rows(path, scalars.columns, first_step)
        for run in glob.glob(os.path.join(glob.escape(folder), "*", "")):
            remove_partial(run)
        for events in glob.glob(os.path.join(glob.escape(folder), "*", "events.out.tfevents.*")):
            if os.path.isfile(events):
                keep_events(events, first_step)
        self._file = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115
        self._csv = csv.writer(self._file)
        if self._file.tell() == 0:
            self._csv.writerow(scalars.columns)
            self._file.flush()
        self._events = {
            run: tf.summary.create_file_writer(os.path.join(folder, run))
            for run in {SHARED_RUN, *(run for run, _ in scalars.charts.values())}
        }

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        for writer in self._events.values():
            writer.close()

    def flush(self) -> None:
        """Make what was written so far visible to other programs."""
        self._file.flush()
        for writer in self._events.values():
            writer.flush()

    def write_run(self, graph: tf.Graph, text: str) -> None:
        """Write what a run begins with: the networks' graph, and the configuration as text."""
        with self._events[SHARED_RUN].as_default():
            tf.summary.text("configuration", f"```\n{text}\n```", step=0)
            tf.summary.graph(graph)

    def write_step(self, result: StepResult) -> dict[str, float]:
        """Write the step's scalars; return them as numbers, by name.

        The cell of a scalar that the step does not have stays empty.
        """
        charts = self._scalars.charts
        values = {name: float(result.scalars[name]) for name in charts if name in result.scalars}
        cells = [f"{values[name]:.6g}" if name in values else "" for name in charts]
        self._csv.writerow([result.step, result.epoch, *cells])
        for name, value in values.items():
            run, chart = charts[name]
            with self._events[run].as_default(result.step):
                tf.summary.scalar(self._tag(chart), value)
        return values

    def _tag(self, name: str) -> str:
        return f"{self._scalars.group}/{name}"

    def write_histograms(self, result: StepResult) -> None:
        """Write the step's histograms."""
        with self._events[SHARED_RUN].as_default(result.step):
            for name, values in result.histograms.items():
                tf.summary.histogram(self._tag(name), values)

    def write_picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Write one picture, uint8 [H, W, C]."""
        with self._events[SHARED_RUN].as_default(step):
            tf.summary.image(self._tag(name), picture[np.newaxis])


def plot_losses(folder: str, losses: Mapping[str, str], axis: str = "loss") -> list[str]:
    """Plot losses.png and losses.pdf from the scalars.csv in `folder`; return their paths.

    Thin lines are the losses of each step, thick ones their moving average over a hundredth of the
    run (at least ten steps). `losses`, `axis` are those of `LoggedScalars`.
    """
    from matplotlib.figure import Figure

    with open(os.path.join(folder, SCALARS), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel=axis)
    max_window = max(10, len(rows) // 100)
    for name, label in losses.items():
        points = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        if not points:
            continue
        steps, values = np.array(points).T
        # The same number of steps, if only some of them have a value.
        window = max(1, min(max_window * len(values) // len(rows), len(values)))
        (line,) = axes.plot(steps, values, linewidth=0.4, alpha=0.4)
        average = np.convolve(values, np.full(window, 1 / window), mode="valid")
        axes.plot(steps[window - 1 :], average, color=line.get_color(), label=label)
    axes.legend(title=f"average over {min(max_window, len(rows))} steps")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    paths = [os.path.join(folder, f"losses.{kind}") for kind in ("png", "pdf")]
    for path, kind in zip(paths, ("png", "pdf"), strict=True):
        with replacing(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=200)
    return paths
