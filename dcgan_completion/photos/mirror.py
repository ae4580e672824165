"""The mirror image of a face, brought into line with it by optical flow, and how far it is trusted.

Where one half of a face is missing, the other one has its detail: the pores, lashes and wrinkles
that no small network draws. The affine map that swaps the eyes gives a mirror image; dense inverse
search (Kroeger et al. 2016, "Fast optical flow using dense inverse search", ECCV) moves it onto the
estimate, and it is trusted where it then looks like the estimate.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from dcgan_completion.faces.template import TEMPLATE
from dcgan_completion.octaves import luma_of
from dcgan_completion.photos.face_grid import (
    LEFT,
    PER_UNIT,
    TOP,
    UNITS,
    FaceGrid,
    blur,
    in_units,
    look_up,
    transform,
)
from dcgan_completion.settings.alignment import LANDMARK_SETS
from dcgan_completion.settings.photos import LANDMARKS

# Optical flow; of the grid's pixels.
FLOW_BLUR = 1.6  # standard deviation of the Gaussian before the flow: noise has no match
FLOW_WINDOW = 10.0  # in which brightness and contrast become equal: light comes from one side
FLOW_NOISE = 6.0  # levels: what has less contrast does not steer the flow
FLOW_GAIN = 40.0  # levels of the flow's 8-bit images for one local standard deviation
FINEST_SCALE = 1  # of DIS: half the grid's resolution, that of the estimate
LONGEST = 4.0  # units: a longer flow is a mismatch
FLOW_SMOOTHING = 3.0  # by how much the flow is smoothed
# Trust; lengths in units.
SIMILARITY_BLUR = 0.5  # before images are compared: the estimate has nothing finer
SIMILARITY_WINDOW = 3.0  # of the normalised cross-correlation
DOUBTFUL, SURE = 0.3, 0.7  # correlations: no trust, and all of it
BAND = 1.5, 4.0  # Gaussians between which energies are compared
LOCAL = 2.0  # Gaussian of local energies and colours
ENERGY_RATIO, ENERGY_OFFSET, ENERGY_NOISE = 3.0, 0.5, 40.0  # an ear or a collar is refused where
# the estimate sees none: trust is RATIO (estimate + NOISE) / (mirror + NOISE) - OFFSET
COLOUR_DIFFERENCE = 18.0  # levels: trust begins to fall, to nothing at twice as much
MAX_LIGHT = 2.0  # by which one side of the face is lighter, at most
ELLIPSE = (31.5, 27.0), (34.0, 42.0)  # centre (u, v) and half axes: beyond it faces have no mirror
TRUST_BLUR = 1.0  # of the trust itself
MARGIN = 3  # pixels of the grid around what is unknown in which the mirror is not trusted


@dataclasses.dataclass(frozen=True, eq=False)
class Mirror:
    """A mirror image of a face; all arrays are of the grid, [EDGE, EDGE, ...].

    Attributes:
      x, y: where in the grid the mirror image of a pixel comes from, float32.
      image: the mirror image, float32 [..., C], 0..255.
      known: whether the mirror image shows the photo there, and nothing of the hole, bool.
      trust: 0..1, float32.
    """

    x: np.ndarray
    y: np.ndarray
    image: np.ndarray
    known: np.ndarray
    trust: np.ndarray


def find_mirror(grid: FaceGrid) -> Mirror:
    """Find the mirror image of a face, its hole filled with an estimate."""
    fine = blur(luma_of(grid.image), PER_UNIT * SIMILARITY_BLUR)
    x, y = _aligned_map(fine, grid.known)
    image = look_up(grid.image, x, y, cv2.INTER_CUBIC)
    height, width = grid.known.shape
    inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    shares = look_up(grid.known[..., np.newaxis].astype(np.float32), x, y, cv2.INTER_LINEAR)
    known = inside & (shares[..., 0] > 0.99)
    return Mirror(x, y, image, known, _trust(grid.image, fine, (x, y), known))


def mirror_matrix() -> np.ndarray:
    """Make the affine map in the grid that swaps the eyes and keeps the lip: its own inverse."""
    points = PER_UNIT * (UNITS * TEMPLATE[list(LANDMARK_SETS[LANDMARKS])] - [LEFT, TOP])
    points = points.astype(np.float32)
    return cv2.getAffineTransform(points, points[[1, 0, 2]])


def _aligned_map(luma: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute `x` and `y` of a mirror of luma, float32 [H, W]; nothing unknown steers them."""
    matrix = mirror_matrix()
    x, y = np.meshgrid(*map(np.arange, known.shape[::-1]))
    there = transform(matrix, x, y)
    planes = np.dstack([luma, known.astype(np.float32)])
    mirrored = look_up(planes, *there, cv2.INTER_LINEAR)
    flow = _flow(luma, mirrored[..., 0])
    length = np.linalg.norm(flow, axis=-1, keepdims=True)
    flow *= np.minimum(1, PER_UNIT * LONGEST / np.maximum(length, 1e-6))
    weight = np.ascontiguousarray(mirrored[..., 1:])
    flow = blur(flow * weight, FLOW_SMOOTHING)
    flow /= blur(weight, FLOW_SMOOTHING) + np.float32(1e-3)  # far from all that is known it is 0
    return transform(matrix, x + flow[..., 0], y + flow[..., 1])


