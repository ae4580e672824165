"""One training step, and the loop over them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import keras
import tensorflow as tf

from dataset import ImageFolders
from model import DCGAN

ADAM_EPSILON = 1e-8  # that of TensorFlow 1, which the reference used


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
    """The networks, their optimizers and the number of steps done: all that a checkpoint holds."""

    def __init__(
        self,
        model: DCGAN,
        *,
        batch_size: int = 64,
        learning_rate: float = 2e-4,
        beta1: float = 0.5,
        g_updates: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__(name="trainer")
        self.model = model
        self.batch_size, self.g_updates, self.seed = batch_size, g_updates, seed
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.d_optimizer, self.g_optimizer = (
            keras.optimizers.Adam(learning_rate, beta_1=beta1, epsilon=ADAM_EPSILON)
            for _ in range(2)
        )
        # Built here, so that a restored checkpoint finds all variables.
        self.d_optimizer.build(model.discriminator_variables)
        self.g_optimizer.build(model.generator_variables)

    def set_learning_rate(self, learning_rate: float) -> None:
        """Goes on with another step size; a checkpoint restores the one it was saved with."""
        self.d_optimizer.learning_rate = learning_rate
        self.g_optimizer.learning_rate = learning_rate

    def noise(self, step: tf.Tensor) -> tf.Tensor:
        """The z of a step (from 0): uniform in [-1, 1], [batch_size, z_dim], from (seed, step)."""
        return tf.random.stateless_uniform(
            [self.batch_size, self.model.z_dim],
            seed=tf.stack([tf.cast(self.seed, tf.int64), step]),
            minval=-1,
            maxval=1,
            alg="philox",  # the same numbers on every kind of device
        )

    def _update_discriminator(
        self, real: tf.Tensor, fake: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """One step of D on real and generated images; its running statistics move."""
        model = self.model
        variables = model.discriminator_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            real_logits = model.discriminator(real, training=True)
            fake_logits = model.discriminator(fake, training=True)
            loss_real, loss_fake = model.discriminator_loss(real_logits, fake_logits)
            loss = loss_real + loss_fake
        self.d_optimizer.apply(tape.gradient(loss, variables), variables)
        d_real, d_fake = tf.sigmoid(real_logits), tf.sigmoid(fake_logits)
        scalars = {
            "d_loss": loss,
            "d_loss_real": loss_real,
            "d_loss_fake": loss_fake,
            "d_real": tf.reduce_mean(d_real),
            "d_fake": tf.reduce_mean(d_fake),
        }
        return scalars, {"D(x)": d_real, "D(G(z))": d_fake}

    @tf.function(reduce_retracing=True)
    def train_step(self, images: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """D once, then G g_updates times on the same z, as in the tutorial.

        G's first forward pass serves D's update and G's first update. The losses that are
        returned are those of the updates; nothing is computed a second time to print it.

        Args:
          images: real images, uint8 [batch_size, S, S, C].

        Returns:
          scalars and histograms, as in `StepResult`.
        """
        model = self.model
        real = tf.cast(images, tf.float32) / 127.5 - 1
        z = self.noise(self.step)
        variables = model.generator_variables
        for update in range(self.g_updates):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                fake = model.generator(z, training=True)
                if update == 0:
                    with tape.stop_recording():
                        scalars, histograms = self._update_discriminator(real, fake)
                # By the updated D, on the batch's statistics, which are not averaged here.
                logits = model.discriminator(fake, training=True, move_statistics=False)
                loss = model.generator_loss(logits)
            self.g_optimizer.apply(tape.gradient(loss, variables), variables)
        self.step.assign_add(1)
        return scalars | {"g_loss": loss}, histograms | {"z": tf.reshape(z, [-1])}


def train(trainer: Trainer, dataset: ImageFolders, last_step: int) -> Iterator[StepResult]:
    """Trains from the trainer's step up to `last_step`, and yields after every step."""
    first_step = int(trainer.step)
    steps = range(first_step, last_step)
    for step, images in zip(steps, dataset.batches(first_step, last_step), strict=True):
        scalars, histograms = trainer.train_step(images)
        yield StepResult(step + 1, step // dataset.steps_per_epoch + 1, scalars, histograms)
