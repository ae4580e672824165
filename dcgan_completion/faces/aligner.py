"""Detection, landmarks and alignment of faces in photos, and of folders of them.

The method of OpenFace (Amos et al. 2016, CMU-CS-16-118), which the tutorial calls: dlib's
frontal face detector, its 68 landmarks, and the affine transform that brings three of them to
where a mean face has them.

dlib and OpenCV are imported where they are used: command lines read LANDMARK_SETS without them.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import math
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from dcgan_completion.utils import (
    UserError,
    check_name,
    check_regular,
    load_image,
    save_image,
)
from dcgan_completion.workers import WorkerPool

if TYPE_CHECKING:
    import dlib

FLATTEST = 0.05  # height of the three landmarks' triangle, as a share of its longest side

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
class Detection:
    """A face in a photo: its box in pixels, and the detector's score (the higher, the surer)."""

    box: dlib.rectangle
    score: float


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where an aligned face was in its photo.

    Attributes:
      landmarks: (x, y) of the three landmarks, in pixels of the photo.
      matrix: the two rows of the `alignment_matrix`.
      score: of the detector.
    """

    landmarks: tuple[tuple[float, ...], ...]
    matrix: tuple[tuple[float, ...], ...]
    score: float


@dataclasses.dataclass(frozen=True)
class AlignedFace:
    """What was found in a photo.

    Attributes:
      image: the aligned face, uint8 [size, size, 3]; None if there is none, or there are several
        and skip_multi is asked for.
      faces: number of faces found.
      placement: of the face in `image`.
    """

    image: np.ndarray | None
    faces: int
    placement: Placement | None = None


@dataclasses.dataclass(frozen=True)
class AlignedFile:
    """What became of a photo on disk.

    Attributes:
      aligned: whether its face was written.
      faces: number of faces found.
      problem: why the photo cannot be read or aligned; empty if it can.
      placement: of the face that was written.
    """

    aligned: bool
    faces: int
    problem: str = ""
    placement: Placement | None = None


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
        import dlib

        self.size = size
        self.indices = list(LANDMARK_SETS[landmarks])
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = load_predictor(predictor or default_predictor())

    def detect(
        self, photo: np.ndarray, *, enlarge: bool = True, least: float = 0.0
    ) -> list[Detection]:
        """The faces in a photo, uint8 [H, W, 3], at its own size or else, on request, at twice it.

        At its own size the detector finds faces from about 80 pixels on. Those that score lower
        than `least` are left out; below 0 are many that are none.
        """
        photo = np.ascontiguousarray(photo)  # dlib reads past the rows of any other array
        found: list[Detection] = []
        for doublings in (0, 1) if enlarge else (0,):
            if not found:
                boxes, scores, _ = self._detector.run(photo, doublings, least)
                found = [Detection(*face) for face in zip(boxes, scores, strict=True)]
        return found

    def landmarks(self, photo: np.ndarray, box: dlib.rectangle) -> np.ndarray:
        """(x, y) of the 68 landmarks of the face in `box`, in pixels, float64 [68, 2]."""
        points = self._predictor(np.ascontiguousarray(photo), box).parts()
        return np.array([(point.x, point.y) for point in points], np.float64)

    def matrix(self, points: np.ndarray) -> np.ndarray:
        """The `alignment_matrix` of the three landmarks that alignment uses, [3, 2]."""
        return alignment_matrix(points, TEMPLATE[self.indices], self.size)

    def align(self, photo: np.ndarray, *, skip_multi: bool = False) -> AlignedFace:
        """The largest face in a photo, uint8 [H, W, 3]; none with skip_multi and several.

        Raises:
          UserError: as `alignment_matrix`.
        """
        found = self.detect(photo)
        if not found or (skip_multi and len(found) > 1):
            return AlignedFace(None, len(found))
        largest = max(found, key=lambda face: face.box.area())
        points = self.landmarks(photo, largest.box)[self.indices]
        matrix = self.matrix(points)
        rows = [tuple(map(tuple, array.tolist())) for array in (points, matrix)]
        placement = Placement(*rows, largest.score)
        return AlignedFace(affine_image(photo, matrix, self.size), len(found), placement)


def load_predictor(path: str) -> dlib.shape_predictor:
    """A dlib shape predictor of 68 points.

    Raises:
      UserError: the file cannot be read, or is something else.
    """
    import dlib

    wanted = "--dlibFacePredictor takes dlib's shape_predictor_68_face_landmarks.dat"
    check_name(path, "dlib")
    try:
        check_regular(path)
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path}: not a landmark model ({reason}); {wanted}") from None
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


def alignment_matrix(points: np.ndarray, template: np.ndarray, size: int) -> np.ndarray:
    """The affine map that brings three points of a photo to their places in a template.

    Coordinates are of pixels, whole numbers at their centres, in the photo and in the result.

    Args:
      points: (x, y) in the photo, [3, 2].
      template: (x, y) in the result, 0..1, [3, 2].
      size: edge of the result in pixels.

    Returns:
      float64 [2, 3], for (x, y, 1) of the photo.

    Raises:
      UserError: the points lie nearly on a line.
    """
    import cv2

    sides = points - np.roll(points, 1, axis=0)
    longest = np.square(sides).sum(axis=1).max()
    if not abs(np.linalg.det(sides[:2])) > FLATTEST * longest:
        raise UserError("the three landmarks lie nearly on a line")
    return cv2.getAffineTransform(np.float32(points), np.float32(size * template))


def affine_image(photo: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """The affine image of a photo; of a float32 mask, the shares of its pixels in each.

    Where the photo is larger than the result, it is sampled on a grid as much finer and averaged
    down, so that nothing aliases. Beyond the photo's border its edge is repeated.

    Args:
      photo: uint8, uint16 or float32 [H, W, C].
      matrix: [2, 3], takes the photo's pixels to the result's, as `alignment_matrix`.
      size: edge of the result in pixels.

    Returns:
      [size, size, C] of the photo's type.
    """
    import cv2

    # The photo's pixels per pixel of the result, in the direction that shrinks most.
    shrink = 1 / max(np.linalg.svd(matrix[:, :2], compute_uv=False).min(), 1e-6)
    factor = min(max(1, math.ceil(shrink)), 64)
    supersampled = matrix * factor
    # A supersampled pixel's centre is at (i + 0.5) / factor - 0.5 in the result's coordinates.
    supersampled[:, 2] += (factor - 1) / 2
    warped = cv2.warpAffine(
        photo,
        supersampled,
        (size * factor, size * factor),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if factor > 1:
        warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
    return warped.reshape(size, size, photo.shape[-1])  # OpenCV drops a single channel


# --- files ----------------------------------------------------------------------------------


def _align_file(aligner: FaceAligner, job: tuple[str, str], skip_multi: bool) -> AlignedFile:
    photo, target = job
    try:
        image = load_image(photo)
    except UserError as error:
        return AlignedFile(False, 0, str(error))
    try:
        face = aligner.align(image, skip_multi=skip_multi)
    except UserError as error:
        return AlignedFile(False, 0, f"{photo}: {error}")
    if face.image is not None:
        save_image(target, face.image)
    return AlignedFile(face.image is not None, face.faces, placement=face.placement)


def _killed(job: tuple[str, str]) -> AlignedFile:
    return AlignedFile(False, 0, f"{job[0]}: a process that read it was killed, twice")


def align_files(
    jobs: Iterable[tuple[str, str]],
    landmarks: str,
    size: int,
    *,
    predictor: str | None = None,
    skip_multi: bool = False,
    workers: int = 1,
) -> Iterator[AlignedFile]:
    """Aligns photos on disk in processes side by side.

    Args:
      jobs: path of a photo and of the PNG to write; taken as results are.
      landmarks, size, predictor: as in `FaceAligner`.
      skip_multi: leave out photos with several faces.
      workers: number of processes.

    Yields:
      What became of each photo, in the order of `jobs`. One that kills its process has a
      problem, as one that cannot be read.

    Raises:
      UserError: workers are killed again and again.
    """
    if_killed = (
        "a worker process was killed, perhaps for want of memory; to go on, run the command "
        "again with a lower --workers"
    )
    arguments = (landmarks, size, predictor)
    with WorkerPool(workers, FaceAligner, *arguments, if_killed=if_killed) as pool:
        work = functools.partial(_align_file, skip_multi=skip_multi)
        yield from pool.map(work, jobs, _killed)
