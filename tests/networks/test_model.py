"""The networks, their first weights and their losses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from test_ops import numpy_conv2d, numpy_conv2d_transpose

from dcgan_completion.model import DCGAN

TINY_MODEL = {"image_size": 16, "z_dim": 6, "gf_dim": 3, "df_dim": 4}


def randomize(model: DCGAN, random: np.random.Generator, deviation: float = 0.3) -> DCGAN:
    """Gives every variable a value that matters, statistics, scales and biases included."""
    for net in (model.g, model.d):
        for name, variable in net.items():
            if name.endswith(("scale", "variance")):
                variable.assign(random.uniform(0.5, 1.5, variable.shape))
            else:
                variable.assign(random.normal(0, deviation, variable.shape))
    return model


@pytest.fixture
def tiny(random: np.random.Generator) -> DCGAN:
    return randomize(DCGAN(**TINY_MODEL), random)


def values(net: dict[str, tf.Variable]) -> dict[str, np.ndarray]:
    return {name: variable.numpy().astype(np.float64) for name, variable in net.items()}


def numpy_batch_norm(x: np.ndarray, net: dict[str, np.ndarray], layer: str) -> np.ndarray:
    normal = (x - net[f"{layer}_mean"]) / np.sqrt(net[f"{layer}_variance"] + 1e-5)
    return net[f"{layer}_scale"] * normal + net[f"{layer}_offset"]


def numpy_generator(model: DCGAN, z: np.ndarray, layers: int) -> np.ndarray:
    """G(z) in inference mode."""
    g = values(model.g)
    h = (z @ g["linear_weight"] + g["linear_bias"]).reshape(len(z), 4, 4, -1)
    for i in range(1, layers + 1):
        h = np.maximum(numpy_batch_norm(h, g, f"bn{i - 1}"), 0)
        h = numpy_conv2d_transpose(h, g[f"conv{i}_kernel"])
    return np.tanh(h + g[f"conv{layers}_bias"])


def numpy_discriminator(model: DCGAN, images: np.ndarray, layers: int) -> np.ndarray:
    """D's logits in inference mode."""
    d = values(model.d)
    h = numpy_conv2d(images, d["conv0_kernel"]) + d["conv0_bias"]
    h = np.maximum(h, 0.2 * h)
    for i in range(1, layers):
        h = numpy_batch_norm(numpy_conv2d(h, d[f"conv{i}_kernel"]), d, f"bn{i}")
        h = np.maximum(h, 0.2 * h)
    return (h.reshape(len(images), -1) @ d["linear_weight"] + d["linear_bias"])[:, 0]


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


# --- sizes ---


def test_the_defaults_have_the_published_numbers_of_parameters() -> None:
    model = DCGAN()
    assert sum(v.shape.num_elements() for v in model.generator_variables) == 5_134_915
    assert sum(v.shape.num_elements() for v in model.discriminator_variables) == 4_315_649


