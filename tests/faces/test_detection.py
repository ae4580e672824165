"""Which faces are found, hidden ones too, and chosen; given landmarks."""

from __future__ import annotations

from pathlib import Path

import dlib
import numpy as np
import pytest
import skimage.data
from PIL import Image

from dcgan_completion.faces import detection
from dcgan_completion.faces.aligner import Detection, FaceAligner
from dcgan_completion.faces.template import TEMPLATE
from dcgan_completion.utils import UserError

SIZE = 64
TRIANGLE = np.array([[-10.0, -8], [10, -8], [0, 12]])


def astronaut() -> np.ndarray:
    """Eileen Collins (NASA, in the public domain); her face is about 87 pixels wide."""
    return skimage.data.astronaut()[0:300, 60:400].copy()


def resized(photo: np.ndarray, factor: float) -> np.ndarray:
    picture = Image.fromarray(photo)
    size = [round(edge * factor) for edge in picture.size]
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def aligner() -> FaceAligner:
    return FaceAligner("innerEyesAndBottomLip", SIZE)


def face_of(x: float, y: float, scale: float, aligner: FaceAligner) -> detection.FoundFace:
    return detection.face_at(TRIANGLE * scale + [x, y], aligner)


class Scripted:
    """In place of dlib: finds a face wherever a picture is marked, and notes what it is shown."""

    def __init__(self, aligner: FaceAligner, marks: dict[int, list[int]]) -> None:
        """`marks`: value of a pixel -> left, top, right, bottom as shares of 1000."""
        self.marks, self.shown, self.scores = marks, [], {}
        self.size, self.indices, self.matrix = aligner.size, aligner.indices, aligner.matrix

    def detect(self, picture: np.ndarray, *, enlarge: bool, min_score: float) -> list[Detection]:
        self.shown.append((picture, enlarge))
        height, width = picture.shape[:2]
        found = []
        for value, box in self.marks.items():
            if (picture == value).all(axis=-1).any():
                left, top, right, bottom = np.array(box) * [width, height, width, height] // 1000
                edges = dlib.rectangle(*map(int, (left, top, right, bottom)))
                score = self.scores.get(value, 1.0)
                found += [Detection(edges, score)] if score > min_score else []
        return found

    def landmarks(self, picture: np.ndarray, box: dlib.rectangle) -> np.ndarray:
        middle = np.array([box.center().x, box.center().y])
        return middle + (TEMPLATE - 0.5) * box.width()


# --- finding ---


def test_a_face_is_found_where_alignment_finds_it(aligner: FaceAligner) -> None:
    photo = astronaut()
    (face,) = detection.find_faces(aligner, photo)
    wanted = aligner.align_largest(photo)
    np.testing.assert_array_equal(face.landmarks, wanted.landmarks)
    np.testing.assert_array_equal(face.matrix, wanted.matrix)
    assert (face.score, face.how, face.size) == (wanted.score, detection.AS_IT_IS, SIZE)
    left, _, right, bottom = face.box
    assert (left < face.landmarks[:, 0]).all()
    assert (face.landmarks[:, 1] < bottom).all()
    assert 60 < right - left < 130


def test_a_large_photo_is_looked_at_in_a_copy(aligner: FaceAligner) -> None:
    small, large = astronaut(), resized(astronaut(), 6)
    (one,), (other,) = (detection.find_faces(aligner, photo) for photo in (small, large))
    # Landmarks are whole pixels, in each.
    assert np.abs((one.landmarks + 0.5) * 6 - 0.5 - other.landmarks).max() < 12
    assert other.how == detection.AS_IT_IS


def test_a_face_behind_a_hole_is_found(aligner: FaceAligner) -> None:
    photo = astronaut()
    (face,) = detection.find_faces(aligner, photo)
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    u, v = np.einsum("ij,jyx->iyx", face.matrix, np.stack([x, y, np.ones_like(x)]))
    hole = (np.abs(u - 32) < 12) & (v > 15) & (v < 40)  # the nose
    white = np.where(hole[..., np.newaxis], 255, photo).astype(np.uint8)
    with pytest.raises(UserError, match="no face"):
        detection.find_faces(aligner, white)
    (found,) = detection.find_faces(aligner, white, hole)
    assert found.how == detection.TELEA
    away = (found.landmarks - face.landmarks) @ face.matrix[:, :2].T
    assert np.abs(away).max() < 2


