"""Inversion finds z that make the samples that it is given."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion import checkpoints, utils
from dcgan_completion.latent import inversion, points
from dcgan_completion.model import DCGAN


def errors(model: DCGAN, number: int, seed: int, **settings: int) -> np.ndarray:
    """Mean absolute errors of pixels in [-1, 1] of the seed's samples, inverted."""
    z = points.draw(seed, 0, number, model.z_dim)
    images = checkpoints.generate(model, z)
    found = inversion.invert(model, images, seed + 1, **settings)
    assert np.abs(found.z).max() <= 1
    again = utils.to_signed(checkpoints.generate(model, found.z))
    assert np.abs(again - utils.to_signed(found.reconstructions)).max() <= 2 / 255
    squares = np.square((again - utils.to_signed(images)) / 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found.psnr, -10 * np.log10(squares), rtol=0.05)
    return np.abs(again - utils.to_signed(images)).mean(axis=(1, 2, 3))


def test_a_tiny_generators_samples_are_recovered(model: DCGAN) -> None:
    found = errors(model, 20, 5, iterations=150, restarts=3)
    assert (found < 0.1).mean() >= 0.95


@pytest.mark.slow
def test_the_shipped_models_samples_are_recovered() -> None:
    shipped, _ = checkpoints.load_model(checkpoints.SHIPPED)
    # More iterations and searches only lower the loss of the best z.
    found = errors(shipped, 100, 5, iterations=100, restarts=1)
    assert (found < 0.1).mean() >= 0.95
