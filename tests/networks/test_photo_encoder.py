"""The photo encoder: what it computes from, how it grows, and how its heads are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dcgan_completion.inpaint.head_estimator import HeadEstimator
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photo_encoder import NOISE, PhotoEncoder, count_photo_encoder_weights

SIZE, WIDTH = 16, 4


@pytest.fixture(scope="module")
def encoder() -> PhotoEncoder:
    return PhotoEncoder(image_size=SIZE, width=WIDTH, first_size=SIZE)


@pytest.fixture
def heads() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images in [-1, 1], known pixels and noise, of two heads."""
    rng = np.random.default_rng(5)
    images = rng.uniform(-1, 1, [2, SIZE, SIZE, 3]).astype(np.float32)
    known = (rng.random([2, SIZE, SIZE, 1]) < 0.5).astype(np.float32)
    return images, known, rng.standard_normal([2, NOISE]).astype(np.float32)


def test_it_draws_images_of_the_size_and_in_the_range(encoder, heads) -> None:
    drawn = encoder.estimate(*heads).numpy()
    assert drawn.shape == heads[0].shape
    assert np.abs(drawn).max() <= 1


def test_missing_pixels_never_reach_it(encoder, heads) -> None:
    images, known, noise = heads
    other = np.where(known > 0, images, np.float32(np.nan))
    a, b = (encoder.estimate(x, known, noise).numpy() for x in (images, other))
    np.testing.assert_array_equal(a, b)


def test_known_pixels_noise_and_mask_all_count(encoder, heads) -> None:
    images, known, noise = heads
    first = encoder.estimate(images, known, noise).numpy()
    for changed in (
        (images * np.float32(0.5), known, noise),
        (images, 1 - known, noise),
        (images, known, -noise),
    ):
        assert np.abs(encoder.estimate(*changed).numpy() - first).max() > 1e-4


def test_images_of_a_batch_do_not_mix(encoder, heads) -> None:
    both = encoder.estimate(*heads).numpy()
    alone = encoder.estimate(*(part[1:] for part in heads)).numpy()
    np.testing.assert_allclose(both[1:], alone, atol=1e-5)


@pytest.mark.parametrize(
    "architecture", [(16, 3, 4, 16), (32, 3, 4, 16), (32, 1, 6, 32), (16, 3, 4, 64)]
)
def test_weights_are_counted_without_making_them(architecture: tuple[int, ...]) -> None:
    size, channels, width, first = architecture
    made = PhotoEncoder(image_size=size, channels=channels, width=width, first_size=first)
    total = sum(int(np.prod(variable.shape)) for variable in made.encoder_variables)
    assert count_photo_encoder_weights(size, channels, width, first) == total


def test_a_grown_network_draws_at_first_what_the_smaller_one_does(heads) -> None:
    """The new layers add nothing yet: the smaller one's colours, enlarged."""
    small = PhotoEncoder(image_size=SIZE, width=WIDTH, first_size=SIZE, seed=3)
    grown = PhotoEncoder(image_size=2 * SIZE, width=WIDTH, first_size=SIZE)
    for name, variable in small.e.items():
        grown.e[name].assign(variable)
    images, known, noise = heads
    # An image whose half size is the small one's, with a mask that is the same at both sizes.
    twice = [part.repeat(2, axis=1).repeat(2, axis=2) for part in (images, known)]
    drawn = grown.estimate(*twice, noise).numpy()
    smooth = small.estimate(images, known, noise).numpy()
    halved = drawn.reshape(2, SIZE, 2, SIZE, 2, 3).mean(axis=(2, 4))
    # Enlarged by interpolation and squashed by tanh: the same but for that.
    assert np.abs(halved - smooth).mean() < 0.04
    assert np.corrcoef(halved.ravel(), smooth.ravel())[0, 1] > 0.99


def test_gradients_are_those_of_finite_differences(heads) -> None:
    model = PhotoEncoder(image_size=SIZE, width=WIDTH, first_size=SIZE)
    weight = np.random.default_rng(0).standard_normal(heads[0].shape).astype(np.float32)

    def loss() -> tf.Tensor:
        return tf.reduce_sum(model.estimate(*heads) * weight)

    for name in ("stem16_kernel", "down16_kernel", "noise_kernel", "style16_bias", "up8_kernel"):
        variable = model.e[name]
        with tf.GradientTape() as tape:
            value = loss()
        gradient = tape.gradient(value, variable).numpy()
        direction = np.sign(gradient).astype(np.float32)
        before, step = variable.numpy(), 2e-4
        variable.assign(before + step * direction)
        high = loss().numpy()
        variable.assign(before - step * direction)
        low = loss().numpy()
        variable.assign(before)
        slope = (high - low) / (2 * step)
        assert slope == pytest.approx(np.abs(gradient).sum(), rel=0.05), name


# --- as candidates ---


def estimate(encoder: PhotoEncoder, heads: np.ndarray, hole: np.ndarray, **options) -> np.ndarray:
    seed = options.pop("seed", 0)
    return HeadEstimator(encoder, **options).complete(heads, Mask(hole), seed).images


@pytest.fixture
def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    heads = rng.integers(0, 256, [3, SIZE, SIZE, 3], np.uint8)
    return heads, rng.random([3, SIZE, SIZE, 1]) < 0.6


def test_candidates_depend_on_seed_and_head_not_on_the_batch(encoder, pictures) -> None:
    heads, hole = pictures
    together = estimate(encoder, heads, hole, samples=2, batch_size=4)
    assert together.shape == (3, 2, SIZE, SIZE, 3)
    alone = estimate(encoder, heads[1:2], hole[1:2], samples=2, batch_size=4)
    np.testing.assert_array_equal(together[1:2], alone)
    assert np.abs(together[:, 0] - together[:, 1]).max() > 0.05
    other = estimate(encoder, heads, hole, samples=2, batch_size=4, seed=1)
    assert np.abs(other - together).max() > 0.05


def test_the_first_of_several_candidates_is_the_only_one_of_one(encoder, pictures) -> None:
    several = estimate(encoder, *pictures, samples=3, batch_size=2)
    single = estimate(encoder, *pictures, samples=1, batch_size=2)
    np.testing.assert_array_equal(several[:, :1], single)


def test_candidates_do_not_see_what_is_missing(encoder, pictures) -> None:
    heads, hole = pictures
    changed = np.where(hole, 255 - heads, heads)
    a, b = (estimate(encoder, some, hole) for some in (heads, changed))
    np.testing.assert_array_equal(a, b)
