"""Images and masks as a library's user has them: PIL images or arrays of several kinds."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from dcgan_completion.masks import files
from dcgan_completion.masks.mask import Mask
from dcgan_completion.settings import options
from dcgan_completion.settings.search import SearchSettings

Images = Image.Image | np.ndarray | Sequence[Image.Image] | Sequence[np.ndarray]
Masks = Images | Mask
WHITE = 128  # levels from here on are white: the hole


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise ValueError if an argument is none of its choices."""
    if value not in choices:
        raise ValueError(f"{name}={value!r}: is none of {', '.join(map(str, choices))}")


def check_options(given: Mapping[str, Any], settings: type = SearchSettings) -> None:
    """Raise ValueError for an option that settings do not have, or a value that it cannot be."""
    fields = {field.name: field for field in options.option_fields(settings)}
    for name, value in given.items():
        if name not in fields:
            raise ValueError(f"{name}: is no argument of a completion")
        if not options.could_be_given(fields[name], value):
            arguments = fields[name].metadata["arguments"]
            reason = f"is none of {', '.join(arguments.get('choices', ('True', 'False')))}"
            with contextlib.suppress(ValueError):
                try:
                    arguments.get("type", str)(str(value))
                except argparse.ArgumentTypeError as error:
                    reason = str(error)
            raise ValueError(f"{name}={value!r}: {reason}")


def check_count(name: str, value: Any) -> None:
    """Raise ValueError if an argument is not a whole number above 0."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}: is not a whole number above 0")


def as_array(name: str, value: Any) -> np.ndarray:
    """Stack what was given to one array; a PIL image and an array alone stay as they are."""
    if isinstance(value, Image.Image):
        return np.asarray(ImageOps.exif_transpose(value))
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ValueError(f"{name}: is {type(value).__name__}; give PIL images or an array")
    parts = [as_array(name, part) for part in value]
    if len({part.shape for part in parts}) > 1:
        raise ValueError(f"{name}: are of different sizes: {sorted({p.shape for p in parts})}")
    return np.stack(parts)


def _in_colour(value: Any, channels: int) -> Any:
    """Convert PIL images to the model's colours."""
    if isinstance(value, Image.Image):
        return ImageOps.exif_transpose(value).convert("L" if channels == 1 else "RGB")
    if isinstance(value, list | tuple):
        return [_in_colour(part, channels) for part in value]
    return value


def _levels(mask: Any) -> Any:
    """Convert the PIL images of masks to levels of gray; transparent ones as in a mask's file."""
    if isinstance(mask, Image.Image) and mask.has_transparency_data:
        return files.picture_levels(mask)[0]
    if isinstance(mask, list | tuple):
        return [_levels(part) for part in mask]
    return _in_colour(mask, 1)


def read_images(images: Images, size: int, channels: int) -> np.ndarray:
    """Read images, uint8 [N, size, size, channels].

    Args:
      images: PIL images; or arrays, uint8 or float in 0..1, [N, size, size, channels] or one alone.
      size: edge in pixels.
      channels: 1 or 3.

    Raises:
      ValueError: they are something else; names `images`.
    """
    values = as_array("images", _in_colour(images, channels))
    if channels == 1 and values.shape[-1:] != (1,):
        values = values[..., np.newaxis]
    if values.ndim == 3:
        values = values[np.newaxis]
    if values.ndim != 4 or not len(values) or values.shape[1:] != (size, size, channels):
        raise ValueError(
            f"images: are {values.shape}; the model completes [N, {size}, {size}, {channels}] "
            "(align() brings the faces of photos to that size)"
        )
    if np.issubdtype(values.dtype, np.floating):
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError("images: floats must be in 0..1, and finite")
        return np.rint(values * 255).astype(np.uint8)
    if values.dtype != np.uint8:
        raise ValueError(f"images: are {values.dtype}; give uint8, or floats in 0..1")
    return values


def _binary(values: np.ndarray, name: str = "masks") -> np.ndarray:
    """Read which values of a mask are the hole, bool of the same shape."""
    if values.dtype == bool:
        return values
    if np.issubdtype(values.dtype, np.floating):
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(f"{name}: floats must be in 0..1, and finite; 1 is the hole")
        return values >= 0.5
    if not np.issubdtype(values.dtype, np.integer) or values.min() < 0 or values.max() > 255:
        raise ValueError(f"{name}: {values.dtype} is no mask; give bool, uint8 or floats in 0..1")
    return values == 1 if values.max() <= 1 else values >= WHITE


def read_hole(name: str, mask: Any) -> np.ndarray:
    """Read one mask, a PIL image or an array, as a hole, bool [H, W]; 1, True or white is it.

    Of a PIL image with transparent parts the same counts as of such a file (`files.read_hole`).

    Raises:
      ValueError: it is something else; names the argument `name`.
    """
    values = as_array(name, _levels(mask))
    values = values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if values.ndim != 2:
        raise ValueError(f"{name}: is {values.shape}; give one mask, [H, W]")
    return _binary(values, name)


def read_masks(masks: Masks, number: int, size: int) -> Mask:
    """Read the masks of `number` images of [size, size].

    Args:
      masks: a `Mask`; or PIL images or arrays, [size, size] for all images or one each, also with
        a last axis of 1 or of colours: 1, True or white is the hole; of PIL images with transparent
        parts as for `read_hole`.
      number: of images.
      size: edge in pixels.

    Raises:
      ValueError: they are something else, or everything is missing; names `masks`.
    """
    if isinstance(masks, Mask):
        try:
            return masks.expanded(number, size, size)
        except ValueError:
            raise ValueError(
                f"masks: are {masks.hole.shape}, the images {(number, size, size)}"
            ) from None
    values = as_array("masks", _levels(masks))
    if values.shape[-1:] == (1,):
        values = values[..., 0]
    if values.ndim == 2:
        values = np.broadcast_to(values, [number, *values.shape])
    if values.shape != (number, size, size):
        raise ValueError(
            f"masks: are {values.shape}; give one of {(size, size)} for all images, or one each, "
            f"{(number, size, size)}"
        )
    hole = _binary(values)
    if hole.all(axis=(1, 2)).any():
        raise ValueError(
            "masks: everything is missing, so nothing is known; 1 or white is the hole "
            "(Mask.full() reconstructs a whole image)"
        )
    return Mask(hole[..., np.newaxis])


def to_pil(images: np.ndarray) -> list[list[Image.Image]]:
    """Turn images, uint8 [N, K, S, S, C], into lists of PIL images."""
    images = images[..., 0] if images.shape[-1] == 1 else images
    return [[Image.fromarray(image) for image in row] for row in images]
