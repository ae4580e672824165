"""Completing faces that are known, by several methods, under several masks: how good is each?

Every method has a figure for every image; means and errors are the reader's (results.py).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import utils
from completion import completer as completion
from completion import input_images as inputs
from completion import masks
from completion.completer import Completer
from completion.settings import Settings
from metrics import baselines
from metrics import embeddings as metrics
from model import DCGAN
from utils import UserError

BATCH = 64  # images that a search completes at a time
FIGURES = ("psnr", "ssim", "identity", "found", "seconds")
REFERENCE = ("reference-adam", "reference-pgd")
REFERENCE_MASK = "center"
REFERENCE_EVERY = 4  # of its thousand iterations each; one seed

# What a method is told to do: images, masks, mask type, seed -> completions by method name
Complete = Callable[[np.ndarray, np.ndarray, str, int], dict[str, np.ndarray]]
Tick = Callable[[int], None]
# By name in FIGURES, float64 [N], NaN where not measured
Figures = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to complete images, or several that share their work.

    Attributes:
      names: of the results.
      complete: see `Complete`.
      batch: images that it takes at a time.
      seeded: whether the result depends on the seed, and not on the mask alone.
    """

    names: tuple[str, ...]
    complete: Complete
    batch: int = 1
    seeded: bool = False


@dataclasses.dataclass(frozen=True)
class MaskResult:
    """What came out under a mask.

    Attributes:
      mask_type: of masks.MASK_TYPES.
      figures: by method, means over the seeds.
      masked: what was known of the first images at the first seed, uint8 [n, S, S, C].
      completed: what each method made of them.
    """

    mask_type: str
    figures: dict[str, Figures]
    masked: np.ndarray
    completed: dict[str, np.ndarray]


# --- images and masks -----------------------------------------------------------------------


