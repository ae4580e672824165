"""Metrics against numbers worked out by hand or from closed forms, dlib's on two portraits."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import run_script

from dcgan_completion import utils
from dcgan_completion.evaluation import embeddings, image_metrics, statistics
from dcgan_completion.evaluation.embeddings import EmbeddingCache, FaceReader

SIZE = 16


# --- pictures ---


def pictures(number: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, [number, SIZE, SIZE, 3], np.uint8)


def left_half(number: int) -> np.ndarray:
    hole = np.zeros([number, SIZE, SIZE, 1], bool)
    hole[:, :, :8] = True
    return hole


def test_psnr_by_hand() -> None:
    original = np.full([3, SIZE, SIZE, 3], 100, np.uint8)
    completed = original.copy()
    completed[0, :, :8] = 151  # 51 levels, a fifth of the range: 20 log10(5)
    completed[1, :, :8, 0] = 49  # as far down, in one of three channels: 10 log10(75)
    completed[2, 0, 0] = (203, 202, 100)  # one of 128 pixels: (103^2 + 102^2) / 255^2 / 384
    expected = [
        20 * np.log10(5),
        10 * np.log10(75),
        10 * np.log10(384 * 255**2 / (103**2 + 102**2)),
    ]
    values = image_metrics.psnr(original, completed, left_half(3))
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_only_the_hole_counts() -> None:
    original, hole = pictures(2), left_half(2)
    completed = np.where(hole, pictures(2, 1), original)
    worse = np.where(hole, completed, 255 - original)
    before = image_metrics.psnr(original, completed, hole)
    np.testing.assert_array_equal(image_metrics.psnr(original, worse, hole), before)
    # SSIM's windows reach 5 pixels over the hole boundary, and no further.
    far = completed.copy()
    far[:, :, 13:] = 255 - far[:, :, 13:]
    np.testing.assert_allclose(
        image_metrics.ssim(original, far, hole),
        image_metrics.ssim(original, completed, hole),
        rtol=1e-12,
    )
    assert (np.abs(image_metrics.ssim(original, worse, hole)) < 0.9).all()


def test_an_exact_hole_and_none() -> None:
    original = pictures(2)
    hole = left_half(2)
    hole[1] = False
    assert image_metrics.psnr(original, original, hole)[0] == np.inf
    assert np.isnan(image_metrics.psnr(original, pictures(2, 1), hole)[1])
    np.testing.assert_allclose(image_metrics.ssim(original, original, hole), [1, np.nan])


def test_ssim_of_flat_pictures_by_its_formula() -> None:
    # Without variance it is (2 a b + C1) / (a^2 + b^2 + C1), C1 = (0.01 * 255)^2.
    a, b = 100.0, 140.0
    original = np.full([1, SIZE, SIZE, 1], a, np.uint8)
    completed = np.full([1, SIZE, SIZE, 1], b, np.uint8)
    constant = (0.01 * 255) ** 2
    expected = (2 * a * b + constant) / (a**2 + b**2 + constant)
    (value,) = image_metrics.ssim(original, completed, left_half(1))
    assert value == pytest.approx(expected, rel=1e-9)


def energy_by_pairs(image: np.ndarray, hole: np.ndarray) -> float:
    """The sum over all pairs of neighbours that are both missing, one pair at a time."""
    total = 0.0
    for y in range(len(image)):
        for x in range(len(image)):
            for below, right in ((1, 0), (0, 1)):
                v, u = y + below, x + right
                if max(u, v) < len(image) and hole[y, x, 0] and hole[v, u, 0]:
                    r, g, b = (image[y, x].astype(float) - image[v, u]) / 255
                    total += (0.299 * r + 0.587 * g + 0.114 * b) ** 2
    return total


def test_gradient_energy_pair_by_pair(random: np.random.Generator) -> None:
    images = pictures(3)
    hole = random.random([3, SIZE, SIZE, 1]) < 0.6
    expected = [energy_by_pairs(*pair) for pair in zip(images, hole, strict=True)]
    np.testing.assert_allclose(image_metrics.gradient_energy(images, hole), expected, rtol=1e-12)
    other = np.where(hole, images, 255 - images)
    np.testing.assert_array_equal(
        image_metrics.gradient_energy(other, hole), image_metrics.gradient_energy(images, hole)
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_energy_of_a_ramp(channels: int) -> None:
    # In 16 rows of 8: 16 * 7 pairs side by side of 5 levels, 15 * 8 above each other of 3.
    rows, columns = np.mgrid[:SIZE, :SIZE]
    ramp = np.stack([3 * rows + 5 * columns] * channels, axis=-1).astype(np.uint8)[np.newaxis]
    expected = (16 * 7 * 5**2 + 15 * 8 * 3**2) / 255**2
    (value,) = image_metrics.gradient_energy(ramp, left_half(1))
    assert value == pytest.approx(expected, rel=1e-12)
    # The seam to the known half does not count.
    steeper = np.where(left_half(1), ramp + 100, 0).astype(np.uint8)
    assert image_metrics.gradient_energy(steeper, left_half(1)) == pytest.approx(expected)


def test_a_hole_without_neighbours_has_no_gradient_energy() -> None:
    hole = np.zeros([3, SIZE, SIZE, 1], bool)
    hole[1, ::2, ::2] = True
    hole[2, 4, 4:6] = True
    measured = image_metrics.gradient_energy(pictures(3), hole)
    assert np.isfinite(measured).tolist() == [False, False, True]


# --- sets ---


def with_moments(
    number: int, mean: np.ndarray, covariance: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Rows whose own mean and covariance are exactly these."""
    rows = random.normal(size=[number, len(mean)])
    rows -= rows.mean(axis=0)
    whitened = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
    values, vectors = np.linalg.eigh(covariance)
    return mean + whitened @ (vectors * np.sqrt(values.clip(0))).T


