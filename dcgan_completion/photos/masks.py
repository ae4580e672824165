"""The masks of photos: from files, rectangles, transparency, or masks in the squares of faces."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dcgan_completion.completion.mask_source import draw_masks
from dcgan_completion.faces.placement import hole_in_photo
from dcgan_completion.masks import files
from dcgan_completion.masks.mask import Mask, feather_ramp
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.photos import Box, PhotoMaskSettings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.photos.files import Photo


@dataclasses.dataclass(frozen=True)
class PhotoMaskSource:
    """Gives the masks of photos.

    Attributes:
      settings: what is missing.
      files: the mask file of each photo, by the photo's path; None: masks are not in files.
    """

    settings: PhotoMaskSettings
    files: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls, settings: PhotoMaskSettings, paths: Sequence[str], given: Sequence[str]
    ) -> PhotoMaskSource:
        """Make the source of the masks of the photos with these paths, found in what was given.

        Raises:
          UserError: a photo has no mask file, or has two (`files.masks_for`).
        """
        if settings.mask is None:
            return cls(settings)
        return cls(settings, files.masks_for(settings.mask, paths, given))

    def mask_of(self, path: str, photo: Photo) -> Mask:
        """Make the mask of a photo with a given path, grown as the settings ask.

        Raises:
          UserError: a mask file is no mask, or of another size; a box reaches beyond the photo;
            nothing is missing, or everything is.
          ValueError: the masks are in the squares of the faces (`hole_in_photo`).
        """
        settings = self.settings
        if settings.box is not None:
            hole = _boxes(settings.box, path, photo)
        elif settings.mask_alpha:
            hole = _transparent(path, photo)
        elif self.files is not None:
            hole = _drawn(self.files[path], settings.invert_mask, path, photo)
        else:
            raise ValueError("the masks are in the squares of the faces")
        mask = Mask.of_plane(hole)
        if settings.dilate:
            mask = mask.grown(settings.dilate, settings.feather)
        if mask.hole.all():
            source = "a smaller --box" if settings.box is not None else "a lower --dilate"
            raise UserError(f"{path}: everything is missing, so nothing is known; give {source}")
        return mask


def _drawn(file: str, invert: bool, path: str, photo: Photo) -> np.ndarray:
    """Read the hole from a mask file, bool [H, W]."""
    hole = files.read_hole(file, invert)
    if hole.shape != photo.pixels.shape[:2]:
        raise UserError(
            f"--mask {file}: is {_size(hole)}, but {path} is {_size(photo.pixels)} when "
            "upright; draw it on the photo as it is shown"
        )
    if not hole.any():
        colour = "black" if invert else "white"
        raise UserError(
            f"--mask {file}: nothing in it is {colour}, so nothing of {path} is missing; "
            f"paint what is missing in {colour}"
        )
    files.check_some_known(hole, file, invert)
    return hole


def _size(image: np.ndarray) -> str:
    height, width = image.shape[:2]
    return f"{width}x{height}"


def _boxes(rectangles: Sequence[Box], path: str, photo: Photo) -> np.ndarray:
    """Fill rectangles, bool [H, W]."""
    missing = np.zeros_like(photo.pixels[..., 0], bool)
    for left, top, width, height in rectangles:
        if left + width > missing.shape[1] or top + height > missing.shape[0]:
            raise UserError(
                f"--box {left},{top},{width},{height}: reaches beyond {path}, which is "
                f"{_size(photo.pixels)} when upright; give a box within the photo"
            )
        missing[top : top + height, left : left + width] = True
    return missing


def _transparent(path: str, photo: Photo) -> np.ndarray:
    """Find the pixels that are less than half opaque, bool [H, W]."""
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


def mask_by_faces(
    settings: MaskSettings,
    matrices: Sequence[np.ndarray],
    size: int,
    shape: tuple[int, int],
    seed: int,
) -> Mask:
    """Make the mask of a photo from masks in the squares of its faces.

    Args:
      settings: of the masks, `PhotoMaskSettings.in_square`.
      matrices: of the faces, as for `hole_in_photo`.
      size: edge of the squares.
      shape: of the photo, (H, W).
      seed: of random masks, which are the same for all faces.

    Raises:
      UserError: nothing of the photo is missing.
    """
    # A mask drawn from the photo would depend on what is under the hole.
    blank = np.zeros([1, size, size, 1], np.uint8)

    def union(settings: MaskSettings) -> np.ndarray:
        hole = draw_masks(settings, blank, seed).plane
        return np.any([hole_in_photo(hole, matrix, shape) for matrix in matrices], axis=0)

    hole = union(settings)
    if not hole.any():
        raise UserError(f"--mask-type {settings.mask_type}: nothing of the faces is missing")
    if not settings.feather:
        return Mask.of_plane(hole)
    return Mask.of_plane(
        hole, feather_ramp(union(dataclasses.replace(settings, dilate=None)), hole)
    )