# G's and D's feature maps from 4x4 to the image, for gf_dim 2 and df_dim 3.
WIDTHS = {
    16: ([4, 2], [6, 3]),
    32: ([8, 4, 2], [12, 6, 3]),
    64: ([16, 8, 4, 2], [24, 12, 6, 3]),
    128: ([32, 16, 8, 4, 2], [48, 24, 12, 6, 3]),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", sorted(WIDTHS))
def test_widths_follow_from_the_size(size: int, channels: int) -> None:
    model = DCGAN(image_size=size, channels=channels, z_dim=7, gf_dim=2, df_dim=3)
    g_widths, d_widths = ([*widths, channels] for widths in WIDTHS[size])
    shapes = {name: tuple(variable.shape) for name, variable in model.g.items()}
    assert shapes["linear_weight"] == (7, 16 * g_widths[0])
    assert shapes["linear_bias"] == (16 * g_widths[0],)
    kernels = [shapes[name] for name in shapes if name.endswith("kernel")]
    assert kernels == [(5, 5, out, into) for into, out in itertools.pairwise(g_widths)]

    shapes = {name: tuple(variable.shape) for name, variable in model.d.items()}
    kernels = [shapes[name] for name in shapes if name.endswith("kernel")]
    assert kernels == [(5, 5, into, out) for into, out in itertools.pairwise(d_widths[::-1])]
    assert shapes["linear_weight"] == (16 * d_widths[0], 1)
    assert shapes["linear_bias"] == (1,)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", sorted(WIDTHS))
def test_outputs_have_the_right_shape_and_range(
    size: int, channels: int, random: np.random.Generator
) -> None:
    model = DCGAN(image_size=size, channels=channels, z_dim=7, gf_dim=2, df_dim=3)
    randomize(model, random, deviation=2)
    images = model.generator(tf.constant(random.uniform(-1, 1, [5, 7]), tf.float32))
    assert images.shape == (5, size, size, channels)
    assert 0.99 < np.abs(images).max() <= 1
    assert model.discriminator(images).shape == (5,)


# --- forward passes ---


def test_generator_is_numpys(tiny: DCGAN, random: np.random.Generator) -> None:
    z = random.uniform(-1, 1, [3, 6]).astype(np.float32)
    expected = numpy_generator(tiny, z.astype(np.float64), layers=2)
    assert expected.std() > 0.1
    np.testing.assert_allclose(tiny.generator(tf.constant(z)), expected, rtol=1e-4, atol=1e-5)


def test_discriminator_is_numpys(tiny: DCGAN, random: np.random.Generator) -> None:
    images = random.uniform(-1, 1, [3, 16, 16, 3]).astype(np.float32)
    expected = numpy_discriminator(tiny, images.astype(np.float64), layers=2)
    assert expected.std() > 0.1
    np.testing.assert_allclose(
        tiny.discriminator(tf.constant(images)), expected, rtol=1e-4, atol=1e-4
    )


def test_a_deeper_network_of_one_channel_is_numpys(random: np.random.Generator) -> None:
    model = DCGAN(image_size=32, channels=1, z_dim=5, gf_dim=2, df_dim=2)
    randomize(model, random)
    z = random.uniform(-1, 1, [2, 5]).astype(np.float32)
    expected = numpy_generator(model, z.astype(np.float64), layers=3)
    images = model.generator(tf.constant(z))
    np.testing.assert_allclose(images, expected, rtol=1e-4, atol=1e-5)
    logits = numpy_discriminator(model, expected, layers=3)
    np.testing.assert_allclose(model.discriminator(images), logits, rtol=1e-4, atol=1e-4)


# --- weights ---


def named(model: DCGAN, ending: str) -> dict[str, np.ndarray]:
    nets = {"g": model.g, "d": model.d}
    return {
        f"{net}.{name}": variable.numpy()
        for net, variables in nets.items()
        for name, variable in variables.items()
        if name.endswith(ending)
    }


def test_first_weights_are_normal_and_those_of_ds_convolutions_truncated() -> None:
    model = DCGAN(image_size=32, z_dim=50, gf_dim=16, df_dim=16)
    for name, weight in (named(model, "kernel") | named(model, "linear_weight")).items():
        error = 4 / np.sqrt(2 * weight.size)  # four standard errors of a deviation
        truncated = name.startswith("d.conv")
        # The deviation of a standard normal variable cut at 2 is 0.8796.
        deviation = 0.02 * (0.8796 if truncated else 1)
        assert weight.std() == pytest.approx(deviation, rel=error), name
        assert abs(weight.mean()) < 4 * 0.02 / np.sqrt(weight.size), name
        # Of a normal variable 4.6 % lie beyond two deviations.
        beyond = np.mean(np.abs(weight) > 0.04)
        assert beyond == 0 if truncated else 0.02 < beyond < 0.08, name


def test_the_other_first_values_leave_the_signal_as_it_is() -> None:
    model = DCGAN(**TINY_MODEL)
    for ending, value in {"bias": 0, "offset": 0, "mean": 0, "scale": 1, "variance": 1}.items():
        assert named(model, ending)
        for name, variable in named(model, ending).items():
            assert (variable == value).all(), name


def test_convolutions_before_batch_normalisation_have_no_bias() -> None:
    model = DCGAN(image_size=64, z_dim=2, gf_dim=1, df_dim=1)
    assert set(named(model, "bias")) == {
        "g.linear_bias",
        "g.conv4_bias",
        "d.conv0_bias",
        "d.linear_bias",
    }
    normalised = {name.removesuffix("_scale") for name in named(model, "scale")}
    assert normalised == {"g.bn0", "g.bn1", "g.bn2", "g.bn3", "d.bn1", "d.bn2", "d.bn3"}


# --- batch normalisation's statistics ---


def statistics_of(model: DCGAN) -> list[np.ndarray]:
    return [v.numpy() for v in model.generator_statistics + model.discriminator_statistics]


def test_variables_and_statistics_are_apart() -> None:
    model = DCGAN(**TINY_MODEL)
    trained = model.generator_variables + model.discriminator_variables
    kept = model.generator_statistics + model.discriminator_statistics
    assert len({id(v) for v in trained + kept}) == len(model.g) + len(model.d)
    running = named(model, "mean") | named(model, "variance")
    assert len(kept) == len(running) == 6


def test_statistics_move_by_a_tenth(tiny: DCGAN, random: np.random.Generator) -> None:
    z = random.uniform(-1, 1, [5, 6]).astype(np.float32)
    before = values(tiny.g)
    tiny.generator(tf.constant(z), training=True)
    h = (z @ before["linear_weight"] + before["linear_bias"]).reshape(-1, 6)
    after = values(tiny.g)
    mean = 0.9 * before["bn0_mean"] + 0.1 * h.mean(0)
    variance = 0.9 * before["bn0_variance"] + 0.1 * h.var(0, ddof=1)
    np.testing.assert_allclose(after["bn0_mean"], mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after["bn0_variance"], variance, rtol=1e-4)


def test_statistics_of_d_move_by_a_tenth(tiny: DCGAN, random: np.random.Generator) -> None:
    images = random.uniform(-1, 1, [5, 16, 16, 3]).astype(np.float32)
    before = values(tiny.d)
    tiny.discriminator(tf.constant(images), training=True)
    h = numpy_conv2d(images, before["conv0_kernel"]) + before["conv0_bias"]
    h = numpy_conv2d(np.maximum(h, 0.2 * h), before["conv1_kernel"]).reshape(-1, 8)
    after = values(tiny.d)
    mean = 0.9 * before["bn1_mean"] + 0.1 * h.mean(0)
    variance = 0.9 * before["bn1_variance"] + 0.1 * h.var(0, ddof=1)
    np.testing.assert_allclose(after["bn1_mean"], mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after["bn1_variance"], variance, rtol=1e-4)


@pytest.mark.parametrize("how", [{"training": False}, {"training": True, "momentum": None}, {}])
def test_statistics_stay(how: dict[str, bool], tiny: DCGAN, random: np.random.Generator) -> None:
    before = statistics_of(tiny)
    images = tiny.generator(tf.constant(random.uniform(-1, 1, [5, 6]), tf.float32), **how)
    tiny.discriminator(images, **how)
    for old, new in zip(before, statistics_of(tiny), strict=True):
        np.testing.assert_array_equal(old, new)


def test_training_normalises_by_the_batch_whatever_the_statistics(
    tiny: DCGAN, random: np.random.Generator
) -> None:
    z = tf.constant(random.uniform(-1, 1, [5, 6]), tf.float32)
    how = {"training": True, "momentum": None}
    images = tiny.generator(z, **how)
    logits = tiny.discriminator(images, **how)
    for variable in tiny.generator_statistics + tiny.discriminator_statistics:
        variable.assign(variable + 3)
    np.testing.assert_array_equal(tiny.generator(z, **how), images)
    np.testing.assert_array_equal(tiny.discriminator(images, **how), logits)
    assert np.abs(tiny.generator(z) - images).max() > 0.01


# --- losses ---

LOGITS = np.array([-100, -3, -0.5, 0, 1e-3, 2, 100], np.float32)


def test_losses_are_cross_entropies() -> None:
    real, fake = LOGITS, LOGITS[::-1] + 1
    loss_real, loss_fake = DCGAN.discriminator_loss(tf.constant(real), tf.constant(fake))
    exact_real, exact_fake = real.astype(np.float64), fake.astype(np.float64)
    assert float(loss_real) == pytest.approx(softplus(-exact_real).mean(), rel=1e-6)
    assert float(loss_fake) == pytest.approx(softplus(exact_fake).mean(), rel=1e-6)
    assert float(DCGAN.generator_loss(tf.constant(fake))) == pytest.approx(
        softplus(-exact_fake).mean(), rel=1e-6
    )


def test_losses_of_an_undecided_and_of_a_certain_discriminator() -> None:
    undecided = tf.zeros([4])
    losses = (*DCGAN.discriminator_loss(undecided, undecided), DCGAN.generator_loss(undecided))
    np.testing.assert_allclose(losses, 3 * [np.log(2)], rtol=1e-6)
    right = DCGAN.discriminator_loss(tf.fill([4], 200.0), tf.fill([4], -200.0))
    np.testing.assert_allclose(right, [0, 0], atol=1e-6)
    assert float(DCGAN.generator_loss(tf.fill([4], -200.0))) == pytest.approx(200)


def numpy_completion_loss(
    model: DCGAN, z: np.ndarray, images: np.ndarray, mask: np.ndarray, lam: float, block: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generated = numpy_generator(model, z, layers=2)
    n, edge, _, channels = images.shape
    blocks = edge // block
    difference = (generated - images).reshape(n, blocks, block, blocks, block, channels)
    contextual = (mask * np.abs(difference.mean((2, 4)))).sum((1, 2, 3))
    perceptual = softplus(-numpy_discriminator(model, generated, layers=2))
    return contextual + lam * perceptual, contextual, perceptual


@pytest.fixture(params=[1, 8], ids=["pixels", "averages of 8x8"])
def task(request: pytest.FixtureRequest, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Three images, what is known of them and a z, in float32; the block's size."""
    block = request.param
    edge = 16 // block
    return {
        "z": random.uniform(-1, 1, [3, 6]).astype(np.float32),
        "images": random.uniform(-1, 1, [3, 16, 16, 3]).astype(np.float32),
        "mask": (random.uniform(size=[3, edge, edge, 1]) < 0.6).astype(np.float32),
        "block": block,
    }


def in_float64(task: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    arrays = {name: task[name].astype(np.float64) for name in ("z", "images", "mask")}
    return arrays | {"block": task["block"]}


def test_completion_loss_is_numpys(tiny: DCGAN, task: dict[str, np.ndarray]) -> None:
    block = task["block"]
    arrays = [tf.constant(task[name]) for name in ("z", "images", "mask")]
    losses = tiny.completion_loss(*arrays, lam=0.3, block=block)
    expected = numpy_completion_loss(tiny, **in_float64(task), lam=0.3)
    for loss, exact in zip(losses, expected, strict=True):
        assert loss.shape == (3,)
        np.testing.assert_allclose(loss, exact, rtol=1e-4)
    total, contextual, perceptual = tiny.completion_loss(*arrays, block=block)
    np.testing.assert_allclose(total, contextual + 0.1 * perceptual, rtol=1e-6)


@pytest.mark.parametrize("lam", [0.1, 30])
def test_completion_gradient_is_the_quotient_of_small_differences(
    lam: float, tiny: DCGAN, task: dict[str, np.ndarray]
) -> None:
    z = tf.constant(task["z"])
    with tf.GradientTape() as tape:
        tape.watch(z)
        total, _, _ = tiny.completion_loss(
            z, task["images"], task["mask"], lam=lam, block=task["block"]
        )
    gradient = tape.gradient(total, z)
    # The differences are those of the reference in float64: small enough not to step over the
    # kinks of |x| and ReLU, with digits enough left.
    exact, step = in_float64(task), 1e-7
    expected = np.empty(task["z"].shape)
    for i in range(expected.shape[1]):
        sides = []
        for sign in (1, -1):
            moved = exact["z"].copy()
            moved[:, i] += sign * step
            sides.append(numpy_completion_loss(tiny, **exact | {"z": moved}, lam=lam)[0])
        expected[:, i] = (sides[0] - sides[1]) / (2 * step)
    scale = np.abs(expected).max()
    assert scale > 1e-3
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3 * scale)


# --- variants of a pass ---


def test_groups_are_batches_of_their_own(random: np.random.Generator) -> None:
    images = random.uniform(-1, 1, [10, 16, 16, 3]).astype(np.float32)
    together, apart = DCGAN(**TINY_MODEL), DCGAN(**TINY_MODEL)
    logits = together.discriminator(images, training=True, groups=2)
    expected = [apart.discriminator(half, training=True) for half in (images[:5], images[5:])]
    np.testing.assert_allclose(logits, np.concatenate(expected), rtol=1e-4, atol=1e-6)
    for one, other in zip(
        together.discriminator_statistics, apart.discriminator_statistics, strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_one_sided_smoothing_is_the_cross_entropy_with_a_smoothed_target() -> None:
    real, fake = np.array([-1.5, 0.3, 4.0]), np.array([0.5, -2.0, 1.0])
    p = 1 / (1 + np.exp(-real))
    expected = -(0.9 * np.log(p) + 0.1 * np.log(1 - p)).mean()
    loss_real, loss_fake = DCGAN.discriminator_loss(
        tf.constant(real), tf.constant(fake), label_smoothing=0.1
    )
    np.testing.assert_allclose(loss_real, expected, rtol=1e-12)
    np.testing.assert_allclose(loss_fake, -np.log(1 - 1 / (1 + np.exp(-fake))).mean(), rtol=1e-12)
