"""Detection, landmarks and the warp to the mean face.

The portraits are in the public domain: Grace Hopper (US Navy), Eileen Collins (NASA).
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import sys
from pathlib import Path
from types import SimpleNamespace

import dlib
import matplotlib.cbook
import numpy as np
import pytest
import skimage.data
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.faces import aligner as faces
from dcgan_completion.utils import UserError

SIZE = 96


def resized(photo: np.ndarray, width: int, height: int) -> np.ndarray:
    picture = Image.fromarray(photo).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def scaled(photo: np.ndarray, factor: float) -> np.ndarray:
    height, width = photo.shape[:2]
    return resized(photo, round(factor * width), round(factor * height))


def rotated(photo: np.ndarray, degrees: float) -> np.ndarray:
    picture = Image.fromarray(photo).rotate(
        degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(128, 128, 128)
    )
    return np.asarray(picture)


def hopper() -> np.ndarray:
    """Grace Hopper, her face about 105 pixels wide."""
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return resized(utils.load_image(path), 256, 300)


def collins() -> np.ndarray:
    """Eileen Collins, her face about 87 pixels wide."""
    return skimage.data.astronaut()[20:260, 100:350].copy()


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    height = max(len(left), len(right))
    padded = [
        np.pad(photo, ((0, height - len(photo)), (20, 20), (0, 0)), mode="edge")
        for photo in (left, right)
    ]
    return np.concatenate(padded, axis=1)


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, [120, 120, 3], np.uint8)


def landmarks_of_crop(aligner: faces.FaceAligner, crop: np.ndarray) -> np.ndarray:
    """The 68 landmarks of an aligned face as shares of its edge, found anew in it."""
    # The detector wants some room around a face.
    large = np.pad(resized(crop, 288, 288), ((96, 96), (96, 96), (0, 0)), mode="edge")
    (found,) = aligner.detect(large)
    return (aligner.landmarks(large, found.box) - 96) / 288


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return np.abs(one.astype(float) - other.astype(float)).mean()


@pytest.fixture(scope="module")
def aligner() -> faces.FaceAligner:
    return faces.FaceAligner("innerEyesAndBottomLip", SIZE)


# --- the template ---

# OpenFace, openface/align_dlib.py, TEMPLATE: x and y of some landmarks, and of all of them the
# least, the largest, the sum, and the sums weighted by index and by its square.
PUBLISHED = {
    0: (0.0792396913815, 0.339223741112),
    19: (0.291299351124, 0.192367318323),
    30: (0.51816430343, 0.553157797772),
    33: (0.520712933176, 0.634268222208),
    36: (0.252418718401, 0.331052263829),
    39: (0.403718978315, 0.33867711083),
    42: (0.631326076346, 0.334136672344),
    45: (0.782865376271, 0.321305281656),
    48: (0.353167761422, 0.746189164237),
    57: (0.525398405766, 0.841706377792),
    67: (0.477561227414, 0.778476346951),
}
LEAST = np.array([0.0792396913815, 0.182360984545])
LARGEST = np.array([0.971193274221, 1.06080371126])
SUMS = {0: (35.54529896, 38.63879987), 1: (1234.004157, 1337.826980), 2: (55144.34211, 64701.72897)}


def test_template_fills_the_unit_square() -> None:
    assert faces.TEMPLATE.shape == (68, 2)
    np.testing.assert_allclose(faces.TEMPLATE.min(0), [0, 0], atol=1e-12)
    np.testing.assert_allclose(faces.TEMPLATE.max(0), [1, 1], atol=1e-12)


@pytest.mark.parametrize("index", PUBLISHED)
def test_template_has_the_published_landmarks(index: int) -> None:
    wanted = (np.array(PUBLISHED[index]) - LEAST) / (LARGEST - LEAST)
    np.testing.assert_allclose(faces.TEMPLATE[index], wanted, atol=2e-6)


@pytest.mark.parametrize("power", SUMS)
def test_template_has_the_published_sums(power: int) -> None:
    published = faces.TEMPLATE * (LARGEST - LEAST) + LEAST
    weights = np.arange(68.0) ** power
    # Six digits of every landmark are kept.
    np.testing.assert_allclose(weights @ published, SUMS[power], atol=1e-6 * weights.sum())


def test_landmark_sets_are_openfaces() -> None:
    assert faces.LANDMARK_SETS == {
        "innerEyesAndBottomLip": (39, 42, 57),
        "outerEyesAndNose": (36, 45, 33),
    }


# --- the matrix, and the affine image ---


def warp(photo: np.ndarray, points: np.ndarray, template: np.ndarray, size: int) -> np.ndarray:
    return faces.affine_image(photo, faces.alignment_matrix(points, template, size), size)


def affine_through(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The matrix [2, 3] that takes three points to their targets, from its six equations."""
    homogeneous = np.column_stack([points, np.ones(3)])
    return np.linalg.solve(homogeneous, targets).T


