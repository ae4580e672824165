"""Which pixels of an image are missing, and how the hole is filled.

A mask is float32 [H, W, 1] (or [N, H, W, 1]), 1 where a pixel is known, 0 where it is missing.
"""

from __future__ import annotations

import numpy as np

HALVES = ("left", "right", "top", "bottom")
MASK_TYPES = ("center", "random", *HALVES, "half", "full", "grid", "lowres", "pattern")
RANDOM_TYPES = ("random", "half", "pattern")  # those that make_mask draws from a generator
RANDOM_MISSING = 0.2  # share of the pixels that a random mask leaves out
PATTERN_MISSING = 0.25  # share of the pixels that a pattern leaves out
PATTERN_SCALE = 1 / 16  # deviation of the Gaussian that smooths a pattern's noise, of the width
GRID_STEP = 4  # a grid keeps every fourth pixel in both directions
LOWRES_BLOCK = 8  # pixels: edge of the blocks of which lowres knows the average


def make_mask(
    mask_type: str,
    size: int,
    *,
    center_scale: float = 0.25,
    fraction: float = RANDOM_MISSING,
    random: np.random.Generator | None = None,
) -> np.ndarray:
    """The mask of a square image, float32 [size, size, 1], 1 = known.

    Args:
      mask_type: one of MASK_TYPES. `center` misses the pixels from size * center_scale to
        size * (1 - center_scale) in both directions, `random` a share of the pixels, `left`,
        `right`, `top` and `bottom` that half, `half` one of the four, `pattern` a quarter of the
        pixels in blobs, `full` nothing; `grid` knows only every fourth pixel in both directions.
        `lowres` knows no pixel but the averages of 8x8 blocks, and its mask, all known, is
        [size / 8, size / 8, 1].
      center_scale: in (0, 0.5).
      fraction: in (0, 1), with which probability a `random` mask misses a pixel.
      random: draws the masks of RANDOM_TYPES; `random`'s pixels are drawn each by itself.

    Raises:
      ValueError: an unknown type, a fraction out of range, or no generator for RANDOM_TYPES.
    """
    mask = np.ones([size, size, 1], np.float32)
    if mask_type in RANDOM_TYPES:
        if random is None:
            raise ValueError(f"a {mask_type} mask needs a generator")
        mask[_draw_missing(mask_type, size, fraction, random)] = 0
    elif mask_type in HALVES:
        mask[_half(size, mask_type)] = 0
    elif mask_type == "center":
        low, high = int(size * center_scale), int(size * (1 - center_scale))
        mask[low:high, low:high] = 0
    elif mask_type == "grid":
        mask[:] = 0
        mask[::GRID_STEP, ::GRID_STEP] = 1
    elif mask_type == "lowres":
        return np.ones([size // LOWRES_BLOCK, size // LOWRES_BLOCK, 1], np.float32)
    elif mask_type != "full":
        raise ValueError(f"mask type {mask_type!r} is not one of {', '.join(MASK_TYPES)}")
    return mask


def _draw_missing(
    mask_type: str, size: int, fraction: float, random: np.random.Generator
) -> np.ndarray:
    """What a mask of RANDOM_TYPES misses, bool [size, size]."""
    if mask_type == "half":
        return _half(size, HALVES[random.integers(len(HALVES))])
    if mask_type == "pattern":
        return _blobs(size, random)
    if not 0 < fraction < 1:
        raise ValueError(f"fraction {fraction} is not between 0 and 1")
    return random.random([size, size]) < fraction


def _half(size: int, side: str) -> np.ndarray:
    """The half of a square on one side, bool [size, size]."""
    line = np.arange(size) if side in ("left", "top") else np.arange(size)[::-1]
    inside = np.broadcast_to(line < size // 2, [size, size])
    return inside if side in ("left", "right") else inside.T


def _blobs(size: int, random: np.random.Generator) -> np.ndarray:
    """The highest quarter of smoothed noise, bool [size, size]."""
    from scipy import ndimage  # only here: most scripts' --help must not wait for it

    scale = size * PATTERN_SCALE
    margin = round(3 * scale)  # so that blobs are cut by the border instead of mirrored at it
    noise = random.standard_normal([size + 2 * margin, size + 2 * margin])
    smooth = ndimage.gaussian_filter(noise, scale, truncate=3)
    inner = smooth[margin : margin + size, margin : margin + size]
    missing = np.zeros(size * size, bool)
    missing[np.argsort(inner, axis=None)[::-1][: round(PATTERN_MISSING * size * size)]] = True
    return missing.reshape(size, size)


def block_edge(mask_type: str) -> int:
    """Edge in pixels of the blocks whose averages are known: 1 (pixels) but for `lowres`."""
    return LOWRES_BLOCK if mask_type == "lowres" else 1


def block_average(images: np.ndarray, block: int) -> np.ndarray:
    """Each block x block square of [N, H, W, C] replaced by its average, same shape."""
    number, height, width, channels = images.shape
    blocks = images.reshape(number, height // block, block, width // block, block, channels)
    average = blocks.mean(axis=(2, 4), keepdims=True)
    return np.broadcast_to(average, blocks.shape).reshape(images.shape)


def visible(images: np.ndarray, mask: np.ndarray, mask_type: str) -> np.ndarray:
    """What is known of `images` ([N, H, W, C] in [-1, 1]), to look at: gray where it is missing."""
    if mask_type == "lowres":
        return block_average(images, LOWRES_BLOCK)
    return images * mask


def composite(
    images: np.ndarray, mask: np.ndarray, generated: np.ndarray, mask_type: str
) -> np.ndarray:
    """The completion: known pixels from `images`, the hole from `generated`, all [N, H, W, C].

    Where nothing is missing (`full`) or no pixel is known (`lowres`), the generated image.
    """
    if mask_type in ("full", "lowres"):
        return generated
    return np.where(mask > 0, images, generated)
