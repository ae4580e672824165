"""Walks: their ends, their speed, their closure, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion.latent import walks

PATHS = ("straight", "spherical")


def angles(way: np.ndarray) -> np.ndarray:
    """Angles between consecutive vectors."""
    unit = way / np.linalg.norm(way, axis=1, keepdims=True)
    return np.arccos(np.clip((unit[:-1] * unit[1:]).sum(axis=1), -1, 1))


def steps(way: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(way, axis=0), axis=1)


@pytest.mark.parametrize("path", PATHS)
def test_a_walk_starts_and_ends_at_its_ends(path: str, random: np.random.Generator) -> None:
    for number in (2, 3, 6):
        points = random.uniform(-1, 1, [number, 10])
        way = walks.walk(points, 37, path)
        np.testing.assert_allclose(way[[0, -1]], points[[0, -1]], rtol=0, atol=1e-12)


def test_a_straight_walk_over_several_segments_has_equal_distances() -> None:
    # Segments of lengths 1, 5 and 6, at right angles: 25 frames are half a unit apart, and pass
    # through all corners.
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1, 5, 0], [1, 5, 6]])
    way = walks.walk(points, 25)
    np.testing.assert_allclose(steps(way), 0.5, rtol=1e-12)
    np.testing.assert_allclose(way[[2, 12]], points[1:3], atol=1e-12)
    np.testing.assert_allclose(way[1], [0.5, 0, 0], atol=1e-12)


def test_a_spherical_walk_between_vectors_of_one_length_has_a_constant_speed(
    random: np.random.Generator,
) -> None:
    points = random.standard_normal([4, 20])
    points *= 3 / np.linalg.norm(points, axis=1, keepdims=True)
    way = walks.walk(points, 2000, "spherical")
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 3, rtol=1e-12)
    # But for the frames on both sides of a corner, whose chord is shorter.
    np.testing.assert_allclose(np.sort(steps(way))[2:], np.median(steps(way)), rtol=1e-4)
    total = angles(points).sum()
    np.testing.assert_allclose(np.median(angles(way)), total / 1999, rtol=1e-3)


def test_a_spherical_segment_turns_by_equal_angles_and_interpolates_lengths(
    random: np.random.Generator,
) -> None:
    a, b = 2 * random.standard_normal(8), random.standard_normal(8)
    way = walks.walk(np.stack([a, b]), 9, "spherical")
    np.testing.assert_allclose(angles(way), angles(np.stack([a, b]))[0] / 8, rtol=1e-6)
    lengths = np.linspace(np.linalg.norm(a), np.linalg.norm(b), 9)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), lengths, rtol=1e-12)
    # It stays in the plane of both.
    assert np.linalg.matrix_rank(way, tol=1e-9) == 2


def test_the_length_of_a_spherical_segment_is_that_of_a_spiral() -> None:
    # r = 1 + t, angle pi / 2 t: the integral of sqrt(1 + (pi / 2)^2 (1 + t)^2) over t in 0..1.
    k = np.pi / 2
    u = k * np.array([1.0, 2.0])
    ends = (u * np.sqrt(1 + u**2) + np.arcsinh(u)) / (2 * k)
    found = walks.segment_length(np.array([1.0, 0]), np.array([0, 2.0]), "spherical")
    assert found == pytest.approx(ends[1] - ends[0], rel=1e-5)


@pytest.mark.parametrize("path", PATHS)
def test_the_last_frame_of_a_loop_leads_to_the_first(
    path: str, random: np.random.Generator
) -> None:
    points = random.uniform(-1, 1, [3, 6])
    loop = walks.walk(points, 30, path, loop=True)
    closed = walks.walk(np.concatenate([points, points[:1]]), 31, path)
    np.testing.assert_allclose(loop, closed[:-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(closed[-1], loop[0], rtol=0, atol=1e-12)
    assert steps(loop).min() > 0


def test_points_without_a_plane_are_joined_by_lines() -> None:
    for a, b in (([1.0, 2], [-2.0, -4]), ([0.0, 0], [1.0, 1]), ([1.0, 1], [3.0, 3])):
        ends = np.array([a, b])
        np.testing.assert_allclose(
            walks.walk(ends, 5, "spherical"), walks.walk(ends, 5), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("path", PATHS)
def test_a_walk_that_does_not_move_stays(path: str) -> None:
    points = np.full([3, 4], 0.5)
    np.testing.assert_allclose(walks.walk(points, 4, path), np.full([4, 4], 0.5), rtol=1e-12)
    np.testing.assert_allclose(walks.walk(points[:2], 1, path), points[:1], rtol=1e-12)


def test_straight_walks_stay_in_the_cube_and_spherical_ones_may_leave_it() -> None:
    ends = np.array([[1.0, 0.2], [0.2, 1.0]])
    assert np.abs(walks.walk(ends, 50)).max() <= 1
    corner = np.array([[1.0, 0.9], [0.9, 1.0], [-1.0, 1.0]])
    assert np.abs(walks.walk(corner, 50, "spherical")).max() > 1
