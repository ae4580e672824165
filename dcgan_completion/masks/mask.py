"""`Mask`: what is missing in images or photos, and how a completion treats it.

True, 1 or white is the hole, here and everywhere but in `DCGAN.completion_loss`, the context
encoder's input and exported signatures, where the paper's M has 1 for known pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from dcgan_completion import utils
from dcgan_completion.masks import boxes, drawing


@dataclasses.dataclass(frozen=True, eq=False)
class Mask:
    """The masks of N images or of a photo.

    Attributes:
      hole: bool [N, H / block, W / block, 1], True = missing.
      block: edge in pixels of the square blocks whose averages are known; 1: pixels are.
      keeps_pixels: whether the completion keeps the known pixels; else it is generated whole.
      ramp: of a feathered hole, the share of what is generated in every pixel, 0 to 1, float32
        [N, H, W, 1]; None: 1 in the hole and 0 outside.
    """

    hole: np.ndarray
    block: int = 1
    keeps_pixels: bool = True
    ramp: np.ndarray | None = None

    @classmethod
    def of_type(cls, mask_type: str, holes: Sequence[np.ndarray]) -> Mask:
        """Make the masks of some images from holes, each as `drawing.draw` gives it for a type.

        Any other type, such as `file`, is taken for a mask of pixels.
        """
        block = drawing.LOWRES_BLOCK if mask_type == "lowres" else 1
        hole = np.stack(holes)[..., np.newaxis]
        return cls(hole, block, drawing.keeps_pixels(mask_type))

    @classmethod
    def of_plane(cls, plane: np.ndarray, ramp: np.ndarray | None = None) -> Mask:
        """Make the mask of one photo from its hole, bool [H, W], and ramp, float32 [H, W]."""
        return cls(plane[np.newaxis, ..., np.newaxis], ramp=_as_batch(ramp))

    @classmethod
    def full(cls) -> Mask:
        """Make the mask under which nothing is missing, but everything is generated anew.

        For images of any size: see `expanded`.
        """
        return cls(np.zeros([1, 1, 1, 1], bool), keeps_pixels=False)

    @classmethod
    def lowres(cls) -> Mask:
        """Make the mask under which only the averages of 8x8 blocks are known; see `full`."""
        return dataclasses.replace(cls.full(), block=drawing.LOWRES_BLOCK)

    def expanded(self, number: int, height: int, width: int) -> Mask:
        """Repeat the mask for `number` images of [height, width]; a mask of that size stays.

        Raises:
          ValueError: the mask has another size or number.
        """
        shape = (number, height // self.block, width // self.block, 1)
        hole = np.broadcast_to(self.hole, shape)
        ramp = None if self.ramp is None else np.broadcast_to(self.ramp, (number, height, width, 1))
        return dataclasses.replace(self, hole=hole, ramp=ramp)

    def __len__(self) -> int:
        return len(self.hole)

    def __getitem__(self, which: slice) -> Mask:
        ramp = None if self.ramp is None else self.ramp[which]
        return dataclasses.replace(self, hole=self.hole[which], ramp=ramp)

    @property
    def plane(self) -> np.ndarray:
        """The hole of the first image, bool [H, W]: all there is of a photo's mask."""
        return self.hole[0, ..., 0]

    @property
    def ramp_plane(self) -> np.ndarray | None:
        """The ramp of the first image, float32 [H, W]; None without one."""
        return None if self.ramp is None else self.ramp[0, ..., 0]

    @property
    def filled(self) -> np.ndarray:
        """The pixels that a completion fills: the hole, or all if it keeps none, bool [N, H, W, 1].

        What metrics are measured in.
        """
        if self.keeps_pixels:
            return self.hole
        number, height, width, _ = self.hole.shape
        return np.ones([number, height * self.block, width * self.block, 1], bool)

    def grown(self, pixels: float, feather: bool = False) -> Mask:
        """Grow the holes by a disc, on request with a ramp over what is added.

        Args:
          pixels: the disc's radius.
          feather: blend from the photo to what is generated over the added pixels
            (`feather_ramp`).
        """
        planes = self.hole[..., 0]
        hole = np.stack([dilate(plane, pixels) for plane in planes])
        ramp = None
        if feather:
            ramp = np.stack([feather_ramp(*pair) for pair in zip(planes, hole, strict=True)])
            ramp = ramp[..., np.newaxis]
        return dataclasses.replace(self, hole=hole[..., np.newaxis], ramp=ramp)

    def visible(self, images: np.ndarray) -> np.ndarray:
        """Show what is known of images, uint8 [N, S, S, C], with gray holes."""
        signed = utils.to_signed(images)
        if self.block > 1:
            return utils.to_uint8(block_average(signed, self.block))
        return utils.to_uint8(np.where(self.hole, np.float32(0), signed))

    def known_values(self, images: np.ndarray) -> np.ndarray:
        """Give all that a completion may know of images, uint8 [N, S, S, C], in 0..255.

        A mask of pixels gives uint8, known pixels as they are and 0 for missing ones; a mask of
        blocks gives float32, each block's average in all of its pixels.
        """
        if self.block == 1:
            return np.where(self.hole, np.uint8(0), images)
        return block_average(images, self.block).astype(np.float32)


