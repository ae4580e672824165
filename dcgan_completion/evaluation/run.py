"""A run of evaluate.py: each of its tasks, from what is asked for to the results in a folder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from dcgan_completion import cli
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.evaluation import (
    benchmark,
    embeddings,
    face_sets,
    generator_scores,
    methods,
    photo_benchmark,
    photo_methods,
    reference,
    results_folder,
    subgroups,
    tables,
)
from dcgan_completion.evaluation.benchmark import Benchmark, KnownFaces
from dcgan_completion.evaluation.embeddings import FaceReader
from dcgan_completion.evaluation.progress import Progress
from dcgan_completion.evaluation.results import MaskResult
from dcgan_completion.faces.aligner import FaceAligner
from dcgan_completion.model import DCGAN
from dcgan_completion.photos import run as photo_run
from dcgan_completion.settings import evaluation as settings
from dcgan_completion.settings.evaluation import (
    BenchmarkSettings,
    EvaluationSettings,
    GeneratorSettings,
    PhotoBenchmarkSettings,
)
from dcgan_completion.settings.photos import LANDMARKS
from dcgan_completion.utils import UserError


def make_reader(asked: EvaluationSettings) -> FaceReader:
    """What describes faces with dlib, with a cache of their embeddings."""
    return embeddings.FaceReader(asked.workers, embeddings.EmbeddingCache(asked.cache))


def complete_masks(
    asked: BenchmarkSettings, model: DCGAN, faces: KnownFaces, bench: Benchmark, progress: Progress
) -> Iterator[MaskResult]:
    """Yields the result of each mask, with the reference's metrics where they are asked for."""
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
    paths = face_sets.list_completed(asked.faces, asked.limit, asked.out)
    groupings = (
        subgroups.group_images(paths, asked.groups, asked.group_bins) if asked.groups else []
    )
    ours = methods.prepare(asked, model, encoder, len(paths), precision)
    images = face_sets.load_faces(paths, model.image_size, model.channels)
    folder = results_folder.ResultsFolder(asked.out, asked.overwrite)
    reader = make_reader(asked)
    progress = functools.partial(cli.progress_bar, unit="face", leave=False)
    linear = methods.fit_linear(asked, model, paths, progress)
    if linear is not None:
        ours.append(methods.linear_method(linear, min(methods.BATCH, len(paths))))
    folder.start(paths)
    fitted = 0 if linear is None else linear.faces
    content = {**config, "images": len(paths), "seeds": asked.seed, "linear_faces": fitted}
    dumped, text, blocks, done = "", "", [], []
    with reader:
        faces = benchmark.KnownFaces.of(images, reader, progress)
        bench = benchmark.Benchmark(faces, asked.seed, ours, progress)
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


def list_photos(asked: PhotoBenchmarkSettings) -> list[str]:
    """Paths of the photos that are asked for.

    Raises:
      UserError: there is none.
    """
    listed = asked.choose(face_sets.list_completed(asked.photos, None, asked.out))
    if not listed:
        raise UserError(f"--every {asked.every}: names none of the photos of {asked.photos}")
    return face_sets.evenly_spaced(listed, asked.limit)


def evaluate_photos(
    asked: PhotoBenchmarkSettings,
    model: DCGAN,
    encoder: ContextEncoder | None,
    precision: str,
    config: Mapping[str, Any],
) -> tuple[str, str]:
    """Repairs photos and measures; returns the texts of results.json and results.md."""
    listed = list_photos(asked)
    batch = photo_run.default_batch_size(1, len(listed))
    ours = photo_methods.prepare(asked, model, encoder, batch, precision)
    folder = results_folder.ResultsFolder(asked.out, asked.overwrite)
    reader = make_reader(asked)
    progress = functools.partial(cli.progress_bar, unit="photo", leave=False)
    linear = methods.fit_linear(asked, model, listed, progress)
    aligner = FaceAligner(LANDMARKS, model.image_size)
    photos = photo_benchmark.KnownPhotos.read(listed, aligner, model.channels, progress)
    for problem in photos.left_out:
        cli.say(f"left out: {problem}")
    folder.start(photos.paths)
    content = {
        **config,
        "images": len(photos),
        "left_out": len(photos.left_out),
        "seeds": asked.seed,
        "linear_faces": 0 if linear is None else linear.faces,
    }
    simple = photo_methods.simple_methods(photos.squares, linear, asked.seed[0])
    compared = [*ours, *simple, *photo_methods.inpainting_methods()]
    dumped, text, blocks, done = "", "", [], []
    with reader:
        bench = photo_benchmark.PhotoBenchmark(
            photos, compared, reader, batch, asked.seed[0], progress
        )
        for kind in asked.hole:
            result = bench.evaluate_hole(kind, results_folder.SHEET)
            done.append(result)
            shown = {"before": photos.aligned[: results_folder.SHEET], "masked": result.masked}
            folder.write_sheet(kind, shown | result.completed)
            folder.write_metrics(photos.paths, done)
            folder.write_located(photos.paths, done)
            groupings = photo_benchmark.by_located(result)
            blocks.append(tables.summary(result, bench.described.found, asked.baseline, groupings))
            text += tables.completion_markdown(blocks[-1], len(photos), asked.seed) + "\n"
            finished = len(done) == len(asked.hole)
            dumped = folder.write({**content, "masks": blocks}, text, finished)
    return dumped, text


def evaluate_generator(
    asked: GeneratorSettings, model: DCGAN, config: Mapping[str, Any]
) -> tuple[str, str]:
    """Scores the generator; returns the texts of results.json and results.md."""
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
