"""Detail transfer: what it restores, sharpens and refuses, and what it may depend on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from dcgan_completion.devices import Precision
from dcgan_completion.faces.detection import GIVEN, FoundFace
from dcgan_completion.faces.placement import alignment_matrix, sample, scale_of
from dcgan_completion.faces.template import TEMPLATE
from dcgan_completion.masks.boxes import bounding_box
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photos import detail, face_grid, mirror, patches, run
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.output_folder import PhotoFolder
from dcgan_completion.photos.repair import repair
from dcgan_completion.photos.task import Task, make_task
from dcgan_completion.resuming import earlier_precision
from dcgan_completion.settings.alignment import LANDMARK_SETS
from dcgan_completion.settings.photos import GRAIN, LANDMARKS, NONE, TRANSFER, PhotoSettings
from dcgan_completion.utils import UserError

SIZE = 64
SCALE = 2.2  # pixels of the photo per pixel of the square
SHAPE = 200, 190
POINTS = TEMPLATE[list(LANDMARK_SETS[LANDMARKS])]
RIGHT = (slice(76, 124), slice(106, 150))  # rows and columns of one cheek and eye


def face_of(scale: float = SCALE, left: float = 22.0, top: float = 30.0) -> FoundFace:
    landmarks = scale * SIZE * POINTS + [left, top]
    matrix = alignment_matrix(landmarks, POINTS, SIZE)
    return FoundFace((0, 0, 1, 1), landmarks, matrix, SIZE, None, GIVEN)


def swapped(face: FoundFace, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in the photo, mirrored by the map that swaps the inner corners of the eyes."""
    points = face.landmarks
    sides = np.linalg.solve(np.c_[points, np.ones(3)], points[[1, 0, 2]])
    return tuple(np.moveaxis(np.stack([x, y, np.ones_like(x)], axis=-1) @ sides, -1, 0))


