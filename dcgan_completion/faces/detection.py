"""Find the faces of a photo, hidden ones too, and choose those that a hole touches.

A hole may hide a face. The detector searches the photo as it is, and with the hole filled
roughly; in a copy of about two megapixels, and at full size if none lies under the hole. Where the
detector still finds none, one that scores less is accepted.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from dcgan_completion import utils
from dcgan_completion.faces import landmark_shapes
from dcgan_completion.faces.aligner import FaceAligner
from dcgan_completion.faces.placement import square_corners
from dcgan_completion.masks import boxes
from dcgan_completion.masks.boxes import Crop, bounding_box
from dcgan_completion.settings.photos import ALL, LARGEST
from dcgan_completion.utils import UserError

COPY_PIXELS = 2_000_000
SAME_FACE = 0.3  # intersection over union of two boxes
# Scores of the detector. Of 400 holes over eyes, noses, mouths and halves it found faces under 86 %
# above 0 and under 95 % above FAINT, nearly all within 8 pixels of the square; of those that score
# less many are none.
SURE, FAINT = 0.0, -0.5
# By how much a face scores higher as it is than with the hole filled if the hole shows it: 99 % of
# blank holes by less, three quarters of those that show it by more.
VISIBLE_MARGIN = 0.25
HIDDEN = 0.03  # of a face's box: nearer to a hole a landmark is taken to be hidden
ROUGH_EDGE = 256  # pixels: of the copy in which a hole is filled roughly
MARGIN = 2  # pixels around a hole
RADIUS = 3  # pixels: radius of Telea's method
# How a face was found, in the report's words: in the photo as it is, with the hole filled by
# Telea's method or by the mean colour around it, or by given landmarks.
AS_IT_IS, TELEA, MEAN_COLOUR, GIVEN = "as it is", "inpainted", "mean colour", "landmarks"


@dataclasses.dataclass(frozen=True, eq=False)
class FoundFace:
    """A face in a photo; coordinates are of the photo's pixels.

    Attributes:
      box: left, top, right, bottom edge, as the detector gives it; of given landmarks, the
        rectangle around the face's square.
      landmarks: (x, y) of the three that alignment uses, float64 [3, 2].
      matrix: the `alignment_matrix`, float64 [2, 3].
      size: edge of the square.
      score: of the detector, the higher, the surer; None for given landmarks.
      how: it was found: AS_IT_IS, TELEA, MEAN_COLOUR, GIVEN.
    """

    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    matrix: np.ndarray
    size: int
    score: float | None
    how: str

    @property
    def corners(self) -> np.ndarray:
        """(x, y) of the corners of the face's square, [4, 2]."""
        return square_corners(self.matrix, self.size)

    @property
    def area(self) -> float:
        """Of the face's square, in pixels of the photo."""
        return self.size**2 / abs(np.linalg.det(self.matrix[:, :2]))


# --- finding ---


@dataclasses.dataclass(frozen=True, eq=False)
class _Sighting:
    """A face as it was found in one picture of a photo; as `FoundFace`, but all 68 landmarks."""

    box: tuple[float, float, float, float]
    score: float
    how: str
    points: np.ndarray


# What was found in a photo as it is, by the scale of the copy and the lowest score.
Seen = dict[tuple[float, float], list[_Sighting]]


def find_faces(
    aligner: FaceAligner,
    photo: np.ndarray,
    hole: np.ndarray | None = None,
    seen: Seen | None = None,
) -> list[FoundFace]:
    """Find the faces of a photo, from left to right, each once.

    Args:
      aligner: of squares of the model's size.
      photo: uint8 [H, W, 3].
      hole: bool [H, W], True = missing; None: only the photo as it is is searched.
      seen: what earlier calls have found in the same photo as it is; is added to.

    Raises:
      UserError: no face was found.
    """
    found: list[FoundFace] = []
    shrink = max(math.sqrt(photo.shape[0] * photo.shape[1] / COPY_PIXELS), 1.0)
    stages = [(scale, SURE) for scale in dict.fromkeys((shrink, 1.0))]
    if hole is not None and hole.any():
        stages.append((shrink, FAINT))
    several: list[list[_Sighting]] = []  # one list for each face
    for scale, min_score in stages:
        for picture, how in _pictures(photo, hole, scale):
            known = seen if seen is not None and how == AS_IT_IS else {}
            if (scale, min_score) not in known:
                sightings = _search(aligner, picture, photo.shape, how, min_score)
                known[scale, min_score] = list(sightings)
            for one in known[scale, min_score]:
                same = [s for s in several if any(_overlap(one.box, o.box) > SAME_FACE for o in s)]
                merged = [*itertools.chain(*same), one]
                several = [s for s in several if s not in same] + [merged]
        found = [face for same in several if (face := _merge(aligner, same, hole)) is not None]
        under = [f for f in found if hole is None or _touches(hole, [f])]
        if min_score == FAINT:  # away from the hole those are no faces
            found = [face for face in found if (face.score or 0.0) > SURE or face in under]
        if under:
            break
    if not found:
        raise UserError(
            "no face was found; name its landmarks with --landmarks, or take a photo that shows "
            "more of it"
        )
    return sorted(found, key=lambda face: face.corners[:, 0].mean())


