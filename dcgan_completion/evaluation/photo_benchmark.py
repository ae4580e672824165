"""The benchmark of repairs: photos with holes over their faces, repaired by several methods.

`KnownPhotos` are the photos as they are, with where their faces are; `PhotoBenchmark` blanks a hole
in each, repairs it by all methods, and measures at the photo's resolution.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence

import dlib
import numpy as np

from dcgan_completion.evaluation import embeddings, image_metrics
from dcgan_completion.evaluation.embeddings import FaceEmbeddings, FaceReader
from dcgan_completion.evaluation.photo_holes import draw_hole
from dcgan_completion.evaluation.photo_methods import Case, PhotoMethod
from dcgan_completion.evaluation.progress import Bar, Progress, describe, silent
from dcgan_completion.evaluation.results import MEASURED, LocatedFace, MetricValues, PhotoResult
from dcgan_completion.evaluation.subgroups import Grouping
from dcgan_completion.faces import aligner as faces
from dcgan_completion.faces import detection
from dcgan_completion.faces.aligner import TEMPLATE, FaceAligner
from dcgan_completion.photos import run
from dcgan_completion.photos.files import Photo, read_photo
from dcgan_completion.photos.holes import Hole, around
from dcgan_completion.photos.repair import TaskMaker, width_of
from dcgan_completion.randomness import Purpose, image_rng
from dcgan_completion.settings.photos import PhotoSettings
from dcgan_completion.utils import UserError

BLANK = 128  # level of a hole's pixels before a face is looked for
# Pixels: edge of the faces that are described, which dlib's network then sees at their size.
EDGE = round(embeddings.CHIP / (1 + 2 * embeddings.PADDING))
WINDOW = 8  # pixels around a hole that its metrics look at, and more than enough


# --- the photos -----------------------------------------------------------------------------


def load_photo(path: str, channels: int) -> Photo:
    """A photo of 8 bits, of 1 or 3 channels, without transparency.

    Raises:
      UserError: as `read_photo`.
    """
    photo = read_photo(path)
    return Photo(photo.as_gray8() if channels == 1 else photo.as_rgb8())


def largest_face(photo: Photo, aligner: FaceAligner) -> np.ndarray:
    """dlib's 68 landmarks of a photo's largest face, float64 [68, 2].

    Raises:
      UserError: there is none.
    """
    pixels = photo.as_rgb8()
    found = max(detection.find_faces(aligner, pixels), key=lambda face: face.area)
    left, top, right, bottom = map(round, found.box)
    return aligner.landmarks(pixels, dlib.rectangle(left, top, right - 1, bottom - 1))


@dataclasses.dataclass(frozen=True, eq=False)
class KnownPhotos:
    """Photos whose largest faces are known.

    Attributes:
      paths: of N photos.
      points: dlib's landmarks of their faces, float64 [N, 68, 2].
      squares: the faces as the model sees them, uint8 [N, S, S, C].
      aligned: the same, as they are described, uint8 [N, EDGE, EDGE, C].
      left_out: what is wrong with other photos.
      aligner: of squares of the model's size.
    """

    paths: list[str]
    points: np.ndarray
    squares: np.ndarray
    aligned: np.ndarray
    left_out: list[str]
    aligner: FaceAligner

    @classmethod
    def read(
        cls,
        paths: Sequence[str],
        aligner: FaceAligner,
        channels: int,
        progress: Progress = silent,
    ) -> KnownPhotos:
        """Finds the faces in photos.

        Raises:
          UserError: there is none.
        """
        found, points, squares, aligned, left_out = [], [], [], [], []
        with progress(total=len(paths), desc="faces") as bar:
            for path in paths:
                bar.update(1)
                try:
                    photo = load_photo(path, channels)
                    own = largest_face(photo, aligner)
                    places = [_matrix(own, aligner, size) for size in (aligner.size, EDGE)]
                except UserError as error:
                    text = str(error)
                    left_out.append(text if text.startswith(path) else f"{path}: no face was found")
                    continue
                found.append(path)
                points.append(own)
                squares.append(faces.affine_image(photo.pixels, places[0], aligner.size))
                aligned.append(faces.affine_image(photo.pixels, places[1], EDGE))
        if not found:
            raise UserError(f"--photos: a face was found in none of {len(paths)} photos")
        arrays = (np.stack(several) for several in (points, squares, aligned))
        return cls(found, *arrays, left_out, aligner)

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, index: int) -> Photo:
        """A photo."""
        return load_photo(self.paths[index], self.squares.shape[-1])

    def matrix(self, index: int, size: int) -> np.ndarray:
        """Of the square of that edge of a photo's face, float64 [2, 3]."""
        return _matrix(self.points[index], self.aligner, size)

    def align(self, index: int, pixels: np.ndarray) -> np.ndarray:
        """A photo's face as it is described, uint8 [EDGE, EDGE, C], from a version of it."""
        return faces.affine_image(pixels, self.matrix(index, EDGE), EDGE)

    def hole(self, index: int, photo: Photo, kind: str, seed: int) -> np.ndarray:
        """What is missing of a photo under a kind of hole, bool [H, W]; see `draw_hole`."""
        size = self.aligner.size
        random = image_rng(photo.pixels, seed, Purpose.MASK)
        place = self.points[index], self.matrix(index, size), size
        return draw_hole(kind, *place, photo.pixels.shape[:2], random)