def test_the_surest_way_counts_for_each_face(aligner: FaceAligner) -> None:
    photo = np.full([1000, 1000, 3], 90, np.uint8)
    photo[0, 0] = 7
    hole = np.zeros([1000, 1000], bool)
    hole[480:520, 200:240] = True
    photo[hole] = 33
    # The first is found in all pictures, the second, which is the same face, as it is.
    scripted = Scripted(aligner, {7: [100, 400, 300, 600], 33: [110, 410, 310, 610]})
    scripted.scores = {7: 1.0, 33: 2.0}
    face, *others = detection.find_faces(scripted, photo, hole)
    assert len(scripted.shown) == 3
    assert [(picture[hole] == 33).any() for picture, _ in scripted.shown] == [True, False, False]
    assert all((picture[~hole] == photo[~hole]).all() for picture, _ in scripted.shown)
    assert (face.how, face.score, others) == (detection.AS_IT_IS, 2.0, [])
    assert face.box == (110, 410, 311, 611)
    # It scores much higher as it is: the hole shows the face.
    three = (TEMPLATE[aligner.indices] - 0.5) * 201
    np.testing.assert_allclose(face.landmarks, np.add([210, 510], three), atol=1.5)
    scripted.scores = {7: 1.0, 33: 1.1}
    face, *others = detection.find_faces(scripted, photo, hole)
    assert (face.box, others) == ((110, 410, 311, 611), [])
    # Else all four sightings count alike; none of the three landmarks is near the hole.
    np.testing.assert_allclose(face.landmarks, np.add([202.5, 502.5], three), atol=1.5)
    scripted.scores = {7: 1.0, 33: 0.5}
    face, *others = detection.find_faces(scripted, photo, hole)
    assert (face.box, others) == ((100, 400, 301, 601), [])


def test_a_photo_as_it_is_is_looked_at_once(aligner: FaceAligner) -> None:
    photo = np.full([400, 500, 3], 90, np.uint8)
    photo[0, 0] = 7
    hole = np.zeros([400, 500], bool)
    hole[180:200, 80:120] = True
    scripted, seen = Scripted(aligner, {7: [100, 400, 300, 600]}), {}
    (face,) = detection.find_faces(scripted, photo, None, seen)
    assert len(scripted.shown) == 1
    (again,) = detection.find_faces(scripted, photo, hole, seen)
    assert len(scripted.shown) == 3
    assert (again.box, again.how) == (face.box, face.how)


def test_landmarks_under_a_hole_follow_from_the_others(aligner: FaceAligner) -> None:
    photo = np.full([1000, 1000, 3], 90, np.uint8)
    photo[0, 0] = 7
    scripted = Scripted(aligner, {7: [400, 400, 600, 600]})
    truth = scripted.landmarks(photo, dlib.rectangle(400, 400, 600, 600))
    hole = np.zeros([1000, 1000], bool)
    hole[525:620, 440:600] = True  # the mouth, and where it is taken to be
    under = np.arange(68) >= 48
    wrong = np.where(under[:, np.newaxis], truth + np.array([30, 40]), truth)
    scripted.landmarks = lambda picture, box: wrong
    (seen,) = detection.find_faces(scripted, photo)
    np.testing.assert_array_equal(seen.landmarks, wrong[aligner.indices])
    (face,) = detection.find_faces(scripted, photo, hole)
    np.testing.assert_array_equal(face.landmarks[:2], truth[aligner.indices[:2]])
    assert np.linalg.norm(face.landmarks[2] - truth[aligner.indices[2]]) < 15


