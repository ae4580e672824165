"""Masks in files: which one belongs to which image, and the hole that is drawn in it."""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from dcgan_completion import utils
from dcgan_completion.utils import UserError

WHITE = 128  # levels from here on are white: missing
# Between these levels a pixel is neither black nor white. Of 401 photos each had more than 0.35
# of them (LFW, CelebA); a disc blurred over a twentieth of the width has 0.17, noise of single
# pixels in a JPEG of quality 5 0.27.
GRAY = (48, 207)
MAX_GRAY = 0.3
ONE_COLOUR = 16  # levels within which a brush's colour may vary in a file that loses detail


def read_square(
    path: str | os.PathLike[str], size: int, invert: bool = False, flag: str = "--mask"
) -> np.ndarray:
    """Read the hole of a square image from a picture of any size, bool [size, size].

    A picture that is not square loses its margins, as a photo does with --resize, then is scaled by
    the nearest pixel. Nothing may be missing: such a mask leaves the photo as it is.

    Args:
      path: the picture.
      size: edge of the mask in pixels.
      invert: white is known, black (and transparent) the hole.
      flag: the option that named the mask, for the errors.

    Raises:
      UserError: as `read_hole`, or nothing is known.
    """
    hole = _scale(read_hole(path, invert, flag), size)
    check_some_known(hole, path, invert, flag)
    return hole


def read_hole(
    path: str | os.PathLike[str] | utils.MemoryFile, invert: bool = False, flag: str = "--mask"
) -> np.ndarray:
    """Read the hole (white) from a picture of any kind that Pillow reads, upright, bool [H, W].

    Brightness is cut in the middle. Where a picture has transparent parts, its visible part
    counts: on several colours (black and white), transparent is black, known. If all that is
    visible has one colour, it was drawn on an empty layer, and is the hole whatever its colour; the
    transparent rest is known.

    Args:
      path, invert, flag: as in `read_square`.

    Raises:
      UserError: the file cannot be read, or is no mask: a photo, or nothing in it is white though
        not all is black.
    """
    with utils.open_picture(path) as picture:
        levels, counted = picture_levels(picture)
    gray = np.mean((levels >= GRAY[0]) & (levels <= GRAY[1]), where=counted)
    if gray > MAX_GRAY:
        raise UserError(
            f"{flag} {path}: looks like a photo, not a mask ({gray:.0%} of it is gray); give a "
            "picture that is white where pixels are missing and black elsewhere"
        )
    if 0 < levels.max() < WHITE:  # such as an array of 0 and 1 that was saved as it is
        raise UserError(
            f"{flag} {path}: nothing in it is white (its brightest level is {levels.max()} of "
            "255); paint what is missing in white"
        )
    return (levels >= WHITE) != invert


def check_some_known(
    hole: np.ndarray, path: str | os.PathLike[str], invert: bool, flag: str = "--mask"
) -> None:
    """Raise UserError if all is missing in a hole, bool, that was read from `path`."""
    if hole.all():
        other = "leave out --invert-mask" if invert else "if white is what is known: --invert-mask"
        raise UserError(f"{flag} {path}: everything is missing, so nothing is known; {other}")


def picture_levels(picture: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Read how white a mask is, uint8 [H, W], and which pixels tell if it is one, bool [H, W].

    As `read_hole` says of transparent parts.
    """
    if picture.mode.startswith("I") or not picture.has_transparency_data:
        levels = utils.picture_pixels(picture, 1)[..., 0]
        return levels, np.ones(levels.shape, bool)
    picture = ImageOps.exif_transpose(picture).convert("RGBA")
    *colour, alpha = np.moveaxis(np.asarray(picture), -1, 0)
    visible, everywhere = alpha >= WHITE, np.ones(alpha.shape, bool)
    if not visible.any():  # an empty layer, or too faint a brush: it is not white, then
        return alpha, everywhere
    if not visible.all() and all(np.ptp(c[visible]) <= ONE_COLOUR for c in colour):
        return alpha, everywhere
    on_black = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
    return np.asarray(on_black.convert("L")), visible


def _scale(hole: np.ndarray, size: int) -> np.ndarray:
    """Scale the central square of bool [H, W] to [size, size] by the nearest pixel."""
    edge = min(hole.shape)
    top, left = ((length - edge) // 2 for length in hole.shape)
    square = Image.fromarray(hole[top : top + edge, left : left + edge].astype(np.uint8))
    return np.asarray(square.resize((size, size), Image.Resampling.NEAREST)) > 0


def masks_for(
    path: str, images: Sequence[str], given: Sequence[str], flag: str = "--mask"
) -> dict[str, str]:
    """Find the mask file of every image; nothing is read of it yet.

    A file is the mask of all images. A folder holds one for each, of any image type: it mirrors
    the images' places below the deepest folder that holds all that was given (FOLDER/a/1.jpg ->
    MASKS/a/1.png). A mask that is not there may lie in the folder itself (MASKS/1.png), if no
    other image has that name.

    Args:
      path: a picture or a folder of pictures.
      images: the inputs' paths, as `input_images.list_inputs` finds them.
      given: the files and folders from which they come, as the user gave them.
      flag: the option that named the masks, for the errors.

    Raises:
      UserError: there is no such path, images have no mask, or one has two.
    """
    if not os.path.exists(path):
        raise UserError(f"{flag} {path}: no such file or folder")
    if not os.path.isdir(path):
        return dict.fromkeys(images, path)
    utils.check_folder(path, flag)
    masks = _by_stem(utils.list_images(path), path)
    root = os.path.commonpath(
        [p if os.path.isdir(p) else os.path.dirname(p) for p in map(os.path.abspath, given)]
    )
    places = _by_stem(images, root)
    names = collections.Counter(os.path.basename(place) for place in places)
    found, lacking = {}, []
    for place, members in places.items():
        name = os.path.basename(place)
        candidates = masks.get(place) or (masks.get(name) if names[name] == 1 else None)
        if candidates is None:
            lacking += [(place, member) for member in members]
        elif len(candidates) > 1:
            raise UserError(
                f"{flag} {path}: two masks for {members[0]}: {candidates[0]} and "
                f"{candidates[1]}; remove one"
            )
        else:
            found.update(dict.fromkeys(members, candidates[0]))
    if lacking:
        place, image = lacking[0]
        more = f" and {len(lacking) - 1} more images" if len(lacking) > 1 else ""
        raise UserError(
            f"{flag} {path}: no mask for {image}{more}; it should be {place}.png in that folder"
        )
    return {image: found[image] for image in images}


def _by_stem(paths: Sequence[str], root: str) -> dict[str, list[str]]:
    """Sort paths by their place below `root`, without their extension."""
    places: dict[str, list[str]] = {}
    for path in paths:
        stem = os.path.splitext(os.path.relpath(path, root))[0]
        places.setdefault(stem, []).append(path)
    return places
