"""Random masks on which a context encoder is trained: a function of (seed, step, place) alone.

They have all kinds of holes that completions fill, of varying size, besides brush strokes, as users
draw them, and rectangles anywhere; not the masks under which no pixel is kept. Masks are float32
[N, S, S, 1], 1 where a pixel is known, 0 where it is missing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from dcgan_completion.training.randomness import MaskPurpose

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
CENTER_SCALE, CENTER_SCALES = 0.25, (0.1, 0.4)  # of the width: where the central hole begins
RANDOM_MISSING, RANDOM_MISSINGS = (0.2, 0.8), (0.05, 0.95)  # shares of the pixels
PATTERN_MISSING, PATTERN_MISSINGS = 0.25, (0.1, 0.5)
PATTERN_SCALE, PATTERN_SCALES = 1 / 16, (1 / 32, 1 / 8)  # of the width: sigma of its Gaussian
GRID_STEPS = (2, 3, 4)  # pixels from one known pixel to the next in both directions; 4 is usual
RECTANGLE_EDGES = (1 / 8, 3 / 4)  # of the width
STROKES, STROKE_POINTS = (1, 4), (2, 8)  # number of strokes, and of corners of each one's path
STROKE_RADII, STROKE_LENGTHS = (1 / 64, 1 / 10), (1 / 16, 1 / 3)  # of the width; of one segment
STROKE_TURN = 1.0  # radians: standard deviation of the angle between two segments
MIN_RADIUS = 0.75  # pixels: with less, a diagonal stroke would have gaps


def draw_holes(size: int, seed: int, step: int, places: Sequence[int]) -> np.ndarray:
    """The masks of some places in the global batch of a step: float32 [len(places), size, size, 1].

    A place's mask does not depend on the other places, so that each process of a distributed
    training draws its own. In every mask at least one pixel is known, and at least one missing.

    Args:
      size: edge of the images in pixels.
      seed: of the training.
      step: from 0.
      places: numbers of the images in the global batch, from 0.
    """
    return np.stack([draw_hole(size, _generator(seed, step, place))[1] for place in places])


def _generator(seed: int, step: int, place: int) -> np.random.Generator:
    return np.random.default_rng([seed, MaskPurpose.STREAM, step, place])


def draw_hole(size: int, random: np.random.Generator) -> tuple[str, np.ndarray]:
    """A kind of SHARES and a mask of that kind, float32 [size, size, 1]."""
    kind = str(random.choice(list(SHARES), p=list(SHARES.values())))
    return kind, _draw_kind(kind, size, random)


def _draw_kind(kind: str, size: int, random: np.random.Generator) -> np.ndarray:
    missing = np.array(KINDS[kind](size, random))
    if missing.all() or not missing.any():  # possible for random pixels of a small image
        missing[tuple(random.integers(size, size=2))] ^= True
    return (~missing).astype(np.float32)[..., np.newaxis]


def fixed_holes(kind: str, size: int, number: int) -> np.ndarray:
    """Masks of a kind of SHARES to evaluate under, always the same: [number, size, size, 1]."""
    fixed = [MaskPurpose.STREAM, MaskPurpose.FIXED]
    draws = [np.random.default_rng([*fixed, place]) for place in range(number)]
    return np.reshape([_draw_kind(kind, size, random) for random in draws], [number, size, size, 1])


# --- kinds: what is missing, bool [size, size] ---


def _usual(random: np.random.Generator) -> bool:
    return bool(random.random() < USUAL)


def _center(size: int, random: np.random.Generator) -> np.ndarray:
    scale = CENTER_SCALE if _usual(random) else random.uniform(*CENTER_SCALES)
    return _box(size, int(size * scale), int(size * (1 - scale)))


def _box(size: int, low: int | np.ndarray, high: int | np.ndarray) -> np.ndarray:
    """The pixels from `low` to below `high`, each for both directions or [2]."""
    inside = (np.arange(size) >= np.reshape(low, [-1, 1])) & (
        np.arange(size) < np.reshape(high, [-1, 1])
    )
    return inside[0][:, np.newaxis] & inside[-1]


def _half(size: int, random: np.random.Generator) -> np.ndarray:
    half = np.broadcast_to(np.arange(size) < size // 2, [size, size])
    return np.rot90(half, random.integers(4))


def _pattern(size: int, random: np.random.Generator) -> np.ndarray:
    """Blobs: the pixels where smoothed noise is highest."""
    from scipy import ndimage  # only here: settings and help need not wait for it

    scale, share = PATTERN_SCALE, PATTERN_MISSING
    if not _usual(random):
        scale = math.exp(random.uniform(*np.log(PATTERN_SCALES)))
        share = random.uniform(*PATTERN_MISSINGS)
    margin = round(3 * scale * size)  # so that blobs are cut by the border
    noise = random.standard_normal([size + 2 * margin] * 2, dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, scale * size, truncate=3)
    inner = smooth[margin : margin + size, margin : margin + size]
    return inner > np.quantile(inner, 1 - share)


def _random(size: int, random: np.random.Generator) -> np.ndarray:
    share = random.choice(RANDOM_MISSING) if _usual(random) else random.uniform(*RANDOM_MISSINGS)
    return random.random([size, size]) < share


def _grid(size: int, random: np.random.Generator) -> np.ndarray:
    step = GRID_STEPS[-1] if _usual(random) else random.choice(GRID_STEPS)
    known = np.arange(size) % step == 0
    return ~(known[:, np.newaxis] & known)


def _rectangle(size: int, random: np.random.Generator) -> np.ndarray:
    edges = np.maximum(1, np.round(size * random.uniform(*RECTANGLE_EDGES, 2)).astype(int))
    low = random.integers(size - edges + 1)
    return _box(size, low, low + edges)


def _strokes(size: int, random: np.random.Generator) -> np.ndarray:
    missing = np.zeros([size, size], bool)
    for _ in range(random.integers(STROKES[0], STROKES[1] + 1)):
        radius = max(MIN_RADIUS, size * random.uniform(*STROKE_RADII))
        missing |= stroke(size, _path(size, random), radius)
    return missing


def _path(size: int, random: np.random.Generator) -> np.ndarray:
    """The corners of a stroke that turns now and then, in pixels, float64 [points, 2]."""
    segments = random.integers(*STROKE_POINTS)
    angles = random.uniform(0, 2 * math.pi) + np.cumsum(random.normal(0, STROKE_TURN, segments))
    lengths = size * random.uniform(*STROKE_LENGTHS, segments)
    moves = lengths[:, np.newaxis] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    start = random.uniform(0, size - 1, [1, 2])
    return np.clip(np.concatenate([start, start + np.cumsum(moves, axis=0)]), 0, size - 1)


def stroke(size: int, path: np.ndarray, radius: float) -> np.ndarray:
    """What a round brush covers: the pixels at most `radius` from a path, bool [size, size].

    Args:
      size: edge of the image in pixels.
      path: corners (row, column), float [points, 2], two at least; the path is straight between.
      radius: of the brush, in pixels.
    """
    rows = np.arange(size, dtype=np.float32)[:, np.newaxis]
    columns = rows.T
    covered = np.zeros([size, size], bool)
    path = path.astype(np.float32)
    for start, end in itertools.pairwise(path):
        along = end - start
        row, column = rows - start[0], columns - start[1]
        # The point of the segment that is nearest to each pixel, from 0 (start) to 1 (end).
        length = np.maximum(np.sum(along**2), np.float32(1e-12))
        nearest = (row * along[0] + column * along[1]) / length
        np.clip(nearest, 0, 1, out=nearest)
        squares = (row - nearest * along[0]) ** 2 + (column - nearest * along[1]) ** 2
        covered |= squares <= radius**2
    return covered


KINDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "center": _center,
    "half": _half,
    "pattern": _pattern,
    "random": _random,
    "strokes": _strokes,
    "rectangle": _rectangle,
    "grid": _grid,
}
