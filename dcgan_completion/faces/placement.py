"""A face's square: sampled from a photo, and pasted back into it.

Both go by one matrix, that of `faces.alignment_matrix`: [2, 3], from (x, y, 1) of the photo to
(x, y) of the square, whole numbers at the centres of pixels. A pixel reaches half to each side, so
that the square of edge `size` reaches from -0.5 to size - 0.5.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import scipy.ndimage

from dcgan_completion.faces import aligner as faces
from dcgan_completion.masks.boxes import Crop

# Of the square's edge. Of 0.5 to 4 pixels of the photo 0.75 was best for faces of 190 pixels, 1.5
# for 70, 3 where those of 190 were enlarged to 560; for all of them this is within 0.06 dB of it.
SMOOTHNESS = 1 / 160
MARGIN = 2  # pixels around the square of which its pixels are made, and more than enough
FINEST = 32  # how much finer pasting back samples, at most: faces of two pixels
NARROW = 2  # pixels of the square: what is narrower is a scratch
CORNER = 1.5  # radii of a disc from its centre: to the corner of a right angle that it touches


def square_corners(matrix: np.ndarray, size: int) -> np.ndarray:
    """Compute (x, y) of the square's corners in the photo, in their order around it, [4, 2]."""
    low, high = -0.5, size - 0.5
    corners = np.array([[low, low], [high, low], [high, high], [low, high]])
    return (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def scale_of(matrix: np.ndarray) -> float:
    """Compute the pixels of the photo for a pixel of the square: edges of squares of the same area."""
    return 1 / math.sqrt(abs(np.linalg.det(matrix[:, :2])))


def smoothing_length(matrix: np.ndarray, size: int) -> float:
    """Choose the smoothness of `seams.fill`: a share of a face, at least a pixel of the photo.

    Shorter than in the square, since the photo shows more than what was generated: how an edge
    of its goes on in the hole is not to be concluded from its slope.
    """
    return max(SMOOTHNESS * size * scale_of(matrix), 1.0)


def sample(photo: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Sample the square that a model sees, by the filter and border rule of alignment.

    Args:
      photo: [H, W, C], uint8, uint16 or float32.
      matrix: [2, 3], of the square.
      size: edge of the square in pixels.

    Returns:
      float32 [size, size, C], in the photo's range.
    """
    # Only what the square shows is converted: a photo of 24 megapixels takes 300 MB as float32.
    corners = square_corners(matrix, size)
    limits = np.array(photo.shape[1::-1])
    first = np.clip(np.floor(corners.min(axis=0)) - MARGIN, 0, limits - 1).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0)) + MARGIN, first, limits - 1).astype(int)
    part = photo[first[1] : last[1] + 1, first[0] : last[0] + 1].astype(np.float32)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ first
    return faces.affine_image(part, shifted, size)


def hole_in_face(hole: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Find a hole, bool [H, W], in the square: bool [size, size], True where a part is missing."""
    return sample(hole[..., np.newaxis], matrix, size)[..., 0] > 0


def paste_back(candidate: np.ndarray, matrix: np.ndarray, crop: Crop) -> np.ndarray:
    """Resample a candidate at the photo's resolution: the inverse of `sample`.

    By cubic splines where it is enlarged; where it shrinks, they are averaged over each pixel.
    Beyond the square its edge is repeated.

    Args:
      candidate: [size, size, C].
      matrix: [2, 3], of the square.
      crop: rows and columns of the photo.

    Returns:
      float32 [h, w, C], of the crop.
    """
    factor = math.ceil(np.linalg.svd(matrix[:, :2], compute_uv=False).max() - 1e-3)
    factor = min(max(factor, 1), FINEST)
    rows, columns = crop
    height, width = rows.stop - rows.start, columns.stop - columns.start
    # Pixel i of a grid `factor` times as fine lies at (i + 0.5) / factor - 0.5 of the crop.
    start = np.array([columns.start, rows.start]) + (0.5 / factor - 0.5)
    offset = matrix[:, :2] @ start + matrix[:, 2]
    result = np.empty([height, width, candidate.shape[-1]], np.float32)
    for channel in range(candidate.shape[-1]):
        fine = scipy.ndimage.affine_transform(
            candidate[..., channel].astype(np.float64),
            matrix[::-1, 1::-1] / factor,  # (row, column) in the place of (x, y)
            offset[::-1],
            (height * factor, width * factor),
            output=np.float32,
            order=3,
            mode="nearest",
        )
        blocks = fine.reshape(height, factor, width, factor)
        result[..., channel] = blocks.mean(axis=(1, 3)) if factor > 1 else fine
    return result


def narrow(hole: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Find the pixels of a hole, bool [H, W], in which no disc of NARROW pixels of the square fits.

    Corners that such a disc touches are not narrow.
    """
    radius = NARROW * scale_of(matrix) / 2
    if radius < 1:
        return np.zeros_like(hole)
    # Beyond the photo's border the hole may go on: its edge is repeated.
    edge = math.ceil(radius) + 1
    padded = np.pad(hole, edge, mode="edge").astype(np.uint8)
    centres = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) >= radius
    away = cv2.distanceTransform((~centres).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return hole & (away[edge:-edge, edge:-edge] >= CORNER * radius)
