"""The ways to complete that an evaluation compares: our approaches, baselines, linear estimate."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence

import numpy as np

from dcgan_completion import checkpoints
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.evaluation import baselines, face_sets, linear_estimate
from dcgan_completion.evaluation.linear_estimate import LinearEstimate
from dcgan_completion.evaluation.progress import Progress
from dcgan_completion.evaluation.results import LINEAR
from dcgan_completion.inpaint import blending
from dcgan_completion.inpaint.completer import Completer
from dcgan_completion.inpaint.direct import DirectCompleter, load_encoder_for
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.evaluation import BenchmarkSettings, CompletingSettings
from dcgan_completion.settings.search import SearchSettings
from dcgan_completion.utils import UserError

BATCH = 64  # images of a search's batch

# images, uint8 [N, S, S, C], their masks, seed -> completions by the method's names
Complete = Callable[[np.ndarray, Mask, int], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to complete images, or several that share a search.

    Attributes:
      names: of the results.
      complete: see `Complete`.
      batch: images that it completes in one call.
      seeded: whether it draws from the seed itself, besides the mask.
      for_kept, for_whole: whether it completes under masks that keep pixels, and under those that
        keep none.
    """

    names: tuple[str, ...]
    complete: Complete
    batch: int = 1
    seeded: bool = False
    for_kept: bool = True
    for_whole: bool = True

    def suits(self, keeps_pixels: bool) -> bool:
        """Whether it completes under a mask."""
        return self.for_kept if keeps_pixels else self.for_whole

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
        name: str, fill: Callable[[np.ndarray, Mask], np.ndarray], for_whole: bool
    ) -> Method:
        def complete(images: np.ndarray, mask: Mask, _seed: int) -> dict[str, np.ndarray]:
            return {name: fill(images, mask)}

        return Method((name,), complete, for_whole=for_whole)

    methods = [
        baseline(name, functools.partial(baselines.inpaint_all, inpaint), for_whole=False)
        for name, inpaint in baselines.INPAINTING.items()
    ]
    if len(images) > 1:
        mean = baselines.MeanFace(images)
        methods.insert(0, baseline("mean-face", mean.complete, for_whole=True))
    return methods


def linear_method(estimate: LinearEstimate, batch: int) -> Method:
    """The linear estimate as a method, its holes filled as those of `auto`; `batch` as above."""
    blend = SearchSettings.of("auto").blend

    def complete(images: np.ndarray, mask: Mask, _seed: int) -> dict[str, np.ndarray]:
        estimated = estimate.estimate(images, mask)
        return {LINEAR: blending.fill(images, mask, estimated, blend)}

    return Method((LINEAR,), complete, batch, for_whole=False)


def search_method(
    model: DCGAN,
    search: SearchSettings,
    blends: Sequence[str],
    batch: int,
    precision: str = "float32",
    encoder: ContextEncoder | None = None,
    name: str | None = None,
) -> Method:
    """The latent search as a method, filled in one way or in several that share the search.

    Args:
      model: completes.
      search: the settings of the search.
      blends: of completion.search_settings.BLENDS; empty for the search's own.
      batch: images of a batch.
      precision: of the search's convolutions.
      encoder: guides a search whose settings say so.
      name: of the results; None: that of the approach, such as adam. With blends they are
        adam-none, adam-poisson.
    """
    name = name or search.approach
    names = tuple(f"{name}-{blend}" for blend in blends) or (name,)
    blends = blends or [search.blend]
    settings = dataclasses.replace(search, blend="none")  # the holes are filled below
    completer = Completer(model, settings, batch_size=batch, precision=precision, encoder=encoder)

    def complete(images: np.ndarray, mask: Mask, seed: int) -> dict[str, np.ndarray]:
        source = completer.complete(images, mask, seed).source
        return {
            name: blending.fill(images, mask, source, blend)
            for name, blend in zip(names, blends, strict=True)
        }

    return Method(names, complete, batch, seeded=True)


