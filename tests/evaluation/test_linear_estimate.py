"""The linear estimate against a dense Gaussian of an explicitly mirrored set, in float64."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from helpers import contents
from metrics_helpers import RecordedProgress

from dcgan_completion import utils
from dcgan_completion.evaluation import face_sets, linear_estimate
from dcgan_completion.evaluation.linear_estimate import NOISE, LinearEstimate
from dcgan_completion.masks.mask import Mask
from dcgan_completion.utils import UserError

SIZE = 8


def draw_faces(number: int, channels: int = 3, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """Images of a few factors that are not symmetric, and noise: uint8 [number, size, size, C]."""
    random = np.random.default_rng(seed)
    values = size * size * channels
    factors = np.random.default_rng(99).normal(size=[12, values]) * np.linspace(14, 3, 12)[:, None]
    drawn = random.normal(size=[number, 12]) @ factors + random.normal(size=[number, values]) * 5
    return np.clip(np.rint(drawn + 120), 0, 255).astype(np.uint8).reshape(-1, size, size, channels)


def fit(faces: np.ndarray, components: int = 20, block: int = 64) -> LinearEstimate:
    return LinearEstimate.fit(
        lambda: (faces[i : i + block] for i in range(0, len(faces), block)), components
    )


def moments(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of faces and their mirror images, float64."""
    both = np.concatenate([faces, faces[:, :, ::-1]]).reshape(2 * len(faces), -1) / 255
    return both.mean(axis=0), np.cov(both, rowvar=False, bias=True)


