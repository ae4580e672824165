"""The search that a context encoder guides, and its estimate alone, in Python."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dcgan_completion import utils
from dcgan_completion.completion import mask_source
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.inpaint import blending
from dcgan_completion.inpaint.estimator import Estimator
from dcgan_completion.inpaint.search import LatentSearch
from dcgan_completion.masks import drawing
from dcgan_completion.masks import mask as masks
from dcgan_completion.masks.mask import Mask
from dcgan_completion.masks.weights import pixel_weights
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SearchSettings

WEIGHT = 2.0


@pytest.fixture(scope="module")
def images(faces16: Path) -> np.ndarray:
    return np.stack([utils.load_image(path) for path in sorted(faces16.iterdir())[:5]])


def quick(**overrides: object) -> SearchSettings:
    small = {"guide": WEIGHT, "n_iter": 4, "pool": 32, "average": 1}
    return SearchSettings.of("auto", guided=True, **small | overrides)


def mask_of(images: np.ndarray, mask_type: str = "center") -> Mask:
    return mask_source.draw_masks(MaskSettings(mask_type), images, seed=0)


def estimate_of(encoder: ContextEncoder, images: np.ndarray, mask: Mask) -> np.ndarray:
    """What the encoder says of the images, float64 in [-1, 1], without our batches."""
    given = tf.constant(utils.to_signed(images))
    return (
        encoder.estimate(given, tf.constant((~mask.hole).astype(np.float32)))
        .numpy()
        .astype(np.float64)
    )


def source_of(encoder: ContextEncoder, images: np.ndarray, mask: Mask) -> np.ndarray:
    """The same without the detail that known pixels tell better, float64 in [-1, 1]."""
    return blending.soften(estimate_of(encoder, images, mask), mask.hole)


# --- the guided search ---


def guided_loss(
    model: DCGAN, z: np.ndarray, images: np.ndarray, estimate: np.ndarray, mask: Mask, weighted=0.25
) -> tuple[np.ndarray, np.ndarray]:
    """The loss that a guided search minimises, and its part of the known pixels, in float64."""
    generated = model.generator(tf.constant(z)).numpy().astype(np.float64)
    weights = pixel_weights(mask.hole, weighted).astype(np.float64)
    known = (weights * np.abs(generated - utils.to_signed(images))).sum(axis=(1, 2, 3))
    hole = (mask.hole * np.abs(generated - estimate)).sum(axis=(1, 2, 3))
    return known + WEIGHT * hole, known


def test_what_is_minimised_has_the_estimate_in_the_hole(
    model: DCGAN, encoder: ContextEncoder, images: np.ndarray
) -> None:
    mask = mask_of(images)
    completer = LatentSearch(model, quick(samples=2), batch_size=5, samples=2, encoder=encoder)
    *_, last = completer.states(images, mask, seed=3, interval=2)
    estimate = source_of(encoder, images, mask)
    by_sample = [guided_loss(model, last.z[:, k, 0], images, estimate, mask) for k in range(2)]
    # The samples are ranked by it, and it is what is followed; what is reported is of known pixels.
    assert (by_sample[0][0] <= by_sample[1][0] * (1 + 1e-5)).all()
    assert (by_sample[0][0] <= last.history.min(axis=0) * (1 + 1e-4)).all()
    for k in range(2):
        np.testing.assert_allclose(last.losses[1][:, k], by_sample[k][1], rtol=1e-4)
    np.testing.assert_allclose(last.losses[0], last.losses[1])


def test_a_guided_search_starts_at_the_face_most_like_photo_and_estimate(
    model: DCGAN, encoder: ContextEncoder, images: np.ndarray
) -> None:
    mask, search = mask_of(images), quick(pool=40, weighted=0.5)
    first, whole = (
        next(
            LatentSearch(model, search, batch_size=5, samples=number, encoder=encoder).states(
                images, mask, seed=7, interval=4
            )
        )
        for number in (1, 40)
    )
    z = whole.z[0, :, 0]  # as many samples as the pool has: all of it
    pictures = utils.to_uint8(model.generator(tf.constant(z)).numpy()).astype(np.float64)
    weights = pixel_weights(mask.hole, 0.5) + WEIGHT * mask.hole
    estimate = 127.5 * (source_of(encoder, images, mask) + 1)
    targets = np.where(mask.hole, estimate, images)
    for i in range(len(images)):
        apart = (weights[i] * (targets[i] - pictures) ** 2).sum(axis=(1, 2, 3))
        np.testing.assert_array_equal(first.z[i, 0, 0], z[np.argmin(apart)])


def test_a_guide_draws_the_hole_towards_the_estimate(
    model: DCGAN, encoder: ContextEncoder, images: np.ndarray
) -> None:
    mask = mask_of(images)
    estimate = source_of(encoder, images, mask)
    apart = []
    for guide in (0.0, 1.0, 100.0):
        search = quick(guide=guide, n_iter=30, average=1)
        completer = LatentSearch(model, search, batch_size=5, encoder=encoder)
        generated = completer.complete(images, mask, seed=0).generated[:, 0] / 127.5 - 1
        apart.append(np.abs((generated - estimate) * mask.hole).sum())
    assert apart[0] > apart[1] > apart[2]


@pytest.mark.parametrize("mix", [0.0, 0.1])
def test_the_hole_is_filled_from_the_mix(
    mix: float, model: DCGAN, encoder: ContextEncoder, images: np.ndarray
) -> None:
    mask, search = mask_of(images, "pattern"), quick(mix=mix)
    completer = LatentSearch(model, search, batch_size=5, samples=2, encoder=encoder)
    done = completer.complete(images, mask, seed=0)
    estimate = 127.5 * (source_of(encoder, images, mask) + 1)
    for k in range(2):
        wanted = done.generated[:, k]
        if mix:
            near = masks.nearness(mask.hole, 16 / 32)
            wanted = blending.mix(wanted, estimate, mix * 16, near)
        np.testing.assert_allclose(done.images[:, k], wanted, atol=1e-3)


def test_without_a_guide_the_encoder_changes_nothing(
    model: DCGAN, encoder: ContextEncoder, images: np.ndarray
) -> None:
    search = quick(guide=0.0)
    one, other = (
        LatentSearch(model, search, batch_size=5, encoder=e).complete(images, mask_of(images), 0)
        for e in (encoder, None)
    )
    np.testing.assert_array_equal(one.z, other.z)
    np.testing.assert_array_equal(one.images, other.images)


@pytest.mark.parametrize("mask_type", drawing.WHOLE_TYPES)
def test_where_no_pixel_is_kept_there_is_no_guide(
    mask_type: str, model: DCGAN, encoder: ContextEncoder, images: np.ndarray
) -> None:
    mask = mask_of(images, mask_type)
    one, other = (
        LatentSearch(model, search, batch_size=5, encoder=encoder).complete(images, mask, 0)
        for search in (quick(), dataclasses.replace(quick(), guide=0.0))
    )
    np.testing.assert_array_equal(one.z, other.z)
    np.testing.assert_array_equal(one.losses[0], other.losses[0])


def test_a_guided_search_needs_an_encoder(model: DCGAN) -> None:
    with pytest.raises(ValueError, match="needs a context encoder"):
        LatentSearch(model, quick())


# --- the estimate alone ---


def test_what_fills_a_hole_lacks_the_detail_next_to_known_pixels(
    encoder: ContextEncoder, images: np.ndarray
) -> None:
    mask = mask_of(images, "pattern")
    completer = Estimator(encoder, batch_size=5)
    source = completer.candidates(images, mask)
    assert source.dtype == np.float32
    wanted = 127.5 * (source_of(encoder, images, mask) + 1)
    np.testing.assert_allclose(source, wanted, atol=1e-2)
    estimate = 127.5 * (completer.estimate(images, mask) + 1)
    assert np.abs(source - estimate).max() > 1


def test_a_symmetric_encoder_s_estimate_is_the_mean_of_both_sides(
    encoder: ContextEncoder, images: np.ndarray
) -> None:
    mask = mask_of(images, "left")
    turned = Mask(mask.hole[:, :, ::-1])
    symmetric = copy.copy(encoder)
    symmetric.symmetric = True
    completer = Estimator(symmetric, batch_size=5)
    found = completer.estimate(images, mask)
    parts = estimate_of(encoder, images, mask), estimate_of(encoder, images[:, :, ::-1], turned)
    np.testing.assert_allclose(found, (parts[0] + parts[1][:, :, ::-1]) / 2, atol=1e-5)
    assert np.abs(found - parts[0]).max() > 1e-3
    other = completer.estimate(images[:, :, ::-1], turned)
    np.testing.assert_allclose(other, found[:, :, ::-1], atol=1e-6)


def test_an_estimate_does_not_depend_on_its_neighbours(
    encoder: ContextEncoder, images: np.ndarray
) -> None:
    mask = mask_of(images, "pattern")
    completer = Estimator(encoder, batch_size=2)
    together = completer.estimate(images, mask)
    assert together.dtype == np.float32
    for i in range(5):
        np.testing.assert_array_equal(
            completer.estimate(images[i : i + 1], mask[i : i + 1])[0], together[i]
        )