def blobs_at(points: np.ndarray, shape: tuple[int, int], radius: float) -> np.ndarray:
    """A black photo with a soft blob of one colour channel at each point."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    squares = [(x - px) ** 2 + (y - py) ** 2 for px, py in points]
    channels = [255 * np.exp(-square / (2 * radius**2)) for square in squares]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def centroids(image: np.ndarray) -> np.ndarray:
    """(x, y) of each channel's brightness, [3, 2]."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weights = image.reshape(-1, 3) / image.reshape(-1, 3).sum(0)
    return np.stack([x.ravel() @ weights, y.ravel() @ weights], axis=1)


@pytest.mark.parametrize("edge", [200, 700])
@pytest.mark.parametrize("names", faces.LANDMARK_SETS)
def test_warp_brings_the_points_to_their_places(names: str, edge: int) -> None:
    template = faces.TEMPLATE[list(faces.LANDMARK_SETS[names])]
    # A face that leans to one side: neither a shift nor a scaling.
    points = edge * np.array([[0.38, 0.44], [0.66, 0.36], [0.58, 0.68]])
    photo = blobs_at(points, (edge, edge), radius=edge / 60)
    result = warp(photo, points, template, SIZE)
    assert result.shape == (SIZE, SIZE, 3)
    assert result.dtype == np.uint8
    np.testing.assert_allclose(centroids(result), SIZE * template, atol=0.15)


def test_warp_to_where_the_points_are_changes_nothing(random: np.random.Generator) -> None:
    photo = random.integers(0, 256, [32, 32, 3], np.uint8)
    template = np.array([[0.25, 0.25], [0.75, 0.25], [0.5, 0.75]])
    np.testing.assert_array_equal(warp(photo, 32 * template, template, 32), photo)


@pytest.mark.parametrize("cell", [1, 2, 3])
def test_warp_shrinks_a_checkerboard_to_its_mean(cell: int) -> None:
    y, x = np.mgrid[:800, :800]
    photo = np.repeat(255 * ((x // cell + y // cell) % 2)[..., np.newaxis], 3, axis=2)
    photo = photo.astype(np.uint8)
    template = np.array([[0.25, 0.25], [0.75, 0.25], [0.5, 0.75]])
    points, size = 720 * template + 30, 64
    result = warp(photo, points, template, size)
    assert np.abs(result.astype(float) - 127.5).max() < 16
    # The nearest pixel for each pixel of the result: what aliasing would look like.
    inverse = affine_through(size * template, points)
    at = np.rint(np.arange(size) * inverse[0, 0] + inverse[0, 2]).astype(int)
    naive = photo[np.ix_(at, at)]
    assert np.abs(naive.astype(float) - 127.5).min() > 100


@pytest.mark.parametrize("shrink", [0.6, 1.0, 1.4, 3.3, 9.0])
def test_warp_is_the_affine_map_on_a_smooth_photo(shrink: float) -> None:
    size = 40
    cos, sin = np.cos(0.4), np.sin(0.4)
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0]]) / shrink
    matrix[0, 1] += 0.2 / shrink  # some shear
    centre = np.array([size / 2, size / 2])
    edge = int(size * shrink * 2) + 20
    matrix[:, 2] = centre - matrix[:, :2] @ np.array([edge / 2, edge / 2])
    inverse = np.linalg.inv(matrix[:, :2])

    def brightness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        wave = np.sin(7 * x / edge + 1) * np.cos(5 * y / edge)
        return np.stack([128 + 100 * wave, 30 + 200 * x / edge, 30 + 200 * y / edge], axis=-1)

    y, x = np.mgrid[:edge, :edge]
    photo = np.rint(brightness(x, y)).astype(np.uint8)
    template = np.array([[0.2, 0.3], [0.8, 0.2], [0.5, 0.9]])
    points = (size * template - matrix[:, 2]) @ inverse.T
    v, u = np.mgrid[:size, :size]
    sources = (np.stack([u, v], axis=-1) - matrix[:, 2]) @ inverse.T
    assert sources.min() > 0
    assert sources.max() < edge - 1
    wanted = brightness(sources[..., 0], sources[..., 1])
    result = warp(photo, points, template, size)
    assert np.abs(result - wanted).max() < 2


