"""Masks against their definitions, pixel by pixel; growing them, and what a known pixel counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from dcgan_completion.masks import mask as masks

SIZES = (16, 32, 64, 128)


def by_pixel(size: int, known: Callable[[int, int], bool]) -> np.ndarray:
    """A mask from what its definition says of row y and column x."""
    mask = np.empty([size, size, 1])
    for y in range(size):
        for x in range(size):
            mask[y, x] = known(y, x)
    return mask


def averages(images: np.ndarray, block: int) -> np.ndarray:
    """Each square's average in place of its pixels, in float64."""
    result = np.empty(images.shape)
    for image, out in zip(images.astype(np.float64), result, strict=True):
        for top in range(0, image.shape[0], block):
            for left in range(0, image.shape[1], block):
                square = image[top : top + block, left : left + block]
                mean = square.sum(axis=(0, 1)) / block**2
                out[top : top + block, left : left + block] = mean
    return result


# --- each type ---


def test_the_types_are_the_issues() -> None:
    reference = {"center", "random", "left", "full", "grid", "lowres"}
    assert set(masks.MASK_TYPES) == reference | {"right", "top", "bottom", "half", "pattern"}
    assert len(masks.MASK_TYPES) == 11


@pytest.mark.parametrize("size", SIZES)
def test_center_misses_a_square_of_half_the_width(size: int) -> None:
    quarter = size // 4

    def known(y: int, x: int) -> bool:
        return not (quarter <= y < size - quarter and quarter <= x < size - quarter)

    mask = masks.make_mask("center", size)
    np.testing.assert_array_equal(mask, by_pixel(size, known))
    assert mask.sum() == size**2 * 3 / 4


@pytest.mark.parametrize(
    ("size", "scale", "low", "high"),
    [
        (64, 0.25, 16, 48),
        (64, 0.1, 6, 57),  # 6.4 and 57.6
        (64, 0.4, 25, 38),  # 25.6 and 38.4
        (64, 0.49, 31, 32),
        (32, 0.3, 9, 22),  # 9.6 and 22.4
        (16, 0.125, 2, 14),
        (128, 0.001, 0, 127),
    ],
)
def test_center_scale_moves_the_holes_border(size: int, scale: float, low: int, high: int) -> None:
    mask = masks.make_mask("center", size, center_scale=scale)
    wanted = by_pixel(size, lambda y, x: not (low <= y < high and low <= x < high))
    np.testing.assert_array_equal(mask, wanted)


@pytest.mark.parametrize("size", SIZES)
def test_left_misses_the_left_half(size: int) -> None:
    mask = masks.make_mask("left", size)
    np.testing.assert_array_equal(mask, by_pixel(size, lambda y, x: x >= size / 2))


