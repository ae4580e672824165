"""The completion benchmark: known faces completed by several methods, under masks and seeds.

`Method` is a way to complete, `KnownFaces` measures its completions, `Benchmark` runs all methods
under a mask. Every metric is kept for every image; means and errors are made in tables.py.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence

import numpy as np

import utils
from completion import blending, mask_source
from completion.completer import Completer
from completion.masks import Mask
from completion.search_settings import SearchSettings
from completion.settings import MaskSettings
from metrics import baselines, embeddings, image_metrics
from metrics.embeddings import FaceEmbeddings, FaceReader
from metrics.linear_estimate import LinearEstimate
from metrics.progress import Progress, describe, silent
from metrics.results import LINEAR, MEASURED, MaskResult, MetricValues
from model import DCGAN
from utils import UserError

BATCH = 64  # images of a search's batch

# images, uint8 [N, S, S, C], their masks, seed -> completions by the method's names
Complete = Callable[[np.ndarray, Mask, int], dict[str, np.ndarray]]

# --- methods --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to complete images, or several that share a search.

    Attributes:
      names: of the results.
      complete: see `Complete`.
      batch: images that it completes in one call.
      seeded: whether it draws from the seed itself, besides the mask.
      needs_known: whether it is left out under a mask that keeps no pixel: it has nothing to go by.
    """

    names: tuple[str, ...]
    complete: Complete
    batch: int = 1
    seeded: bool = False
    needs_known: bool = False

    def complete_timed(
        self, images: np.ndarray, mask: Mask, seed: int, advance: Callable[[int], object]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Completes images, uint8 [N, S, S, C], in batches.

        Args:
          images, mask, seed: see `Complete`; any number of them.
          advance: called with the number of images done since its last call.

        Returns:
          The completions by name, each uint8 [N, S, S, C]; and the seconds that an image took,
          float64 [N]. They are measured for each batch (a smaller one is padded, and counts as a
          full one): its first image has them, the others NaN, so that a mean and its error are over
          batches.
        """
        parts, seconds = [], np.full(len(images), np.nan)
        for first in range(0, len(images), self.batch):
            batch = slice(first, first + self.batch)
            begin = time.perf_counter()
            parts.append(self.complete(images[batch], mask[batch], seed))
            seconds[first] = (time.perf_counter() - begin) / self.batch
            advance(len(images[batch]))
        return {name: np.concatenate([p[name] for p in parts]) for name in self.names}, seconds


def baseline_methods(images: np.ndarray) -> list[Method]:
    """Inpainting, behind the mean face if there are two faces or more."""

    def baseline(
        name: str, fill: Callable[[np.ndarray, Mask], np.ndarray], needs_known: bool
    ) -> Method:
        def complete(images: np.ndarray, mask: Mask, _seed: int) -> dict[str, np.ndarray]:
            return {name: fill(images, mask)}

        return Method((name,), complete, needs_known=needs_known)

    methods = [
        baseline(name, functools.partial(baselines.inpaint_all, inpaint), needs_known=True)
        for name, inpaint in baselines.INPAINTING.items()
    ]
    if len(images) > 1:
        mean = baselines.MeanFace(images)
        methods.insert(0, baseline("mean-face", mean.complete, needs_known=False))
    return methods


def linear_method(estimate: LinearEstimate, batch: int) -> Method:
    """The linear estimate as a method, its holes filled as those of `auto`; `batch` as above."""
    blend = SearchSettings.of("auto").blend

    def complete(images: np.ndarray, mask: Mask, _seed: int) -> dict[str, np.ndarray]:
        estimated = estimate.estimate(images, mask)
        return {LINEAR: blending.fill(images, mask, estimated, blend)}

    return Method((LINEAR,), complete, batch, needs_known=True)


def search_method(
    model: DCGAN,
    search: SearchSettings,
    blends: Sequence[str],
    batch: int,
    precision: str = "float32",
) -> Method:
    """The latent search as a method, filled in one way or in several that share the search.

    Its names are that of the approach, such as adam; with blends adam-none, adam-poisson.

    Args:
      model: completes.
      search: the settings of the search.
      blends: of completion.search_settings.BLENDS; empty for the search's own.
      batch: images of a batch.
      precision: of the search's convolutions.
    """
    names = tuple(f"{search.approach}-{blend}" for blend in blends) or (search.approach,)
    blends = blends or [search.blend]
    settings = dataclasses.replace(search, blend="none")  # the holes are filled below
    completer = Completer(model, settings, batch_size=batch, precision=precision)

    def complete(images: np.ndarray, mask: Mask, seed: int) -> dict[str, np.ndarray]:
        generated = completer.complete(images, mask, seed).generated
        return {
            name: blending.fill(images, mask, generated, blend)
            for name, blend in zip(names, blends, strict=True)
        }

    return Method(names, complete, batch, seeded=True)


def check_baselines(asked: Sequence[str], others: Sequence[str]) -> None:
    """Raises UserError if no method has a name that is asked for.

    Args:
      asked: names that --baseline gives.
      others: names of the methods besides those of `baseline_methods`.
    """
    known = ["mean-face", *baselines.INPAINTING, *others]
    for name in asked:
        if name not in known:
            raise UserError(f"--baseline {name}: is none of {', '.join(known)}")


# --- measuring ------------------------------------------------------------------------------


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
            "psnr": image_metrics.psnr(self.images, completed, mask.kept),
            "ssim": image_metrics.ssim(self.images, completed, mask.kept),
            "identity": embeddings.identity_distance(own, read.embeddings),
            "found": read.found.astype(np.float64),
            "gradient_energy": image_metrics.gradient_energy(completed, mask.kept),
            "original_gradient_energy": image_metrics.gradient_energy(self.images, mask.kept),
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
        methods = [m for m in self._methods if settings.keeps_pixels or not m.needs_known]
        by_seed: dict[str, list[MetricValues]] = {name: [] for m in methods for name in m.names}
        first = mask_source.draw_masks(settings, images, self._seeds[0])
        pictures: dict[str, np.ndarray] = {}
        for seed in self._seeds:
            mask = mask_source.draw_masks(settings, images, seed)
            repeated = seed != self._seeds[0] and np.array_equal(mask.known, first.known)
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
        visible = first[:shown].visible(utils.to_signed(images[:shown]))
        metrics = {name: _mean_over_seeds(several) for name, several in by_seed.items()}
        return MaskResult(settings.mask_type, metrics, utils.to_uint8(visible), pictures)

    def _has_more(self, method: Method) -> bool:
        """Whether a method completes further batches under a mask, after the first one."""
        return len(self._seeds) > 1 or len(self._faces) > method.batch


def _mean_over_seeds(several: Sequence[MetricValues]) -> MetricValues:
    """The mean of each image's values, each [N], over the seeds whose value is finite."""
    return {
        name: np.ma.masked_invalid([one[name] for one in several]).mean(axis=0).filled(np.nan)
        for name in MEASURED
    }
