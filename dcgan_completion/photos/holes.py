"""What is missing of a photo: the settings that say it, and the hole in the photo's coordinates."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dcgan_completion.masks import files as mask_files
from dcgan_completion.masks import mask as masks
from dcgan_completion.masks.source import draw_masks
from dcgan_completion.settings import options
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.photos.files import Photo

# What says where the hole is; one of them is given.
SOURCES = ("mask", "mask_alpha", "box", "mask_type")
# Options that only one of them has.
OF_SOURCES = {"invert_mask": "mask", "center_scale": "mask_type", "fraction": "mask_type"}

Box = tuple[int, int, int, int]


def box(text: str) -> Box:
    """argparse type: X,Y,W,H, a rectangle's left edge, top edge, width and height in pixels."""
    try:
        left, top, width, height = map(int, text.split(","))
        fits = left >= 0 and top >= 0 and width > 0 and height > 0
    except ValueError:
        fits = False
    if not fits:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like 40,60,120,80: left, top, width and height in whole pixels"
        )
    return left, top, width, height


@dataclasses.dataclass(frozen=True)
class HoleSettings:
    """What is missing of photos, in coordinates of the upright photo but for `mask_type`.

    Attributes:
      mask: path of a mask of the photo's size, or of a folder of them (`mask_files.masks_for`).
      mask_alpha: the photo's transparent pixels are missing.
      box: rectangles (left, top, width, height) in pixels.
      mask_type: of masks.MASK_TYPES, in the square of each face; for trials. None: another source.
      center_scale, fraction: of masks.make_mask, with `mask_type`.
      invert_mask: black pixels of the mask are missing, not white ones.
      dilate: pixels by which the hole grows, of the photo, or with `mask_type` of the face's
        square; None: it does not.
      feather: blend from the photo to what is made over these pixels (`masks.feather_ramp`).
    """

    mask: str | None = options.same_option(MaskSettings, "mask")
    mask_alpha: bool = options.option(
        "the photo's transparent pixels are missing", action="store_true", default=False
    )
    box: tuple[Box, ...] | None = options.option(
        "a rectangle is missing: left, top, width, height in pixels; may be given several times",
        type=box,
        action="append",
        metavar="X,Y,W,H",
    )
    mask_type: str | None = options.same_option(
        MaskSettings,
        "mask_type",
        default=None,
        help_text="for trials: a mask of complete.py's in the square of each face",
        choices=[name for name in masks.MASK_TYPES if masks.keeps_pixels(name)],
    )
    center_scale: float = options.same_option(MaskSettings, "center_scale")
    fraction: float = options.same_option(MaskSettings, "fraction")
    invert_mask: bool = options.same_option(MaskSettings, "invert_mask")
    dilate: int | None = options.same_option(MaskSettings, "dilate")
    feather: bool = options.same_option(MaskSettings, "feather")

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """What the help says of a field's default."""
        return "" if field.name == "mask_type" else MaskSettings.default_text(field)

    @classmethod
    def of(cls, **given: Any) -> HoleSettings:
        """Settings from what was given, without contradictions.

        Raises:
          UserError: nothing says what is missing, several options do, or one lacks what it
            belongs to.
        """
        sources = [name for name in SOURCES if name in given]
        if not sources:
            raise UserError(
                "what is missing of the photo? give --mask MASK, --mask-alpha, --box X,Y,W,H or, "
                "for trials, --mask-type"
            )
        if len(sources) > 1:
            first, second = (options.flag(name) for name in sources[:2])
            raise UserError(f"{first} and {second} both say what is missing; leave one of them out")
        for name, source in OF_SOURCES.items():
            if name in given and source != sources[0]:
                raise UserError(
                    f"{options.flag(name)} belongs to {options.flag(source)} and contradicts "
                    f"{options.flag(sources[0])}; leave one of them out"
                )
        of_square = ("mask_type", "center_scale", "fraction", "dilate", "feather")
        MaskSettings.of(**{name: given[name] for name in of_square if name in given})
        if "box" in given:
            given["box"] = tuple(given["box"])
        return cls(**given)

    @property
    def in_square(self) -> MaskSettings | None:
        """The masks in the squares of the faces; None if the hole is one of the photo."""
        if self.mask_type is None:
            return None
        shared = {field.name for field in options.option_fields(MaskSettings)} - {
            "mask",
            "invert_mask",
        }
        return MaskSettings(**{name: getattr(self, name) for name in shared})

    def options(self) -> dict[str, Any]:
        """The values of the options for config.json; None for those of other sources."""
        values = dataclasses.asdict(self)
        for name, source in OF_SOURCES.items():
            if getattr(self, source) is None:
                values[name] = None
        return values


