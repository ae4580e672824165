"""The ways to repair a photo that an evaluation compares: inpainting, and what is placed back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dcgan_completion.completion import run as completion_run
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.evaluation.baselines import INPAINTING, Inpaint, MeanFace
from dcgan_completion.evaluation.linear_estimate import LinearEstimate
from dcgan_completion.evaluation.methods import check_baselines
from dcgan_completion.evaluation.results import LINEAR
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.photos import repair, run
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.holes import Hole, around
from dcgan_completion.photos.repair import Task
from dcgan_completion.settings.evaluation import PhotoBenchmarkSettings
from dcgan_completion.settings.search import SearchSettings

SURROUNDINGS = 16  # pixels around a hole that inpainting is given: more than it looks at


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A photo with a hole, to be repaired.

    Attributes:
      index: number of the photo.
      original: the photo, of 8 bits, with as many channels as the model has.
      blank: the same with a blank hole: all that a repair is given.
      hole: what is missing.
      task: of repairing it; None: its face was not found.
      seconds: that it took to find the face, or not to.
    """

    index: int
    original: Photo
    blank: Photo
    hole: Hole
    task: Task | None
    seconds: float


@dataclasses.dataclass(frozen=True)
class PhotoMethod:
    """A way to repair photos.

    Attributes:
      name: of its results.
      repair: repairs some cases; yields the pixels of each, uint8 [H, W, C], and its seconds.
      searched: whether it is a network's: what it makes is not cached, and its first call takes
        longer.
    """

    name: str
    repair: Callable[[Sequence[Case]], Iterator[tuple[np.ndarray, float]]]
    searched: bool = False


def inpainting_methods() -> list[PhotoMethod]:
    """The inpaintings of baselines.py, at the photo's resolution."""

    def method(name: str, inpaint: Inpaint) -> PhotoMethod:
        def repair_all(cases: Sequence[Case]) -> Iterator[tuple[np.ndarray, float]]:
            for case in cases:
                begin = time.perf_counter()
                pixels = case.blank.pixels.copy()
                crop = around(case.hole.missing, SURROUNDINGS)
                part = np.ascontiguousarray(pixels[crop])
                pixels[crop] = inpaint(part, case.hole.missing[crop])
                yield pixels, time.perf_counter() - begin

        return PhotoMethod(name, repair_all)

    return [method(*item) for item in INPAINTING.items()]


def placed_method(
    name: str,
    generate: Callable[[Sequence[Case]], np.ndarray],
    blend: str,
    seed: int,
    batch: int = 1,
    searched: bool = False,
) -> PhotoMethod:
    """What is generated in the squares of faces as a method: placed back as complete-photo.py does.

    Where no face was found the hole is inpainted. There is no grain.

    Args:
      name: of its results.
      generate: gives the squares of all faces of some cases with tasks, 0..255, float32
        [N, S, S, C].
      blend: of BLENDS.
      seed: as for `repair.repair`.
      batch: to a multiple of how many faces `generate` pads, at the same expense.
      searched: see `PhotoMethod`.
    """

    def repair_all(cases: Sequence[Case]) -> Iterator[tuple[np.ndarray, float]]:
        tasks = [case for case in cases if case.task is not None]
        begin, share = time.perf_counter(), 0.0
        if tasks:
            generated = generate(tasks)
            share = (time.perf_counter() - begin) / (-(-len(generated) // batch) * batch)
        for case in cases:
            begin, seconds = time.perf_counter(), case.seconds
            if case.task is None:
                photo = inpaint(case.blank, case.hole)
            else:
                own, generated = np.split(generated, [len(case.task.faces)])
                seconds += share * len(own)
                photo = repair.repair(case.task, own, blend, seed, with_grain=False)
            yield photo.pixels, seconds + time.perf_counter() - begin

    return PhotoMethod(name, repair_all, searched)


def inpaint(photo: Photo, hole: Hole) -> Photo:
    """A photo with its whole hole inpainted, as what lies outside of faces is."""
    crop = around(hole.missing, repair.SURROUNDINGS)
    picture = photo.pixels[crop].astype(np.float32)
    return photo.filled(repair.inpaint(picture, hole.missing[crop]), hole.missing, crop)


def prepare(
    settings: PhotoBenchmarkSettings,
    model: DCGAN,
    encoder: ContextEncoder | None,
    batch: int,
    precision: str,
) -> list[PhotoMethod]:
    """The approaches that are asked for, and `direct` where there is an encoder.

    Args:
      settings: name the approaches, of settings.EVALUATED.
      model: completes.
      encoder: guides `auto` and is `direct`; None: there is no `direct`, and `auto` is unguided.
      batch: faces of a batch.
      precision: of the convolutions.

    Raises:
      UserError: --baseline names no method.
    """
    seed, methods = settings.seed[0], []
    for name in dict.fromkeys([*settings.approach, *(["direct"] if encoder else [])]):
        search = settings.search(name, guided=encoder is not None)
        # What is generated is blended at the photos' resolution.
        unblended = dataclasses.replace(search, blend="none")
        completer = completion_run.make_completer(model, unblended, encoder, batch, 1, precision)

        def generate(cases: Sequence[Case], completer=completer) -> np.ndarray:
            return run.generate(completer, [case.task for case in cases], seed)[:, 0]

        methods.append(placed_method(name, generate, search.blend, seed, batch, searched=True))
    names = [method.name for method in methods]
    check_baselines(settings.baseline, [*names, *([LINEAR] * bool(settings.linear))])
    return methods


def simple_methods(
    squares: np.ndarray, linear: LinearEstimate | None, seed: int
) -> list[PhotoMethod]:
    """The linear estimate, if there is one, and the mean face of two or more, placed back.

    Args:
      squares: the faces of all photos as the model sees them, uint8 [N, S, S, C]; a photo's own is
        not in its mean face.
      linear: the estimate.
      seed: as for `placed_method`.
    """
    blend, methods = SearchSettings.of("auto").blend, []
    if linear is not None:

        def estimate(cases: Sequence[Case]) -> np.ndarray:
            known = Mask(np.concatenate([case.task.known for case in cases]))
            images = np.concatenate([case.task.squares for case in cases])
            return linear.estimate(images, known).astype(np.float32)

        methods.append(placed_method(LINEAR, estimate, blend, seed))
    if len(squares) > 1:
        mean = MeanFace(squares)

        def others(cases: Sequence[Case]) -> np.ndarray:
            index = [case.index for case in cases for _ in case.task.faces]
            return mean.without(squares[index]).astype(np.float32)

        methods.append(placed_method("mean-face", others, blend, seed))
    return methods
