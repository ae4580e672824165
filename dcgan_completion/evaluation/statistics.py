"""Statistics of metrics: means, ratios and paired differences with errors, the jackknife."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

JACKKNIFE_GROUPS = 20


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over n images, or a statistic of them, with its standard error (NaN if unknown)."""

    mean: float
    error: float
    n: int


def estimate(values: np.ndarray) -> Estimate:
    """Average independent values, [N]; the standard error is s / sqrt(n).

    Values that are not finite (no hole, a hole restored exactly) are left out and not counted in n.
    """
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    n = len(finite)
    mean = float(finite.mean()) if n else float("nan")
    error = float(finite.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Estimate(mean, error, n)


def paired_difference(values: np.ndarray, baseline: np.ndarray) -> Estimate:
    """Average values - baseline over the images that have both.

    The same images are hard for both methods, so that the error is much smaller than those of the
    two means.
    """
    with np.errstate(invalid="ignore"):  # two exact restorations: inf - inf
        return estimate(np.asarray(values, np.float64) - baseline)


def _linearised(above: np.ndarray, below: np.ndarray) -> tuple[float, np.ndarray]:
    """Compute sum(above) / sum(below), and each image's contribution to its deviation."""
    value = np.sum(above) / np.sum(below)
    return float(value), (above - value * below) / np.mean(below)


def ratio(above: np.ndarray, below: np.ndarray) -> Estimate:
    """Compute the ratio of two sums over independent images, each [N].

    The standard error is by linearisation (Cochran 1977, Sampling Techniques, 2.11): s / sqrt(n)
    of the residuals above - ratio * below, divided by the mean of `below`. Images where either is
    not finite are left out and not counted in n; NaN where the sum below the line is 0.
    """
    return paired_ratio_difference((above, below), (np.zeros(len(above)), np.ones(len(above))))


def paired_ratio_difference(
    some: tuple[np.ndarray, np.ndarray], baseline: tuple[np.ndarray, np.ndarray]
) -> Estimate:
    """Compute the difference of two ratios, each as in `ratio`, over the images that have both.

    The standard error is by linearisation of both, image by image.
    """
    parts = np.array([*some, *baseline], np.float64)  # [4, N]
    parts = parts[:, np.isfinite(parts).all(axis=0)]
    n = parts.shape[1]
    if not parts[1::2].sum(axis=1).all():
        return Estimate(float("nan"), float("nan"), n)
    (value, own), (other, base) = _linearised(*parts[:2]), _linearised(*parts[2:])
    error = float(np.std(own - base, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Estimate(value - other, error, n)


def jackknife(statistic: Callable[[np.ndarray], float], rows: np.ndarray) -> Estimate:
    """Compute a statistic of rows, [N, ...], and its standard error over sets of that size.

    Delete-a-group jackknife (Shao and Tu 1995, The Jackknife and Bootstrap, 2.3): rows
    i, i + 20, ... are left out in turn.
    """
    groups = min(JACKKNIFE_GROUPS, len(rows))
    whole = float(statistic(rows))
    if len(rows) < 4:  # too few for a statistic of the rest
        return Estimate(whole, float("nan"), len(rows))
    number = np.arange(len(rows)) % groups
    parts = np.array([statistic(rows[number != group]) for group in range(groups)])
    error = np.sqrt((groups - 1) * np.mean(np.square(parts - parts.mean())))
    return Estimate(whole, float(error), len(rows))
