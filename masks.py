"""Which pixels of an image are missing, and how the hole is filled.

A mask is float32 [H, W, 1] (or [N, H, W, 1]), 1 where a pixel is known, 0 where it is missing.
"""

from __future__ import annotations

import numpy as np

MASK_TYPES = ("center", "random", "left", "full", "grid", "lowres")
RANDOM_MISSING = 0.2  # share of the pixels that a random mask leaves out
GRID_STEP = 4  # a grid keeps every fourth pixel in both directions
LOWRES_BLOCK = 8  # pixels: edge of the blocks of which lowres knows the average


def make_mask(
    mask_type: str,
    size: int,
    *,
    center_scale: float = 0.25,
    random: np.random.Generator | None = None,
) -> np.ndarray:
    """The mask of a square image, float32 [size, size, 1], 1 = known.

    Args:
      mask_type: one of MASK_TYPES. `center` misses the pixels from size * center_scale to
        size * (1 - center_scale) in both directions, `random` a fifth of the pixels, `left`
        the left half, `full` nothing; `grid` knows only every fourth pixel in both directions.
        `lowres` knows no pixel but the averages of 8x8 blocks, and its mask, all known, is
        [size / 8, size / 8, 1].
      center_scale: in (0, 0.5).
      random: draws a `random` mask, each pixel by itself.

    Raises:
      ValueError: an unknown type, or no generator for `random`.
    """
    mask = np.ones([size, size, 1], np.float32)
    if mask_type == "center":
        low, high = int(size * center_scale), int(size * (1 - center_scale))
        mask[low:high, low:high] = 0
    elif mask_type == "random":
        if random is None:
            raise ValueError("a random mask needs a generator")
        mask[random.random([size, size]) < RANDOM_MISSING] = 0
    elif mask_type == "left":
        mask[:, : size // 2] = 0
    elif mask_type == "grid":
        mask[:] = 0
        mask[::GRID_STEP, ::GRID_STEP] = 1
    elif mask_type == "lowres":
        return np.ones([size // LOWRES_BLOCK, size // LOWRES_BLOCK, 1], np.float32)
    elif mask_type != "full":
        raise ValueError(f"mask type {mask_type!r} is not one of {', '.join(MASK_TYPES)}")
    return mask


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
