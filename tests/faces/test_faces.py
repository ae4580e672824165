"""Detection, landmarks and the warp to the mean face.

The portraits are in the public domain: Grace Hopper (US Navy), Eileen Collins (NASA).
"""

from __future__ import annotations

import doctest
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
from test_placement import blobs, centroids

from dcgan_completion import utils
from dcgan_completion.faces import aligner as faces
from dcgan_completion.faces import folder as folders
from dcgan_completion.faces.aligner import FaceAligner, align
from dcgan_completion.faces.placement import affine_image, alignment_matrix
from dcgan_completion.faces.template import TEMPLATE
from dcgan_completion.settings.alignment import LANDMARK_SETS, AlignmentSettings
from dcgan_completion.utils import UserError

SIZE = 96
INNER = "innerEyesAndBottomLip"


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


def landmarks_of_crop(aligner: FaceAligner, crop: np.ndarray) -> np.ndarray:
    """The 68 landmarks of an aligned face as shares of its edge, found anew in it."""
    # The detector wants some room around a face.
    large = np.pad(resized(crop, 288, 288), ((96, 96), (96, 96), (0, 0)), mode="edge")
    (found,) = aligner.detect(large)
    return (aligner.landmarks(large, found.box) - 96) / 288


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return np.abs(one.astype(float) - other.astype(float)).mean()


@pytest.fixture(scope="module")
def aligner() -> FaceAligner:
    return FaceAligner(INNER, SIZE)


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


def test_template_has_the_published_landmarks_in_the_unit_square() -> None:
    assert TEMPLATE.shape == (68, 2)
    np.testing.assert_allclose(TEMPLATE.min(0), [0, 0], atol=1e-12)
    np.testing.assert_allclose(TEMPLATE.max(0), [1, 1], atol=1e-12)
    wanted = (np.array([*PUBLISHED.values()]) - LEAST) / (LARGEST - LEAST)
    np.testing.assert_allclose(TEMPLATE[[*PUBLISHED]], wanted, atol=2e-6)
    assert LANDMARK_SETS == {INNER: (39, 42, 57), "outerEyesAndNose": (36, 45, 33)}


@pytest.mark.parametrize("power", SUMS)
def test_template_has_the_published_sums(power: int) -> None:
    published = TEMPLATE * (LARGEST - LEAST) + LEAST
    weights = np.arange(68.0) ** power
    # Six digits of every landmark are kept.
    np.testing.assert_allclose(weights @ published, SUMS[power], atol=1e-6 * weights.sum())


# --- the matrix, and the affine image ---


def warp(photo: np.ndarray, points: np.ndarray, template: np.ndarray, size: int) -> np.ndarray:
    return affine_image(photo, alignment_matrix(points, template, size), size)


