"""Random holes in the square around a head, on which the photo encoder is trained and judged.

A function of the random numbers alone. Holes are bool, True = hole. The head's square is twice as
wide as the face's, which lies in its middle, so that the parts of a face are known from the mean
face that alignment maps to.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from dcgan_completion.faces.heads import WIDER
from dcgan_completion.faces.template import TEMPLATE
from dcgan_completion.masks import drawing, sampling

FACE = 1 / WIDER  # edge of the face's square as a share of the head's
STREAM = 0x4EAD  # keeps these random numbers apart from others of the same seed
# Landmarks of the parts of a face; the brows belong to the eyes, as users paint them.
PARTS = {
    "mouth": range(48, 68),
    "nose": range(27, 36),
    "eyes": (*range(17, 27), *range(36, 48)),
    "left eye": (*range(17, 22), *range(36, 42)),
    "right eye": (*range(22, 27), *range(42, 48)),
}
# Kind -> the probability that a hole is of that kind.
SHARES = {
    "free": 0.40,
    "half": 0.14,
    "part": 0.16,
    "face": 0.05,
    "outside": 0.10,
    "strokes": 0.08,
    "rectangle": 0.07,
}
FREE_RANGE = (0.15, 0.92)  # shares of the pixels that a free-form hole covers
BRUSH, SEGMENT = (0.05, 0.18), (0.1, 0.5)  # of the width: of its strokes
BOX_EDGES = (0.15, 0.6)  # of the width: of the rectangles in it
BOX_PROBABILITY = 0.3  # that the next thing that is painted is a rectangle
PART_MARGIN = (0.01, 0.06)  # of the width: around the hull of a part's landmarks
PART_SHIFT = 0.015  # of the width: standard deviation of what a hand adds
RECTANGLE_EDGES = (0.1, 0.7)  # of the width
RING = (0.45, 1.1)  # of the width: what of the ring outside the face is missing, as a blob's edge
MIN_SHARE = 0.002  # of the pixels: smaller holes teach nothing


def draw_masks(size: int, seed: int, step: int, places: Sequence[int]) -> np.ndarray:
    """Draw the holes of some places in the global batch of a step, as `sampling.draw_masks`."""
    return sampling.draw_masks(size, seed, step, places, draw_mask, STREAM)


def draw_mask(size: int, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Draw a kind of SHARES and a hole of that kind, bool [size, size]; some pixel is missing."""
    kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    return kind, draw_kind(kind, size, rng)


def draw_kind(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a hole of a kind, bool [size, size], again if it covers hardly anything."""
    while True:
        hole = KINDS[kind](size, rng)
        if hole.mean() >= MIN_SHARE:
            return hole


# --- kinds: bool [size, size] ---


def _free(size: int, rng: np.random.Generator) -> np.ndarray:
    """Paint strokes of a thick brush and rectangles until a share of the pixels is covered.

    As the masks of Zhao et al. 2021 (arXiv:2103.10428, section 5.1), of which some leave hardly
    anything.
    """
    share = rng.uniform(*FREE_RANGE)
    canvas = np.zeros([size, size], np.uint8)
    while canvas.mean() < share:
        if rng.random() < BOX_PROBABILITY:
            edges = np.maximum(1, np.round(size * rng.uniform(*BOX_EDGES, 2)).astype(int))
            low = rng.integers(-edges // 2, size - edges // 2 + 1)
            row, column = np.maximum(low, 0)
            canvas[row : low[0] + edges[0], column : low[1] + edges[1]] = 1
            continue
        corners = int(rng.integers(2, 9))
        angles = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, 1.2, corners))
        lengths = size * rng.uniform(*SEGMENT, corners)
        moves = lengths[:, np.newaxis] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        path = np.clip(rng.uniform(0, size, 2) + np.cumsum(moves, axis=0), 0, size - 1)
        thickness = max(1, round(size * rng.uniform(*BRUSH)))
        cv2.polylines(canvas, [np.rint(path).astype(np.int32)], False, 1, thickness)
    return canvas > 0


def _half(size: int, rng: np.random.Generator) -> np.ndarray:
    """Take one half, of the head's square or of the face's; or a part near a half."""
    side = drawing.HALVES[rng.integers(4)]
    if rng.random() < 0.4:
        return np.array(drawing.half(size, side))
    hole = np.zeros([size, size], bool)
    first = round(size * (1 - FACE) / 2)
    edge = size - 2 * first
    hole[first : first + edge, first : first + edge] = drawing.half(edge, side)
    return hole


def _part(size: int, rng: np.random.Generator) -> np.ndarray:
    """Take the hull of a part of the face, with a margin."""
    name = list(PARTS)[rng.integers(len(PARTS))]
    margin = size * rng.uniform(*PART_MARGIN)
    return _hull(TEMPLATE[list(PARTS[name])], size, margin, rng)


def _face(size: int, rng: np.random.Generator) -> np.ndarray:
    """Take all of the face, and leave hair, ears, neck and background."""
    return _hull(TEMPLATE, size, size * rng.uniform(0.0, 0.12), rng)


def _outside(size: int, rng: np.random.Generator) -> np.ndarray:
    """Take a piece of what surrounds the face, and leave the face."""
    centre = size / 2 + size * rng.uniform(-0.55, 0.55, 2)
    axes = size * rng.uniform(*RING, 2) / 2
    y, x = np.ogrid[:size, :size]
    blob = ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2 < 1
    if rng.random() < 0.3:
        blob = np.array(drawing.half(size, drawing.HALVES[rng.integers(4)]))
    return blob & ~_hull(TEMPLATE, size, size * rng.uniform(-0.04, 0.03), rng)


def _hull(points: np.ndarray, size: int, margin: float, rng: np.random.Generator) -> np.ndarray:
    """Take the convex hull of points of the mean face, moved a little, with a margin in pixels."""
    places = size * ((1 - FACE) / 2 + FACE * points + rng.normal(0, PART_SHIFT, 2))
    hull = cv2.convexHull(np.rint(places * 8).astype(np.int32))
    canvas = np.zeros([size, size], np.uint8)
    cv2.fillConvexPoly(canvas, hull, 1, cv2.LINE_8, 3)
    reach = abs(round(margin))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    change = cv2.dilate if margin >= 0 else cv2.erode
    return change(canvas, disc) > 0


KINDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "free": _free,
    "half": _half,
    "part": _part,
    "face": _face,
    "outside": _outside,
    "strokes": sampling.draw_strokes,
    "rectangle": functools.partial(sampling.draw_rectangle, edges=RECTANGLE_EDGES),
}
