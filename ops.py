"""Layers as functions of their input and their weights, and what the networks share.

Images are [N, H, W, C]. A layer computes in the precision of its input: float32 weights are cast
to it; batch statistics are always float32. All convolutions have stride 2 and the padding that
TensorFlow calls SAME, so that each one halves (or, transposed, doubles) height and width.
"""

from __future__ import annotations

import copy
import importlib
import math
import sys
from collections.abc import Callable
from typing import ClassVar, Self

import tensorflow as tf

# gradient of a convolution's output -> gradients of its input and of its kernel
Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
BATCH_NORM_EPSILON = 1e-5
WEIGHT_DEVIATION = 0.02  # standard deviation of initial weights in the DCGAN paper
START = 4  # height and width of the networks' smallest feature map


class Network(tf.Module):
    """Networks of images [N, S, S, C] whose initial values depend on a seed alone."""

    ARCHITECTURE: ClassVar[tuple[str, ...]]  # attributes that a checkpoint's config.json holds

    def __init__(self, image_size: int, channels: int, seed: int, compute_dtype: str) -> None:
        """Set what all networks have; raise ValueError if there are none for such images."""
        super().__init__()
        if image_size not in (16, 32, 64, 128):
            raise ValueError(f"image_size {image_size}: must be 16, 32, 64 or 128")
        if channels not in (1, 3):
            raise ValueError(f"channels {channels}: must be 1 or 3")
        self.image_size, self.channels = image_size, channels
        # 3 layers at 32 pixels, 4 at 64: as many as double START up to the image.
        self._layers = int(math.log2(image_size // START))
        self._compute_dtype = tf.as_dtype(compute_dtype)
        self._seed, self._draws = seed, 0

    @property
    def architecture(self) -> dict[str, int]:
        """The arguments that a checkpoint's config.json holds, by name."""
        return {name: getattr(self, name) for name in self.ARCHITECTURE}

    def in_precision(self, compute_dtype: str) -> Self:
        """Return the same networks and variables, with convolutions in `compute_dtype`."""
        other = copy.copy(self)
        other._compute_dtype = tf.as_dtype(compute_dtype)
        return other

    def _normal(
        self, shape: list[int], deviation: float = WEIGHT_DEVIATION, *, truncated: bool = False
    ) -> tf.Tensor:
        """Draw values of N(0, deviation^2), each call's from its own seed.

        Its second number is negative: a training step's noise has (seed, step), from step 0 up.
        """
        draw = tf.random.stateless_truncated_normal if truncated else tf.random.stateless_normal
        self._draws += 1
        return draw(shape, [self._seed, -self._draws], stddev=deviation)


def linear(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Map [N, in] -> [N, out], with weight [in, out] and bias [out]."""
    return tf.linalg.matmul(x, weight) + bias


def conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve [N, H, W, in] -> [N, H/2, W/2, out], with kernel [k, k, in, out]."""
    kernel = tf.cast(kernel, x.dtype)
    return _forward(x, kernel) if _on_gpu() else _conv2d(x, kernel)


def conv2d_transpose(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve [N, H, W, in] -> [N, 2H, 2W, out], with kernel [k, k, out, in].

    This is the adjoint of `conv2d` with the same kernel (a fractionally-strided convolution in the
    words of Radford et al. 2016, arXiv:1511.06434).
    """
    kernel = tf.cast(kernel, x.dtype)
    return _adjoint(x, kernel) if _on_gpu() else _conv2d_transpose(x, kernel)


def _on_gpu() -> bool:
    """Return whether cuDNN is used, with its own gradients; those below are faster on CPUs."""
    return bool(tf.config.list_logical_devices("GPU"))


def _forward(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(x, kernel, strides=2, padding="SAME")


def _adjoint(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    output_shape = [tf.shape(x)[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]]
    return tf.nn.conv2d_transpose(x, kernel, output_shape, strides=2, padding="SAME")


def subpixel_conv2d_transpose(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Compute `conv2d_transpose` with a 5x5 kernel as a sub-pixel convolution of stride 1.

    Shi et al. 2016 (arXiv:1609.05158): a pixel (2i + r, 2j + s) of the output depends on 3x3 pixels
    around (i, j) of the input, so that one 3x3 convolution computes the four sub-pixels (r, s) as
    channels, which are then rearranged. The 5x5 kernel, padded to 6x6, holds the four 3x3 ones,
    mirrored.
    """
    out, into = kernel.shape[2:]
    pairs = tf.reshape(tf.pad(kernel, [[1, 0], [1, 0], [0, 0], [0, 0]]), [3, 2, 3, 2, out, into])
    subpixels = tf.transpose(pairs[::-1, :, ::-1], [0, 2, 5, 1, 3, 4])
    subpixels = tf.reshape(subpixels, [3, 3, into, 4 * out])
    return tf.nn.depth_to_space(tf.nn.conv2d(x, subpixels, strides=1, padding="SAME"), 2)


def _fast_adjoint(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    # Next to the image, where the output has 1 or 3 channels, it takes half of oneDNN's time for
    # the transposed convolution; in wide layers, 1.6 times as long.
    narrow = kernel.shape[0] == 5 and kernel.shape[2] <= 4
    return subpixel_conv2d_transpose(x, kernel) if narrow else _adjoint(x, kernel)


def kernel_gradient_by_patches(big: tf.Tensor, small: tf.Tensor, kernel_edge: int) -> tf.Tensor:
    """Compute the gradient of a stride-2 convolution's kernel as a matrix product over patches.

    Args:
      big: input of `conv2d`, or gradient of the output of `conv2d_transpose`, [N, 2H, 2W, a].
      small: gradient of the output of `conv2d`, or input of `conv2d_transpose`, [N, H, W, b].
      kernel_edge: k.

    Returns:
      [k, k, a, b].
    """
    window = [1, kernel_edge, kernel_edge, 1]
    patches = tf.image.extract_patches(big, window, [1, 2, 2, 1], [1, 1, 1, 1], "SAME")
    rows = tf.reshape(patches, [-1, patches.shape[3]])
    product = tf.linalg.matmul(rows, tf.reshape(small, [-1, small.shape[3]]), transpose_a=True)
    return tf.reshape(product, [kernel_edge, kernel_edge, big.shape[3], small.shape[3]])


def _kernel_gradient(big: tf.Tensor, small: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    # In bfloat16, for feature maps as small as 4x4, patches are 1.7 times as fast as oneDNN's
    # kernel; for larger ones, and in float32, slower.
    if big.dtype == tf.bfloat16 and small.shape[1] <= 4:
        return kernel_gradient_by_patches(big, small, kernel.shape[0])
    return tf.raw_ops.Conv2DBackpropFilter(
        input=big,
        filter_sizes=kernel.shape.as_list(),
        out_backprop=small,
        strides=[1, 2, 2, 1],
        padding="SAME",
    )


@tf.custom_gradient
def _conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _fast_adjoint(upstream, kernel), _kernel_gradient(x, upstream, kernel)

    return _forward(x, kernel), gradient


@tf.custom_gradient
def _conv2d_transpose(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _forward(upstream, kernel), _kernel_gradient(upstream, x, kernel)

    return _fast_adjoint(x, kernel), gradient


def lrelu(x: tf.Tensor, leak: float = 0.2) -> tf.Tensor:
    """Return max(x, leak * x), any shape, for a leak above 0."""

    @tf.custom_gradient
    def function(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        y = tf.nn.leaky_relu(x, alpha=leak)
        # The gradient uses the sign of y, which is that of x: x need not be kept, and TensorFlow
        # can fuse this with the convolution before it (in a loop that fails, with an error, if the
        # gradient uses x).
        return y, lambda upstream: tf.raw_ops.LeakyReluGrad(
            gradients=upstream, features=y, alpha=leak
        )

    return function(x)


def batch_norm(
    x: tf.Tensor,
    scale: tf.Tensor,
    offset: tf.Tensor,
    statistics: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Apply batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167) to [N, H, W, C].

    Normalise each channel by the batch's own mean and (biased) variance, or by `statistics`
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


def sync_batch_norm(
    x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Apply `batch_norm` by the statistics of the global batch, over all replicas of a strategy.

    Call it in a replica context; the results are equal on all replicas. Not fused, hence slower
    than `batch_norm`.
    """
    context = tf.distribute.get_replica_context()
    values = tf.cast(x, tf.float32)
    count = tf.cast(tf.reduce_prod(tf.shape(x)[:3]), tf.float32)
    sums = tf.stack([tf.reduce_sum(values, [0, 1, 2]), tf.reduce_sum(values**2, [0, 1, 2])])
    count *= context.num_replicas_in_sync
    mean, square = tf.unstack(context.all_reduce(tf.distribute.ReduceOp.SUM, sums) / count)
    variance = tf.maximum(square - mean**2, 0)
    normalised = (values - mean) * (tf.math.rsqrt(variance + BATCH_NORM_EPSILON) * scale) + offset
    return tf.cast(normalised, x.dtype), mean, variance * count / (count - 1)


if __name__ == "ops":  # imported by its short name, in a checkout: hand over the package's module
    sys.modules[__name__] = importlib.import_module("dcgan_completion.ops")
