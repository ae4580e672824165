"""How much a pixel counts, against counting its neighbours one by one."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion.masks import drawing, weights


def counted_weights(hole: np.ndarray, window: int) -> np.ndarray:
    """Weights of [H, W, 1] by counting the neighbours one by one."""
    height, width, _ = hole.shape
    result = np.zeros(hole.shape)
    reach = window // 2
    for y, x in np.ndindex(height, width):
        number = missing = 0
        for v in range(y - reach, y + reach + 1):
            for u in range(x - reach, x + reach + 1):
                if 0 <= v < height and 0 <= u < width:
                    number += 1
                    missing += hole[v, u, 0]
        if not hole[y, x, 0]:
            result[y, x] = missing / number
    return result


@pytest.mark.parametrize("window", [1, 3, 7, 31])
@pytest.mark.parametrize("mask_type", ["center", "random", "top", "grid", "pattern", "full"])
def test_importance_weights_count_the_missing_neighbours(
    mask_type: str, window: int, random: np.random.Generator
) -> None:
    batch = np.stack([drawing.draw(mask_type, 16, rng=random) for _ in range(3)])[..., np.newaxis]
    batch[1] = True
    batch = batch[:, :12]
    found = weights.importance_weights(batch, window)
    assert found.dtype == np.float32
    wanted = np.stack([counted_weights(hole, window) for hole in batch])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    if window == 7:
        np.testing.assert_array_equal(weights.importance_weights(batch), found)


@pytest.mark.parametrize("weighted", [0, 0.3, 1])
def test_pixel_weights_keep_the_sum_of_known_pixels(
    weighted: float, random: np.random.Generator
) -> None:
    batch = np.stack([drawing.draw("random", 16, rng=random) for _ in range(3)])[..., np.newaxis]
    batch[1, :4] = True
    found = weights.pixel_weights(batch, weighted)
    assert found.dtype == np.float32
    for hole, own in zip(batch, found, strict=True):
        known, importance = ~hole, counted_weights(hole, 7)
        wanted = known * (1 - weighted) + weighted * importance * known.sum() / importance.sum()
        np.testing.assert_allclose(own, wanted, rtol=1e-5)
        assert own.sum() == pytest.approx(known.sum(), rel=1e-5)


@pytest.mark.parametrize("weighted", [0, 0.5, 1])
def test_without_a_hole_boundary_known_pixels_count_alike(weighted: float) -> None:
    batch = np.stack([np.zeros([8, 8, 1], bool), np.ones([8, 8, 1], bool)])
    np.testing.assert_array_equal(weights.pixel_weights(batch, weighted), ~batch)


def test_weights_need_an_odd_window_and_a_share() -> None:
    hole = drawing.draw("center", 16)[np.newaxis, ..., np.newaxis]
    for window in (0, 4, -3):
        with pytest.raises(ValueError, match=f"window {window} is not an odd number"):
            weights.importance_weights(hole, window)
    for weighted in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="from 0 to 1"):
            weights.pixel_weights(hole, weighted)
