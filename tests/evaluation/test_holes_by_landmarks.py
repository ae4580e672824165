"""Holes over parts of a face: against hulls and distances by scipy, and under shifts and turns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull, Delaunay, cKDTree

from dcgan_completion.evaluation import photo_holes
from dcgan_completion.evaluation.photo_holes import draw_hole
from dcgan_completion.faces.placement import alignment_matrix
from dcgan_completion.faces.template import TEMPLATE
from dcgan_completion.settings.alignment import LANDMARK_SETS
from dcgan_completion.settings.evaluation import HOLES

SHAPE = (150, 170)
SIZE = 64
INDICES = list(LANDMARK_SETS["innerEyesAndBottomLip"])
PARTS = {"eyes": slice(36, 48), "nose": slice(27, 36), "mouth": slice(48, 68)}
MARGINS = {"eyes": 0.25, "nose": 0.2, "mouth": 0.2}


def face(scale: float = 80, degrees: float = 20, centre: tuple = (85, 75)) -> np.ndarray:
    """The landmarks of a mean face in a photo, [68, 2]."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return scale * (TEMPLATE - 0.5) @ np.array([[cos, sin], [-sin, cos]]) + centre


def hole_of(
    kind: str, points: np.ndarray, seed: int = 0, shape: tuple[int, int] = SHAPE
) -> np.ndarray:
    matrix = alignment_matrix(points[INDICES], TEMPLATE[INDICES], SIZE)
    return draw_hole(kind, points, matrix, SIZE, shape, np.random.default_rng(seed))


def pixels_of(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """(x, y) of all pixels, [H * W, 2]."""
    y, x = np.indices(shape)
    return np.stack([x.ravel(), y.ravel()], axis=1)


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("degrees", [0, 25, -70])
def test_a_part_is_the_hull_of_its_landmarks_with_a_margin(kind: str, degrees: float) -> None:
    points = face(degrees=degrees)
    hole = hole_of(kind, points).ravel()
    part, pixels = points[PARTS[kind]], pixels_of()
    apart = np.linalg.norm(points[36:42].mean(axis=0) - points[42:48].mean(axis=0))
    edges = part[ConvexHull(part).simplices]  # [n, 2 ends, 2]
    t = np.linspace(0, 1, 500)[:, np.newaxis, np.newaxis]
    border = ((1 - t) * edges[:, 0] + t * edges[:, 1]).reshape(-1, 2)
    away, _ = cKDTree(border).query(pixels)
    inside = Delaunay(part).find_simplex(pixels) >= 0
    margin = MARGINS[kind] * apart
    sure = np.abs(away - margin) > 0.02
    np.testing.assert_array_equal(hole[sure], (inside | (away <= margin))[sure])
    # An eye, the wings of the nose, the mouth: the middle of each other part is left.
    middles = {"eyes": slice(36, 42), "nose": slice(31, 36), "mouth": slice(48, 68)}
    for part, which in middles.items():
        x, y = np.rint(points[which].mean(axis=0)).astype(int)
        assert hole.reshape(SHAPE)[y, x] == (part == kind)


def test_a_half_is_one_of_the_four_of_the_square() -> None:
    points = face(degrees=0, scale=64)
    matrix = alignment_matrix(points[INDICES], TEMPLATE[INDICES], SIZE)
    x, y = (matrix @ np.c_[pixels_of(), np.ones(np.prod(SHAPE))].T).reshape(2, *SHAPE)
    square = (abs(x - 31.5) < 32) & (abs(y - 31.5) < 32)
    halves = [square & half for half in (x < 31.5, x >= 31.5, y < 31.5, y >= 31.5)]
    drawn = set()
    for seed in range(20):
        hole = hole_of("half", points, seed)
        drawn |= {i for i, half in enumerate(halves) if np.array_equal(hole, half)}
        assert any(np.array_equal(hole, half) for half in halves)
    assert drawn == {0, 1, 2, 3}


def test_a_half_of_a_large_face_has_smooth_edges() -> None:
    points = face(scale=640, degrees=10, centre=(500, 450))
    hole = hole_of("half", points, shape=(1000, 1000))
    assert hole.sum() == pytest.approx(640**2 / 2, rel=0.01)


def test_a_stroke_crosses_the_square_and_is_the_seeds() -> None:
    points = face(scale=80, degrees=0)
    for seed in range(10):
        hole = hole_of("stroke", points, seed)
        np.testing.assert_array_equal(hole, hole_of("stroke", points, seed))
        assert not np.array_equal(hole, hole_of("stroke", points, seed + 1))
        assert 0.01 < hole.sum() / 80**2 < 0.3
        rows, columns = np.nonzero(hole)
        low, high = 85 - 40 - 7, 85 + 40 + 7  # half of the widest stroke is 6.4 pixels
        assert low < columns.min()
        assert columns.max() < high
        # It has pixels on both sides of a middle line: it goes from one quarter to the opposite.
        assert columns.min() < 85 < columns.max()
        assert rows.min() < 75 < rows.max()


@pytest.mark.parametrize("kind", HOLES)
def test_a_face_twice_as_large_has_the_same_hole_twice_as_large(kind: str) -> None:
    points = face()
    small = hole_of(kind, points, seed=3)
    # The centre of pixel i lies at 2 i + 0.5 of the photo enlarged.
    large = hole_of(kind, 2 * points + 0.5, 3, (2 * SHAPE[0], 2 * SHAPE[1]))
    shares = large.reshape(SHAPE[0], 2, SHAPE[1], 2).mean(axis=(1, 3))
    assert abs(shares - small).max() <= 0.75
    assert abs(shares - small).sum() < 0.1 * small.sum()


@pytest.mark.parametrize("kind", HOLES)
def test_a_hole_at_the_border_is_cut_off(kind: str) -> None:
    whole = hole_of(kind, face(centre=(55, 60)), 5)
    moved = hole_of(kind, face(centre=(25, 25)), 5)
    np.testing.assert_array_equal(moved[:-35, :-30], whole[35:, 30:])
    assert moved.any()


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'ears' is not one of eyes, nose, mouth, half, stroke"):
        hole_of("ears", face())
    assert set(photo_holes.PARTS) < set(HOLES)
