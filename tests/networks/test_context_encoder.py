"""The context encoder: its layers, what reaches it, its loss."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage
from test_ops import numpy_conv2d, numpy_conv2d_transpose

from dcgan_completion.encoders import ERROR_FLOOR, KNOWN_WEIGHT, ContextEncoder, interpolate
from dcgan_completion.evaluation import image_metrics

SIZES = (16, 32, 64, 128)


def randomize(
    model: ContextEncoder, random: np.random.Generator, deviation: float = 0.2
) -> ContextEncoder:
    """Gives the biases values that matter, too."""
    for name, variable in model.e.items():
        if name.endswith("bias"):
            variable.assign(random.normal(0, deviation, variable.shape))
    return model


@pytest.fixture
def tiny(random: np.random.Generator) -> ContextEncoder:
    return randomize(ContextEncoder(image_size=16, width=3), random)


def draw(
    random: np.random.Generator, number: int, size: int, channels: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Images in [-1, 1] and masks that miss about half of their pixels."""
    images = random.uniform(-1, 1, [number, size, size, channels]).astype(np.float32)
    mask = (random.random([number, size, size, 1]) < 0.5).astype(np.float32)
    return images, mask


def values(model: ContextEncoder) -> dict[str, np.ndarray]:
    return {name: variable.numpy().astype(np.float64) for name, variable in model.e.items()}


