"""Fills a hole with generated gradients at a photo's resolution, by multigrid.

The energy is that of `blending.poisson_blend`. There a sparse factorisation solves it;
for the 250,000 unknowns of a hole of 500 pixels it would take too long and too much memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import scipy.ndimage
import scipy.sparse

from dcgan_completion.masks.boxes import Crop, bounding_box, within

TOLERANCE = 0.02  # levels of 255: the error of a fill, about
MAX_ITERATIONS = 200
REACH = 2  # pixels: how far around a hole the energy looks
# Where the rectangle around a hole has more pixels than this, and than this many times the hole's,
# the hole's parts are filled one by one.
SMALL, SPARSE = 2**20, 4
DEGREE = 8  # of the polynomials that smooth an error
COARSER = 60  # the largest eigenvalue over the least that is smoothed; measured with DEGREE

LAPLACIAN = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float64)
IDENTITY = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float64)


@dataclasses.dataclass(frozen=True)
class _Level:
    """A grid of cells, and the equations of the energy on it.

    Attributes:
      hole: 1 at unknown cells, 0 at others, float32 [h, w]: the levels only steer the solver.
      bend: the weight of the squared Laplacian, in squares of a cell's edge.
      down, across: matrices that interpolate from the next coarser grid.
    """

    hole: np.ndarray
    bend: float
    down: scipy.sparse.csr_array
    across: scipy.sparse.csr_array

    def times(self, values: np.ndarray) -> np.ndarray:
        """Compute `energy_gradient` at the unknown cells, 0 at others."""
        found = energy_gradient(values, self.bend)
        found *= self.hole
        return found

    def smooth(self, start: np.ndarray | None, right: np.ndarray) -> np.ndarray:
        """Bring `start`, or zeros, closer to the solution where the error varies quickly.

        A Chebyshev polynomial of the equations (Adams et al. 2003, J. Comput. Phys. 188).
        """
        largest = 8 + 64 * self.bend
        centre, radius = largest * (1 + 1 / COARSER) / 2, largest * (1 - 1 / COARSER) / 2
        rest = right.copy() if start is None else right - self.times(start)
        step = rest / centre
        values = step.copy() if start is None else start + step
        weight = radius / centre
        for _ in range(DEGREE - 1):
            rest -= self.times(step)
            before, weight = weight, 1 / (2 * centre / radius - weight)
            cv2.addWeighted(step, weight * before, rest, 2 * weight / radius, 0, dst=step)
            values += step
        return values


def energy_gradient(values: np.ndarray, bend: float) -> np.ndarray:
    """Compute A d of the energy d'Ad = |gradient of d|^2 + bend |Laplacian of d|^2, [h, w]."""
    border = cv2.BORDER_REPLICATE  # no flux through it
    once = cv2.filter2D(values, -1, LAPLACIAN, borderType=border)
    return cv2.filter2D(once, -1, IDENTITY + bend * LAPLACIAN, borderType=border) if bend else once


def _interpolation(length: int) -> scipy.sparse.csr_array:
    """Linear interpolation to `length` cells from half as many, between their centres."""
    coarse = (length + 1) // 2
    fine = np.arange(length)
    near = fine // 2
    far = np.clip(near + np.where(fine % 2, 1, -1), 0, coarse - 1)
    rows = np.concatenate([fine, fine])
    weights = np.repeat([0.75, 0.25], length)
    columns = np.concatenate([near, far])
    shape = (length, coarse)
    return scipy.sparse.csr_array((weights, (rows, columns)), shape, dtype=np.float32)


def make_levels(hole: np.ndarray, bend: float) -> list[_Level]:
    """Coarsen the hole, bool [h, w], by halves, as long as it is seen."""
    levels = []
    unknown = hole.astype(np.float32)
    while unknown.any():
        down, across = map(_interpolation, unknown.shape)
        levels.append(_Level(unknown, bend, down, across))
        # A coarser cell is unknown if all that is interpolated from it is.
        unknown = (down.T @ (1 - unknown) @ across == 0).astype(np.float32)
        bend /= 4
    return levels