def affine_through(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The matrix [2, 3] that takes three points to their targets, from its six equations."""
    homogeneous = np.column_stack([points, np.ones(3)])
    return np.linalg.solve(homogeneous, targets).T


@pytest.mark.parametrize("edge", [200, 700])
@pytest.mark.parametrize("names", LANDMARK_SETS)
def test_warp_brings_the_points_to_their_places(names: str, edge: int) -> None:
    template = TEMPLATE[list(LANDMARK_SETS[names])]
    # A face that leans to one side: neither a shift nor a scaling.
    points = edge * np.array([[0.38, 0.44], [0.66, 0.36], [0.58, 0.68]])
    photo = np.rint(255 * blobs(points, (edge, edge), edge / 60)).astype(np.uint8)
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
    template = TEMPLATE[list(LANDMARK_SETS[INNER])]
    points = np.array([[310.0, 420], [533, 390], [480, 731]])
    points = points[[1, 0, 2]] if mirrored else points
    matrix = alignment_matrix(points, template, 64)
    np.testing.assert_allclose(matrix, affine_through(points, 64 * template), atol=1e-4)
    assert (np.linalg.det(matrix[:, :2]) < 0) == mirrored


@pytest.mark.parametrize("height", [0, 0.04])
def test_landmarks_nearly_on_a_line_are_refused(height: float) -> None:
    template = TEMPLATE[list(LANDMARK_SETS[INNER])]
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    points = np.array([[0, 0], [100, 0], [30, 100 * height]]) @ turn + 500
    with pytest.raises(UserError, match="nearly on a line"):
        alignment_matrix(points, template, 64)
    points = np.array([[0, 0], [100, 0], [30, 6]]) @ turn + 500
    assert np.isfinite(alignment_matrix(points, template, 64)).all()


def test_an_aligned_face_says_where_it_was(aligner: FaceAligner) -> None:
    face = aligner.align_largest(hopper())
    template = SIZE * TEMPLATE[list(LANDMARK_SETS[INNER])]
    places = np.column_stack([face.landmarks, np.ones(3)]) @ face.matrix.T
    np.testing.assert_allclose(places, template, atol=1e-3)
    np.testing.assert_array_equal(face.image, affine_image(hopper(), face.matrix, SIZE))
    boxes, scores, _ = dlib.get_frontal_face_detector().run(hopper(), 0, 0.0)
    assert [face.score] == list(scores)
    assert boxes[0].contains(dlib.point(*face.landmarks[0].astype(int)))


# --- alignment ---


@pytest.mark.parametrize("landmarks", LANDMARK_SETS)
@pytest.mark.parametrize("portrait", [hopper, collins])
def test_landmarks_of_the_result_are_the_templates(landmarks: str, portrait) -> None:
    aligner = FaceAligner(landmarks, SIZE)
    image = aligner.align_largest(portrait()).image
    assert image.shape == (SIZE, SIZE, 3)
    found = landmarks_of_crop(aligner, image)
    indices = list(LANDMARK_SETS[landmarks])
    np.testing.assert_allclose(found[indices], TEMPLATE[indices], atol=0.04)


@pytest.mark.parametrize(("degrees", "factor"), [(12, 1), (-15, 0.8), (0, 1.6), (8, 2.2)])
@pytest.mark.parametrize("portrait", [hopper, collins])
def test_rotation_and_scale_of_the_photo_hardly_matter(
    aligner: FaceAligner, portrait, degrees: float, factor: float
) -> None:
    original = aligner.align_largest(portrait()).image
    changed = aligner.align_largest(rotated(scaled(portrait(), factor), degrees)).image
    # Mirrored faces differ by 30 and 48, the two people by 54.
    assert difference(changed, original) < 20
    eyes_and_lip = [39, 42, 57]
    found = landmarks_of_crop(aligner, changed)[eyes_and_lip]
    np.testing.assert_allclose(found, TEMPLATE[eyes_and_lip], atol=0.04)


def test_the_largest_of_two_faces_is_taken(aligner: FaceAligner) -> None:
    hers, other = (aligner.align_largest(photo).image for photo in (hopper(), collins()))
    small, large = scaled(collins(), 0.7), scaled(collins(), 1.8)
    for photo, wanted, unwanted in (
        (side_by_side(hopper(), small), hers, other),
        (side_by_side(small, hopper()), hers, other),
        (side_by_side(scaled(hopper(), 0.6), large), other, hers),
        # The detector is surer of the smaller face, and names it first.
        (side_by_side(rotated(hopper(), 15), scaled(collins(), 0.8)), hers, other),
        (side_by_side(scaled(hopper(), 0.8), rotated(large, 18)), other, hers),
    ):
        assert len(aligner.detect(photo)) == 2
        image = aligner.align_largest(photo).image
        assert difference(image, wanted) < 20
        assert difference(image, unwanted) > 40


def test_noise_has_no_face(aligner: FaceAligner) -> None:
    assert aligner.align_largest(noise()) is None


def test_a_small_face_is_found_at_twice_the_size(aligner: FaceAligner) -> None:
    small = scaled(collins(), 0.5)
    assert not dlib.get_frontal_face_detector()(small, 0)
    assert len(aligner.detect(small)) == 1
    image = aligner.align_largest(small).image
    assert difference(image, aligner.align_largest(collins()).image) < 20


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
    aligner = FaceAligner(INNER, SIZE)
    photo = np.pad(collins(), ((30, 40), (50, 60), (0, 0)))[30:-40, 50:-60]
    assert aligner.align_largest(photo) is not None
    assert len(gaps) >= 2
    assert not any(gaps)


# --- align() ---


def test_align_gives_all_faces_from_left_to_right() -> None:
    people = {"left": hopper(), "right": scaled(collins(), 1.5)}
    alone = {name: align(photo, size=SIZE)[0][0] for name, photo in people.items()}
    for order in (("left", "right"), ("right", "left")):
        photo = side_by_side(*(people[name] for name in order))
        images, matrices = align(photo, size=SIZE)
        assert (images.shape, images.dtype) == ((2, SIZE, SIZE, 3), np.uint8)
        assert (matrices.shape, matrices.dtype) == ((2, 2, 3), np.float64)
        for name, image, matrix in zip(order, images, matrices, strict=True):
            np.testing.assert_array_equal(image, affine_image(photo, matrix, SIZE))
            away = {other: difference(image, alone[other]) for other in alone}
            assert name == min(away, key=away.get)
        largest = align(photo, size=SIZE, largest=True)
        for all_faces, found in zip((images, matrices), largest, strict=True):
            np.testing.assert_array_equal(found, all_faces[[order.index("right")]])
    nothing = align(noise())
    assert [found.shape for found in nothing] == [(0, 64, 64, 3), (0, 2, 3)]


def test_align_takes_files_pictures_and_arrays_and_writes_what_the_command_writes(
    tmp_path: Path,
) -> None:
    photo = np.dstack([collins(), np.full(collins().shape[:2], 255, np.uint8)])
    photo[:, :40, 3] = 90
    picture = Image.fromarray(photo)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "raw").mkdir()
    path = tmp_path / "raw" / "a.png"
    picture.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    settings = AlignmentSettings(str(path.parent), str(tmp_path), "outerEyesAndNose", 48, workers=1)
    ((row, _),) = folders.align_photos([("a.png", "b.png")], settings)
    written = utils.load_image(tmp_path / "b.png")
    with Image.open(path) as opened:
        for given in (path, str(path), opened, picture, utils.load_image(path)):
            images, matrices = align(given, size=48, landmarks="outerEyesAndNose")
            np.testing.assert_array_equal(images, [written])
            printed = np.array(row.matrix.split(), float).reshape(2, 3)
            np.testing.assert_allclose(matrices[0], printed, rtol=1e-9)
    gray = np.asarray(Image.fromarray(collins()).convert("L"))
    np.testing.assert_array_equal(align(gray)[0], align(Image.fromarray(gray))[0])


@pytest.mark.parametrize(
    ("photo", "options", "words"),
    [
        ("missing.png", {}, "missing.png: no such file"),
        (3, {}, "photo: is int"),
        (noise() / 255, {}, r"photo: is float64 \[120, 120, 3\]; give uint8"),
        (noise()[..., :2], {}, r"photo: is uint8 \[120, 120, 2\]"),
        (noise(), {"size": 0}, "size=0: is not a whole number of pixels from 1 to 4096"),
        (noise(), {"size": 64.0}, "size=64.0"),
        (noise(), {"landmarks": "nose"}, "landmarks='nose': is none of innerEyesAndBottomLip, "),
    ],
)
def test_align_names_a_wrong_argument(photo: object, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        align(photo, **options)


def test_the_example_of_align_is_true() -> None:
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    (example,) = [test for test in finder.find(align, "align", globs={}) if test.examples]
    assert runner.run(example).failed == 0


# --- the landmark model ---


def test_the_default_model_is_found_without_importing_its_package(
    aligner: FaceAligner,
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


def test_photos_go_on_when_a_worker_is_killed(tmp_path: Path) -> None:
    utils.save_image(tmp_path / "photo.png", hopper())
    jobs = (("photo.png", f"{i}.png") for i in range(40))
    settings = AlignmentSettings(str(tmp_path), str(tmp_path), INNER, 32, workers=1)
    results = folders.align_photos(jobs, settings)
    assert next(results)[0].status == "aligned"
    for process in multiprocessing.active_children():
        process.kill()
    assert [row.status for row, _ in results] == ["aligned"] * 39


def test_too_many_pixels_name_what_sets_the_limit(tmp_path: Path) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.png")
    utils.limit_pixels(100)
    with pytest.raises(
        utils.UserError, match=r"a\.png: .* \(dcgan_completion\.utils\.limit_pixels\)$"
    ):
        align(tmp_path / "a.png")
