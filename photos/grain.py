"""Grain: noise as the known part of a face has it, for what was generated without any.

A model's face is smooth when it is enlarged into a photo. The noise of the photo is estimated where
the photo is flattest, and drawn anew: its strength, its colour (the covariance of the channels) and
how far it reaches from pixel to pixel (its autocorrelation).
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import scipy.signal

BLOCK = 16  # pixels: edge of the blocks in which noise is told from the picture
FLATTEST = 0.15  # share of the blocks that are looked at: those with the least structure
FEWEST = 6  # blocks, without which there is no estimate
REACH = 3  # pixels: how far the autocorrelation is followed
QUIET = 1e-3  # levels squared: less is no noise, but rounding of what was computed
BLUR = 2.0  # pixels: sigma of the smoothing that leaves structure, by which blocks are chosen


@dataclasses.dataclass(frozen=True, eq=False)
class Grain:
    """A stationary Gaussian noise.

    Attributes:
      mix: float64 [C, C], makes the channels from independent ones: mix mix' is the covariance.
      kernel: float64 [2 * REACH + 1, 2 * REACH + 1], filters white noise; its squares sum to 1.
    """

    mix: np.ndarray
    kernel: np.ndarray

    @property
    def strength(self) -> float:
        """Standard deviation, the mean over the channels, in the photo's levels."""
        return float(np.sqrt(np.square(self.mix).sum(axis=1)).mean())

    def draw(self, shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
        """Noise in the photo's levels, float32 [H, W, C], for `shape` (H, W)."""
        height, width = shape
        size = (height + 2 * REACH, width + 2 * REACH)
        inner = slice(REACH, REACH + height), slice(REACH, REACH + width)
        planes = []
        for _ in range(len(self.mix)):
            white = generator.standard_normal(size, np.float32)
            planes.append(cv2.filter2D(white, -1, self.kernel)[inner])
        return np.einsum("ij,jyx->yxi", self.mix.astype(np.float32), np.stack(planes))


def estimate(photo: np.ndarray, known: np.ndarray) -> Grain | None:
    """The noise of a photo where it is known.

    Blocks of known pixels are ordered by their structure, which is what smoothing leaves; the
    flattest are fitted by a quadratic surface each, and the rest is taken for noise. Medians over
    the blocks are robust against those in which it is not.

    Args:
      photo: [H, W, C], the face's part of a photo, in its levels.
      known: bool [H, W].

    Returns:
      None if there is too little to tell noise by, or none.
    """
    blocks = _flat_blocks(photo, known)
    if len(blocks) < FEWEST:
        return None
    basis = _surfaces()
    rest = blocks - np.einsum("pk,qk,nqc->npc", basis, basis, blocks, optimize=True)
    covariance = _middle(np.einsum("npi,npj->nij", rest, rest) / BLOCK**2)
    if not np.trace(covariance) > QUIET:
        return None
    kernel = _kernel(rest.reshape(-1, BLOCK, BLOCK, rest.shape[-1]))
    values, vectors = np.linalg.eigh(covariance / _share_kept(kernel, basis))
    return Grain(vectors * np.sqrt(np.maximum(values, 0)), kernel)


def _flat_blocks(photo: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The blocks of known pixels with the least structure, float64 [n, BLOCK^2, C].

    Pixels under the hole are replaced by the known ones' mean, and no block near them counts.
    """
    values = photo.astype(np.float32)
    if not known.any():
        return np.empty([0, BLOCK**2, photo.shape[-1]])
    values[~known] = values[known].mean(axis=0)
    smooth = cv2.GaussianBlur(values, (0, 0), BLUR).reshape(values.shape)
    most = photo.max(initial=0, where=known[..., np.newaxis])
    # Clipped pixels show no noise; the smoothing must see known pixels alone.
    clipped = ((photo <= 0) | (photo >= most)).any(axis=-1)
    away = int(3 * BLUR)
    usable = cv2.erode(np.uint8(known), np.ones([2 * away + 1] * 2, np.uint8)) > 0
    usable &= ~clipped
    rows, columns = (edge // BLOCK for edge in known.shape)

    def cut(array: np.ndarray) -> np.ndarray:
        array = array[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK, -1)
        return array.swapaxes(1, 2).reshape(rows * columns, BLOCK**2, -1)

    whole = cut(usable)[..., 0].mean(axis=1) > 0.95
    structure = cut(smooth).var(axis=1).sum(axis=1)
    candidates = np.flatnonzero(whole)
    number = max(FEWEST, round(FLATTEST * len(candidates)))
    chosen = candidates[np.argsort(structure[candidates], kind="stable")[:number]]
    return cut(values)[chosen].astype(np.float64)


def _surfaces() -> np.ndarray:
    """An orthonormal basis of the quadratic surfaces over a block, [BLOCK^2, 6]."""
    y, x = (np.mgrid[:BLOCK, :BLOCK].reshape(2, -1) - (BLOCK - 1) / 2) / BLOCK
    return np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1))[0]


def _share_kept(kernel: np.ndarray, basis: np.ndarray) -> float:
    """The share of a noise's variance that is left without the surfaces of `basis`.

    The surfaces take the more, the further the noise reaches: a share of the power of `kernel`.
    """
    taken = 0.0
    for surface in basis.T.reshape(-1, BLOCK, BLOCK):
        taken += np.square(scipy.signal.convolve2d(surface, kernel)).sum()
    return 1 - taken / BLOCK**2


def _middle(covariances: np.ndarray) -> np.ndarray:
    """The mean, [C, C], of the half of the blocks' covariances [n, C, C] of middle strength."""
    order = np.argsort(np.trace(covariances, axis1=1, axis2=2), kind="stable")
    quarter = len(order) // 4
    return covariances[order[quarter : len(order) - quarter]].mean(axis=0)


def _kernel(rest: np.ndarray) -> np.ndarray:
    """The kernel whose noise has the autocorrelation of `rest`, [n, BLOCK, BLOCK, C]."""
    reach = range(-REACH, REACH + 1)
    found = np.array([[_correlation(rest, dy, dx) for dx in reach] for dy in reach])
    # The root of the spectrum is that of a symmetric kernel (Wold); what noise made negative is 0.
    size = 4 * REACH + 3
    padded = np.zeros([size, size])
    padded[: 2 * REACH + 1, : 2 * REACH + 1] = found / found[REACH, REACH]
    padded = np.roll(padded, (-REACH, -REACH), axis=(0, 1))
    spectrum = np.maximum(np.fft.fft2(padded).real, 0)
    kernel = np.roll(np.fft.ifft2(np.sqrt(spectrum)).real, (REACH, REACH), axis=(0, 1))
    kernel = kernel[: 2 * REACH + 1, : 2 * REACH + 1]
    return kernel / np.sqrt(np.square(kernel).sum())


def _correlation(rest: np.ndarray, dy: int, dx: int) -> float:
    """Covariance of pixels (dy, dx) apart, summed over channels; tapered towards REACH."""
    dy, dx = (dy, dx) if (dy, dx) > (0, 0) else (-dy, -dx)
    left, right = max(dx, 0), min(dx, 0)
    later = rest[:, dy:, left : BLOCK + right]
    earlier = rest[:, : BLOCK - dy, -right : BLOCK - left]
    per_block = (later * earlier).sum(axis=-1).mean(axis=(1, 2))
    taper = np.clip(2 - 2 * np.hypot(dy, dx) / (REACH + 1), 0, 1)
    return float(np.median(per_block) * taper)
