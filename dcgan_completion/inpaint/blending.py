"""Fills holes with generated pixels or with their gradients, on request behind a soft ramp."""

from __future__ import annotations

import collections
import functools

import numpy as np
import scipy.ndimage
import scipy.sparse
import scipy.sparse.linalg

from dcgan_completion.masks import mask as masks
from dcgan_completion.masks.mask import Mask

SMOOTHNESS = 1 / 32  # of the edge: 2 of 64 pixels were best (docs/completion.md)
# Pixels: what is finer in an estimate, and how near to known pixels, is left to them (`soften`).
FINEST, NEAREST = 0.9, 1.0
# With more columns SuperLU's BLAS starts threads for products that are too small for them: on a
# busy machine 192 columns in one call took 4 to 66 times as long as in calls of four.
COLUMNS_PER_SOLVE = 4


def fill(images: np.ndarray, mask: Mask, generated: np.ndarray, blend: str = "none") -> np.ndarray:
    """The completions: the known pixels of `images`, and the hole filled from G(z).

    Args:
      images: uint8 [N, S, S, C].
      mask: of the images.
      generated: G(z), uint8 [N, S, S, C].
      blend: of BLENDS. `none` takes the generated pixels, `poisson` their gradients,
        `smooth` their gradients and curvature (`poisson_blend`, its smoothness SMOOTHNESS).

    Returns:
      uint8 [N, S, S, C].
    """
    if blend != "none" and mask.keeps_pixels:
        smoothness = SMOOTHNESS * images.shape[1] if blend == "smooth" else 0.0
        filled = poisson_blend(images, mask.known, generated, smoothness)
    else:
        filled = composite(images, mask, generated)
    return filled if mask.ramp is None else feather(images, mask.ramp, filled)


def mix(
    generated: np.ndarray, estimate: np.ndarray, scale: float, nearness: np.ndarray | float = 0.0
) -> np.ndarray:
    """Images with the detail of generated ones and the coarse part of estimates.

    What is added to `generated` is the difference to `estimate`, smoothed by a Gaussian; near known
    pixels, where an estimate has the detail right, too, all of the difference.

    Args:
      generated: uint8 [..., S, S, C].
      estimate: of a shape that broadcasts to it, of any type, in 0..255.
      scale: the Gaussian's standard deviation in pixels.
      nearness: share of the whole difference in each pixel, 0 to 1 (`masks.nearness`).

    Returns:
      uint8, the shape of `generated`.
    """
    difference = estimate.astype(np.float32) - generated
    coarse = scipy.ndimage.gaussian_filter(difference, scale, axes=(-3, -2))
    added = coarse + nearness * (difference - coarse)
    return np.clip(np.rint(generated + added), 0, 255).astype(np.uint8)


