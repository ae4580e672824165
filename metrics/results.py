"""Names of the metrics, and the results of an evaluation, from which tables are made."""

from __future__ import annotations

import dataclasses

import numpy as np

from metrics.statistics import Estimate

METRICS = ("psnr", "ssim", "identity", "found", "seconds")
COMPARED = METRICS[:4]  # seconds of different methods are not compared face by face
REFERENCE = ("reference-adam", "reference-pgd")  # methods, where --reference asks for them

# By name in METRICS, float64 [N], NaN where not measured
MetricValues = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class MaskResult:
    """The metrics of completions under one mask.

    Attributes:
      mask_type: of masks.MASK_TYPES.
      metrics: by method, means over the seeds.
      masked: what was known of the first images at the first seed, uint8 [n, S, S, C].
      completed: by method, their completions.
    """

    mask_type: str
    metrics: dict[str, MetricValues]
    masked: np.ndarray
    completed: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class GeneratorScore:
    """The metrics of a generator.

    Attributes:
      metrics: by name.
      sheets: name -> columns of a contact sheet, each uint8 [n, S, S, C] by its heading.
    """

    metrics: dict[str, Estimate]
    sheets: dict[str, dict[str, np.ndarray]]