HALVES: dict[str, Callable[[int, int, int], bool]] = {
    "left": lambda y, x, size: x >= size / 2,
    "right": lambda y, x, size: x < size / 2,
    "top": lambda y, x, size: y >= size / 2,
    "bottom": lambda y, x, size: y < size / 2,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", HALVES)
def test_a_side_misses_that_half(side: str, size: int) -> None:
    mask = masks.make_mask(side, size)
    np.testing.assert_array_equal(mask, by_pixel(size, lambda y, x: HALVES[side](y, x, size)))


def test_half_misses_each_side_as_often(random: np.random.Generator) -> None:
    sides = {masks.make_mask(side, 16).tobytes(): side for side in HALVES}
    drawn = [sides[masks.make_mask("half", 16, random=random).tobytes()] for _ in range(2000)]
    for side in HALVES:
        assert abs(drawn.count(side) - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75)


@pytest.mark.parametrize("size", SIZES)
def test_full_misses_nothing(size: int) -> None:
    np.testing.assert_array_equal(masks.make_mask("full", size), by_pixel(size, lambda y, x: True))


@pytest.mark.parametrize("size", SIZES)
def test_grid_knows_every_fourth_pixel_in_both_directions(size: int) -> None:
    mask = masks.make_mask("grid", size)
    np.testing.assert_array_equal(mask, by_pixel(size, lambda y, x: y % 4 == 0 and x % 4 == 0))
    assert mask.sum() == size**2 / 16


@pytest.mark.parametrize("size", SIZES)
def test_lowres_knows_every_block_of_eight(size: int) -> None:
    mask = masks.make_mask("lowres", size)
    np.testing.assert_array_equal(mask, by_pixel(size // 8, lambda y, x: True))


@pytest.mark.parametrize("mask_type", masks.MASK_TYPES)
def test_masks_are_float32_zeros_and_ones(mask_type: str, random: np.random.Generator) -> None:
    mask = masks.make_mask(mask_type, 32, random=random)
    assert mask.dtype == np.float32
    assert set(np.unique(mask)) <= {0, 1}


# --- random ---


@pytest.mark.parametrize("size", SIZES)
def test_random_misses_a_fifth_of_the_pixels(size: int, random: np.random.Generator) -> None:
    mask = masks.make_mask("random", size, random=random)
    assert mask.shape == (size, size, 1)
    deviation = np.sqrt(0.2 * 0.8 / size**2)  # of a binomial share
    assert abs((mask == 0).mean() - 0.2) < 5 * deviation


def test_random_misses_each_pixel_by_itself(random: np.random.Generator) -> None:
    missing = np.stack([masks.make_mask("random", 16, random=random) == 0 for _ in range(2000)])
    deviation = np.sqrt(0.2 * 0.8 / 2000)
    assert np.abs(missing.mean(axis=0) - 0.2).max() < 6 * deviation
    # Neighbours go missing together as often as chance has it.
    both = (missing[:, :, :-1] & missing[:, :, 1:]).mean()
    assert abs(both - 0.04) < 0.001


def test_random_is_a_function_of_its_generator() -> None:
    def mask(seed: int) -> np.ndarray:
        return masks.make_mask("random", 32, random=np.random.default_rng(seed))

    np.testing.assert_array_equal(mask(1), mask(1))
    assert (mask(1) != mask(2)).mean() == pytest.approx(2 * 0.2 * 0.8, abs=0.08)


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.8])
def test_fraction_is_the_share_of_random_pixels(
    fraction: float, random: np.random.Generator
) -> None:
    missing = masks.make_mask("random", 128, fraction=fraction, random=random) == 0
    deviation = np.sqrt(fraction * (1 - fraction) / 128**2)
    assert abs(missing.mean() - fraction) < 5 * deviation


def test_random_types_need_a_generator_and_types_are_known() -> None:
    for mask_type in masks.MASK_TYPES:
        if mask_type in masks.RANDOM_TYPES:
            with pytest.raises(ValueError, match=f"a {mask_type} mask needs a generator"):
                masks.make_mask(mask_type, 16)
        else:
            masks.make_mask(mask_type, 16)
    with pytest.raises(ValueError, match=r"'diagonal'.*center.*lowres"):
        masks.make_mask("diagonal", 16)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, np.nan])
def test_fraction_is_a_share(fraction: float, random: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=f"fraction {fraction} is not between 0 and 1"):
        masks.make_mask("random", 16, fraction=fraction, random=random)


# --- pattern ---


@pytest.mark.parametrize("size", [*SIZES, 17])
def test_pattern_misses_exactly_a_quarter(size: int, random: np.random.Generator) -> None:
    for _ in range(5):
        missing = masks.make_mask("pattern", size, random=random) == 0
        assert missing.shape == (size, size, 1)
        assert missing.sum() == round(size * size / 4)


def test_pattern_is_a_function_of_its_generator() -> None:
    def mask(seed: int) -> np.ndarray:
        return masks.make_mask("pattern", 64, random=np.random.default_rng(seed))

    np.testing.assert_array_equal(mask(1), mask(1))
    assert (mask(1) != mask(2)).mean() == pytest.approx(2 * 0.25 * 0.75, abs=0.15)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_pattern_misses_blobs_that_grow_with_the_size(
    size: int, random: np.random.Generator
) -> None:
    missing = np.stack([masks.make_mask("pattern", size, random=random) for _ in range(40)])[..., 0]
    missing = missing == 0
    # Noise of single pixels changes at 3/8 of all steps. Smoothed noise, normal with a correlation
    # of 1 - (step / scale)^2 / 4, crosses its upper quartile at exp(-0.6745^2 / 2) / pi of
    # sqrt(1 / 2) / scale of them (Rice's formula).
    wanted = np.exp(-(0.6745**2) / 2) / np.pi * np.sqrt(0.5) / (size / 16)
    for axis in (1, 2):
        assert np.diff(missing, axis=axis).mean() == pytest.approx(wanted, rel=0.2)
    number = [ndimage.label(m)[1] for m in missing]
    assert 2 <= np.mean(number) <= 20


