"""Photos repaired by a photo encoder: heads, drawn in squares twice as wide as the face's."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import Run, assert_refused, load_picture, save_encoder, save_picture

from dcgan_completion.faces.aligner import FaceAligner
from dcgan_completion.faces.detection import face_at
from dcgan_completion.faces.heads import head_matrix
from dcgan_completion.faces.placement import sample
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photo_encoder import PhotoEncoder
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.photo_inpainter import PhotoInpainter
from dcgan_completion.photos.repair import repair
from dcgan_completion.photos.task import Task, make_task
from dcgan_completion.settings.photos import LANDMARKS
from dcgan_completion.utils import UserError

SCRIPT = "complete-photo.py"
SIZE = 32  # of the head's square
POINTS = np.array([[52.0, 38], [68, 36], [61, 62]])  # of a face in a photo of 120x90


@pytest.fixture(scope="module")
def model(guided: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with all its encoders."""
    folder = Path(shutil.copytree(guided, tmp_path_factory.mktemp("heads") / "model"))
    save_encoder(PhotoEncoder(image_size=SIZE, width=4, first_size=SIZE), folder, "photo-encoder")
    return folder


@pytest.fixture
def noise(random: np.random.Generator) -> np.ndarray:
    return random.integers(60, 200, [90, 120, 3], np.uint8)


@pytest.fixture(scope="module")
def aligner() -> FaceAligner:
    return FaceAligner(LANDMARKS, 16)


def task_of(
    aligner: FaceAligner,
    pixels: np.ndarray,
    hole: np.ndarray,
    chosen: tuple[np.ndarray, ...] = (POINTS,),
    others: tuple[np.ndarray, ...] = (),
) -> Task:
    faces = [face_at(points, aligner) for points in chosen]
    kept = [face_at(points, aligner) for points in others]
    numbers = range(1, len(faces) + 1)
    photo, mask = Photo(pixels), Mask.of_plane(hole)
    return make_task("photo", photo, mask, (list(numbers), faces), 3, SIZE, kept)


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    hole = np.zeros([90, 120], bool)
    hole[top : top + height, left : left + width] = True
    return hole


def test_what_the_photo_showed_comes_back_beside_the_face_too(aligner: FaceAligner) -> None:
    y, x = np.mgrid[:90, :120]
    waves = 127.5 + 50 * np.stack([np.sin(x / 17 + k) + np.cos(y / 23 - k) for k in range(3)], -1)
    pixels = waves.round().astype(np.uint8)
    hole = box(40, 12, 44, 22)  # forehead and hair
    task = task_of(aligner, pixels, hole)
    assert not task.diffused.any()
    truth = np.stack([sample(waves.astype(np.float32), task.frames[0].matrix, SIZE)])
    after = repair(task, truth, "smooth", 0, detail="none").pixels
    np.testing.assert_array_equal(after[~hole], pixels[~hole])
    assert np.abs(after[hole].astype(float) - pixels[hole]).max() < 6


