"""Arithmetic on latents: sums of means, and what lies around the result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dcgan_completion import checkpoints, utils
from dcgan_completion.latent import points, samples, sheets
from dcgan_completion.latent.points import Purpose
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.latent import ArithmeticSettings

EDGE = 3  # of the square of pictures around the result, and with it
MIDDLE = EDGE * EDGE // 2  # place of the result among them
MOST_SHOWN = 8  # samples of a term; the mean is of all


def combine(terms: Sequence[tuple[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the means of some sets of latents, with their signs.

    Radford et al. 2016 (arXiv:1511.06434, section 6.3.2): single samples are too different for
    arithmetic, the mean of three is not.

    Args:
      terms: "+" or "-", and latents [n, z_dim], n above 0.

    Returns:
      The result, [z_dim], not clipped, and the means, [terms, z_dim].
    """
    means = np.stack([z.mean(axis=0) for _, z in terms])
    signs = np.array([-1 if sign == "-" else 1 for sign, _ in terms])
    return signs @ means, means


def neighbourhood(z: np.ndarray, noise: float, random: np.random.Generator) -> np.ndarray:
    """A latent, [z_dim], amid others with noise, row by row of a square: [9, z_dim].

    The one in the middle is exact; to the others uniform noise in [-noise, noise] is added, as in
    the paper's figure 7, where it is 0.25.
    """
    square = z + random.uniform(-noise, noise, [EDGE * EDGE, len(z)])
    square[MIDDLE] = z
    return square


def draw_arithmetic(settings: ArithmeticSettings, model: DCGAN, prefix: str) -> int:
    """Writes a sheet of samples, means and result; returns the status."""
    named = settings.named_terms()
    terms = [
        (sign, points.latents(names, settings.seed, model.z_dim, settings.range))
        for sign, names in named
    ]
    result, means = combine(terms)
    random = np.random.default_rng([settings.seed, Purpose.NOISE])
    square = samples.clipped(neighbourhood(result, settings.noise, random))
    rows = []
    for i, ((sign, names), (_, z)) in enumerate(zip(named, terms, strict=True)):
        shown = checkpoints.generate(model, points.clip(z[:MOST_SHOWN])[0])
        (mean,) = checkpoints.generate(model, points.clip(means[i : i + 1])[0])
        cells = [Cell(image, str(name)) for image, name in zip(shown, names, strict=False)]
        before = sign if i or sign == "-" else ""
        rows.append([Cell(caption=before), Cell(mean, f"mean of {len(names)}"), *cells])
    around = [Cell(image) for image in checkpoints.generate(model, square)]
    around[MIDDLE] = around[MIDDLE]._replace(caption="the result")
    for i, row in enumerate(sheets.wrapped(around, EDGE)):
        rows.append([Cell(caption="=" if i == EDGE // 2 else ""), *row])
    samples.make_folder(settings.out)
    utils.save_image(settings.out, sheets.sheet(rows))
    print(f"the result by {prefix} is in {settings.out}")
    return 0
