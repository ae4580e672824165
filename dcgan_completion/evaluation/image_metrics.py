"""Metrics of completed images in their holes: PSNR, structural similarity, gradient energy.

Images are uint8 [N, S, S, C], holes bool [N, S, S, 1], True = missing. Only the hole's pixels
count: the known ones would flatter every method alike.
"""

from __future__ import annotations

import numpy as np

GRAY = (0.299, 0.587, 0.114)  # shares of red, green and blue: ITU-R BT.601, as Pillow's "L"


def psnr(original: np.ndarray, completed: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Compute the peak signal-to-noise ratio in the hole, in dB, float64 [N].

    -10 log10 of the mean squared difference over the hole's pixels and channels, with values
    in 0..1. Infinite where the hole is restored exactly, NaN where there is none.
    """
    squares = np.square((original.astype(np.float64) - completed) / 255)
    count = hole.sum(axis=(1, 2, 3)) * original.shape[3]
    with np.errstate(divide="ignore", invalid="ignore"):
        return -10 * np.log10(np.sum(squares * hole, axis=(1, 2, 3)) / count)


def ssim(original: np.ndarray, completed: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Compute the structural similarity in the hole, at most 1, float64 [N]; NaN without a hole.

    The map of Wang et al. 2004 (IEEE TIP 13(4); Gaussian window of sigma 1.5) is computed
    over the whole image, by channel, and averaged over the hole's pixels: windows at the hole
    boundary see known pixels, too.
    """
    # Slow to import, and processes do without it.
    from skimage.metrics import structural_similarity

    values = np.full(len(original), np.nan)
    for i, plane in enumerate(hole[..., 0]):
        if plane.any():
            similarity = structural_similarity(
                original[i],
                completed[i],
                data_range=255,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                full=True,
            )[1]
            values[i] = similarity[plane].mean()
    return values


def gradient_energy(images: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Sum squared differences of neighbouring grey values in the hole, float64 [N].

    The energy of the image gradient, a measure of focus (Subbarao et al. 1993, Optical Engineering
    32(11)), with values in 0..1. A completion's, divided by the original's, is its sharpness.
    Neighbours are pixels side by side or one above the other. Both must be in the hole: a pair of
    which one is known would count the seam at the hole boundary as detail. NaN where the hole holds
    no such pair.
    """
    gray = images[..., 0] if images.shape[3] == 1 else images @ np.array(GRAY)
    hole = hole[..., 0]
    energy, pairs = np.zeros(len(images)), np.zeros(len(images), int)
    for axis in (1, 2):
        first, second = (np.delete(hole, end, axis=axis) for end in (-1, 0))
        squares = np.square(np.diff(gray.astype(np.float64), axis=axis) / 255)
        energy += np.sum(squares * (first & second), axis=(1, 2))
        pairs += np.sum(first & second, axis=(1, 2))
    return np.where(pairs > 0, energy, np.nan)
