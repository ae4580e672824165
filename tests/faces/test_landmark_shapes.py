"""Hidden landmarks are inferred from the visible ones by a Gaussian of faces' shapes."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion.faces.landmark_shapes import COMPONENTS, MEAN, MIN_VISIBLE, infer_hidden

MIRROR = np.r_[
    np.arange(16, -1, -1), np.arange(26, 16, -1), 27:31, np.arange(35, 30, -1), 45:41:-1, 47, 46,
    39:35:-1, 41, 40, np.arange(54, 47, -1), np.arange(59, 54, -1), np.arange(64, 59, -1),
    67, 66, 65,
]  # fmt: skip
MOUTH = np.arange(68) >= 48
EYES = (np.arange(68) >= 36) & ~MOUTH


def drawn(random: np.random.Generator) -> np.ndarray:
    """A face's shape as the Gaussian has it, in some place of a photo."""
    shape = MEAN + (random.standard_normal(len(COMPONENTS)) @ COMPONENTS).reshape(68, 2)
    return placed(shape, 90 * np.exp(1j * random.uniform(-0.5, 0.5)), 300 + 200j)


def nearest(points: np.ndarray, aim: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Points turned, scaled and moved, by least squares over some of them."""
    some, others = (p @ np.array([1, 1j]) for p in (points, aim))
    design = np.stack([some, np.ones_like(some)], axis=1)[where]
    return placed(points, *np.linalg.lstsq(design, others[where], rcond=None)[0])


def placed(points: np.ndarray, factor: complex, shift: complex) -> np.ndarray:
    moved = (points[:, 0] + 1j * points[:, 1]) * factor + shift
    return np.stack([moved.real, moved.imag], axis=1)


def test_the_mean_face_is_like_its_mirror_image_and_the_components_are_apart() -> None:
    flipped = MEAN[MIRROR] * [-1, 1]
    np.testing.assert_allclose(nearest(flipped, MEAN, np.ones(68, bool)), MEAN, atol=0.002)
    assert (np.diff(np.linalg.norm(COMPONENTS, axis=1)) < 0).all()
    products = COMPONENTS @ COMPONENTS.T
    np.testing.assert_allclose(products - np.diag(np.diag(products)), 0, atol=1e-3)


@pytest.mark.parametrize("hidden", [MOUTH, EYES, np.arange(68) % 2 == 0])
def test_hidden_landmarks_are_found_from_the_others(
    hidden: np.ndarray, random: np.random.Generator
) -> None:
    errors, of_mean = [], []
    for _ in range(20):
        truth = drawn(random)
        points = np.where(hidden[:, np.newaxis], random.uniform(0, 500, [68, 2]), truth)
        found = infer_hidden(points, hidden)
        np.testing.assert_array_equal(found[~hidden], points[~hidden])
        mean = nearest(MEAN, truth, ~hidden)
        errors.append(np.square(found - truth)[hidden].mean())
        of_mean.append(np.square(mean - truth)[hidden].mean())
    assert np.mean(errors) < 0.4 * np.mean(of_mean)


def test_what_is_hidden_does_not_matter_and_the_place_of_the_face_neither(
    random: np.random.Generator,
) -> None:
    points = drawn(random) + random.standard_normal([68, 2])
    other = np.where(MOUTH[:, np.newaxis], -7.0, points)
    found = infer_hidden(points, MOUTH)
    np.testing.assert_array_equal(infer_hidden(other, MOUTH), found)
    move = 3 * np.exp(0.7j), -40 + 5j
    again = infer_hidden(placed(points, *move), MOUTH)
    np.testing.assert_allclose(again, placed(found, *move), atol=1e-6)


def test_nothing_changes_where_nothing_is_hidden_or_nearly_all(
    random: np.random.Generator,
) -> None:
    points = drawn(random)
    few = np.arange(68) >= MIN_VISIBLE - 1
    for hidden in (np.zeros(68, bool), few, np.ones(68, bool)):
        np.testing.assert_array_equal(infer_hidden(points, hidden), points)