def test_pattern_is_anywhere_as_often(random: np.random.Generator) -> None:
    missing = np.stack([masks.make_mask("pattern", 16, random=random) for _ in range(1500)]) == 0
    deviation = np.sqrt(0.25 * 0.75 / 1500)
    assert np.abs(missing.mean(axis=0) - 0.25).max() < 6 * deviation
    # No pixel has to do with the one at the opposite border.
    both = (missing[:, :, 0] & missing[:, :, -1]).mean()
    assert abs(both - 0.25**2) < 0.02


# --- averages of blocks ---


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("block", [1, 2, 8, 16])
def test_block_averages(block: int, channels: int, random: np.random.Generator) -> None:
    images = random.uniform(-1, 1, [3, 32, 16, channels])
    wanted = averages(images, block)
    np.testing.assert_allclose(masks.block_average(images, block), wanted, rtol=0, atol=1e-14)


# --- growing the hole ---


def distances(targets: np.ndarray) -> np.ndarray:
    """The distance of every pixel of [H, W, 1] to the next target, by trying all."""
    places = np.argwhere(targets[..., 0])
    result = np.full(targets.shape, np.inf)
    for y, x in np.ndindex(targets.shape[:2]):
        for place in places:
            result[y, x] = min(result[y, x], np.hypot(*(place - (y, x))))
    return result


def random_masks(number: int, size: int, random: np.random.Generator) -> np.ndarray:
    """Masks of a few missing pixels each, the first without any, [N, S, S, 1]."""
    result = np.ones([number, size, size, 1], np.float32)
    for i, mask in enumerate(result):
        mask[tuple(random.integers(0, size, [2, i]))] = 0
    return result


@pytest.mark.parametrize("pixels", [0, 1, 2, 3, 5])
def test_dilated_holes_are_discs(pixels: int, random: np.random.Generator) -> None:
    mask = random_masks(5, 17, random)
    wanted = np.stack([distances(m == 0) > pixels for m in mask])
    grown = masks.dilate(mask, pixels)
    np.testing.assert_array_equal(grown, wanted)
    assert grown.dtype == np.float32
    np.testing.assert_array_equal(masks.dilate(mask[-1], pixels), grown[-1])
    assert pixels == 0 or (grown < mask)[1:].any(axis=(1, 2, 3)).all()


def test_masks_grow_each_for_itself() -> None:
    mask = np.ones([3, 8, 8, 1], np.float32)
    mask[1, 4, 4] = 0
    np.testing.assert_array_equal(masks.dilate(mask, 3).sum(axis=(1, 2, 3)), [64, 64 - 29, 64])


def test_feather_ramp_follow_the_distances(random: np.random.Generator) -> None:
    mask = random_masks(4, 17, random)
    grown = masks.dilate(mask, 4)
    weights = masks.feather_ramp(mask, grown)
    assert weights.dtype == np.float32
    assert weights.shape == mask.shape
    assert (weights[grown == 1] == 0).all()
    assert (weights[mask == 0] == 1).all()
    ring = (grown == 0) & (mask == 1)
    assert ((weights > 0) & (weights < 1))[ring].all()
    photo = np.stack([distances(m == 1) for m in grown])
    hole = np.stack([distances(m == 0) for m in mask])
    wanted = photo[ring] / (photo[ring] + hole[ring])
    np.testing.assert_allclose(weights[ring], wanted, rtol=1e-6)


def test_the_ramp_rises_steadily_into_the_hole() -> None:
    mask = masks.make_mask("center", 32)
    weights = masks.feather_ramp(mask, masks.dilate(mask, 3))[16, :, 0]
    np.testing.assert_allclose(weights[4:9], [0, 0.25, 0.5, 0.75, 1], rtol=1e-6)
    assert (np.diff(weights[:16]) >= 0).all()
    assert (np.diff(weights[16:]) <= 0).all()
    left = masks.make_mask("left", 32)  # no ramp at the image's border
    weights = masks.feather_ramp(left, masks.dilate(left, 3))[5, :, 0]
    np.testing.assert_allclose(weights[14:21], [1, 1, 0.75, 0.5, 0.25, 0, 0], rtol=1e-6)


