"""The energy of a picture by octaves."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion import octaves


def gain(sigma: float, omega: float) -> float:
    """By how much a sampled Gaussian damps a wave of `omega` radians per pixel."""
    x = np.arange(-20, 21)
    kernel = np.exp(-(x**2) / (2 * sigma**2))
    return float((kernel * np.cos(omega * x)).sum() / kernel.sum())


def test_a_wave_has_the_energy_of_the_difference_of_gaussians() -> None:
    omega, size = 0.9, 96
    wave = 50 * np.sin(omega * np.arange(size))
    picture = np.repeat(np.tile(wave, (size, 1))[..., np.newaxis], 3, axis=2)
    inner = np.zeros([size, size], bool)
    inner[20:76, 20:76] = True
    energies = octaves.octave_energies(picture, inner, edge=1)
    whole = np.square(wave[20:76]).sum() * 56
    for k, energy in enumerate(energies):
        gains = [gain(0.5 * 2**j, omega) for j in (k, k + 1)]
        assert energy == pytest.approx(whole * (gains[0] - gains[1]) ** 2, rel=0.03)


def test_only_the_inside_of_the_hole_counts() -> None:
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 255, [40, 40, 3])
    hole = np.zeros([40, 40], bool)
    hole[10:30, 10:30] = True
    inner = np.zeros_like(hole)
    inner[11:29, 11:29] = True
    np.testing.assert_allclose(
        octaves.octave_energies(picture, hole, edge=3),
        octaves.octave_energies(picture, inner, edge=1),
    )


def test_gray_counts_as_its_own_luminance() -> None:
    gray = np.random.default_rng(1).uniform(0, 255, [24, 24, 1])
    for one, other in zip(
        octaves.octave_bands(gray), octaves.octave_bands(gray.repeat(3, axis=2)), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-3)
