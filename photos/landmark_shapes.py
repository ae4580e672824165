"""Where hidden landmarks of a face are, given the visible ones: a Gaussian of faces' shapes.

dlib places all 68 landmarks, but those under a hole from pixels that are not the face's. A shape is
mean + components s, with s standard normal, turned, scaled and moved (Cootes et al. 1995, Computer
Vision and Image Understanding 61(1)). It was fitted to dlib's landmarks of 1008 photos of LFW and
their mirror images (benchmarks/landmark_shapes.py); none are of those that docs/photos.md measures.
"""

from __future__ import annotations

import numpy as np

NOISE = 0.04  # of the mean face's edge: the error of a visible landmark, the best of 0.01 to 0.04
FEWEST = 8  # visible landmarks, below which nothing is inferred
ROUNDS = 3  # of placing the shape and finding it

# The mean, then the components: x and y of the landmarks, in thousandths of the mean face's edge.
# fmt: off
_SHAPES = np.array([
    [
        [-15, -8, 7, 33, 83, 161, 261, 376, 507, 638, 751, 848, 922, 966, 988, 998, 1000, 92, 150,
         235, 325, 409, 571, 654, 743, 829, 889, 492, 493, 495, 497, 398, 446, 498, 550, 598, 194,
         246, 307, 363, 305, 245, 622, 676, 737, 790, 740, 680, 306, 375, 447, 500, 553, 625, 696,
         630, 560, 503, 446, 374, 336, 447, 501, 554, 666, 556, 502, 447],
        [194, 327, 460, 591, 714, 821, 909, 977, 995, 972, 900, 808, 698, 574, 442, 309, 175, 93,
         35, 14, 22, 54, 51, 16, 4, 22, 78, 152, 235, 318, 404, 467, 484, 499, 482, 463, 177, 147,
         145, 181, 193, 195, 176, 139, 138, 166, 186, 186, 642, 604, 587, 598, 585, 599, 635, 705,
         736, 743, 738, 710, 644, 628, 632, 626, 638, 674, 681, 676],
    ],
    [
        [-90, -85, -84, -80, -66, -46, -23, -3, 5, -3, -24, -47, -67, -80, -84, -85, -89, -15, 1,
         13, 23, 31, 31, 23, 13, 1, -15, 36, 44, 54, 64, 33, 39, 43, 39, 33, -3, 5, 7, 5, 6, 4, 5,
         7, 5, -3, 4, 6, -2, 19, 31, 33, 31, 19, -2, 14, 26, 28, 26, 14, 0, 29, 31, 29, 0, 28, 29,
         28],
        [-10, 3, 13, 22, 24, 21, 14, 5, 0, -5, -13, -20, -22, -19, -10, 1, 13, -3, -4, -6, -5, -3,
         2, 5, 5, 4, 4, -1, -1, -1, -1, 0, -2, -1, 0, -1, -5, -3, -4, -2, -3, -4, 2, 3, 3, 5, 4,
         3, -1, -1, -1, -1, 0, 1, 1, -1, -1, -1, 0, 0, -1, -1, -1, 0, 1, -1, -1, 0],
    ],
    [
        [-5, -4, -2, 0, 3, 5, 4, 2, 0, -2, -4, -6, -4, -2, 1, 2, 3, -5, 0, 2, 0, -1, 1, 0, -2, 0,
         4, 0, 0, 1, 1, -2, -1, 1, 2, 3, -3, -1, 0, -1, -2, -3, 1, 0, 1, 2, 3, 2, 0, 2, 0, 1, 1,
         -1, 0, -1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0],
        [-55, -49, -43, -38, -33, -26, -17, -5, -3, -5, -16, -26, -33, -38, -43, -49, -55, -13,
         -5, 5, 12, 14, 14, 12, 5, -5, -14, 10, 21, 32, 42, 22, 26, 29, 26, 22, -8, -3, -1, -1,
         -1, -2, -1, -1, -3, -8, -2, -1, 3, 19, 26, 28, 26, 19, 3, 10, 15, 16, 15, 10, 7, 22, 24,
         22, 7, 12, 14, 12],
    ],
    [
        [15, 14, 15, 17, 18, 14, 10, 5, 0, -5, -10, -14, -18, -17, -15, -14, -15, 18, 14, 11, 8,
         5, -5, -8, -11, -15, -18, 0, 0, 0, 0, 7, 3, 0, -4, -7, 13, 10, 9, 6, 9, 11, -6, -9, -10,
         -13, -11, -9, 24, 13, 6, 0, -6, -13, -23, -13, -6, 0, 6, 14, 23, 6, 0, -6, -22, -6, 0, 6],
        [3, 2, 1, 0, -1, -1, 0, -1, -1, 0, 0, 0, -1, 0, 2, 2, 4, -9, -9, -10, -11, -11, -11, -11,
         -10, -8, -8, -6, -8, -10, -12, -4, -4, -7, -4, -3, -4, -6, -6, -6, -4, -4, -6, -6, -5,
         -4, -3, -4, 18, 9, 4, 4, 4, 10, 19, 13, 12, 11, 11, 13, 16, 7, 6, 7, 17, 9, 8, 9],
    ],
    [
        [-8, -7, -7, -7, -8, -8, -5, -2, 0, 2, 5, 8, 8, 8, 7, 7, 8, -3, -3, -1, 0, 2, -3, 0, 1, 3,
         4, 0, 0, 0, 0, 3, 1, 0, -1, -2, -1, -1, -1, -1, 0, -1, 1, 1, 1, 1, 1, 1, 14, 13, 5, 0,
         -5, -12, -14, -14, -7, -1, 6, 14, 15, 5, 0, -5, -14, -6, 0, 5],
        [5, 5, 4, 3, 1, -1, -7, -13, -16, -13, -8, -2, 1, 3, 4, 4, 4, 2, 1, 0, 0, -1, -1, 0, 0, 1,
         2, -1, -1, -1, -1, 5, 4, 3, 4, 5, 2, 1, 0, 0, 2, 3, 0, 0, 1, 2, 3, 2, 12, 16, 15, 15, 15,
         16, 13, -14, -27, -28, -27, -15, 10, 16, 16, 16, 11, -24, -25, -24],
    ],
    [
        [6, 4, 2, 2, 5, 6, 6, 3, 0, -3, -6, -7, -5, -2, -2, -4, -6, 14, 14, 12, 9, 6, -5, -8, -11,
         -14, -14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 10, 7, 5, 8, 10, -5, -7, -10, -11, -10, -7, 1,
         1, 1, 0, -1, -1, -2, -1, -1, 0, 1, 1, 0, 1, 0, -1, -1, -1, 0, 1],
        [3, 0, -1, -3, -6, -8, -10, -10, -9, -9, -10, -8, -6, -3, -1, 0, 3, 8, 12, 15, 15, 15, 15,
         15, 15, 13, 9, 9, 7, 5, 3, 0, 1, 1, 1, 0, 6, 8, 8, 6, 4, 4, 6, 8, 8, 6, 5, 5, -11, -7,
         -5, -5, -5, -7, -11, -9, -8, -8, -8, -9, -10, -8, -8, -8, -10, -5, -5, -5],
    ],
    [
        [-3, -3, -5, -6, -6, -6, -5, -3, 0, 4, 6, 6, 7, 6, 5, 3, 2, 5, 5, 6, 7, 8, -8, -7, -6, -5,
         -5, 0, 0, 0, 0, -1, -1, 0, 1, 1, 7, 6, 4, 3, 4, 6, -3, -4, -6, -7, -7, -5, 1, 1, 0, 0, 0,
         0, -1, -1, 0, 0, 0, 1, 1, 0, 0, 0, -1, 0, 0, 0],
        [-8, -6, -3, 1, 4, 9, 14, 18, 19, 18, 14, 9, 4, 0, -3, -6, -8, 7, 6, 6, 5, 4, 4, 5, 6, 6,
         7, -6, -4, -2, 0, -2, -1, 0, -1, -2, -8, -7, -8, -10, -10, -10, -10, -7, -6, -7, -9, -10,
         -1, 2, 4, 4, 4, 2, -1, -4, -4, -4, -4, -4, -1, 1, 1, 1, -1, -1, -1, -1],
    ],
    [
        [9, 8, 8, 7, 7, 7, 4, 2, 0, -2, -4, -6, -7, -7, -8, -8, -9, 3, 1, -1, -3, -4, 4, 2, 1, -1,
         -3, 0, 0, 0, 0, -1, 0, 0, 1, 1, 2, 1, 1, 0, 1, 1, 0, -1, -1, -2, -1, -1, -8, -3, -2, 0,
         2, 3, 7, 3, 1, 0, -2, -4, -8, -2, 0, 2, 8, 2, 0, -2],
        [5, 4, 3, 3, 2, 2, 3, 4, 5, 5, 3, 2, 2, 3, 3, 4, 5, -2, -3, -5, -6, -5, -5, -6, -5, -3,
         -2, -1, 4, 9, 14, 7, 8, 10, 8, 7, -3, -5, -4, -2, -3, -3, -2, -4, -5, -3, -3, -3, -8, 2,
         7, 7, 7, 2, -8, -8, -8, -8, -8, -8, -6, 5, 5, 4, -6, -5, -4, -5],
    ],
    [
        [-4, -6, -9, -9, -7, -4, -2, -1, 0, 1, 2, 4, 7, 9, 9, 6, 4, 8, 6, 4, 2, -1, 1, -2, -4, -7,
         -8, 0, 0, 0, 0, -1, 0, 0, 0, 1, 6, 6, 4, 2, 4, 6, -2, -3, -5, -6, -6, -4, -1, -1, 0, 0,
         0, 1, 1, 1, 0, 0, 0, -1, -2, 0, 0, 0, 2, 0, 0, 0],
        [0, 0, 0, 1, 1, 0, 0, 1, 2, 1, 0, 0, 1, 1, 0, 0, 0, -9, -8, -9, -9, -8, -8, -9, -9, -8,
         -9, 2, 3, 3, 4, 3, 4, 4, 4, 3, 4, 6, 6, 4, 4, 3, 4, 6, 6, 4, 3, 4, -2, -1, -1, -1, -1,
         -2, -2, 0, 1, 1, 1, 0, -2, 0, -1, 0, -2, 1, 1, 1],
    ],
]).swapaxes(1, 2) / 1000
# fmt: on
MEAN, COMPONENTS = _SHAPES[0], _SHAPES[1:].reshape(len(_SHAPES) - 1, -1)  # [68, 2], [K, 136]