def direct_method(
    encoder: ContextEncoder, blends: Sequence[str], batch: int, precision: str = "float32"
) -> Method:
    """A context encoder's estimate as a method; arguments as for `search_method`."""
    names = tuple(f"direct-{blend}" for blend in blends) or ("direct",)
    blends = blends or [SearchSettings.of("direct").blend]
    completer = DirectCompleter(encoder, batch_size=batch, precision=precision)

    def complete(images: np.ndarray, mask: Mask, _seed: int) -> dict[str, np.ndarray]:
        source = np.rint(completer.source(images, mask)).astype(np.uint8)
        return {
            name: blending.fill(images, mask, source, blend)
            for name, blend in zip(names, blends, strict=True)
        }

    return Method(names, complete, batch, for_whole=False)


def model_methods(
    settings: BenchmarkSettings,
    model: DCGAN,
    encoder: ContextEncoder | None,
    batch: int,
    precision: str,
) -> list[Method]:
    """The approaches that are asked for, as methods.

    Where an encoder guides `auto`, it is another search under masks that keep no pixel, as it is in
    complete.py: the unguided one.

    Args:
      settings: name the approaches, of settings.EVALUATED.
      model, batch, precision: as for `search_method`.
      encoder: guides `auto` and is `direct`; None: there is no `direct`, and `auto` is unguided.
    """
    methods = []
    for name in settings.approach:
        if name == "direct":
            methods.append(direct_method(encoder, settings.blend, batch, precision))
            continue
        search = settings.search(name, guided=encoder is not None)
        method = search_method(model, search, settings.blend, batch, precision, encoder, name)
        if search.guide:
            methods.append(dataclasses.replace(method, for_whole=False))
            search = settings.search(name, guided=False)
            method = search_method(model, search, settings.blend, batch, precision, name=name)
            method = dataclasses.replace(method, for_kept=False)
        methods.append(method)
    return methods


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


# --- what an evaluation asks for ------------------------------------------------------------


def load_encoder(settings: CompletingSettings, model: DCGAN, prefix: str) -> ContextEncoder | None:
    """The context encoder that the approaches use; None where they use none, or `auto` lacks it.

    Args:
      settings: name the approaches, of settings.EVALUATED.
      model: the encoder must be for images like its.
      prefix: of the model's checkpoint, in whose folder the encoder lies.

    Raises:
      UserError: it is damaged or of other images; or `direct` is asked for without one.
    """
    if not {"auto", "direct"} & set(settings.approach):
        return None
    folder = checkpoints.encoder_folder(prefix)
    if folder is None and "direct" in settings.approach:
        raise UserError(
            f"--approach direct: there is no context encoder beside {prefix}; train one "
            "(./train-context-encoder.py) or leave direct out"
        )
    remedy = "; --approach auto-unguided does without it"
    return load_encoder_for(model, folder, remedy) if folder else None


def prepare(
    settings: BenchmarkSettings,
    model: DCGAN,
    encoder: ContextEncoder | None,
    images: int,
    precision: str,
) -> list[Method]:
    """Our methods, in batches for that many images; nothing is computed yet.

    Args:
      settings: name the approaches.
      model, encoder, precision: as for `model_methods`.
      images: their number.

    Raises:
      UserError: --baseline names no method.
    """
    methods = model_methods(settings, model, encoder, min(BATCH, images), precision)
    names = dict.fromkeys(name for method in methods for name in method.names)
    check_baselines(settings.baseline, [*names, *([LINEAR] * bool(settings.linear))])
    return methods


def fit_linear(
    settings: CompletingSettings, model: DCGAN, paths: Sequence[str], progress: Progress
) -> LinearEstimate | None:
    """The linear estimate, for the faces in those files; None without --linear.

    Raises:
      UserError: as `face_sets.list_linear` and `linear_estimate.fit_files`.
    """
    if not settings.linear:
        return None
    training = face_sets.list_linear(settings.linear, settings.holdout, paths)
    return linear_estimate.fit_files(
        training,
        model.image_size,
        model.channels,
        settings.cache,
        progress,
    )
