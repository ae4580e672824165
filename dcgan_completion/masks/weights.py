"""How much each pixel counts in the contextual loss."""

from __future__ import annotations

import numpy as np

WINDOW = 7  # pixels: edge of the window in which Yeh et al. (2017) count unknown pixels


def importance_weights(hole: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Weight each known pixel by the holes around it: float32 [N, H, W, 1].

    W of Yeh et al., Semantic Image Inpainting with Deep Generative Models (2017, arXiv
    1607.07539v3, importance weighted context loss): a known pixel's weight is the share of missing
    pixels in the window x window square around it, clipped to the image; a missing one's is 0.

    Args:
      hole: bool [N, H, W, 1], True = missing.
      window: edge of the square in pixels, odd.

    Raises:
      ValueError: the window is not odd.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window {window} is not an odd number above 0")
    from scipy import ndimage  # only here: most commands' --help must not wait for it

    def sums(values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64)
        for axis in (-3, -2):
            values = ndimage.correlate1d(values, np.ones(window), axis, mode="constant")
        return values

    return (~hole * sums(hole) / sums(np.ones(hole.shape[-3:]))).astype(np.float32)


def pixel_weights(hole: np.ndarray, weighted: float) -> np.ndarray:
    """Weight each pixel in the contextual loss, 0 in the hole: float32 [N, H, W, 1].

    M * (1 - weighted) + W * weighted, where M is 1 for known pixels, and W are the
    `importance_weights`, scaled in every image to the sum of M, so that the contextual loss keeps
    its magnitude beside the perceptual one. Where all of W is 0 (nothing missing, or nothing
    known), M itself.

    Args:
      hole: bool [N, H, W, 1], True = missing.
      weighted: the share of W, in [0, 1].

    Raises:
      ValueError: `weighted` is out of range.
    """
    if not 0 <= weighted <= 1:
        raise ValueError(f"weighted {weighted} is not from 0 to 1")
    known = (~hole).astype(np.float32)
    weights = importance_weights(hole).astype(np.float64)
    axes = (-3, -2, -1)
    total = weights.sum(axes, keepdims=True)
    scale = known.sum(axes, keepdims=True) / np.where(total > 0, total, 1)
    weights = np.where(total > 0, weights * scale, known)
    return (known * (1 - weighted) + weights * weighted).astype(np.float32)
