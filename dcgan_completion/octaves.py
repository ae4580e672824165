"""The energy of a picture by octaves: how much of its detail is there, and where."""

from __future__ import annotations

import itertools

import cv2
import numpy as np

FINEST = 0.5  # pixels: sigma of the Gaussian from which the first octave goes


def luma_of(image: np.ndarray) -> np.ndarray:
    """Compute the luma (ITU-R BT.601) of an image, uint8 or float32 [H, W, C]: [H, W]."""
    return image[..., 0] if image.shape[-1] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def octave_bands(picture: np.ndarray, octaves: int = 3) -> list[np.ndarray]:
    """Split a picture, uint8 or float [H, W, C], into octaves of its luma, the finest first.

    Band k, from 1, is the difference of Gaussians of 0.5 * 2^(k-1) and 0.5 * 2^k pixels.
    """
    pixels = picture if picture.dtype == np.uint8 else picture.astype(np.float32)
    gray = luma_of(pixels).astype(np.float32)
    smooth = [cv2.GaussianBlur(gray, (0, 0), FINEST * 2**k) for k in range(octaves + 1)]
    return [fine - coarse for fine, coarse in itertools.pairwise(smooth)]


def octave_energies(
    picture: np.ndarray, hole: np.ndarray, octaves: int = 3, edge: int = 3
) -> np.ndarray:
    """Sum the squares of each octave in a hole, bool [H, W], eroded by a square: [octaves]."""
    inner = cv2.erode(hole.astype(np.uint8), np.ones((edge, edge), np.uint8)) > 0
    return np.array([np.square(band[inner]).sum() for band in octave_bands(picture, octaves)])
