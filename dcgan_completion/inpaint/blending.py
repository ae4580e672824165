"""Blending: fills holes with candidates' pixels or gradients, on request behind a soft ramp.

Candidates are float32 in 0..255; the result is rounded once, at the end.
"""

from __future__ import annotations

import collections
import functools
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.sparse
import scipy.sparse.linalg

from dcgan_completion.masks.mask import Mask, nearness

SMOOTHNESS = 1 / 32  # of the edge: 2 of 64 pixels were best (docs/completion.md)
# Pixels: what is finer in an estimate, and how near to known pixels, is left to them (`soften`).
SOFTEN_SIGMA, SOFTEN_REACH = 0.9, 1.0
# With more columns SuperLU's BLAS starts threads for products that are too small for them: on a
# busy machine 192 columns in one call took 4 to 66 times as long as in calls of four.
COLUMNS_PER_SOLVE = 4


def fill(images: np.ndarray, mask: Mask, candidates: np.ndarray, blend: str = "none") -> np.ndarray:
    """Fill the holes of images from candidates; known pixels stay bit for bit.

    Args:
      images: uint8 [N, S, S, C].
      mask: of the images.
      candidates: 0..255, float32 [N, S, S, C].
      blend: of BLENDS. `none` takes the candidates' pixels, `poisson` their gradients, `smooth`
        their gradients and curvature (`poisson_blend`, its smoothness SMOOTHNESS).

    Returns:
      uint8 [N, S, S, C].
    """
    values = candidates
    if blend != "none" and mask.keeps_pixels:
        smoothness = SMOOTHNESS * images.shape[1] if blend == "smooth" else 0.0
        values = poisson_blend(images, mask.hole, candidates, smoothness)
    if mask.ramp is not None:
        values = (1 - mask.ramp) * images + mask.ramp * np.clip(values, 0, 255)
    return np.where(mask.filled, rounded(values), images)


def fill_all(
    images: np.ndarray, mask: Mask, candidates: np.ndarray, blend: str = "none"
) -> np.ndarray:
    """Fill the holes from each of K candidates, [N, K, S, S, C]: uint8 of that shape; as `fill`."""
    filled = [fill(images, mask, candidates[:, k], blend) for k in range(candidates.shape[1])]
    return np.stack(filled, axis=1)


def rounded(values: np.ndarray) -> np.ndarray:
    """Round values in 0..255 to uint8, and clip them."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def mix(
    generated: np.ndarray, estimate: np.ndarray, sigma: float, share: np.ndarray | float = 0.0
) -> np.ndarray:
    """Combine the detail of generated images with the coarse part of estimates.

    What is added to `generated` is the difference to `estimate`, smoothed by a Gaussian; near known
    pixels, where an estimate has the detail right, too, all of the difference.

    Args:
      generated: 0..255, float32 [..., S, S, C].
      estimate: of a shape that broadcasts to it, in 0..255.
      sigma: of the Gaussian, in pixels.
      share: of the whole difference in each pixel, 0 to 1 (`nearness`).

    Returns:
      float32, the shape of `generated`.
    """
    difference = estimate.astype(np.float32) - generated
    coarse = scipy.ndimage.gaussian_filter(difference, sigma, axes=(-3, -2))
    return generated + (coarse + share * (difference - coarse))


def soften(estimates: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Take the finest detail out of estimates at known pixels and next to them.

    To be done before an estimate is blended. Of the known pixels a network has seen the detail, so
    that at them its estimate differs little from the photo, whatever it lacks beside them. Without
    the detail the difference holds it, and blending continues it into the hole. That tells more
    than what was estimated there (docs/completion.md).

    Args:
      estimates: float32 [N, S, S, C].
      hole: bool [N, S, S, 1], True = missing.

    Returns:
      float32, of the shape of `estimates`: smoothed by a Gaussian at known pixels and beside them,
      and ever less away from them (`nearness`).
    """
    coarse = scipy.ndimage.gaussian_filter(estimates, SOFTEN_SIGMA, axes=(1, 2))
    return estimates + nearness(hole, SOFTEN_REACH) * (coarse - estimates)


