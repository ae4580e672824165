"""Which faces of a photo a hole is to be completed in, and where they are.

A hole may hide a face. Faces are looked for in the photo as it is, and with the hole filled
roughly; in a copy of about two megapixels, and at full size if none lies under the hole. Where the
detector still sees none there, a faint one will do.
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
from dcgan_completion.masks.boxes import Crop, bounding_box
from dcgan_completion.settings.photos import ALL, LARGEST
from dcgan_completion.utils import UserError

COPY_PIXELS = 2_000_000
SAME_FACE = 0.3  # intersection over union of two boxes
# Scores of the detector. Of 400 holes over eyes, noses, mouths and halves it saw 86 % above
# 0 and 95 % above FAINT, nearly all within 8 pixels of the square; further down many are none.
SURE, FAINT = 0.0, -0.5
# By how much a face scores higher as it is than with the hole filled if the hole shows it: 99 % of
# blank holes by less, three quarters of those that show it by more.
SHOWN = 0.25
HIDDEN = 0.03  # of a face's box: nearer to a hole a landmark is taken to be hidden
ROUGH_EDGE = 256  # pixels: of the copy of a hole's surroundings that is inpainted
MARGIN = 2  # pixels around a hole
RADIUS = 3  # pixels: how far around each pixel OpenCV's inpainting looks
AS_IT_IS, INPAINTED, MEAN_COLOUR, GIVEN = "as it is", "inpainted", "mean colour", "landmarks"


@dataclasses.dataclass(frozen=True, eq=False)
class FoundFace:
    """A face in a photo; coordinates are of the photo's pixels.

    Attributes:
      box: left, top, right, bottom edge, as the detector gives it; of given landmarks, the
        rectangle around the face's square.
      landmarks: (x, y) of the three that alignment uses, float64 [3, 2].
      matrix: of alignment, float64 [2, 3].
      size: edge of the aligned square.
      score: of the detector, the higher, the surer; None for given landmarks.
      how: how it was found: AS_IT_IS, INPAINTED, MEAN_COLOUR (the hole), GIVEN.
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
    """A face as the detector saw it in one picture of a photo, in the photo's coordinates.

    Attributes:
      box, score, how: as of a `FoundFace`.
      points: dlib's 68 landmarks, float64 [68, 2].
    """

    box: tuple[float, float, float, float]
    score: float
    how: str
    points: np.ndarray


# What was seen in a photo as it is, by the scale of the copy and the least score.
Seen = dict[tuple[float, float], list[_Sighting]]


def find_faces(
    aligner: FaceAligner,
    photo: np.ndarray,
    hole: np.ndarray | None = None,
    seen: Seen | None = None,
) -> list[FoundFace]:
    """The faces of a photo from left to right, each once.

    Args:
      aligner: of squares of the model's size.
      photo: uint8 [H, W, 3].
      hole: bool [H, W], True = missing; None looks at the photo as it is alone.
      seen: what earlier calls have seen in the same photo as it is; is added to.

    Raises:
      UserError: no face was found.
    """
    found: list[FoundFace] = []
    shrink = max(math.sqrt(photo.shape[0] * photo.shape[1] / COPY_PIXELS), 1.0)
    stages = [(scale, SURE) for scale in dict.fromkeys((shrink, 1.0))]
    if hole is not None and hole.any():
        stages.append((shrink, FAINT))
    several: list[list[_Sighting]] = []
    for scale, least in stages:
        for picture, how in _pictures(photo, hole, scale):
            known = seen if seen is not None and how == AS_IT_IS else {}
            if (scale, least) not in known:
                known[scale, least] = list(_look(aligner, picture, photo.shape, (how, least)))
            for one in known[scale, least]:
                same = [s for s in several if any(_overlap(one.box, o.box) > SAME_FACE for o in s)]
                merged = [*itertools.chain(*same), one]
                several = [s for s in several if s not in same] + [merged]
        found = [face for same in several if (face := _settle(aligner, same, hole)) is not None]
        under = [f for f in found if hole is None or _touches(hole, [f])]
        if least == FAINT:  # away from the hole those are no faces
            found = [face for face in found if face.score > SURE or face in under]
        if under:
            break
    if not found:
        raise UserError(
            "no face was found; name its landmarks with --landmarks, or take a photo that shows "
            "more of it"
        )
    return sorted(found, key=lambda face: face.corners[:, 0].mean())


