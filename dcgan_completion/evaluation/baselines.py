"""Baselines that fill holes without a trained model: inpainting methods and the mean face."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from skimage.restoration import inpaint_biharmonic

RADIUS = 3  # pixels: how far around each pixel OpenCV's methods look, as in its documentation

# an image, uint8 [S, S, C], and its hole, bool [S, S] -> the image with its hole filled, uint8
Inpaint = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _opencv(image: np.ndarray, hole: np.ndarray, flag: int) -> np.ndarray:
    # At the image's border OpenCV 5.0 looks at the hole's own pixels: it must not see the truth.
    known = image[~hole]
    gray = np.rint(known.mean(axis=0)) if len(known) else 0
    blank = np.where(hole[..., np.newaxis], gray, image).astype(np.uint8)
    return cv2.inpaint(blank, hole.astype(np.uint8), RADIUS, flag).reshape(image.shape)


def telea(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """March fast from the hole boundary (Telea 2004, J. Graphics Tools 9(1)), by OpenCV."""
    return _opencv(image, hole, cv2.INPAINT_TELEA)


def navier_stokes(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Continue isophotes as a fluid flows (Bertalmio et al. 2001, CVPR), by OpenCV."""
    return _opencv(image, hole, cv2.INPAINT_NS)


def biharmonic(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fit the smoothest surface to the known pixels (Damelin and Hoang 2018), by scikit-image."""
    filled = inpaint_biharmonic(image, hole, channel_axis=-1)  # float in 0..1
    return np.clip(np.rint(255 * filled), 0, 255).astype(np.uint8)


INPAINTING: dict[str, Inpaint] = {
    "telea": telea,
    "navier-stokes": navier_stokes,
    "biharmonic": biharmonic,
}


class MeanFace:
    """The mean of all faces that are evaluated but one.

    A face itself is left out: with it, 1 / N of the truth would be in its own completion.
    """

    def __init__(self, images: np.ndarray) -> None:
        """Take all faces that are evaluated, uint8 [N, S, S, C], at least two."""
        self._sum, self._others = images.sum(axis=0, dtype=np.int64), len(images) - 1

    def without(self, images: np.ndarray) -> np.ndarray:
        """Compute the mean of the faces other than each of some of them, uint8 [n, S, S, C]."""
        return np.rint((self._sum - images) / self._others).astype(np.uint8)
