r"""Evaluate a trained model's completions, its repairs of photos, or its generator.

Masks complete faces, fills them in, and scores the results against the originals, beside simple
baselines. With --photos: repairs raw photos with holes over their faces, and scores them at their
own size. With --generator: scores generated faces against real ones.

examples:
  ./evaluate.py data/your-test-data/aligned --mask-type center left random --seed 0 1 2 \
      --limit 256 --out evaluation
  ./evaluate.py --generator --real data/your-test-data/aligned --samples 2000 --out score
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from dcgan_completion import cli, utils
from dcgan_completion.settings import evaluation as settings
from dcgan_completion.settings import options
from dcgan_completion.settings.evaluation import (
    BenchmarkSettings,
    CompletingSettings,
    EvaluationSettings,
    GeneratorSettings,
    PhotoBenchmarkSettings,
)
from dcgan_completion.utils import UserError


def build_parser() -> argparse.ArgumentParser:
    """Make the parser; an option that is left out is None."""
    parser = cli.ArgumentParser(__doc__)
    faces = "folder of aligned faces, searched recursively"
    parser.add_argument("faces", nargs="?", metavar="FOLDER", help=faces)
    options.add_options(parser, EvaluationSettings, options.plain_default)

    def add_group(title: str, task: type, base: type = EvaluationSettings) -> Any:
        group = parser.add_argument_group(title)
        names = settings.own_options(task, base)
        options.add_options(group, task, options.plain_default, names)
        return group

    add_group("completion of faces or photos", CompletingSettings)
    add_group("completion of FOLDER", BenchmarkSettings, CompletingSettings)
    add_group("repair of photos", PhotoBenchmarkSettings, CompletingSettings)
    group = add_group("generator", GeneratorSettings)
    generator = "score the generator instead of completions"
    group.add_argument("--generator", action="store_true", help=generator)
    return parser


def read_settings(
    args: argparse.Namespace,
) -> BenchmarkSettings | PhotoBenchmarkSettings | GeneratorSettings:
    """Read the settings of the task that is asked for.

    Raises:
      UserError: none is, or several; an option belongs to another one; or as the settings' `of`.
    """
    named = (args.faces, args.photos, args.generator)
    tasks = [task for task, name in zip(settings.TASKS, named, strict=True) if name]
    if len(tasks) != 1:
        raise UserError(
            "name one of FOLDER, a folder of faces to complete, --photos FOLDER and --generator"
        )
    given = {}
    for task in settings.TASKS.values():
        given |= options.given_options(args, task)
    settings.check_task(tasks[0], given)
    if args.faces:
        return BenchmarkSettings.of(args.faces, **given)
    if args.photos:
        return PhotoBenchmarkSettings.of(**given)
    return GeneratorSettings.of(**given)


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate a model."""
    args = build_parser().parse_args(argv)
    asked = read_settings(args)
    utils.limit_pixels(asked.max_pixels)
    cli.prepare_tensorflow()
    from dcgan_completion import checkpoints, devices, runs
    from dcgan_completion.evaluation import run
    from dcgan_completion.inpaint.inpainter import Inpainter

    cache = run.cache_of(asked)
    asked = dataclasses.replace(asked, cache=cache)
    utils.check_writable(asked.out, "--out")
    utils.check_writable(cache, "--cache")
    precision = devices.Precision.choose(asked.precision).used
    cli.keep_stdout_for_results()
    path = checkpoints.select_model(asked.checkpoint_dir)
    inpainter = Inpainter(*checkpoints.load_model(path), precision)
    used: dict[str, Any] = {"precision": precision, "checkpoint": inpainter.prefix}
    encoder = None
    if isinstance(asked, CompletingSettings):
        if {"auto", "direct"} & set(asked.approach):
            encoder = inpainter.encoder(f"; --approach {settings.UNGUIDED} completes without it")
        used["context_encoder"] = encoder and checkpoints.network_hash(
            encoder.architecture, encoder.e
        )
    config = runs.record(vars(args) | dataclasses.asdict(asked) | used)
    if isinstance(asked, GeneratorSettings):
        dumped, text = run.evaluate_generator(asked, inpainter, config)
    else:
        dumped, text = run.evaluate_completion(asked, inpainter, encoder is not None, config)
    print(dumped if asked.json else text, end="")
