"""Infer the hidden landmarks of a face from the visible ones, by a Gaussian of faces' shapes.

dlib places all 68 landmarks, but those under a hole by pixels that are not the face's. A shape is
mean + components s, with s standard normal, rotated, scaled and shifted (Cootes et al. 1995,
Computer Vision and Image Understanding 61(1)). It was fitted to dlib's landmarks of 1,023 photos of
CelebA and UTKFace and their mirror images (benchmarks/landmark_shapes.py).
"""

from __future__ import annotations

import numpy as np

NOISE = 0.04  # of the mean face's edge: the error of a visible landmark, the best of 0.01 to 0.04
MIN_VISIBLE = 8  # landmarks, below which nothing is inferred
ROUNDS = 3  # of placing the shape and finding it

# The mean, then the components: x and y of the landmarks, in thousandths of the mean face's edge.
# fmt: off
_SHAPES = np.array([
    [
        [-9, -4, 12, 40, 92, 172, 271, 382, 507, 632, 740, 836, 912, 960, 982, 993, 994, 86, 149,
         234, 322, 406, 574, 657, 744, 830, 895, 492, 494, 495, 497, 399, 447, 499, 549, 597,
         188, 241, 306, 363, 302, 238, 622, 677, 742, 797, 747, 683, 303, 375, 448, 500, 552,
         626, 699, 631, 560, 503, 446, 374, 333, 448, 501, 554, 669, 555, 502, 448],
        [188, 321, 455, 586, 707, 813, 900, 969, 986, 964, 892, 801, 692, 569, 437, 302, 169, 76,
         22, 7, 19, 52, 49, 13, -3, 10, 61, 158, 245, 331, 419, 480, 498, 512, 496, 477, 175,
         141, 141, 184, 197, 197, 179, 134, 132, 164, 188, 190, 641, 609, 593, 605, 591, 604,
         634, 709, 743, 750, 745, 714, 645, 638, 642, 636, 639, 675, 683, 677],
    ],
    [
        [102, 97, 95, 94, 83, 61, 36, 11, 1, 11, 36, 62, 84, 95, 95, 97, 101, 20, 0, -15, -30,
         -42, -42, -30, -16, 0, 20, -45, -56, -69, -82, -43, -50, -53, -50, -43, 5, -4, -8, -7,
         -7, -3, -7, -8, -4, 5, -3, -7, 5, -23, -40, -42, -40, -23, 5, -15, -29, -31, -29, -15,
         2, -36, -39, -36, 2, -33, -36, -33],
        [13, -2, -17, -29, -34, -31, -22, -9, 0, 8, 21, 28, 31, 25, 13, -2, -17, 0, 3, 8, 8, 4,
         -3, -7, -7, -3, -1, 1, 1, 1, 1, 0, 2, 1, 0, 2, 4, 3, 3, 2, 2, 3, -1, -3, -3, -4, -3, -2,
         0, 0, 1, 1, 1, 1, -1, 3, 2, 1, -1, -2, 1, 0, 1, 1, -1, 2, 1, -1],
    ],
    [
        [-6, -5, -2, 1, 4, 6, 5, 3, 0, -3, -6, -7, -5, -2, 0, 3, 4, -9, -3, -1, -3, -3, 3, 3, 2,
         3, 8, 0, 0, 1, 1, -1, -1, 0, 2, 2, -7, -5, -3, -3, -5, -7, 3, 2, 5, 7, 7, 5, 0, 2, 0, 0,
         0, -1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0],
        [-43, -38, -34, -31, -28, -24, -17, -7, -5, -7, -16, -24, -28, -31, -34, -38, -43, -13,
         -5, 5, 11, 13, 13, 11, 5, -5, -13, 9, 18, 29, 37, 21, 23, 25, 23, 21, -7, -5, -3, 0, 0,
         -1, 0, -3, -5, -7, -2, 0, 2, 15, 21, 22, 21, 15, 2, 9, 13, 13, 13, 9, 6, 19, 20, 19, 6,
         9, 10, 9],
    ],
    [
        [-28, -24, -22, -24, -25, -23, -16, -9, 0, 9, 17, 23, 25, 24, 22, 24, 28, -36, -32, -25,
         -17, -9, 9, 17, 25, 32, 37, 0, 0, 0, 0, -6, -3, 0, 3, 6, -26, -21, -17, -12, -17, -22,
         12, 17, 21, 26, 22, 17, -25, -13, -7, 0, 7, 13, 24, 15, 7, 0, -7, -15, -23, -7, 0, 7,
         22, 7, 0, -7],
        [-2, 1, 2, 3, 5, 6, 4, 2, 1, 2, 3, 5, 4, 2, 1, 0, -3, 11, 5, 3, 2, 2, 2, 2, 3, 4, 10, -1,
         1, 3, 5, 1, 0, 1, 0, 0, 2, 2, 2, 3, 2, 2, 3, 1, 1, 1, 2, 2, -11, -5, -2, -2, -3, -6,
         -12, -7, -6, -6, -6, -6, -9, -5, -4, -5, -10, -4, -3, -4],
    ],
    [
        [8, 7, 5, 4, 5, 5, 2, 0, 0, 0, -2, -5, -5, -4, -5, -7, -9, 8, 7, 5, 2, 0, 1, -2, -5, -7,
         -8, 0, 0, 0, 0, -4, -3, 0, 3, 4, 6, 5, 3, 2, 3, 5, -2, -3, -5, -6, -5, -3, -20, -15, -6,
         0, 6, 14, 19, 16, 7, 0, -6, -16, -21, -6, 0, 6, 20, 7, 0, -7],
        [-4, -5, -4, -3, -2, 1, 6, 12, 13, 12, 6, 1, -2, -3, -4, -4, -4, 2, 4, 6, 7, 7, 7, 7, 6,
         5, 2, 2, 4, 6, 7, -3, -1, 2, -1, -3, -1, 1, 1, 0, -3, -4, 0, 2, 1, -1, -4, -3, -20, -15,
         -10, -11, -10, -16, -20, 4, 16, 18, 16, 5, -16, -14, -13, -15, -17, 16, 18, 17],
    ],
    [
        [-1, -1, -1, 0, 0, -1, -3, -2, 0, 3, 3, 2, 1, 0, 1, 1, 1, -2, -3, -3, -2, -2, 2, 2, 2, 2,
         1, 0, 0, 0, 0, -1, 0, 0, 0, 1, -3, -3, -3, -2, -2, -3, 2, 2, 3, 2, 2, 2, 0, -1, -1, 0,
         1, 1, 0, 2, 1, 0, -1, -1, 0, -1, 0, 1, 0, 1, 0, -1],
        [-4, -2, 1, 4, 7, 11, 16, 18, 19, 18, 16, 11, 7, 4, 1, -2, -4, -13, -15, -16, -16, -16,
         -16, -17, -16, -15, -13, -12, -9, -6, -3, -1, 0, 0, -1, -1, -10, -11, -10, -10, -10, -9,
         -10, -11, -11, -10, -10, -10, 10, 6, 5, 5, 5, 6, 10, 13, 14, 14, 14, 13, 9, 7, 7, 7, 9,
         11, 11, 11],
    ],
    [
        [0, 1, 3, 6, 7, 8, 7, 5, 0, -5, -8, -8, -8, -6, -3, -1, 0, -6, -5, -6, -6, -7, 7, 6, 5,
         5, 6, 0, 0, 0, 0, 2, 1, 0, -1, -2, -8, -6, -3, -2, -4, -7, 2, 3, 6, 8, 7, 4, 1, 0, 1, 0,
         -1, 0, -1, 1, 0, 0, 1, -1, 2, 1, 0, -1, -1, -1, 0, 1],
        [8, 6, 4, 1, -3, -8, -12, -15, -15, -14, -11, -7, -3, 1, 4, 6, 8, -10, -9, -9, -8, -7,
         -8, -9, -9, -9, -10, 5, 2, -1, -5, 0, -2, -4, -2, 0, 7, 6, 6, 10, 11, 10, 10, 6, 5, 7,
         10, 10, 2, -5, -9, -9, -9, -5, 2, 11, 14, 14, 14, 11, 2, -5, -5, -5, 2, 10, 9, 10],
    ],
    [
        [-4, -2, -1, 0, 2, 4, 6, 5, 5, 5, 6, 4, 2, 1, -1, -2, -4, -6, -5, -4, -4, -5, -5, -4, -4,
         -5, -5, -3, -2, -2, -1, -1, -1, -1, -1, -1, -5, -4, -4, -4, -5, -5, -4, -4, -4, -4, -5,
         -5, 5, 6, 4, 4, 4, 6, 6, 6, 4, 3, 4, 6, 6, 3, 3, 3, 6, 4, 4, 4],
        [-3, -3, -3, -3, -3, -4, -5, -3, 0, 3, 4, 4, 3, 3, 3, 3, 3, -13, -12, -9, -6, -3, 4, 6,
         10, 12, 13, 0, 0, 0, 0, -3, -1, 0, 1, 3, -11, -9, -7, -5, -7, -9, 5, 7, 10, 11, 9, 7,
         -6, -4, -2, 0, 1, 3, 5, 5, 2, 0, -2, -5, -4, -2, 0, 2, 4, 2, 0, -3],
    ],
    [
        [6, 5, 4, 4, 4, 4, 3, 1, 0, -2, -3, -4, -4, -4, -4, -5, -6, 2, 1, 0, -2, -3, 3, 1, 0, -1,
         -2, 0, 0, 0, 0, -1, -1, 0, 1, 2, 0, -1, -1, 0, -1, -1, 0, 1, 1, 0, 1, 1, -9, -3, -1, 0,
         2, 3, 8, 3, 1, 0, -2, -4, -9, -1, 0, 2, 9, 1, 0, -2],
        [7, 6, 5, 4, 2, 1, -1, -1, -2, -1, 0, 1, 2, 4, 5, 6, 8, -6, -7, -7, -8, -6, -6, -8, -7,
         -7, -6, 0, 5, 9, 13, 9, 9, 11, 9, 9, -1, -1, 0, 1, 0, 0, 1, 0, -1, -1, 0, 0, -7, 2, 6,
         6, 6, 2, -7, -8, -9, -9, -9, -8, -5, 5, 6, 5, -6, -6, -6, -6],
    ],
]).swapaxes(1, 2) / 1000
# fmt: on
MEAN, COMPONENTS = _SHAPES[0], _SHAPES[1:].reshape(len(_SHAPES) - 1, -1)  # [68, 2], [K, 136]


def infer_hidden(points: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Replace the hidden landmarks of a face by those of the most likely shape.

    Args:
      points: (x, y) of the 68, float64 [68, 2]; values of hidden ones do not matter.
      hidden: bool [68].

    Returns:
      float64 [68, 2]; `points` if too few are visible.
    """
    visible = ~hidden
    if not hidden.any() or visible.sum() < MIN_VISIBLE:
        return points
    given = _complex(points)
    seen = COMPONENTS.reshape(-1, *MEAN.shape)[:, visible].reshape(len(COMPONENTS), -1)
    precision = seen @ seen.T + NOISE**2 * np.eye(len(seen))
    shape, scale, shift = MEAN, 1 + 0j, 0j
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
    return np.stack([np.real(numbers), np.imag(numbers)], axis=-1)


def _similarity(some: np.ndarray, others: np.ndarray) -> tuple[complex, complex]:
    """Fit the factor and shift from complex numbers to others, by least squares."""
    middle, aim = some.mean(), others.mean()
    scale = np.vdot(some - middle, others - aim) / np.vdot(some - middle, some - middle)
    return scale, aim - scale * middle
