"""Methods: ways to complete cases that an evaluation compares.

Our approaches, the linear estimate and the mean face give candidates for squares; baselines
inpaint an image at its own size.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from dcgan_completion.evaluation import baselines
from dcgan_completion.evaluation.baselines import Inpaint, MeanFace
from dcgan_completion.evaluation.cases import Case, squares_of
from dcgan_completion.evaluation.linear_estimate import LinearEstimate
from dcgan_completion.evaluation.results import MEAN_FACE
from dcgan_completion.inpaint.estimator import Estimator
from dcgan_completion.inpaint.inpainter import Inpainter
from dcgan_completion.inpaint.search import LatentSearch
from dcgan_completion.settings.evaluation import (
    LINEAR,
    BenchmarkSettings,
    PhotoBenchmarkSettings,
)
from dcgan_completion.settings.search import DEFAULTS
from dcgan_completion.utils import UserError

# cases, candidates, blend -> their completions: see `cases.Images.paste`
Paste = Callable[[Sequence[Case], np.ndarray, str], Iterator[np.ndarray]]
# A case's completions by the method's names, uint8 [H, W, C], and the seconds that they took.
Completed = tuple[dict[str, np.ndarray], float]


@dataclasses.dataclass(frozen=True)
class Pasting:
    """A method that gives candidates for squares, from which holes are filled, maybe in many ways.

    Attributes:
      blends: of BLENDS, by the name of the results.
      candidates: cases and a seed -> candidates for their squares, 0..255, float32 [n, S, S, C].
      batch: squares that take as long as one; fewer are padded.
      seeded: whether the candidates depend on the seed.
      network: whether TensorFlow compiles at the first call, and what is made is not cached.
      for_whole: whether it completes under masks that keep no pixel.
    """

    blends: Mapping[str, str]
    candidates: Callable[[Sequence[Case], int], np.ndarray]
    batch: int = 1
    seeded: bool = False
    network: bool = False
    for_whole: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the results."""
        return tuple(self.blends)

    def complete(self, cases: Sequence[Case], seed: int, paste: Paste) -> Iterator[Completed]:
        """Yield the completions of each case, and its seconds.

        Args:
          cases: at most `batch`.
          seed: of the candidates.
          paste: fills the holes.
        """
        begin = time.perf_counter()
        number = sum(len(case.squares) for case in cases)
        candidates = self.candidates(cases, seed) if number else np.zeros(0, np.float32)
        share = (time.perf_counter() - begin) / max(1, -(-number // self.batch) * self.batch)
        pasted = [paste(cases, candidates, blend) for blend in self.blends.values()]
        for case in cases:
            begin = time.perf_counter()
            completed = dict(zip(self.blends, map(next, pasted), strict=True))
            took = time.perf_counter() - begin
            yield completed, case.seconds + share * len(case.squares) + took


@dataclasses.dataclass(frozen=True)
class Inpainting:
    """A baseline that inpaints the hole of an image at its own size; attributes as of `Pasting`."""

    name: str
    inpaint: Inpaint
    batch: ClassVar[int] = 1
    seeded: ClassVar[bool] = False
    network: ClassVar[bool] = False
    for_whole: ClassVar[bool] = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the results."""
        return (self.name,)

    def complete(self, cases: Sequence[Case], _seed: int, _paste: Paste) -> Iterator[Completed]:
        """Yield the completion of each case, and its seconds."""
        for case in cases:
            begin = time.perf_counter()
            pixels = case.visible.copy()
            part = np.ascontiguousarray(pixels[case.crop])
            pixels[case.crop] = self.inpaint(part, case.mask.plane[case.crop])
            completed = np.where(case.mask.filled[0], pixels, case.original)
            yield {self.name: completed}, time.perf_counter() - begin


Method = Pasting | Inpainting


def search_method(
    inpainter: Inpainter,
    name: str,
    options: Mapping[str, Any],
    batch: int,
    blends: Sequence[str] = (),
    precision: str | None = None,
) -> Pasting:
    """Make a method of an approach.

    Args:
      inpainter: completes.
      name: of the results; with blends they are NAME-none, NAME-poisson.
      options: of the search.
      batch: squares of a batch.
      blends: of BLENDS, which share a search; empty: the approach's own.
      precision: of the convolutions; None: the inpainter's.

    Raises:
      UserError: as `Inpainter.search_settings`.
    """
    settings = inpainter.search_settings(options)

    @functools.cache  # all are kept, with what TensorFlow has compiled for them
    def search(keeps_pixels: bool) -> LatentSearch | Estimator:
        own = inpainter.search_settings(options, keeps_pixels=keeps_pixels)
        return inpainter.search(own, batch_size=batch, precision=precision)

    def candidates(cases: Sequence[Case], seed: int) -> np.ndarray:
        squares, mask = squares_of(cases)
        return search(mask.keeps_pixels).complete(squares, mask, seed).images[:, 0]

    named = {f"{name}-{blend}": blend for blend in blends} or {name: settings.blend}
    searched = settings.approach != "direct"
    return Pasting(named, candidates, batch, seeded=searched, network=True, for_whole=searched)


def model_methods(
    settings: BenchmarkSettings | PhotoBenchmarkSettings,
    inpainter: Inpainter,
    batch: int,
    guided: bool,
) -> list[Pasting]:
    """Make methods of the approaches that are asked for; nothing is computed yet.

    Args:
      settings: name the approaches.
      inpainter: completes.
      batch: squares of a batch.
      guided: whether a context encoder guides `auto`.

    Raises:
      UserError: as `search_method`, or --baseline names no method.
    """
    methods = [
        search_method(inpainter, name, settings.search_options(name, guided), batch, settings.blend)
        for name in settings.approaches(guided)
    ]
    names = [name for method in methods for name in method.names]
    known = [MEAN_FACE, *baselines.INPAINTING, *names, *([LINEAR] * bool(settings.linear))]
    for name in settings.baseline:
        if name not in known:
            raise UserError(f"--baseline {name}: is none of {', '.join(known)}")
    return methods


def linear_method(estimate: LinearEstimate, batch: int) -> Pasting:
    """Make a method of the linear estimate, blended as `auto`."""

    def candidates(cases: Sequence[Case], _seed: int) -> np.ndarray:
        return estimate.estimate(*squares_of(cases)).astype(np.float32)

    return Pasting({LINEAR: DEFAULTS["auto"]["blend"]}, candidates, batch)


def mean_face_method(squares: np.ndarray, blend: str) -> Pasting:
    """Make a method of the mean face: each face is filled with the mean of the other ones.

    Args:
      squares: all faces that are evaluated, uint8 [N, S, S, C], at least two.
      blend: of BLENDS.
    """
    mean = MeanFace(squares)

    def candidates(cases: Sequence[Case], _seed: int) -> np.ndarray:
        index = [case.index for case in cases for _ in case.squares]
        return mean.without(squares[index]).astype(np.float32)

    return Pasting({MEAN_FACE: blend}, candidates, for_whole=True)


def inpainting_methods() -> list[Inpainting]:
    """Make methods of the baselines that inpaint."""
    return [Inpainting(name, inpaint) for name, inpaint in baselines.INPAINTING.items()]