def waves(x: np.ndarray, y: np.ndarray, lengths: tuple[float, float], seed: int) -> np.ndarray:
    """A sum of plane waves of random directions, standard deviation 1, float64 [H, W]."""
    random = np.random.default_rng(seed)
    total = np.zeros_like(x)
    for _ in range(24):
        angle, phase = random.uniform(0, 2 * np.pi, 2)
        k = 2 * np.pi / random.uniform(*lengths)
        total += np.sin(k * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return total / np.sqrt(12)


def texture(face: FoundFace, fine: float = 8.0) -> np.ndarray:
    """A photo, [H, W, 3] around 120, that is its own mirror image, coarse and fine."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    total = np.zeros(SHAPE)
    for places in ((x, y), swapped(face, x, y)):
        total += 14 * waves(*places, (12 * SCALE, 24 * SCALE), 1)
        total += fine / np.sqrt(2) * waves(*places, (4.0, 7.0), 2)
    return 120 + total[..., np.newaxis] * [1.0, 0.8, 0.7]


def blurred(pixels: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), 2 * SCALE).reshape(pixels.shape)


def hole_at(place: tuple[slice, slice] = RIGHT) -> np.ndarray:
    hole = np.zeros(SHAPE, bool)
    hole[place] = True
    return hole


def task_of(pixels: np.ndarray, face: FoundFace, hole: np.ndarray | None = None) -> Task:
    hole = hole_at() if hole is None else hole
    photo = Photo(pixels if pixels.ndim == 3 else pixels[..., np.newaxis])
    return make_task("photo", photo, Mask.of_plane(hole), ([1], [face]), 3)


def estimate_of(pixels: np.ndarray, face: FoundFace) -> np.ndarray:
    """Candidates for the square: the photo, blurred."""
    return sample(blurred(pixels), face.matrix, SIZE)[np.newaxis]


def bytes_of(pixels: np.ndarray) -> np.ndarray:
    return pixels.round().clip(0, 255).astype(np.uint8)


def fine_of(pixels: np.ndarray) -> np.ndarray:
    """What of a photo is finer than the model's pixels, well within the hole."""
    gray = pixels.astype(np.float32).mean(axis=-1)
    inner = cv2.erode(hole_at().astype(np.uint8), np.ones([13, 13], np.uint8)) > 0
    return (gray - cv2.GaussianBlur(gray, (0, 0), 1.5 * SCALE))[inner]


@pytest.fixture(scope="module")
def face() -> FoundFace:
    return face_of()


@pytest.fixture(scope="module")
def symmetric(face: FoundFace) -> np.ndarray:
    return texture(face)


def test_the_mirror_image_restores_a_symmetric_face(face: FoundFace, symmetric: np.ndarray) -> None:
    pixels, hole = bytes_of(symmetric), hole_at()
    visible = np.where(hole[..., np.newaxis], 0, pixels)
    task, estimate = task_of(visible, face), estimate_of(symmetric, face)
    results = {how: repair(task, estimate, "smooth", 0, how).pixels for how in (NONE, TRANSFER)}
    true = fine_of(pixels)
    assert np.corrcoef(fine_of(results[NONE]), true)[0, 1] < 0.5
    found = fine_of(results[TRANSFER])
    assert np.corrcoef(found, true)[0, 1] > 0.9
    assert found.std() == pytest.approx(true.std(), rel=0.25)
    errors = {how: (after.astype(float) - symmetric)[hole].std() for how, after in results.items()}
    assert errors[TRANSFER] < 0.5 * errors[NONE]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_under_the_hole_counts_and_nothing_else_changes(
    dtype: type, channels: int, face: FoundFace, symmetric: np.ndarray, random: np.random.Generator
) -> None:
    peak, hole = np.iinfo(dtype).max, hole_at()
    pixels = (symmetric[..., :channels] * (peak / 255)).round().astype(dtype)
    estimate, results = estimate_of(symmetric, face), []
    threads = cv2.getNumThreads()
    for number in (1, 2, 2):
        pixels[hole] = random.integers(0, peak + 1, [hole.sum(), channels], dtype)
        before = pixels.copy()
        cv2.setNumThreads(number)
        results.append(repair(task_of(pixels, face), estimate, "smooth", 0).pixels)
        np.testing.assert_array_equal(pixels, before)
    cv2.setNumThreads(threads)
    for after in results:
        assert (after.dtype, after.shape) == (dtype, (*SHAPE, channels))
        np.testing.assert_array_equal(after[~hole], pixels[~hole])
        np.testing.assert_array_equal(after, results[0])
    np.testing.assert_array_equal(
        repair(task_of(pixels, face), estimate, "smooth", 9).pixels, after
    )
    true = fine_of(symmetric[..., :channels])
    assert np.corrcoef(fine_of(after / (peak / 255)), true)[0, 1] > 0.85
    if dtype is np.uint16:
        assert (after[hole] % 257 != 0).mean() > 0.9  # more than 8 bits are used


def trust_in(photo: np.ndarray, filled: np.ndarray, face: FoundFace) -> np.ndarray:
    """The trust in the mirror image within the hole of a photo that is filled."""
    hole = hole_at()
    photo = bytes_of(np.where(hole[..., np.newaxis], filled, photo))
    grid = face_grid.FaceGrid.of(photo, ~hole, face.matrix, SIZE)
    inner = cv2.erode(hole.astype(np.uint8), np.ones([15, 15], np.uint8)) > 0
    return mirror.find_mirror(grid).trust[grid.in_grid(inner)]


def test_the_mirror_is_trusted_where_it_looks_like_the_estimate_alone(
    face: FoundFace, symmetric: np.ndarray
) -> None:
    soft = blurred(symmetric)
    assert trust_in(symmetric, soft, face).mean() > 0.9
    # Something else.
    assert trust_in(symmetric, 240 - soft, face).mean() < 0.1
    # The mirror image has edges, of an ear or a collar, of which the estimate shows a hint.
    collar = 120 + 3 * (symmetric - 120)
    assert trust_in(collar, blurred(collar), face).mean() > 0.9
    assert trust_in(collar, 120 + 0.05 * (blurred(collar) - 120), face).mean() < 0.2
    # Another colour; that of light from one side is none.
    assert trust_in(symmetric, soft * [0.6, 1.0, 1.4], face).mean() < 0.1
    assert trust_in(symmetric, 0.8 * soft, face).mean() > 0.9


def test_nothing_of_the_mirror_is_trusted_beyond_the_photo_or_under_the_hole(
    face: FoundFace, symmetric: np.ndarray
) -> None:
    soft = blurred(symmetric)
    middle = hole_at((slice(60, 140), slice(45, 145)))  # its mirror image is itself
    photo = bytes_of(np.where(middle[..., np.newaxis], soft, symmetric))
    grid = face_grid.FaceGrid.of(photo, ~middle, face.matrix, SIZE)
    found = mirror.find_mirror(grid)
    deep = cv2.erode(middle.astype(np.uint8), np.ones([25, 25], np.uint8)) > 0
    assert found.trust[grid.in_grid(deep)].max() < 0.05
    assert not found.known[grid.in_grid(deep)].any()
    near = face_of(left=-40.0)  # half of the face lies beyond the photo's left border
    grid = face_grid.FaceGrid.of(bytes_of(symmetric), np.ones(SHAPE, bool), near.matrix, SIZE)
    u, _ = face_grid.in_units()
    beyond = np.broadcast_to(u < 40 / SCALE - 2, grid.known.shape)
    assert not grid.known[beyond].any()
    assert not mirror.find_mirror(grid).known[:, (u > 55)[0] & (u < 63)[0]].any()


def test_skin_comes_from_patches_where_there_is_no_mirror_image(
    face: FoundFace, random: np.random.Generator
) -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
    noise = cv2.GaussianBlur(random.normal(0, 20, SHAPE), (0, 0), 1)
    smooth = 120 + 20 * waves(x, y, (80.0, 160.0), 4)
    skin = bytes_of(np.repeat((smooth + noise)[..., np.newaxis], 3, axis=-1))
    hole = hole_at((slice(60, 150), slice(45, 140)))
    skin[hole] = 0
    estimate = np.repeat(smooth[..., np.newaxis], 3, axis=-1)
    task = task_of(skin, face, hole)
    candidates = sample(estimate.astype(np.float32), face.matrix, SIZE)[np.newaxis]
    after = repair(task, candidates, "smooth", 0).pixels.astype(float)
    deep = cv2.erode(hole.astype(np.uint8), np.ones([9, 9], np.uint8)) > 0
    rest = (after[..., 0] - smooth)[deep]
    true = noise - cv2.GaussianBlur(noise, (0, 0), patches.SPLIT * SCALE)
    assert rest.std() == pytest.approx(true.std(), rel=0.25)  # patches that overlap are means
    # It is the photo's own: neighbours correlate as there.
    plane, pairs = np.where(deep, after[..., 0] - smooth, 0), deep[:, 1:] & deep[:, :-1]
    beside = (plane[:, 1:] * plane[:, :-1])[pairs].mean() / rest.var()
    wanted = (true[:, 1:] * true[:, :-1]).mean() / true.var()
    assert beside == pytest.approx(wanted, abs=0.1)


def test_patches_come_from_known_places(face: FoundFace, symmetric: np.ndarray) -> None:
    hole = hole_at()
    grid = face_grid.FaceGrid.of(bytes_of(symmetric), ~hole, face.matrix, SIZE)
    image = mirror.find_mirror(grid)
    low = patches.low_of(grid.image)
    needed = grid.in_grid(hole)
    found = patches.find_patches(grid, image, low, needed)
    assert (found.layer >= 0).sum() > needed.sum() / patches.STEP**2
    sources = {0: grid.known, 1: image.known}
    for i, j in np.argwhere(found.layer >= 0):
        x, y = (patches.STEP * np.array([j, i]) + found.moved[i, j]).astype(int)
        window = (
            slice(y - patches.STEP, y + patches.STEP + 1),
            slice(x - patches.STEP, x + patches.STEP + 1),
        )
        assert sources[found.layer[i, j]][window].all()
    nothing = patches.find_patches(grid, image, low, np.zeros_like(needed))
    assert (nothing.layer == -1).all()


@pytest.mark.parametrize("wave", [3.0, 6.0, 12.0, 24.0, 48.0])
def test_octaves_are_sharpened_by_their_gains(wave: float) -> None:
    unit = 2.5
    _, x = np.mgrid[:160, :320].astype(np.float32)
    estimate = (120 + 30 * np.sin(2 * np.pi * x / wave))[..., np.newaxis]
    part = np.zeros([160, 320], bool)
    part[20:140, 20:300] = True
    sharp = detail.sharpen(estimate, part, unit)[..., 0]
    np.testing.assert_array_equal(sharp[~part], estimate[~part][..., 0])
    # A Gaussian leaves exp(-(2 pi sigma / wave)^2 / 2) of a sinusoid.
    left = np.exp(-0.5 * np.square(2 * np.pi * unit * np.array(detail.OCTAVES) / wave))
    gain = 1 + np.sum((np.array(detail.GAINS) - 1) * (left[:-1] - left[1:]))
    middle = np.s_[60:100, 80:240]
    basis = np.sin(2 * np.pi * x[middle] / wave)
    found = np.sum((sharp[middle] - 120) * basis) / np.square(basis).sum() / 30
    assert found == pytest.approx(gain, abs=0.02)


@pytest.mark.parametrize("sigma", [1.0, 5.0, 9.0, 30.0])
def test_wide_blurs_in_a_reduced_copy_are_gaussian(
    sigma: float, random: np.random.Generator
) -> None:
    image = cv2.GaussianBlur(random.normal(0, 200, [400, 300]).astype(np.float32), (0, 0), 4)
    exact = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    assert np.abs(face_grid.blur(image, sigma) - exact).max() < 0.06 * exact.std()
    assert face_grid.blur(image[..., np.newaxis], sigma).shape == (400, 300, 1)


def test_small_faces_get_grain_as_before(symmetric: np.ndarray) -> None:
    small = face_of(0.95, 60, 60)
    assert scale_of(small.matrix) < 1
    pixels, hole = bytes_of(symmetric), hole_at((slice(80, 100), slice(80, 100)))
    task = task_of(pixels, small, hole)
    estimate = estimate_of(symmetric, small)
    transferred, grained = (
        repair(task, estimate, "smooth", 3, how).pixels for how in (TRANSFER, GRAIN)
    )
    np.testing.assert_array_equal(transferred, grained)
    assert (grained != repair(task, estimate, "smooth", 3, NONE).pixels).any()


def test_what_lies_beyond_the_face_gets_grain(face: FoundFace, symmetric: np.ndarray) -> None:
    noisy = symmetric + np.random.default_rng(0).normal(0, 6, symmetric.shape)
    corner = np.s_[2:16, 2:20]
    hole = hole_at() | hole_at(corner)
    task = task_of(bytes_of(noisy), face, hole)
    estimate = estimate_of(symmetric, face)
    first, second = (repair(task, estimate, "smooth", seed).pixels for seed in (0, 1))
    changed = (first != second).any(axis=-1)
    assert changed[corner].mean() > 0.5
    assert not changed[RIGHT].any()


def test_a_huge_face_is_sampled_from_a_reduced_copy(symmetric: np.ndarray) -> None:
    face = face_of()
    grid = face_grid.FaceGrid.of(bytes_of(symmetric), np.ones(SHAPE, bool), face.matrix, SIZE)
    times = 5
    pixels = cv2.resize(bytes_of(symmetric), None, fx=times, fy=times)
    matrix = face.matrix.copy()
    matrix = np.column_stack(
        [matrix[:, :2] / times, matrix[:, 2] + matrix[:, :2] @ (2 * [0.5 / times - 0.5])]
    )
    large = face_grid.FaceGrid.of(pixels, np.ones(pixels.shape[:2], bool), matrix, SIZE)
    assert large.unit > face_grid.LARGE
    both = large.known & grid.known
    box = bounding_box(both)
    difference = blurred(large.image[box]) - blurred(grid.image[box])
    assert np.abs(difference).max() < 1.5


# --- options ---


def test_no_grain_is_detail_none() -> None:
    assert PhotoSettings.of(["a.png"]).detail is None
    for given in ({"no_grain": True}, {"detail": NONE}, {"no_grain": True, "detail": NONE}):
        settings = PhotoSettings.of(["a.png"], **given)
        assert (settings.detail, settings.no_grain) == (NONE, True)
    assert not PhotoSettings.of(["a.png"], detail=TRANSFER).no_grain
    for how in (TRANSFER, GRAIN):
        with pytest.raises(UserError, match=f"--no-grain .* contradicts --detail {how}"):
            PhotoSettings.of(["a.png"], no_grain=True, detail=how)


def test_a_run_that_an_earlier_version_began_ends_as_it_began(tmp_path: Path) -> None:
    (tmp_path / "final").mkdir()
    out, recorded = PhotoFolder(str(tmp_path)), {"guide": None, "mix": None, "seed": 3}
    precision, others = (
        Precision("auto", "float32"),
        {"context_encoder": None, "photo_encoder": None},
    )
    for words, how in (({}, GRAIN), ({"no_grain": True}, NONE)):
        asked = PhotoSettings.of(["a.png"], **words)
        earlier = recorded | {"no_grain": asked.no_grain}
        config = {"program": "dcgan-completion", "photos": {"finished": False}, "options": earlier}
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert run.with_detail(asked, out).detail == how
        assert run.with_detail(dataclasses.replace(asked, detail=TRANSFER), out).detail == TRANSFER
        for now in (TRANSFER, GRAIN, NONE):
            options = earlier | others | {"detail": now}
            assert (earlier_precision(earlier, options, precision) is not None) == (now == how)
    (tmp_path / "config.json").unlink()
    (tmp_path / "final").rmdir()
    assert run.with_detail(PhotoSettings.of(["a.png"]), out).detail == TRANSFER
