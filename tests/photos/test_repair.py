"""What is pasted back into a photo, where, and what it may depend on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from helpers import save_picture

from dcgan_completion.faces.aligner import FaceAligner
from dcgan_completion.faces.placement import sample
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.masks import PhotoMaskSource
from dcgan_completion.photos.repair import repair
from dcgan_completion.photos.task import Task, TaskMaker
from dcgan_completion.settings.photos import LANDMARKS, PhotoMaskSettings, PhotoSettings
from dcgan_completion.utils import UserError

SIZE = 16
# Three landmarks of a face about 50 pixels wide in the middle of a photo of 120x90.
POINTS = "52,38\n68,36\n61,62\n"


@pytest.fixture(scope="module")
def aligner() -> FaceAligner:
    return FaceAligner(LANDMARKS, SIZE)


def waves(height: int = 90, width: int = 120) -> np.ndarray:
    """A smooth picture, 20..235, float [H, W, 3]."""
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / 17 + k) + np.cos(y / 23 - k) for k in range(3)]
    return 127.5 + 50 * np.stack(planes, axis=-1)


def make(
    folder: Path,
    aligner: FaceAligner,
    pixels: np.ndarray,
    channels: int = 3,
    points: str = POINTS,
    **mask: object,
) -> Task:
    path = save_picture(folder / "photo.png", pixels)
    (folder / "points.txt").write_text(points)
    settings = PhotoSettings.of([str(path)], landmarks=str(folder / "points.txt"))
    source = PhotoMaskSource(PhotoMaskSettings.of(**mask or {"box": [(50, 40, 20, 16)]}))
    return TaskMaker(settings, source, aligner, channels).make(str(path))


@pytest.mark.parametrize("blend", ["none", "poisson", "smooth"])
def test_what_the_photo_showed_comes_back_to_its_place(
    blend: str, aligner: FaceAligner, tmp_path: Path
) -> None:
    pixels = waves().round().astype(np.uint8)
    task = make(tmp_path, aligner, pixels)
    truth = np.stack([sample(waves().astype(np.float32), task.faces[0].matrix, SIZE)])
    after = repair(task, truth, blend, 0).pixels
    hole = task.mask.plane
    np.testing.assert_array_equal(after[~hole], pixels[~hole])
    assert np.abs(after[hole].astype(float) - pixels[hole]).max() < 4


def test_sixteen_bits_are_filled_as_eight_are(aligner: FaceAligner, tmp_path: Path) -> None:
    gray = (257 * waves()[..., 0]).round().astype(np.uint16)
    task = make(tmp_path, aligner, gray)
    assert task.photo.pixels.dtype == np.uint16
    truth = np.stack([sample(waves().astype(np.float32)[..., :1], task.faces[0].matrix, SIZE)])
    after = repair(task, np.repeat(truth, 3, axis=-1), "smooth", 0).pixels[..., 0]
    assert np.abs(after.astype(float) - gray).max() < 4 * 257


def test_the_square_shows_the_photo_and_its_hole(aligner: FaceAligner, tmp_path: Path) -> None:
    pixels = waves().round().astype(np.uint8)
    task = make(tmp_path, aligner, pixels)
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    matrix = task.faces[0].matrix
    places = np.stack([x, y], axis=-1) - matrix[:, 2]
    px, py = np.moveaxis(places @ np.linalg.inv(matrix[:, :2]).T, -1, 0)
    at = pixels[py.round().astype(int), px.round().astype(int)].astype(float)
    assert np.abs(task.squares[0] - at).max() < 8
    deep = (abs(px - 60) < 6) & (abs(py - 48) < 4)
    far = (abs(px - 60) > 16) | (abs(py - 48) > 14)
    assert deep.any()
    assert far.any()
    assert task.square_mask.hole[0, deep].all()
    assert not task.square_mask.hole[0, far].any()


def test_what_lies_outside_the_square_or_is_narrow_is_filled_by_diffusion(
    aligner: FaceAligner, tmp_path: Path
) -> None:
    flat = np.full([90, 120, 3], 100, np.uint8)
    boxes = [(50, 40, 20, 16), (2, 2, 12, 9), (40, 58, 30, 1)]
    task = make(tmp_path, aligner, flat, box=boxes)
    after = repair(task, np.full([1, SIZE, SIZE, 3], 250, np.float32), "none", 0, "none").pixels
    expected = flat.copy()
    expected[40:56, 50:70] = 250
    expected[2:11, 2:14] = after[2:11, 2:14]
    np.testing.assert_array_equal(after[:57], expected[:57])
    np.testing.assert_allclose(after[2:11, 2:14], 100, atol=1)
    assert after[58, 40:70].max() < 250  # from what is above and below it
    share = task.diffused.sum() / task.hole.sum()
    assert share == pytest.approx((12 * 9 + 30) / (20 * 16 + 12 * 9 + 30))


def test_a_ramp_leads_from_the_photo_to_the_face(aligner: FaceAligner, tmp_path: Path) -> None:
    flat = np.full([90, 120, 3], 100, np.uint8)
    hole = {"box": [(54, 44, 12, 8)], "dilate": 4, "feather": True}
    task = make(tmp_path, aligner, flat, **hole)
    after = repair(task, np.full([1, SIZE, SIZE, 3], 200, np.float32), "none", 0, "none").pixels
    row = after[48, 48:61, 0].astype(int)
    assert row[0] == 100
    assert (row[-6:] == 200).all()
    assert (np.diff(row) >= 0).all()
    assert ((row > 100) & (row < 200)).sum() == 4


def test_grain_is_that_of_the_known_part_and_seeded(
    aligner: FaceAligner, tmp_path: Path, random: np.random.Generator
) -> None:
    noise = random.normal(0, 6, [90, 120, 3])
    task = make(tmp_path, aligner, (120 + noise).round().clip(0, 255).astype(np.uint8))
    generated = np.full([1, SIZE, SIZE, 3], 120, np.float32)
    hole = task.mask.plane
    grained = [repair(task, generated, "none", seed, "grain").pixels[hole] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(grained[0], grained[1])
    assert (grained[0] != grained[2]).mean() > 0.5
    assert grained[0].std() == pytest.approx(6, abs=1.5)
    smooth = repair(task, generated, "none", 0, "none").pixels[hole]
    assert (smooth == 120).all()


def test_faces_that_overlap_meet_without_a_seam(aligner: FaceAligner, tmp_path: Path) -> None:
    flat = np.full([90, 120, 3], 100, np.uint8)
    one = make(tmp_path, aligner, flat, box=[(50, 40, 40, 16)])
    other = make(tmp_path, aligner, flat, points="70,38\n86,36\n79,62\n", box=[(50, 40, 40, 16)])
    owner = np.where(np.arange(one.hole.shape[1]) + one.crop[1].start < 70, 0, 1)
    owner = np.where(one.hole, owner, -1).astype(np.int16)
    both = dataclasses.replace(
        one,
        faces=one.faces + other.faces,
        owner=owner,
        diffused=np.zeros_like(one.hole),
    )
    generated = np.stack([np.full([SIZE, SIZE, 3], level, np.float32) for level in (60, 180)])
    after = repair(both, generated, "smooth", 0, "none").pixels.astype(int)
    assert np.abs(np.diff(after[48, 48:92, 0])).max() < 10
    apart = repair(both, generated, "none", 0, "none").pixels.astype(int)
    assert np.abs(np.diff(apart[48, 48:92, 0])).max() == 120


def test_masks_in_the_square_of_a_face_become_a_hole_of_the_photo(
    aligner: FaceAligner, tmp_path: Path
) -> None:
    pixels = waves().round().astype(np.uint8)
    task = make(tmp_path, aligner, pixels, mask_type="left")
    centres = np.argwhere(task.mask.plane)[:, ::-1]
    columns = (centres @ task.faces[0].matrix[:, :2].T + task.faces[0].matrix[:, 2])[:, 0]
    assert columns.max() < SIZE / 2 - 0.5
    assert columns.min() >= -0.5
    other = make(tmp_path / "other", aligner, 255 - pixels, mask_type="random")
    again = make(tmp_path / "again", aligner, pixels, mask_type="random")
    np.testing.assert_array_equal(other.mask.plane, again.mask.plane)
    feathered = make(tmp_path, aligner, pixels, mask_type="center", dilate=2, feather=True)
    ramp = feathered.mask.ramp_plane
    assert (ramp[~feathered.mask.plane] == 0).all()
    assert ((ramp > 0) & (ramp < 1)).any()


def test_a_face_of_which_nothing_is_known_is_refused(aligner: FaceAligner, tmp_path: Path) -> None:
    pixels = waves().round().astype(np.uint8)
    nothing = r"photo\.png: nothing of face 1 is known; "
    with pytest.raises(
        UserError, match=nothing + "76% of the photo is missing: are black and white swapped"
    ):
        make(tmp_path, aligner, pixels, box=[(10, 5, 100, 82)])
    with pytest.raises(UserError, match=nothing + "make the hole smaller"):
        make(tmp_path, aligner, waves(200).round().astype(np.uint8), box=[(10, 5, 100, 82)])
    with pytest.raises(UserError, match=r"photo\.png: the hole touches none"):
        make(tmp_path, aligner, pixels, box=[(0, 0, 5, 5)])


def test_a_model_of_gray_images_takes_gray_photos(aligner: FaceAligner, tmp_path: Path) -> None:
    pixels = waves().round().astype(np.uint8)
    with pytest.raises(UserError, match=r"photo\.png: is in colour, .* with --checkpoint-dir$"):
        make(tmp_path, aligner, pixels, channels=1)
    task = make(tmp_path, aligner, pixels[..., 0], channels=1)
    assert task.squares.shape == (1, SIZE, SIZE, 1)
    after = repair(task, task.squares.astype(np.float32), "smooth", 0)
    assert after.pixels.shape == (90, 120, 1)


def test_transparent_pixels_that_are_filled_become_opaque(
    aligner: FaceAligner, tmp_path: Path
) -> None:
    pixels = np.dstack([waves().round(), np.full([90, 120], 200)]).astype(np.uint8)
    pixels[40:56, 50:70, 3] = 0
    task = make(tmp_path, aligner, pixels, mask_alpha=True)
    after: Photo = repair(task, task.squares.astype(np.float32), "smooth", 0)
    assert (after.alpha[task.mask.plane] == 255).all()
    assert (after.alpha[~task.mask.plane] == 200).all()
