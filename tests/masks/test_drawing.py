"""Shapes of holes against their definitions, pixel by pixel."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from dcgan_completion.masks import drawing

SIZES = (16, 32, 64, 128)
EIGHT_NEIGHBOURS = np.ones([3, 3])


def by_pixel(size: int, known: Callable[[int, int], bool]) -> np.ndarray:
    """A hole from what its definition says is known at row y and column x."""
    return np.array([[not known(y, x) for x in range(size)] for y in range(size)])


# --- each type ---


def test_the_types_are_the_issues() -> None:
    reference = {"center", "random", "left", "full", "grid", "lowres"}
    assert set(drawing.MASK_TYPES) == reference | {"right", "top", "bottom", "half", "pattern"}
    assert len(drawing.MASK_TYPES) == 11


@pytest.mark.parametrize("size", SIZES)
def test_center_misses_a_square_of_half_the_width(size: int) -> None:
    quarter = size // 4

    def known(y: int, x: int) -> bool:
        return not (quarter <= y < size - quarter and quarter <= x < size - quarter)

    mask = drawing.draw("center", size)
    np.testing.assert_array_equal(mask, by_pixel(size, known))
    assert mask.sum() == size**2 / 4


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
    mask = drawing.draw("center", size, center_scale=scale)
    wanted = by_pixel(size, lambda y, x: not (low <= y < high and low <= x < high))
    np.testing.assert_array_equal(mask, wanted)


HALVES: dict[str, Callable[[int, int, int], bool]] = {
    "left": lambda y, x, size: x >= size / 2,
    "right": lambda y, x, size: x < size / 2,
    "top": lambda y, x, size: y >= size / 2,
    "bottom": lambda y, x, size: y < size / 2,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", HALVES)
def test_a_side_misses_that_half(side: str, size: int) -> None:
    mask = drawing.draw(side, size)
    np.testing.assert_array_equal(mask, by_pixel(size, lambda y, x: HALVES[side](y, x, size)))


def test_half_misses_each_side_as_often(random: np.random.Generator) -> None:
    sides = {drawing.draw(side, 16).tobytes(): side for side in HALVES}
    drawn = [sides[drawing.draw("half", 16, rng=random).tobytes()] for _ in range(2000)]
    for side in HALVES:
        assert abs(drawn.count(side) - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75)


@pytest.mark.parametrize("size", SIZES)
def test_full_misses_nothing(size: int) -> None:
    np.testing.assert_array_equal(drawing.draw("full", size), by_pixel(size, lambda y, x: True))


@pytest.mark.parametrize("size", SIZES)
def test_grid_knows_every_fourth_pixel_in_both_directions(size: int) -> None:
    mask = drawing.draw("grid", size)
    np.testing.assert_array_equal(mask, by_pixel(size, lambda y, x: y % 4 == 0 and x % 4 == 0))
    assert mask.sum() == size**2 * 15 / 16


@pytest.mark.parametrize("size", SIZES)
def test_lowres_knows_every_block_of_eight(size: int) -> None:
    mask = drawing.draw("lowres", size)
    np.testing.assert_array_equal(mask, by_pixel(size // 8, lambda y, x: True))


@pytest.mark.parametrize("mask_type", drawing.MASK_TYPES)
def test_holes_are_bool(mask_type: str, random: np.random.Generator) -> None:
    assert drawing.draw(mask_type, 32, rng=random).dtype == bool


# --- random ---


@pytest.mark.parametrize("size", SIZES)
def test_random_misses_a_fifth_of_the_pixels(size: int, random: np.random.Generator) -> None:
    mask = drawing.draw("random", size, rng=random)
    assert mask.shape == (size, size)
    deviation = np.sqrt(0.2 * 0.8 / size**2)  # of a binomial share
    assert abs(mask.mean() - 0.2) < 5 * deviation


def test_random_misses_each_pixel_by_itself(random: np.random.Generator) -> None:
    missing = np.stack([drawing.draw("random", 16, rng=random) for _ in range(2000)])
    deviation = np.sqrt(0.2 * 0.8 / 2000)
    assert np.abs(missing.mean(axis=0) - 0.2).max() < 6 * deviation
    # Neighbours go missing together as often as chance has it.
    both = (missing[:, :, :-1] & missing[:, :, 1:]).mean()
    assert abs(both - 0.04) < 0.001


def test_random_is_a_function_of_its_generator() -> None:
    def mask(seed: int) -> np.ndarray:
        return drawing.draw("random", 32, rng=np.random.default_rng(seed))

    np.testing.assert_array_equal(mask(1), mask(1))
    assert (mask(1) != mask(2)).mean() == pytest.approx(2 * 0.2 * 0.8, abs=0.08)


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.8])
def test_fraction_is_the_share_of_random_pixels(
    fraction: float, random: np.random.Generator
) -> None:
    missing = drawing.draw("random", 128, fraction=fraction, rng=random)
    deviation = np.sqrt(fraction * (1 - fraction) / 128**2)
    assert abs(missing.mean() - fraction) < 5 * deviation


def test_random_types_need_a_generator_and_types_are_known() -> None:
    for mask_type in drawing.MASK_TYPES:
        if mask_type in drawing.RANDOM_TYPES:
            with pytest.raises(ValueError, match=f"a {mask_type} mask needs an rng"):
                drawing.draw(mask_type, 16)
        else:
            drawing.draw(mask_type, 16)
    with pytest.raises(ValueError, match=r"'diagonal'.*center.*lowres"):
        drawing.draw("diagonal", 16)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, np.nan])
def test_fraction_is_a_share(fraction: float, random: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=f"fraction {fraction} is not between 0 and 1"):
        drawing.draw("random", 16, fraction=fraction, rng=random)


# --- pattern ---


@pytest.mark.parametrize("size", [*SIZES, 17])
def test_pattern_misses_exactly_a_quarter(size: int, random: np.random.Generator) -> None:
    for _ in range(5):
        missing = drawing.draw("pattern", size, rng=random)
        assert missing.shape == (size, size)
        assert missing.sum() == round(size * size / 4)


def test_pattern_is_a_function_of_its_generator() -> None:
    def mask(seed: int) -> np.ndarray:
        return drawing.draw("pattern", 64, rng=np.random.default_rng(seed))

    np.testing.assert_array_equal(mask(1), mask(1))
    assert (mask(1) != mask(2)).mean() == pytest.approx(2 * 0.25 * 0.75, abs=0.15)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_pattern_misses_blobs_that_grow_with_the_size(
    size: int, random: np.random.Generator
) -> None:
    missing = np.stack([drawing.draw("pattern", size, rng=random) for _ in range(40)])
    # Noise of single pixels changes at 3/8 of all steps. Smoothed noise, normal with a correlation
    # of 1 - (step / scale)^2 / 4, crosses its upper quartile at exp(-0.6745^2 / 2) / pi of
    # sqrt(1 / 2) / scale of them (Rice's formula).
    wanted = np.exp(-(0.6745**2) / 2) / np.pi * np.sqrt(0.5) / (size / 16)
    for axis in (1, 2):
        assert np.diff(missing, axis=axis).mean() == pytest.approx(wanted, rel=0.2)
    number = [ndimage.label(m)[1] for m in missing]
    assert 2 <= np.mean(number) <= 20


def test_pattern_is_anywhere_as_often(random: np.random.Generator) -> None:
    missing = np.stack([drawing.draw("pattern", 16, rng=random) for _ in range(1500)])
    deviation = np.sqrt(0.25 * 0.75 / 1500)
    assert np.abs(missing.mean(axis=0) - 0.25).max() < 6 * deviation
    # No pixel has to do with the one at the opposite border.
    both = (missing[:, :, 0] & missing[:, :, -1]).mean()
    assert abs(both - 0.25**2) < 0.02


# --- brush strokes ---


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [0.75, 1.5, 4])
def test_a_stroke_is_in_one_piece_and_covers_its_corners(
    size: int, radius: float, random: np.random.Generator
) -> None:
    for _ in range(20):
        path = random.uniform(0, size - 1, [4, 2])
        covered = drawing.strokes(path[:, ::-1], radius, (size, size))
        assert ndimage.label(covered, EIGHT_NEIGHBOURS)[1] == 1
        rows, columns = np.rint(path).astype(int).T
        assert covered[rows, columns].all()


def test_a_stroke_covers_what_is_near_to_points_close_together_on_its_path(
    random: np.random.Generator,
) -> None:
    pixels = np.stack(np.mgrid[:32, :32], axis=-1).astype(float)
    for radius in (0.75, 2.3, 5.1):
        path = random.uniform(0, 31, [5, 2])
        share = np.linspace(0, 1, 2001)[:, np.newaxis]
        points = np.concatenate(
            [start + share * (end - start) for start, end in itertools.pairwise(path)]
        )
        distance = np.min(
            [np.hypot(*(pixels - point).transpose(2, 0, 1)) for point in points], axis=0
        )
        covered = drawing.strokes(path[:, ::-1], radius, (32, 32))
        certain = np.abs(distance - radius) > 0.02
        np.testing.assert_array_equal(covered[certain], (distance <= radius)[certain])


def test_a_stroke_of_one_point_is_a_disc() -> None:
    covered = drawing.strokes(np.array([[5.0, 8.0], [5.0, 8.0]]), 3, (16, 16))
    rows, columns = np.mgrid[:16, :16]
    np.testing.assert_array_equal(covered, (rows - 8) ** 2 + (columns - 5) ** 2 <= 9)
