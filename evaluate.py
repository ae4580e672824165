#!/usr/bin/env python3
r"""Evaluate a trained model's completions, or its generator.

Completes known faces under several masks and seeds, and measures the completions beside those of
simple methods. With --generator: scores generated faces against real ones.

examples:
  ./evaluate.py data/your-test-data/aligned --mask-type center left random --seed 0 1 2 \
      --limit 256 --out evaluation
  ./evaluate.py --generator --real data/your-test-data/aligned --samples 2000 --out score
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cli
import utils
from metrics import settings
from metrics.settings import BenchmarkSettings, EvaluationSettings, GeneratorSettings
from utils import UserError

if TYPE_CHECKING:
    from context_encoder import ContextEncoder
    from metrics.benchmark import Benchmark, KnownFaces
    from metrics.embeddings import FaceReader
    from metrics.progress import Progress
    from metrics.results import MaskResult
    from model import DCGAN


def build_parser() -> argparse.ArgumentParser:
    """The command line; an option that is left out is None."""
    parser = cli.ArgumentParser(__doc__)
    faces = "aligned faces, searched with all below it"
    parser.add_argument("faces", nargs="?", metavar="FOLDER", help=faces)
    cli.add_options(parser, EvaluationSettings, settings.default_text)
    group = parser.add_argument_group("completion")
    own = settings.own_options(BenchmarkSettings)
    cli.add_options(group, BenchmarkSettings, settings.default_text, own)
    group = parser.add_argument_group("generator")
    generator = "score the generator instead of completions"
    group.add_argument("--generator", action="store_true", help=generator)
    own = settings.own_options(GeneratorSettings)
    cli.add_options(group, GeneratorSettings, settings.default_text, own)
    return parser


def read_settings(args: argparse.Namespace) -> BenchmarkSettings | GeneratorSettings:
    """The settings of the task that is asked for.

    Raises:
      UserError: none is, or both; an option belongs to the other one; or as the settings' `of`.
    """
    if bool(args.faces) == args.generator:
        raise UserError("name either FOLDER, a folder of faces to complete, or --generator")
    other = BenchmarkSettings if args.generator else GeneratorSettings
    given = cli.given_options(args, other)
    for name in settings.own_options(other):
        if name in given:
            task = "FOLDER, not to --generator" if args.generator else "--generator, not to FOLDER"
            raise UserError(f"{cli.flag(name)} belongs to {task}; leave it out")
    if args.generator:
        return GeneratorSettings.of(**cli.given_options(args, GeneratorSettings))
    return BenchmarkSettings.of(args.faces, **cli.given_options(args, BenchmarkSettings))


def make_reader(asked: EvaluationSettings) -> FaceReader:
    """What describes faces with dlib, with a cache of their embeddings."""
    from metrics import embeddings

    return embeddings.FaceReader(asked.workers, embeddings.EmbeddingCache(asked.cache))


def complete_masks(
    asked: BenchmarkSettings, model: DCGAN, faces: KnownFaces, bench: Benchmark, progress: Progress
) -> Iterator[MaskResult]:
    """Yields the result of each mask, with the reference's metrics where they are asked for."""
    from metrics import reference, results_folder

    for mask in asked.masks():
        result = bench.evaluate_mask(mask, results_folder.SHEET)
        if asked.reference and mask.mask_type == settings.REFERENCE_MASK:
            measured = reference.measure_reference(
                model, faces, asked.seed[0], asked.cache, progress
            )
            result = dataclasses.replace(result, metrics=result.metrics | measured)
        yield result


