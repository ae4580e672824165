"""The training loop, and the protocols of what it drives: `Trainer` and `Monitor`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

import devices
from training.dataset import ImageFolders
from training.logs import LoggedScalars, StepResult
from utils import UserError


class Monitor(Protocol):
    """Watches a run's scalars."""

    def check(self, step: int, values: Mapping[str, float], last_good: str | None) -> str:
        """Looks at a step's scalars; returns a warning for the user, or nothing.

        Raises:
          UserError: going on is of no use; names the checkpoint to go back to, `last_good`.
        """


class Trainer(Protocol):
    """What a trainer gives; made in the scope of its strategy, with all its variables.

    Attributes:
      strategy: how its steps are divided among devices.
      step: an int64 variable, the number of steps done.
      scalars: those of its steps.
      monitor: what they are watched by.
    """

    strategy: tf.distribute.Strategy
    step: tf.Variable
    scalars: LoggedScalars
    monitor: Monitor

    def set_learning_rates(self, share: float = 1.0) -> None:
        """Goes on with a share of the rules' learning rates, whatever a checkpoint restored."""

    def train_step(
        self, images: np.ndarray | tf.distribute.DistributedValues
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Takes a step on real images, uint8 [N, S, S, C], and counts it.

        Returns:
          scalars and histograms, as in `StepResult`.
        """

    def estimate_statistics(self, batches: int) -> None:
        """Prepares what is saved and sampled, such as batch statistics, by so many batches."""

    def sample_pictures(self) -> np.ndarray:
        """Pictures that show how far the training is, uint8 [N, S, S, C]."""

    def checkpoint_contents(self) -> dict[str, Any]:
        """What a checkpoint holds, as for tf.train.Checkpoint; the step is part of it."""

    def graph(self) -> tf.Graph:
        """The networks, to look at in TensorBoard."""


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

    Over the last `decay_epochs` epochs the learning rates fall linearly towards 0. They are a
    function of the step, so that a resumed run goes on with the same.
    """
    strategy = trainer.strategy
    replicas = strategy.num_replicas_in_sync
    first_step = int(trainer.step.numpy())
    steps = range(first_step, last_step)
    mine, share = devices.local_replicas(strategy), dataset.batch_size // replicas
    batches = dataset.batches(first_step, last_step, slice(mine.start * share, mine.stop * share))
    decay_steps = decay_epochs * dataset.steps_per_epoch
    trainer.set_learning_rates()
    for step, images in zip(steps, batches, strict=True):
        if replicas > 1:
            images = distribute_batch(strategy, images, mine.start, share)
        if last_step - step <= decay_steps:
            trainer.set_learning_rates((last_step - step) / decay_steps)
        scalars, histograms = trainer.train_step(images)
        yield StepResult(step + 1, step // dataset.steps_per_epoch + 1, scalars, histograms)


def distribute_batch(
    strategy: tf.distribute.Strategy, images: np.ndarray, first: int, share: int
) -> tf.distribute.DistributedValues:
    """A process' part of a batch, divided among its replicas, of which `first` is the first."""

    def part(context: tf.distribute.ValueContext) -> tf.Tensor:
        place = context.replica_id_in_sync_group - first
        return tf.constant(images[place * share : (place + 1) * share])

    return strategy.experimental_distribute_values_from_function(part)