def soften(estimates: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Estimates without their finest detail at known pixels and next to them.

    To be done before an estimate is blended. Of the known pixels a network has seen the detail, so
    that at them its estimate differs little from the photo, whatever it lacks beside them. Without
    the detail the difference holds it, and blending continues it into the hole. That tells more
    than what was estimated there (docs/completion.md).

    Args:
      estimates: float32 [N, S, S, C].
      known: [N, S, S, 1], 1 = known, 0 = missing.

    Returns:
      float32, of the shape of `estimates`: smoothed by a Gaussian at known pixels and beside them,
      and ever less away from them (`masks.nearness`).
    """
    coarse = scipy.ndimage.gaussian_filter(estimates, FINEST, axes=(1, 2))
    return estimates + masks.nearness(known, NEAREST) * (coarse - estimates)


def composite(images: np.ndarray, mask: Mask, generated: np.ndarray) -> np.ndarray:
    """Kept pixels from `images`, all others from `generated`, both [N, S, S, C] of one type."""
    return np.where(mask.kept > 0, images, generated)


def feather(images: np.ndarray, ramp: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """(1 - ramp) * images + ramp * generated, for the ramp of `masks.feather_ramp`.

    Both images are [N, H, W, C] of one type, uint8 (rounded) or float; `ramp` is [H, W, 1] or
    [N, H, W, 1].
    Where the ramp is 0 or 1, the pixel of one of the two, bit for bit.
    """
    ramp = ramp.astype(np.float64)
    mixed = (1 - ramp) * images + ramp * generated
    return (np.rint(mixed) if images.dtype == np.uint8 else mixed).astype(images.dtype)


def poisson_blend(
    images: np.ndarray, mask: np.ndarray, generated: np.ndarray, smoothness: float = 0.0
) -> np.ndarray:
    """Images whose hole has the gradients of `generated` and meets the known pixels around it.

    Poisson image editing (Perez et al., 2003, equation 7), by which Yeh et al. (2017, arXiv
    1607.07539v3) fill a hole, solved exactly: Dirichlet conditions at the known pixels around the
    hole, zero flux (of the difference to `generated`) at the image's border. Known pixels stay
    bit for bit; the hole is clipped to the valid range. An image without a known pixel becomes the
    generated one.

    Equation 7 minimises the squared gradient of what is added to `generated`. With `smoothness`
    its squared Laplacian counts as well: a thin plate under tension (Franke 1985, "Thin plate
    splines with tension"), which meets the photo without a bend; far from
    the hole boundary it makes no difference.

    Args:
      images: [N, H, W, C], uint8 or float in [-1, 1].
      mask: [H, W, 1] for all images or [N, H, W, 1], 1 = known; equal masks are solved together.
      generated: [N, H, W, C] of the images' type.
      smoothness: a distance in pixels, up to which the Laplacian prevails, and the gradient beyond
        it; 0: the gradient alone.

    Returns:
      [N, H, W, C] of the images' type.

    Raises:
      ValueError: shapes or types that do not fit.
    """
    if generated.shape != images.shape or generated.dtype != images.dtype:
        raise ValueError(
            f"generated is {generated.dtype} {generated.shape}, "
            f"the images are {images.dtype} {images.shape}"
        )
    number, height, width, _ = images.shape
    if mask.shape not in ((height, width, 1), (number, height, width, 1)):
        raise ValueError(f"a mask of {mask.shape} does not fit images of {images.shape}")
    holes = np.broadcast_to(mask <= 0, [number, height, width, 1])[..., 0]
    images_by_hole = collections.defaultdict(list)
    for i, hole in enumerate(holes):
        images_by_hole[hole.tobytes()].append(i)
    result = np.where(holes[..., np.newaxis], generated, images)
    for members in images_by_hole.values():
        hole = holes[members[0]]
        if hole.any() and not hole.all():
            _fill(result, hole, members, images, generated, smoothness)
    return result


def _fill(
    result: np.ndarray,
    hole: np.ndarray,
    members: list[int],
    images: np.ndarray,
    generated: np.ndarray,
    smoothness: float,
) -> None:
    """Fills the hole, bool [H, W], of the images that share it (`members`) in `result`.

    The unknown is what is added to the generated image. At known pixels it is the difference of
    the two images; in the hole it has the least energy.
    """
    channels = images.shape[-1]
    difference = images[members].astype(np.float64) - generated[members]
    equations = _energy_matrix(*hole.shape, smoothness)[hole.ravel()]
    known = np.moveaxis(difference[:, ~hole], 0, 1).reshape(np.sum(~hole), -1)
    added = _solve(equations[:, hole.ravel()], -(equations[:, ~hole.ravel()] @ known))
    added = added.reshape(-1, len(members), channels)
    filled = generated[members][:, hole] + np.moveaxis(added, 0, 1)
    if result.dtype == np.uint8:
        filled = np.clip(np.rint(filled), 0, 255)
    else:
        filled = np.clip(filled, -1, 1)
    place = np.zeros(result.shape[:3], bool)
    place[members] = hole
    result[place] = filled.reshape(-1, channels)


@functools.lru_cache(maxsize=4)
def _energy_matrix(height: int, width: int, smoothness: float) -> scipy.sparse.csr_array:
    """The matrix A of the energy d'Ad = |gradient of d|^2 + smoothness^2 |Laplacian of d|^2.

    [height * width, height * width], pixels row by row; no flux through the image's border.
    """

    def differences(length: int) -> scipy.sparse.csr_array:
        ones = np.ones(length - 1)
        return scipy.sparse.diags_array([-ones, ones], offsets=[0, 1], shape=[length - 1, length])

    across = scipy.sparse.kron(scipy.sparse.eye_array(height), differences(width))
    down = scipy.sparse.kron(differences(height), scipy.sparse.eye_array(width))
    laplacian = across.T @ across + down.T @ down
    return scipy.sparse.csr_array(laplacian + smoothness**2 * (laplacian @ laplacian))


def _solve(matrix: scipy.sparse.csr_array, right: np.ndarray) -> np.ndarray:
    """x [n, K] with matrix x = right; the matrix is symmetric and positive definite.

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