def _matrix(points: np.ndarray, aligner: FaceAligner, size: int) -> np.ndarray:
    return faces.alignment_matrix(points[aligner.indices], TEMPLATE[aligner.indices], size)


# --- the repairs ----------------------------------------------------------------------------


class PhotoBenchmark:
    """Known photos, and the methods that repair them."""

    def __init__(
        self,
        photos: KnownPhotos,
        methods: Sequence[PhotoMethod],
        reader: FaceReader,
        batch: int,
        seed: int,
        progress: Progress = silent,
    ) -> None:
        """Describes the photos' faces.

        Args:
          photos: to repair.
          methods: repair.
          reader: describes faces.
          batch: photos that are repaired together.
          seed: of holes.
          progress: of all stages.
        """
        settings = PhotoSettings(tuple(photos.paths))
        self._maker = TaskMaker(settings, None, photos.aligner, photos.squares.shape[-1])
        self._photos, self._methods = photos, methods
        self._reader, self._batch, self._seed = reader, batch, seed
        self._progress = progress
        self._begun: set[str] = set()
        self.described: FaceEmbeddings = describe(reader, photos.aligned, progress, "originals")

    def evaluate_hole(self, kind: str, shown: int) -> PhotoResult:
        """Repairs all photos by all methods under one kind of hole, and measures.

        A photo of which the hole leaves all, or nothing, is not repaired, and has no metrics.

        Args:
          kind: of HOLES.
          shown: how many of the first photos' faces to return.
        """
        number, names = len(self._photos), [method.name for method in self._methods]
        values = {name: {m: np.full(number, np.nan) for m in MEASURED} for name in names}
        pictures = {name: self._photos.aligned.copy() for name in names}
        masked, located = self._photos.aligned.copy(), [LocatedFace()] * number
        with self._progress(total=number, desc=kind) as bar:
            for batch in self._batches(self._cases(kind, bar)):
                for case in batch:
                    masked[case.index] = self._photos.align(case.index, case.blank.pixels)
                    points = self._photos.points[case.index][self._photos.aligner.indices]
                    located[case.index] = _located(case, points)
                for method in self._methods:
                    place = values[method.name], pictures[method.name]
                    self._repair(method, batch, *place, further=len(batch) < number)
        for method in self._methods:
            label = f"{kind}, {method.name}: measured"
            self._describe(values[method.name], pictures[method.name], label, not method.searched)
        first = {name: picture[:shown] for name, picture in pictures.items()}
        return PhotoResult(kind, values, masked[:shown], first, located)

    def _cases(self, kind: str, bar: Bar) -> Iterator[Case]:
        """The photos with holes, but for those of which all or nothing is missing."""
        for index, path in enumerate(self._photos.paths):
            photo = self._photos.load(index)
            missing = self._photos.hole(index, photo, kind, self._seed)
            bar.update(1)
            if missing.any() and not missing.all():
                yield self._case(index, path, photo, Hole(missing))

    def _case(self, index: int, path: str, photo: Photo, hole: Hole) -> Case:
        pixels = photo.pixels.copy()
        pixels[hole.missing] = BLANK
        blank = photo.with_pixels(pixels)
        begin = time.perf_counter()
        try:
            task = self._maker.make_of(path, blank, hole)
        except UserError:
            task = None
        return Case(index, photo, blank, hole, task, time.perf_counter() - begin)

    def _batches(self, cases: Iterator[Case]) -> Iterator[list[Case]]:
        """Cases that are repaired together: `batch`, and run.HELD_PIXELS, or one alone."""
        batch: list[Case] = []
        for case in cases:
            pixels = sum(c.hole.missing.size for c in (*batch, case))
            if batch and (len(batch) == self._batch or pixels > run.HELD_PIXELS):
                yield batch
                batch = []
            batch.append(case)
        if batch:
            yield batch

    def _repair(
        self,
        method: PhotoMethod,
        batch: Sequence[Case],
        values: MetricValues,
        pictures: np.ndarray,
        further: bool,
    ) -> None:
        """Repairs a batch, and puts its metrics and faces into their places.

        Args:
          further: whether there are other batches to give the time, if TensorFlow compiles in this.
        """
        compiles = method.searched and method.name not in self._begun
        self._begun.add(method.name)
        for case, (pixels, seconds) in zip(batch, method.repair(batch), strict=True):
            pictures[case.index] = self._photos.align(case.index, pixels)
            values["seconds"][case.index] = np.nan if compiles and further else seconds
            for name, value in measure(case, pixels).items():
                values[name][case.index] = value

    def _describe(self, values: MetricValues, pictures: np.ndarray, label: str, keep: bool) -> None:
        """Adds what dlib says of the repaired faces to the metrics of those that were repaired."""
        read = describe(self._reader, pictures, self._progress, label, keep=keep)
        repaired = np.isfinite(values["original_gradient_energy"]) | np.isfinite(values["psnr"])
        own = embeddings.identity_distance(self.described.embeddings, read.embeddings)
        for name, found in (("identity", own), ("found", read.found)):
            values[name][repaired] = found[repaired]


