"""Random holes in the square around a head."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion.faces import head_masks
from dcgan_completion.faces.template import TEMPLATE

SIZE = 64


def draws(kind: str, number: int = 60) -> np.ndarray:
    rngs = [np.random.default_rng([7, i]) for i in range(number)]
    return np.array([head_masks.draw_kind(kind, SIZE, rng) for rng in rngs])


@pytest.mark.parametrize("kind", list(head_masks.SHARES))
def test_every_kind_misses_something_and_is_drawn_anew(kind: str) -> None:
    holes = draws(kind)
    assert holes.shape == (60, SIZE, SIZE)
    assert holes.dtype == bool
    assert holes.mean(axis=(1, 2)).min() >= head_masks.MIN_SHARE
    assert len(np.unique(holes.reshape(60, -1), axis=0)) > 3


def test_shares_are_probabilities_of_all_kinds() -> None:
    assert sum(head_masks.SHARES.values()) == pytest.approx(1)
    assert set(head_masks.SHARES) == set(head_masks.KINDS)


def test_free_holes_cover_up_to_nine_tenths() -> None:
    shares = draws("free", 200).mean(axis=(1, 2))
    assert shares.max() > 0.85
    assert shares.min() < 0.3
    assert 0.45 < np.median(shares) < 0.75


def test_parts_of_the_face_are_where_the_mean_face_has_them() -> None:
    """The middle of every part is missing, whichever way a hand has moved it."""
    for name, indices in head_masks.PARTS.items():
        centre = SIZE * (0.25 + 0.5 * TEMPLATE[list(indices)].mean(axis=0))
        x, y = np.rint(centre).astype(int)
        holes = [
            head_masks._hull(TEMPLATE[list(indices)], SIZE, 2.0, np.random.default_rng(i))
            for i in range(20)
        ]
        assert all(hole[y, x] for hole in holes), name


def test_holes_outside_leave_the_face() -> None:
    holes = draws("outside")
    assert not holes[:, 28:40, 28:36].any()
    assert holes[:, :6].any()
    assert holes[:, -6:].any()


def test_a_face_is_missing_whole_and_its_surroundings_are_not() -> None:
    holes = draws("face")
    assert holes[:, 28:40, 28:36].all()
    assert not holes[:, :4].any()


def test_a_place_has_the_same_hole_in_every_process() -> None:
    batch = head_masks.draw_masks(SIZE, 3, 11, range(6))
    assert batch.shape == (6, SIZE, SIZE, 1)
    np.testing.assert_array_equal(batch[2:4], head_masks.draw_masks(SIZE, 3, 11, range(2, 4)))
    assert (batch != head_masks.draw_masks(SIZE, 3, 12, range(6))).any()
    assert (batch != head_masks.draw_masks(SIZE, 4, 11, range(6))).any()
