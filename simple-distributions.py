#!/usr/bin/env python3
"""Plot the normal distributions of the tutorial's first step.

normal-pdf.png, normal-samples.png, normal-2d.png, and normal-2d-completion.png: the most
probable y of a two-dimensional normal distribution once x = 1 is known.

examples:
  ./simple-distributions.py
  ./simple-distributions.py --out figures
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

import cli
import utils

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLES, SAMPLES_2D = 35, 200  # points in the plots of samples
MEAN_2D = np.array([0.0, 0.0])
COVARIANCE_2D = np.array([[1.0, 0.6], [0.6, 1.0]])
KNOWN_X = 1.0
SEED = 0


def most_probable_y(x: float, mean: np.ndarray, covariance: np.ndarray) -> float:
    """The y that maximises a bivariate normal density where x is known.

    The conditional distribution of y is normal, with its mode at its mean
    mu_y + cov_xy / var_x (x - mu_x), for mean [2] and covariance [2, 2].
    """
    return float(mean[1] + covariance[1, 0] / covariance[0, 0] * (x - mean[0]))


def plot_pdf() -> Figure:
    """The density of the standard normal distribution."""
    from matplotlib.figure import Figure
    from scipy.stats import norm

    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.add_subplot(xlabel="x", ylabel="p(x)")
    x = np.linspace(-4, 4, 401)
    axes.plot(x, norm.pdf(x))
    axes.fill_between(x, norm.pdf(x), alpha=0.2)
    axes.set(xlim=(-4, 4), ylim=(0, None))
    return figure


def plot_samples(random: np.random.Generator) -> Figure:
    """Samples of the standard normal distribution, on a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 1), layout="constrained")
    axes = figure.add_subplot(xlabel="x", yticks=[])
    axes.scatter(random.standard_normal(SAMPLES), np.zeros(SAMPLES), marker="x", clip_on=False)
    axes.set(xlim=(-4, 4))
    for side in ("left", "top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _contours(axes: Axes) -> None:
    """Contours of the two-dimensional normal density."""
    from scipy.stats import multivariate_normal

    grid = np.stack(np.meshgrid(np.linspace(-3.5, 3.5, 201), np.linspace(-3.5, 3.5, 201)), axis=-1)
    density = multivariate_normal(MEAN_2D, COVARIANCE_2D).pdf(grid)
    axes.contour(grid[..., 0], grid[..., 1], density, levels=8, cmap="viridis")
    axes.set(xlabel="x", ylabel="y", aspect="equal")


def plot_2d(random: np.random.Generator) -> Figure:
    """Contours of the two-dimensional normal density, and samples of it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    _contours(axes)
    x, y = random.multivariate_normal(MEAN_2D, COVARIANCE_2D, SAMPLES_2D).T
    axes.scatter(x, y, s=8, color="tab:red", alpha=0.6)
    axes.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
    return figure


def plot_completion() -> Figure:
    """The same contours cut along a known x, and the density along the cut with its maximum."""
    from matplotlib.figure import Figure
    from scipy.stats import multivariate_normal

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    best = most_probable_y(KNOWN_X, MEAN_2D, COVARIANCE_2D)
    _contours(left)
    left.axvline(KNOWN_X, color="tab:red")
    left.plot(KNOWN_X, best, "o", color="tab:red")
    left.set(title=f"known: x = {KNOWN_X:g}")
    y = np.linspace(-3.5, 3.5, 401)
    density = multivariate_normal(MEAN_2D, COVARIANCE_2D)
    right.plot(y, density.pdf(np.stack([np.full_like(y, KNOWN_X), y], axis=-1)))
    right.plot(best, density.pdf([KNOWN_X, best]), "o", color="tab:red")
    right.set(xlabel="y", ylabel=f"p(x = {KNOWN_X:g}, y)", title=f"most probable: y = {best:.2g}")
    right.set_ylim(0, None)
    return figure


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--out", metavar="DIR", default=".", help="where the plots go")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the four plots."""
    args = build_parser().parse_args(argv)
    utils.check_writable(args.out, "--out")
    random = np.random.default_rng(SEED)
    plots = {
        "normal-pdf.png": plot_pdf(),
        "normal-samples.png": plot_samples(random),
        "normal-2d.png": plot_2d(random),
        "normal-2d-completion.png": plot_completion(),
    }
    os.makedirs(args.out, exist_ok=True)
    for name, plot in plots.items():
        path = os.path.join(args.out, name)
        with utils.replacing(path) as temporary:
            plot.savefig(temporary, format="png", dpi=150)
        print(path)


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
