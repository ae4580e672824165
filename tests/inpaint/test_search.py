"""Completing batches: what a result depends on, where a search starts, how samples are ranked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from dcgan_completion import utils
from dcgan_completion.inpaint import search
from dcgan_completion.inpaint.search import LatentSearch, Pools
from dcgan_completion.masks import drawing
from dcgan_completion.masks.mask import Mask
from dcgan_completion.masks.weights import pixel_weights
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.search import SEARCHES, SearchSettings

SIZE = 16


@pytest.fixture(scope="module")
def images(faces16: Path) -> np.ndarray:
    return np.stack([utils.load_image(path) for path in sorted(faces16.iterdir())[:5]])


def center(count: int) -> Mask:
    return Mask.of_type("center", [drawing.draw("center", SIZE)] * count)


def quick(approach: str, **overrides: object) -> SearchSettings:
    small = {"n_iter": 4, "pool": 32} if approach == "auto" else {"n_iter": 4}
    small |= {"hmc_l": 3, "hmc_eps": 0.05} if approach == "hmc" else {}
    return SearchSettings.of(approach, **small | overrides)


@pytest.mark.parametrize("approach", SEARCHES)
def test_a_result_does_not_depend_on_its_neighbours(
    approach: str, model: DCGAN, images: np.ndarray
) -> None:
    completer = LatentSearch(model, quick(approach), batch_size=4, samples=2)
    together = completer.complete(images, center(5), seed=3)
    assert together.images.shape == (5, 2, SIZE, SIZE, 3)
    assert together.z.shape == (5, 2, completer.settings.average, model.z_dim)
    order = [4, 2, 0]
    elsewhere = completer.complete(images[order], center(3), seed=3)
    np.testing.assert_allclose(elsewhere.z, together.z[order], atol=1e-5)
    np.testing.assert_allclose(elsewhere.losses[0], together.losses[0][order], rtol=1e-5)
    assert np.abs(elsewhere.images - together.images[order]).max() <= 1


@pytest.mark.parametrize("approach", SEARCHES)
def test_a_result_depends_on_the_seed(approach: str, model: DCGAN, images: np.ndarray) -> None:
    completer = LatentSearch(model, quick(approach), batch_size=2)
    zs = [completer.complete(images[:2], center(2), seed).z for seed in (0, 1, 0)]
    np.testing.assert_array_equal(zs[0], zs[2])
    assert (np.abs(zs[0] - zs[1]).max(axis=(1, 2, 3)) > 1e-3).all()


def test_states_come_in_order_and_the_log_is_whole(model: DCGAN, images: np.ndarray) -> None:
    completer = LatentSearch(model, quick("adam", n_iter=7), batch_size=3)
    states = list(completer.states(images[:3], center(3), 0, interval=3))
    assert [state.iteration for state in states] == [0, 3, 6, 7]
    assert [state.history.shape for state in states] == [(0, 3), (3, 3), (3, 3), (1, 3)]
    best = np.minimum.accumulate(np.concatenate([state.history for state in states]))
    # What was minimised is what is reported.
    assert (states[-1].losses[0][:, 0] <= best[-1] * (1 + 1e-5)).all()


def test_the_search_starts_at_the_best_of_the_pool(model: DCGAN, images: np.ndarray) -> None:
    settings = quick("auto", weighted=0.5, pool=40, average=1)
    mask = center(5)
    first, whole = (
        next(
            LatentSearch(model, settings, batch_size=5, samples=number).states(
                images, mask, seed=7, interval=4
            )
        )
        for number in (3, 40)
    )
    pool = whole.z[:, :, 0]  # as many samples as it has: all of it, for every image
    z = pool[0]
    assert len(np.unique(z, axis=0)) == 40
    for own in pool:
        np.testing.assert_array_equal(np.sort(own, axis=0), np.sort(z, axis=0))
    pictures = model.generator(tf.constant(z)).numpy().astype(np.float64)
    weights = pixel_weights(mask.hole, 0.5).astype(np.float64)
    for i, image in enumerate(utils.to_signed(images).astype(np.float64)):
        apart = {
            tuple(row): (weights[i] * (image - picture) ** 2).sum()
            for row, picture in zip(z, pictures, strict=True)
        }
        # Sorted by another loss; the pool's pictures are rounded to 256 levels.
        found = sorted(apart[tuple(row)] for row in first.z[i, :, 0])
        np.testing.assert_allclose(found, sorted(apart.values())[:3], rtol=2e-3)


def test_a_shared_pool_and_other_iterations_change_nothing(
    model: DCGAN, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools: Pools = {}

    def completer(samples: int, n_iter: int) -> LatentSearch:
        settings = quick("auto", n_iter=n_iter, average=1)
        return LatentSearch(model, settings, batch_size=2, samples=samples, pools=pools)

    wanted = completer(3, 2).complete(images[:2], center(2), seed=7)
    pools.clear()
    one, other = completer(1, 4), completer(3, 4)
    one.complete(images[:2], center(2), seed=7)
    monkeypatch.setattr(search, "_generate_blocks", None)  # no other pool is made
    found = other.with_iterations(2).complete(images[:2], center(2), seed=7)
    np.testing.assert_array_equal(found.z, wanted.z)
    assert other.complete(images[:2], center(2), seed=7).iteration == 4


def test_without_a_pool_z_starts_anywhere(model: DCGAN, images: np.ndarray) -> None:
    completer = LatentSearch(model, quick("pgd"), batch_size=2, samples=64)
    start, again, other = (
        next(completer.states(images[:2], center(2), seed, interval=4)).z for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(start, again)
    assert len(np.unique([start, other])) == 2 * start.size  # each image and seed has its own
    assert scipy.stats.kstest(start.ravel(), scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3
    # By the known pixels, not by the place.
    turned = next(completer.states(images[1::-1], center(2), seed=5, interval=4)).z
    order = [np.lexsort(z[:, 0].T) for z in (start[0], turned[1])]
    np.testing.assert_array_equal(start[0][order[0]], turned[1][order[1]])


def test_samples_are_ranked_by_their_loss(model: DCGAN, images: np.ndarray) -> None:
    completer = LatentSearch(model, quick("adam"), batch_size=2, samples=4)
    result = completer.complete(images[:3], center(3), seed=0)
    total = result.losses[0]
    assert total.shape == (3, 4)
    assert (np.diff(total, axis=1) > 0).all()
    for k in range(4):
        generated = utils.to_uint8(model.generator(tf.constant(result.z[:, k, 0])).numpy())
        assert np.abs(generated - result.generated[:, k]).max() <= 0.51


def test_a_completion_is_the_mean_of_its_searches(model: DCGAN, images: np.ndarray) -> None:
    alone = LatentSearch(model, quick("adam"), batch_size=2, samples=6)
    averaged = LatentSearch(model, quick("adam", average=3), batch_size=2, samples=2)
    each, means = (c.complete(images[:2], center(2), 0) for c in (alone, averaged))
    np.testing.assert_allclose(means.z, each.z.reshape(2, 2, 3, -1), atol=1e-5)
    np.testing.assert_allclose(means.losses, [x[:, ::3] for x in each.losses], rtol=1e-5)
    np.testing.assert_allclose(means.history, each.history, rtol=1e-5)
    pictures = each.generated.reshape(2, 2, 3, *images.shape[1:])
    assert np.abs(pictures[:, :, 0] - pictures[:, :, 1]).max() > 5
    np.testing.assert_allclose(means.generated, pictures.mean(axis=2), atol=1e-2)
    np.testing.assert_array_equal(means.images, means.generated)


def test_a_pool_has_a_start_for_each_search(model: DCGAN, images: np.ndarray) -> None:
    completer = LatentSearch(model, quick("auto", pool=2, average=3), batch_size=1, samples=2)
    first = next(completer.states(images[:1], center(1), seed=0, interval=1))
    assert first.z.shape == (1, 2, 3, model.z_dim)


@pytest.mark.parametrize("mask_type", ["left", "lowres"])
@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_the_reported_losses_are_numpys(
    mask_type: str, distance: str, model: DCGAN, images: np.ndarray
) -> None:
    settings = quick("adam", lam=3.0, weighted=0.5, distance=distance)
    mask = Mask.of_type(mask_type, [drawing.draw(mask_type, SIZE)] * 2)
    result = LatentSearch(model, settings, batch_size=2).complete(images[:2], mask, 0)
    generated = model.generator(tf.constant(result.z[:, 0, 0])).numpy().astype(np.float64)
    difference = generated - utils.to_signed(images[:2])
    edge = 8 if mask_type == "lowres" else 1
    difference = difference.reshape(2, SIZE // edge, edge, SIZE // edge, edge, 3).mean(axis=(2, 4))
    apart = np.abs(difference) if distance == "l1" else difference**2
    contextual = (pixel_weights(mask.hole, 0.5) * apart).sum(axis=(1, 2, 3))
    logits = model.discriminator(tf.constant(generated, tf.float32)).numpy()
    perceptual = np.log1p(np.exp(-logits.astype(np.float64)))
    expected = (contextual + 3 * perceptual, contextual, perceptual)
    for found, wanted in zip(result.losses, expected, strict=True):
        np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-4)


def test_the_search_may_be_in_bfloat16(model: DCGAN, images: np.ndarray) -> None:
    exact = LatentSearch(model, quick("adam", n_iter=30, lr=0.05), batch_size=4)
    rough = LatentSearch(
        model, quick("adam", n_iter=30, lr=0.05), batch_size=4, precision="bfloat16"
    )
    losses = [c.complete(images[:4], center(4), 0).losses[0] for c in (exact, rough)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.1)
    assert (losses[0] != losses[1]).any()