def holes(number: int, size: int = SIZE) -> Mask:
    """The centre of the first half of the images, other pixels of each other one: none or many."""
    random = np.random.default_rng(5)
    hole = np.zeros([number, size, size, 1], bool)
    hole[: number // 2, 2:-2, 2:-2] = True
    for i in range(number // 2, number):
        hole[i][random.random([size, size, 1]) < (i % 5) / 4] = True
    return Mask(hole)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_gaussian_of_the_mirrored_set(channels: int) -> None:
    faces = draw_faces(300, channels)
    found, (mean, covariance) = fit(faces), moments(faces)
    values, vectors = (part[..., ::-1] for part in np.linalg.eigh(covariance))
    assert (found.shape, found.faces) == ((SIZE, SIZE, channels), 300)
    np.testing.assert_allclose(found.mean, mean, atol=1e-6)
    np.testing.assert_allclose(found.variances, values[:20], rtol=1e-4)
    assert found.noise == pytest.approx(NOISE * values[20:].mean(), rel=1e-4)
    own = found.components.astype(np.float64)
    np.testing.assert_allclose(own @ own.T, np.eye(20), atol=1e-5)
    # The first twelve stand out, so that what they span is well defined.
    projection = vectors[:, :12] @ vectors[:, :12].T
    np.testing.assert_allclose(own[:12].T @ own[:12], projection, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_estimate_is_the_conditional_mean(channels: int) -> None:
    faces = draw_faces(300, channels)
    mean, covariance = moments(faces)
    values, vectors = np.linalg.eigh(covariance)
    values[:-20] = 0
    noise = NOISE * (np.trace(covariance) - values.sum()) / (len(mean) - 20)
    gaussian = (vectors * values) @ vectors.T + noise * np.eye(len(mean))
    others = draw_faces(10, channels, seed=1)
    mask = holes(10)
    estimated = fit(faces).estimate(others, mask)
    assert estimated.dtype == np.uint8
    for face, hole, own in zip(others, mask.hole, estimated, strict=True):
        k = np.broadcast_to(~hole, face.shape).ravel()
        seen = face.ravel()[k] / 255 - mean[k]
        solved = np.linalg.solve(gaussian[np.ix_(k, k)], seen)
        expected = 255 * np.clip(mean[~k] + gaussian[np.ix_(~k, k)] @ solved, 0, 1)
        assert np.abs(own.ravel()[~k] - expected).max(initial=0) < 0.51  # it is rounded


def test_blocks_and_what_is_missing_do_not_matter() -> None:
    faces, others, mask = draw_faces(100), draw_faces(9, seed=1), holes(9)
    found = fit(faces)
    whole = fit(faces, block=100)
    np.testing.assert_allclose(found.variances, whole.variances, rtol=1e-5)
    assert found.faces == whole.faces == 100
    altered = np.where(mask.hole, 255 - others, others)
    np.testing.assert_array_equal(found.estimate(others, mask), found.estimate(altered, mask))


def test_a_mirrored_face_has_the_mirrored_estimate() -> None:
    found, others, mask = fit(draw_faces(100)), draw_faces(9, seed=1), holes(9)
    mirrored = found.estimate(others[:, :, ::-1], Mask(mask.hole[:, :, ::-1]))[:, :, ::-1]
    assert np.abs(mirrored.astype(int) - found.estimate(others, mask)).max() <= 1


@pytest.mark.parametrize(
    ("number", "channels", "kept"),
    [(1, 3, 0), (2, 3, 1), (5, 3, 4), (30, 1, 29), (400, 1, SIZE * SIZE // 2)],
)
def test_few_faces_or_values_leave_some_variance_for_the_noise(
    number: int, channels: int, kept: int
) -> None:
    faces = draw_faces(number, channels)
    found = fit(faces, components=1024)
    assert found.components.shape == (kept, SIZE * SIZE * channels)
    _, covariance = moments(faces)
    rest = np.linalg.eigvalsh(covariance)[: len(covariance) - kept].sum() / (len(covariance) - kept)
    assert found.noise == pytest.approx(NOISE * rest, rel=1e-3)
    estimated = found.estimate(draw_faces(4, channels, seed=1), holes(4))
    assert estimated.shape == (4, SIZE, SIZE, channels)


def test_equal_faces_are_all_that_is_expected() -> None:
    faces = np.full([7, SIZE, SIZE, 3], 77, np.uint8)
    found = fit(faces)
    assert len(found.components) == 0
    assert found.noise == pytest.approx(1 / 12 / 255**2)
    assert (found.estimate(draw_faces(4), holes(4)) == 77).all()


def test_the_leading_of_many_eigenvectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_estimate, "OVERSAMPLED", 8)
    random = np.random.default_rng(0)
    axes = np.linalg.qr(random.normal(size=[200, 200]))[0]
    spectrum = np.arange(1, 201) ** -1.5
    whole = np.triu((axes * spectrum) @ axes.T).astype(np.float32)  # the rest is not looked at
    values, vectors = linear_estimate._leading(np.asfortranarray(whole), 40)
    assert vectors.shape == (200, 40)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(40), atol=1e-5)
    np.testing.assert_allclose(values[::-1][:20], spectrum[:20], rtol=1e-4)
    np.testing.assert_allclose(values[::-1], spectrum[:40], rtol=0.05)
    aligned = np.abs(np.sum(vectors[:, ::-1][:, :20] * axes[:, :20], axis=0))
    np.testing.assert_allclose(aligned, 1, atol=1e-3)


# --- files ---


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Files of 30 faces."""
    (tmp_path / "faces").mkdir()
    paths = [str(tmp_path / "faces" / f"{i:02d}.png") for i in range(30)]
    for path, face in zip(paths, draw_faces(30), strict=True):
        utils.save_image(path, face)
    return paths


def same(some: LinearEstimate, other: LinearEstimate) -> bool:
    return all(np.array_equal(getattr(some, name), getattr(other, name)) for name in vars(some))


def test_an_estimate_is_fitted_once(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_estimate, "BLOCK", 7)
    cache, progress = str(tmp_path / "cache"), RecordedProgress()
    found = linear_estimate.fit_files(files, SIZE, 3, cache, progress=progress)
    assert progress.totals() == [30, 30]
    assert same(found, fit(draw_faces(30), 1024, block=7))
    assert len(contents(tmp_path / "cache" / "linear")) == 1
    again = linear_estimate.fit_files(files, SIZE, 3, cache, progress=progress)
    assert same(again, found)
    assert linear_estimate.fit_files(files[::-1], SIZE, 3, cache, progress=progress).faces == 30
    assert len(progress.bars) == 2
    # Of other files, of a file that was changed, of gray images: another one.
    assert linear_estimate.fit_files(files[1:], SIZE, 3, cache, progress=progress).faces == 29
    os.utime(files[3], (1, 1))
    linear_estimate.fit_files(files, SIZE, 3, cache, progress=progress)
    gray = linear_estimate.fit_files(files, SIZE, 1, cache, progress=progress)
    assert gray.shape == (SIZE, SIZE, 1)
    assert len(progress.bars) == 8
    assert len(contents(tmp_path / "cache" / "linear")) == 4


def test_a_damaged_cache_is_fitted_anew(files: list[str], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    found = linear_estimate.fit_files(files, SIZE, 3, str(cache))
    (stored,) = (cache / "linear").iterdir()
    whole = stored.read_bytes()
    middle = len(whole) // 2
    parts = vars(found)
    for damage in (
        b"",
        b"no archive",
        whole[:middle],
        whole[:middle] + bytes([whole[middle] ^ 8]) + whole[middle + 1 :],
        parts | {"noise": 0.0},
        parts | {"noise": np.ones(3)},
        parts | {"mean": found.mean[1:]},
        parts | {"mean": np.full_like(found.mean, np.nan)},
        parts | {"components": found.components.astype("U8")},
        parts | {"variances": -found.variances},
        parts | {"shape": (4, 16, 3)},
        {"mean": found.mean},
    ):
        if isinstance(damage, bytes):
            stored.write_bytes(damage)
        else:
            np.savez(stored, **damage)
        assert same(linear_estimate.fit_files(files, SIZE, 3, str(cache)), found)
        assert set(contents(cache / "linear")) == {stored.name}
        with np.load(stored) as file:
            assert np.array_equal(file["variances"], found.variances)


def test_files_that_do_not_fit_are_named_and_nothing_is_kept(
    files: list[str], tmp_path: Path
) -> None:
    utils.save_image(files[20], np.zeros([SIZE, 9, 3], np.uint8))
    with pytest.raises(UserError, match=r"20\.png: is 9x8, the model makes 8x8"):
        linear_estimate.fit_files(files, SIZE, 3, str(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_no_face_to_complete_is_fitted(files: list[str], tmp_path: Path) -> None:
    folder = str(tmp_path / "faces")
    (tmp_path / "names.txt").write_text("03.png\n05.png\n")
    names = str(tmp_path / "names.txt")
    assert face_sets.list_linear([folder, folder], None, []) == files
    left = face_sets.list_linear([folder], names, [files[3], files[5]])
    assert left == [path for path in files if path not in (files[3], files[5])]
    (tmp_path / "others").mkdir()
    link, copy = tmp_path / "others" / "link.png", tmp_path / "others" / "copy.png"
    link.symlink_to(files[7])
    copy.write_bytes(Path(files[9]).read_bytes())
    for completed, known in ((files[7], files[7]), (link, files[7]), (copy, files[9])):
        with pytest.raises(UserError) as caught:
            face_sets.list_linear([folder], names, [files[3], str(completed)])
        assert f"--linear: {known} is a face to complete ({completed})" in str(caught.value)
        assert "--holdout" in str(caught.value)
    (tmp_path / "faces" / "99.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"99\.png: .*a broken link"):
        face_sets.list_linear([folder], None, [])
    (tmp_path / "names.txt").write_text("link.png\ncopy.png\n")
    with pytest.raises(UserError, match=r"--linear .* no images besides those that are held out"):
        face_sets.list_linear([str(tmp_path / "others")], names, [])
