"""The training loop, and the protocols of what it drives: `Trainer` and `Monitor`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from dcgan_completion import devices
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.training.logs import LoggedScalars, StepResult
from dcgan_completion.utils import UserError

Inputs = tuple[np.ndarray, ...]


class Monitor(Protocol):
    """Watches the scalars of a run's steps."""

    def check(self, step: int, values: Mapping[str, float], last_good: str | None) -> str:
        """Looks at a step's scalars; returns a warning for the user, or nothing.

        Raises:
          UserError: the run has broken down; names the checkpoint to go back to, `last_good`.
        """


class Trainer(Protocol):
    """The networks of a training with their optimizers; made in the scope of its strategy.

    Attributes:
      strategy: how its steps are divided among devices.
      step: an int64 variable, the number of steps done.
      scalars: describes the scalars of its steps.
      monitor: watches them.
    """

    strategy: tf.distribute.Strategy
    step: tf.Variable
    scalars: LoggedScalars
    monitor: Monitor

    def set_learning_rates(self, share: float = 1.0) -> None:
        """Sets the learning rates to a share of the rules', whatever a checkpoint has restored."""

    def draw_inputs(self, step: int, places: range) -> Inputs:
        """What a step (from 0) takes besides its images, such as masks; may be nothing.

        A function of its arguments alone; called from a thread, while the step before is taken.

        Args:
          step: its number.
          places: in the global batch, which this process computes with.

        Returns:
          arrays of len(places) rows.
        """

    def train_step(
        self,
        images: np.ndarray | tf.distribute.DistributedValues,
        *inputs: np.ndarray | tf.distribute.DistributedValues,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Takes a step on real images, uint8 [N, S, S, C], and on `draw_inputs`; counts it.

        Returns:
          scalars and histograms, as in `StepResult`.
        """

    def estimate_statistics(self, batches: int) -> None:
        """Prepares what is saved and sampled, such as batch statistics, from some batches."""

    def evaluate(self) -> dict[str, tf.Tensor]:
        """Scalars of images that are not trained on; may be none."""

    def sample_pictures(self) -> np.ndarray:
        """Images that show the progress of the training, uint8 [N, S, S, C]."""

    def checkpoint_contents(self) -> dict[str, Any]:
        """What a checkpoint holds: arguments of tf.train.Checkpoint, the step among them."""

    def graph(self) -> tf.Graph:
        """The graph of the networks, for TensorBoard."""


def check_finite(
    names: Iterable[str], step: int, values: Mapping[str, float], last_good: str | None
) -> None:
    """Raises UserError, which names a remedy, if one of a step's scalars is not finite."""
    for name in names:
        if name in values and not math.isfinite(values[name]):
            raise UserError(
                f"{name} is {values[name]} at step {step}; the last good checkpoint is "
                f"{last_good}: start from it with --init-from and a lower --learning-rate"
            )


def train(
    trainer: Trainer, dataset: ImageFolders, last_step: int, decay_epochs: float = 0.0
) -> Iterator[StepResult]:
    """Trains from the trainer's step up to `last_step`, and yields after every step.

    Args:
      trainer: takes the steps.
      dataset: gives their batches.
      last_step: number of steps of the whole run.
      decay_epochs: epochs at the end of the run in which the learning rates fall linearly towards
        0. They are a function of the step, so that a resumed run goes on with the same.
    """
    strategy = trainer.strategy
    replicas = strategy.num_replicas_in_sync
    first_step = int(trainer.step.numpy())
    steps = range(first_step, last_step)
    local, per_replica = devices.local_replicas(strategy), dataset.batch_size // replicas
    places = range(local.start * per_replica, local.stop * per_replica)  # in each batch, for us
    batches = dataset.batches(first_step, last_step, slice(places.start, places.stop))
    drawn = _one_ahead(lambda step: trainer.draw_inputs(step, places), steps)
    decay_steps = decay_epochs * dataset.steps_per_epoch
    trainer.set_learning_rates()
    for step, images, inputs in zip(steps, batches, drawn, strict=True):
        parts = (images, *inputs)
        if replicas > 1:
            parts = tuple(
                distribute_batch(strategy, part, local.start, per_replica) for part in parts
            )
        if last_step - step <= decay_steps:
            trainer.set_learning_rates((last_step - step) / decay_steps)
        scalars, histograms = trainer.train_step(*parts)
        yield StepResult(step + 1, step // dataset.steps_per_epoch + 1, scalars, histograms)


def _one_ahead(draw: Callable[[int], Inputs], steps: Iterable[int]) -> Iterator[Inputs]:
    """What `draw` gives for each step, computed in a thread while the step before is taken."""
    pending: Future[Inputs] | None = None
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        for step in steps:
            following = pool.submit(draw, step)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def distribute_batch(
    strategy: tf.distribute.Strategy, images: np.ndarray, first: int, per_replica: int
) -> tf.distribute.DistributedValues:
    """A process' part of a batch, uint8 [N, S, S, C], divided among its replicas.

    Args:
      strategy: of the training.
      images: the part.
      first: number of the process' first replica.
      per_replica: images for each.
    """

    def part(context: tf.distribute.ValueContext) -> tf.Tensor:
        place = context.replica_id_in_sync_group - first
        return tf.constant(images[place * per_replica : (place + 1) * per_replica])

    return strategy.experimental_distribute_values_from_function(part)