def test_frechet_distance_of_commuting_covariances(random: np.random.Generator) -> None:
    # Equal axes: |m1 - m2|^2 + sum (s1 - s2)^2 over the deviations.
    axes = np.linalg.qr(random.normal(size=[5, 5]))[0]
    s1, s2 = np.array([1, 2, 3, 0.5, 4]), np.array([2, 2, 1, 1.5, 0])
    m1, m2 = np.arange(5.0), np.ones(5)
    some = with_moments(40, m1, axes @ np.diag(s1**2) @ axes.T, random)
    others = with_moments(30, m2, axes @ np.diag(s2**2) @ axes.T, random)
    expected = np.square(m1 - m2).sum() + np.square(s1 - s2).sum()
    # One deviation is 0: the roots of what rounding leaves of it are some 1e-8.
    assert embeddings.frechet_distance(some, others) == pytest.approx(expected, rel=1e-7)
    assert embeddings.frechet_distance(others, some) == pytest.approx(expected, rel=1e-7)


def test_frechet_distance_of_two_dimensions(random: np.random.Generator) -> None:
    # tr (A B)^(1/2) = sqrt(tr(A B) + 2 sqrt(det A det B)) for 2x2 matrices, whatever their axes.
    a, b = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[1.0, -0.8], [-0.8, 3.0]])
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a) * np.linalg.det(b)))
    zero = np.zeros(2)
    distance = embeddings.frechet_distance(
        with_moments(50, zero, a, random), with_moments(50, zero, b, random)
    )
    assert distance == pytest.approx(np.trace(a) + np.trace(b) - 2 * root, rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_and_of_few(random: np.random.Generator) -> None:
    rows = random.normal(size=[10, 128]).astype(np.float32)  # covariance of rank 9
    assert 0 <= embeddings.frechet_distance(rows, rows) < 1e-5
    moved = rows + np.float32(0.5)
    assert embeddings.frechet_distance(rows, moved) == pytest.approx(128 * 0.25, rel=1e-4)
    with pytest.raises(ValueError, match="two rows"):
        embeddings.frechet_distance(rows[:1], rows)


def test_diversity_by_hand() -> None:
    rows = np.array([[0, 0], [3, 4], [0, 8]])
    assert embeddings.diversity(rows) == pytest.approx((5 + 8 + 5) / 3)
    assert np.isnan(embeddings.diversity(rows[:1]))


def test_identity_distance_is_row_by_row() -> None:
    some, others = np.zeros([2, 128], np.float32), np.zeros([2, 128], np.float32)
    others[0, 3], others[1, :4] = 2, 0.5
    np.testing.assert_allclose(embeddings.identity_distance(some, others), [2, 1])


# --- estimates ---


def test_estimates_by_hand() -> None:
    # Deviations -3, -1, 1, 3: variance 20 / 3, over 4.
    found = statistics.estimate(np.array([1, 3, np.inf, 5, 7, np.nan]))
    assert (found.mean, found.n) == (4, 4)
    assert found.error == pytest.approx(np.sqrt(20 / 3 / 4))
    one = statistics.estimate(np.array([2.0]))
    assert (one.mean, one.n) == (2, 1)
    assert np.isnan(one.error)
    assert np.isnan(statistics.estimate(np.array([np.nan])).mean)


def test_paired_differences_by_hand() -> None:
    values, baseline = np.array([5, 8, 11, np.nan, np.inf]), np.array([4, 5, 6, 1, np.inf])
    found = statistics.paired_difference(values, baseline)  # 1, 3, 5
    assert (found.mean, found.n) == (3, 3)
    assert found.error == pytest.approx(2 / np.sqrt(3))


def test_ratios_by_hand() -> None:
    # 1 + 3 over 2 + 6, without what is not finite: residuals 0.
    found = statistics.ratio(np.array([1, 3, np.nan, 5]), np.array([2, 6, 1, np.inf]))
    assert (found.mean, found.error, found.n) == (0.5, 0, 2)
    # 3 / 4: residuals -0.5, 0.5 over a mean of 2.
    found = statistics.ratio(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
    assert (found.mean, found.error) == (0.75, pytest.approx(np.sqrt(0.5 / 2) / 2))
    one = statistics.ratio(np.array([2.0]), np.array([4.0]))
    assert (one.mean, one.n) == (0.5, 1)
    assert np.isnan(one.error)
    for flat in (np.zeros(2), np.full(2, np.nan)):
        assert np.isnan(statistics.ratio(np.ones(2), flat).mean)


def test_errors_of_ratios_tell_the_spread_between_samples(random: np.random.Generator) -> None:
    # Images that are hard for one method are hard for the other one.
    below = random.gamma(2, size=[2000, 60])
    some = below * random.gamma(3, 0.2, below.shape)
    other = some * random.uniform(0.5, 1, below.shape)
    for statistic, expected in (
        (lambda a, b, c: statistics.ratio(a, c), 0.6),
        (lambda a, b, c: statistics.paired_ratio_difference((b, c), (a, c)), -0.15),
        (lambda a, b, c: statistics.paired_ratio_difference((b, a), (a, c)), 0.15),
    ):
        found = [statistic(*rows) for rows in zip(some, other, below, strict=True)]
        means = np.array([value.mean for value in found])
        assert means.mean() == pytest.approx(expected, abs=0.01)
        told = np.mean([value.error for value in found])
        assert told == pytest.approx(means.std(ddof=1), rel=0.08)


def test_jackknife_of_a_mean_is_its_standard_error(random: np.random.Generator) -> None:
    rows = random.normal(size=[20, 1])  # one row a group
    found = statistics.jackknife(lambda part: part.mean(), rows)
    expected = statistics.estimate(rows[:, 0])
    assert (found.mean, found.n) == (pytest.approx(expected.mean), 20)
    assert found.error == pytest.approx(expected.error, rel=1e-9)


# --- dlib ---


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Eileen Collins and Grace Hopper, aligned, uint8 [2, 64, 64, 3]."""
    folder = tmp_path_factory.mktemp("portraits")
    run_script("data/copy-portraits.py", "--out", "raw", cwd=folder)
    run_script("align-dlib.py", "raw", "align", "innerEyesAndBottomLip", "a", cwd=folder)
    return np.stack([utils.load_image(path) for path in sorted((folder / "a").iterdir())])


@pytest.fixture(scope="module")
def reader() -> Iterator[FaceReader]:
    with FaceReader(2) as reader:
        yield reader


def test_the_chip_is_padded_by_12_repeated_pixels(portraits: np.ndarray) -> None:
    # A face of 64 pixels is 88 with its margin; 150 / 88 pixels of the chip for each.
    chip = embeddings.face_chip(portraits[0])
    assert chip.shape == (150, 150, 3)
    assert chip.dtype == np.uint8
    corner = np.abs(chip[:18, :18].astype(int) - portraits[0][0, 0])
    assert corner.max() <= 1
    centre = chip[75, 75].astype(int)
    assert np.abs(centre - portraits[0][31:33, 31:33].mean(axis=(0, 1))).max() < 12
    assert embeddings.face_chip(portraits[0][..., :1]).shape == (150, 150, 3)


def test_the_same_face_is_nearer_than_another(portraits: np.ndarray, reader: FaceReader) -> None:
    darker = (portraits * 0.8).astype(np.uint8)
    shifted = np.roll(portraits, 2, axis=2)
    noise = np.random.default_rng(0).integers(0, 256, portraits.shape, np.uint8)
    steps: list[int] = []
    everyone = np.concatenate([portraits, darker, shifted, noise])
    read = reader.describe(everyone, advance=steps.append)
    assert sum(steps) == 8
    assert read.embeddings.shape == (8, 128)
    first, second = read.embeddings[:2], read.embeddings[[1, 0]]
    other = embeddings.identity_distance(first, second)
    for same in (read.embeddings[2:4], read.embeddings[4:6]):
        assert (embeddings.identity_distance(first, same) < 0.6 * other).all()
    assert read.found.tolist() == [True] * 6 + [False] * 2


def test_order_and_company_do_not_matter(portraits: np.ndarray, reader: FaceReader) -> None:
    many = np.concatenate([portraits] * 10)
    read = reader.describe(many)
    np.testing.assert_array_equal(read.embeddings, np.tile(read.embeddings[:2], [10, 1]))
    alone = reader.describe(portraits[1:])
    np.testing.assert_array_equal(alone.embeddings[0], read.embeddings[1])
    assert reader.describe(portraits[:0]).embeddings.shape == (0, 128)


def test_the_cache_answers_and_survives_damage(portraits: np.ndarray, tmp_path: Path) -> None:
    with FaceReader(1, EmbeddingCache(str(tmp_path))) as reader:
        before = reader.describe(portraits)
        reader.describe(portraits // 2, keep=False)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) == 2
    assert {path.suffix for path in files} == {".npy"}
    stored = {path: path.stat().st_mtime_ns for path in files}
    with FaceReader(1, EmbeddingCache(str(tmp_path))) as reader:
        others = set(multiprocessing.active_children())
        again = reader.describe(portraits)
        assert set(multiprocessing.active_children()) == others  # no process was needed
    np.testing.assert_array_equal(again.embeddings, before.embeddings)
    np.testing.assert_array_equal(again.found, before.found)
    files[0].write_bytes(files[0].read_bytes()[:200])  # cut short
    np.save(files[1], np.zeros(3))  # of something else
    with FaceReader(1, EmbeddingCache(str(tmp_path))) as reader:
        np.testing.assert_array_equal(reader.describe(portraits).embeddings, before.embeddings)
    assert {path: path.stat().st_size for path in files} == dict.fromkeys(files, 644)
    assert all(path.stat().st_mtime_ns > stored[path] for path in files)


def test_the_cache_is_where_the_system_keeps_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert embeddings.default_cache() == os.path.join("/somewhere", "dcgan-completion")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert embeddings.default_cache() == os.path.join("/home/me", ".cache", "dcgan-completion")
