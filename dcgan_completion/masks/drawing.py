"""Shapes of holes: what masks for completion, for training and for evaluation are drawn with.

Every function returns bool, True = hole.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from dcgan_completion.masks import boxes

HALVES = ("left", "right", "top", "bottom")
MASK_TYPES = ("center", "random", *HALVES, "half", "full", "grid", "lowres", "pattern")
WHOLE_TYPES = ("full", "lowres")  # a completion under them keeps no pixel of the image
RANDOM_TYPES = ("random", "half", "pattern")  # those that `draw` needs an rng for
CENTER_SCALE = 0.25  # of the width: where a central hole begins
RANDOM_SHARE = 0.2  # of the pixels that a random mask leaves out
PATTERN_SHARE = 0.25  # of the pixels that a pattern leaves out
PATTERN_SIGMA = 1 / 16  # of the width: sigma of the Gaussian that smooths a pattern's noise
GRID_STEP = 4  # a grid keeps every fourth pixel in both directions
LOWRES_BLOCK = 8  # pixels: edge of the blocks of which lowres knows the average


def keeps_pixels(mask_type: str) -> bool:
    """Tell whether a completion keeps the known pixels under a type of mask."""
    return mask_type not in WHOLE_TYPES


def draw(
    mask_type: str,
    size: int,
    *,
    center_scale: float = CENTER_SCALE,
    fraction: float = RANDOM_SHARE,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Draw a hole of a type, bool [size, size].

    Args:
      mask_type: one of MASK_TYPES. `center` is a square, from size * center_scale to
        size * (1 - center_scale) in both directions; `random` a share of the pixels; `left`,
        `right`, `top` and `bottom` that half; `half` one of the four; `pattern` a quarter of the
        pixels in blobs; `grid` all but every fourth pixel in both directions; `full` nothing.
        `lowres` knows no pixel but the averages of 8x8 blocks, of which none is missing:
        [size / 8, size / 8].
      size: edge of the image in pixels.
      center_scale: in (0, 0.5).
      fraction: in (0, 1), the probability that a pixel of a `random` mask is missing; each is
        drawn by itself.
      rng: for RANDOM_TYPES.

    Raises:
      ValueError: an unknown type, a fraction out of range, or no rng for RANDOM_TYPES.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction {fraction} is not between 0 and 1")
    if mask_type in RANDOM_TYPES:
        if rng is None:
            raise ValueError(f"a {mask_type} mask needs an rng")
        if mask_type == "half":
            return half(size, HALVES[rng.integers(len(HALVES))])
        if mask_type == "pattern":
            return blobs(size, rng)
        return pixels(size, fraction, rng)
    if mask_type in HALVES:
        return half(size, mask_type)
    shapes: dict[str, Callable[[], np.ndarray]] = {
        "center": lambda: center(size, center_scale),
        "grid": lambda: grid(size),
        "full": lambda: np.zeros([size, size], bool),
        "lowres": lambda: np.zeros([size // LOWRES_BLOCK, size // LOWRES_BLOCK], bool),
    }
    if mask_type not in shapes:
        raise ValueError(f"mask type {mask_type!r} is not one of {', '.join(MASK_TYPES)}")
    return shapes[mask_type]()


def rectangle(size: int, low: np.ndarray | int, high: np.ndarray | int) -> np.ndarray:
    """Draw the pixels from `low` to below `high`, each for both directions or (row, column)."""
    (top, left), (bottom, right) = (np.broadcast_to(end, 2) for end in (low, high))
    hole = np.zeros([size, size], bool)
    hole[top:bottom, left:right] = True
    return hole


def center(size: int, scale: float = CENTER_SCALE) -> np.ndarray:
    """Draw a central square that begins at a share of the width."""
    return rectangle(size, int(size * scale), int(size * (1 - scale)))


def half(size: int, side: str) -> np.ndarray:
    """Draw the half on one of HALVES' sides."""
    line = np.arange(size) if side in ("left", "top") else np.arange(size)[::-1]
    inside = np.broadcast_to(line < size // 2, [size, size])
    return inside if side in ("left", "right") else inside.T


def pixels(size: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw single pixels, each missing with a probability of `share`."""
    return rng.random([size, size]) < share


def grid(size: int, step: int = GRID_STEP) -> np.ndarray:
    """Draw all but every `step`-th pixel in both directions."""
    known = np.arange(size) % step == 0
    return ~(known[:, np.newaxis] & known)


def blobs(
    size: int,
    rng: np.random.Generator,
    sigma: float = PATTERN_SIGMA,
    share: float = PATTERN_SHARE,
    dtype: type[np.floating] = np.float64,
) -> np.ndarray:
    """Draw blobs: the highest share of smoothed noise.

    Args:
      size: edge of the image in pixels.
      rng: draws the noise.
      sigma: of the Gaussian that smooths it, as a share of the width.
      share: of the pixels.
      dtype: of the noise; numbers of another type are other numbers.
    """
    from scipy import ndimage  # only here: most commands' --help must not wait for it

    margin = round(3 * sigma * size)  # so that blobs are cut by the border, not mirrored at it
    noise = rng.standard_normal([size + 2 * margin] * 2, dtype=dtype)
    smooth = ndimage.gaussian_filter(noise, sigma * size, truncate=3)
    inner = smooth[margin : margin + size, margin : margin + size]
    return inner > np.quantile(inner, 1 - share)


def strokes(path: np.ndarray, radius: float, shape: tuple[int, int]) -> np.ndarray:
    """Draw what a round brush covers: the pixels at most `radius` from a path, bool [H, W].

    Args:
      path: corners (x, y) in pixels, whole numbers at their centres, float [n, 2]; straight in
        between; computed in its type.
      radius: of the brush, in pixels.
      shape: (H, W).
    """
    hole = np.zeros(shape, bool)
    for start, end in itertools.pairwise(path):
        ends = np.stack([start, end])
        crop = boxes.clipped(ends.min(axis=0) - radius, ends.max(axis=0) + radius, shape)
        y, x = (axis.astype(path.dtype) for axis in np.ogrid[crop])
        x, y = x - start[0], y - start[1]
        along = end - start
        # The point of the segment that is nearest to each pixel, from 0 (start) to 1 (end).
        length = np.maximum(np.square(along).sum(), path.dtype.type(1e-12))
        nearest = np.clip((x * along[0] + y * along[1]) / length, 0, 1)
        away = (x - nearest * along[0]) ** 2 + (y - nearest * along[1]) ** 2
        hole[crop] |= away <= radius**2
    return hole


def convex_polygon(corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Draw a convex polygon, its corners (x, y) in order, [n, 2]: bool [H, W]."""
    hole = np.zeros(shape, bool)
    crop = boxes.clipped(corners.min(axis=0), corners.max(axis=0), shape)
    y, x = np.ogrid[crop]
    sides = [
        (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0
        for (x0, y0), (x1, y1) in itertools.pairwise(np.concatenate([corners, corners[:1]]))
    ]
    hole[crop] = np.all(sides, axis=0) | ~np.any(sides, axis=0)
    return hole
