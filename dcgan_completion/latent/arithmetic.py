"""Latent arithmetic: sums of mean latents, and variations of the result."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from dcgan_completion import latents, utils
from dcgan_completion.latent import samples, sheets
from dcgan_completion.latent.generator import Generator
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.randomness import Purpose, seed_rng
from dcgan_completion.settings.latent import ArithmeticSettings

EDGE = 3  # of the square of the result and its variations
MIDDLE = EDGE * EDGE // 2  # place of the result among them
MAX_SHOWN = 8  # samples of a term that are drawn; its mean is of all

logger = logging.getLogger(__name__)


def combine(terms: Sequence[tuple[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Add the means of some sets of latents, with their signs.

    Radford et al. 2016 (arXiv:1511.06434, section 6.3.2): results for single samples are unstable,
    those for the mean of three are not.

    Args:
      terms: "+" or "-", and latents [n, z_dim], n above 0.

    Returns:
      The result, [z_dim], not clipped, and the means, [terms, z_dim].
    """
    means = np.stack([z.mean(axis=0) for _, z in terms])
    signs = np.array([-1 if sign == "-" else 1 for sign, _ in terms])
    return signs @ means, means


def variations(z: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Surround a latent, [z_dim], with variations, row by row of a square: [9, z_dim].

    The one in the middle is exact; uniform noise in [-noise, noise] is added to the others, as in
    the paper's figure 7, where it is 0.25.
    """
    square = z + rng.uniform(-noise, noise, [EDGE * EDGE, len(z)])
    square[MIDDLE] = z
    return square


def draw_arithmetic(settings: ArithmeticSettings, generator: Generator) -> None:
    """Write a sheet of samples, means and result."""
    named = settings.terms()
    terms = [
        (sign, latents.named(names, settings.seed, generator.z_dim, settings.range))
        for sign, names in named
    ]
    result, means = combine(terms)
    rng = seed_rng(settings.seed, Purpose.VARIATION)
    square = samples.clipped(variations(result, settings.noise, rng))

    def draw(z: np.ndarray) -> np.ndarray:
        return generator.images(latents.clip(z)[0], return_type="numpy")

    rows = []
    for i, ((sign, names), (_, z)) in enumerate(zip(named, terms, strict=True)):
        shown, (mean,) = draw(z[:MAX_SHOWN]), draw(means[i : i + 1])
        cells = [Cell(image, str(name)) for image, name in zip(shown, names, strict=False)]
        before = sign if i or sign == "-" else ""
        rows.append([Cell(caption=before), Cell(mean, f"mean of {len(names)}"), *cells])
    around = [Cell(image) for image in draw(square)]
    around[MIDDLE] = around[MIDDLE]._replace(caption="the result")
    for i, row in enumerate(sheets.wrapped(around, EDGE)):
        rows.append([Cell(caption="=" if i == EDGE // 2 else ""), *row])
    samples.make_folder(settings.out)
    utils.save_image(settings.out, sheets.sheet(rows))
    logger.info(f"wrote the latent arithmetic by {generator.prefix} to {settings.out}")
