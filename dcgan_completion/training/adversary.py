"""The discriminator's side of an adversarial training, whatever it judges."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from dcgan_completion.model import DCGAN

ADAM_EPSILON = 1e-8  # that of TensorFlow 1, which the reference used
BETA2 = 0.999  # Adam's usual
# The scalars of a step of D: for each, the line and the chart that show it.
BY_KIND, OUTPUT = "loss of the discriminator by kind of image", "mean output of the discriminator"
LOSS_CHARTS = {
    "d_loss": ("discriminator", "loss"),
    "d_loss_real": ("real images", BY_KIND),
    "d_loss_fake": ("generated images", BY_KIND),
}
OUTPUT_CHARTS = {  # the means of D(x) and D(G(z)), probabilities
    "d_real": ("real images", OUTPUT),
    "d_fake": ("generated images", OUTPUT),
}


def make_adam(learning_rate: float, beta1: float, beta2: float = BETA2) -> keras.optimizers.Adam:
    """Make the optimizer of either network of a GAN."""
    return keras.optimizers.Adam(learning_rate, beta_1=beta1, beta_2=beta2, epsilon=ADAM_EPSILON)


def apply_mean(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
) -> None:
    """Take one step by the gradients' mean over all replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:  # Keras sums over the replicas
        gradients = [gradient / replicas for gradient in gradients]
    optimizer.apply(gradients, variables)


def update_discriminator(
    model: DCGAN,
    optimizer: keras.optimizers.Optimizer,
    real: tf.Tensor,
    fake: tf.Tensor,
    label_smoothing: float = 0.0,
) -> tuple[dict[str, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Update D once on real and other images; call it in a replica context.

    Args:
      model, optimizer: of D.
      real, fake: each [N, S, S, C] in [-1, 1].
      label_smoothing: as in `DCGAN.discriminator_loss`.

    Returns:
      The scalars of LOSS_CHARTS and OUTPUT_CHARTS, of this replica; D(real) and D(fake), each [N].
    """
    variables = model.discriminator_variables
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        both = tf.concat([real, fake], 0)
        real_logits, fake_logits = tf.split(model.discriminator(both, training=True, groups=2), 2)
        loss_real, loss_fake = model.discriminator_loss(real_logits, fake_logits, label_smoothing)
        loss = loss_real + loss_fake
    apply_mean(optimizer, tape.gradient(loss, variables), variables)
    d_real, d_fake = tf.sigmoid(real_logits), tf.sigmoid(fake_logits)
    scalars = {
        "d_loss": loss,
        "d_loss_real": loss_real,
        "d_loss_fake": loss_fake,
        "d_real": tf.reduce_mean(d_real),
        "d_fake": tf.reduce_mean(d_fake),
    }
    return scalars, (d_real, d_fake)
