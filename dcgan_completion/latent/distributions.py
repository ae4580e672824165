"""The plots of the tutorial's first step: densities, samples, most probable values.

`save` writes the figures that they return.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from dcgan_completion import utils

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dcgan_completion.latent.loss_line import LossLine

SAMPLES, SAMPLES_2D = 35, 200  # points in the plots of samples
MEAN_2D = np.array([0.0, 0.0])
COVARIANCE_2D = np.array([[1.0, 0.6], [0.6, 1.0]])
KNOWN_X = 1.0
LIMIT = 4.0  # of both axes of the plots in two dimensions, to both sides
# Okabe and Ito's colours, which colour-blind readers can distinguish; contours are viridis.
BLUE, RED, GREEN = "#0072B2", "#D55E00", "#009E73"
DPI = 150  # of PNG
KINDS = ("png", "pdf")


def most_probable_y(x: float, mean: np.ndarray, covariance: np.ndarray) -> float:
    """Find the y that maximises a bivariate normal density where x is known.

    The conditional distribution of y is normal, with its mode at its mean
    mu_y + cov_xy / var_x (x - mu_x), for mean [2] and covariance [2, 2].
    """
    return float(mean[1] + covariance[1, 0] / covariance[0, 0] * (x - mean[0]))


def _figure(width: float, height: float) -> Figure:
    """Make an empty figure; sizes are in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _draw_samples(axes: Axes, samples: np.ndarray) -> None:
    """Draw samples, [N], as crosses on a line without a y axis."""
    axes.scatter(
        samples, np.zeros_like(samples), marker="x", color=RED, alpha=0.8, clip_on=False, zorder=3
    )
    axes.set(xlim=(-4, 4), xlabel="x", yticks=[])
    axes.spines[["left", "top", "right"]].set_visible(False)


def plot_pdf(samples: np.ndarray) -> Figure:
    """Plot the standard normal density, and samples of it, [N], below."""
    from scipy.stats import norm

    figure = _figure(6, 3.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[6, 1])
    x = np.linspace(-4, 4, 401)
    above.plot(x, norm.pdf(x), color=BLUE, linewidth=2)
    above.fill_between(x, norm.pdf(x), color=BLUE, alpha=0.2, linewidth=0)
    above.set(ylim=(0, 0.42), ylabel="density p(x)", title="The standard normal distribution")
    above.spines[["top", "right"]].set_visible(False)
    _draw_samples(below, samples)
    below.set_title(f"{len(samples)} samples: dense where p(x) is large", fontsize="medium")
    return figure


def plot_samples(samples: np.ndarray) -> Figure:
    """Plot samples of the standard normal distribution, [N], on a line."""
    figure = _figure(6, 1.1)
    axes = figure.add_subplot()
    _draw_samples(axes, samples)
    return figure


def _density() -> Any:
    """Make the two-dimensional normal distribution, as SciPy has it."""
    from scipy.stats import multivariate_normal

    normal: Any = multivariate_normal  # its covariance would be an int, as the default is
    return normal(MEAN_2D, COVARIANCE_2D)


def _contours(axes: Axes) -> None:
    """Draw contours of the two-dimensional normal density."""
    line = np.linspace(-LIMIT, LIMIT, 201)
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    density = _density().pdf(grid)
    axes.contour(grid[..., 0], grid[..., 1], density, levels=8, cmap="viridis")
    axes.set(xlabel="x", ylabel="y", aspect="equal")


def plot_2d(samples: np.ndarray) -> Figure:
    """Plot contours of the two-dimensional normal density, and samples of it, [N, 2]."""
    figure = _figure(4.8, 4.8)
    axes = figure.add_subplot(title=f"A normal distribution, {len(samples)} samples")
    _contours(axes)
    axes.scatter(*samples.T, s=10, color=RED, alpha=0.6, linewidths=0)
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT))
    return figure


def plot_completion() -> Figure:
    """Plot the same contours cut along a known x, and the density along the cut."""
    figure = _figure(9, 4.5)
    left, right = figure.subplots(1, 2)
    best = most_probable_y(KNOWN_X, MEAN_2D, COVARIANCE_2D)
    _contours(left)
    left.axvline(KNOWN_X, color=RED)
    left.plot(KNOWN_X, best, "o", color=RED, markersize=8)
    left.set(title=f"known: x = {KNOWN_X:g}")
    y = np.linspace(-LIMIT, LIMIT, 401)
    density = _density()
    along = density.pdf(np.stack([np.full_like(y, KNOWN_X), y], axis=-1))
    right.plot(y, along, color=RED)
    right.fill_between(y, along, color=RED, alpha=0.15, linewidth=0)
    right.plot(best, density.pdf([KNOWN_X, best]), "o", color=RED, markersize=8)
    right.set(xlabel="y", ylabel=f"density p({KNOWN_X:g}, y) along the cut")
    right.set_title(f"most probable: y = {best:.2g}")
    right.set_ylim(0, None)
    right.spines[["top", "right"]].set_visible(False)
    return figure


def plot_loss_line(line: LossLine) -> Figure:
    """Plot the completion loss along a line in the latent space, with the faces on it below.

    The same idea with images: the face around a hole is known, and the completion is most probable
    where the loss is smallest.
    """
    figure = _figure(9, 5.6)
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[5, 2, 2])
    above.plot(line.t, line.total, color=BLUE, linewidth=2)
    best = line.total.argmin()
    above.plot(line.t[best], line.total[best], "o", color=RED, markersize=8, clip_on=False)
    above.set(ylim=(0, None), ylabel="completion loss")
    above.set_title("The centre of a face is missing: the loss along a line z(t)")
    inset = above.inset_axes([0.43, 0.52, 0.14, 0.42])
    inset.imshow(_colours(line.known))
    inset.set(xticks=[], yticks=[], xlabel="known pixels")
    middle.plot(line.t, line.perceptual, color=GREEN, linewidth=2)
    middle.set_ylabel("perceptual\nloss")
    step = line.faces_t[1] - line.faces_t[0]
    for t, face in zip(line.faces_t, line.faces, strict=True):
        extent = (t - 0.47 * step, t + 0.47 * step, 0, 0.94 * step)
        below.imshow(_colours(face), extent=extent, interpolation="bilinear")
    ends = (line.faces_t[0] - step / 2, line.faces_t[-1] + step / 2)
    below.set(xlim=ends, ylim=(0, 0.94 * step), xlabel="t", yticks=[], xticks=line.faces_t)
    below.set(aspect="equal", anchor="N", ylabel="G(z(t))")
    below.set_xticks(line.faces_t, [f"{t:g}" for t in line.faces_t])
    below.spines[:].set_visible(False)
    for axes in (above, middle):
        axes.spines[["top", "right"]].set_visible(False)
        axes.axvline(0, ymax=0.4 if axes is above else 1, color="0.6", linewidth=0.8, zorder=0)
    return figure


def _colours(image: np.ndarray) -> np.ndarray:
    """Give an image [S, S, C] three channels, as matplotlib needs."""
    return np.broadcast_to(image, (*image.shape[:2], 3))


def save(figure: Figure, folder: str, name: str) -> list[str]:
    """Write a figure as a PNG and as a vector PDF; returns their paths."""
    paths = [os.path.join(folder, f"{name}.{kind}") for kind in KINDS]
    for path, kind in zip(paths, KINDS, strict=True):
        # Without the time, so that the same plot is the same file.
        dates = {"CreationDate": None} if kind == "pdf" else {}
        with utils.replacing(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=DPI, metadata=dates)
    return paths
