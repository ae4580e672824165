"""A photo's way there and back: its hole, its faces, the squares to complete, the repaired photo.

Knows no network: what is generated in the squares comes from outside.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence

import numpy as np

from completion.randomness import Purpose, image_generator
from faces import FaceAligner
from photos import detection, grain, seams
from photos.detection import FoundFace
from photos.files import Photo, read_photo
from photos.holes import Hole, HoleSource, hole_in_squares
from photos.placement import back, hole_there, narrow, scale_of, smoothing_length, there
from photos.seams import Crop
from photos.settings import ALL, PhotoSettings
from utils import UserError

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of ITU-R BT.601
MARGIN = 4  # smoothing lengths around what a face fills: further away nothing bears on it
SURROUNDINGS = 64  # pixels around a hole, at least, in which its grain is looked for


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A photo to repair.

    Attributes:
      path: of its file.
      photo: as it was read.
      hole: what is missing of it.
      numbers: of the faces, from 1, left to right among all that were found.
      faces: those that are completed.
      squares: of the faces as a model sees them, uint8 [N, S, S, C].
      known: of the squares, float32 [N, S, S, 1], 1 = known.
      crop: rows and columns of the photo, around the hole.
      owner: in the crop, the index of the face in whose square a pixel of the hole lies, -1 for
        none, int16 [h, w].
      inpainted: in the crop, which pixels of the hole are made from those around them alone, bool
        [h, w]: those outside the squares, and what is narrow.
      seconds: that it took so far.
    """

    path: str
    photo: Photo
    hole: Hole
    numbers: tuple[int, ...]
    faces: tuple[FoundFace, ...]
    squares: np.ndarray
    known: np.ndarray
    crop: Crop
    owner: np.ndarray
    inpainted: np.ndarray
    seconds: float

    @property
    def missing(self) -> np.ndarray:
        """The hole in the crop, bool [h, w]."""
        return self.hole.missing[self.crop]


# --- there ----------------------------------------------------------------------------------


class TaskMaker:
    """Reads photos, and finds their holes and the faces to complete."""

    def __init__(
        self,
        settings: PhotoSettings,
        holes: HoleSource | None,
        aligner: FaceAligner,
        channels: int = 3,
    ) -> None:
        """Reads the landmarks that were given.

        Args:
          settings: which faces, and the seed.
          holes: gives the holes; None: faces are only to be found.
          aligner: of squares of the model's size.
          channels: of the model.

        Raises:
          UserError: as `detection.read_landmarks`.
        """
        self._settings, self._holes = settings, holes
        self._aligner, self._channels = aligner, channels
        self._landmarks = settings.landmarks and detection.read_landmarks(settings.landmarks)

    def make(self, path: str) -> Task:
        """The task of repairing the photo in a file.

        Raises:
          UserError: the photo cannot be read, its hole is not within it or fills it, no face is
            found, none is touched, or nothing of one is known. All of them name the path.
        """
        start = time.monotonic()
        photo = read_photo(path, self._settings.max_pixels)
        check_colours(path, photo, self._channels)
        by_face = self._holes.settings.in_square
        hole = None if by_face else self._holes.hole_of(path, photo)
        try:
            numbers, faces = self._choose(photo, hole)
            if hole is None:
                matrices, shape = [face.matrix for face in faces], photo.pixels.shape[:2]
                size, seed = self._aligner.size, self._settings.seed
                hole = hole_in_squares(by_face, matrices, size, shape, seed)
            task = make_task(path, photo, hole, (numbers, faces), self._channels)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        return dataclasses.replace(task, seconds=time.monotonic() - start)

    def find(self, path: str) -> tuple[Photo, list[FoundFace]]:
        """The photo in a file, and the faces in it, from left to right.

        Raises:
          UserError: as `make`.
        """
        photo = read_photo(path, self._settings.max_pixels)
        hole = self._holes and self._holes.hole_of(path, photo).missing
        try:
            return photo, detection.find_faces(self._aligner, photo.as_rgb8(), hole)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def _choose(
        self, photo: Photo, hole: Hole | None
    ) -> tuple[tuple[int, ...], tuple[FoundFace, ...]]:
        """The numbers of the faces to complete, and the faces."""
        missing = None if hole is None else hole.missing
        which = self._settings.face
        if self._landmarks is not None:
            found, which = [detection.face_at(self._landmarks, self._aligner)], ALL
        else:
            found = detection.find_faces(self._aligner, photo.as_rgb8(), missing)
        everywhere = np.ones(photo.pixels.shape[:2], bool)
        chosen = detection.choose_faces(found, everywhere if missing is None else missing, which)
        return tuple(found.index(face) + 1 for face in chosen), tuple(chosen)


