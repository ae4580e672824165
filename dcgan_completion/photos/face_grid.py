"""`FaceGrid`: a face and its surroundings on a grid of fixed size, to look for its detail in.

The grid goes along with the face's square, reaches beyond it, and has two pixels for each *unit*,
1/64 of the square's edge: what is found in it takes as long, and as much memory, for a face of
3,000 pixels as for one of 100. A grid's (x, y) are whole numbers at the centres of its pixels.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from dcgan_completion.faces.placement import affine_image, scale_of, square_corners
from dcgan_completion.masks.boxes import Crop, clipped

UNITS = 64  # of a square's edge: the pixels of the model that ships
PER_UNIT = 2  # pixels of the grid
LEFT, TOP = -16, -22  # units: where the grid begins; as far as hair, ears and chin give detail
EDGE = 192  # pixels of the grid: 96 units
LARGE = 8  # photo pixels per unit: a larger face is first reduced, which bounds the memory
REDUCED = 4  # photo pixels per unit after that, at least
COARSE = 6.0  # pixels: a wider blur is computed in a reduced copy, with a Gaussian half as wide


@dataclasses.dataclass(frozen=True, eq=False)
class FaceGrid:
    """A part of a photo around a face, and the grid.

    Attributes:
      photo: all of it known, uint8 or uint16 [H, W, C].
      matrix: from (x, y, 1) of that part to (x, y) of the grid, float64 [2, 3].
      image: the photo in the grid, float32 [EDGE, EDGE, C], 0..255.
      known: whether a pixel of the grid shows the photo, and nothing of the hole, bool
        [EDGE, EDGE].
    """

    photo: np.ndarray
    matrix: np.ndarray
    image: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, photo: np.ndarray, known: np.ndarray, matrix: np.ndarray, size: int) -> FaceGrid:
        """Sample the grid.

        Args:
          photo: uint8 or uint16 [H, W, C], its hole filled.
          known: bool [H, W], False in the hole.
          matrix: of the face's square, [2, 3]; see `placement`.
          size: edge of the square.
        """
        own = grid_matrix(matrix, size)
        image, shares = (
            _sample(plane, own) for plane in (photo, np.uint8(255) * known[..., np.newaxis])
        )
        x, y = np.meshgrid(*2 * [np.arange(EDGE)])
        px, py = transform(inverse_of(own), x, y)
        height, width = known.shape
        inside = (px > -0.5) & (px < width - 0.5) & (py > -0.5) & (py < height - 0.5)
        levels = np.float32(np.iinfo(photo.dtype).max / 255)
        return cls(photo, own, image / levels, inside & (shares[..., 0] > 254))

    @property
    def unit(self) -> float:
        """Photo pixels per unit."""
        return PER_UNIT * scale_of(self.matrix)

    def rest_at(self, x: np.ndarray, y: np.ndarray, low: np.ndarray) -> np.ndarray:
        """Sample what the photo has beyond a low-pass of it, in levels of 255.

        Args:
          x, y: in the photo, float32 [h, w].
          low: the low-pass, in the grid, float32 [EDGE, EDGE, C].

        Returns:
          float32 [h, w, C].
        """
        levels = np.float32(np.iinfo(self.photo.dtype).max / 255)
        fine = look_up(self.photo, x, y, cv2.INTER_LANCZOS4).astype(np.float32)
        fine /= levels
        fine -= look_up(low, *transform(self.matrix, x, y), cv2.INTER_CUBIC)
        return fine

    def in_grid(self, hole: np.ndarray) -> np.ndarray:
        """Find where in the grid a hole of the photo, bool [H, W], reaches, bool [EDGE, EDGE]."""
        return _sample(np.uint8(255) * hole[..., np.newaxis], self.matrix)[..., 0] > 0


def grid_matrix(matrix: np.ndarray, size: int) -> np.ndarray:
    """Make the matrix from a photo to the grid, from that to a face's square; both [2, 3]."""
    own = matrix * (PER_UNIT * UNITS / size)
    own[:, 2] -= PER_UNIT * np.array([LEFT, TOP])
    return own


def bounds_of(matrix: np.ndarray, size: int, shape: tuple[int, ...]) -> Crop:
    """Find the rows and columns of a photo of shape (H, W) that the grid of a square shows."""
    corners = square_corners(grid_matrix(matrix, size), EDGE)
    return clipped(corners.min(axis=0), corners.max(axis=0), shape)


def in_units() -> tuple[np.ndarray, np.ndarray]:
    """Compute (u, v) of the grid's pixels in units from the square's corner, [1 or EDGE, EDGE]."""
    places = np.arange(EDGE) / PER_UNIT
    return (places + LEFT)[np.newaxis], (places + TOP)[:, np.newaxis]


def transform(matrix: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map (x, y), each [...], by a matrix, [2, 3]; float32."""
    first, second = (a * x + b * y + c for a, b, c in matrix.astype(np.float32))
    return first.astype(np.float32), second.astype(np.float32)


def inverse_of(matrix: np.ndarray) -> np.ndarray:
    """Invert an affine matrix, [2, 3]."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def look_up(image: np.ndarray, x: np.ndarray, y: np.ndarray, how: int) -> np.ndarray:
    """Sample an image, [H, W, C], at float32 x and y, [h, w]: [h, w, C]; its edge is repeated."""
    found = cv2.remap(image, x, y, how, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(*x.shape, image.shape[-1])  # OpenCV drops a single channel


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blur an image, float32 [H, W] or [H, W, C], by a Gaussian of `sigma` pixels."""
    border = cv2.BORDER_REFLECT  # the same in a reduced copy
    shrink = int(2 * sigma / COARSE) if sigma > COARSE else 1
    if shrink == 1:
        return cv2.GaussianBlur(image, (0, 0), sigma, borderType=border).reshape(image.shape)
    height, width = image.shape[:2]
    size = -(-width // shrink), -(-height // shrink)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=border)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).reshape(image.shape)


def _sample(photo: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Sample the grid from a photo, uint8 or uint16 [H, W, C]: float32, in its levels."""
    unit = PER_UNIT * scale_of(matrix)
    if unit > LARGE:
        height, width, channels = photo.shape
        shrink = int(unit / REDUCED)
        size = -(-width // shrink), -(-height // shrink)
        photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        photo = photo.reshape(size[1], size[0], channels)
        ratio = np.array([width, height]) / size
        matrix = matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (ratio / 2 - 0.5)
        matrix[:, :2] *= ratio
    return affine_image(photo, matrix, EDGE).astype(np.float32)