def test_squares_show_heads_and_what_lies_beyond_the_photo_is_missing(
    aligner: FaceAligner, noise: np.ndarray
) -> None:
    task = task_of(aligner, noise, box(55, 40, 10, 10))
    assert task.heads
    assert task.squares.shape == (1, SIZE, SIZE, 3)
    matrix = head_matrix(task.faces[0].matrix, 16, SIZE)
    np.testing.assert_allclose(task.frames[0].matrix, matrix)
    # The photo's lower edge lies in the square's last rows: below it nothing is known.
    row = (matrix[:, :2] @ [60, 89.5] + matrix[:, 2])[1]
    assert SIZE - 3 < row < SIZE - 1
    assert task.square_mask.hole[0, SIZE - 1, SIZE // 2]
    assert not task.square_mask.hole[0, SIZE - 5, SIZE // 2]


def test_a_face_comes_before_the_head_around_another(
    aligner: FaceAligner, noise: np.ndarray
) -> None:
    other = POINTS - [40, 0]
    hole = box(10, 30, 90, 20)
    task = task_of(aligner, noise, hole, (POINTS, other))
    alone = [task_of(aligner, noise, hole, (points,)) for points in (POINTS, other)]
    faces = [make_task("photo", Photo(noise), one.mask, ([1], one.faces), 3).owner for one in alone]
    for number, tight in enumerate(faces):
        only = (tight >= 0) & (faces[1 - number] < 0)
        assert only.any()
        assert (task.owner[only] == number).all()


def test_no_head_is_drawn_over_a_face_that_is_left_out(
    aligner: FaceAligner, noise: np.ndarray
) -> None:
    other = POINTS - [40, 0]
    hole = box(10, 30, 90, 20)
    task = task_of(aligner, noise, hole, (POINTS,), (other,))
    reach = make_task("photo", Photo(noise), task.mask, ([1], [face_at(other, aligner)]), 3).owner
    own = make_task("photo", Photo(noise), task.mask, ([1], task.faces), 3).owner
    theirs = (reach >= 0) & (own < 0)
    assert theirs.any()
    assert (task.owner[theirs] == -1).all()
    assert task.diffused[theirs].all()
    free = task_of(aligner, noise, hole)
    assert (free.owner[theirs] == 0).any()


def test_a_face_of_which_only_hair_is_known_is_drawn(
    aligner: FaceAligner, noise: np.ndarray
) -> None:
    hole = box(22, 16, 76, 74)  # all of the face's square
    task = task_of(aligner, noise, hole)
    assert not task.square_mask.hole.all()
    with pytest.raises(UserError, match="nothing of face 1 is known"):
        make_task("photo", task.photo, task.mask, ([1], task.faces), 3)
    with pytest.raises(UserError, match="nothing of the head around face 1 is known"):
        task_of(aligner, noise, ~box(0, 0, 1, 90))


# --- as a command, and as a library ---


@pytest.fixture
def repair_by(model: Path, tmp_path: Path, run_here: Run, noise: np.ndarray) -> Run:
    save_picture(tmp_path / "photo.png", noise)
    (tmp_path / "points.txt").write_text("52,38\n68,36\n61,62\n")
    words = ("photo.png", "--box", "44,30,30,30", "--landmarks", "points.txt")

    def run(*more: object, folder: str, checkpoint: Path = model) -> np.ndarray:
        options = ("--checkpoint-dir", checkpoint, "--precision", "float32", "--out-dir", folder)
        done = run_here(*words, *options, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return load_picture(tmp_path / folder / "final" / "photo.png")

    return run


def test_auto_and_direct_are_the_photo_encoders(repair_by: Run, guided: Path) -> None:
    direct = repair_by("--approach", "direct", folder="a")
    np.testing.assert_array_equal(direct, repair_by(folder="b"))
    without = repair_by("--approach", "direct", folder="c", checkpoint=guided)
    assert (direct != without).any()


def test_samples_of_direct_differ_and_the_first_is_the_result(
    repair_by: Run, tmp_path: Path
) -> None:
    best = repair_by("--approach", "direct", "--samples", 2, folder="a")
    first, second = (load_picture(tmp_path / f"a/samples/photo/{i}.png") for i in (1, 2))
    np.testing.assert_array_equal(best, first)
    assert (first != second).any()
    np.testing.assert_array_equal(first, repair_by(folder="b"))
    assert (first != repair_by("--seed", 1, folder="c")).any()


def test_without_a_photo_encoder_direct_makes_one_sample(
    guided: Path, tmp_path: Path, run_here: Run, noise: np.ndarray
) -> None:
    save_picture(tmp_path / "photo.png", noise)
    words = ("photo.png", "--box", "44,30,30,30", "--approach", "direct", "--samples", 2)
    done = run_here(*words, "--checkpoint-dir", guided, cwd=tmp_path)
    assert_refused(done, "--samples 2", "makes one completion of an image")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_searches_that_were_asked_for_are_the_dcgans(
    repair_by: Run, model: Path, guided: Path
) -> None:
    for number, options in enumerate((("--n-iter", 2), ("--approach", "pgd", "--n-iter", 2))):
        here, before = (
            repair_by(*options, folder=f"{number}{name}", checkpoint=path)
            for name, path in (("a", model), ("b", guided))
        )
        np.testing.assert_array_equal(here, before)


def test_the_library_is_the_command(model: Path, noise: np.ndarray, repair_by: Run) -> None:
    inpainter = PhotoInpainter.from_pretrained(str(model), precision="float32")
    repaired = inpainter(noise, box(44, 30, 30, 30), landmarks=POINTS, samples=2)
    expected = repair_by("--samples", 2, folder="a")
    np.testing.assert_array_equal(np.asarray(repaired.image), expected)
    assert len(repaired.samples) == 2


def test_nothing_under_the_hole_matters_and_nothing_outside_changes(
    model: Path, noise: np.ndarray
) -> None:
    hole = box(44, 6, 36, 50)
    inpainter = PhotoInpainter.from_pretrained(str(model), precision="float32")
    results = [
        np.asarray(inpainter(photo, hole, landmarks=POINTS).image)
        for photo in (noise, np.where(hole[..., np.newaxis], 255 - noise, noise))
    ]
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(results[0][~hole], noise[~hole])
    assert (results[0][hole] != noise[hole]).any()


def test_a_photo_encoder_of_other_channels_is_refused(
    model: Path, noise: np.ndarray, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    shutil.rmtree(folder / "photo-encoder")
    gray = PhotoEncoder(image_size=SIZE, channels=1, width=4, first_size=SIZE)
    save_encoder(gray, folder, "photo-encoder")
    inpainter = PhotoInpainter.from_pretrained(str(folder))
    with pytest.raises(ValueError, match="photo encoder is for images of 1 channels"):
        inpainter(noise, box(44, 30, 30, 30), landmarks=POINTS)
