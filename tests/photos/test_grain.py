"""Grain: noise of known strength, colour and reach is found again, and drawn so."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dcgan_completion.photos import grain

COLOURED = np.array([[30.0, 12, 6], [12, 22, 8], [6, 8, 40]])  # covariance, levels squared
KERNELS = {
    "white": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "soft": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 6,
}


def picture(height: int, width: int) -> np.ndarray:
    """Something smooth with some edges, as a face has, float64 [H, W, 3]."""
    y, x = np.mgrid[:height, :width]
    gray = 120 + 50 * np.sin(x / 40) * np.cos(y / 50) + 40 * (np.hypot(x - 70, y - 80) < 30)
    gray = gray + 25 * np.sin(x / 2) * (y > 0.7 * height)  # hair
    return gray[..., np.newaxis] * [1, 0.8, 0.7]


def noisy(covariance: np.ndarray, kernel: np.ndarray, height=300, width=280) -> np.ndarray:
    random = np.random.default_rng(0)
    white = random.normal(size=[height, width, 3]) @ np.linalg.cholesky(covariance).T
    noise = cv2.filter2D(white, -1, kernel / np.sqrt(np.square(kernel).sum()))
    return np.clip(picture(height, width) + noise, 0, 255)


def covariance_of(noise: np.ndarray) -> np.ndarray:
    return np.cov(noise.reshape(-1, noise.shape[-1]).T)


def correlation(noise: np.ndarray, dy: int, dx: int) -> float:
    height, width, _ = noise.shape
    one, other = noise[dy:, dx:], noise[: height - dy, : width - dx]
    return (one * other).mean() / np.square(noise).mean()


@pytest.mark.parametrize("name", KERNELS)
def test_noise_is_found_and_drawn_as_it_was(name: str) -> None:
    photo = noisy(COLOURED, KERNELS[name])
    known = np.ones(photo.shape[:2], bool)
    known[60:140, 50:150] = False
    found = grain.estimate(np.rint(photo).astype(np.uint8), known)
    assert found.strength == pytest.approx(np.sqrt(np.diag(COLOURED)).mean(), rel=0.2)
    drawn = found.draw((200, 260), np.random.default_rng(1))
    assert drawn.shape == (200, 260, 3)
    assert drawn.dtype == np.float32
    assert np.abs(drawn.mean()) < 0.3
    np.testing.assert_allclose(covariance_of(drawn), COLOURED, atol=15)
    white = np.random.default_rng(2).normal(size=[300, 300, 3])
    reference = cv2.filter2D(white, -1, KERNELS[name])
    for dy, dx in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 1), (3, 3)):
        wanted = correlation(reference, dy, dx)
        assert correlation(drawn, dy, dx) == pytest.approx(wanted, abs=0.12)


def test_strength_is_that_of_the_noise_at_any_level() -> None:
    known = np.ones([300, 280], bool)
    for scale in (0.1, 1, 4):
        found = grain.estimate(noisy(scale**2 * COLOURED, KERNELS["white"]), known)
        wanted = scale * np.sqrt(np.diag(COLOURED)).mean()
        assert found.strength == pytest.approx(wanted, rel=0.2, abs=0.1)


def test_one_channel_and_sixteen_bits() -> None:
    photo = noisy(COLOURED, KERNELS["white"])[..., :1]
    found = grain.estimate(np.rint(257 * photo).astype(np.uint16), np.ones(photo.shape[:2], bool))
    assert found.strength == pytest.approx(257 * np.sqrt(30), rel=0.2)
    assert found.draw((5, 7), np.random.default_rng(0)).shape == (5, 7, 1)


def test_nothing_under_the_hole_counts_and_equal_seeds_draw_equal_grain() -> None:
    photo = noisy(COLOURED, KERNELS["soft"], 160, 150)
    known = np.ones([160, 150], bool)
    known[40:100, 30:90] = False
    other = np.where(known[..., np.newaxis], photo, 255 - photo)
    drawn = [
        grain.estimate(p, known).draw((30, 40), np.random.default_rng(5)) for p in (photo, other)
    ]
    np.testing.assert_array_equal(*drawn)
    again = grain.estimate(photo, known).draw((30, 40), np.random.default_rng(6))
    assert (again != drawn[0]).any()


def test_where_noise_cannot_be_told_there_is_none() -> None:
    smooth = np.full([200, 200, 3], 90, np.uint8)
    known = np.ones([200, 200], bool)
    assert grain.estimate(smooth, known) is None
    photo = noisy(COLOURED, KERNELS["white"], 200, 200)
    assert grain.estimate(photo, ~known) is None
    known[:, 7:] = False
    assert grain.estimate(photo, known) is None
    assert grain.estimate(photo[:17, :17], np.ones([17, 17], bool)) is None