@dataclasses.dataclass(frozen=True, eq=False)
class Hole:
    """What is missing of an upright photo.

    Attributes:
      missing: bool [H, W].
      ramp: of a feathered hole, the share of what is made in every pixel, 0 to 1, float32 [H, W];
        None: 1 in the hole and 0 outside.
    """

    missing: np.ndarray
    ramp: np.ndarray | None = None

    def grown(self, pixels: int, feather: bool = False) -> Hole:
        """The hole, of a pixel at least, grown by a disc (`masks.dilate`).

        Args:
          pixels: the disc's radius.
          feather: with a ramp over what is added (`masks.feather_ramp`).
        """
        crop = around(self.missing, pixels + 1)
        missing = self.missing.copy()
        missing[crop] = masks.dilate(_as_mask(self.missing[crop]), pixels)[..., 0] == 0
        return self.within(missing) if feather else Hole(missing)

    def within(self, larger: np.ndarray) -> Hole:
        """A larger hole, bool [H, W], with a ramp over what it adds to this one."""
        crop, ramp = around(larger, 1), np.zeros(larger.shape, np.float32)
        masks_of_both = (_as_mask(missing[crop]) for missing in (self.missing, larger))
        ramp[crop] = masks.feather_ramp(*masks_of_both)[..., 0]
        return Hole(larger, ramp)