def infer_hidden(points: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """The landmarks of a face, those that are hidden by the most likely shape through the others.

    Args:
      points: (x, y) of the 68, float64 [68, 2]; where those that are hidden lie does not matter.
      hidden: bool [68].

    Returns:
      float64 [68, 2]; `points` as they are if too few are visible.
    """
    visible = ~hidden
    if not hidden.any() or visible.sum() < FEWEST:
        return points
    given = _complex(points)
    seen = COMPONENTS.reshape(-1, *MEAN.shape)[:, visible].reshape(len(COMPONENTS), -1)
    precision = seen @ seen.T + NOISE**2 * np.eye(len(seen))
    shape = MEAN
    for _ in range(ROUNDS):
        scale, shift = _similarity(given[visible], _complex(shape)[visible])
        apart = _points(scale * given + shift) - MEAN
        scores = np.linalg.solve(precision, seen @ apart[visible].ravel())
        shape = MEAN + (scores @ COMPONENTS).reshape(MEAN.shape)
    placed = _points((_complex(shape) - shift) / scale)
    return np.where(hidden[:, np.newaxis], placed, points)


def _complex(points: np.ndarray) -> np.ndarray:
    return points @ np.array([1, 1j])


def _points(numbers: np.ndarray) -> np.ndarray:
    return np.stack([numbers.real, numbers.imag], axis=-1)


def _similarity(some: np.ndarray, others: np.ndarray) -> tuple[complex, complex]:
    """Factor and shift that bring complex numbers nearest to others, by least squares."""
    middle, aim = some.mean(), others.mean()
    scale = np.vdot(some - middle, others - aim) / np.vdot(some - middle, some - middle)
    return scale, aim - scale * middle