def _as_batch(plane: np.ndarray | None) -> np.ndarray | None:
    return None if plane is None else plane[np.newaxis, ..., np.newaxis]


def block_average(images: np.ndarray, block: int) -> np.ndarray:
    """Replace each block x block square of [N, H, W, C] by its average, same shape."""
    number, height, width, channels = images.shape
    blocks = images.reshape(number, height // block, block, width // block, block, channels)
    average = blocks.mean(axis=(2, 4), keepdims=True)
    return np.broadcast_to(average, blocks.shape).reshape(images.shape)


# --- distances ---


def _distance_to(targets: np.ndarray) -> np.ndarray:
    """Measure each pixel's distance to the next target, bool [H, W] -> float64; inf without one."""
    from scipy import ndimage  # only here: most commands' --help must not wait for it

    if not targets.any():
        return np.full(targets.shape, np.inf)
    distances: Any = ndimage.distance_transform_edt(~targets)  # with its defaults, an array
    return distances


def dilate(hole: np.ndarray, pixels: float) -> np.ndarray:
    """Grow a hole, bool [H, W], by a disc of that radius.

    A known pixel goes missing if the centre of a missing one is at most `pixels` away.
    """
    if not hole.any():
        return hole
    crop = boxes.bounding_box(hole, int(pixels) + 1)
    grown = hole.copy()
    grown[crop] = _distance_to(hole[crop]) <= pixels
    return grown


def feather_ramp(hole: np.ndarray, grown: np.ndarray) -> np.ndarray:
    """Compute the share of what is generated in every pixel of a grown hole: float32 [H, W].

    0 outside the grown hole; 1 in the original hole, where the photo is unknown; between them it
    rises with the distance to the photo: d / (d + e) at a distance d from the next pixel outside
    the grown hole and e from the next one of the original hole.

    Args:
      hole, grown: bool [H, W]; `grown` holds the whole hole.

    Raises:
      ValueError: a pixel that is missing in `hole` is known in `grown`.
    """
    if (hole & ~grown).any():
        raise ValueError("the grown hole does not hold the whole hole")
    ramp = np.zeros(hole.shape, np.float32)
    if not grown.any():
        return ramp
    crop = boxes.bounding_box(grown, 1)  # the next known pixel is inside, or there is none
    # Either may be 0 or infinite (no hole, nothing known); the quotient is right in each case.
    with np.errstate(divide="ignore"):
        quotient = _distance_to(hole[crop]) / _distance_to(~grown[crop])
    ramp[crop] = 1 / (1 + quotient)
    return ramp


def nearness(hole: np.ndarray, scale: float) -> np.ndarray:
    """Rate how near each pixel is to a known one: exp(-((d - 1) / scale)^2) at a distance d.

    1 at known pixels and beside them.

    Args:
      hole: bool [N, H, W, 1].
      scale: in pixels.

    Returns:
      float32 [N, H, W, 1].
    """
    away = np.stack([_distance_to(~plane) for plane in hole[..., 0]])[..., np.newaxis]
    return np.exp(-np.square(np.maximum(away - 1, 0) / scale)).astype(np.float32)
