"""What the networks are made of: layers as functions of their input and their weights.

Images are [N, H, W, C]. All convolutions have stride 2 and the padding that TensorFlow calls
SAME, so that each one halves (or, transposed, doubles) height and width.
"""

from __future__ import annotations

import tensorflow as tf

BATCH_NORM_EPSILON = 1e-5


def linear(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """[N, in] -> [N, out], with weight [in, out] and bias [out]."""
    return tf.linalg.matmul(x, weight) + bias


def conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[N, H, W, in] -> [N, H/2, W/2, out], with kernel [k, k, in, out]."""
    return tf.nn.conv2d(x, kernel, strides=2, padding="SAME")


def conv2d_transpose(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[N, H, W, in] -> [N, 2H, 2W, out], with kernel [k, k, out, in].

    The adjoint of `conv2d` with the same kernel (a fractionally-strided convolution in the
    words of Radford et al. 2016, arXiv:1511.06434).
    """
    shape = tf.shape(x)
    output_shape = [shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]]
    return tf.nn.conv2d_transpose(x, kernel, output_shape, strides=2, padding="SAME")


def lrelu(x: tf.Tensor, leak: float = 0.2) -> tf.Tensor:
    """max(x, leak * x), any shape."""
    return tf.nn.leaky_relu(x, alpha=leak)


def batch_norm(
    x: tf.Tensor,
    scale: tf.Tensor,
    offset: tf.Tensor,
    statistics: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167) of [N, H, W, C].

    Normalises each channel by the batch's own mean and (biased) variance, or by `statistics`
    = (mean, variance), each [C], where given.

    Returns the normalised tensor and the mean and variance, each [C], to be averaged into
    running statistics: of the batch (its variance the unbiased estimate), or as given.
    """
    mean, variance = (None, None) if statistics is None else statistics
    return tf.compat.v1.nn.fused_batch_norm(
        x,
        scale,
        offset,
        mean,
        variance,
        epsilon=BATCH_NORM_EPSILON,
        is_training=statistics is None,
    )
