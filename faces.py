"""Where a face is: detection, landmarks, alignment.

The method of OpenFace (Amos et al. 2016, CMU-CS-16-118), which the tutorial calls: dlib's
frontal face detector, its 68 landmarks, and the affine transform that brings three of them to
where a mean face has them.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import cv2
import dlib
import numpy as np

from utils import UserError, load_image, save_image

CHUNK = 16  # photos handed to a process at a time

# The 68 landmarks of OpenFace's mean face, as published there to more digits: x, then y.
# fmt: off
_MEAN_FACE = np.array([
    [
        0.079240, 0.082922, 0.096793, 0.122142, 0.168688, 0.239789, 0.325662, 0.422318, 0.531778,
        0.641296, 0.738106, 0.824444, 0.894793, 0.939395, 0.961119, 0.970580, 0.971193, 0.163846,
        0.217804, 0.291299, 0.367460, 0.439295, 0.586446, 0.660153, 0.737466, 0.813237, 0.870757,
        0.515345, 0.516221, 0.517119, 0.518164, 0.433701, 0.475501, 0.520713, 0.565874, 0.607054,
        0.252419, 0.298663, 0.355750, 0.403719, 0.352507, 0.296792, 0.631326, 0.679073, 0.735972,
        0.782865, 0.740312, 0.684999, 0.353168, 0.414588, 0.477678, 0.522733, 0.569832, 0.635196,
        0.699517, 0.639447, 0.576411, 0.525398, 0.476415, 0.413795, 0.380085, 0.477956, 0.523390,
        0.571058, 0.672409, 0.572540, 0.524011, 0.477561,
    ],
    [
        0.339224, 0.456955, 0.575648, 0.691922, 0.800341, 0.895733, 0.977069, 1.043290, 1.060804,
        1.039819, 0.972269, 0.889624, 0.792494, 0.681547, 0.562238, 0.441759, 0.322119, 0.249152,
        0.204256, 0.192367, 0.203582, 0.233136, 0.228142, 0.195924, 0.182361, 0.192828, 0.235293,
        0.318635, 0.396200, 0.473798, 0.553158, 0.604054, 0.620763, 0.634268, 0.618797, 0.601577,
        0.331052, 0.302646, 0.303021, 0.338677, 0.349988, 0.350479, 0.334137, 0.296454, 0.294721,
        0.321305, 0.341849, 0.343734, 0.746189, 0.719054, 0.706836, 0.717092, 0.705414, 0.715656,
        0.739419, 0.805237, 0.835437, 0.841706, 0.837506, 0.810046, 0.749980, 0.745132, 0.748924,
        0.743329, 0.744177, 0.776609, 0.783371, 0.778476,
    ],
]).T
# fmt: on
# Rescaled to 0..1 in both axes: the face fills the image from brows to chin, jaw to jaw.
TEMPLATE = (_MEAN_FACE - _MEAN_FACE.min(0)) / np.ptp(_MEAN_FACE, axis=0)

# The three landmarks that alignment brings to their places in the template.
LANDMARK_SETS = {
    "innerEyesAndBottomLip": (39, 42, 57),
    "outerEyesAndNose": (36, 45, 33),
}


def installed_model(name: str, what: str, remedy: str = "") -> str:
    """Path of one of dlib's models in the PyPI package face_recognition_models.

    The package is found, not imported: its __init__ needs pkg_resources, which setuptools no
    longer has. `what` and `remedy` go into the message: what is missing, what else to do.

    Raises:
      UserError: the package is not installed.
    """
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or not package.submodule_search_locations:
        raise UserError(f"{what} is missing: pip install face_recognition_models{remedy}")
    return os.path.join(package.submodule_search_locations[0], "models", name)


def default_predictor() -> str:
    """Path of dlib's 68-landmark model; raises UserError as `installed_model`."""
    return installed_model(
        "shape_predictor_68_face_landmarks.dat",
        "the landmark model",
        ", or name a file with --dlibFacePredictor",
    )


@dataclasses.dataclass(frozen=True)
class AlignedFace:
    """What was found in a photo.

    Attributes:
      image: the aligned face, uint8 [size, size, 3]; None where there is none to align.
      faces: number of faces found.
    """

    image: np.ndarray | None
    faces: int


@dataclasses.dataclass(frozen=True)
class AlignedFile:
    """What became of a photo on disk.

    Attributes:
      aligned: whether its face was written.
      faces: number of faces found.
      problem: why the photo cannot be read; empty if it can.
    """

    aligned: bool
    faces: int
    problem: str = ""