def test_warp_repeats_the_edge_beyond_the_photo() -> None:
    photo = np.zeros([50, 50, 3], np.uint8)
    photo[:25], photo[25:] = [200, 100, 50], [10, 20, 30]
    template = np.array([[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]])
    # The result shows 50 pixels above the photo, then its upper half.
    result = warp(photo, 75 * template - [10, 50], template, 75)
    assert (result[:74] == [200, 100, 50]).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_matrix_is_the_affine_map_through_the_points(mirrored: bool) -> None:
    template = faces.TEMPLATE[list(faces.LANDMARK_SETS["innerEyesAndBottomLip"])]
    points = np.array([[310.0, 420], [533, 390], [480, 731]])
    points = points[[1, 0, 2]] if mirrored else points
    matrix = faces.alignment_matrix(points, template, 64)
    np.testing.assert_allclose(matrix, affine_through(points, 64 * template), atol=1e-4)
    assert (np.linalg.det(matrix[:, :2]) < 0) == mirrored


@pytest.mark.parametrize("height", [0, 0.04])
def test_landmarks_nearly_on_a_line_are_refused(height: float) -> None:
    template = faces.TEMPLATE[list(faces.LANDMARK_SETS["innerEyesAndBottomLip"])]
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    points = np.array([[0, 0], [100, 0], [30, 100 * height]]) @ turn + 500
    with pytest.raises(UserError, match="nearly on a line"):
        faces.alignment_matrix(points, template, 64)
    points = np.array([[0, 0], [100, 0], [30, 6]]) @ turn + 500
    assert np.isfinite(faces.alignment_matrix(points, template, 64)).all()


def test_a_placement_says_where_the_face_was(aligner: faces.FaceAligner) -> None:
    face = aligner.align(hopper())
    points, matrix = np.array(face.placement.landmarks), np.array(face.placement.matrix)
    template = SIZE * faces.TEMPLATE[list(faces.LANDMARK_SETS["innerEyesAndBottomLip"])]
    np.testing.assert_allclose(
        np.column_stack([points, np.ones(3)]) @ matrix.T, template, atol=1e-3
    )
    np.testing.assert_array_equal(face.image, faces.affine_image(hopper(), matrix, SIZE))
    boxes, scores, _ = dlib.get_frontal_face_detector().run(hopper(), 0, 0.0)
    assert [face.placement.score] == list(scores)
    assert boxes[0].contains(dlib.point(*points[0].astype(int)))


# --- alignment ---


@pytest.mark.parametrize("landmarks", faces.LANDMARK_SETS)
@pytest.mark.parametrize("portrait", [hopper, collins])
def test_landmarks_of_the_result_are_the_templates(landmarks: str, portrait) -> None:
    aligner = faces.FaceAligner(landmarks, SIZE)
    face = aligner.align(portrait())
    assert face.faces == 1
    assert face.image.shape == (SIZE, SIZE, 3)
    found = landmarks_of_crop(aligner, face.image)
    indices = list(faces.LANDMARK_SETS[landmarks])
    np.testing.assert_allclose(found[indices], faces.TEMPLATE[indices], atol=0.04)


@pytest.mark.parametrize(("degrees", "factor"), [(12, 1), (-15, 0.8), (0, 1.6), (8, 2.2)])
@pytest.mark.parametrize("portrait", [hopper, collins])
def test_rotation_and_scale_of_the_photo_hardly_matter(
    aligner: faces.FaceAligner, portrait, degrees: float, factor: float
) -> None:
    original = aligner.align(portrait()).image
    changed = aligner.align(rotated(scaled(portrait(), factor), degrees)).image
    # Mirrored faces differ by 30 and 48, the two people by 54.
    assert difference(changed, original) < 20
    eyes_and_lip = [39, 42, 57]
    found = landmarks_of_crop(aligner, changed)[eyes_and_lip]
    np.testing.assert_allclose(found, faces.TEMPLATE[eyes_and_lip], atol=0.04)


def test_the_largest_of_two_faces_is_taken(aligner: faces.FaceAligner) -> None:
    hers, other = aligner.align(hopper()).image, aligner.align(collins()).image
    small, large = scaled(collins(), 0.7), scaled(collins(), 1.8)
    for photo, wanted, unwanted in (
        (side_by_side(hopper(), small), hers, other),
        (side_by_side(small, hopper()), hers, other),
        (side_by_side(scaled(hopper(), 0.6), large), other, hers),
        # The detector is surer of the smaller face, and names it first.
        (side_by_side(rotated(hopper(), 15), scaled(collins(), 0.8)), hers, other),
        (side_by_side(scaled(hopper(), 0.8), rotated(large, 18)), other, hers),
    ):
        face = aligner.align(photo)
        assert face.faces == 2
        assert difference(face.image, wanted) < 20
        assert difference(face.image, unwanted) > 40


def test_several_faces_may_be_left_out(aligner: faces.FaceAligner) -> None:
    two = aligner.align(side_by_side(hopper(), collins()), skip_multi=True)
    assert (two.image, two.faces) == (None, 2)
    assert aligner.align(hopper(), skip_multi=True).image is not None


