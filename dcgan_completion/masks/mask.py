"""Which pixels of an image are missing, and how much a known one counts.

`Mask` holds the masks of a batch and how a completion treats them; other modules pass it on. The
functions work on arrays, float32 [H, W, 1] (or [N, H, W, 1]), 1 where a pixel is known, 0 where it
is missing. Masks that a user draws are read in mask_files.py; blending.py fills the holes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

HALVES = ("left", "right", "top", "bottom")
MASK_TYPES = ("center", "random", *HALVES, "half", "full", "grid", "lowres", "pattern")
GENERATED_WHOLE = ("full", "lowres")  # a completion under them keeps no pixel of the image
RANDOM_TYPES = ("random", "half", "pattern")  # those that make_mask draws from a generator
RANDOM_MISSING = 0.2  # share of the pixels that a random mask leaves out
PATTERN_MISSING = 0.25  # share of the pixels that a pattern leaves out
PATTERN_SCALE = 1 / 16  # of the width: sigma of the Gaussian that smooths a pattern's noise
GRID_STEP = 4  # a grid keeps every fourth pixel in both directions
LOWRES_BLOCK = 8  # pixels: edge of the blocks of which lowres knows the average
WINDOW = 7  # pixels: edge of the window in which Yeh et al. (2017) count unknown pixels


def keeps_pixels(mask_type: str) -> bool:
    """Whether completions under a kind of mask keep the known pixels, or are generated whole."""
    return mask_type not in GENERATED_WHOLE


@dataclasses.dataclass(frozen=True, eq=False)
class Mask:
    """What is known of N images of edge S, and how a completion treats it.

    Attributes:
      known: float32 [N, S / block, S / block, 1], 1 = known, 0 = missing.
      block: edge in pixels of the square blocks whose averages are known; 1: pixels are.
      keeps_pixels: whether the completion keeps the known pixels; else it is generated whole.
      ramp: of a feathered hole, the share of the generated image in every pixel, 0 to 1, float32
        [N, S, S, 1]; None: 1 in the hole and 0 outside.
    """

    known: np.ndarray
    block: int = 1
    keeps_pixels: bool = True
    ramp: np.ndarray | None = None

    @classmethod
    def of_type(cls, mask_type: str, known: Sequence[np.ndarray]) -> Mask:
        """The masks of some images, each as `make_mask` gives it for one of MASK_TYPES.

        Any other type, such as `file`, is taken for a mask of pixels.
        """
        block = LOWRES_BLOCK if mask_type == "lowres" else 1
        return cls(np.stack(known), block, keeps_pixels(mask_type))

    def __len__(self) -> int:
        return len(self.known)

    def __getitem__(self, which: slice) -> Mask:
        ramp = None if self.ramp is None else self.ramp[which]
        return dataclasses.replace(self, known=self.known[which], ramp=ramp)

    @property
    def kept(self) -> np.ndarray:
        """1 where a completion has the image's own pixel, 0 in the hole: float32 [N, S, S, 1]."""
        if self.keeps_pixels:
            return self.known
        number, height, width, _ = self.known.shape
        return np.zeros([number, height * self.block, width * self.block, 1], np.float32)

    def grown(self, pixels: float, feather: bool = False) -> Mask:
        """The masks with their holes grown by a disc (`dilate`), on request with a ramp.

        Args:
          pixels: the disc's radius.
          feather: blend from the photo to G(z) over the added pixels (`feather_ramp`).
        """
        known = dilate(self.known, pixels)
        ramp = feather_ramp(self.known, known) if feather else None
        return dataclasses.replace(self, known=known, ramp=ramp)

    def visible(self, images: np.ndarray) -> np.ndarray:
        """`images`, [N, S, S, C] in [-1, 1], as far as they are known, with gray holes."""
        return images * self.known if self.block == 1 else block_average(images, self.block)

    def known_values(self, images: np.ndarray) -> np.ndarray:
        """All that a completion may know of `images`, uint8 [N, S, S, C], in the range 0..255.

        A mask of pixels gives uint8, known pixels as they are and 0 for missing ones; a mask of
        blocks gives float32, each block's average in all of its pixels.
        """
        if self.block == 1:
            return np.where(self.known > 0, images, np.uint8(0))
        return block_average(images, self.block).astype(np.float32)


