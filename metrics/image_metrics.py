"""Metrics of completed images in their holes: PSNR and structural similarity.

Images are uint8 [N, S, S, C], masks float32 [N, S, S, 1], 1 = known. Only the hole's pixels
(mask 0) count: the known ones would flatter every method alike.
"""

from __future__ import annotations

import numpy as np


def psnr(original: np.ndarray, completed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in the hole, in dB, float64 [N].

    -10 log10 of the mean squared difference over the hole's pixels and channels, with values
    in 0..1. Infinite where the hole is restored exactly, NaN where there is none.
    """
    hole = mask == 0
    squares = np.square((original.astype(np.float64) - completed) / 255)
    count = hole.sum(axis=(1, 2, 3)) * original.shape[3]
    with np.errstate(divide="ignore", invalid="ignore"):
        return -10 * np.log10(np.sum(squares * hole, axis=(1, 2, 3)) / count)


def ssim(original: np.ndarray, completed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Structural similarity in the hole, at most 1, float64 [N]; NaN where there is no hole.

    The map of Wang et al. 2004 (IEEE TIP 13(4); Gaussian window of sigma 1.5) is computed
    over the whole image, by channel, and averaged over the hole's pixels: windows at the hole
    boundary see known pixels, too.
    """
    from skimage.metrics import (
        structural_similarity,
    )  # slow to import; processes do without it

    values = np.full(len(original), np.nan)
    for i, hole in enumerate(mask[..., 0] == 0):
        if hole.any():
            _, similarity = structural_similarity(
                original[i],
                completed[i],
                data_range=255,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                full=True,
            )
            values[i] = similarity[hole].mean()
    return values
