"""Holes over parts of a face in a photo, placed by its landmarks.

Coordinates are (x, y) in pixels of the photo, whole numbers at the centres of pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from dcgan_completion.faces.placement import hole_in_photo, square_corners
from dcgan_completion.masks import drawing
from dcgan_completion.settings.evaluation import HOLES

# Of dlib's 68 landmarks: those that a hole surrounds, and how far it reaches beyond them, as a
# share of the distance between the eyes' centres.
PARTS = {
    "eyes": (range(36, 48), 0.25),
    "nose": (range(27, 36), 0.2),
    "mouth": (range(48, 68), 0.2),
}
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
STROKE_WIDTHS = 0.08, 0.16  # of the edge of the face's square, from and to
STROKE_STEPS = 32  # straight pieces of a stroke
HALF_EDGE = 64  # of the mask in the face's square that leaves out one half; any even number


def draw_hole(
    kind: str,
    points: np.ndarray,
    matrix: np.ndarray,
    size: int,
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw what is missing of a face in a photo, bool [H, W].

    Eyes (both, and what lies between them), nose and mouth are the convex hulls of their landmarks
    with a margin. `half` is one of the four halves of the face's square, drawn at random; `stroke`
    that of a brush across the square: a quadratic Bezier curve of random width, from one quarter of
    the square to the opposite one.

    Args:
      kind: of HOLES.
      points: dlib's 68 landmarks, [68, 2].
      matrix: of the face's square, as `placement.alignment_matrix`, [2, 3].
      size: edge of the square in its own pixels.
      shape: of the photo, (H, W).
      rng: for half and stroke.

    Raises:
      ValueError: another kind.
    """
    if kind in PARTS:
        which, margin = PARTS[kind]
        between = points[RIGHT_EYE].mean(axis=0) - points[LEFT_EYE].mean(axis=0)
        apart = float(np.linalg.norm(between))
        hull = cv2.convexHull(points[list(which)].astype(np.float32))[:, 0].astype(np.float64)
        hole = drawing.strokes(np.concatenate([hull, hull[:1]]), margin * apart, shape)
        return hole | drawing.convex_polygon(hull, shape)
    if kind == "half":
        hole = drawing.half(HALF_EDGE, rng.choice(drawing.HALVES))
        # Pixels of the square of that edge, from those of the square of `size`.
        scale = HALF_EDGE / size
        finer = matrix * scale
        finer[:, 2] += (scale - 1) / 2
        return hole_in_photo(hole, finer, shape)
    if kind == "stroke":
        corners = square_corners(matrix, size)
        path = corners[0] + random_stroke(rng) @ (corners[[1, 3]] - corners[0])
        edge = np.sqrt(abs(np.linalg.det(corners[[1, 3]] - corners[0])))
        return drawing.strokes(path, rng.uniform(*STROKE_WIDTHS) * edge / 2, shape)
    raise ValueError(f"{kind!r} is not one of {', '.join(HOLES)}")


def random_stroke(rng: np.random.Generator) -> np.ndarray:
    """Draw the points of a curve from a quarter of the unit square to the opposite one, [n, 2]."""
    start, middle, end = rng.uniform(size=[3, 2])
    quarter = rng.integers(2, size=2)
    start, end = (start + quarter) / 2, (end + 1 - quarter) / 2
    t = np.linspace(0, 1, STROKE_STEPS + 1)[:, np.newaxis]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
