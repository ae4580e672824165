"""The DCGAN's trainer: its step, EMA generator, logged scalars, monitor of saturation."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_completion import checkpoints
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.training import Rules
from dcgan_completion.training import adversary, augment
from dcgan_completion.training.logs import LoggedScalars
from dcgan_completion.training.loop import Monitor, Results, Trainer
from dcgan_completion.utils import to_signed

logger = logging.getLogger(__name__)

# The discriminator is saturated when its loss stays this low: D is right with probability 0.99.
SATURATED_LOSS, SATURATED_STEPS = 0.02, 200
FIXED_SAMPLES = 64  # z whose images show the progress of the training
SCALARS = LoggedScalars(
    group="DCGAN",
    charts={
        **adversary.LOSS_CHARTS,
        "g_loss": ("generator", "loss"),
        **adversary.OUTPUT_CHARTS,
    },
    losses={"d_loss": "discriminator", "g_loss": "generator"},
)


class SaturationMonitor(Monitor):
    """Stops a run that has diverged, and warns of discriminator saturation."""

    def __init__(self) -> None:
        super().__init__(SCALARS.losses)
        self._low_steps = 0

    def check(self, step: int, values: Mapping[str, float], last_good: str | None) -> None:
        """Check a step's scalars; warn once while D stays saturated. Raises as `Monitor.check`."""
        super().check(step, values, last_good)
        self._low_steps = self._low_steps + 1 if values["d_loss"] < SATURATED_LOSS else 0
        if self._low_steps == SATURATED_STEPS:
            logger.warning(
                "the discriminator is saturated: its loss has been below %s for %d steps, and the "
                "generator hardly learns. Try more images, --flip, --diffaugment "
                "color,translation,cutout, --label-smoothing 0.1 or a lower --d-learning-rate",
                SATURATED_LOSS,
                SATURATED_STEPS,
            )