def check_colours(path: str, photo: Photo, channels: int) -> None:
    """Raises UserError if the photo is in colour and the model, of `channels`, is not."""
    if channels < photo.pixels.shape[2]:
        raise UserError(
            f"{path}: is in colour, and the model is of gray images; make the photo gray, or "
            "name a model of colour images with --checkpoint-dir"
        )


def make_task(
    path: str,
    photo: Photo,
    hole: Hole,
    chosen: tuple[Sequence[int], Sequence[FoundFace]],
    channels: int,
) -> Task:
    """The task of repairing a photo, which took no time so far.

    Args:
      path: of its file.
      photo: as it was read.
      hole: what is missing of it.
      chosen: the numbers of the faces to complete, and the faces.
      channels: of the model.

    Raises:
      UserError: nothing of a face is known.
    """
    numbers, faces = (tuple(part) for part in chosen)
    squares, known = _squares(photo, hole.missing, numbers, faces, channels)
    crop = _crop_of(hole.missing, faces)
    owner = detection.owners(hole.missing, faces)[crop]
    inpainted = hole.missing[crop] & ((owner < 0) | _narrow_parts(hole.missing[crop], owner, faces))
    return Task(
        *(path, photo, hole, numbers, faces, squares, known, crop, owner, inpainted), seconds=0.0
    )


def _squares(
    photo: Photo,
    missing: np.ndarray,
    numbers: Sequence[int],
    faces: Sequence[FoundFace],
    channels: int,
) -> tuple[np.ndarray, np.ndarray]:
    """`squares` and `known` of a task."""
    pixels = photo.as_gray8() if channels == 1 else photo.as_rgb8()
    squares, known = [], []
    for number, face in zip(numbers, faces, strict=True):
        place = face.matrix, face.size
        known.append(~hole_there(missing, *place))
        if not known[-1].any():
            raise UserError(
                f"nothing of face {number} is known; make the hole smaller, or choose other "
                "faces with --face"
            )
        squares.append(np.clip(np.rint(there(pixels, *place)), 0, 255).astype(np.uint8))
    return np.stack(squares), np.stack(known).astype(np.float32)[..., np.newaxis]


def _margin(face: FoundFace) -> int:
    """How far around what a face fills the photo bears on it, in pixels of the photo."""
    return math.ceil(MARGIN * smoothing_length(face.matrix, face.size)) + seams.REACH


def _grown(crop: Crop, margin: int, shape: tuple[int, int]) -> Crop:
    """Rows and columns with a margin around them, within an image of a shape."""
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, edge))
        for part, edge in zip(crop, shape, strict=True)
    )


def _crop_of(missing: np.ndarray, faces: Sequence[FoundFace]) -> Crop:
    """Rows and columns of all that bears on the hole."""
    margin = max(SURROUNDINGS, *map(_margin, faces))
    return _grown(seams.crop_around(missing), margin, missing.shape)


def _narrow_parts(missing: np.ndarray, owner: np.ndarray, faces: Sequence[FoundFace]) -> np.ndarray:
    """What of a hole is too narrow for a model to fill, bool [h, w]."""
    narrows = np.zeros(owner.shape, bool)
    for i, face in enumerate(faces):
        narrows |= (owner == i) & narrow(missing, face.matrix)
    return narrows


