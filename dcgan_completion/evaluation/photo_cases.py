"""`Photos` makes cases of photos: holes over parts of their largest faces, at the photos' own size.

A hole is blanked before the face is looked for; what is completed is pasted back as
complete-photo.py does it with --detail none.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence

import dlib
import numpy as np

from dcgan_completion.evaluation import embeddings
from dcgan_completion.evaluation.cases import Case
from dcgan_completion.evaluation.photo_holes import draw_hole
from dcgan_completion.evaluation.progress import Progress, silent
from dcgan_completion.evaluation.results import LocatedFace
from dcgan_completion.faces import detection, placement
from dcgan_completion.faces.aligner import FaceAligner
from dcgan_completion.faces.template import TEMPLATE
from dcgan_completion.masks.boxes import bounding_box
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photos.files import Photo, read_photo
from dcgan_completion.photos.repair import diffuse, repair
from dcgan_completion.photos.run import MAX_PIXELS
from dcgan_completion.photos.task import SURROUNDINGS, Task, TaskMaker, width_of
from dcgan_completion.randomness import Purpose, image_rng
from dcgan_completion.settings.photos import NONE, PhotoSettings
from dcgan_completion.utils import UserError

BLANK = 128  # level of a hole's pixels before a face is looked for
# Pixels: edge of the faces that are described, which dlib's network then sees at their size.
EDGE = round(embeddings.CHIP / (1 + 2 * embeddings.PADDING))
MARGIN = 16  # pixels around a hole that baselines and metrics are given: more than they look at

logger = logging.getLogger(__name__)


def load_photo(path: str, channels: int) -> Photo:
    """Load a photo of 8 bits, of 1 or 3 channels, without transparency.

    Raises:
      UserError: as `read_photo`.
    """
    photo = read_photo(path)
    return Photo(photo.as_gray8() if channels == 1 else photo.as_rgb8())


def largest_face(photo: Photo, aligner: FaceAligner) -> np.ndarray:
    """Find dlib's 68 landmarks of a photo's largest face, float64 [68, 2].

    Raises:
      UserError: there is none.
    """
    pixels = photo.as_rgb8()
    found = max(detection.find_faces(aligner, pixels), key=lambda face: face.area)
    left, top, right, bottom = map(round, found.box)
    return aligner.landmarks(pixels, dlib.rectangle(left, top, right - 1, bottom - 1))


class Photos:
    """Photos whose largest faces are known; see `Images`.

    Attributes:
      paths: of the photos.
      points: dlib's landmarks of their faces, [68, 2] each.
    """

    photos = True

    def __init__(
        self,
        paths: Sequence[str],
        aligner: FaceAligner,
        channels: int,
        batch: int,
        progress: Progress = silent,
        head_size: int | None = None,
    ) -> None:
        """Find the faces.

        Args:
          paths: of photos.
          aligner: of squares of the model's size.
          channels: of the model.
          batch: photos that are completed together.
          progress: of the search.
          head_size: edge of the heads' squares, if the cases are for a photo encoder.

        Raises:
          UserError: there is none.
        """
        self._batch, self._aligner, self._channels = batch, aligner, channels
        settings = PhotoSettings(tuple(paths))
        self._maker = TaskMaker(settings, None, aligner, channels, head_size=head_size)
        self.paths: list[str] = []
        self.points: list[np.ndarray] = []
        squares, aligned = [], []
        with progress(total=len(paths), desc="faces") as bar:
            for path in paths:
                bar.update(1)
                try:
                    photo = load_photo(path, channels)
                    points = largest_face(photo, aligner)
                    matrices = [self._matrix(points, size) for size in (aligner.size, EDGE)]
                except UserError as error:
                    text = str(error)
                    problem = text if text.startswith(path) else f"{path}: no face was found"
                    logger.warning("left out: %s", problem)
                    continue
                self.paths.append(path)
                self.points.append(points)
                squares.append(placement.affine_image(photo.pixels, matrices[0], aligner.size))
                aligned.append(placement.affine_image(photo.pixels, matrices[1], EDGE))
        if not squares:
            raise UserError(f"--photos: a face was found in none of {len(paths)} photos")
        self.squares, self.aligned = np.stack(squares), np.stack(aligned)

    def __len__(self) -> int:
        return len(self.paths)

    def _matrix(self, points: np.ndarray, size: int) -> np.ndarray:
        indices = self._aligner.indices
        return placement.alignment_matrix(points[indices], TEMPLATE[indices], size)

    def batches(self, kind: str, seed: int) -> Iterator[list[Case]]:
        """Make the cases under a kind of hole; see `Images`.

        A photo of which the hole leaves all, or nothing, has none. Only a batch of photos, or
        MAX_PIXELS of them, is in memory.
        """
        batch: list[Case] = []
        for index in range(len(self)):
            photo = load_photo(self.paths[index], self._channels)
            hole = self.draw_hole(index, photo, kind, seed)
            if hole.all() or not hole.any():
                continue
            case = self._case(index, photo, hole)
            pixels = sum(other.mask.hole.size for other in (*batch, case))
            if batch and (len(batch) == self._batch or pixels > MAX_PIXELS):
                yield batch
                batch = []
            batch.append(case)
        if batch:
            yield batch

    def draw_hole(self, index: int, photo: Photo, kind: str, seed: int) -> np.ndarray:
        """Draw what is missing of a photo, bool [H, W]; see `photo_holes.draw_hole`."""
        size, points = self._aligner.size, self.points[index]
        rng = image_rng(photo.pixels, seed, Purpose.MASK)
        place = points, self._matrix(points, size), size
        return draw_hole(kind, *place, photo.pixels.shape[:2], rng)

    def _case(self, index: int, photo: Photo, hole: np.ndarray) -> Case:
        pixels = photo.pixels.copy()
        pixels[hole] = BLANK
        mask, begin = Mask.of_plane(hole), time.perf_counter()
        squares, task = self.squares[:0], None
        square_mask = Mask(np.zeros([*squares.shape[:3], 1], bool))
        with contextlib.suppress(UserError):  # no face is found
            task = self._maker.make_of(self.paths[index], photo.with_pixels(pixels), mask)
            squares, square_mask = task.squares, task.square_mask
        seconds = time.perf_counter() - begin
        return Case(
            index,
            photo.pixels,
            pixels,
            mask,
            squares,
            square_mask,
            crop=bounding_box(hole, MARGIN),
            task=task,
            located=self._located(index, hole, task),
            seconds=seconds,
        )

    def _located(self, index: int, hole: np.ndarray, task: Task | None) -> LocatedFace:
        """Report on the search for a photo's face."""
        missing = int(np.count_nonzero(hole))
        if task is None:
            return LocatedFace(False, missing)
        face = max(task.faces, key=lambda face: face.area)
        known = self.points[index][self._aligner.indices]
        away = float(np.sqrt(np.square(face.landmarks - known).sum(axis=1).mean()))
        diffused = int(np.count_nonzero(task.diffused)) / missing
        return LocatedFace(True, missing, face.how, away, width_of(face), diffused)

    @staticmethod
    def paste(cases: Sequence[Case], candidates: np.ndarray, blend: str) -> Iterator[np.ndarray]:
        """Repair one photo after the other, by diffusion without a face; see `Images`."""
        for case in cases:
            own, candidates = np.split(candidates, [len(case.squares)])
            if case.task is None:
                yield diffuse_all(case)
            else:
                yield repair(case.task, own, blend, seed=0, detail=NONE).pixels

    def align(self, case: Case, pixels: np.ndarray) -> np.ndarray:
        """Align a photo's face as it is described, uint8 [EDGE, EDGE, C]."""
        return placement.affine_image(pixels, self._matrix(self.points[case.index], EDGE), EDGE)


def diffuse_all(case: Case) -> np.ndarray:
    """Fill the whole hole of a photo by diffusion, as what lies outside of faces is."""
    hole = case.mask.plane
    crop = bounding_box(hole, SURROUNDINGS)
    picture = case.visible[crop].astype(np.float32)
    return Photo(case.visible).filled(diffuse(picture, hole[crop]), hole, crop).pixels