def ndimage_conv3x3(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A convolution of stride 1 by SciPy: zeros outside, one plane after the other."""
    return np.stack(
        [
            sum(
                ndimage.correlate(x[..., a], kernel[np.newaxis, :, :, a, b], mode="constant")
                for a in range(x.shape[3])
            )
            for b in range(kernel.shape[3])
        ],
        axis=3,
    )


def numpy_double(images: np.ndarray) -> np.ndarray:
    """Twice the size, bilinear, pixel centres where they belong, edges repeated."""
    for axis in (1, 2):
        line = np.moveaxis(images, axis, 0)
        before, after = np.concatenate([line[:1], line[:-1]]), np.concatenate([line[1:], line[-1:]])
        doubled = np.stack([0.75 * line + 0.25 * before, 0.75 * line + 0.25 * after], axis=1)
        images = np.moveaxis(doubled.reshape(-1, *line.shape[1:]), 0, axis)
    return images


def numpy_interpolation(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    known = np.where(mask > 0, images, 0).astype(np.float64)
    size, levels = known.shape[1], []
    while size:
        blocks = [
            x.reshape(len(x), size, x.shape[1] // size, size, -1, x.shape[3]) for x in (known, mask)
        ]
        levels.append([x.astype(np.float64).mean(axis=(2, 4)) for x in blocks])
        size //= 2
    result = np.zeros_like(levels[-1][0])
    for total, share in reversed(levels):
        if total.shape != result.shape:
            result = numpy_double(result)
        mean = total / np.where(share > 0, share, 1)
        trust = np.minimum(2 * share, 1) if total.shape[1] > 1 else 1.0  # of one pixel all that is
        result = trust * mean + (1 - trust) * result
    return result


def numpy_estimate(e: dict[str, np.ndarray], images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    smooth = numpy_interpolation(images, mask)
    h = np.concatenate([images * mask, mask, smooth], axis=3).astype(np.float64)
    layers = sum(name.startswith("down") for name in e) // 2
    maps = []
    for i in range(layers):
        maps.append(h)
        h = numpy_conv2d(h, e[f"down{i}_kernel"]) + e[f"down{i}_bias"]
        h = np.maximum(h, 0.2 * h)
    h = h + np.einsum("npc,qpc->nqc", h.reshape(len(h), 16, -1), e["middle_kernel"]).reshape(
        h.shape
    )
    for i in range(layers - 1, 0, -1):
        h = numpy_conv2d_transpose(h, e[f"up{i}_kernel"]) + e[f"up{i}_bias"]
        h = np.maximum(h, 0.2 * h)
        h = h + maps[i] if i > 1 else np.concatenate([h, maps[i]], axis=3)
    h = ndimage_conv3x3(h, e["refine_kernel"]) + e["refine_bias"]
    h = np.maximum(h, 0.2 * h)
    h = numpy_conv2d_transpose(h, e["up0_kernel"]) + e["up0_bias"]
    return np.clip(np.tanh(h[..., :-1]) + smooth / (1 + np.exp(-h[..., -1:])), -1, 1)


def numpy_loss(
    estimate: np.ndarray, images: np.ndarray, mask: np.ndarray, known_weight: float
) -> float:
    losses = []
    for one, image, known in zip(estimate, images, mask[..., 0] > 0, strict=True):
        squares = ((one - image.astype(np.float64)) / 2) ** 2
        error = squares[~known].mean() + known_weight * squares[known].mean()
        losses.append(10 * np.log10(error + 2.5e-5))
    return float(np.mean(losses))


# --- sizes and variables ---

# Channels of the feature maps from the largest to that of 4x4, for a width of 3.
WIDTHS = {16: [3, 6], 32: [3, 6, 12], 64: [3, 6, 12, 24], 128: [3, 6, 12, 24, 24]}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_layers_follow_from_the_size(size: int, channels: int) -> None:
    model = ContextEncoder(image_size=size, channels=channels, width=3)
    shapes = {name: tuple(variable.shape) for name, variable in model.e.items()}
    down, up = (
        [shapes[name] for name in shapes if name.startswith(kind) and name.endswith("kernel")]
        for kind in ("down", "up")
    )
    widths = WIDTHS[size]
    assert down == [(5, 5, a, b) for a, b in itertools.pairwise([2 * channels + 1, *widths])]
    assert up == [(5, 5, b, a) for a, b in itertools.pairwise([*widths[::-1], channels + 1])]
    # Over both of the largest feature maps.
    assert shapes["refine_kernel"] == (3, 3, 6, 3)
    assert shapes.pop("middle_kernel") == (16, 16, widths[-1])
    for name, shape in shapes.items():
        if name.endswith("kernel"):
            bias = shapes[name.replace("kernel", "bias")]
            assert bias == (shape[2 if name.startswith("up") else 3],)
    assert len(model.encoder_variables) == 4 * len(widths) + 3 == len(model.trainable_variables)


def test_the_default_has_the_documented_size() -> None:
    model = ContextEncoder()
    assert model.architecture == {"image_size": 64, "channels": 3, "width": 48}
    assert sum(v.shape.num_elements() for v in model.encoder_variables) == 4_992_484


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_estimates_have_the_right_shape_and_range(
    size: int, channels: int, random: np.random.Generator
) -> None:
    model = ContextEncoder(image_size=size, channels=channels, width=2)
    model.e["up0_kernel"].assign(5 * model.e["up0_kernel"])
    images, mask = draw(random, 5, size, channels)
    estimate = model.estimate(tf.constant(images), tf.constant(mask))
    assert estimate.shape == (5, size, size, channels)
    assert estimate.dtype == tf.float32
    assert 0.9 < np.abs(estimate).max() <= 1


def test_first_kernels_keep_the_size_of_the_signal() -> None:
    """He et al.: variance 2 / n, n the inputs of an output; a fourth of a transposed one's taps."""
    for name, variable in ContextEncoder(width=16).e.items():
        if name.endswith("kernel"):
            kernel = variable.numpy()
            if name.startswith("middle"):
                inputs = 2 * 16  # its output is added to its input: half the variance
            elif name.startswith("refine"):
                inputs = 9 * kernel.shape[2]
            elif name.startswith("down"):
                inputs = 25 * kernel.shape[2]
            else:
                inputs = 25 / 4 * kernel.shape[3]
            # The deviation of a standard normal variable cut at 2 is 0.8796.
            deviation, error = 0.8796 * np.sqrt(2 / inputs), 4 / np.sqrt(2 * kernel.size)
            assert kernel.std() == pytest.approx(deviation, rel=error), name
            assert abs(kernel.mean()) < 4 * deviation / np.sqrt(kernel.size), name


# --- interpolation ---


def test_the_interpolation_is_numpys(random: np.random.Generator) -> None:
    images, mask = draw(random, 4, 16)
    mask[1] = 0
    mask[1, 5, 9] = 1  # one pixel: its colour is everywhere
    mask[2, 4:12, 4:12] = 0
    known = tf.constant(np.where(mask > 0, images, 0))
    found = interpolate(known, tf.constant(mask)).numpy()
    np.testing.assert_allclose(found, numpy_interpolation(images, mask), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(
        found[np.broadcast_to(mask > 0, images.shape)], known[mask[..., 0] > 0].numpy().ravel()
    )
    np.testing.assert_allclose(found[1], np.broadcast_to(images[1, 5, 9], [16, 16, 3]), rtol=1e-5)
    assert found.min() >= images.min() - 1e-6
    assert found.max() <= images.max() + 1e-6


def test_where_nothing_is_known_it_is_gray() -> None:
    found = interpolate(tf.zeros([1, 16, 16, 3]), tf.zeros([1, 16, 16, 1])).numpy()
    np.testing.assert_array_equal(found, 0)


# --- the network ---


@pytest.mark.parametrize(("size", "channels"), [(16, 3), (32, 1)])
def test_the_estimate_is_numpys(size: int, channels: int, random: np.random.Generator) -> None:
    model = randomize(ContextEncoder(image_size=size, channels=channels, width=3), random)
    images, mask = draw(random, 3, size, channels)
    expected = numpy_estimate(values(model), images, mask)
    assert expected.std() > 0.1
    estimate = model.estimate(tf.constant(images), tf.constant(mask))
    np.testing.assert_allclose(estimate, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("under", [0.7, -1e30, np.inf, np.nan])
def test_what_is_missing_never_matters(
    under: float, dtype: str, tiny: ContextEncoder, random: np.random.Generator
) -> None:
    images, mask = draw(random, 4, 16)
    model = tiny.in_precision(dtype)
    estimate = model.estimate(tf.constant(images), tf.constant(mask)).numpy()
    changed = np.where(mask > 0, images, np.float32(under))
    other = model.estimate(tf.constant(changed), tf.constant(mask)).numpy()
    assert estimate.tobytes() == other.tobytes()


def test_nor_does_it_reach_the_gradient(tiny: ContextEncoder, random: np.random.Generator) -> None:
    images, mask = draw(random, 2, 16)
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(tiny.estimate(x, tf.constant(mask)) ** 2)
    gradient = tape.gradient(total, x).numpy()
    assert (gradient[np.broadcast_to(mask == 0, gradient.shape)] == 0).all()
    assert (np.abs(gradient).sum(axis=3)[mask[..., 0] > 0] > 0).all()


def test_the_mask_tells_gray_from_missing(tiny: ContextEncoder) -> None:
    gray = tf.zeros([1, 16, 16, 3])
    known, missing = (tiny.estimate(gray, tf.fill([1, 16, 16, 1], mask)) for mask in (1.0, 0.0))
    assert np.abs(known - missing).max() > 0.01


def test_an_estimate_does_not_depend_on_the_other_images(
    tiny: ContextEncoder, random: np.random.Generator
) -> None:
    images, mask = draw(random, 4, 16)
    together = tiny.estimate(tf.constant(images), tf.constant(mask))
    alone = tiny.estimate(tf.constant(images[2:3]), tf.constant(mask[2:3]))
    np.testing.assert_allclose(together[2:3], alone, rtol=1e-5, atol=1e-6)


# --- the loss ---


@pytest.mark.parametrize("known_weight", [0.0, KNOWN_WEIGHT, 1.0])
def test_the_loss_is_numpys(known_weight: float, random: np.random.Generator) -> None:
    images, mask = draw(random, 5, 16)
    mask[0], mask[1] = 0, 1  # holes of very different sizes
    mask[0, 3, 4], mask[1, :2, 5] = 1, 0
    estimate = random.uniform(-1, 1, images.shape).astype(np.float32)
    loss = ContextEncoder.loss(
        tf.constant(estimate), tf.constant(images), tf.constant(mask), known_weight
    )
    expected = numpy_loss(estimate, images, mask, known_weight)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_minus_the_psnr_of_the_hole(random: np.random.Generator) -> None:
    images, mask = draw(random, 3, 16)
    estimate = np.where(mask > 0, images, random.uniform(-1, 1, images.shape)).astype(np.float32)
    as_bytes = [np.rint((values + 1) * 127.5).astype(np.uint8) for values in (images, estimate)]
    psnr = image_metrics.psnr(*as_bytes, mask == 0)
    loss = ContextEncoder.loss(tf.constant(estimate), tf.constant(images), tf.constant(mask))
    assert float(loss) == pytest.approx(-psnr.mean(), abs=0.02)


def test_known_pixels_are_weighted_and_a_perfect_estimate_has_a_loss_too(
    random: np.random.Generator,
) -> None:
    images, mask = (tf.constant(values) for values in draw(random, 3, 16))
    for where, weight in ((mask, KNOWN_WEIGHT), (1 - mask, 1)):
        loss = float(ContextEncoder.loss(images + 0.5 * where, images, mask))
        assert loss == pytest.approx(10 * np.log10(weight * 0.0625 + ERROR_FLOOR), rel=1e-4)
    perfect = float(ContextEncoder.loss(images, images, mask))
    assert perfect == pytest.approx(10 * np.log10(ERROR_FLOOR), rel=1e-4)


def test_the_gradient_is_that_of_finite_differences(random: np.random.Generator) -> None:
    model = randomize(ContextEncoder(image_size=16, channels=1, width=2), random)
    images, mask = draw(random, 2, 16, 1)
    with tf.GradientTape() as tape:
        estimate = model.estimate(tf.constant(images), tf.constant(mask))
        loss = model.loss(estimate, tf.constant(images), tf.constant(mask))
    gradients = tape.gradient(loss, model.encoder_variables)

    e = values(model)
    for name, gradient in zip(e, gradients, strict=True):
        direction = random.normal(size=e[name].shape)
        direction /= np.linalg.norm(direction)
        losses = []
        for step in (1e-6, -1e-6):
            moved = numpy_estimate(e | {name: e[name] + step * direction}, images, mask)
            losses.append(numpy_loss(moved, images, mask, KNOWN_WEIGHT))
        slope = (losses[0] - losses[1]) / 2e-6
        error = 1e-4 * float(np.linalg.norm(gradient))
        assert error > 0
        assert slope == pytest.approx(np.sum(gradient.numpy() * direction), abs=error), name


def test_a_few_steps_learn_what_a_hole_holds(random: np.random.Generator) -> None:
    """Images of one colour each: the colour of the hole is that of its surroundings."""
    model = ContextEncoder(image_size=16, width=8)
    mask = np.ones([32, 16, 16, 1], np.float32)
    mask[:, 4:12, 4:12] = 0

    def batch() -> tuple[tf.Tensor, tf.Tensor]:
        colours = random.uniform(-0.9, 0.9, [32, 1, 1, 3]).astype(np.float32)
        return tf.constant(np.broadcast_to(colours, [32, 16, 16, 3])), tf.constant(mask)

    @tf.function(autograph=False)
    def step(images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = model.loss(model.estimate(images, mask), images, mask)
        variables = model.encoder_variables
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(0.003 * gradient)
        return loss

    losses = [float(step(*batch())) for _ in range(250)]
    assert np.mean(losses[-10:]) < losses[0] - 7  # dB: a fifth of the error
