"""Layers against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dcgan_completion import ops


def numpy_conv2d(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Stride 2, TensorFlow's SAME: an odd padding has its larger half at the end."""
    size = kernel.shape[0]
    padded = np.pad(x, [(0, 0), *2 * [((size - 2) // 2, (size - 1) // 2)], (0, 0)])
    n, height, width, _ = x.shape
    y = np.zeros([n, height // 2, width // 2, kernel.shape[3]])
    for a in range(size):
        for b in range(size):
            taps = padded[:, a : a + height - 1 : 2, b : b + width - 1 : 2]
            y += taps @ kernel[a, b]
    return y


def numpy_conv2d_transpose(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Every pixel of x paints the kernel, two pixels apart; what overhangs is cut off."""
    size = kernel.shape[0]
    n, height, width, _ = x.shape
    canvas = np.zeros([n, 2 * height + size - 2, 2 * width + size - 2, kernel.shape[2]])
    for a in range(size):
        for b in range(size):
            taps = canvas[:, a : a + 2 * height - 1 : 2, b : b + 2 * width - 1 : 2]
            taps += x @ kernel[a, b].T
    before = (size - 2) // 2
    return canvas[:, before : before + 2 * height, before : before + 2 * width]


def float32(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.normal(size=shape).astype(np.float32)


def test_conv2d_is_numpys(random: np.random.Generator) -> None:
    x, kernel = float32(random, 2, 8, 6, 3), float32(random, 5, 5, 3, 4)
    expected = numpy_conv2d(x.astype(np.float64), kernel.astype(np.float64))
    assert expected.shape == (2, 4, 3, 4)
    np.testing.assert_allclose(ops.conv2d(x, kernel), expected, rtol=1e-4, atol=1e-4)


# Up to four channels the transposed convolution goes by phases.
@pytest.mark.parametrize("channels", [1, 3, 4, 5])
def test_conv2d_transpose_is_numpys(channels: int, random: np.random.Generator) -> None:
    x, kernel = tf.constant(float32(random, 2, 4, 3, 4)), float32(random, 5, 5, channels, 4)
    expected = numpy_conv2d_transpose(x.numpy().astype(np.float64), kernel.astype(np.float64))
    assert expected.shape == (2, 8, 6, channels)
    np.testing.assert_allclose(
        ops.conv2d_transpose(x, tf.constant(kernel)), expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("edge", [8, 16])
def test_conv2d_transpose_is_the_adjoint_of_conv2d(edge: int, random: np.random.Generator) -> None:
    kernel = tf.constant(float32(random, 5, 5, 3, 4))
    x = tf.constant(float32(random, 2, edge, edge, 3))
    y = tf.constant(float32(random, 2, edge // 2, edge // 2, 4))
    left = np.vdot(ops.conv2d(x, kernel), y)
    right = np.vdot(x, ops.conv2d_transpose(y, kernel))
    scale = np.linalg.norm(ops.conv2d(x, kernel)) * np.linalg.norm(y)
    np.testing.assert_allclose(left, right, atol=1e-6 * scale)


def test_one_pixel_paints_the_kernel_one_before_and_three_after(
    random: np.random.Generator,
) -> None:
    # 5x5, stride 2, SAME: pixel (i, j) of the small image covers 2i-1 .. 2i+3 of the large one.
    kernel = float32(random, 5, 5, 1, 1)
    x = np.zeros([1, 4, 4, 1], np.float32)
    x[0, 1, 2, 0] = 1
    painted = np.zeros([8, 8])
    painted[1:6, 3:8] = kernel[:, :, 0, 0]
    result = ops.conv2d_transpose(tf.constant(x), tf.constant(kernel))
    np.testing.assert_allclose(result[0, :, :, 0], painted, atol=1e-6)


def test_batch_norm_in_training_uses_the_batch(random: np.random.Generator) -> None:
    x = 3 + 2 * float32(random, 4, 3, 5, 6)
    scale, offset = float32(random, 6), float32(random, 6)
    y, mean, variance = ops.batch_norm(tf.constant(x), tf.constant(scale), tf.constant(offset))
    exact = x.astype(np.float64)
    expected_mean, biased = exact.mean((0, 1, 2)), exact.var((0, 1, 2))
    expected = scale * (exact - expected_mean) / np.sqrt(biased + 1e-5) + offset
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-5)
    number = 4 * 3 * 5
    # The two estimates differ by 1.7 % here.
    np.testing.assert_allclose(variance, biased * number / (number - 1), rtol=1e-4)


def test_batch_norm_in_inference_uses_what_is_given(random: np.random.Generator) -> None:
    x = float32(random, 2, 3, 4, 5)
    scale, offset, mean = (float32(random, 5) for _ in range(3))
    variance = random.uniform(0.1, 2, 5).astype(np.float32)
    y, same_mean, same_variance = ops.batch_norm(
        *(tf.constant(v) for v in (x, scale, offset)),
        statistics=(tf.constant(mean), tf.constant(variance)),
    )
    exact = x.astype(np.float64)
    expected = scale * (exact - mean) / np.sqrt(variance.astype(np.float64) + 1e-5) + offset
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(same_mean, mean)
    np.testing.assert_array_equal(same_variance, variance)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_epsilon_is_1e_5(training: bool, random: np.random.Generator) -> None:
    # Deviation 0.001 is smaller than epsilon's root: the result is epsilon's doing. TensorFlow
    # itself raises epsilon to 1.001e-5, as cuDNN demands; hence the tolerance.
    x = 1e-3 * float32(random, 8, 4, 4, 2)
    mean, variance = x.astype(np.float64).mean((0, 1, 2)), x.astype(np.float64).var((0, 1, 2))
    given = tf.constant(mean, tf.float32), tf.constant(variance, tf.float32)
    y, _, _ = ops.batch_norm(
        tf.constant(x), tf.ones(2), tf.zeros(2), statistics=None if training else given
    )
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-5)


def test_linear_is_a_matrix_product_plus_bias(random: np.random.Generator) -> None:
    x, weight, bias = float32(random, 3, 7), float32(random, 7, 5), float32(random, 5)
    expected = x.astype(np.float64) @ weight.astype(np.float64) + bias
    np.testing.assert_allclose(ops.linear(x, weight, bias), expected, rtol=1e-5, atol=1e-5)


def test_lrelu_leaks_a_fifth() -> None:
    x = tf.constant([[-10.0, -1.0, -0.5], [0.0, 0.5, 10.0]])
    np.testing.assert_allclose(ops.lrelu(x), [[-2, -0.2, -0.1], [0, 0.5, 10]], rtol=1e-6)
    np.testing.assert_allclose(ops.lrelu(x, 0.5)[0], [-5, -0.5, -0.25], rtol=1e-6)


def test_lrelus_gradient_is_one_or_the_leak() -> None:
    x = tf.constant([[-10.0, -1.0, -0.5], [1e-30, 0.5, 10.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(ops.lrelu(x, 0.3) * tf.constant([1.0, 2.0, 3.0]))
    expected = np.array([[0.3, 0.3, 0.3], [1, 1, 1]]) * [1, 2, 3]
    np.testing.assert_allclose(tape.gradient(y, x), expected, rtol=1e-6)


# --- kernels of our own ---


def tensorflows_kernel_gradient(big: tf.Tensor, small: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.Conv2DBackpropFilter(
        input=big,
        filter_sizes=[5, 5, big.shape[3], small.shape[3]],
        out_backprop=small,
        strides=[1, 2, 2, 1],
        padding="SAME",
    )


@pytest.mark.parametrize("edge", [2, 4])
def test_the_kernel_gradient_by_patches_is_tensorflows(
    edge: int, random: np.random.Generator
) -> None:
    big = tf.constant(random.normal(size=[3, 2 * edge, 2 * edge, 4]))
    small = tf.constant(random.normal(size=[3, edge, edge, 5]))
    np.testing.assert_allclose(
        ops.kernel_gradient_by_patches(big, small, 5),
        tensorflows_kernel_gradient(big, small),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize("edge", [4, 8])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("bfloat16", 0.1)])
def test_layers_have_the_plain_layers_gradients(
    channels: int,
    edge: int,
    transposed: bool,
    dtype: str,
    tolerance: float,
    random: np.random.Generator,
) -> None:
    plain, layer = (
        (ops._adjoint, ops.conv2d_transpose) if transposed else (ops._forward, ops.conv2d)
    )
    shape = [2, edge, edge, 5] if transposed else [2, 2 * edge, 2 * edge, channels]
    x = tf.cast(random.normal(size=shape), dtype)
    kernel = tf.cast(random.normal(size=[5, 5, channels, 5]), dtype)

    def gradients(function: object) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = function(x, kernel)
            loss = tf.reduce_sum(tf.cast(y, tf.float64) ** 2) / tf.size(y, tf.float64)
        return [tf.cast(t, tf.float64).numpy() for t in (y, *tape.gradient(loss, [x, kernel]))]

    for one, other in zip(gradients(layer), gradients(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * other.std())
