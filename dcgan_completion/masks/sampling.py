"""Random masks on which a context encoder is trained: a function of (seed, step, place) alone.

They have all kinds of holes that completions fill, of varying size, besides brush strokes, as users
draw them, and rectangles anywhere; not the masks under which no pixel is kept. Masks are bool
[N, S, S, 1], True = hole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from dcgan_completion.masks import drawing

STREAM = 0x401E5  # keeps the random numbers of masks apart from those of the files' order
FIXED = 0xF1  # those of the masks to evaluate under, from those of the steps
# Kind -> the probability that an image's hole is of that kind.
SHARES = {
    "center": 0.25,
    "half": 0.15,
    "pattern": 0.15,
    "random": 0.15,
    "strokes": 0.15,
    "rectangle": 0.10,
    "grid": 0.05,
}
# The probability that a hole of a kind has the size that it has in completions; else it is drawn.
# Below: the usual size, then the range of the others.
USUAL = 0.5
CENTER_SCALES = (0.1, 0.4)  # of the width: where the central hole begins
RANDOM_SHARES, RANDOM_RANGE = (drawing.RANDOM_SHARE, 0.8), (0.05, 0.95)  # shares of the pixels
PATTERN_SHARES = (0.1, 0.5)
PATTERN_SIGMAS = (1 / 32, 1 / 8)  # of the width: sigma of its Gaussian
GRID_STEPS = (2, 3, drawing.GRID_STEP)  # pixels from one known pixel to the next; the last is usual
RECTANGLE_EDGES = (1 / 8, 3 / 4)  # of the width
STROKES, STROKE_POINTS = (1, 4), (2, 8)  # number of strokes, and of corners of each one's path
STROKE_RADII, STROKE_LENGTHS = (1 / 64, 1 / 10), (1 / 16, 1 / 3)  # of the width; of one segment
STROKE_TURN = 1.0  # radians: standard deviation of the angle between two segments
MIN_RADIUS = 0.75  # pixels: with less, a diagonal stroke would have gaps


def draw_masks(
    size: int,
    seed: int,
    step: int,
    places: Sequence[int],
    draw: Callable[[int, np.random.Generator], tuple[str, np.ndarray]] | None = None,
    stream: int = STREAM,
) -> np.ndarray:
    """Draw the masks of some places in the global batch of a step.

    A place's mask does not depend on the other places, so that each process of a distributed
    training draws its own. In every mask at least one pixel is known, and at least one missing.

    Args:
      size: S, edge of the images in pixels.
      seed: of the training.
      step: from 0.
      places: numbers of the images in the global batch, from 0.
      draw: draws a kind and a hole; None: `draw_mask`.
      stream: keeps its random numbers apart from others of the same seed.

    Returns:
      bool [len(places), S, S, 1].
    """
    rngs = [np.random.default_rng([seed, stream, step, place]) for place in places]
    return np.stack([(draw or draw_mask)(size, rng)[1] for rng in rngs])[..., np.newaxis]


def draw_mask(size: int, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Draw a kind of SHARES and a hole of that kind, bool [size, size]."""
    kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    return kind, _draw_kind(kind, size, rng)


def _draw_kind(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    hole = np.array(KINDS[kind](size, rng))
    if hole.all() or not hole.any():  # possible for random pixels of a small image
        hole[tuple(rng.integers(size, size=2))] ^= True
    return hole


def fixed_masks(kind: str, size: int, number: int) -> np.ndarray:
    """Draw masks of a kind to evaluate under, always the same: bool [number, size, size, 1]."""
    rngs = [np.random.default_rng([STREAM, FIXED, place]) for place in range(number)]
    return np.reshape([_draw_kind(kind, size, rng) for rng in rngs], [number, size, size, 1])


# --- kinds: bool [size, size] ---


def _usual(rng: np.random.Generator) -> bool:
    return bool(rng.random() < USUAL)


def _center(size: int, rng: np.random.Generator) -> np.ndarray:
    return drawing.center(
        size, drawing.CENTER_SCALE if _usual(rng) else rng.uniform(*CENTER_SCALES)
    )


def _half(size: int, rng: np.random.Generator) -> np.ndarray:
    return drawing.half(size, ("left", "bottom", "right", "top")[rng.integers(4)])


def _pattern(size: int, rng: np.random.Generator) -> np.ndarray:
    sigma, share = drawing.PATTERN_SIGMA, drawing.PATTERN_SHARE
    if not _usual(rng):
        sigma = math.exp(rng.uniform(*np.log(PATTERN_SIGMAS)))
        share = rng.uniform(*PATTERN_SHARES)
    return drawing.blobs(size, rng, sigma, share, np.float32)


def _random(size: int, rng: np.random.Generator) -> np.ndarray:
    share = rng.choice(RANDOM_SHARES) if _usual(rng) else rng.uniform(*RANDOM_RANGE)
    return drawing.pixels(size, share, rng)


def _grid(size: int, rng: np.random.Generator) -> np.ndarray:
    return drawing.grid(size, GRID_STEPS[-1] if _usual(rng) else rng.choice(GRID_STEPS))


def draw_rectangle(
    size: int, rng: np.random.Generator, edges: tuple[float, float] = RECTANGLE_EDGES
) -> np.ndarray:
    """Draw a rectangle anywhere, whose edges are from and to a share of the width."""
    sides = np.maximum(1, np.round(size * rng.uniform(*edges, 2)).astype(int))
    low = rng.integers(size - sides + 1)
    return drawing.rectangle(size, low, low + sides)


def draw_strokes(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw some strokes of a round brush."""
    hole = np.zeros([size, size], bool)
    for _ in range(rng.integers(STROKES[0], STROKES[1] + 1)):
        radius = max(MIN_RADIUS, size * rng.uniform(*STROKE_RADII))
        path = _path(size, rng).astype(np.float32)[:, ::-1]
        hole |= drawing.strokes(path, radius, (size, size))
    return hole


def _path(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the corners (row, column) of a stroke that turns now and then, float64 [points, 2]."""
    segments = rng.integers(*STROKE_POINTS)
    angles = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, STROKE_TURN, segments))
    lengths = size * rng.uniform(*STROKE_LENGTHS, segments)
    moves = lengths[:, np.newaxis] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    start = rng.uniform(0, size - 1, [1, 2])
    return np.clip(np.concatenate([start, start + np.cumsum(moves, axis=0)]), 0, size - 1)


KINDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "center": _center,
    "half": _half,
    "pattern": _pattern,
    "random": _random,
    "strokes": draw_strokes,
    "rectangle": draw_rectangle,
    "grid": _grid,
}
