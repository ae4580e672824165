"""The completion benchmark: known faces completed by several methods, under masks and seeds.

`KnownFaces` measures completions, `Benchmark` runs all methods under a mask. Every metric is kept
for every image; means and errors are made in tables.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from dcgan_completion.evaluation import embeddings, image_metrics
from dcgan_completion.evaluation.embeddings import FaceEmbeddings, FaceReader
from dcgan_completion.evaluation.methods import Method, baseline_methods
from dcgan_completion.evaluation.progress import Progress, describe, silent
from dcgan_completion.evaluation.results import MEASURED, MaskResult, MetricValues
from dcgan_completion.masks import source as mask_source
from dcgan_completion.masks.mask import Mask
from dcgan_completion.settings.masks import MaskSettings


@dataclasses.dataclass(frozen=True, eq=False)
class KnownFaces:
    """Faces that completions are compared with.

    Attributes:
      images: uint8 [N, S, S, C].
      described: their embeddings, and whether dlib finds a face in them.
      reader: describes their completions, too.
      progress: of describing.
    """

    images: np.ndarray
    described: FaceEmbeddings
    reader: FaceReader
    progress: Progress = silent

    @classmethod
    def of(cls, images: np.ndarray, reader: FaceReader, progress: Progress = silent) -> KnownFaces:
        """Describes images, uint8 [N, S, S, C]."""
        return cls(images, describe(reader, images, progress, "originals"), reader, progress)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, which: slice) -> KnownFaces:
        described = FaceEmbeddings(*(values[which] for values in self.described))
        return dataclasses.replace(self, images=self.images[which], described=described)

    def measure(
        self, completed: np.ndarray, mask: Mask, label: str, *, keep: bool = False
    ) -> MetricValues:
        """What is measured of the faces' completions, all but their seconds.

        Args:
          completed: the completions, uint8 [N, S, S, C].
          mask: under which they were made; what is measured of pixels is of those it does not keep.
          label: names them in the progress.
          keep: whether their embeddings are cached.
        """
        read = describe(self.reader, completed, self.progress, f"{label}: measured", keep=keep)
        own = self.described.embeddings
        return {
            "psnr": image_metrics.psnr(self.images, completed, mask.filled),
            "ssim": image_metrics.ssim(self.images, completed, mask.filled),
            "identity": embeddings.identity_distance(own, read.embeddings),
            "found": read.found.astype(np.float64),
            "gradient_energy": image_metrics.gradient_energy(completed, mask.filled),
            "original_gradient_energy": image_metrics.gradient_energy(self.images, mask.filled),
        }


class Benchmark:
    """Known faces, and the methods that complete them."""

    def __init__(
        self,
        faces: KnownFaces,
        seeds: Sequence[int],
        methods: Sequence[Method],
        progress: Progress = silent,
    ) -> None:
        """Computes nothing yet.

        Args:
          faces: to complete; at least two for a mean face.
          seeds: of random masks and of searches.
          methods: those besides `baseline_methods`.
          progress: of completion.
        """
        self._faces, self._seeds = faces, seeds
        self._methods = [*methods, *baseline_methods(faces.images)]
        self._progress = progress

    def evaluate_mask(self, settings: MaskSettings, shown: int) -> MaskResult:
        """Completes all images with all methods under one mask and all seeds, and measures.

        Args:
          settings: of the mask.
          shown: how many of the first images' completions to return.
        """
        images = self._faces.images
        methods = [m for m in self._methods if m.suits(settings.keeps_pixels)]
        by_seed: dict[str, list[MetricValues]] = {name: [] for m in methods for name in m.names}
        first = mask_source.draw_masks(settings, images, self._seeds[0])
        pictures: dict[str, np.ndarray] = {}
        for seed in self._seeds:
            mask = mask_source.draw_masks(settings, images, seed)
            repeated = seed != self._seeds[0] and np.array_equal(mask.hole, first.hole)
            for method in methods:
                if repeated and not method.seeded:
                    continue
                label = f"{settings.mask_type}, seed {seed}, {method.names[0]}"
                with self._progress(total=len(images), desc=label) as bar:
                    completed, seconds = method.complete_timed(images, mask, seed, bar.update)
                if method.seeded and seed == self._seeds[0] and self._has_more(method):
                    seconds[0] = np.nan  # TensorFlow compiled; the other batches give the time
                for name, pixels in completed.items():
                    values = self._faces.measure(pixels, mask, label, keep=not method.seeded)
                    by_seed[name].append(values | {"seconds": seconds})
                    pictures.setdefault(name, pixels[:shown])
        visible = first[:shown].visible(images[:shown])
        metrics = {name: _mean_over_seeds(several) for name, several in by_seed.items()}
        return MaskResult(settings.mask_type, metrics, visible, pictures)

    def _has_more(self, method: Method) -> bool:
        """Whether a method completes further batches under a mask, after the first one."""
        return len(self._seeds) > 1 or len(self._faces) > method.batch


def _mean_over_seeds(several: Sequence[MetricValues]) -> MetricValues:
    """The mean of each image's values, each [N], over the seeds whose value is finite."""
    return {
        name: np.ma.masked_invalid([one[name] for one in several]).mean(axis=0).filled(np.nan)
        for name in MEASURED
    }