def _merge(
    aligner: FaceAligner, same: Sequence[_Sighting], hole: np.ndarray | None
) -> FoundFace | None:
    """Make one face of its sightings; None if it cannot be one.

    What is in a hole may mislead, and so may what it is filled with. Unless the hole plainly shows
    the face, landmarks are the means of all sightings, and hidden ones follow from the others.
    """
    best = max(same, key=lambda one: one.score)
    points = best.points
    filled = max([one.score for one in same if one.how != AS_IT_IS], default=FAINT)
    if hole is not None and not (best.how == AS_IT_IS and best.score > filled + VISIBLE_MARGIN):
        points = np.mean([one.points for one in same], axis=0)
        near = HIDDEN * (best.box[2] - best.box[0])
        points = landmark_shapes.infer_hidden(points, _under(hole, points, near))
    points = points[aligner.indices]
    try:
        matrix = aligner.matrix(points)
    except UserError:
        return None  # no face has its landmarks on a line
    return FoundFace(best.box, points, matrix, aligner.size, best.score, best.how)


def _under(hole: np.ndarray, points: np.ndarray, near: float) -> np.ndarray:
    """Find the points, (x, y) [n, 2], in a hole or at most `near` pixels from it: bool [n]."""
    margin = math.ceil(near) + 1
    low = np.floor(points.min(axis=0)).astype(int) - margin
    high = np.ceil(points.max(axis=0)).astype(int) + margin + 1
    inside = np.clip([low, high], 0, hole.shape[::-1])
    part = np.zeros((high - low)[::-1], np.uint8)
    shifted = inside - low
    crop = hole[inside[0, 1] : inside[1, 1], inside[0, 0] : inside[1, 0]]
    part[shifted[0, 1] : shifted[1, 1], shifted[0, 0] : shifted[1, 0]] = crop
    away = cv2.distanceTransform(1 - part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    x, y = (np.rint(points).astype(int) - low).T
    return away[y, x] <= near


def _pictures(
    photo: np.ndarray, hole: np.ndarray | None, shrink: float
) -> Iterator[tuple[np.ndarray, str]]:
    """Yield a copy of the photo as it is, and two with the hole filled; and how they were made."""
    size = [max(round(edge / shrink), 1) for edge in photo.shape[1::-1]]
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    yield small, AS_IT_IS
    if hole is None or not hole.any() or hole.all():
        return
    missing = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    if missing.all():
        return
    crop = _surroundings(missing)
    part, gone = small[crop].copy(), missing[crop]
    known = part[~gone] if not gone.all() else small[~missing]
    part[gone] = np.rint(known.mean(axis=0))
    for how in (TELEA, MEAN_COLOUR):
        filled = small.copy()
        filled[crop][gone] = (_fill_roughly(part, gone) if how == TELEA else part)[gone]
        yield filled, how


def _surroundings(hole: np.ndarray) -> Crop:
    """Find the rectangle around a hole, three times as high and wide."""
    rows, columns = (
        slice(max(2 * s.start - s.stop, 0), 2 * s.stop - s.start)
        for s in bounding_box(hole, MARGIN)
    )
    return rows, columns


def _fill_roughly(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill the hole of a picture, uint8 [H, W, 3], in a small copy of it.

    At the picture's border OpenCV looks at pixels of the hole, too: they must be blank.
    """
    height, width = hole.shape
    shrink = max(height, width, ROUGH_EDGE) / ROUGH_EDGE
    size = (max(round(width / shrink), 1), max(round(height / shrink), 1))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    missing = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    small = cv2.inpaint(small, missing.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _search(
    aligner: FaceAligner, picture: np.ndarray, shape: tuple[int, ...], how: str, min_score: float
) -> Iterator[_Sighting]:
    """Find the faces in a copy of a photo of `shape`."""
    scale = np.array(shape[1::-1]) / picture.shape[1::-1]
    # Small faces are searched for, too, where that takes no more memory than the photo may.
    enlarge = picture.shape[0] * picture.shape[1] <= 2 * COPY_PIXELS
    for found in aligner.detect(picture, enlarge=enlarge, min_score=min_score):
        box, points = found.box, aligner.landmarks(picture, found.box)
        edges = np.array([[box.left(), box.top()], [box.right() + 1, box.bottom() + 1]]) * scale
        points = (points + 0.5) * scale - 0.5
        left, top, right, bottom = edges.ravel().tolist()
        yield _Sighting((left, top, right, bottom), found.score, how, points)


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Compute the intersection over union of two boxes: left, top, right, bottom."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return common / (sum(areas) - common)


# --- given landmarks ---


def read_landmarks(path: str) -> np.ndarray:
    """Read (x, y) of three landmarks from a text file of three lines `x,y`, float64 [3, 2].

    Raises:
      UserError: it cannot be read, or holds something else.
    """
    points = np.empty(0)
    try:
        with utils.open_text(path, errors="replace") as file:
            lines = [line.strip() for line in file.read(10_000).splitlines() if line.strip()]
        points = np.array([[float(number) for number in line.split(",")] for line in lines])
    except UserError as error:
        raise UserError(f"--landmarks {error}") from None
    except ValueError:  # something else than numbers
        pass
    if points.shape != (3, 2) or not np.isfinite(points).all():
        raise UserError(
            f"--landmarks {path}: is not three lines x,y, in pixels of the photo, one for each "
            "landmark that alignment uses"
        )
    return points


def face_at(points: np.ndarray, aligner: FaceAligner) -> FoundFace:
    """Make a face of its three landmarks, (x, y) in pixels of the photo, float64 [3, 2].

    Raises:
      UserError: they lie nearly on a line.
    """
    try:
        matrix = aligner.matrix(points)
    except UserError as error:
        raise UserError(f"--landmarks: {error}; look at their order and places") from None
    corners = square_corners(matrix, aligner.size) + 0.5
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return FoundFace((left, top, right, bottom), points, matrix, aligner.size, None, GIVEN)


# --- which face ---


def owners(hole: np.ndarray, found: Sequence[FoundFace], crop: Crop | None = None) -> np.ndarray:
    """Find the face in whose square each pixel of a hole lies.

    Args:
      hole: bool [H, W].
      found: the faces; where squares overlap, the nearest centre wins.
      crop: rows and columns of the photo, since it may be large; None: all of it.

    Returns:
      Indices in `found`, int16 [h, w] of the crop; -1 outside the hole and outside all squares.
    """
    crop = crop or (slice(0, hole.shape[0]), slice(0, hole.shape[1]))
    hole = hole[crop]
    owner = np.full(hole.shape, -1, np.int16)
    nearest = np.full(hole.shape, np.inf, np.float32)
    start = np.array([crop[1].start, crop[0].start])
    for i, face in enumerate(found):
        corners = face.corners
        low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
        part = boxes.clipped(low - start, high - start, hole.shape)
        y, x = np.ogrid[part]
        y, x = y + start[1], x + start[0]
        mine = hole[part].copy()
        for row in face.matrix:
            at = (row[0] * x).astype(np.float32) + (row[1] * y + row[2]).astype(np.float32)
            mine &= (at >= -0.5) & (at < face.size - 0.5)
        centre = corners.mean(axis=0)
        across, down = ((x - centre[0]) ** 2, (y - centre[1]) ** 2)
        away = across.astype(np.float32) + down.astype(np.float32)
        mine &= away < nearest[part]
        nearest[part][mine] = away[mine]
        owner[part][mine] = i
    return owner


def _touches(hole: np.ndarray, found: Sequence[FoundFace]) -> bool:
    """Return whether some of a hole, bool [H, W], lies in a face's square."""
    return bool((owners(hole, found, bounding_box(hole)) >= 0).any())


def choose_faces(
    found: Sequence[FoundFace], hole: np.ndarray, choice: str = ALL
) -> list[FoundFace]:
    """Choose the faces to complete, in their order in `found`.

    Args:
      found: as `find_faces` gives them.
      hole: bool [H, W], True = missing.
      choice: ALL, every face that the hole touches; LARGEST, the largest of those; or the number
        of a face in `found`, from 1.

    Raises:
      UserError: there is no such face, or the hole does not touch it.
    """
    if choice in (ALL, LARGEST):
        touched = np.unique(owners(hole, found, bounding_box(hole)))
        chosen = [found[i] for i in touched if i >= 0]
        if not chosen:
            raise UserError(f"the hole touches none of the {len(found)} faces found")
        return chosen if choice == ALL else [max(chosen, key=lambda face: face.area)]
    if not 1 <= int(choice) <= len(found):
        raise UserError(f"--face {choice}: the photo's faces are numbered from 1 to {len(found)}")
    chosen = [found[int(choice) - 1]]
    if not _touches(hole, chosen):
        raise UserError(f"--face {choice}: the hole does not touch it")
    return chosen


def draw_faces(photo: np.ndarray, found: Sequence[FoundFace]) -> np.ndarray:
    """Draw the faces' squares and numbers into a copy of a photo, uint8 [H, W, 3]."""
    picture = photo.copy()
    unit = max(max(photo.shape) / 600, 0.5)
    for number, face in enumerate(found, 1):
        outline = np.rint(face.corners).astype(np.int32)
        place = (int(outline[:, 0].min()), max(int(outline[:, 1].min()), int(14 * unit)))
        for colour, width in (((0, 0, 0), 4), ((255, 255, 0), 2)):
            thick = max(round(width * unit / 2), 1)
            cv2.polylines(picture, [outline], True, colour, thick, cv2.LINE_AA)
            font = cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(picture, str(number), place, font, unit / 2, colour, thick, cv2.LINE_AA)
    return picture
