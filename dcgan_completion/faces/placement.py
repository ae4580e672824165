"""A face's square: where it lies in a photo, sampled from it, and pasted back.

All of it goes by one matrix: [2, 3], from (x, y, 1) of the photo to (x, y) of the square, whole
numbers at the centres of pixels. A pixel reaches half to each side, so that a square of edge `size`
reaches from -0.5 to size - 0.5.

OpenCV and SciPy are imported where they are used: command lines are built without them.
"""

from __future__ import annotations

import math

import numpy as np

from dcgan_completion.masks.boxes import Crop, clipped
from dcgan_completion.utils import UserError

MIN_HEIGHT = 0.05  # of the three landmarks' triangle, as a share of its longest side
# Of the square's edge. Of 0.5 to 4 pixels of the photo 0.75 was best for faces of 190 pixels, 1.5
# for 70, 3 where those of 190 were enlarged to 560; for all of them this is within 0.06 dB of it.
SMOOTHNESS = 1 / 160
MARGIN = 2  # pixels around the square of which its pixels are made, and more than enough
MAX_SUPERSAMPLING = 64  # of a photo that is sampled
MAX_FINER = 32  # how much finer pasting back samples: enough for faces of two pixels
NARROW = 2  # pixels of the square: what is narrower is a scratch
CORNER = 1.5  # radii of a disc from its centre: to the corner of a right angle that it touches


# --- the matrix ---


def alignment_matrix(points: np.ndarray, template: np.ndarray, size: int) -> np.ndarray:
    """Compute the affine map from three points of a photo to their places in a template.

    Args:
      points: (x, y) in the photo, [3, 2].
      template: (x, y) in the square, 0..1, [3, 2].
      size: edge of the square in pixels.

    Returns:
      float64 [2, 3].

    Raises:
      UserError: the points lie nearly on a line.
    """
    import cv2

    sides = points - np.roll(points, 1, axis=0)
    longest = np.square(sides).sum(axis=1).max()
    if not abs(np.linalg.det(sides[:2])) > MIN_HEIGHT * longest:
        raise UserError("the three landmarks lie nearly on a line")
    places = (size * template).astype(np.float32)
    return cv2.getAffineTransform(points.astype(np.float32), places)


def square_corners(matrix: np.ndarray, size: int) -> np.ndarray:
    """Compute (x, y) of the square's corners in the photo, in their order around it, [4, 2]."""
    low, high = -0.5, size - 0.5
    corners = np.array([[low, low], [high, low], [high, high], [low, high]])
    return (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def bounds(matrix: np.ndarray, size: int, shape: tuple[int, ...]) -> Crop:
    """Find the rows and columns of a photo of shape (H, W) that hold the square."""
    corners = square_corners(matrix, size)
    return clipped(corners.min(axis=0), corners.max(axis=0), shape)


def scale_of(matrix: np.ndarray) -> float:
    """Compute the pixels of the photo per pixel of the square, from the squares' areas."""
    return 1 / math.sqrt(abs(np.linalg.det(matrix[:, :2])))


def smoothing_length(matrix: np.ndarray, size: int) -> float:
    """Choose the smoothness of `seams.fill`: a share of a face, at least a pixel of the photo.

    Shorter than in the square, since the photo shows more than what was generated: the slope of an
    edge at the hole boundary does not show how it continues in the hole.
    """
    return max(SMOOTHNESS * size * scale_of(matrix), 1.0)


# --- from the photo to the square ---


def affine_image(photo: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Sample a square from a photo, or from a float32 mask the shares of its pixels.

    Where the photo is larger than the square, it is sampled on a grid as much finer and averaged
    down, so that nothing aliases. Beyond the photo's border its edge is repeated.

    Args:
      photo: uint8, uint16 or float32 [H, W, C].

    Returns:
      [size, size, C] of the photo's type.
    """
    import cv2

    # The photo's pixels per pixel of the square, in the direction that shrinks most.
    shrink = 1 / max(np.linalg.svd(matrix[:, :2], compute_uv=False).min(), 1e-6)
    factor = min(max(1, math.ceil(shrink)), MAX_SUPERSAMPLING)
    supersampled = matrix * factor
    # A supersampled pixel's centre is at (i + 0.5) / factor - 0.5 in the square's coordinates.
    supersampled[:, 2] += (factor - 1) / 2
    warped = cv2.warpAffine(
        photo,
        supersampled,
        (size * factor, size * factor),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if factor > 1:
        warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
    return warped.reshape(size, size, photo.shape[-1])  # OpenCV drops a single channel


def sample(photo: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Sample a square as `affine_image`, without rounding: float32, in the photo's range."""
    # Only what the square shows is converted: a photo of 24 megapixels takes 300 MB as float32.
    corners = square_corners(matrix, size)
    limits = np.array(photo.shape[1::-1])
    first = np.clip(np.floor(corners.min(axis=0)) - MARGIN, 0, limits - 1).astype(int)
    last = np.clip(np.ceil(corners.max(axis=0)) + MARGIN, first, limits - 1).astype(int)
    part = photo[first[1] : last[1] + 1, first[0] : last[0] + 1].astype(np.float32)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ first
    return affine_image(part, shifted, size)


def hole_in_face(hole: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Find a photo's hole, bool [H, W], in the square: bool [size, size], True where it reaches."""
    return sample(hole[..., np.newaxis], matrix, size)[..., 0] > 0


# --- from the square to the photo ---


def paste_back(candidate: np.ndarray, matrix: np.ndarray, crop: Crop) -> np.ndarray:
    """Resample a candidate at the photo's resolution: the inverse of `sample`.

    By cubic splines where it is enlarged; where it shrinks, they are averaged over each pixel.
    Beyond the square its edge is repeated.

    Args:
      candidate: [size, size, C].
      crop: rows and columns of the photo.

    Returns:
      float32 [h, w, C], of the crop.
    """
    import scipy.ndimage

    factor = math.ceil(np.linalg.svd(matrix[:, :2], compute_uv=False).max() - 1e-3)
    factor = min(max(factor, 1), MAX_FINER)
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


def hole_in_photo(hole: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Find the pixels of a photo, bool [H, W], whose centres lie in a hole, bool [size, size]."""
    size = len(hole)
    crop = bounds(matrix, size, shape)
    y, x = np.ogrid[crop]
    column, row = (np.floor(a * x + b * y + c + 0.5).astype(np.int32) for a, b, c in matrix)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    result = np.zeros(shape, bool)
    result[crop] = hole[np.where(inside, row, 0), np.where(inside, column, 0)] & inside
    return result


def narrow(hole: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Find the pixels of a hole, bool [H, W], in which no disc of NARROW pixels of the square fits.

    Corners that such a disc touches are not narrow.
    """
    import cv2

    radius = NARROW * scale_of(matrix) / 2
    if radius < 1:
        return np.zeros_like(hole)
    # Beyond the photo's border the hole may go on: its edge is repeated.
    edge = math.ceil(radius) + 1
    padded = np.pad(hole, edge, mode="edge").astype(np.uint8)
    centres = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) >= radius
    away = cv2.distanceTransform((~centres).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return hole & (away[edge:-edge, edge:-edge] >= CORNER * radius)
