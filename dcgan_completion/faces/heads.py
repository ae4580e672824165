"""The square around a head: where it lies in a photo, and what of it the photo shows.

It is twice as wide as the face's square, which lies in its middle: wide enough for hair, ears and
neck, as the crops of FFHQ are (Karras et al. 2019, arXiv:1812.04948). It often leaves the photo.
"""

from __future__ import annotations

import math

import numpy as np

from dcgan_completion.faces.placement import sample

WIDER = 2  # the edge of the head's square, in edges of the face's
STORED = 1.25  # the edge of a stored head, in edges of the head's square: room to move it


def head_matrix(matrix: np.ndarray, face_size: int, size: int) -> np.ndarray:
    """Compute the affine map to a head's square from that to the face's.

    Args:
      matrix: from (x, y, 1) of the photo to (x, y) of the face's square, float64 [2, 3].
      face_size: edge of the face's square in pixels.
      size: edge of the head's square in pixels.
    """
    return _around(matrix, face_size, size / (WIDER * face_size), size)


def _around(matrix: np.ndarray, face_size: int, factor: float, size: int) -> np.ndarray:
    """Enlarge a square by a factor; the middle stays in the middle of one of `size` pixels."""
    result = matrix * factor
    result[:, 2] += (size - 1) / 2 - factor * (face_size - 1) / 2
    return result


def seen_part(matrix: np.ndarray, size: int, shape: tuple[int, ...]) -> np.ndarray:
    """Find the pixels of a square that lie wholly within a photo of shape (H, W).

    Returns:
      bool [size, size].
    """
    inverse = np.linalg.inv(matrix[:, :2])
    places = np.arange(size) - matrix[:, 2:]  # of columns, of rows
    reach = np.abs(inverse).sum(axis=1) / 2  # of a pixel of the square, in pixels of the photo
    inside = np.ones([size, size], bool)
    for axis, limit in enumerate((shape[1], shape[0])):
        across, down = inverse[axis, 0] * places[0], inverse[axis, 1] * places[1]
        at = across[np.newaxis] + down[:, np.newaxis]
        inside &= (at - reach[axis] >= -0.5 - 1e-6) & (at + reach[axis] <= limit - 0.5 + 1e-6)
    return inside


def stored_head(photo: np.ndarray, matrix: np.ndarray, face_size: int) -> np.ndarray:
    """Make the picture of a head on which a photo encoder is trained.

    Args:
      photo: uint8 [H, W, C].
      matrix: from the photo to the face's square, of `face_size` pixels.

    Returns:
      uint8 [E, E, C + 1], at the face's resolution; the last channel is 255 where the photo shows
      the head, else 0, and so are the others.
    """
    edge = 2 * math.ceil(WIDER * STORED * face_size / 2)
    wide = _around(matrix, face_size, 1.0, edge)
    seen = seen_part(wide, edge, photo.shape)[..., np.newaxis]
    pixels = np.clip(np.rint(sample(photo, wide, edge)), 0, 255)
    return np.concatenate([np.where(seen, pixels, 0), 255 * seen], axis=2).astype(np.uint8)
