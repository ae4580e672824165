"""`Task`: a photo with its mask, its faces and the squares to complete; `TaskMaker` finds them.

Knows no network: candidates for the squares come from outside.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np

from dcgan_completion.faces import detection
from dcgan_completion.faces.aligner import FaceAligner
from dcgan_completion.faces.detection import FoundFace
from dcgan_completion.faces.heads import head_matrix, seen_part
from dcgan_completion.faces.placement import hole_in_face, narrow, sample, scale_of
from dcgan_completion.inpaint import seams
from dcgan_completion.inpaint.blending import rounded
from dcgan_completion.masks.boxes import Crop, bounding_box
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photos.files import Photo, read_photo
from dcgan_completion.photos.masks import PhotoMaskSource, mask_by_faces
from dcgan_completion.settings.photos import ALL, PhotoSettings
from dcgan_completion.utils import UserError

MARGIN = 1 / 8  # of a square's edge, around what is filled: what is further away hardly matters
SURROUNDINGS = 64  # pixels around a hole, at least, in which its grain is estimated


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A photo to repair.

    Attributes:
      path: of its file.
      photo: as it was read.
      mask: of the photo.
      numbers: of the faces, from 1, left to right among all that were found.
      faces: those that are completed.
      squares: of the faces, or of their heads, as a model sees them, uint8 [N, S, S, C].
      square_mask: of the squares; what of a head lies beyond the photo is missing, too.
      crop: rows and columns of the photo, around the hole.
      owner: in the crop, the index of the face in whose square a pixel of the hole lies, -1 for
        none, int16 [h, w].
      diffused: in the crop, which pixels of the hole are filled by diffusion, bool [h, w]: those
        outside the squares, and what is narrow.
      seconds: spent on it so far.
      left_out: numbers of other faces that the hole touches, and that were not chosen.
      heads: whether the squares are those of heads, twice as wide.
    """

    path: str
    photo: Photo
    mask: Mask
    numbers: tuple[int, ...]
    faces: tuple[FoundFace, ...]
    squares: np.ndarray
    square_mask: Mask
    crop: Crop
    owner: np.ndarray
    diffused: np.ndarray
    seconds: float = 0.0
    left_out: tuple[int, ...] = ()
    heads: bool = False

    @property
    def frames(self) -> tuple[FoundFace, ...]:
        """The faces with the matrices and the size of `squares`, from which they are filled."""
        return head_frames(self.faces, self.squares.shape[1]) if self.heads else self.faces

    @property
    def hole(self) -> np.ndarray:
        """The hole in the crop, bool [h, w]."""
        return self.mask.plane[self.crop]


class TaskMaker:
    """Reads photos, and finds their masks and the faces to complete."""

    def __init__(
        self,
        settings: PhotoSettings,
        masks: PhotoMaskSource | None,
        aligner: FaceAligner,
        channels: int = 3,
        landmarks: np.ndarray | None = None,
        hint: str = "--list-faces draws the faces, --landmarks says where another one is",
        head_size: int | None = None,
    ) -> None:
        """Read the landmarks that were given.

        Args:
          settings: which faces, and the seed.
          masks: gives the masks; None: faces are only to be found, or masks are given.
          aligner: of squares of the model's size.
          channels: of the model.
          landmarks: (x, y) of the photo's face, [3, 2]; None: those in the settings' file, if any.
          hint: what to do if a face was not found, at the end of an error.
          head_size: edge of the heads' squares, if a model sees those; else of the aligner's size.

        Raises:
          UserError: as `detection.read_landmarks`.
        """
        self._settings, self._masks = settings, masks
        self._aligner, self._channels, self._hint = aligner, channels, hint
        self._head_size = head_size
        self._landmarks = landmarks
        if settings.landmarks is not None:
            self._landmarks = detection.read_landmarks(settings.landmarks)

    def make(self, path: str) -> Task:
        """Make the task of repairing the photo in a file.

        Raises:
          UserError: the photo cannot be read, its hole is not within it or fills it, no face is
            found, none is touched, or nothing of one is known. All of them name the path.
        """
        start = time.monotonic()
        assert self._masks is not None
        photo = read_photo(path)
        mask = None if self._masks.settings.in_square else self._masks.mask_of(path, photo)
        task = self.make_of(path, photo, mask)
        return dataclasses.replace(task, seconds=time.monotonic() - start)

    def make_of(self, path: str, photo: Photo, mask: Mask | None) -> Task:
        """Make the task of repairing a photo that was read; mask None: its faces have the masks.

        Raises:
          UserError: as `make`.
        """
        check_colours(path, photo, self._channels)
        try:
            numbers, faces, others = self._choose(photo, mask)
            if mask is None:
                by_face = self._masks and self._masks.settings.in_square
                assert by_face is not None
                matrices, shape = [face.matrix for face in faces], photo.pixels.shape[:2]
                size, seed = self._aligner.size, self._settings.seed
                mask = mask_by_faces(by_face, matrices, size, shape, seed)
            kept = [face for _, face in others]
            chosen = numbers, faces
            task = make_task(path, photo, mask, chosen, self._channels, self._head_size, kept)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        return dataclasses.replace(task, left_out=tuple(number for number, _ in others))

    def find(self, path: str) -> tuple[Photo, list[FoundFace]]:
        """Read the photo in a file, and find its faces, from left to right.

        Raises:
          UserError: as `make`.
        """
        photo = read_photo(path)
        hole = self._masks and self._masks.mask_of(path, photo).plane
        try:
            return photo, detection.find_faces(self._aligner, photo.as_rgb8(), hole)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    def _choose(
        self, photo: Photo, mask: Mask | None
    ) -> tuple[tuple[int, ...], tuple[FoundFace, ...], list[tuple[int, FoundFace]]]:
        """Choose the faces to complete: their numbers, the faces, and others that are touched."""
        hole = None if mask is None else mask.plane
        choice = self._settings.face
        if self._landmarks is not None:
            found, choice = [detection.face_at(self._landmarks, self._aligner)], ALL
            remedy = "check the coordinates in --landmarks"
        else:
            found = detection.find_faces(self._aligner, photo.as_rgb8(), hole)
            remedy = self._hint
        everywhere = np.ones(photo.pixels.shape[:2], bool)
        try:
            chosen = detection.choose_faces(found, everywhere if hole is None else hole, choice)
        except UserError as error:
            raise UserError(f"{error}; {remedy}") from None
        left_out = []
        if hole is not None and choice != ALL:
            touched = detection.choose_faces(found, hole)
            left_out = [face for face in touched if face not in chosen]
        others = [(found.index(face) + 1, face) for face in left_out]
        return tuple(found.index(face) + 1 for face in chosen), tuple(chosen), others


