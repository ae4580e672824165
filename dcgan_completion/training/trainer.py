"""The DCGAN's trainer: its step, averaged generator, logged scalars, monitor of saturation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_completion import checkpoints, devices
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.training import Rules
from dcgan_completion.training import adversary, augment
from dcgan_completion.training.averaging import averaged_copies, move_averages
from dcgan_completion.training.logs import LoggedScalars
from dcgan_completion.training.loop import check_finite
from dcgan_completion.training.randomness import StepPurpose
from dcgan_completion.utils import to_signed

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


class SaturationMonitor:
    """Watches the losses: stops a run that has broken down, warns of discriminator saturation."""

    def __init__(self) -> None:
        self._low_steps = 0

    def check(self, step: int, values: Mapping[str, float], last_good: str | None) -> str:
        """Looks at a step's scalars; returns a warning once when D stays saturated, else "".

        Raises:
          UserError: a loss is not finite; names the step and the checkpoint to go back to.
        """
        check_finite(SCALARS.losses, step, values, last_good)
        self._low_steps = self._low_steps + 1 if values["d_loss"] < SATURATED_LOSS else 0
        if self._low_steps != SATURATED_STEPS:
            return ""
        return (
            f"the discriminator is saturated: its loss has been below {SATURATED_LOSS} for "
            f"{SATURATED_STEPS} steps, and the generator hardly learns. What helps: more images, "
            "--flip, --diffaugment color,translation,cutout, --label-smoothing 0.1, a lower "
            "--d-learning-rate"
        )


class DCGANTrainer(tf.Module):
    """The networks, their optimizers and the number of steps done; a `loop.Trainer`.

    Attributes:
      averaged: an exponential moving average of G's weights over the steps, by the names of
        `model.g`; `estimate_statistics` sets its batch statistics. Its samples and
        completions are better than G's (Yazici et al. 2019, arXiv:1806.04498).
      from_averaged: whether weights to start from are averaged ones.
    """

    from_averaged = False

    def __init__(self, model: DCGAN, rules: Rules) -> None:
        """Makes optimizers and averages, in the scope of the strategy that the model was made in.

        Raises:
          UserError: the batch does not divide among the strategy's replicas.
        """
        super().__init__(name="trainer")
        self.model, self.rules = model, rules
        self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.scalars, self.monitor = SCALARS, SaturationMonitor()
        devices.check_divides(self.strategy, rules.batch_size)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.averaged = averaged_copies(model.g)
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
        """Sets the learning rates to a share of the rules', whatever a checkpoint has restored."""
        rate = self.rules.learning_rate
        self.d_optimizer.learning_rate = share * (self.rules.d_learning_rate or rate)
        self.g_optimizer.learning_rate = share * rate

    def _seed(self, step: tf.Tensor) -> tf.Tensor:
        """The seed of a step's z, int64 [2]; those for other purposes are folded from it."""
        return tf.stack([tf.cast(self.rules.seed, tf.int64), step])

    def _purpose_seed(self, purpose: StepPurpose) -> tf.Tensor:
        """The next step's seed for a purpose, int64 [2]."""
        return augment.fold(self._seed(self.step), int(purpose))

    def _uniform_z(self, seed: tf.Tensor) -> tf.Tensor:
        shape = [self.rules.batch_size, self.model.z_dim]
        # Philox: the same numbers on every kind of device.
        return tf.random.stateless_uniform(shape, seed, minval=-1, maxval=1, alg="philox")

    def noise(self, step: tf.Tensor) -> tf.Tensor:
        """The z of a step (from 0): uniform in [-1, 1], [batch_size, z_dim], from (seed, step)."""
        return self._uniform_z(self._seed(step))

    def draw_inputs(self, _step: int, _places: range) -> tuple[np.ndarray, ...]:
        """Nothing: noise is drawn in the step."""
        return ()

    def evaluate(self) -> dict[str, tf.Tensor]:
        """Nothing: evaluate.py says how good a generator is."""
        return {}

    @tf.function(reduce_retracing=True, autograph=False)
    def train_step(
        self, images: np.ndarray | tf.Tensor | tf.distribute.DistributedValues
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """One update of D, then `g_updates` of G on the same z, as in the tutorial.

        G's first forward pass serves D's update and G's first update. The losses returned are those
        that the updates have computed.

        Args:
          images: real images, uint8 [batch_size, S, S, C], or each replica's part of them.

        Returns:
          scalars: those of SCALARS.
          histograms: D(x) and D(G(z)), each [N], and z flattened, from this process' replicas.
        """
        scalars, histograms = self.strategy.run(self._replica_step, args=(images,))
        local = self.strategy.experimental_local_results
        # Scalars are equal on all replicas, which have reduced them.
        scalars = {name: local(value)[0] for name, value in scalars.items()}
        histograms = {name: tf.concat(local(value), 0) for name, value in histograms.items()}
        move_averages(self.averaged, self.model.g, self.step, self.rules.average_decay)
        self.step.assign_add(1)
        return scalars, histograms

    def _replica_step(self, images: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """`train_step` on one replica's part of the global batch."""
        model, rules = self.model, self.rules
        context = tf.distribute.get_replica_context()
        replica, size = context.replica_id_in_sync_group, rules.batch_size // self.replicas
        augment_seed = augment.fold(self._purpose_seed(StepPurpose.AUGMENT), replica)
        real = to_signed(tf.cast(images, tf.float32))
        if rules.flip:
            real = augment.flip(real, augment.fold(self._purpose_seed(StepPurpose.FLIP), replica))
        real = self._augment(real, augment.fold(augment_seed, 0))
        z = self.noise(self.step)[replica * size : (replica + 1) * size]
        variables = model.generator_variables
        for update in range(rules.g_updates):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                fake = model.generator(z, training=True)
                fake = self._augment(fake, augment.fold(augment_seed, 1 + update))
                if update == 0:
                    with tape.stop_recording():
                        scalars, outputs = adversary.update_discriminator(
                            model, self.d_optimizer, real, fake, rules.label_smoothing
                        )
                # The updated D, by the batch's statistics; its running ones are left alone.
                logits = model.discriminator(fake, training=True, momentum=None)
                loss = model.generator_loss(logits)
            adversary.apply_mean(self.g_optimizer, tape.gradient(loss, variables), variables)
        scalars["g_loss"] = loss
        if self.replicas > 1:
            scalars = context.all_reduce(tf.distribute.ReduceOp.MEAN, scalars)
        d_real, d_fake = outputs
        return scalars, {"D(x)": d_real, "D(G(z))": d_fake, "z": tf.reshape(z, [-1])}

    @tf.function(reduce_retracing=True, autograph=False)
    def estimate_statistics(self, batches: tf.Tensor) -> None:
        """Sets the averaged generator's batch statistics to their means over some batches.

        G's running statistics belong to its own weights; with the averaged ones, samples look
        washed out. The z are from (seed, step): calling this more or less often changes nothing.

        Args:
          batches: number of batches of z, an int tensor.
        """
        for name, variable in self.model.g.items():
            if not variable.trainable:  # so that earlier values leave no rounding error
                self.averaged[name].assign(tf.zeros_like(variable))
        seed = self._purpose_seed(StepPurpose.STATISTICS)

        def batch(i: tf.Tensor) -> tuple[tf.Tensor]:
            momentum = tf.cast(i, tf.float32) / tf.cast(i + 1, tf.float32)  # gives the mean
            z = self._uniform_z(augment.fold(seed, i))
            self.model.generator(z, training=True, momentum=momentum, weights=self.averaged)
            return (i + 1,)

        tf.while_loop(lambda i: i < batches, batch, (tf.constant(0),), parallel_iterations=1)

    def sample_pictures(self) -> np.ndarray:
        """The averaged generator's images of the same 64 z each time, uint8 [64, S, S, C]."""
        return checkpoints.generate(self.model, self._fixed_z, weights=self.averaged)

    def checkpoint_contents(self) -> dict[str, Any]:
        """All that a checkpoint holds, by name.

        TensorFlow stores a variable under the first path that leads to it, in alphabetical order:
        "model" comes before "optimizer_...", so that weights have the model's names.
        """
        return {
            "averaged": self.averaged,
            "model": self.model,
            "optimizer_d": self.d_optimizer,
            "optimizer_g": self.g_optimizer,
            "step": self.step,
        }

    def graph(self) -> tf.Graph:
        """The graph of D(G(z)), for TensorBoard."""

        @tf.function(autograph=False)
        def networks(z: tf.Tensor) -> tf.Tensor:
            return self.model.discriminator(self.model.generator(z))

        z = tf.TensorSpec([None, self.model.z_dim])
        return networks.get_concrete_function(z).graph