def _cycle(levels: Sequence[_Level], right: np.ndarray) -> np.ndarray:
    """Run a V-cycle: nearly the solution, by a symmetric and positive definite map of `right`."""
    level, *coarser = levels
    values = level.smooth(None, right)
    if coarser:
        rest = level.down.T @ (right - level.times(values)) @ level.across
        added = _cycle(coarser, coarser[0].hole * rest)
        values = level.smooth(values + level.down @ added @ level.across.T, right)
    return values


def _dot(one: np.ndarray, other: np.ndarray) -> float:
    """Compute the inner product of two grids, [h, w].

    Not by BLAS: its threads take ten times as long for so few values where cores are busy, and
    their number would change the last digits.
    """
    return np.einsum("yx,yx", one, other)


def _solve(levels: Sequence[_Level], right: np.ndarray) -> np.ndarray:
    """Solve on the finest grid, by conjugate gradients with V-cycles before them.

    The V-cycles are of float32, which suffices for them, and takes a third of the time.
    """
    hole, bend = levels[0].hole, levels[0].bend
    values, rest = np.zeros_like(right), right
    step, error, before = np.zeros_like(right), np.zeros_like(right), np.inf
    for _ in range(MAX_ITERATIONS):
        error = _cycle(levels, rest.astype(np.float32))  # about that of the values
        if np.abs(error).max() <= TOLERANCE:
            break
        slope = _dot(error, rest)
        step = error + slope / before * step
        before = slope
        forces = hole * energy_gradient(step, bend)
        length = slope / _dot(step, forces)
        values = values + length * step
        rest = rest - length * forces
    return values + error


def crops_of(hole: np.ndarray) -> list[tuple[Crop, np.ndarray]]:
    """Split a hole, bool [H, W], into parts that are filled each by itself.

    Returns:
      a crop that holds a part and the pixels that the energy sees around it, and the part in it,
      bool. Parts that see each other are one; so are all, if little lies between them.
    """
    whole = bounding_box(hole, REACH)
    if not hole.any():
        return []
    if hole[whole].size <= max(SMALL, SPARSE * np.count_nonzero(hole)):
        return [(whole, hole[whole])]
    window = np.ones([2 * REACH + 1] * 2, np.uint8)
    near = cv2.dilate(hole[whole].astype(np.uint8), window)
    labels = cv2.connectedComponents(near, connectivity=8)[1]
    parts = []
    for label, found in enumerate(scipy.ndimage.find_objects(labels), 1):
        part = (labels[found] == label) & hole[whole][found]
        parts.append((within(found, whole), part))
    return parts


def fill(
    photo: np.ndarray, hole: np.ndarray, candidate: np.ndarray, smoothness: float = 0.0
) -> np.ndarray:
    """Fill the hole of a photo with the gradients of a candidate, to meet the known pixels around.

    As `blending.poisson_blend`, which says of what energy; here to about TOLERANCE,
    not rounded nor clipped, and at any size of photo and hole.

    Args:
      photo: [H, W, C], values in 0..255 (16-bit ones are scaled by the caller).
      hole: bool [H, W], True = missing.
      candidate: float32 [H, W, C], around the hole too (by REACH pixels).
      smoothness: in pixels of the photo; see `poisson_blend`.

    Returns:
      float32 [H, W, C], at known pixels the photo; `candidate` if no pixel is known.
    """
    filled = np.where(hole[..., np.newaxis], candidate, photo).astype(np.float32)
    for crop, part in [] if hole.all() else crops_of(hole):
        levels = make_levels(part, float(smoothness) ** 2)
        for channel in range(photo.shape[-1]):
            difference = photo[crop][..., channel] - candidate[crop][..., channel].astype(
                np.float64
            )
            difference[hole[crop]] = 0
            pull = -levels[0].hole * energy_gradient(difference, levels[0].bend)
            filled[crop][..., channel][part] += _solve(levels, pull)[part]
    return filled