# --- back -----------------------------------------------------------------------------------


def repair(
    task: Task, generated: np.ndarray, blend: str, seed: int, with_grain: bool = True
) -> Photo:
    """The photo with its hole filled; all else is as it was, bit for bit.

    What lies in a face's square is taken from what was generated there, at the photo's
    resolution; the rest of the hole is inpainted after it.

    Args:
      task: of the photo.
      generated: of each face's square, 0..255, float32 [N, S, S, C].
      blend: of BLENDS; see `blending.fill`.
      seed: of the grain, which also depends on the known pixels around the hole.
      with_grain: add noise as it is in the known part of the photo.
    """
    photo = task.photo
    levels = photo.peak / 255
    picture = photo.pixels[task.crop].astype(np.float32) / np.float32(levels)
    if generated.shape[-1] > picture.shape[-1]:
        generated = (generated @ LUMA)[..., np.newaxis]
    before = None if task.hole.ramp is None else picture.copy()
    left = task.missing.copy()
    for i, face in enumerate(task.faces):
        mine = (task.owner == i) & ~task.inpainted
        if mine.any():
            window = _grown(seams.crop_around(mine), _margin(face), mine.shape)
            values = _fill(task, picture, left, face, generated[i], window, blend)
            picture[window][mine[window]] = values[mine[window]]
            left &= ~mine
    if left.any():
        picture = inpaint(picture, left)
    if with_grain:
        for part, noise in _grains(task, seed):
            picture[part] += noise / np.float32(levels)
    if before is not None:
        ramp = task.hole.ramp[task.crop][..., np.newaxis]
        picture = (1 - ramp) * before + ramp * picture
    return photo.filled(picture * np.float32(levels), task.hole.missing, task.crop)


def _fill(
    task: Task,
    picture: np.ndarray,
    left: np.ndarray,
    face: FoundFace,
    generated: np.ndarray,
    window: Crop,
    blend: str,
) -> np.ndarray:
    """What a face gives to a window of the picture, float32 [h, w, C].

    In the window all of the hole that is left is unknown, so that no border of a square is a seam.
    """
    in_photo = tuple(
        slice(outer.start + inner.start, outer.start + inner.stop)
        for outer, inner in zip(task.crop, window, strict=True)
    )
    guess = back(generated, face.matrix, in_photo)
    if blend == "none":
        return guess
    smoothness = smoothing_length(face.matrix, face.size) if blend == "smooth" else 0.0
    return seams.fill(picture[window], left[window], guess, smoothness)


def inpaint(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A picture, float32 [h, w, C], with its hole, bool [h, w], filled from what is around it."""
    return seams.fill(picture, hole, np.zeros_like(picture))


def _grains(task: Task, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of the hole, bool [h, w] of the crop, and the noise of their pixels, [n, C]."""
    pixels = task.photo.pixels
    known = pixels[task.crop].copy()
    known[task.missing] = 0
    generator = image_generator(known, seed, Purpose.GRAIN)
    for i, face in [*enumerate(task.faces), (-1, None)]:
        part = task.missing & (task.owner == i)
        if not part.any():
            continue
        around = task.crop if face is None else _square_of(face, task.hole.missing.shape)
        found = grain.estimate(pixels[around], ~task.hole.missing[around])
        if found is not None:
            inside = part[seams.crop_around(part)]
            yield part, found.draw(inside.shape, generator)[inside]


def _square_of(face: FoundFace, shape: tuple[int, int]) -> Crop:
    """Rows and columns of a photo of a shape that hold a face's square."""
    low, high = (f(axis=0)[::-1] for f in (face.corners.min, face.corners.max))
    return tuple(
        slice(max(math.floor(a), 0), min(math.ceil(b) + 1, edge))
        for a, b, edge in zip(low, high, shape, strict=True)
    )


def width_of(face: FoundFace) -> int:
    """Edge of a face's square in pixels of the photo."""
    return round(face.size * scale_of(face.matrix))
