"""Repair a photo: paste candidates back into it, and fill the rest of the hole by diffusion."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dcgan_completion.faces.detection import FoundFace, owners
from dcgan_completion.faces.placement import bounds, paste_back, smoothing_length
from dcgan_completion.inpaint import seams
from dcgan_completion.masks.boxes import Crop, bounding_box, common, relative, union, within
from dcgan_completion.photos import face_grid, grain
from dcgan_completion.photos.detail import transfer
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.task import Task, margin_of, width_of
from dcgan_completion.randomness import Purpose, image_rng
from dcgan_completion.settings.photos import NONE, TRANSFER

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of ITU-R BT.601
# Pixels: smoothness of what is filled by diffusion. On 42 photos it was 1 to 4 dB better than
# OpenCV's Telea in discs and 2 to 11 dB in scratches, and 1 dB better than what was generated in
# scratches of 0.7 and 1.3 pixels of the square, where faces were 70 pixels wide.
STIFFNESS = 4.0


def repair(
    task: Task, candidates: np.ndarray, blend: str, seed: int, detail: str = TRANSFER
) -> Photo:
    """Fill the hole of a photo; all else stays the same, bit for bit.

    In the faces' squares candidates are pasted back, at the photo's resolution; then the rest of
    the hole is filled by diffusion. Last, what was filled gets detail.

    Args:
      task: of the photo.
      candidates: of each face's square, 0..255, float32 [N, S, S, C].
      blend: of BLENDS; see `blending.fill`.
      seed: of the grain, which also depends on the known pixels around the hole.
      detail: of DETAILS. TRANSFER: faces larger than their squares get what their known part shows
        (`detail.transfer`), all else grain; GRAIN: noise like that of the known part of the photo;
        NONE: nothing.
    """
    photo, ramp = task.photo, task.mask.ramp_plane
    levels = np.float32(photo.peak / 255)
    picture = photo.pixels[task.crop].astype(np.float32) / levels
    if candidates.shape[-1] > picture.shape[-1]:
        candidates = (candidates @ LUMA)[..., np.newaxis]
    before = None if ramp is None else picture.copy()
    left = task.hole.copy()
    for i, face in enumerate(task.frames):
        own = (task.owner == i) & ~task.diffused
        if own.any():
            window = bounding_box(own, margin_of(face) + seams.REACH)
            pasted = paste_back(candidates[i], face.matrix, within(window, task.crop))
            # All of the hole that is left is unknown: no border of a square becomes a seam.
            values = _blend(picture[window], left[window], pasted, face, blend)
            picture[window][own[window]] = values[own[window]]
            left &= ~own
    if left.any():
        picture = diffuse(picture, left)
    plain = task.hole
    if detail == TRANSFER:
        plain = plain & ~_transfer(task, picture, blend)
    if detail != NONE:
        for part, noise in _grains(task, seed, plain):
            picture[part] += noise / levels
    if ramp is not None and before is not None:
        share = ramp[task.crop][..., np.newaxis]
        picture = (1 - share) * before + share * picture
    return photo.filled(picture * levels, task.mask.plane, task.crop)


def _blend(
    picture: np.ndarray, hole: np.ndarray, pasted: np.ndarray, face: FoundFace, blend: str
) -> np.ndarray:
    """Fill the hole of a window of the picture, float32 [h, w, C], with a face's pixels."""
    if blend == "none":
        return pasted
    smoothness = smoothing_length(face.matrix, face.size) if blend == "smooth" else 0.0
    return seams.fill(picture, hole, pasted, smoothness)


def diffuse(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill the hole of a picture, 0..255, by diffusion: a thin plate under tension.

    Args:
      picture: float32 [h, w, C].
      hole: bool [h, w].
    """
    return seams.fill(picture, hole, np.zeros_like(picture), STIFFNESS)


def _transfer(task: Task, picture: np.ndarray, blend: str) -> np.ndarray:
    """Give detail to the large faces of a picture of the crop, float32 [h, w, C], 0..255, in place.

    Returns:
      the pixels that got it, bool [h, w].
    """
    done = np.zeros_like(task.hole)
    for i, face in enumerate(task.faces):
        own = (task.owner == i) & ~task.diffused
        if task.heads:  # the mirror image and the patches are those of the face
            own &= owners(task.mask.plane, (face,), task.crop) >= 0
        if width_of(face) > face.size and own.any():
            window = bounding_box(own, margin_of(face) + seams.REACH)
            guess = _detailed(task, picture, face, window, own[window])
            values = _blend(picture[window], own[window], guess, face, blend)
            picture[window][own[window]] = values[own[window]]
            done |= own
    return done


def _detailed(
    task: Task, picture: np.ndarray, face: FoundFace, window: Crop, part: np.ndarray
) -> np.ndarray:
    """Add detail to the part of a face in a window of the picture: float32 [h, w, C], 0..255."""
    pixels, hole = task.photo.pixels, task.mask.plane
    place = within(window, task.crop)
    area = union(face_grid.bounds_of(face.matrix, face.size, hole.shape), place)
    surroundings = pixels[area].copy()
    filled = common(area, task.crop)
    inside, new = hole[filled], picture[relative(filled, task.crop)] * (task.photo.peak / 255)
    # What lies under the hole is replaced before anything looks at it.
    surroundings[relative(filled, area)][inside] = np.rint(np.clip(new[inside], 0, task.photo.peak))
    matrix = face.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ [area[1].start, area[0].start]
    placed = matrix, face.size
    return transfer(surroundings, hole[area], relative(place, area), picture[window], part, placed)


def _grains(task: Task, seed: int, plain: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield parts of the hole, bool [h, w] of the crop, and the noise of their pixels, [n, C].

    Only the pixels that are `plain`, bool [h, w], get any.
    """
    pixels, hole = task.photo.pixels, task.mask.plane
    known = pixels[task.crop].copy()
    known[task.hole] = 0
    rng = image_rng(known, seed, Purpose.GRAIN)
    for i, face in [*enumerate(task.frames), (-1, None)]:
        part = plain & (task.owner == i)
        if not part.any():
            continue
        around = task.crop if face is None else bounds(face.matrix, face.size, hole.shape)
        found = grain.estimate(pixels[around], ~hole[around])
        if found is not None:
            inside = part[bounding_box(part, seams.REACH)]
            yield part, found.draw(inside.shape, rng)[inside]