def test_faint_faces_are_found_under_a_hole_alone(aligner: FaceAligner) -> None:
    photo = np.full([1000, 1000, 3], 90, np.uint8)
    photo[0, 0], photo[0, 999] = 7, 33
    scripted = Scripted(aligner, {7: [100, 400, 300, 600], 33: [700, 400, 900, 600]})
    scripted.scores = {7: -0.3, 33: -0.2}
    hole = np.zeros([1000, 1000], bool)
    hole[480:520, 180:240] = True
    (face,) = detection.find_faces(scripted, photo, hole)
    assert (face.score, face.box) == (-0.3, (100, 400, 301, 601))
    scripted.scores[33] = 0.4  # a sure one elsewhere stays, and keeps its number
    faces = detection.find_faces(scripted, photo, hole)
    assert [face.score for face in faces] == [-0.3, 0.4]
    scripted.scores[7] = 0.1
    assert len(detection.find_faces(scripted, photo, hole)) == 2
    assert len(scripted.shown) == 3 * (2 + 2 + 1)
    scripted.scores = {7: -0.3, 33: -0.6}
    for missing in (None, np.roll(hole, 300, axis=0)):
        with pytest.raises(UserError, match="no face was found"):
            detection.find_faces(scripted, photo, missing)


def test_full_size_is_for_faces_that_the_copy_does_not_show(aligner: FaceAligner) -> None:
    photo = np.full([2400, 3000, 3], 90, np.uint8)
    hole = np.zeros([2400, 3000], bool)
    hole[1000:1100, 2400:2500] = True
    photo[:4, :4] = 7  # a face far from the hole
    photo[::2, ::2], photo[1::2, ::2] = 200, 33  # what is so fine is seen at full size alone
    photo[:8, :8] = 7
    marks = {7: [100, 400, 200, 500], 33: [750, 350, 900, 500]}
    scripted = Scripted(aligner, marks)
    found = detection.find_faces(scripted, photo, hole)
    sizes = [picture.shape[0] * picture.shape[1] for picture, _ in scripted.shown]
    assert sizes[:3] == [sizes[0]] * 3
    assert sizes[0] == pytest.approx(2e6, rel=0.01)
    assert set(sizes[3:]) == {2400 * 3000}
    assert [enlarge for _, enlarge in scripted.shown] == [n < 4e6 for n in sizes]
    assert len(found) == 2
    assert found[1].box == pytest.approx((2250, 840, 2700, 1200), abs=2)
    alone = Scripted(aligner, {33: marks[33]})
    assert len(detection.find_faces(alone, photo)) == 1
    assert len(alone.shown) == 2
    scripted = Scripted(aligner, marks)
    hole[:] = False
    hole[1050:1060, 400:410] = True
    assert detection.find_faces(scripted, photo, hole)
    assert max(picture.size for picture, _ in scripted.shown) < 7e6


def test_no_face_says_what_to_do(aligner: FaceAligner) -> None:
    photo = np.full([100, 120, 3], 90, np.uint8)
    hole = np.zeros([100, 120], bool)
    hole[30:50, 40:80] = True
    for missing in (None, hole, ~hole, np.ones_like(hole)):
        with pytest.raises(UserError, match=r"no face was found; .*--landmarks"):
            detection.find_faces(aligner, photo, missing)


# --- which face ---


def test_where_squares_overlap_the_nearest_centre_wins(aligner: FaceAligner) -> None:
    hole = np.ones([120, 300], bool)
    hole[:, 200:] = False
    found = [face_of(60, 60, 1.6, aligner), face_of(110, 60, 1.6, aligner)]
    found.append(face_of(260, 60, 1.2, aligner))
    owner = detection.owners(hole, found)
    assert owner.dtype == np.int16
    assert set(np.unique(owner)) == {-1, 0, 1}
    y, x = np.mgrid[:120, :300]
    inside, away = [], []
    for face in found:
        u, v = np.einsum("ij,jyx->iyx", face.matrix, np.stack([x, y, np.ones_like(x)]))
        inside.append((np.minimum(u, v) >= -0.5) & (np.maximum(u, v) < SIZE - 0.5) & hole)
        middle = np.linalg.solve(face.matrix[:, :2], 31.5 - face.matrix[:, 2])
        away.append(np.hypot(x - middle[0], y - middle[1]))
    np.testing.assert_array_equal(owner >= 0, np.any(inside, axis=0))
    both = inside[0] & inside[1] & (np.abs(away[0] - away[1]) > 1e-3)
    assert both.sum() > 500
    np.testing.assert_array_equal(owner[both] == 1, (away[1] < away[0])[both])
    assert (detection.owners(hole, []) == -1).all()
    crop = np.s_[30:100, 40:280]
    np.testing.assert_array_equal(detection.owners(hole, found, crop), owner[crop])


