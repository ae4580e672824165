"""What was filled in a photo, as a layer for image editors."""

from __future__ import annotations

import numpy as np

from dcgan_completion.photos.files import Photo


def layer_of(after: Photo, hole: np.ndarray) -> Photo:
    """A layer for image editors: RGBA, a repaired photo in its hole, bool [H, W], and nothing else.

    The pixels and the hole may be those of a crop.
    """
    pixels = np.zeros([*hole.shape, 3], after.pixels.dtype)
    pixels[hole] = after.pixels[hole]  # gray in all three channels
    return Photo(pixels, hole * pixels.dtype.type(after.peak), rgb_profile(after))


def rgb_profile(photo: Photo) -> bytes | None:
    """The ICC profile for a picture of it in RGB; that of a gray photo does not fit."""
    return photo.icc if photo.pixels.shape[2] == 3 else None