def _settle(
    aligner: FaceAligner, same: Sequence[_Sighting], hole: np.ndarray | None
) -> FoundFace | None:
    """A face of several sightings, by the way of the highest score; None if it cannot be one.

    What is in a hole may mislead, and so may what it is filled with. Unless the hole plainly shows
    the face, landmarks are the means of all sightings, and hidden ones follow from the others.
    """
    best = max(same, key=lambda seen: seen.score)
    points = best.points
    filled = max([seen.score for seen in same if seen.how != AS_IT_IS], default=FAINT)
    if hole is not None and not (best.how == AS_IT_IS and best.score > filled + SHOWN):
        points = np.mean([seen.points for seen in same], axis=0)
        near = HIDDEN * (best.box[2] - best.box[0])
        points = landmark_shapes.infer_hidden(points, _under(hole, points, near))
    points = points[aligner.indices]
    try:
        matrix = aligner.matrix(points)
    except UserError:
        return None  # no face has its landmarks on a line
    return FoundFace(best.box, points, matrix, aligner.size, best.score, best.how)


def _under(hole: np.ndarray, points: np.ndarray, near: float) -> np.ndarray:
    """Which points, (x, y) [n, 2], lie in a hole or less than `near` pixels from it: bool [n]."""
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
    """The photo, smaller, as it is and with its hole filled in two ways; and which way."""
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
    for how in (INPAINTED, MEAN_COLOUR):
        filled = small.copy()
        filled[crop][gone] = (_inpaint(part, gone) if how == INPAINTED else part)[gone]
        yield filled, how


def _surroundings(hole: np.ndarray) -> tuple[slice, slice]:
    """The rectangle around a hole, three times as high and wide."""
    ends = [(s.start, s.stop, s.stop - s.start) for s in bounding_box(hole, MARGIN)]
    return tuple(slice(max(start - more, 0), stop + more) for start, stop, more in ends)