class FaceAligner:
    """Finds the largest face of a photo and brings it to a standard position."""

    def __init__(self, landmarks: str, size: int, predictor: str | None = None) -> None:
        """Loads the landmark model.

        Args:
          landmarks: a key of LANDMARK_SETS.
          size: edge of the aligned image in pixels.
          predictor: path of a dlib shape predictor of 68 points; default_predictor() if None.

        Raises:
          UserError: the file is not such a predictor.
        """
        self.size = size
        self._indices = list(LANDMARK_SETS[landmarks])
        self._detector = dlib.get_frontal_face_detector()
        path = predictor or default_predictor()
        self._predictor = load_predictor(path)

    def detect(self, photo: np.ndarray) -> list[dlib.rectangle]:
        """Boxes of the faces in a photo, uint8 [H, W, 3], at its own size or else at twice it."""
        photo = np.ascontiguousarray(photo)  # dlib reads past the rows of any other array
        # At its own size the detector finds faces from about 80 pixels on.
        return list(self._detector(photo, 0)) or list(self._detector(photo, 1))

    def landmarks(self, photo: np.ndarray, box: dlib.rectangle) -> np.ndarray:
        """(x, y) of the 68 landmarks of the face in `box`, in pixels, float64 [68, 2]."""
        points = self._predictor(np.ascontiguousarray(photo), box).parts()
        return np.array([(point.x, point.y) for point in points], np.float64)

    def align(self, photo: np.ndarray, *, skip_multi: bool = False) -> AlignedFace:
        """The largest face in a photo, uint8 [H, W, 3]; none with skip_multi and several."""
        boxes = self.detect(photo)
        if not boxes or (skip_multi and len(boxes) > 1):
            return AlignedFace(None, len(boxes))
        largest = max(boxes, key=lambda box: box.area())
        points = self.landmarks(photo, largest)[self._indices]
        return AlignedFace(warp(photo, points, TEMPLATE[self._indices], self.size), len(boxes))


def load_predictor(path: str) -> dlib.shape_predictor:
    """A dlib shape predictor of 68 points.

    Raises:
      UserError: the file cannot be read, or is something else.
    """
    wanted = "--dlibFacePredictor takes dlib's shape_predictor_68_face_landmarks.dat"
    try:
        predictor = dlib.shape_predictor(path)
        blank = np.zeros([32, 32], np.uint8)
        points = predictor(blank, dlib.rectangle(0, 0, 31, 31)).num_parts
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a landmark model ({reason}); {wanted}") from None
    if points != len(TEMPLATE):
        raise UserError(f"{path}: a landmark model of {points} points; {wanted}")
    return predictor


def warp(photo: np.ndarray, points: np.ndarray, template: np.ndarray, size: int) -> np.ndarray:
    """The affine image of a photo that brings three points to their places in a template.

    Where the face is larger than the result, the photo is sampled on a grid as much finer and
    averaged down, so that nothing aliases. Beyond the photo's border its edge is repeated.

    Args:
      photo: uint8 [H, W, C].
      points: (x, y) in the photo, in pixels, [3, 2].
      template: (x, y) in the result, 0..1, [3, 2].
      size: edge of the result in pixels.

    Returns:
      uint8 [size, size, C].
    """
    matrix = cv2.getAffineTransform(np.float32(points), np.float32(size * template))
    # The photo's pixels per pixel of the result, in the direction that shrinks most.
    shrink = 1 / max(np.linalg.svd(matrix[:, :2], compute_uv=False).min(), 1e-6)
    factor = min(max(1, math.ceil(shrink)), 64)
    fine = matrix * factor
    # A fine pixel's centre is at (i + 0.5) / factor - 0.5 in the result's coordinates.
    fine[:, 2] += (factor - 1) / 2
    warped = cv2.warpAffine(
        photo,
        fine,
        (size * factor, size * factor),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if factor == 1:
        return warped
    return cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)


_aligner: FaceAligner | None = None  # of a worker process


def _start_worker(landmarks: str, size: int, predictor: str | None) -> None:
    """Loads the models once in each worker process."""
    global _aligner
    cv2.setNumThreads(1)  # the processes share the cores already
    _aligner = FaceAligner(landmarks, size, predictor)


def _align_file(photo: str, target: str, skip_multi: bool) -> AlignedFile:
    try:
        image = load_image(photo)
    except UserError as error:
        return AlignedFile(False, 0, str(error))
    face = _aligner.align(image, skip_multi=skip_multi)
    if face.image is not None:
        save_image(target, face.image)
    return AlignedFile(face.image is not None, face.faces)


def _align_chunk(jobs: list[tuple[str, str]], skip_multi: bool) -> list[AlignedFile]:
    return [_align_file(photo, target, skip_multi) for photo, target in jobs]


def align_files(
    jobs: Sequence[tuple[str, str]],
    landmarks: str,
    size: int,
    *,
    predictor: str | None = None,
    skip_multi: bool = False,
    workers: int = 1,
) -> Iterator[AlignedFile]:
    """Aligns photos on disk in processes side by side.

    Args:
      jobs: path of a photo and of the PNG to write.
      landmarks, size, predictor: as in `FaceAligner`.
      skip_multi: leave out photos with several faces.
      workers: number of processes.

    Yields:
      What became of each photo, in the order of `jobs`.

    Raises:
      UserError: a worker was killed.
    """
    chunks = [jobs[i : i + CHUNK] for i in range(0, len(jobs), CHUNK)]
    # Processes, since dlib's detector holds Python's lock; fresh ones, not forks, since a fork
    # of a process with threads may hang.
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(landmarks, size, predictor),
    )
    try:
        for job in [pool.submit(_align_chunk, chunk, skip_multi) for chunk in chunks]:
            yield from job.result()
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed, perhaps for want of memory; to go on, run the command "
            "again with a lower --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