def around(hole: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of a hole, of a pixel at least, and of a margin around it.

    A photo is large: distances are measured only where the hole can change something.
    """
    edges = [np.flatnonzero(hole.any(axis))[[0, -1]] for axis in (1, 0)]
    return tuple(slice(max(0, a - margin), b + margin + 1) for a, b in edges)


def _as_mask(missing: np.ndarray) -> np.ndarray:
    """As the functions of `masks` take it: float32 [H, W, 1], 1 = known."""
    return (~missing).astype(np.float32)[..., np.newaxis]


@dataclasses.dataclass(frozen=True)
class HoleSource:
    """Gives the holes of photos.

    Attributes:
      settings: what is missing.
      files: the mask file of each photo, by the photo's path; None: no file says what is missing.
    """

    settings: HoleSettings
    files: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls,
        settings: HoleSettings,
        paths: Sequence[str],
        given: Sequence[str],
    ) -> HoleSource:
        """The source of the holes of the photos with these paths.

        Args:
          settings: what is missing.
          paths: of the photos.
          given: files and folders from which they come, as the user gave them.

        Raises:
          UserError: a photo has no mask file, or has two (`mask_files.masks_for`).
        """
        if settings.mask is None:
            return cls(settings)
        return cls(settings, mask_files.masks_for(settings.mask, paths, given))

    def hole_of(self, path: str, photo: Photo) -> Hole:
        """The hole in a photo with a given path, grown as the settings say.

        Raises:
          UserError: a mask file is no mask, or of another size; a box is not within the photo;
            nothing is missing, or everything is.
          ValueError: the masks are in the squares of the faces (`hole_in_square`).
        """
        settings = self.settings
        if settings.box is not None:
            missing = _boxes(settings.box, path, photo)
        elif settings.mask_alpha:
            missing = _transparent(path, photo)
        elif self.files is not None:
            missing = self._drawn(self.files[path], path, photo)
        else:
            raise ValueError("the hole is placed by the faces")
        hole = Hole(missing)
        if settings.dilate:
            hole = hole.grown(settings.dilate, settings.feather)
        if hole.missing.all():
            source = "a smaller --box" if settings.box is not None else "a lower --dilate"
            raise UserError(f"{path}: everything is missing, so nothing is known; give {source}")
        return hole

    def _drawn(self, mask: str, path: str, photo: Photo) -> np.ndarray:
        """What a mask file says is missing, bool [H, W]."""
        invert = self.settings.invert_mask
        missing = mask_files.load_missing(mask, invert)
        if missing.shape != photo.pixels.shape[:2]:
            raise UserError(
                f"--mask {mask}: is {_size(missing)}, but {path} is {_size(photo.pixels)} when "
                "upright; draw it on the photo as it is shown"
            )
        if not missing.any():
            colour = "black" if invert else "white"
            raise UserError(
                f"--mask {mask}: nothing in it is {colour}, so nothing of {path} is missing; "
                f"paint what is missing in {colour}"
            )
        mask_files.check_some_known(missing, mask, invert)
        return missing


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _boxes(boxes: Sequence[Box], path: str, photo: Photo) -> np.ndarray:
    """What is inside of rectangles, bool [H, W]."""
    missing = np.zeros(photo.pixels.shape[:2], bool)
    for left, top, width, height in boxes:
        if left + width > missing.shape[1] or top + height > missing.shape[0]:
            raise UserError(
                f"--box {left},{top},{width},{height}: reaches beyond {path}, which is "
                f"{_size(photo.pixels)} when upright; give a box within the photo"
            )
        missing[top : top + height, left : left + width] = True
    return missing


def _transparent(path: str, photo: Photo) -> np.ndarray:
    """Which pixels are less than half opaque, bool [H, W]."""
    if photo.alpha is None:
        raise UserError(
            f"{path}: has no transparency, which --mask-alpha takes for the hole; give a --mask"
        )
    missing = photo.alpha <= photo.peak // 2
    if not missing.any():
        raise UserError(
            f"{path}: none of its pixels is transparent, so nothing is missing; erase what is "
            "missing, or give a --mask"
        )
    if missing.all():
        raise UserError(f"{path}: all of it is transparent, so nothing is known; give a --mask")
    return missing


def hole_in_squares(
    settings: MaskSettings,
    matrices: Sequence[np.ndarray],
    size: int,
    shape: tuple[int, int],
    seed: int,
) -> Hole:
    """The hole of a photo by masks in the squares of its faces.

    Args:
      settings: of the masks, `HoleSettings.in_square`.
      matrices: of the faces, as for `hole_in_square`.
      size: edge of the squares.
      shape: of the photo, (H, W).
      seed: of random masks, which are the same for all faces.

    Raises:
      UserError: nothing of the photo is missing.
    """
    # A mask drawn from the photo would depend on what is under the hole.
    blank = np.zeros([1, size, size, 1], np.uint8)

    def union(masks_there: MaskSettings) -> np.ndarray:
        missing = draw_masks(masks_there, blank, seed).known[0, ..., 0] == 0
        return np.any([hole_in_square(missing, matrix, shape) for matrix in matrices], axis=0)

    hole = Hole(union(settings))
    if not hole.missing.any():
        raise UserError(f"--mask-type {settings.mask_type}: nothing of the faces is missing")
    if settings.feather:
        hole = Hole(union(dataclasses.replace(settings, dilate=None))).within(hole.missing)
    return hole


def hole_in_square(missing: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Which pixels of a photo are missing by a mask in the square of a face, bool [H, W].

    Those whose centre lies in a missing pixel of the square.

    Args:
      missing: bool [S, S].
      matrix: affine, from pixels (x, y) of the photo to those of the square, [2, 3]; whole numbers
        are the centres of pixels.
      shape: of the photo, (H, W).
    """
    size = len(missing)
    inverse = np.linalg.inv(matrix[:, :2])
    corners = np.array([[x, y] for x in (-0.5, size - 0.5) for y in (-0.5, size - 0.5)])
    corners = (corners - matrix[:, 2]) @ inverse.T
    low = np.clip(np.floor(corners.min(0)), 0, shape[::-1]).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + 1, 0, shape[::-1]).astype(int)
    x, y = np.arange(low[0], high[0]), np.arange(low[1], high[1])[:, np.newaxis]
    column, row = (np.floor(a * x + b * y + c + 0.5).astype(np.int32) for a, b, c in matrix)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    hole = np.zeros(shape, bool)
    found = missing[np.where(inside, row, 0), np.where(inside, column, 0)] & inside
    hole[low[1] : high[1], low[0] : high[0]] = found
    return hole
