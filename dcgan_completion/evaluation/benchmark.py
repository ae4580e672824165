"""The benchmark: images with holes completed by several methods, under kinds of holes and seeds.

Every metric is kept for every image; means and errors are made in tables.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dcgan_completion.evaluation import embeddings, image_metrics
from dcgan_completion.evaluation.cases import Case, Images
from dcgan_completion.evaluation.embeddings import FaceReader
from dcgan_completion.evaluation.methods import Method
from dcgan_completion.evaluation.progress import Progress, describe, silent
from dcgan_completion.evaluation.results import (
    MEASURED,
    LocatedFace,
    MaskResult,
    MetricValues,
)
from dcgan_completion.masks import drawing


def measure(case: Case, completed: np.ndarray) -> dict[str, float]:
    """Measure a completion, uint8 [H, W, C], in the hole, at the image's own size."""
    images = case.original, completed, case.mask.filled[0]
    original, filled, hole = (image[case.crop][np.newaxis] for image in images)
    found = {
        "psnr": image_metrics.psnr(original, filled, hole),
        "ssim": image_metrics.ssim(original, filled, hole),
        "gradient_energy": image_metrics.gradient_energy(filled, hole),
        "original_gradient_energy": image_metrics.gradient_energy(original, hole),
    }
    return {name: float(value) for name, (value,) in found.items()}


class Benchmark:
    """Images, and the methods that complete them.

    Attributes:
      originals: the images' faces, described.
    """

    def __init__(
        self,
        images: Images,
        methods: Sequence[Method],
        seeds: Sequence[int],
        reader: FaceReader,
        progress: Progress = silent,
    ) -> None:
        """Describe the images' faces.

        Args:
          images: to complete.
          methods: complete.
          seeds: of random holes and of searches.
          reader: describes faces.
          progress: of all stages.
        """
        self._images, self._methods, self._seeds = images, methods, seeds
        self._reader, self._progress = reader, progress
        self._compiled: set[tuple[tuple[str, ...], int, bool]] = set()
        self.originals = describe(reader, images.aligned, progress, "originals")

    def evaluate(self, kind: str, shown: int) -> MaskResult:
        """Complete all images by all methods under one kind of hole and all seeds, and measure.

        Images of which the hole leaves all, or nothing, are no cases, and have no metrics.

        Args:
          kind: of the images' holes.
          shown: how many of the first images' completions to return.
        """
        methods = [m for m in self._methods if m.for_whole or drawing.keeps_pixels(kind)]
        names = [name for method in methods for name in method.names]
        first = self._images.aligned[:shown]
        result = MaskResult(
            kind,
            {},
            first.copy(),
            {name: first.copy() for name in names},
            [LocatedFace()] * (len(self._images) if self._images.photos else 0),
        )
        by_seed: dict[str, list[MetricValues]] = {name: [] for name in names}
        for seed in self._seeds:
            # For the others a second seed changes nothing.
            run = [m for m in methods if seed == self._seeds[0] or self._depends(m, kind)]
            for name, values in self._try_seed(kind, seed, run, result).items():
                by_seed[name].append(values)
        result.metrics.update({name: _mean_over_seeds(own) for name, own in by_seed.items()})
        return result

    @staticmethod
    def _depends(method: Method, kind: str) -> bool:
        """Tell whether a method's completions under a kind of hole depend on the seed."""
        return method.seeded or kind in drawing.RANDOM_TYPES

    def _try_seed(
        self, kind: str, seed: int, methods: Sequence[Method], result: MaskResult
    ) -> dict[str, MetricValues]:
        """Complete and measure under one seed; of the first one, keep what `result` shows."""
        number = len(self._images)
        values = {
            name: {metric: np.full(number, np.nan) for metric in MEASURED}
            for method in methods
            for name in method.names
        }
        label = f"{kind}, seed {seed}"
        with self._progress(total=number * len(methods), desc=label) as bar:
            for cases in self._images.batches(kind, seed) if methods else ():
                shown: dict[str, np.ndarray] = {}
                for method in methods:
                    shown |= self._complete(method, cases, seed, values)
                    bar.update(len(cases))
                if seed == self._seeds[0]:
                    self._show(cases, shown, result)
        return values

    def _show(
        self, cases: Sequence[Case], faces: dict[str, np.ndarray], result: MaskResult
    ) -> None:
        """Put the faces of a batch, [n, E, E, C] by method, into their places in a result."""
        for i, case in enumerate(cases):
            if case.located is not None:
                result.located[case.index] = case.located
            if case.index < len(result.masked):
                result.masked[case.index] = self._images.align(case, case.visible)
                for name, own in faces.items():
                    result.completed[name][case.index] = own[i]

    def _complete(
        self,
        method: Method,
        cases: Sequence[Case],
        seed: int,
        values: dict[str, MetricValues],
    ) -> dict[str, np.ndarray]:
        """Complete a batch and put its metrics into their places; return the faces, aligned."""
        faces: dict[str, list[np.ndarray]] = {name: [] for name in method.names}
        for first in range(0, len(cases), method.batch):
            part, seconds = cases[first : first + method.batch], []
            for case, (completed, took) in zip(
                part, method.complete(part, seed, self._images.paste), strict=True
            ):
                seconds.append(took)
                for name, pixels in completed.items():
                    faces[name].append(self._images.align(case, pixels))
                    for metric, value in measure(case, pixels).items():
                        values[name][metric][case.index] = value
            if not self._images.photos:  # means and errors are over batches
                seconds = [np.mean(seconds), *[np.nan] * (len(part) - 1)]
            if self._compiles(method, part[0]):
                seconds = [np.nan] * len(part)
            for name in method.names:
                values[name]["seconds"][[case.index for case in part]] = seconds
        stacked = {name: np.stack(own) for name, own in faces.items()}
        for name, own in stacked.items():
            self._describe(own, [case.index for case in cases], values[name], not method.network)
        return stacked

    def _compiles(self, method: Method, case: Case) -> bool:
        """Tell whether TensorFlow compiles for a batch, and others give the time."""
        key = method.names, case.mask.block, case.mask.keeps_pixels
        if not method.network or key in self._compiled:
            return False
        self._compiled.add(key)
        return len(self._images) > method.batch or (len(self._seeds) > 1 and method.seeded)

    def _describe(
        self, faces: np.ndarray, indices: list[int], values: MetricValues, keep: bool
    ) -> None:
        """Add what dlib says of completed faces, [n, E, E, C], to the metrics of their images."""
        read = self._reader.describe(faces, keep=keep)
        own = self.originals.embeddings[indices]
        values["identity"][indices] = embeddings.identity_distance(own, read.embeddings)
        values["found"][indices] = read.found


def _mean_over_seeds(several: Sequence[MetricValues]) -> MetricValues:
    """Average each image's values, each [N], over the seeds whose value is finite."""
    return {
        name: np.ma.masked_invalid([one[name] for one in several]).mean(axis=0).filled(np.nan)
        for name in MEASURED
    }