def _flow(luma: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Find the optical flow from a luma to its mirror image, each [H, W]: (x, y) [H, W, 2]."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(FINEST_SCALE)
    found = search.calc(_even_contrast(luma), _even_contrast(mirrored), None)  # pyright: ignore
    return np.asarray(found)


def _even_contrast(luma: np.ndarray) -> np.ndarray:
    """Give a luma, [H, W], the same local brightness and contrast everywhere, uint8."""
    smooth = blur(luma, FLOW_BLUR)
    mean = blur(smooth, FLOW_WINDOW)
    variance = blur(np.square(smooth - mean), FLOW_WINDOW)
    levels = 128 + FLOW_GAIN * (smooth - mean) / (np.sqrt(np.maximum(variance, 0)) + FLOW_NOISE)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def _trust(
    image: np.ndarray, fine: np.ndarray, there: tuple[np.ndarray, np.ndarray], known: np.ndarray
) -> np.ndarray:
    """Compute `trust` of a mirror that maps `there`; `fine` is the luma that is compared."""

    def mirrored(plane: np.ndarray) -> np.ndarray:
        plane = np.atleast_3d(plane)
        return np.squeeze(look_up(plane, *there, cv2.INTER_CUBIC))

    trust = (_correlation(fine, mirrored(fine), known) - DOUBTFUL) / (SURE - DOUBTFUL)
    trust = np.clip(trust, 0, 1)
    luma = luma_of(image)
    low, high = (blur(luma, PER_UNIT * sigma) for sigma in BAND)
    energy, other = (
        blur(np.square(band), PER_UNIT * LOCAL) + ENERGY_NOISE
        for band in (low - high, mirrored(low - high))
    )
    trust *= np.clip(ENERGY_RATIO * energy / other - ENERGY_OFFSET, 0, 1)
    if image.shape[-1] > 1:
        colour = blur(image, PER_UNIT * LOCAL)
        trust *= np.clip(2 - _difference(colour, mirrored(colour)) / COLOUR_DIFFERENCE, 0, 1)
    u, v = in_units()
    (cu, cv), (au, av) = ELLIPSE
    trust *= np.square((u - cu) / au) + np.square((v - cv) / av) < 1
    sides = 2 * [2 * MARGIN + 1]
    trust *= cv2.erode(known.astype(np.uint8), np.ones(sides, np.uint8), borderValue=0)
    return blur(trust.astype(np.float32), PER_UNIT * TRUST_BLUR)


def _correlation(one: np.ndarray, other: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Correlate two lumas, [H, W], in windows around each pixel, over what is known."""
    weight = known.astype(np.float32)
    sigma = PER_UNIT * SIMILARITY_WINDOW
    total = blur(weight, sigma) + np.float32(1e-3)

    def mean(plane: np.ndarray) -> np.ndarray:
        return blur(plane * weight, sigma) / total

    means = mean(one), mean(other)
    covariance = mean(one * other) - means[0] * means[1]
    variances = [
        np.maximum(mean(np.square(plane)) - np.square(middle), 0)
        for plane, middle in zip((one, other), means, strict=True)
    ]
    return covariance / np.sqrt((variances[0] + 1) * (variances[1] + 1))  # 1: no noise correlates


def _difference(colour: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Measure how the hues of two images, [H, W, C], differ, in levels, [H, W].

    The first is given the brightness of the other: light comes from one side.
    """
    means = [plane.mean(axis=-1, keepdims=True) for plane in (colour, other)]
    light = np.clip((means[1] + 1) / (means[0] + 1), 1 / MAX_LIGHT, MAX_LIGHT)
    apart = light * (colour - means[0]) - (other - means[1])
    return np.linalg.norm(apart, axis=-1)
