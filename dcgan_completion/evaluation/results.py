"""Names of the metrics, and the results of an evaluation, from which tables are made."""

from __future__ import annotations

import dataclasses

import numpy as np

from dcgan_completion.evaluation.statistics import Estimate

METRICS = ("psnr", "ssim", "identity", "found", "sharpness", "seconds")
# Metrics that are the ratio of two sums over faces: what is summed above and below the line.
RATIOS = {"sharpness": ("gradient_energy", "original_gradient_energy")}
# What is measured of every face: the metrics, of a ratio its two parts.
MEASURED = tuple(part for name in METRICS for part in RATIOS.get(name, (name,)))
# Metrics that methods are compared by, face by face: the seconds are those of batches.
COMPARED = tuple(name for name in METRICS if name != "seconds")
REFERENCE = ("reference-adam", "reference-pgd")  # names of the methods that --reference adds
MEAN_FACE = "mean-face"  # name of the method

# name in MEASURED -> its value for every image, float64 [N], NaN where it was not measured
MetricValues = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class LocatedFace:
    """The result of the search for a photo's face under a hole: a row of photos.csv.

    Attributes:
      found: whether a face was found that the hole touches; None: it was not looked for.
      missing: pixels of the hole.
      how: which way found it, of faces.detection.
      away: root mean square distance of its landmarks from those of the whole photo, in pixels.
      width: of the face's square, in pixels of the photo.
      inpainted: share of the hole that is filled by diffusion even so: what is outside of the
        square, or narrow.
    """

    found: bool | None = None
    missing: int = 0
    how: str = ""
    away: float | None = None
    width: int | None = None
    inpainted: float | None = None


@dataclasses.dataclass(frozen=True)
class MaskResult:
    """The metrics of completions under one kind of hole.

    Attributes:
      mask_type: of MASK_TYPES, for photos of HOLES.
      metrics: by method, means over the seeds of what was measured.
      masked: what is known of the first n faces at the first seed, uint8 [n, S, S, C].
      completed: by method, their completions at that seed, uint8 [n, S, S, C].
      located: what became of the search for each photo's face.
    """

    mask_type: str
    metrics: dict[str, MetricValues]
    masked: np.ndarray
    completed: dict[str, np.ndarray]
    located: list[LocatedFace] = dataclasses.field(default_factory=list)

    @property
    def found(self) -> np.ndarray:
        """1 where the face was found, 0 where it was not, NaN where it was not looked for: [N]."""
        return np.array([np.nan if f.found is None else f.found for f in self.located], float)


@dataclasses.dataclass(frozen=True)
class GeneratorScore:
    """The metrics of a generator.

    Attributes:
      metrics: by name.
      sheets: name -> columns of a contact sheet, each uint8 [n, S, S, C] by its heading.
    """

    metrics: dict[str, Estimate]
    sheets: dict[str, dict[str, np.ndarray]]
