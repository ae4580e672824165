"""The fill at a photo's resolution, against a direct solution and what must hold of it."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion.inpaint import seams
from dcgan_completion.inpaint.blending import poisson_blend
from dcgan_completion.masks.boxes import bounding_box


def pictures(shape: tuple[int, int], channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A photo with edges and noise, and a guess of other colours, uint8 [H, W, C]."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[: shape[0], : shape[1]]
    wave = 120 + 60 * np.sin(x / 9) * np.cos(y / 7) + 30 * (x > y)
    photo = wave[..., np.newaxis] + random.normal(0, 5, [*shape, channels])
    guess = 0.8 * wave[..., np.newaxis] + 40 * np.cos(x / 15 + y / 11)[..., np.newaxis]
    guess = guess + random.normal(0, 2, [*shape, channels])
    return tuple(np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in (photo, guess))


def holes(shape: tuple[int, int]) -> dict[str, np.ndarray]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    height, width = shape
    return {
        "disc": np.hypot(y - height / 2, x - width / 2) < height / 4,
        "at the border": (y > height / 2) & (x > width / 3),
        "all but a column": x > 0,
        "all but a pixel": (x != 20) | (y != 11),
        "scratches": (np.abs(y - x) < 2) | (x == 30),
        "dots": (x % 9 == 3) & (y % 8 == 2),
        "one pixel": (x == 5) & (y == 0),
        "frame": (np.minimum(x, width - 1 - x) < 4) | (np.minimum(y, height - 1 - y) < 3),
    }


@pytest.mark.parametrize("smoothness", [0, 2, 9])
@pytest.mark.parametrize("kind", holes((8, 8)))
def test_a_fill_is_the_direct_solution(kind: str, smoothness: float) -> None:
    shape = (47, 58)
    photo, guess = pictures(shape)
    hole = holes(shape)[kind]
    wanted = poisson_blend(photo[None], hole[..., np.newaxis], guess[None], smoothness)[0]
    result = seams.fill(photo, hole, np.float32(guess), smoothness)
    assert result.dtype == np.float32
    assert np.abs(result - wanted).max() < 0.5
    np.testing.assert_array_equal(result[~hole], photo[~hole])


def test_parts_of_a_hole_are_filled_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (90, 120)
    photo, guess = pictures(shape)
    hole = np.zeros(shape, bool)
    hole[:12, 4:20] = hole[70:, 100:] = hole[50, 3:60] = hole[55:57, 40:90] = True
    hole[62:64, 91:97] = hole[20:22, 40:44] = hole[26:28, 45:48] = True
    together = seams.fill(photo, hole, guess, 3)
    assert len(seams.crops_of(hole)) == 1
    monkeypatch.setattr(seams, "SMALL", 0)
    parts = seams.crops_of(hole)
    assert len(parts) > 3
    covered = np.zeros(shape, int)
    for crop, part in parts:
        covered[crop] += part
    np.testing.assert_array_equal(covered, hole)
    np.testing.assert_allclose(seams.fill(photo, hole, guess, 3), together, atol=0.2)


def test_a_crop_around_the_hole_is_all_that_counts() -> None:
    photo, guess = pictures((60, 70))
    hole = np.zeros([60, 70], bool)
    hole[10:30, 25:40] = hole[0:5, 30:33] = True
    crop = bounding_box(hole, seams.REACH)
    assert crop == (slice(0, 32), slice(23, 42))
    whole = seams.fill(photo, hole, guess, 4)
    part = seams.fill(photo[crop], hole[crop], guess[crop], 4)
    np.testing.assert_allclose(part, whole[crop], atol=1e-3)
    assert photo[bounding_box(np.zeros([60, 70], bool))].size == 0


@pytest.mark.parametrize("smoothness", [0, 5])
def test_a_guess_that_differs_by_a_constant_gives_back_the_photo(smoothness: float) -> None:
    photo = pictures((50, 40))[0].astype(np.float32)
    hole = holes((50, 40))["disc"]
    result = seams.fill(photo, hole, photo - [30, -20, 5], smoothness)
    np.testing.assert_allclose(result, photo, atol=0.1)


def test_a_plane_is_continued_across_the_hole_with_smoothness_at_any_size() -> None:
    # Planes, and those alone, have neither a Laplacian nor a change of gradient to be levelled.
    for edge in (9, 64, 200):
        y, x = np.mgrid[:edge, :edge]
        plane = (20 + 200 * (0.7 * x + 0.3 * y) / edge)[..., np.newaxis]
        hole = np.zeros([edge, edge], bool)
        hole[3:-3, 2:-3] = True
        result = seams.fill(plane, hole, np.zeros([edge, edge, 1]), edge / 10)
        np.testing.assert_allclose(result, plane, atol=0.2)


def test_nothing_under_the_hole_counts_and_no_hole_changes_nothing() -> None:
    photo, guess = pictures((40, 50))
    hole = holes((40, 50))["disc"]
    other = np.where(hole[..., np.newaxis], 255 - photo, photo)
    results = [seams.fill(p, hole, guess, 2) for p in (photo, other)]
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(seams.fill(photo, np.zeros_like(hole), guess, 2), photo)
    np.testing.assert_array_equal(seams.fill(photo, np.ones_like(hole), guess, 2), guess)