def test_noise_has_no_face(aligner: faces.FaceAligner) -> None:
    face = aligner.align(noise())
    assert (face.image, face.faces) == (None, 0)


def test_a_small_face_is_found_at_twice_the_size(aligner: faces.FaceAligner) -> None:
    small = scaled(collins(), 0.5)
    assert not dlib.get_frontal_face_detector()(small, 0)
    face = aligner.align(small)
    assert face.faces == 1
    assert difference(face.image, aligner.align(collins()).image) < 20


def test_dlib_is_given_arrays_without_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of others, such as a part of a larger photo, it reads memory that is freed already, and
    # finds a face or not by chance.
    gaps = []

    class Watched:
        def __init__(self, function) -> None:
            self.function = function

        def __call__(self, photo: np.ndarray, *arguments: object):
            gaps.append(not photo.flags.c_contiguous)
            return self.function(np.ascontiguousarray(photo), *arguments)

    def watched_detector() -> object:
        return SimpleNamespace(run=Watched(detector().run))

    detector, predictor = dlib.get_frontal_face_detector, dlib.shape_predictor
    monkeypatch.setattr(dlib, "get_frontal_face_detector", watched_detector)
    monkeypatch.setattr(dlib, "shape_predictor", lambda path: Watched(predictor(path)))
    aligner = faces.FaceAligner("innerEyesAndBottomLip", SIZE)
    photo = np.pad(collins(), ((30, 40), (50, 60), (0, 0)))[30:-40, 50:-60]
    assert aligner.align(photo).faces == 1
    assert len(gaps) >= 2
    assert not any(gaps)


# --- the landmark model ---


def test_the_default_model_is_found_without_importing_its_package(
    aligner: faces.FaceAligner,
) -> None:
    assert faces.default_predictor().endswith("shape_predictor_68_face_landmarks.dat")
    assert "face_recognition_models" not in sys.modules


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install face_recognition_models.*--dlibFacePred"):
        faces.default_predictor()


def test_files_that_are_no_model_of_68_points_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.dat"
    text.write_text("not a model\n" * 100)
    five = Path(faces.default_predictor()).with_name("shape_predictor_5_face_landmarks.dat")
    cut = tmp_path / "cut.dat"
    cut.write_bytes(Path(faces.default_predictor()).read_bytes()[:1_000_000])
    for path, reason in (
        (text, "not a landmark model"),
        (tmp_path / "missing.dat", "not a landmark model"),
        (cut, "not a landmark model"),
        (tmp_path, "not a landmark model"),
        (five, "of 5 points"),
    ):
        with pytest.raises(UserError, match=reason) as caught:
            faces.load_predictor(str(path))
        assert str(path) in str(caught.value)
        assert "shape_predictor_68_face_landmarks.dat" in str(caught.value)
        assert "\n" not in str(caught.value)


# --- files ---


def test_files_are_aligned_refused_or_left_out_in_their_order(tmp_path: Path) -> None:
    photos = {"bad": b"not an image", "one": hopper(), "none": noise(), "two": None}
    photos["two"] = side_by_side(hopper(), collins())
    jobs = []
    for name, photo in photos.items():
        path = tmp_path / f"{name}.png"
        if isinstance(photo, bytes):
            path.write_bytes(photo)
        else:
            utils.save_image(path, photo)
        jobs.append((str(path), str(tmp_path / f"{name}-aligned.png")))
    bad, *others = faces.align_files(jobs, "innerEyesAndBottomLip", 32, skip_multi=True, workers=2)
    assert (bad.aligned, bad.faces) == (False, 0)
    assert "bad.png: cannot be read as an image" in bad.problem
    one, none, two = others
    assert (one.aligned, one.faces, one.problem) == (True, 1, "")
    assert none == faces.AlignedFile(False, 0)
    assert two == faces.AlignedFile(False, 2)
    assert one.placement == faces.FaceAligner("innerEyesAndBottomLip", 32).align(hopper()).placement
    assert [path.name for path in tmp_path.glob("*-aligned.png")] == ["one-aligned.png"]
    (again,) = faces.align_files(jobs[3:], "innerEyesAndBottomLip", 32)
    assert (again.aligned, again.faces) == (True, 2)


def test_photos_go_on_when_a_worker_is_killed(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    utils.save_image(photo, hopper())
    jobs = ((str(photo), str(tmp_path / f"{i}.png")) for i in range(40))
    results = faces.align_files(jobs, "innerEyesAndBottomLip", 32)
    assert next(results).aligned
    for process in multiprocessing.active_children():
        process.kill()
    assert [result.aligned for result in results] == [True] * 39
