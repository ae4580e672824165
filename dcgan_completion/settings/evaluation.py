"""The settings of an evaluation: defaults, choices and help of the options of its three tasks.

The command line is built from these classes. Importing this needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

from dcgan_completion import utils
from dcgan_completion.masks import drawing
from dcgan_completion.settings import options
from dcgan_completion.settings.search import APPROACHES, BLENDS
from dcgan_completion.utils import UserError

UNGUIDED = "auto-unguided"
EVALUATED = (*APPROACHES, UNGUIDED)
# What is missing of the faces in photos: see photo_holes.draw_hole.
HOLES = ("eyes", "nose", "mouth", "half", "stroke")
LINEAR = "linear"  # name of the method that --linear adds
REFERENCE_MASK = "center"  # the kind of mask under which the reference's settings are measured
MIN_SAMPLES = 4  # generated faces, for a Frechet distance with an error


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What all tasks have in common."""

    seed: tuple[int, ...] = options.option(
        "seeds of the search and of random masks", nargs="+", type=options.seed, default=(0,)
    )
    out: str = options.option("folder for the results", metavar="DIR", default="evaluation")
    overwrite: bool = options.option(
        "replace an earlier evaluation in --out", action="store_true", default=False
    )
    json: bool = options.option(
        "print results.json instead of the tables", action="store_true", default=False
    )
    checkpoint_dir: str | None = options.option(
        "the model's folder (default: ./checkpoint if it holds a model, else data/pretrained)",
        "--checkpointDir",
        metavar="DIR",
    )
    precision: str = options.option(
        "precision of the convolutions in the search", choices=options.PRECISIONS, default="auto"
    )
    workers: int = options.option(
        "processes for dlib", type=options.worker_count, default=os.cpu_count()
    )
    cache: str | None = options.option(
        "cache folder for metrics that are slow to compute (default: in ~/.cache)", metavar="DIR"
    )
    max_pixels: int = options.max_pixels_option()
    holdout: str | None = options.option(
        "text file of validation faces, one file name per line: they are left out of --linear and "
        "--training, and --real is restricted to them",
        metavar="FILE",
    )

    @classmethod
    def from_options(cls, **given: Any) -> Self:
        """Take the options that were given; of a list, each item once, in its order."""
        values: dict[str, Any] = {
            name: tuple(dict.fromkeys(value)) if isinstance(value, list) else value
            for name, value in given.items()
        }
        return cls(**values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompletingSettings(EvaluationSettings):
    """What the tasks that complete faces have in common."""

    limit: int | None = options.option(
        "number of faces, evenly spaced among the sorted paths (default: all)",
        type=options.positive_int,
        metavar="N",
    )
    approach: tuple[str, ...] = options.option(
        "completion methods, as in complete.py --help; auto-unguided: auto without the context "
        "encoder",
        nargs="+",
        choices=EVALUATED,
        default=("auto",),
    )
    n_iter: int | None = options.option(
        "iterations (default: by approach)", "--nIter", type=options.positive_int
    )
    average: int | None = options.option(
        "searches that are averaged for a completion (default: by approach)",
        type=options.positive_int,
        metavar="K",
    )
    linear: tuple[str, ...] = options.option(
        "folders of training faces: also evaluate a linear estimate (the conditional mean of a "
        "Gaussian) fitted to them",
        nargs="+",
        metavar="DIR",
        default=(),
    )
    baseline: tuple[str, ...] = options.option(
        "methods with which all others are compared by paired differences: any --approach, "
        "linear, mean-face, telea, navier-stokes, biharmonic",
        nargs="+",
        metavar="METHOD",
        default=("telea",),
    )

    def check(self) -> None:
        """Raise UserError if an option lacks one that it belongs to."""
        if self.holdout and not self.linear:
            raise UserError("--holdout belongs to --linear DIR or --generator; leave it out")
        if LINEAR in self.baseline and not self.linear:
            raise UserError(f"--baseline {LINEAR} belongs to --linear DIR; add that one")

    def approaches(self, guided: bool) -> list[str]:
        """List the approaches to evaluate; `guided`: whether there is a context encoder."""
        del guided
        return list(self.approach)

    def search_options(self, approach: str, guided: bool) -> dict[str, Any]:
        """Collect the options of `SearchSettings` for an approach of EVALUATED."""
        if approach == "direct":
            return {"approach": approach}
        given: dict[str, Any] = {"n_iter": self.n_iter, "average": self.average}
        if approach == UNGUIDED or (approach == "auto" and not guided):
            given |= {"approach": "auto", "guide": 0.0}
        given.setdefault("approach", approach)
        return {name: value for name, value in given.items() if value is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkSettings(CompletingSettings):
    """How completions of aligned faces, in the folder `faces`, are measured."""

    faces: str
    mask_type: tuple[str, ...] = options.option(
        "masks", "--maskType", nargs="+", choices=drawing.MASK_TYPES, default=("center",)
    )
    fraction: float | None = options.option(
        f"fraction of missing pixels in a random mask (default: {drawing.RANDOM_SHARE})",
        type=options.open_fraction,
    )
    blend: tuple[str, ...] = options.option(
        "blending methods, applied to the same candidates (default: by approach)",
        nargs="+",
        choices=BLENDS,
        default=(),
    )
    reference: bool = options.option(
        "also evaluate the original code's adam and pgd: center mask, every fourth face, first "
        "seed",
        action="store_true",
        default=False,
    )
    groups: str | None = options.option(
        "report results by subgroup: the named groups of a regex that file names match, such as "
        r"'^(?P<age>\d+)_(?P<gender>\d)_'",
        metavar="REGEX",
    )
    group_bins: tuple[str, ...] = options.option(
        "bin the numbers of a group by their lower edges: age=0,10,20,40,60",
        nargs="+",
        metavar="GROUP=EDGES",
        default=(),
    )

    @classmethod
    def of(cls, faces: str, **given: Any) -> BenchmarkSettings:
        """Take the options that were given, without contradictions.

        Raises:
          UserError: `faces` is no folder, or an option lacks one that it belongs to.
        """
        utils.check_folder(faces, "FOLDER")
        settings = cls.from_options(faces=faces, **given)
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

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of holes."""
        return self.mask_type

    @property
    def reference_kinds(self) -> tuple[str, ...]:
        """The kinds of holes under which the reference is measured."""
        return (REFERENCE_MASK,) if self.reference else ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotoBenchmarkSettings(CompletingSettings):
    """How repairs of photos are measured."""

    blend: ClassVar[tuple[str, ...]] = ()
    reference_kinds: ClassVar[tuple[str, ...]] = ()
    photos: str = options.option(
        "evaluate repairs of raw photos at their own size: a folder, searched recursively",
        metavar="FOLDER",
        default="",
    )
    hole: tuple[str, ...] = options.option(
        "which part of each face is missing; half: the left, right, top or bottom half at random; "
        "stroke: a random brush stroke",
        nargs="+",
        choices=HOLES,
        default=HOLES,
    )
    every: int | None = options.option(
        "take every Nth of the sorted photos", type=options.positive_int, metavar="N"
    )
    offset: int = options.option(
        "index of the first photo for --every, from 0", type=options.seed, default=0
    )
    others: bool = options.option(
        "invert the selection: all photos except those that --every and --offset pick",
        action="store_true",
        default=False,
    )

    @classmethod
    def of(cls, **given: Any) -> PhotoBenchmarkSettings:
        """Take the options that were given, without contradictions.

        Raises:
          UserError: there is no such folder, several seeds, or an option lacks one that it
            belongs to.
        """
        settings = cls.from_options(**given)
        utils.check_folder(settings.photos, "--photos")
        if len(given.get("seed", [0])) > 1:
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

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of holes."""
        return self.hole

    def approaches(self, guided: bool) -> list[str]:
        """List the approaches to evaluate, `direct` among them if there is an encoder."""
        return list(dict.fromkeys([*self.approach, *(["direct"] if guided else [])]))

    def choose(self, paths: Sequence[str]) -> list[str]:
        """Choose those of the sorted photos that `every`, `offset` and `others` name."""
        if self.every is None:
            return list(paths)
        return [
            path
            for i, path in enumerate(paths)
            if (i % self.every == self.offset) is not self.others
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratorSettings(EvaluationSettings):
    """How a generator is scored."""

    real: tuple[str, ...] = options.option(
        "folders of real faces that the generator was not trained on",
        nargs="+",
        metavar="DIR",
        default=(),
    )
    training: tuple[str, ...] = options.option(
        "folders of the generator's training faces, to measure memorisation",
        nargs="+",
        metavar="DIR",
        default=(),
    )
    samples: int = options.option(
        "number of generated faces, and the maximum number of real ones",
        type=options.picture_count,
        default=2000,
    )
    inversion: int = options.option(
        "number of real faces to invert, that is, to reconstruct with G",
        type=options.positive_int,
        metavar="N",
        default=64,
    )

    @classmethod
    def of(cls, **given: Any) -> GeneratorSettings:
        """Take the options that were given, without contradictions.

        Raises:
          UserError: there is nothing real to compare with, several seeds, or too few samples.
        """
        settings = cls.from_options(**given)
        if not settings.real:
            raise UserError("--generator needs real faces to compare with: --real DIR")
        if len(given.get("seed", [0])) > 1 or settings.samples < MIN_SAMPLES:
            raise UserError(f"--generator takes one --seed, and at least {MIN_SAMPLES} --samples")
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
    """List the fields of a settings class that are options and that its base does not have."""
    common = {field.name for field in options.option_fields(base)}
    return [field.name for field in options.option_fields(task) if field.name not in common]


def check_task(asked: str, given: Iterable[str]) -> None:
    """Raise UserError if an option was given that a task does not have.

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
