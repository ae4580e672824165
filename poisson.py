"""Fills holes so that no seam shows: the photo's colours at the rim, G(z)'s gradients inside."""

from __future__ import annotations

import collections

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

# SuperLU hands more columns to a BLAS that then starts threads for products too small for them:
# 192 columns took 4 to 66 times as long at once as in fours on a busy machine.
COLUMNS_AT_A_TIME = 4


def poisson_blend(images: np.ndarray, mask: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """The completion whose hole has the gradients of `generated` and meets `images` at its rim.

    Poisson image editing (Perez et al., 2003, equation 7), by which Yeh et al. (2017, arXiv
    1607.07539v3) fill a hole, solved exactly: Dirichlet conditions at the known pixels around the
    hole, zero flux (of the difference to `generated`) at the image's border. Known pixels stay
    bit for bit; the hole is clipped to the valid range. Without a known pixel, the generated
    image.

    Args:
      images: [N, H, W, C], uint8 or float in [-1, 1].
      mask: [H, W, 1] for all images or [N, H, W, 1], 1 = known; equal masks are solved together.
      generated: [N, H, W, C] of the images' type.

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
    equal = collections.defaultdict(list)
    for i, hole in enumerate(holes):
        equal[hole.tobytes()].append(i)
    result = np.where(holes[..., np.newaxis], generated, images)
    for members in equal.values():
        hole = holes[members[0]]
        if hole.any() and not hole.all():
            _fill(result, hole, members, images, generated)
    return result


def _fill(
    result: np.ndarray,
    hole: np.ndarray,
    members: list[int],
    images: np.ndarray,
    generated: np.ndarray,
) -> None:
    """Writes the hole, bool [H, W], of the images that share it into `result`.

    The unknown is what is added to the generated image: harmonic in the hole, at its rim the
    difference of the two. It does not depend on the generated gradients, only on that difference.
    """
    channels = images.shape[-1]
    difference = images[members].astype(np.float64) - generated[members]
    rim = np.where(hole[..., np.newaxis], 0, difference)
    sums = np.zeros_like(rim)
    sums[:, 1:] += rim[:, :-1]
    sums[:, :-1] += rim[:, 1:]
    sums[:, :, 1:] += rim[:, :, :-1]
    sums[:, :, :-1] += rim[:, :, 1:]
    right = np.moveaxis(sums[:, hole], 0, 1).reshape(hole.sum(), -1)
    added = _solve(hole, right).reshape(-1, len(members), channels)
    filled = generated[members][:, hole] + np.moveaxis(added, 0, 1)
    if result.dtype == np.uint8:
        filled = np.clip(np.rint(filled), 0, 255)
    else:
        filled = np.clip(filled, -1, 1)
    place = np.zeros(result.shape[:3], bool)
    place[members] = hole
    result[place] = filled.reshape(-1, channels)


def _solve(hole: np.ndarray, right: np.ndarray) -> np.ndarray:
    """x with (neighbours in the image) * x - (sum of x over neighbours in the hole) = right.

    `hole` is bool [H, W]; `right` and x are [pixels of the hole, K], row by row. The matrix is
    symmetric and positive definite, since every part of the hole touches a known pixel unless all
    is missing.
    """
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(len(right))
    across, down = hole[:, 1:] & hole[:, :-1], hole[1:] & hole[:-1]
    one = np.concatenate([number[:, :-1][across], number[:-1][down]])
    other = np.concatenate([number[:, 1:][across], number[1:][down]])
    neighbours = np.full(hole.shape, 4.0)
    for border in (neighbours[0], neighbours[-1], neighbours[:, 0], neighbours[:, -1]):
        border -= 1
    pairs = scipy.sparse.coo_array((-np.ones(len(one)), (one, other)), [len(right)] * 2)
    matrix = pairs + pairs.T + scipy.sparse.diags_array(neighbours[hole])
    factors = scipy.sparse.linalg.splu(
        matrix.tocsc(),
        permc_spec="MMD_AT_PLUS_A",  # the order for symmetric matrices
        diag_pivot_thresh=0,
        options={"SymmetricMode": True},
    )
    ends = range(COLUMNS_AT_A_TIME, right.shape[1], COLUMNS_AT_A_TIME)
    return np.hstack([factors.solve(columns) for columns in np.split(right, ends, axis=1)])
