"""Statistics of metrics: means with their standard errors, paired differences, the jackknife."""

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
    """The mean of independent values, [N], and its standard error, s / sqrt(n).

    Values that are not finite (no hole, a hole restored exactly) are left out and not counted in n.
    """
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    n = len(finite)
    mean = float(finite.mean()) if n else float("nan")
    error = float(finite.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Estimate(mean, error, n)


def paired_difference(values: np.ndarray, baseline: np.ndarray) -> Estimate:
    """Mean of values - baseline over the images that have both, and its standard error.

    The same images are hard for both methods, so that its error is much smaller than those of the
    two means.
    """
    with np.errstate(invalid="ignore"):  # two exact restorations: inf - inf
        return estimate(np.asarray(values, np.float64) - baseline)


def jackknife(statistic: Callable[[np.ndarray], float], rows: np.ndarray) -> Estimate:
    """A statistic of a set of rows, [N, ...], with its standard error over sets of that size.

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
