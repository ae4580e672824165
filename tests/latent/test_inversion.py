"""Inversion finds z that generate the samples that it is given."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion import utils
from dcgan_completion.inpaint.inversion import invert
from dcgan_completion.latent.generator import Generator
from dcgan_completion.latent.inversion import SEARCH
from dcgan_completion.settings.search import SearchSettings


def check_inversion(generator: Generator, number: int, iterations: int, restarts: int) -> None:
    """Inverts samples; 95 % of them must be found to a mean absolute error of 0.1 in [-1, 1]."""
    images = generator.sample(number, seed=5, return_type="numpy")
    done: list[int] = []
    settings = SearchSettings.of("auto", samples=restarts, n_iter=iterations, **SEARCH)
    z, reconstructions = invert(generator.model, images, 6, settings, restarts, done.append)
    assert sum(done) == number
    assert max(done) <= 64 // restarts
    assert np.abs(z).max() <= 1
    again = utils.to_signed(generator.images(z, return_type="numpy"))
    assert np.abs(again - utils.to_signed(reconstructions)).max() <= 2 / 255
    errors = np.abs(again - utils.to_signed(images)).mean(axis=(1, 2, 3))
    assert (errors < 0.1).mean() >= 0.95


def test_a_tiny_generators_samples_are_recovered(vivid: object) -> None:
    check_inversion(Generator.from_pretrained(vivid), 25, iterations=150, restarts=3)


@pytest.mark.slow
def test_the_shipped_models_samples_are_recovered() -> None:
    # More iterations and searches only lower the loss of the best z.
    check_inversion(Generator.from_pretrained(), 100, iterations=100, restarts=1)