def test_feather_ramp_without_a_ring() -> None:
    center, full = masks.make_mask("center", 16), masks.make_mask("full", 16)
    np.testing.assert_array_equal(masks.feather_ramp(center, center), 1 - center)
    np.testing.assert_array_equal(masks.feather_ramp(full, full), 0 * full)
    # Everything goes missing: nothing is left to which a ramp could lead.
    np.testing.assert_array_equal(masks.feather_ramp(center, 0 * center), full)
    with pytest.raises(ValueError, match="grown hole"):
        masks.feather_ramp(center, full)


# --- importance weights ---


def counted_weights(mask: np.ndarray, window: int) -> np.ndarray:
    """Weights of [H, W, 1] by counting the neighbours one by one."""
    height, width, _ = mask.shape
    result = np.zeros(mask.shape)
    reach = window // 2
    for y, x in np.ndindex(height, width):
        number = missing = 0
        for v in range(y - reach, y + reach + 1):
            for u in range(x - reach, x + reach + 1):
                if 0 <= v < height and 0 <= u < width:
                    number += 1
                    missing += mask[v, u, 0] == 0
        if mask[y, x, 0] == 1:
            result[y, x] = missing / number
    return result


@pytest.mark.parametrize("window", [1, 3, 7, 31])
@pytest.mark.parametrize("mask_type", ["center", "random", "top", "grid", "pattern", "full"])
def test_importance_weights_count_the_missing_neighbours(
    mask_type: str, window: int, random: np.random.Generator
) -> None:
    batch = np.stack([masks.make_mask(mask_type, 16, random=random) for _ in range(3)])
    batch[1] = 0
    batch = batch[:, :12]
    weights = masks.importance_weights(batch, window)
    assert weights.dtype == np.float32
    wanted = np.stack([counted_weights(mask, window) for mask in batch])
    np.testing.assert_allclose(weights, wanted, rtol=1e-6)
    np.testing.assert_array_equal(masks.importance_weights(batch[0], window), weights[0])
    if window == 7:
        np.testing.assert_array_equal(masks.importance_weights(batch), weights)


@pytest.mark.parametrize("weighted", [0, 0.3, 1])
def test_contextual_weights_keep_the_masks_sum(
    weighted: float, random: np.random.Generator
) -> None:
    batch = np.stack([masks.make_mask("random", 16, random=random) for _ in range(3)])
    batch[1, :4] = 0
    weights = masks.contextual_weights(batch, weighted)
    assert weights.dtype == np.float32
    for mask, found in zip(batch, weights, strict=True):
        importance = counted_weights(mask, 7)
        wanted = mask * (1 - weighted) + weighted * importance * mask.sum() / importance.sum()
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        assert found.sum() == pytest.approx(mask.sum(), rel=1e-5)
        np.testing.assert_allclose(masks.contextual_weights(mask, weighted), found, rtol=1e-6)


@pytest.mark.parametrize("weighted", [0, 0.5, 1])
def test_without_a_hole_boundary_the_weights_are_the_mask(weighted: float) -> None:
    batch = np.stack([np.ones([8, 8, 1]), np.zeros([8, 8, 1])]).astype(np.float32)
    np.testing.assert_array_equal(masks.contextual_weights(batch, weighted), batch)


def test_weights_need_an_odd_window_and_a_share() -> None:
    mask = masks.make_mask("center", 16)
    for window in (0, 4, -3):
        with pytest.raises(ValueError, match=f"window {window} is not an odd number"):
            masks.importance_weights(mask, window)
    for weighted in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="from 0 to 1"):
            masks.contextual_weights(mask, weighted)


def test_nearness_falls_with_the_distance_to_what_is_known() -> None:
    mask = np.zeros([2, 16, 16, 1], np.float32)
    mask[0, 3, 4] = 1
    mask[1, :, :8] = 1
    near = masks.nearness(mask, 2.0)
    assert near.dtype == np.float32
    rows, columns = np.indices([16, 16])
    far = np.maximum(np.hypot(rows - 3, columns - 4) - 1, 0)
    np.testing.assert_allclose(near[0, ..., 0], np.exp(-((far / 2) ** 2)), rtol=1e-5)
    np.testing.assert_array_equal(near[1, :, :9], 1)
    np.testing.assert_allclose(near[1, 0, 10, 0], np.exp(-1))  # three pixels from a known one
    np.testing.assert_array_equal(masks.nearness(np.zeros([4, 4, 1], np.float32), 2.0), 0)
