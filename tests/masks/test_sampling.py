"""Random masks for the context encoder: what they miss, how often, and from which numbers."""

from __future__ import annotations

import collections

import numpy as np
import pytest
from scipy import ndimage

from dcgan_completion.masks import sampling

SIZES = (16, 32, 64, 128)
EIGHT_NEIGHBOURS = np.ones([3, 3])


def draw(kind: str, size: int, number: int, seed: int = 0) -> np.ndarray:
    """What some masks of a kind miss, bool [number, size, size]."""
    random = np.random.default_rng(seed)
    return np.stack([sampling.KINDS[kind](size, random) for _ in range(number)])


# --- batches ---


def test_equal_seeds_and_steps_give_equal_masks_and_others_others() -> None:
    first = sampling.draw_masks(32, 3, 5, range(8))
    np.testing.assert_array_equal(first, sampling.draw_masks(32, 3, 5, range(8)))
    for other in (sampling.draw_masks(32, 4, 5, range(8)), sampling.draw_masks(32, 3, 6, range(8))):
        assert (first != other).any(axis=(1, 2, 3)).sum() > 4


def test_a_place_has_its_mask_whoever_draws_the_others() -> None:
    whole = sampling.draw_masks(16, 1, 7, range(12))
    parts = [sampling.draw_masks(16, 1, 7, part) for part in (range(6), range(6, 9), [9], [10, 11])]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert len(np.unique(whole.reshape(12, -1), axis=0)) > 6


def test_global_random_numbers_do_not_matter() -> None:
    np.random.seed(1)
    first = sampling.draw_masks(16, 0, 0, range(16))
    state = np.random.get_state()[1].copy()
    np.random.seed(2)
    np.testing.assert_array_equal(first, sampling.draw_masks(16, 0, 0, range(16)))
    np.random.seed(1)
    np.testing.assert_array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize("size", SIZES)
def test_masks_know_something_and_miss_something(size: int) -> None:
    masks = np.concatenate([sampling.draw_masks(size, 0, step, range(32)) for step in range(8)])
    assert masks.shape == (256, size, size, 1)
    assert masks.dtype == bool
    known = masks.mean(axis=(1, 2, 3))
    assert known.min() > 0
    assert known.max() < 1


def test_a_kind_that_leaves_nothing_or_everything_is_mended(
    monkeypatch: pytest.MonkeyPatch, random: np.random.Generator
) -> None:
    monkeypatch.setattr(sampling, "SHARES", {"odd": 1.0})
    for share, pixels in ((False, 1), (True, 255)):
        whole = np.full([16, 16], share)
        monkeypatch.setattr(sampling, "KINDS", {"odd": lambda *_, whole=whole: whole})
        _, mask = sampling.draw_mask(16, random)
        assert mask.sum() == pixels
        assert (whole == share).all()


def test_kinds_come_as_often_as_their_shares_say(random: np.random.Generator) -> None:
    assert set(sampling.SHARES) == set(sampling.KINDS)
    assert sum(sampling.SHARES.values()) == pytest.approx(1)
    number = 3000
    count = collections.Counter(sampling.draw_mask(16, random)[0] for _ in range(number))
    for kind, share in sampling.SHARES.items():
        error = np.sqrt(share * (1 - share) / number)
        assert abs(count[kind] / number - share) < 4 * error, kind


# --- kinds ---


@pytest.mark.parametrize("size", SIZES)
def test_the_usual_central_hole_is_half_as_wide_and_others_are_central_too(size: int) -> None:
    missing = draw("center", size, 80)
    usual = np.zeros([size, size], bool)
    usual[size // 4 : -size // 4, size // 4 : -size // 4] = True
    assert 20 < (missing == usual).all(axis=(1, 2)).sum() < 80
    np.testing.assert_array_equal(missing, missing.transpose(0, 2, 1))
    # To a pixel: an edge of no whole number of pixels is rounded down on both sides.
    edges = missing.any(axis=1)
    margins = [edges.argmax(axis=1), edges[:, ::-1].argmax(axis=1)]
    assert np.abs(np.subtract(*margins)).max() <= 1
    assert len(np.unique(missing.sum(axis=(1, 2)))) > 2


@pytest.mark.parametrize("size", SIZES)
def test_halves_are_the_four_halves(size: int) -> None:
    rows, columns = np.mgrid[:size, :size] < size // 2
    expected = {half.tobytes() for half in (rows, ~rows, columns, ~columns)}
    assert {half.tobytes() for half in draw("half", size, 60)} == expected


@pytest.mark.parametrize("size", SIZES)
def test_patterns_are_blobs_of_a_share_of_the_pixels(size: int) -> None:
    missing = draw("pattern", size, 40)
    share = missing.mean(axis=(1, 2))
    assert np.isclose(share, 0.25, atol=2 / size**2).sum() > 8
    assert 0.09 < share.min() < share.max() < 0.51
    # Neighbours are alike much more often than those of single pixels of that share would be.
    unlike = np.mean(missing[:, 1:] != missing[:, :-1], axis=(1, 2))
    if size > 16:  # there, the finest noise is hardly smoothed
        assert (unlike < 0.7 * 2 * share * (1 - share)).all()


def test_random_pixels_are_independent_and_sometimes_four_fifths_are_missing() -> None:
    missing = draw("random", 64, 200)
    share = missing.mean(axis=(1, 2))
    for usual in (0.2, 0.8):
        assert (np.abs(share - usual) < 4 * np.sqrt(0.16) / 64).sum() > 20
    assert share.min() < 0.15
    assert share.max() > 0.85
    # Two neighbours differ with probability 2 p (1 - p).
    unlike = np.mean(missing[:, 1:] != missing[:, :-1])
    assert unlike == pytest.approx(np.mean(2 * share * (1 - share)), abs=0.003)


@pytest.mark.parametrize("size", SIZES)
def test_grids_know_single_pixels_in_equal_steps(size: int) -> None:
    found = set()
    for missing in draw("grid", size, 40):
        rows, columns = np.nonzero(~missing)
        step = int(np.diff(np.unique(rows)).min())
        np.testing.assert_array_equal(rows % step, 0)
        np.testing.assert_array_equal(columns % step, 0)
        assert len(rows) == len(range(0, size, step)) ** 2
        found.add(step)
    assert found == {2, 3, 4}


@pytest.mark.parametrize("size", SIZES)
def test_rectangles_are_full_and_lie_anywhere(size: int) -> None:
    missing = draw("rectangle", size, 1500)
    rows, columns = missing.any(axis=2), missing.any(axis=1)
    np.testing.assert_array_equal(missing.sum(axis=(1, 2)), rows.sum(axis=1) * columns.sum(axis=1))
    assert (ndimage.label(rows[0])[1], ndimage.label(columns[0])[1]) == (1, 1)
    assert max(rows.sum(axis=1).max(), columns.sum(axis=1).max()) <= 0.75 * size
    assert rows.any(axis=0).all()
    assert columns.any(axis=0).all()
    assert (rows.sum(axis=1) != columns.sum(axis=1)).mean() > 0.5


@pytest.mark.parametrize("size", SIZES)
def test_strokes_are_some_pieces_of_many_sizes(size: int) -> None:
    missing = draw("strokes", size, 100)
    pieces = [ndimage.label(one, EIGHT_NEIGHBOURS)[1] for one in missing]
    assert set(pieces) == set(range(1, max(pieces) + 1))
    assert 1 < max(pieces) <= 4
    share = missing.mean(axis=(1, 2))
    assert share.max() > 8 * share.min()
    assert missing.any(axis=0).mean() > 0.99  # anywhere
