"""What the page is shown: a hole filled in a smaller copy, layers, whole photos, as PNG."""

from __future__ import annotations

import dataclasses
import io

import cv2
import numpy as np
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.masks import boxes
from dcgan_completion.masks import files as mask_files
from dcgan_completion.masks.boxes import Crop
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photos.files import Photo, encode_photo
from dcgan_completion.photos.layers import layer_of, rgb_profile
from dcgan_completion.photos.repair import repair
from dcgan_completion.photos.task import Task, make_task
from dcgan_completion.settings.photos import NONE
from dcgan_completion.utils import UserError

MAX_EDGE = 240  # pixels of what is shown while a search goes on
MARGIN, RADIUS = 24, 5  # pixels around a hole, and around each pixel, that a rough fill looks at
THUMBNAIL = 160  # pixels: longer edge


def png(photo: Photo) -> bytes:
    """Encode a photo as PNG, byte for byte as complete-photo.py writes it."""
    file = io.BytesIO()
    encode_photo(photo, file, "PNG")
    return file.getvalue()


def box_of(crop: Crop) -> list[int]:
    """Give left, top, width and height of rows and columns."""
    rows, columns = crop
    return [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start]


# --- masks ---


def read_mask(data: bytes, photo: Photo, left: int, top: int) -> Mask:
    """Read the mask that the page has painted: a picture of a part of the photo.

    Args:
      data: of the picture.
      photo: of which it is a part.
      left, top: where its corner lies in the photo.

    Raises:
      UserError: it is no such picture, nothing is missing, or everything is.
    """
    hole = np.zeros(photo.pixels.shape[:2], bool)
    # Not by `read_hole`: what the page draws needs no guesses, which take five times as long.
    with utils.open_picture(utils.MemoryFile("the mask", data)) as picture:
        width, height = picture.size
        window = hole[top : top + height, left : left + width]
        if window.shape != (height, width):
            raise UserError("the mask extends beyond the photo")
        window[:] = np.asarray(picture.convert("L")) >= mask_files.WHITE
    if not hole.any():
        raise UserError("nothing is painted; paint over what should be replaced")
    if hole.all():
        raise UserError("everything is painted over; erase some of it, so that a part is known")
    return Mask.of_plane(hole)


def redrawn_mask(data: bytes, photo: Photo) -> bytes:
    """Draw a mask file of the user's, read as complete-photo.py does, in white on black.

    Raises:
      UserError: it is no mask, or not of the photo's size.
    """
    hole = mask_files.read_hole(utils.MemoryFile("mask", data), flag="the")  # "the mask: ..."
    if hole.shape != photo.pixels.shape[:2]:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (hole.shape, photo.pixels.shape)]
        raise UserError(
            f"the mask is {sizes[0]}, but the photo is {sizes[1]} when upright; load one of its "
            "size"
        )
    return png(Photo((hole * np.uint8(255))[..., np.newaxis]))


# --- while the user paints, and a search goes on ---


def _small(photo: Photo, crop: Crop, hole: np.ndarray) -> tuple[Photo, np.ndarray, np.ndarray]:
    """Scale a crop of a photo, in 8 bits, and of its hole to at most MAX_EDGE pixels.

    Returns:
      Both, and the affine matrix from pixels of the small picture to those of the photo, [3, 3].
    """
    part = _as_8_bits(Photo(photo.pixels[crop], icc=photo.icc))
    height, width = part.pixels.shape[:2]
    shrink = max(height, width, MAX_EDGE) / MAX_EDGE
    size = (max(round(width / shrink), 1), max(round(height / shrink), 1))
    pixels = cv2.resize(part.pixels, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(hole[crop].astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    scale = np.array([width, height]) / size
    matrix = np.diag([*scale, 1.0])
    matrix[:2, 2] = scale / 2 - 0.5 + [crop[1].start, crop[0].start]
    return part.with_pixels(pixels.reshape(*small.shape, -1)), small, matrix


def reduced(task: Task) -> Task:
    """Make a task of the surroundings of another one's hole alone, at most MAX_EDGE pixels long."""
    photo, hole, matrix = _small(task.photo, task.crop, task.mask.plane)
    faces = [dataclasses.replace(face, matrix=face.matrix @ matrix) for face in task.faces]
    chosen, channels = (task.numbers, faces), task.squares.shape[3]
    small = make_task(task.path, photo, Mask.of_plane(hole), chosen, channels)
    # What is narrow is not diffused here: it takes as long again, and is hardly seen.
    outside = small.diffused & (small.owner < 0)
    return dataclasses.replace(
        small, squares=task.squares, square_mask=task.square_mask, diffused=outside
    )


def live(small: Task, candidates: np.ndarray, seed: int) -> bytes:
    """Draw what a search has found, in a `reduced` task, as PNG without detail."""
    return png(repair(small, candidates, "smooth", seed, NONE))


def rough_fill(photo: Photo, mask: Mask) -> tuple[Crop, bytes]:
    """Fill a hole roughly, by OpenCV; give its surroundings, and a small picture of them as PNG."""
    crop = boxes.bounding_box(mask.plane, MARGIN)
    small, hole, _ = _small(photo, crop, mask.plane)
    pixels = np.where(hole[..., np.newaxis], np.uint8(0), small.pixels)  # OpenCV looks into holes
    filled = cv2.inpaint(pixels, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
    return crop, png(small.with_pixels(filled.reshape(pixels.shape)))


# --- what was found ---


def hole_layer(after: Photo, hole: np.ndarray) -> tuple[Crop, bytes]:
    """Draw what was filled as a layer of the rectangle around the hole alone."""
    crop = boxes.bounding_box(hole)
    return crop, png(layer_of(Photo(after.pixels[crop], icc=after.icc), hole[crop]))


def thumbnail(after: Photo, crop: Crop) -> bytes:
    """Draw a small picture of a crop of a photo."""
    picture = Image.fromarray(Photo(after.pixels[crop]).as_rgb8())
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "PNG", icc_profile=rgb_profile(after))
    return file.getvalue()


def view(photo: Photo) -> bytes:
    """Draw a photo for browsers that cannot read its file: 8 bits, PNG."""
    return png(_as_8_bits(Photo(photo.pixels, icc=photo.icc)))


def _as_8_bits(photo: Photo) -> Photo:
    return photo.with_pixels(photo.as_gray8() if photo.pixels.shape[2] == 1 else photo.as_rgb8())