def _inpaint(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """A picture, uint8 [H, W, 3], with its hole filled roughly, in a small copy of it.

    OpenCV looks at pixels of the hole, too, at the picture's border: they must be blank.
    """
    height, width = hole.shape
    shrink = max(height, width, ROUGH_EDGE) / ROUGH_EDGE
    size = (max(round(width / shrink), 1), max(round(height / shrink), 1))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    missing = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    small = cv2.inpaint(small, missing.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _look(
    aligner: FaceAligner, picture: np.ndarray, shape: tuple[int, ...], way: tuple[str, float]
) -> Iterator[_Sighting]:
    """The faces in a copy of a photo of `shape`; the way is how, and above which score."""
    how, least = way
    scale = np.array(shape[1::-1]) / picture.shape[1::-1]
    # Small faces are looked for, too, where that needs no more memory than the photo may take.
    enlarge = picture.shape[0] * picture.shape[1] <= 2 * COPY_PIXELS
    for found in aligner.detect(picture, enlarge=enlarge, least=least):
        box, points = found.box, aligner.landmarks(picture, found.box)
        edges = np.array([[box.left(), box.top()], [box.right() + 1, box.bottom() + 1]]) * scale
        points = (points + 0.5) * scale - 0.5
        yield _Sighting(tuple(edges.ravel().tolist()), found.score, how, points)


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes: left, top, right, bottom."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return common / (sum(areas) - common)


# --- given landmarks ---


def read_landmarks(path: str) -> np.ndarray:
    """The (x, y) of three landmarks in a text file of three lines `x,y`, float64 [3, 2].

    Raises:
      UserError: it cannot be read, or holds something else.
    """
    try:
        with utils.open_text(path, errors="replace") as file:
            lines = [line.strip() for line in file.read(10_000).splitlines() if line.strip()]
        points = np.array([[float(number) for number in line.split(",")] for line in lines])
        good = points.shape == (3, 2) and np.isfinite(points).all()
    except UserError as error:
        raise UserError(f"--landmarks {error}") from None
    except ValueError:
        good = False
    if not good:
        raise UserError(
            f"--landmarks {path}: is not three lines x,y, in pixels of the photo, for the "
            "landmarks that alignment uses"
        )
    return points


def face_at(points: np.ndarray, aligner: FaceAligner) -> FoundFace:
    """The face with three landmarks, (x, y) in pixels of the photo, float64 [3, 2].

    Raises:
      UserError: they lie nearly on a line.
    """
    try:
        matrix = aligner.matrix(points)
    except UserError as error:
        raise UserError(f"--landmarks: {error}; look at their order and places") from None
    corners = square_corners(matrix, aligner.size) + 0.5
    box = tuple(np.concatenate([corners.min(axis=0), corners.max(axis=0)]).tolist())
    return FoundFace(box, points, matrix, aligner.size, None, GIVEN)


# --- which face ---


def owners(hole: np.ndarray, found: Sequence[FoundFace], crop: Crop | None = None) -> np.ndarray:
    """For every pixel of a hole, bool [H, W], the face in whose square it lies: int16 [h, w].

    The index in `found`; where squares overlap, that of the nearest centre; -1 outside of all
    squares and outside the hole. Of a crop of the photo, if one is given: it is large.
    """
    crop = crop or (slice(0, hole.shape[0]), slice(0, hole.shape[1]))
    hole = hole[crop]
    owner = np.full(hole.shape, -1, np.int16)
    nearest = np.full(hole.shape, np.inf, np.float32)
    start, limits = np.array([crop[1].start, crop[0].start]), np.array(hole.shape[::-1])
    for i, face in enumerate(found):
        corners = face.corners
        first = np.clip(np.floor(corners.min(axis=0)) - start, 0, limits).astype(int)
        last = np.clip(np.ceil(corners.max(axis=0)) + 1 - start, first, limits).astype(int)
        part = slice(first[1], last[1]), slice(first[0], last[0])
        y, x = np.ogrid[part]
        y, x = y + start[1], x + start[0]
        mine = hole[part].copy()
        for row in face.matrix:
            at = np.float32(row[0] * x) + np.float32(row[1] * y + row[2])
            mine &= (at >= -0.5) & (at < face.size - 0.5)
        centre = corners.mean(axis=0)
        away = np.float32((x - centre[0]) ** 2) + np.float32((y - centre[1]) ** 2)
        mine &= away < nearest[part]
        nearest[part][mine] = away[mine]
        owner[part][mine] = i
    return owner


def _touches(hole: np.ndarray, found: Sequence[FoundFace]) -> bool:
    """Whether some of a hole, bool [H, W], lies in a face's square."""
    return bool((owners(hole, found, bounding_box(hole)) >= 0).any())


def choose_faces(found: Sequence[FoundFace], hole: np.ndarray, which: str = ALL) -> list[FoundFace]:
    """The faces that are to be completed, in their order in `found`.

    Args:
      found: as `find_faces` gives them.
      hole: bool [H, W], True = missing.
      which: ALL takes every face that the hole touches, LARGEST the largest of those; a number,
        from 1 on, one of `found`.

    Raises:
      UserError: there is no such face, or the hole does not touch it.
    """
    if which in (ALL, LARGEST):
        touched = np.unique(owners(hole, found, bounding_box(hole)))
        chosen = [found[i] for i in touched if i >= 0]
        if which == LARGEST and chosen:
            chosen = [max(chosen, key=lambda face: face.area)]
    elif 1 <= int(which) <= len(found):
        chosen = [found[int(which) - 1]]
    else:
        raise UserError(f"--face {which}: faces are numbered from 1 to {len(found)} here")
    if not chosen or not _touches(hole, chosen):
        raise UserError(
            f"the hole touches none of the {len(found)} faces found"
            if which in (ALL, LARGEST)
            else f"--face {which}: the hole does not touch it"
        )
    return chosen


def draw_faces(photo: np.ndarray, found: Sequence[FoundFace]) -> np.ndarray:
    """A photo, uint8 [H, W, 3], with the faces' squares and their numbers drawn into a copy."""
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