def check_colours(path: str, photo: Photo, channels: int) -> None:
    """Raise UserError if the photo is in colour and the model, of `channels`, is not."""
    if channels < photo.pixels.shape[2]:
        raise UserError(
            f"{path}: is in colour, and the model is of gray images; make the photo gray, or "
            "name a model of colour images with --checkpoint-dir"
        )


def make_task(
    path: str,
    photo: Photo,
    mask: Mask,
    chosen: tuple[Sequence[int], Sequence[FoundFace]],
    channels: int,
    head_size: int | None = None,
    others: Sequence[FoundFace] = (),
) -> Task:
    """Make the task of repairing a photo.

    Args:
      path, photo, mask: of the task.
      chosen: the numbers of faces that are chosen, and the faces.
      channels: of the model.
      head_size: edge of the heads' squares, if the model sees heads.
      others: faces that are left as they are.

    Raises:
      UserError: nothing of a face, or of a head, is known.
    """
    numbers, faces = tuple(chosen[0]), tuple(chosen[1])
    frames = head_frames(faces, head_size) if head_size else faces
    of_heads = head_size is not None
    squares, square_mask = _squares(photo, mask.plane, numbers, frames, channels, of_heads)
    margin = max(SURROUNDINGS, *map(margin_of, frames)) + seams.REACH
    crop = bounding_box(mask.plane, margin)
    owner = detection.owners(mask.plane, faces, crop)
    hole = mask.plane[crop]
    if head_size:
        # The faces come before the heads around them, and so do faces that are left as they are.
        free = (owner < 0) & (detection.owners(mask.plane, others, crop) < 0)
        owner = np.where(free, detection.owners(mask.plane, frames, crop), owner)
    diffused = hole & ((owner < 0) | _narrow_parts(hole, owner, faces))
    task = Task(path, photo, mask, numbers, faces, squares, square_mask, crop, owner, diffused)
    return dataclasses.replace(task, heads=of_heads)


def head_frames(faces: Sequence[FoundFace], size: int) -> tuple[FoundFace, ...]:
    """Give faces the matrices of their heads' squares, of `size` pixels."""
    matrices = [head_matrix(face.matrix, face.size, size) for face in faces]
    pairs = zip(faces, matrices, strict=True)
    return tuple(dataclasses.replace(face, matrix=matrix, size=size) for face, matrix in pairs)


def _squares(
    photo: Photo,
    hole: np.ndarray,
    numbers: Sequence[int],
    frames: Sequence[FoundFace],
    channels: int,
    of_heads: bool,
) -> tuple[np.ndarray, Mask]:
    """Sample `squares` and `square_mask` of a task."""
    pixels = photo.as_gray8() if channels == 1 else photo.as_rgb8()
    squares, holes = [], []
    for number, face in zip(numbers, frames, strict=True):
        holes.append(hole_in_face(hole, face.matrix, face.size))
        if of_heads:
            holes[-1] |= ~seen_part(face.matrix, face.size, hole.shape)
        if holes[-1].all():
            share = hole.mean()
            remedy = "make the hole smaller, or choose other faces"
            if share > 0.5:
                remedy = f"{share:.0%} of the photo is missing: are black and white swapped?"
            what = "the head around face" if of_heads else "face"
            raise UserError(f"nothing of {what} {number} is known; {remedy}")
        squares.append(rounded(sample(pixels, face.matrix, face.size)))
    return np.stack(squares), Mask(np.stack(holes)[..., np.newaxis])


def margin_of(face: FoundFace) -> int:
    """Compute how far from its part of the hole the photo matters to a face, in its pixels."""
    return math.ceil(MARGIN * width_of(face)) + seams.REACH


def width_of(face: FoundFace) -> int:
    """Measure the edge of a face's square in pixels of the photo."""
    return round(face.size * scale_of(face.matrix))


def detail_of(face: FoundFace) -> str:
    """Describe how large a face is in the photo and in its square."""
    return f"face {width_of(face)} pixels wide, completed at {face.size}"


def _narrow_parts(hole: np.ndarray, owner: np.ndarray, faces: Sequence[FoundFace]) -> np.ndarray:
    """Find what of a hole is too narrow for a model to fill, bool [h, w]."""
    narrows = np.zeros(owner.shape, bool)
    for i, face in enumerate(faces):
        narrows |= (owner == i) & narrow(hole, face.matrix)
    return narrows
