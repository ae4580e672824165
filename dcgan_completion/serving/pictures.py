"""What the page is shown: a hole filled in a smaller copy, layers, whole photos, as PNG."""

from __future__ import annotations

import dataclasses
import io

import cv2
import numpy as np
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.inpaint.seams import Crop, crop_around
from dcgan_completion.masks import files as mask_files
from dcgan_completion.photos.files import Photo, encode_photo
from dcgan_completion.photos.holes import Hole
from dcgan_completion.photos.layers import layer_of, rgb_profile
from dcgan_completion.photos.repair import Task, grown, make_task, repair
from dcgan_completion.utils import UserError

SHOWN = 240  # pixels: longer edge of what is shown while a search goes on, at most
AROUND = 24  # pixels around a hole that OpenCV's inpainting looks at
RADIUS = 5  # of it


def png(photo: Photo) -> bytes:
    """A photo as PNG, byte for byte as complete-photo.py writes it."""
    file = io.BytesIO()
    encode_photo(photo, file, "PNG")
    return file.getvalue()


def box_of(crop: Crop) -> list[int]:
    """Left, top, width and height of rows and columns."""
    rows, columns = crop
    return [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start]


def read_hole(data: bytes, photo: Photo, left: int, top: int) -> Hole:
    """The hole that the page has painted: white in a picture of a part of the photo.

    Args:
      data: of the picture.
      photo: of which it is a part.
      left, top: where its corner lies in the photo.

    Raises:
      UserError: it is no such picture, nothing is missing, or everything is.
    """
    file, (height, width) = utils.HeldFile("the mask", data), photo.pixels.shape[:2]
    with utils.open_picture(file) as picture:
        across, down = picture.size
        if left + across > width or top + down > height:
            raise UserError("the mask: reaches beyond the photo")
        part = np.asarray(picture.convert("L")) >= mask_files.WHITE
    missing = np.zeros([height, width], bool)
    missing[top : top + down, left : left + across] = part
    if not missing.any():
        raise UserError("nothing is painted yet; paint over what is to be completed")
    if missing.all():
        raise UserError("everything is painted over, so nothing is known; erase some of it")
    return Hole(missing)


def drawn_mask(data: bytes, photo: Photo) -> bytes:
    """A mask file of the user's, as complete-photo.py reads it, as white on black.

    Raises:
      UserError: it is no mask, or not of the photo's size.
    """
    missing = mask_files.load_missing(utils.HeldFile("the mask", data))
    if missing.shape != photo.pixels.shape[:2]:
        sizes = [f"{shape[1]}x{shape[0]}" for shape in (missing.shape, photo.pixels.shape)]
        raise UserError(f"the mask: is {sizes[0]}, but the photo is {sizes[1]} when upright")
    return png(Photo((missing * np.uint8(255))[..., np.newaxis]))


def _small(photo: Photo, crop: Crop, missing: np.ndarray) -> tuple[Photo, np.ndarray, np.ndarray]:
    """A crop of a photo in 8 bits, and of its hole, at most SHOWN pixels long.

    Returns:
      Both, and the affine matrix from pixels of the small picture to those of the photo, [3, 3].
    """
    part = Photo(photo.pixels[crop], icc=photo.icc)
    pixels = part.as_gray8() if part.pixels.shape[2] == 1 else part.as_rgb8()
    height, width = pixels.shape[:2]
    shrink = max(height, width, SHOWN) / SHOWN
    size = (max(round(width / shrink), 1), max(round(height / shrink), 1))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    hole = cv2.resize(missing[crop].astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    scale = np.array([width, height]) / size
    matrix = np.diag([*scale, 1.0])
    matrix[:2, 2] = scale / 2 - 0.5 + [crop[1].start, crop[0].start]
    return Photo(small.reshape(*hole.shape, -1), icc=part.icc), hole, matrix


def reduced(task: Task) -> Task:
    """A task of the surroundings of its hole alone, at most SHOWN pixels long."""
    photo, missing, matrix = _small(task.photo, task.crop, task.hole.missing)
    faces = [dataclasses.replace(face, matrix=face.matrix @ matrix) for face in task.faces]
    small = make_task(task.path, photo, Hole(missing), (task.numbers, faces), task.squares.shape[3])
    # What is narrow is not inpainted here: it takes as long again, and is hardly seen.
    outside = small.inpainted & (small.owner < 0)
    return dataclasses.replace(small, squares=task.squares, known=task.known, inpainted=outside)


def live(small: Task, generated: np.ndarray, seed: int) -> bytes:
    """What a search has found, in a `reduced` task, as PNG without grain."""
    return png(repair(small, generated, "smooth", seed, with_grain=False))


def inpainted(photo: Photo, hole: Hole) -> tuple[Crop, bytes]:
    """OpenCV's inpainting of a hole: rows and columns around it, and a small picture of them."""
    crop = grown(crop_around(hole.missing), AROUND, hole.missing.shape)
    small, missing, _ = _small(photo, crop, hole.missing)
    pixels = small.pixels.copy()
    pixels[missing] = 0
    filled = cv2.inpaint(pixels, missing.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
    return crop, png(small.with_pixels(filled.reshape(small.pixels.shape)))


def hole_layer(after: Photo, hole: np.ndarray) -> tuple[Crop, bytes]:
    """What was filled, as a layer of the rectangle around the hole alone."""
    crop = crop_around(hole)
    return crop, png(layer_of(after.with_pixels(after.pixels[crop]), hole[crop]))


def thumbnail(after: Photo, crop: Crop, edge: int = 160) -> bytes:
    """A small picture of a crop of a photo, uint8 PNG."""
    picture = Image.fromarray(Photo(after.pixels[crop]).as_rgb8())
    picture.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "PNG", icc_profile=rgb_profile(after))
    return file.getvalue()


def view(photo: Photo) -> bytes:
    """A photo for browsers that cannot read its file: 8 bits, PNG."""
    pixels = photo.as_gray8() if photo.pixels.shape[2] == 1 else photo.as_rgb8()
    return png(Photo(pixels, icc=photo.icc))