def measure(case: Case, pixels: np.ndarray) -> dict[str, float]:
    """What is measured of a repaired photo's pixels in the hole, at its own resolution.

    Args:
      case: the photo.
      pixels: of its repair, uint8 [H, W, C].
    """
    crop = around(case.hole.missing, WINDOW)
    original, repaired = (image[crop][np.newaxis] for image in (case.original.pixels, pixels))
    known = (~case.hole.missing[crop]).astype(np.float32)[np.newaxis, ..., np.newaxis]
    found = {
        "psnr": image_metrics.psnr(original, repaired, known),
        "ssim": image_metrics.ssim(original, repaired, known),
        "gradient_energy": image_metrics.gradient_energy(repaired, known),
        "original_gradient_energy": image_metrics.gradient_energy(original, known),
    }
    return {name: float(value) for name, (value,) in found.items()}


def _located(case: Case, points: np.ndarray) -> LocatedFace:
    """What photos.csv says of a case, whose three landmarks are at `points`, [3, 2]."""
    missing = int(np.count_nonzero(case.hole.missing))
    if case.task is None:
        return LocatedFace(False, missing)
    face = max(case.task.faces, key=lambda face: face.area)
    away = float(np.sqrt(np.square(face.landmarks - points).sum(axis=1).mean()))
    inpainted = int(np.count_nonzero(case.task.inpainted)) / missing
    return LocatedFace(True, missing, face.how, away, width_of(face), inpainted)


def by_located(result: PhotoResult) -> list[Grouping]:
    """Photos whose faces were found and others, where there are both."""
    members = {
        name: np.flatnonzero(result.found == value) for name, value in (("yes", 1), ("no", 0))
    }
    if not all(map(len, members.values())):
        return []
    return [Grouping("face found", members, int(np.isnan(result.found).sum()))]
