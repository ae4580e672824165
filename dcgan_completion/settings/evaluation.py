"""The settings of an evaluation: defaults, choices and help of the options of its three tasks.

The command line is built from these classes. Importing this needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

from dcgan_completion import utils
from dcgan_completion.evaluation.results import HOLES, LINEAR
from dcgan_completion.masks import drawing
from dcgan_completion.settings import options
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import APPROACHES, BLENDS, SearchSettings
from dcgan_completion.utils import UserError

UNGUIDED = "auto-unguided"
EVALUATED = (*APPROACHES, UNGUIDED)
REFERENCE_MASK = "center"  # the kind of mask under which the reference's settings are measured
FEWEST_SAMPLES = 4  # generated faces, for a Frechet distance with an error


def _with_tuples(given: dict[str, Any]) -> dict[str, Any]:
    """The options with tuples where argparse makes lists."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What all tasks have in common.

    Attributes:
      seed: seeds of searches, random masks and all other draws; one for a generator.
      out: folder for the results.
      overwrite: replace an earlier evaluation in it.
      json: print results.json instead of the tables.
      checkpoint_dir: the model; None: `checkpoints.select_model` takes one.
      precision: of the searches' convolutions, one of options.PRECISIONS.
      workers: processes for dlib.
      cache: folder for embeddings, the reference's metrics and the linear estimate; None:
        embeddings.default_cache.
      max_pixels: of a face's file; one of more is refused.
      holdout: file of names of faces that the model was not trained on: neither `training` nor
        `linear` has them, and `real` no others.
    """

    seed: tuple[int, ...] = options.option(
        "of the search and random masks", nargs="+", type=options.seed, default=(0,)
    )
    out: str = options.option("folder for the results", metavar="DIR", default="evaluation")
    overwrite: bool = options.option(
        "replace an earlier evaluation in --out", action="store_true", default=False
    )
    json: bool = options.option(
        "print results.json instead of the tables", action="store_true", default=False
    )
    checkpoint_dir: str | None = options.option(
        "the model (default: ./checkpoint if it holds one, else data/pretrained)",
        "--checkpointDir",
        metavar="DIR",
    )
    precision: str = options.option(
        "of our searches' convolutions", choices=options.PRECISIONS, default="auto"
    )
    workers: int = options.option(
        "processes for dlib", type=options.worker_count, default=os.cpu_count()
    )
    cache: str | None = options.option(
        "for metrics that take time (default: in ~/.cache)", metavar="DIR"
    )
    max_pixels: int = options.max_pixels_option()
    holdout: str | None = options.option(
        "file names, one a line: these are left out of --linear and --training, and of --real "
        "they alone are used",
        metavar="FILE",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompletingSettings(EvaluationSettings):
    """What the tasks that complete faces have in common.

    Attributes:
      limit: number of faces; None: all.
      approach: of EVALUATED, each once.
      n_iter, average: of SearchSettings; None: by approach.
      linear: folders of the faces that the linear estimate is fitted to; empty: there is none.
      baseline: methods whose paired differences to all others are shown, each once.
    """

    limit: int | None = options.option(
        "number of faces, evenly spaced among the sorted paths (default: all)",
        type=options.positive_int,
        metavar="N",
    )
    approach: tuple[str, ...] = options.option(
        "how z is searched; direct: the context encoder's estimate; auto-unguided: auto without "
        "that",
        nargs="+",
        choices=EVALUATED,
        default=("auto",),
    )
    n_iter: int | None = options.option(
        "iterations (default: by approach)", "--nIter", type=options.positive_int
    )
    average: int | None = options.option(
        "searches of whose mean a completion is made (default: by approach)",
        type=options.positive_int,
        metavar="K",
    )
    linear: tuple[str, ...] = options.option(
        "faces that the model was trained on: adds the linear estimate, fitted to them",
        nargs="+",
        metavar="DIR",
        default=(),
    )
    baseline: tuple[str, ...] = options.option(
        "methods whose paired differences to all others are shown",
        nargs="+",
        metavar="METHOD",
        default=("telea",),
    )

    def check(self) -> None:
        """Raises UserError if an option lacks one that it belongs to."""
        if self.holdout and not self.linear:
            raise UserError("--holdout belongs to --linear DIR or --generator; leave it out")
        if LINEAR in self.baseline and not self.linear:
            raise UserError(f"--baseline {LINEAR} belongs to --linear DIR; add that one")

    def search(self, approach: str, guided: bool) -> SearchSettings:
        """The search of an approach of EVALUATED; `direct` has nothing to set.

        Args:
          approach: its name.
          guided: whether there is a context encoder for `auto`.
        """
        if approach == "direct":
            return SearchSettings.of(approach)
        given = {"n_iter": self.n_iter, "average": self.average}
        if approach == UNGUIDED:
            return SearchSettings.of("auto", **given)
        return SearchSettings.of(approach, guided=guided, **given)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(CompletingSettings):
    """How completions are measured.

    Attributes:
      faces: folder of aligned faces.
      mask_type: of drawing.MASK_TYPES, each once.
      fraction: of drawing.draw; None: its default.
      blend: of BLENDS, each once; empty: by approach.
      reference: measure the reference's settings as well.
      groups, group_bins: of subgroups.group_images; None and empty: no subgroups.
    """

    faces: str
    mask_type: tuple[str, ...] = options.option(
        "masks", "--maskType", nargs="+", choices=drawing.MASK_TYPES, default=("center",)
    )
    fraction: float | None = options.option(
        f"share that a random mask leaves out (default: {drawing.RANDOM_SHARE})",
        type=options.open_fraction,
    )
    blend: tuple[str, ...] = options.option(
        "how the hole is filled (default: by approach); all share one search",
        nargs="+",
        choices=BLENDS,
        default=(),
    )
    reference: bool = options.option(
        "the reference's adam and pgd, too: center mask, every fourth face, first seed",
        action="store_true",
        default=False,
    )
    groups: str | None = options.option(
        r"metrics by each subgroup that file names hold: '^(?P<age>\d+)_(?P<gender>\d)_'",
        metavar="REGEX",
    )
    group_bins: tuple[str, ...] = options.option(
        "subgroups by bins of a group's numbers, their lower edges: age=0,10,20,40,60",
        nargs="+",
        metavar="GROUP=EDGES",
        default=(),
    )

    @classmethod
    def of(cls, faces: str, **given: Any) -> BenchmarkSettings:
        """Settings from the options that were given, without contradictions.

        Raises:
          UserError: `faces` is no folder, or an option lacks one that it belongs to.
        """
        utils.check_folder(faces, "FOLDER")
        for name in given.keys() & {"seed", "mask_type", "approach", "blend", "baseline"}:
            given[name] = tuple(dict.fromkeys(given[name]))  # each once
        settings = cls(faces=faces, **_with_tuples(given))
        if settings.fraction and "random" not in settings.mask_type:
            raise UserError("--fraction belongs to --mask-type random; leave it out")
        if settings.reference and REFERENCE_MASK not in settings.mask_type:
            raise UserError(
                f"--reference completes under --mask-type {REFERENCE_MASK}; add that one"
            )
        if settings.group_bins and not settings.groups:
            raise UserError("--group-bins belongs to --groups REGEX; leave it out")
        settings.check()
        return settings

    def masks(self) -> list[MaskSettings]:
        """The masks under which faces are completed."""
        return [
            MaskSettings.of(
                mask_type=kind,
                **({"fraction": self.fraction} if kind == "random" and self.fraction else {}),
            )
            for kind in self.mask_type
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotoBenchmarkSettings(CompletingSettings):
    """How repairs of photos are measured.

    Attributes:
      photos: folder of raw photos.
      hole: of photo_holes.HOLES, each once.
      every, offset, others: which of the sorted photos, before `limit`: of every `every` the one
        numbered `offset` from 0 on; with `others` all but those; None: all.
    """

    photos: str | None = options.option(
        "measure repairs of raw photos, at their own size: a folder, searched with all below it",
        metavar="FOLDER",
    )
    hole: tuple[str, ...] = options.option(
        "what is missing of the faces; half: one of the four; stroke: of a brush, at random",
        nargs="+",
        choices=HOLES,
        default=HOLES,
    )
    every: int | None = options.option(
        "take every Nth of the sorted photos", type=options.positive_int, metavar="N"
    )
    offset: int = options.option(
        "number of the first photo that --every takes, from 0 on", type=options.seed, default=0
    )
    others: bool = options.option(
        "take all photos but those that --every and --offset name",
        action="store_true",
        default=False,
    )

    @classmethod
    def of(cls, **given: Any) -> PhotoBenchmarkSettings:
        """Settings from the options that were given, without contradictions.

        Raises:
          UserError: there is no such folder, several seeds, or an option lacks one that it
            belongs to.
        """
        for name in given.keys() & {"approach", "baseline", "hole"}:
            given[name] = tuple(dict.fromkeys(given[name]))  # each once
        settings = cls(**_with_tuples(given))
        utils.check_folder(settings.photos, "--photos")
        if len(settings.seed) > 1:
            raise UserError("--photos takes one --seed")
        for name in ("offset", "others"):
            if name in given and settings.every is None:
                raise UserError(f"{options.flag(name)} belongs to --every N; leave it out")
        if settings.every is not None and settings.offset >= settings.every:
            raise UserError(
                f"--offset {settings.offset}: is not below --every {settings.every}, so that there "
                "is no such photo"
            )
        settings.check()
        return settings

    def choose(self, paths: Sequence[str]) -> list[str]:
        """Those of the sorted photos that `every`, `offset` and `others` name."""
        if self.every is None:
            return list(paths)
        return [
            path
            for i, path in enumerate(paths)
            if (i % self.every == self.offset) is not self.others
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratorSettings(EvaluationSettings):
    """How a generator is scored.

    Attributes:
      real: folders of faces that it was not trained on; with `holdout` only those that it names.
      training: folders of faces that it was trained on; may be empty.
      samples: number of generated faces, and of real ones at most.
      inversion: number of real faces that G reconstructs.
    """

    real: tuple[str, ...] = options.option(
        "real faces that it was not trained on", nargs="+", metavar="DIR", default=()
    )
    training: tuple[str, ...] = options.option(
        "faces that it was trained on, to measure memorisation",
        nargs="+",
        metavar="DIR",
        default=(),
    )
    samples: int = options.option(
        "generated and real faces", type=options.picture_count, default=2000
    )
    inversion: int = options.option(
        "real faces that G reconstructs", type=options.positive_int, metavar="N", default=64
    )

    @classmethod
    def of(cls, **given: Any) -> GeneratorSettings:
        """Settings from the options that were given, without contradictions.

        Raises:
          UserError: there is nothing real to compare with, several seeds, or too few samples.
        """
        settings = cls(**_with_tuples(given))
        if not settings.real:
            raise UserError("--generator needs real faces to compare with: --real DIR")
        if len(settings.seed) > 1 or settings.samples < FEWEST_SAMPLES:
            raise UserError(
                f"--generator takes one --seed, and {FEWEST_SAMPLES} --samples at least"
            )
        return settings


# How each task is asked for, and its settings.
TASKS: dict[str, type[EvaluationSettings]] = {
    "FOLDER": BenchmarkSettings,
    "--photos": PhotoBenchmarkSettings,
    "--generator": GeneratorSettings,
}


def own_options(
    task: type[EvaluationSettings], base: type[EvaluationSettings] = EvaluationSettings
) -> list[str]:
    """The fields of a class of settings that are options and that its base does not have."""
    common = {field.name for field in options.option_fields(base)}
    return [field.name for field in options.option_fields(task) if field.name not in common]


def check_task(asked: str, given: Iterable[str]) -> None:
    """Raises UserError if an option was given that a task does not have.

    Args:
      asked: a key of TASKS.
      given: names of the fields.
    """
    fields = {name: [f.name for f in options.option_fields(task)] for name, task in TASKS.items()}
    for option in given:
        if option not in fields[asked]:
            tasks = " and ".join(name for name in TASKS if option in fields[name])
            raise UserError(
                f"{options.flag(option)} belongs to {tasks}, not to {asked}; leave it out"
            )


def default_text(field: dataclasses.Field[Any]) -> str:
    """What the help says of a field's default; nothing where its help says it."""
    value = field.default
    if value in (None, False, ()):
        return ""
    return f"default: {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