def make_mask(
    mask_type: str,
    size: int,
    *,
    center_scale: float = 0.25,
    fraction: float = RANDOM_MISSING,
    random: np.random.Generator | None = None,
) -> np.ndarray:
    """The mask of a square image, float32 [size, size, 1], 1 = known.

    Args:
      mask_type: one of MASK_TYPES. `center` leaves out the pixels from size * center_scale to
        size * (1 - center_scale) in both directions; `random` a share of the pixels; `left`,
        `right`, `top` and `bottom` that half; `half` one of the four; `pattern` a quarter of the
        pixels in blobs; `grid` all but every fourth pixel in both directions; `full` nothing.
        `lowres` knows no pixel but the averages of 8x8 blocks: its mask, all known, is
        [size / 8, size / 8, 1].
      center_scale: in (0, 0.5).
      fraction: in (0, 1), the probability that a pixel of a `random` mask is missing; each is drawn
        by itself.
      random: the generator for RANDOM_TYPES.

    Raises:
      ValueError: an unknown type, a fraction out of range, or no generator for RANDOM_TYPES.
    """
    mask = np.ones([size, size, 1], np.float32)
    if mask_type in RANDOM_TYPES:
        if random is None:
            raise ValueError(f"a {mask_type} mask needs a generator")
        mask[_draw_missing(mask_type, size, fraction, random)] = 0
    elif mask_type in HALVES:
        mask[_half(size, mask_type)] = 0
    elif mask_type == "center":
        low, high = int(size * center_scale), int(size * (1 - center_scale))
        mask[low:high, low:high] = 0
    elif mask_type == "grid":
        mask[:] = 0
        mask[::GRID_STEP, ::GRID_STEP] = 1
    elif mask_type == "lowres":
        return np.ones([size // LOWRES_BLOCK, size // LOWRES_BLOCK, 1], np.float32)
    elif mask_type != "full":
        raise ValueError(f"mask type {mask_type!r} is not one of {', '.join(MASK_TYPES)}")
    return mask


def _draw_missing(
    mask_type: str, size: int, fraction: float, random: np.random.Generator
) -> np.ndarray:
    """What is missing under a mask of RANDOM_TYPES, bool [size, size]."""
    if mask_type == "half":
        return _half(size, HALVES[random.integers(len(HALVES))])
    if mask_type == "pattern":
        return _blobs(size, random)
    if not 0 < fraction < 1:
        raise ValueError(f"fraction {fraction} is not between 0 and 1")
    return random.random([size, size]) < fraction


def _half(size: int, side: str) -> np.ndarray:
    """The half of a square on one side, bool [size, size]."""
    line = np.arange(size) if side in ("left", "top") else np.arange(size)[::-1]
    inside = np.broadcast_to(line < size // 2, [size, size])
    return inside if side in ("left", "right") else inside.T


def _blobs(size: int, random: np.random.Generator) -> np.ndarray:
    """The highest quarter of smoothed noise, bool [size, size]."""
    from scipy import ndimage  # only here: most scripts' --help must not wait for it

    scale = size * PATTERN_SCALE
    margin = round(3 * scale)  # so that blobs are cut by the border instead of mirrored at it
    noise = random.standard_normal([size + 2 * margin, size + 2 * margin])
    smooth = ndimage.gaussian_filter(noise, scale, truncate=3)
    inner = smooth[margin : margin + size, margin : margin + size]
    missing = np.zeros(size * size, bool)
    missing[np.argsort(inner, axis=None)[::-1][: round(PATTERN_MISSING * size * size)]] = True
    return missing.reshape(size, size)


def block_average(images: np.ndarray, block: int) -> np.ndarray:
    """Each block x block square of [N, H, W, C] replaced by its average, same shape."""
    number, height, width, channels = images.shape
    blocks = images.reshape(number, height // block, block, width // block, block, channels)
    average = blocks.mean(axis=(2, 4), keepdims=True)
    return np.broadcast_to(average, blocks.shape).reshape(images.shape)


def dilate(mask: np.ndarray, pixels: float) -> np.ndarray:
    """The mask with its holes grown by a disc of that radius, [H, W, 1] or [N, H, W, 1].

    A known pixel goes missing if the centre of a missing one is at most `pixels` away.
    """
    return (_distance_to(mask == 0) > pixels).astype(np.float32)


def _distance_to(targets: np.ndarray) -> np.ndarray:
    """Each pixel's distance to the next target in its own image, bool [..., H, W, 1] -> float64.

    Infinite in an image that has no target.
    """
    from scipy import ndimage  # only here: most scripts' --help must not wait for it

    planes = targets.reshape(-1, *targets.shape[-3:-1])
    distances = [
        ndimage.distance_transform_edt(~plane) if plane.any() else np.full(plane.shape, np.inf)
        for plane in planes
    ]
    return np.stack(distances).reshape(targets.shape)


def feather_ramp(mask: np.ndarray, grown: np.ndarray) -> np.ndarray:
    """The share of G(z) in every pixel when `grown` is the dilated `mask`: float32, same shape.

    0 outside the grown hole; 1 in the original hole, where the photo is unknown; between them it
    rises with the distance to the photo: d / (d + e) at a distance d from the next pixel outside
    the grown hole and e from the next one of the original hole.

    Raises:
      ValueError: a pixel that is missing in `mask` is known in `grown`.
    """
    if (grown > mask).any():
        raise ValueError("the grown hole does not hold the whole hole")
    # Either may be 0 or infinite (no hole, nothing known); the quotient is right in each case.
    with np.errstate(divide="ignore"):
        quotient = _distance_to(mask == 0) / _distance_to(grown > 0)
    return (1 / (1 + quotient)).astype(np.float32)


def nearness(mask: np.ndarray, scale: float) -> np.ndarray:
    """How near each pixel is to a known one: exp(-((d - 1) / scale)^2) at a distance of d pixels.

    1 at known pixels and beside them. float32, the mask's shape, [H, W, 1] or [N, H, W, 1].
    """
    beyond = np.maximum(_distance_to(mask > 0) - 1, 0)
    return np.exp(-np.square(beyond / scale)).astype(np.float32)


def importance_weights(mask: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """How much each known pixel counts, by the holes around it: float32, the mask's shape.

    W of Yeh et al., Semantic Image Inpainting with Deep Generative Models (2017, arXiv
    1607.07539v3, importance weighted context loss): a known pixel's weight is the share of missing
    pixels in the window x window square around it, clipped to the image; a missing one's is 0.

    Args:
      mask: [H, W, 1] or [N, H, W, 1].
      window: edge of the square in pixels, odd.

    Raises:
      ValueError: the window is not odd.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window {window} is not an odd number above 0")
    known = mask > 0
    from scipy import ndimage  # only here: most scripts' --help must not wait for it

    def sums(values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64)
        for axis in (-3, -2):
            values = ndimage.correlate1d(values, np.ones(window), axis, mode="constant")
        return values

    return (known * sums(~known) / sums(np.ones(mask.shape[-3:]))).astype(np.float32)


def contextual_weights(mask: np.ndarray, weighted: float) -> np.ndarray:
    """How much each known pixel counts in the contextual loss: float32, the mask's shape.

    mask * (1 - weighted) + W * weighted, where W are the `importance_weights`, scaled in every
    image to the sum of its mask, so that the contextual loss keeps its magnitude beside the
    perceptual one. Where all of W is 0 (nothing missing, or nothing known), the mask itself.

    Args:
      mask: [H, W, 1] or [N, H, W, 1].
      weighted: the share of W, in [0, 1].

    Raises:
      ValueError: `weighted` is out of range.
    """
    if not 0 <= weighted <= 1:
        raise ValueError(f"weighted {weighted} is not from 0 to 1")
    weights = importance_weights(mask).astype(np.float64)
    axes = (-3, -2, -1)
    total = weights.sum(axes, keepdims=True)
    scale = mask.sum(axes, keepdims=True) / np.where(total > 0, total, 1)
    weights = np.where(total > 0, weights * scale, mask)
    return (mask * (1 - weighted) + weights * weighted).astype(np.float32)