def evaluate_completion(
    asked: BenchmarkSettings,
    model: DCGAN,
    encoder: ContextEncoder | None,
    precision: str,
    config: Mapping[str, Any],
) -> tuple[str, str]:
    """Completes and measures; returns the texts of results.json and results.md."""
    from metrics import benchmark, face_sets, methods, results_folder, subgroups, tables

    paths = face_sets.list_completed(asked.faces, asked.limit, asked.out)
    groupings = (
        subgroups.group_images(paths, asked.groups, asked.group_bins) if asked.groups else []
    )
    ours = methods.prepare(asked, model, encoder, len(paths), precision)
    images = face_sets.load_faces(paths, model.image_size, model.channels, asked.max_pixels)
    folder = results_folder.ResultsFolder(asked.out, asked.overwrite)
    reader = make_reader(asked)
    progress = functools.partial(cli.progress_bar, unit="face", leave=False)
    linear, fitted = methods.prepare_linear(asked, model, paths, progress)
    folder.start(paths)
    content = {**config, "images": len(paths), "seeds": asked.seed, "linear_faces": fitted}
    dumped, text, blocks, done = "", "", [], []
    with reader:
        faces = benchmark.KnownFaces.of(images, reader, progress)
        bench = benchmark.Benchmark(faces, asked.seed, [*ours, *linear], progress)
        for result in complete_masks(asked, model, faces, bench, progress):
            done.append(result)
            shown = {"before": images[: results_folder.SHEET], "masked": result.masked}
            folder.write_sheet(result.mask_type, shown | result.completed)
            folder.write_metrics(paths, done)
            found = faces.described.found
            blocks.append(tables.summary(result, found, asked.baseline, groupings))
            text += tables.completion_markdown(blocks[-1], len(paths), asked.seed) + "\n"
            finished = len(done) == len(asked.mask_type)
            dumped = folder.write({**content, "masks": blocks}, text, finished)
    return dumped, text


def evaluate_generator(
    asked: GeneratorSettings, model: DCGAN, config: Mapping[str, Any]
) -> tuple[str, str]:
    """Scores the generator; returns the texts of results.json and results.md."""
    from metrics import face_sets, generator_scores, results_folder, tables

    sets = face_sets.list_sets(asked.real, asked.training, asked.holdout)
    folder = results_folder.ResultsFolder(asked.out, asked.overwrite)
    progress = functools.partial(cli.progress_bar, unit="face", leave=False)
    with make_reader(asked) as reader:
        score = generator_scores.score(model, sets, asked, reader, progress)
    folder.start(sets.real)
    for name, columns in score.sheets.items():
        folder.write_sheet(name, columns)
    text = tables.generator_markdown(
        score.metrics, len(sets.training), generator_scores.NEAREST_DRAWN
    )
    estimates = {name: tables.as_json(value) for name, value in score.metrics.items()}
    content = {**config, "generator": estimates, "training_faces": len(sets.training)}
    return folder.write(content, text, finished=True), text


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluates a model."""
    args = build_parser().parse_args(argv)
    asked = read_settings(args)
    cli.prepare_tensorflow()
    import checkpoints
    import devices
    import runs
    from metrics import embeddings, methods

    asked = dataclasses.replace(asked, cache=asked.cache or embeddings.default_cache())
    utils.check_writable(asked.out, "--out")
    utils.check_writable(asked.cache, "--cache")
    precision = devices.Precision.choose(asked.precision).used
    path, note = checkpoints.select_model(asked.checkpoint_dir)
    if note:
        cli.say(note)
    model, prefix = checkpoints.load_model(path)
    used = {"precision": precision, "checkpoint": prefix}
    encoder = None
    if isinstance(asked, BenchmarkSettings):
        encoder = methods.load_encoder(asked, model, prefix)
        used["context_encoder"] = encoder and checkpoints.network_hash(
            encoder.architecture, encoder.e
        )
    config = runs.record(vars(args) | dataclasses.asdict(asked) | used)
    if isinstance(asked, GeneratorSettings):
        dumped, text = evaluate_generator(asked, model, config)
    else:
        dumped, text = evaluate_completion(asked, model, encoder, precision, config)
    print(dumped if asked.json else text, end="")


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
