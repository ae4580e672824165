"""The training loop, and the base classes of what it drives: `Trainer` and `Monitor`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_completion import devices
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.model import DCGAN
from dcgan_completion.photo_encoder import PhotoEncoder
from dcgan_completion.settings.training import EncoderRules, PhotoEncoderRules, Rules
from dcgan_completion.training import augment
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.training.logs import LoggedScalars, StepResult
from dcgan_completion.utils import UserError

Inputs = tuple[np.ndarray, ...]
# What a step takes: all of a batch, or each replica's part of it.
Batch = np.ndarray | tf.Tensor | tf.distribute.DistributedValues
Results = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]  # scalars, histograms


class Monitor:
    """Watches the scalars of a run's steps, and stops a run that has diverged."""

    def __init__(self, losses: Iterable[str]) -> None:
        """Watch the scalars of these names, which must stay finite."""
        self._losses = tuple(losses)

    def check(self, step: int, values: Mapping[str, float], last_good: str | None) -> None:
        """Check a step's scalars.

        Raises:
          UserError: one is not finite; names the checkpoint to start again from, `last_good`.
        """
        for name in self._losses:
            if not math.isfinite(values.get(name, 0)):
                raise UserError(
                    f"{name} is {values[name]} at step {step}; the last good checkpoint is "
                    f"{last_good}: start from it with --init-from and a lower --learning-rate"
                )


class Trainer(tf.Module):
    """The networks of a training with their optimizers; subclasses implement the step and more.

    Attributes:
      model: the networks.
      rules: how they are trained.
      scalars: describes the scalars of the steps.
      monitor: watches them.
      strategy: divides steps among `replicas` devices.
      step: an int64 variable, the number of steps done.
      ema: the exponential moving average of the network that is used, by its variables' names.
      starts_from_ema: whether a run with --init-from starts from a checkpoint's EMA alone.
    """

    starts_from_ema = False

    def __init__(
        self,
        model: DCGAN | ContextEncoder | PhotoEncoder,
        network: Mapping[str, tf.Variable],
        rules: Rules | EncoderRules | PhotoEncoderRules,
        scalars: LoggedScalars,
        monitor: Monitor,
    ) -> None:
        """Make the EMA of a network, in the scope of the strategy that it was made in.

        Raises:
          UserError: the batch cannot be divided among the strategy's replicas.
        """
        super().__init__(name="trainer")
        self.model, self.rules = model, rules
        self.scalars, self.monitor = scalars, monitor
        self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        devices.check_divides(self.strategy, rules.batch_size)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        mean = tf.VariableAggregation.MEAN
        self._network = network
        self.ema = {
            name: tf.Variable(tf.identity(variable), trainable=False, aggregation=mean)
            for name, variable in network.items()
        }

    def set_learning_rates(self, share: float = 1.0) -> None:
        """Set the learning rates to a share of the rules', whatever a checkpoint has restored."""
        raise NotImplementedError

    def draw_inputs(self, _step: int, _places: range) -> Inputs:
        """Draw what a step (from 0) takes besides its images, such as masks; none by default.

        A function of its arguments alone; called from a thread, while the step before is taken.

        Args:
          step: its number.
          places: indices in the global batch of this process' images.

        Returns:
          arrays of len(places) rows.
        """
        return ()

    def train_step(self, images: Batch, *inputs: Batch) -> Results:
        """Take a step on real images, uint8 [batch_size, S, S, C], and on `draw_inputs`; count it.

        Returns:
          scalars and histograms, as in `StepResult`.

        Raises:
          ValueError: the batch has another size.
        """
        if self.replicas == 1 and images.shape[0] != self.rules.batch_size:
            raise ValueError(f"{images.shape[0]} images, and batch_size is {self.rules.batch_size}")
        return self._train_step(images, *inputs)

    @tf.function(reduce_retracing=True, autograph=False)
    def _train_step(self, *inputs: Batch) -> Results:
        scalars, histograms = self.strategy.run(self._replica_step, args=inputs)
        local = self.strategy.experimental_local_results
        # Scalars are equal on all replicas, which have reduced them.
        scalars = {name: local(value)[0] for name, value in scalars.items()}
        histograms = {name: tf.concat(local(value), 0) for name, value in histograms.items()}
        self._update_ema()
        self.step.assign_add(1)
        return scalars, histograms

    def _update_ema(self) -> None:
        """Update the EMA of trainable variables; leave that of the others alone.

        In the first steps the decay is lower, so that the initial weights are soon forgotten.
        """
        step = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self.rules.average_decay, (1 + step) / (10 + step))
        for name, variable in self._network.items():
            if variable.trainable:
                self.ema[name].assign_sub((1 - decay) * (self.ema[name] - variable))

    def _replica_step(self, *inputs: tf.Tensor) -> Results:
        """Take a step on one replica's part of the global batch."""
        raise NotImplementedError

    def _seed(self, step: tf.Tensor) -> tf.Tensor:
        """Return the seed of a step, int64 [2], from which those of its purposes are folded."""
        return tf.stack([tf.cast(self.rules.seed, tf.int64), step])

    def _purpose_seed(self, purpose: augment.Purpose) -> tf.Tensor:
        """Return the next step's seed for a purpose, int64 [2]."""
        return augment.fold(self._seed(self.step), int(purpose))

    def estimate_statistics(self, batches: int) -> None:
        """Estimate what is saved and sampled, such as batch statistics; nothing by default."""

    def evaluate(self) -> dict[str, tf.Tensor]:
        """Compute scalars of images that are not trained on; none by default."""
        return {}

    def sample_pictures(self) -> np.ndarray:
        """Make images that show the progress of the training, uint8 [N, S, S, C]."""
        raise NotImplementedError

    def checkpoint_contents(self) -> dict[str, Any]:
        """Return what a checkpoint holds: arguments of tf.train.Checkpoint, the step among them.

        TensorFlow stores a variable under the first path that leads to it, in alphabetical order:
        "model" comes before "optimizer...", so that weights have the model's names.
        """
        return {"averaged": self.ema, "model": self.model, "step": self.step}

    def graph(self) -> tf.Graph:
        """Trace the graph of the networks, for TensorBoard."""
        raise NotImplementedError


def train(
    trainer: Trainer, dataset: ImageFolders, last_step: int, decay_epochs: float = 0.0
) -> Iterator[StepResult]:
    """Train from the trainer's step up to `last_step`, that of the whole run; yield every step.

    Over the last `decay_epochs` the learning rates fall linearly towards 0: a function of the step,
    so that a resumed run continues with the same.
    """
    strategy = trainer.strategy
    replicas = strategy.num_replicas_in_sync
    first_step = int(trainer.step.numpy())
    steps = range(first_step, last_step)
    local, per_replica = devices.local_replicas(strategy), dataset.batch_size // replicas
    places = range(local.start * per_replica, local.stop * per_replica)  # in each batch, for us
    batches = dataset.batches(first_step, last_step, slice(places.start, places.stop))
    drawn = _prefetch(lambda step: trainer.draw_inputs(step, places), steps)
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


def _prefetch(draw: Callable[[int], Inputs], steps: Iterable[int]) -> Iterator[Inputs]:
    """Yield draw(step) for each step, computed in a thread while the step before is taken."""
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
    """Divide a process' part of a batch, [N, ...], among its replicas, of which one is `first`."""

    def part(context: tf.distribute.ValueContext) -> tf.Tensor:
        place = context.replica_id_in_sync_group - first
        return tf.constant(images[place * per_replica : (place + 1) * per_replica])

    return strategy.experimental_distribute_values_from_function(part)
