"""The filled part of a photo as a layer for image editors."""

from __future__ import annotations

import numpy as np

from dcgan_completion.photos.files import Photo


def layer_of(after: Photo, hole: np.ndarray) -> Photo:
    """Make a layer, RGBA, of a repaired photo in its hole, bool [H, W], and of nothing else.

    The photo and the hole may be cropped.
    """
    pixels = np.zeros([*hole.shape, 3], after.pixels.dtype)
    pixels[hole] = after.pixels[hole]  # gray in all three channels
    return Photo(pixels, hole * pixels.dtype.type(after.peak), rgb_profile(after))


def rgb_profile(photo: Photo) -> bytes | None:
    """Return the ICC profile for an RGB picture of a photo; that of a gray photo does not fit."""
    return photo.icc if photo.pixels.shape[2] == 3 else None
