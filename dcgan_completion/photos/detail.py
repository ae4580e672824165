"""Detail transfer: what a face's known part shows, for a hole that was filled at a low resolution.

A model's face is soft when it is enlarged into a photo. It is sharpened; where the other half of
the face is known and looks alike, its mirror image gives the detail (`mirror`), elsewhere patches
of the face do (`patches`). What lies under the hole never reaches any of it, and nothing is drawn
at random.

All lengths but those named otherwise are in units of 1/64 of the face's square. The constants suit
an estimate that is the mean of all faces that fit, blurred where it does not know: for a sharper
one the gains go towards 1, and MIRROR_SPLIT towards 0.6 (`python -m benchmarks.detail`).
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from dcgan_completion.faces.placement import scale_of
from dcgan_completion.masks.boxes import Crop, bounding_box
from dcgan_completion.photos.face_grid import (
    PER_UNIT,
    UNITS,
    FaceGrid,
    blur,
    inverse_of,
    look_up,
    transform,
)
from dcgan_completion.photos.mirror import Mirror, find_mirror
from dcgan_completion.photos.patches import find_patches, low_of

OCTAVES = (0.25, 0.5, 1.0, 2.0, 4.0)  # Gaussians between which the estimate is sharpened
GAINS = (1.3, 1.5, 1.4, 1.15)  # of the bands between them, finest first: for looks, -0.3 dB
FADE = 1.0  # from the hole's edge to where the gains are reached
MIRROR_SPLIT = 1.5  # Gaussian: what it takes away comes from the mirror image
KEPT = 0.5  # of the estimate's own detail under the mirror image's
CERTAIN = 0.9  # trust in the mirror image from which no patches are looked for
STRIP = 2**19  # pixels that are put together at a time: bounds the memory


def transfer(
    photo: np.ndarray,
    hole: np.ndarray,
    window: Crop,
    estimate: np.ndarray,
    part: np.ndarray,
    placed: tuple[np.ndarray, int],
) -> np.ndarray:
    """Add detail to the estimate of a part of a face.

    Args:
      photo: the surroundings of the face, its hole filled, uint8 or uint16 [H, W, C].
      hole: bool [H, W]: nothing there is a source of detail.
      window: rows and columns of the photo with the part, and 8 units around it.
      estimate: what is there, hole filled, float32 [h, w, C], 0..255.
      part: the pixels that get detail, bool [h, w].
      placed: the matrix from that photo to the face's square, [2, 3], and the square's edge.

    Returns:
      a guess for the part, float32 [h, w, C], 0..255, to be blended; elsewhere the estimate.
    """
    unit = scale_of(placed[0]) * placed[1] / UNITS
    guess = sharpen(estimate, part, unit)
    levels = np.iinfo(photo.dtype).max / 255
    photo = photo.copy()
    photo[window][part] = np.rint(np.clip(levels * guess[part], 0, levels * 255))
    grid = FaceGrid.of(photo, ~hole, *placed)
    mirror = find_mirror(grid)
    own = np.zeros_like(hole)
    own[window] = part
    sources = _Sources(grid, mirror, own)
    softer = blur(estimate, MIRROR_SPLIT * unit)
    for strip in _strips(part):
        y, x = np.mgrid[strip]
        x, y = x + window[1].start, y + window[0].start
        rest, share, mirrored = sources.at(x.astype(np.float32), y.astype(np.float32))
        # estimate - (1 - KEPT) (estimate - softer) + mirrored, in place of guess + rest
        mirrored += KEPT * estimate[strip] + (1 - KEPT) * softer[strip] - guess[strip] - rest
        rest += share * mirrored
        guess[strip] += part[strip][..., np.newaxis] * rest
    return guess


class _Sources:
    """Where a face's detail comes from."""

    def __init__(self, grid: FaceGrid, mirror: Mirror, part: np.ndarray) -> None:
        """Look for them; `part` of the photo needs detail, bool [H, W]."""
        self._grid, self._mirror = grid, mirror
        self._low, self._soft = low_of(grid.image), blur(grid.image, PER_UNIT * MIRROR_SPLIT)
        needed = grid.in_grid(part) & (mirror.trust < CERTAIN)
        self._patches = find_patches(grid, mirror, self._low, needed)

    def at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sample them at places of the photo, float32 [h, w].

        Returns:
          the detail of patches, the trust in the mirror image, 0..1, [h, w, 1], and its detail;
          levels of 255, float32 [h, w, C].
        """
        planes = np.dstack([self._mirror.x, self._mirror.y, self._mirror.trust])
        found = look_up(planes, *transform(self._grid.matrix, x, y), cv2.INTER_LINEAR)
        there = transform(inverse_of(self._grid.matrix), found[..., 0], found[..., 1])
        mirrored = self._grid.rest_at(*there, self._soft)
        rest = self._patches.rest(self._grid, self._mirror, self._low, x, y)
        return rest, found[..., 2:], mirrored


def sharpen(estimate: np.ndarray, part: np.ndarray, unit: float) -> np.ndarray:
    """Amplify the octaves of an estimate within a part, faded in from the part's edge.

    Args:
      estimate: float32 [h, w, C].
      part: bool [h, w].
      unit: pixels.
    """
    box = bounding_box(part)
    depth = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    share = np.clip(depth[box] / np.float32(FADE * unit), 0, 1)[..., np.newaxis]
    added = np.zeros_like(estimate[box])
    # The sum of (gain - 1) (finer - coarser), by layers: one in memory at a time.
    for octave, weight in zip(OCTAVES, np.diff([1, *GAINS, 1]), strict=True):
        added += np.float32(weight) * blur(estimate, octave * unit)[box]
    sharp = estimate.copy()
    sharp[box] += share * added
    return sharp


def _strips(part: np.ndarray) -> Iterator[Crop]:
    """Split the bounding box of a part, bool [h, w], into strips of rows, STRIP pixels each."""
    rows, columns = bounding_box(part)
    step = max(1, STRIP // max(1, columns.stop - columns.start))
    for start in range(rows.start, rows.stop, step):
        yield slice(start, min(start + step, rows.stop)), columns