def poisson_blend(
    images: np.ndarray, hole: np.ndarray, candidates: np.ndarray, smoothness: float = 0.0
) -> np.ndarray:
    """Fill holes with the gradients of candidates, so that they meet the known pixels around.

    Poisson image editing (Perez et al., 2003, equation 7), by which Yeh et al. (2017, arXiv
    1607.07539v3) fill a hole, solved exactly: Dirichlet conditions at the known pixels around the
    hole, zero flux (of the difference to the candidates) at the image's border. An image without a
    known pixel becomes the candidate.

    Equation 7 minimises the squared gradient of what is added to the candidate. With `smoothness`
    its squared Laplacian counts as well: a thin plate under tension (Franke 1985, "Thin plate
    splines with tension"), which meets the photo without a bend; far from the hole boundary it
    makes no difference.

    Args:
      images: [N, H, W, C], of any type; values in holes do not matter.
      hole: bool [H, W, 1] for all images or [N, H, W, 1], True = missing; equal holes are solved
        together.
      candidates: [N, H, W, C].
      smoothness: a distance in pixels, up to which the Laplacian prevails, and the gradient beyond
        it; 0: the gradient alone.

    Returns:
      float64 [N, H, W, C]: known pixels as in `images`; neither rounded nor clipped.

    Raises:
      ValueError: shapes that do not fit.
    """
    if candidates.shape != images.shape:
        raise ValueError(f"candidates are {candidates.shape}, the images {images.shape}")
    number, height, width, _ = images.shape
    if hole.shape not in ((height, width, 1), (number, height, width, 1)):
        raise ValueError(f"a hole of {hole.shape} does not fit images of {images.shape}")
    holes = np.broadcast_to(hole, [number, height, width, 1])[..., 0]
    images_by_hole = collections.defaultdict(list)
    for i, plane in enumerate(holes):
        images_by_hole[plane.tobytes()].append(i)
    result = np.where(holes[..., np.newaxis], candidates, images).astype(np.float64)
    for members in images_by_hole.values():
        plane = holes[members[0]]
        if plane.any() and not plane.all():
            _fill(result, plane, members, images, candidates, smoothness)
    return result


def _fill(
    result: np.ndarray,
    hole: np.ndarray,
    members: list[int],
    images: np.ndarray,
    candidates: np.ndarray,
    smoothness: float,
) -> None:
    """Fill the hole, bool [H, W], of the images that share it (`members`) in `result`.

    The unknown is what is added to the candidate. At known pixels it is the difference of the two
    images; in the hole it has the least energy.
    """
    channels = images.shape[-1]
    difference = images[members].astype(np.float64) - candidates[members]
    equations = _energy_matrix(*hole.shape, smoothness)[hole.ravel()]
    known = np.moveaxis(difference[:, ~hole], 0, 1).reshape(np.sum(~hole), -1)
    added = _solve(equations[:, hole.ravel()], -(equations[:, ~hole.ravel()] @ known))
    added = added.reshape(-1, len(members), channels)
    filled = candidates[members][:, hole] + np.moveaxis(added, 0, 1)
    place = np.zeros(result.shape[:3], bool)
    place[members] = hole
    result[place] = filled.reshape(-1, channels)


@functools.lru_cache(maxsize=4)
def _energy_matrix(height: int, width: int, smoothness: float) -> scipy.sparse.csr_array:
    """Make the matrix A of the energy d'Ad = |gradient of d|^2 + smoothness^2 |Laplacian of d|^2.

    [height * width, height * width], pixels row by row; no flux through the image's border.
    """

    def differences(length: int) -> scipy.sparse.dia_array:
        ones = np.ones(length - 1)
        offsets: Any = [0, 1]  # SciPy documents a sequence, too; the default is an int
        return scipy.sparse.diags_array([-ones, ones], offsets=offsets, shape=[length - 1, length])

    across = scipy.sparse.kron(scipy.sparse.eye_array(height), differences(width))
    down = scipy.sparse.kron(differences(height), scipy.sparse.eye_array(width))
    laplacian = across.T @ across + down.T @ down
    return scipy.sparse.csr_array(laplacian + smoothness**2 * (laplacian @ laplacian))


def _solve(matrix: scipy.sparse.csr_array, right: np.ndarray) -> np.ndarray:
    """Solve matrix x = right for x [n, K]; the matrix is symmetric and positive definite.

    That of a hole is definite, since each part of it touches a known pixel.
    """
    factors = scipy.sparse.linalg.splu(
        matrix.tocsc(),
        permc_spec="MMD_AT_PLUS_A",  # the order for symmetric matrices
        diag_pivot_thresh=0,
        options={"SymmetricMode": True},
    )
    ends = range(COLUMNS_PER_SOLVE, right.shape[1], COLUMNS_PER_SOLVE)
    return np.hstack([factors.solve(columns) for columns in np.split(right, ends, axis=1)])
