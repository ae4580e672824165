"""Grain: noise like that of a photo's known part, for what was generated without any.

A model's face is smooth when it is enlarged into a photo. The noise of the photo is estimated where
the photo is flattest, and drawn anew: its strength, its colour (the covariance of the channels) and
its width (the correlation of neighbouring pixels).
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

BLOCK = 8  # pixels: edge of the blocks in which noise is separated from the picture
FLAT_SHARE = 0.1  # of the blocks, the flattest: too little grain is better than hair for grain
MAX_BLOCKS = 2**14  # a million pixels are enough
MIN_BLOCKS = 6  # for an estimate
MIN_VARIANCE = 1e-3  # levels squared: less is no noise, but rounding errors
REACH = 5  # pixels: half the edge of a kernel
WIDTHS = np.linspace(0, 1.6, 17)  # pixels: standard deviations of the kernels that are tried


@dataclasses.dataclass(frozen=True, eq=False)
class Grain:
    """A stationary Gaussian noise: white noise, blurred, its channels mixed.

    Attributes:
      mix: float64 [C, C], makes the channels from independent ones: mix mix' is the covariance.
      width: standard deviation in pixels of the Gaussian kernel; 0: the noise is white.
    """

    mix: np.ndarray
    width: float

    @property
    def strength(self) -> float:
        """Standard deviation, the mean over the channels, in the photo's levels."""
        return float(np.sqrt(np.square(self.mix).sum(axis=1)).mean())

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """Draw noise in the photo's levels, float32 [H, W, C], for `shape` (H, W)."""
        height, width = shape
        size = (height + 2 * REACH, width + 2 * REACH)
        inner = slice(REACH, REACH + height), slice(REACH, REACH + width)
        planes = []
        for _ in range(len(self.mix)):
            white = rng.standard_normal(size, np.float32)
            planes.append(cv2.filter2D(white, -1, _kernel(self.width))[inner])
        return np.einsum("ij,jyx->yxi", self.mix.astype(np.float32), np.stack(planes))


def estimate(photo: np.ndarray, known: np.ndarray) -> Grain | None:
    """Estimate the noise of a photo where it is known.

    A quadratic surface is fitted to every block of known pixels. Where least is left, what is left
    is noise; elsewhere it is skin, hair and edges.

    Args:
      photo: [H, W, C], the face's part of a photo, in its levels.
      known: bool [H, W].

    Returns:
      None if there is no noise, or too little is known.
    """
    blocks = _known_blocks(photo, known)
    if len(blocks) < MIN_BLOCKS:
        return None
    left = _without_surfaces()
    rest = left @ blocks
    number = max(MIN_BLOCKS, round(FLAT_SHARE * len(rest)))
    order = np.argsort(np.square(rest).sum(axis=(1, 2)), kind="stable")
    rest = rest[order[:number]]
    covariance = np.einsum("npi,npj->ij", rest, rest) / (number * BLOCK**2)
    if not np.trace(covariance) > MIN_VARIANCE:
        return None
    width, share = _width_of(rest, left)
    values, vectors = np.linalg.eigh(covariance / share)
    return Grain(vectors * np.sqrt(np.maximum(values, 0)), width)


def _known_blocks(photo: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Collect the blocks that are known and not clipped, float64 [n, BLOCK^2, C].

    Of more than MAX_BLOCKS every second, third, ...
    """
    # At the ends of its range a photo shows no noise, or half of it.
    highest = photo.max(initial=0, where=known[..., np.newaxis])
    usable = known & ((photo > 0) & (photo < highest)).all(axis=-1)
    rows, columns = (edge // BLOCK for edge in known.shape)

    def cut(array: np.ndarray) -> np.ndarray:
        array = array[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK, -1)
        return array.swapaxes(1, 2).reshape(rows * columns, BLOCK**2, -1)

    chosen = np.flatnonzero(cut(usable).all(axis=(1, 2)))
    chosen = chosen[:: -(-len(chosen) // MAX_BLOCKS) or 1]
    return cut(photo)[chosen].astype(np.float64)


def _without_surfaces() -> np.ndarray:
    """Make the projection of a block onto what no quadratic surface fits, [BLOCK^2, BLOCK^2]."""
    y, x = (np.mgrid[:BLOCK, :BLOCK].reshape(2, -1) - (BLOCK - 1) / 2) / BLOCK
    basis = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))[0]
    return np.eye(BLOCK**2) - basis @ basis.T


def _kernel(width: float) -> np.ndarray:
    """Make a Gaussian whose squares sum to 1, [2 * REACH + 1, 2 * REACH + 1]."""
    row = _profile(width)
    return np.outer(row, row) / np.square(row).sum()


def _profile(width: float) -> np.ndarray:
    """Make a row of `_kernel`, up to a factor, [2 * REACH + 1]."""
    steps = np.arange(-REACH, REACH + 1)
    return np.exp(-0.5 * np.square(steps / max(width, 1e-3)))


def _width_of(rest: np.ndarray, left: np.ndarray) -> tuple[float, float]:
    """Estimate the width of a noise, and the share of its variance that the projection leaves.

    The wider the noise, the more of it a fitted surface removes; that changes the correlation of
    neighbours, too: the width is that for which it would be as in `rest`.

    Args:
      rest: float64 [n, BLOCK^2, C], of the blocks.
      left: as `_without_surfaces`.
    """
    found = _neighbours(np.einsum("npc,nqc->pq", rest, rest))
    y, x = np.mgrid[:BLOCK, :BLOCK].reshape(2, -1)
    shares, expected = [], []
    for width in WIDTHS:
        row = np.convolve(_profile(width), _profile(width))  # the kernel is an outer product
        correlation = np.outer(row, row) / row.max() ** 2
        middle = 2 * REACH
        covariance = left @ correlation[middle + y[:, None] - y, middle + x[:, None] - x] @ left
        shares.append(np.trace(covariance) / BLOCK**2)
        expected.append(_neighbours(covariance))
    width = float(np.interp(found, expected, WIDTHS))
    return width, float(np.interp(width, WIDTHS, shares))


def _neighbours(covariance: np.ndarray) -> float:
    """Average the correlation of neighbouring pixels of a covariance, [BLOCK^2, BLOCK^2]."""
    between = covariance.reshape([BLOCK] * 4)
    variances = np.einsum("yxyx->yx", between)
    across = np.einsum("yxyx->yx", between[:, 1:, :, :-1]).mean()
    down = np.einsum("yxyx->yx", between[1:, :, :-1]).mean()
    return float((across + down) / (2 * variances.mean()))