def evenly_spaced(items: Sequence[Any], number: int | None) -> list[Any]:
    """`number` of the items in equal steps from the first one on; all, if there are no more."""
    if number is None or number >= len(items):
        return list(items)
    return [items[i * len(items) // number] for i in range(number)]


def load_faces(paths: Sequence[str], size: int, channels: int) -> np.ndarray:
    """Images of the model's size, uint8 [N, size, size, channels].

    Raises:
      UserError: a file is no image, or of another size.
    """
    images = np.empty([len(paths), size, size, channels], np.uint8)
    for place, path in zip(images, paths, strict=True):
        image = utils.load_image(path, channels)
        if image.shape != place.shape:
            height, width = image.shape[:2]
            raise UserError(
                f"{path}: is {width}x{height}, the model makes {size}x{size}; align photos of "
                f"faces (./align-dlib.py FOLDER align innerEyesAndBottomLip ALIGNED --size {size})"
            )
        place[:] = image
    return images


def make_masks(
    images: np.ndarray, mask_type: str, seed: int, options: Mapping[str, Any]
) -> np.ndarray:
    """A mask for every image, as masks.make_mask gives it for the seed and the image's pixels."""
    return np.stack(
        [
            masks.make_mask(
                mask_type,
                image.shape[0],
                random=inputs.random_of(image, seed, purpose=1),
                **options,
            )
            for image in images
        ]
    )


def _hole(images: np.ndarray, mask: np.ndarray, mask_type: str) -> np.ndarray:
    """The mask that figures go by: the whole image is a hole if none of its pixels stays."""
    if mask_type in masks.NOTHING_STAYS:
        return np.zeros([*images.shape[:3], 1], np.float32)
    return mask


# --- methods --------------------------------------------------------------------------------


def baseline_methods(images: np.ndarray, mask_type: str) -> list[Method]:
    """The mean face (of two faces and more), and inpainting where some pixels stay."""
    methods = []
    if len(images) > 1:
        mean = baselines.MeanFace(images)
        methods.append(
            Method(
                ("mean-face",),
                lambda images, mask, mask_type, _: {
                    "mean-face": mean.complete(images, mask, mask_type)
                },
            )
        )
    for name, inpaint in baselines.INPAINTING.items():
        if mask_type not in masks.NOTHING_STAYS:
            methods.append(
                Method(
                    (name,),
                    lambda images, mask, _type, _seed, name=name, inpaint=inpaint: {
                        name: baselines.inpaint_all(inpaint, images, mask)
                    },
                )
            )
    return methods


def search_names(approach: str, blends: Sequence[str]) -> tuple[str, ...]:
    """What the results of an approach are called: adam, or adam-none and adam-poisson."""
    return tuple(f"{approach}-{blend}" for blend in blends) or (approach,)


def search_method(
    model: DCGAN,
    approach: str,
    blends: Sequence[str],
    batch: int,
    precision: str = "float32",
    **overrides: Any,
) -> Method:
    """An approach of ours; several ways to fill the hole share one search.

    Args:
      model: completes.
      approach: of `Settings.of`, as `overrides` are.
      blends: of approaches.BLENDS; empty for what the approach has.
      batch: images at a time.
      precision: of the search's convolutions.
    """
    names = search_names(approach, blends)
    settings = Settings.of(approach, **overrides)
    blends = blends or [settings.blend]
    settings = dataclasses.replace(settings, blend="none")  # each of them is made below
    completer = Completer(model, settings, batch_size=batch, precision=precision)

    def complete(
        images: np.ndarray, mask: np.ndarray, mask_type: str, seed: int
    ) -> dict[str, np.ndarray]:
        done = completer.complete(images, mask, mask_type, seed)
        return {
            name: completion.fill(images, mask, done.generated, mask_type, blend)
            for name, blend in zip(names, blends, strict=True)
        }

    return Method(names, complete, batch, seeded=True)


def check_baseline(name: str, searches: Sequence[Method]) -> None:
    """Raises UserError if no method has the name."""
    known = ["mean-face", *baselines.INPAINTING, *(n for s in searches for n in s.names)]
    if name not in known:
        raise UserError(f"--baseline {name}: is none of {', '.join(known)}")


def run(
    method: Method, images: np.ndarray, mask: np.ndarray, mask_type: str, seed: int, tick: Tick
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Completes images; returns what each name made of them, and the seconds an image took.

    These are of a batch, the last one as if it were full: its first image has them, float64
    [N], the others NaN, so that a mean and its error are over batches.
    """
    parts, seconds = [], np.full(len(images), np.nan)
    for first in range(0, len(images), method.batch):
        batch = slice(first, first + method.batch)
        begin = time.perf_counter()
        parts.append(method.complete(images[batch], mask[batch], mask_type, seed))
        seconds[first] = (time.perf_counter() - begin) / method.batch
        tick(len(images[batch]))
    return {name: np.concatenate([p[name] for p in parts]) for name in method.names}, seconds


class Evaluation:
    """Faces with what dlib says of them, and the methods that are tried on them."""

    def __init__(
        self,
        model: DCGAN,
        images: np.ndarray,
        seeds: Sequence[int],
        searches: Sequence[Method],
        reader: metrics.FaceReader,
        tick: Tick,
    ) -> None:
        """Describes the faces.

        Args:
          model: for the reference's settings.
          images: uint8 [N, S, S, C].
          seeds: of random masks and of searches.
          searches: methods besides the baselines.
          reader: of dlib's figures.
          tick: is told of every image that a method has completed, or that was measured.
        """
        self.images, self.seeds = images, seeds
        self._model, self._searches, self._reader, self._tick = model, searches, reader, tick
        self.real = reader.describe(images, tick=tick)

    def measure(
        self,
        which: np.ndarray,
        completed: np.ndarray,
        hole: np.ndarray,
        seconds: np.ndarray,
        keep: bool,
    ) -> Figures:
        """The figures of completions, uint8 [n, S, S, C], of the images with the numbers `which`.

        `hole` is a mask [n, S, S, 1] (1 = known); `keep`: whether dlib's figures are cached.
        """
        images = self.images[which]
        read = self._reader.describe(completed, keep=keep, tick=self._tick)
        return {
            "psnr": metrics.psnr(images, completed, hole),
            "ssim": metrics.ssim(images, completed, hole),
            "identity": metrics.identity_distance(self.real.embeddings[which], read.embeddings),
            "found": read.found.astype(np.float64),
            "seconds": seconds,
        }

    def under(self, mask_type: str, options: Mapping[str, Any], shown: int) -> MaskResult:
        """Completes all images with all methods under one mask and all seeds.

        Args:
          mask_type: of masks.MASK_TYPES.
          options: further arguments of masks.make_mask.
          shown: how many of the first images' completions to return.
        """
        everyone = np.arange(len(self.images))
        methods = [*self._searches, *baseline_methods(self.images, mask_type)]
        by_seed: dict[str, list[Figures]] = {name: [] for m in methods for name in m.names}
        first = make_masks(self.images, mask_type, self.seeds[0], options)
        pictures: dict[str, np.ndarray] = {}
        for seed in self.seeds:
            mask = make_masks(self.images, mask_type, seed, options)
            hole = _hole(self.images, mask, mask_type)
            again = seed != self.seeds[0] and np.array_equal(mask, first)
            for method in methods:
                if again and not method.seeded:
                    self._tick(len(everyone) * (1 + len(method.names)))
                    continue
                completed, seconds = run(method, self.images, mask, mask_type, seed, self._tick)
                if method.seeded and seed == self.seeds[0] and self._has_more(method):
                    seconds[0] = np.nan  # TensorFlow compiles; other batches tell the time
                for name, pixels in completed.items():
                    keep = not method.seeded
                    by_seed[name].append(self.measure(everyone, pixels, hole, seconds, keep))
                    pictures.setdefault(name, pixels[:shown])
        known = masks.visible(utils.to_signed(self.images[:shown]), first[:shown], mask_type)
        figures = {name: _mean_over_seeds(several) for name, several in by_seed.items()}
        return MaskResult(mask_type, figures, utils.to_uint8(known), pictures)

    def _has_more(self, method: Method) -> bool:
        """Whether a method has other batches under a mask than the first one."""
        return len(self.seeds) > 1 or len(self.images) > method.batch

    def reference(self, options: Mapping[str, Any], cache: str) -> dict[str, Figures]:
        """The figures of the reference's settings: on every fourth image, of the first seed.

        They take long, and are kept as JSON in the folder `cache`: under a hash of the model,
        the images, their masks, the seed and the settings.
        """
        which = np.arange(0, len(self.images), REFERENCE_EVERY)
        images, seed = self.images[which], self.seeds[0]
        mask = make_masks(images, REFERENCE_MASK, seed, options)
        figures = {}
        for name in REFERENCE:
            settings = Settings.of(name.removeprefix("reference-"))
            what = dataclasses.asdict(settings) | {"seed": seed}
            digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
            for part in (model_hash(self._model).encode(), images.tobytes(), mask.tobytes()):
                digest.update(part)
            path = os.path.join(cache, "reference", f"{digest.hexdigest()}.json")
            own = _read_figures(path, len(which))
            if own is None:
                batch = min(BATCH, len(which))
                method = search_method(self._model, settings.approach, [], batch)
                done, seconds = run(method, images, mask, REFERENCE_MASK, seed, self._tick)
                own = self.measure(which, done[settings.approach], mask, seconds, keep=False)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                stored = {k: [None if np.isnan(x) else x for x in v] for k, v in own.items()}
                utils.write_text(path, json.dumps(what | {"figures": stored}))
            else:
                self._tick(2 * len(which))
            figures[name] = {}
            for figure, values in own.items():
                figures[name][figure] = np.full(len(self.images), np.nan)
                figures[name][figure][which] = values
        return figures


def _mean_over_seeds(several: Sequence[Figures]) -> Figures:
    """Image by image; what is not finite for a seed is left out."""
    return {
        figure: np.ma.masked_invalid([one[figure] for one in several]).mean(axis=0).filled(np.nan)
        for figure in FIGURES
    }


def _read_figures(path: str, number: int) -> Figures | None:
    try:
        with open(path, encoding="utf-8") as file:
            figures = json.load(file)["figures"]
        read = {name: np.array(figures[name], np.float64) for name in FIGURES}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return read if all(len(values) == number for values in read.values()) else None


def model_hash(model: DCGAN) -> str:
    """A hash of both networks' weights, wherever they are stored and whatever beside them."""
    digest = hashlib.sha256(json.dumps(dict(model.architecture), sort_keys=True).encode())
    for network in (model.g, model.d):
        for name in sorted(network):
            digest.update(name.encode() + network[name].numpy().tobytes())
    return digest.hexdigest()


def work(
    images: int,
    seeds: int,
    mask_types: Sequence[str],
    searches: Sequence[Method],
    reference: bool,
) -> int:
    """How many ticks an evaluation takes: one to complete an image, one for each to measure."""
    ticks = images  # the originals
    for mask_type in mask_types:
        inpainted = 0 if mask_type in masks.NOTHING_STAYS else len(baselines.INPAINTING)
        own = sum(1 + len(method.names) for method in searches)
        ticks += images * seeds * (own + 2 * (inpainted + (images > 1)))
    if reference:
        ticks += 2 * len(REFERENCE) * len(range(0, images, REFERENCE_EVERY))
    return ticks