def test_faces_are_chosen_among_those_that_the_hole_touches(aligner: FaceAligner) -> None:
    hole = np.zeros([300, 600], bool)
    hole[140:160, 60:350] = True
    found = [face_of(100, 150, 2, aligner), face_of(300, 150, 3, aligner)]
    found.append(face_of(520, 150, 4, aligner))
    for which, wanted in (("all", found[:2]), ("largest", found[1:2]), ("1", found[:1])):
        assert detection.choose_faces(found, hole, which) == wanted
    assert detection.choose_faces(found, hole) == found[:2]
    for which, words in (("3", "--face 3: the hole does not touch it"), ("4", "from 1 to 3")):
        with pytest.raises(UserError, match=words):
            detection.choose_faces(found, hole, which)
    with pytest.raises(UserError, match="touches none of the 3 faces"):
        detection.choose_faces(found, np.roll(hole, 140, axis=0))


def test_faces_are_drawn_with_their_numbers(aligner: FaceAligner) -> None:
    photo = np.full([300, 600, 3], 90, np.uint8)
    found = [face_of(150, 150, 2, aligner), face_of(480, 20, 2, aligner)]
    picture = detection.draw_faces(photo, found)
    assert (photo == 90).all()
    changed = (picture != photo).any(axis=-1)
    assert 0 < changed.mean() < 0.2
    for x, y in np.rint(found[0].corners).astype(int):
        assert changed[y - 2 : y + 3, x - 2 : x + 3].any()


# --- landmarks ---


def test_landmarks_are_read_and_placed(tmp_path: Path, aligner: FaceAligner) -> None:
    path = tmp_path / "eyes.txt"
    path.write_text("100.5, 120\n\n180,118.25\n140,200\n")
    points = detection.read_landmarks(str(path))
    np.testing.assert_array_equal(points, [[100.5, 120], [180, 118.25], [140, 200]])
    face = detection.face_at(points, aligner)
    assert (face.how, face.score) == (detection.GIVEN, None)
    np.testing.assert_array_equal(face.matrix, aligner.matrix(points))
    assert (face.box[:2] < points).all()
    assert (face.box[2:] > points).all()


@pytest.mark.parametrize(
    "text", ["", "1,2\n3,4\n", "1,2\n3,4\n5,6\n7,8", "1,2\n3,4\n5", "a,b\n" * 3]
)
@pytest.mark.parametrize("tail", ["", "\nnan,1"])
def test_other_landmark_files_are_refused(text: str, tail: str, tmp_path: Path) -> None:
    path = tmp_path / "eyes.txt"
    path.write_text(text + tail)
    with pytest.raises(UserError, match="three lines x,y") as caught:
        detection.read_landmarks(str(path))
    assert f"--landmarks {path}" in str(caught.value)


def test_landmarks_that_cannot_be_used_are_refused(tmp_path: Path, aligner: FaceAligner) -> None:
    with pytest.raises(UserError, match=r"--landmarks .*missing.txt: no such file"):
        detection.read_landmarks(str(tmp_path / "missing.txt"))
    with pytest.raises(UserError, match="--landmarks: the three landmarks lie nearly on a line"):
        detection.face_at(np.array([[0.0, 0], [50, 50], [100, 101]]), aligner)


def test_what_the_detector_takes_for_a_face_on_a_line_is_none(aligner: FaceAligner) -> None:
    scripted = Scripted(aligner, {90: [100, 400, 300, 600]})
    scripted.landmarks = lambda picture, box: 50 + 30 * TEMPLATE * [1, 0]
    with pytest.raises(UserError, match="no face was found"):
        detection.find_faces(scripted, np.full([100, 100, 3], 90, np.uint8))
