"""One training step, and the loop over them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

import devices
from model import DCGAN
from training import augment
from training.dataset import ImageFolders
from utils import UserError

ADAM_EPSILON = 1e-8  # that of TensorFlow 1, which the reference used
# D has won when its loss stays this low: it is sure of 99 images of 100.
WON_LOSS, WON_STEPS = 0.02, 200
# What a random number is for; each purpose folds into the seed of its step.
FLIP, AUGMENT, STATISTICS = 1, 2, 3


@dataclasses.dataclass(frozen=True)
class Rules:
    """How the networks are trained.

    Attributes:
      batch_size: images a step, over all devices together.
      learning_rate, beta1: of Adam, for both networks.
      d_learning_rate: of Adam for D, where it differs (two time scales: Heusel et al. 2017,
        arXiv:1706.08500).
      decay_epochs: over so many epochs at the end of the run both rates fall linearly towards 0.
      g_updates: updates of G per update of D: 2 in the tutorial, 1 in the paper.
      flip: mirror half of the real images.
      diffaugment: of augment.POLICIES.
      label_smoothing: one-sided, see DCGAN.discriminator_loss.
      average_decay: a step keeps this share of the averaged generator (0: the generator itself).
      seed: of all that is random.
    """

    batch_size: int = 64
    learning_rate: float = 2e-4
    beta1: float = 0.5
    d_learning_rate: float | None = None
    decay_epochs: float = 0.0
    g_updates: int = 2
    flip: bool = False
    diffaugment: Sequence[str] = ()
    label_smoothing: float = 0.0
    average_decay: float = 0.999
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class StepResult:
    """What one training step leaves to look at, as tensors: who does not read them need not wait.

    Attributes:
      step: number of steps done, this one included.
      epoch: number of the epoch it belongs to, from 1.
      scalars: by name, each a scalar: d_loss, d_loss_real, d_loss_fake, g_loss, d_real and
        d_fake (the means of D(x) and D(G(z)), probabilities).
      histograms: by name, each [N]: D(x), D(G(z)); z flattened.
    """

    step: int
    epoch: int
    scalars: dict[str, tf.Tensor]
    histograms: dict[str, tf.Tensor]


class Trainer(tf.Module):
    """The networks, their optimizers and the number of steps done: all that a checkpoint holds.

    Attributes:
      averaged: an exponential moving average of G's weights over the steps, by the names of
        `model.g`; its batch statistics are those of `estimate_statistics`. Samples and
        completions are better for it (Yazici et al. 2019, arXiv:1806.04498).
    """

    def __init__(self, model: DCGAN, rules: Rules) -> None:
        """Makes optimizers and averages, in the scope of the strategy that the model was made in.

        Raises:
          UserError: the batch does not divide among the strategy's replicas.
        """
        super().__init__(name="trainer")
        self.model, self.rules = model, rules
        self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        if rules.batch_size % self.replicas:
            raise UserError(
                f"--batch-size {rules.batch_size} does not divide among {self.replicas} devices; "
                f"take a multiple of {self.replicas}"
            )
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.averaged = {
            name: tf.Variable(
                tf.identity(v), trainable=False, aggregation=tf.VariableAggregation.MEAN
            )
            for name, v in model.g.items()
        }
        self.d_optimizer, self.g_optimizer = (
            keras.optimizers.Adam(rate, beta_1=rules.beta1, epsilon=ADAM_EPSILON)
            for rate in (rules.d_learning_rate or rules.learning_rate, rules.learning_rate)
        )
        # Built here, so that a restored checkpoint finds all variables.
        self.d_optimizer.build(model.discriminator_variables)
        self.g_optimizer.build(model.generator_variables)
        self._augment = augment.differentiable(rules.diffaugment)

    def set_learning_rates(self, share: float = 1.0) -> None:
        """Goes on with a share of the rules' step sizes, whatever a checkpoint restored."""
        rate = self.rules.learning_rate
        self.d_optimizer.learning_rate = share * (self.rules.d_learning_rate or rate)
        self.g_optimizer.learning_rate = share * rate

    def _seed(self, step: tf.Tensor) -> tf.Tensor:
        return tf.stack([tf.cast(self.rules.seed, tf.int64), step])

    def _uniform_z(self, seed: tf.Tensor) -> tf.Tensor:
        shape = [self.rules.batch_size, self.model.z_dim]
        # Philox: the same numbers on every kind of device.
        return tf.random.stateless_uniform(shape, seed, minval=-1, maxval=1, alg="philox")

    def noise(self, step: tf.Tensor) -> tf.Tensor:
        """The z of a step (from 0): uniform in [-1, 1], [batch_size, z_dim], from (seed, step)."""
        return self._uniform_z(self._seed(step))

    def _apply(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: Sequence[tf.Tensor],
        variables: Sequence[tf.Variable],
    ) -> None:
        """Takes one step by the gradients' mean over all replicas."""
        if self.replicas > 1:  # Keras sums over the replicas
            gradients = [gradient / self.replicas for gradient in gradients]
        optimizer.apply(gradients, variables)

    def _update_discriminator(
        self, real: tf.Tensor, fake: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """One step of D on real and generated images; its running statistics move."""
        model = self.model
        variables = model.discriminator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            both = tf.concat([real, fake], 0)
            real_logits, fake_logits = tf.split(
                model.discriminator(both, training=True, groups=2), 2
            )
            loss_real, loss_fake = model.discriminator_loss(
                real_logits, fake_logits, self.rules.label_smoothing
            )
            loss = loss_real + loss_fake
        self._apply(self.d_optimizer, tape.gradient(loss, variables), variables)
        d_real, d_fake = tf.sigmoid(real_logits), tf.sigmoid(fake_logits)
        scalars = {
            "d_loss": loss,
            "d_loss_real": loss_real,
            "d_loss_fake": loss_fake,
            "d_real": tf.reduce_mean(d_real),
            "d_fake": tf.reduce_mean(d_fake),
        }
        return scalars, {"D(x)": d_real, "D(G(z))": d_fake}

    @tf.function(reduce_retracing=True, autograph=False)
    def train_step(
        self, images: tf.Tensor | tf.distribute.DistributedValues
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """D once, then G g_updates times on the same z, as in the tutorial.

        G's first forward pass serves D's update and G's first update. The losses that are
        returned are those of the updates; nothing is computed a second time to print it.

        Args:
          images: real images, uint8 [batch_size, S, S, C], or each replica's part of them.

        Returns:
          scalars and histograms, as in `StepResult`; histograms of this process' replicas.
        """
        scalars, histograms = self.strategy.run(self._replica_step, args=(images,))
        local = self.strategy.experimental_local_results
        # Equal on all replicas: they were reduced there.
        scalars = {name: local(value)[0] for name, value in scalars.items()}
        histograms = {name: tf.concat(local(value), 0) for name, value in histograms.items()}
        self._average()
        self.step.assign_add(1)
        return scalars, histograms

    def _replica_step(self, images: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """`train_step` on one replica's part of the global batch."""
        model, rules = self.model, self.rules
        context = tf.distribute.get_replica_context()
        replica, share = context.replica_id_in_sync_group, rules.batch_size // self.replicas
        seed = self._seed(self.step)
        augment_seed = augment.fold(augment.fold(seed, AUGMENT), replica)
        real = tf.cast(images, tf.float32) / 127.5 - 1
        if rules.flip:
            real = augment.flip(real, augment.fold(augment.fold(seed, FLIP), replica))
        real = self._augment(real, augment.fold(augment_seed, 0))
        z = self.noise(self.step)[replica * share : (replica + 1) * share]
        variables = model.generator_variables
        for update in range(rules.g_updates):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                fake = model.generator(z, training=True)
                fake = self._augment(fake, augment.fold(augment_seed, 1 + update))
                if update == 0:
                    with tape.stop_recording():
                        scalars, histograms = self._update_discriminator(real, fake)
                # By the updated D, on the batch's statistics, which are not averaged here.
                logits = model.discriminator(fake, training=True, momentum=None)
                loss = model.generator_loss(logits)
            self._apply(self.g_optimizer, tape.gradient(loss, variables), variables)
        scalars["g_loss"] = loss
        if self.replicas > 1:
            scalars = context.all_reduce(tf.distribute.ReduceOp.MEAN, scalars)
        return scalars, histograms | {"z": tf.reshape(z, [-1])}

    def any_process(self, flag: bool) -> bool:
        """Whether `flag` is true in any process; all must call it at the same step."""
        if self.strategy.cluster_resolver is None or not self.strategy.cluster_resolver.task_type:
            return flag
        return bool(self._any_process(tf.constant(float(flag))))

    @tf.function(autograph=False)
    def _any_process(self, flag: tf.Tensor) -> tf.Tensor:
        def reduced(value: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            # A copy on the replica's own device: reductions need to know where a value is.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))

        results = self.strategy.run(reduced, args=(flag,))
        return self.strategy.experimental_local_results(results)[0] > 0

    def _average(self) -> None:
        """Moves the averaged weights towards G's; the first steps count more, as the mean does."""
        step = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self.rules.average_decay, (1 + step) / (10 + step))
        for name, variable in self.model.g.items():
            if variable.trainable:
                averaged = self.averaged[name]
                averaged.assign_sub((1 - decay) * (averaged - variable))

    @tf.function(reduce_retracing=True, autograph=False)
    def estimate_statistics(self, batches: tf.Tensor) -> None:
        """Sets the averaged generator's batch statistics to their means over some batches.

        The running statistics belong to G's own weights; under the averaged ones, samples come
        out washed out. Noise from (seed, step), so that it does not matter when this is called.

        Args:
          batches: how many batches of z, an int tensor.
        """
        for name, variable in self.model.g.items():
            if not variable.trainable:  # so that not even a rounding is left of earlier values
                self.averaged[name].assign(tf.zeros_like(variable))
        seed = augment.fold(self._seed(self.step), STATISTICS)

        def batch(i: tf.Tensor) -> tuple[tf.Tensor]:
            share = tf.cast(i, tf.float32) / tf.cast(i + 1, tf.float32)
            z = self._uniform_z(augment.fold(seed, i))
            self.model.generator(z, training=True, momentum=share, weights=self.averaged)
            return (i + 1,)

        tf.while_loop(lambda i: i < batches, batch, (tf.constant(0),), parallel_iterations=1)


class Monitor:
    """Watches the losses: stops a run that has broken down, warns of one that D has won."""

    def __init__(self) -> None:
        self._won = 0

    def check(self, step: int, values: dict[str, float], last_good: str | None) -> str:
        """Looks at a step's scalars; returns a warning, once, when D has won for long.

        Raises:
          UserError: a loss is not finite; names the step and the checkpoint to go back to.
        """
        for name in ("d_loss", "g_loss"):
            if not math.isfinite(values[name]):
                raise UserError(
                    f"{name} is {values[name]} at step {step}; the last good checkpoint is "
                    f"{last_good}: start from it with --init-from and a lower --learning-rate"
                )
        self._won = self._won + 1 if values["d_loss"] < WON_LOSS else 0
        if self._won != WON_STEPS:
            return ""
        return (
            f"D's loss has been below {WON_LOSS} for {WON_STEPS} steps: it tells all images apart, "
            "and G hardly learns. What helps: more images, --flip, --diffaugment "
            "color,translation,cutout, --label-smoothing 0.1, a lower --d-learning-rate"
        )


def train(trainer: Trainer, dataset: ImageFolders, last_step: int) -> Iterator[StepResult]:
    """Trains from the trainer's step up to `last_step`, and yields after every step.

    The learning rates are a function of the step, so that a resumed run goes on with the same.
    """
    strategy = trainer.strategy
    first_step = int(trainer.step.numpy())
    steps = range(first_step, last_step)
    mine, share = devices.local_replicas(strategy), dataset.batch_size // trainer.replicas
    batches = dataset.batches(first_step, last_step, slice(mine.start * share, mine.stop * share))
    decay_steps = trainer.rules.decay_epochs * dataset.steps_per_epoch
    trainer.set_learning_rates()
    for step, images in zip(steps, batches, strict=True):
        if trainer.replicas > 1:
            images = _distribute(strategy, images, mine.start, share)
        if last_step - step <= decay_steps:
            trainer.set_learning_rates((last_step - step) / decay_steps)
        scalars, histograms = trainer.train_step(images)
        yield StepResult(step + 1, step // dataset.steps_per_epoch + 1, scalars, histograms)


def _distribute(
    strategy: tf.distribute.Strategy, images: np.ndarray, first: int, share: int
) -> tf.distribute.DistributedValues:
    """A process' part of a batch, divided among its replicas, of which `first` is the first."""

    def part(context: tf.distribute.ValueContext) -> tf.Tensor:
        place = context.replica_id_in_sync_group - first
        return tf.constant(images[place * share : (place + 1) * share])

    return strategy.experimental_distribute_values_from_function(part)