class DCGANTrainer(Trainer):
    """Trains a DCGAN.

    The EMA is that of G; `estimate_statistics` sets its batch statistics. Its samples and
    completions are better than G's (Yazici et al. 2019, arXiv:1806.04498).
    """

    model: DCGAN
    rules: Rules

    def __init__(self, model: DCGAN, rules: Rules) -> None:
        """Make optimizers and EMA, in the scope of the strategy that the model was made in.

        Raises:
          UserError: as `Trainer`.
        """
        super().__init__(model, model.g, rules, SCALARS, SaturationMonitor())
        self.d_optimizer, self.g_optimizer = (
            adversary.make_adam(rate, rules.beta1)
            for rate in (rules.d_learning_rate or rules.learning_rate, rules.learning_rate)
        )
        # Built here, so that a restored checkpoint finds all variables.
        self.d_optimizer.build(model.discriminator_variables)
        self.g_optimizer.build(model.generator_variables)
        self._augment = augment.differentiable(rules.diffaugment)
        shape = [FIXED_SAMPLES, model.z_dim]
        self._fixed_z = np.random.default_rng(rules.seed).uniform(-1, 1, shape)

    def set_learning_rates(self, share: float = 1.0) -> None:
        """Set both learning rates, as `Trainer.set_learning_rates`."""
        rate = self.rules.learning_rate
        self.d_optimizer.learning_rate = share * (self.rules.d_learning_rate or rate)
        self.g_optimizer.learning_rate = share * rate

    def _uniform_z(self, seed: tf.Tensor) -> tf.Tensor:
        shape = [self.rules.batch_size, self.model.z_dim]
        # Philox: the same numbers on every kind of device.
        return tf.random.stateless_uniform(shape, seed, minval=-1, maxval=1, alg="philox")

    def noise(self, step: tf.Tensor) -> tf.Tensor:
        """Draw a step's z (from 0): uniform in [-1, 1], [batch_size, z_dim], from (seed, step)."""
        return self._uniform_z(self._seed(step))

    def _replica_step(self, images: tf.Tensor) -> Results:
        """Update D once, then G `g_updates` times on the same z, as in the tutorial.

        G's first forward pass serves D's update and G's first update. The losses returned are those
        that the updates have computed.

        Returns:
          scalars: those of SCALARS.
          histograms: D(x) and D(G(z)), each [N], and z flattened.
        """
        model, rules = self.model, self.rules
        context = tf.distribute.get_replica_context()
        replica, size = context.replica_id_in_sync_group, rules.batch_size // self.replicas
        augment_seed = augment.fold(self._purpose_seed(augment.Purpose.AUGMENT), replica)
        real = to_signed(tf.cast(images, tf.float32))
        if rules.flip:
            flip_seed = augment.fold(self._purpose_seed(augment.Purpose.FLIP), replica)
            real = augment.flip(real, flip_seed)
        real = self._augment(real, augment.fold(augment_seed, 0))
        z = self.noise(self.step)[replica * size : (replica + 1) * size]
        variables = model.generator_variables
        scalars, d_real, d_fake = {}, z, z  # until D is updated
        for update in range(rules.g_updates):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                fake = model.generator(z, training=True)
                fake = self._augment(fake, augment.fold(augment_seed, 1 + update))
                if update == 0:
                    with tape.stop_recording():
                        scalars, (d_real, d_fake) = adversary.update_discriminator(
                            model, self.d_optimizer, real, fake, rules.label_smoothing
                        )
                # The updated D, by the batch's statistics; its running ones are left alone.
                logits = model.discriminator(fake, training=True, momentum=None)
                scalars["g_loss"] = model.generator_loss(logits)
            gradients = tape.gradient(scalars["g_loss"], variables)
            adversary.apply_mean(self.g_optimizer, gradients, variables)
        if self.replicas > 1:
            scalars = context.all_reduce(tf.distribute.ReduceOp.MEAN, scalars)
        return scalars, {"D(x)": d_real, "D(G(z))": d_fake, "z": tf.reshape(z, [-1])}

    def estimate_statistics(self, batches: int) -> None:
        """Set the EMA generator's batch statistics to their means over some batches of z.

        G's running statistics belong to its own weights; with those of the EMA, samples look
        washed out. The z depend on (seed, step): calling this more or less often changes nothing.

        Args:
          batches: their number, above 0.

        Raises:
          ValueError: there are none, which would leave nothing but zeros.
        """
        if batches < 1:
            raise ValueError(f"batches={batches}: must be 1 or more")
        self._average_statistics(tf.constant(batches))

    @tf.function(reduce_retracing=True, autograph=False)
    def _average_statistics(self, batches: tf.Tensor) -> None:
        for name, variable in self.model.g.items():
            if not variable.trainable:  # so that earlier values leave no rounding error
                self.ema[name].assign(tf.zeros_like(variable))
        seed = self._purpose_seed(augment.Purpose.STATISTICS)

        def batch(i: tf.Tensor) -> tuple[tf.Tensor]:
            momentum = tf.cast(i, tf.float32) / tf.cast(i + 1, tf.float32)  # gives the mean
            z = self._uniform_z(augment.fold(seed, i))
            self.model.generator(z, training=True, momentum=momentum, weights=self.ema)
            return (i + 1,)

        tf.while_loop(lambda i: i < batches, batch, (tf.constant(0),), parallel_iterations=1)

    def sample_pictures(self) -> np.ndarray:
        """Generate the EMA generator's images of the same 64 z each time, uint8 [64, S, S, C]."""
        return checkpoints.generate(self.model, self._fixed_z, weights=self.ema)

    def checkpoint_contents(self) -> dict[str, Any]:
        """Return all that a checkpoint holds, as `Trainer.checkpoint_contents`."""
        optimizers = {"optimizer_d": self.d_optimizer, "optimizer_g": self.g_optimizer}
        return super().checkpoint_contents() | optimizers

    def graph(self) -> tf.Graph:
        """Trace the graph of D(G(z)), for TensorBoard."""

        @tf.function(autograph=False)
        def networks(z: tf.Tensor) -> tf.Tensor:
            return self.model.discriminator(self.model.generator(z))

        z = tf.TensorSpec([None, self.model.z_dim])
        return networks.get_concrete_function(z).graph
