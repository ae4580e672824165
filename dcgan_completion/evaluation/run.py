"""A run of evaluate.py: each of its tasks, from what is asked for to the results in a folder."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from dcgan_completion import cli
from dcgan_completion.evaluation import (
    embeddings,
    face_sets,
    generator_scores,
    linear_estimate,
    methods,
    reference,
    results_folder,
    subgroups,
    tables,
)
from dcgan_completion.evaluation.benchmark import Benchmark
from dcgan_completion.evaluation.cases import BATCH, Faces
from dcgan_completion.evaluation.embeddings import FaceReader
from dcgan_completion.evaluation.methods import Method
from dcgan_completion.evaluation.photo_cases import Photos
from dcgan_completion.evaluation.progress import Progress
from dcgan_completion.faces.aligner import FaceAligner
from dcgan_completion.inpaint.inpainter import Inpainter
from dcgan_completion.photos import run as photo_run
from dcgan_completion.settings.evaluation import (
    BenchmarkSettings,
    EvaluationSettings,
    GeneratorSettings,
    PhotoBenchmarkSettings,
)
from dcgan_completion.settings.photos import LANDMARKS
from dcgan_completion.utils import UserError


def cache_of(asked: EvaluationSettings) -> str:
    """Choose the folder where what takes long to compute is kept."""
    return asked.cache or embeddings.default_cache()


def make_reader(asked: EvaluationSettings) -> FaceReader:
    """Make what describes faces with dlib, with a cache of their embeddings."""
    return embeddings.FaceReader(asked.workers, embeddings.EmbeddingCache(cache_of(asked)))


def list_images(asked: BenchmarkSettings | PhotoBenchmarkSettings) -> list[str]:
    """List the faces or photos that are asked for.

    Raises:
      UserError: there is none.
    """
    if isinstance(asked, BenchmarkSettings):
        return face_sets.list_completed(asked.faces, asked.limit, asked.out)
    listed = asked.choose(face_sets.list_completed(asked.photos, None, asked.out))
    if not listed:
        raise UserError(f"--every {asked.every}: names none of the photos of {asked.photos}")
    return face_sets.evenly_spaced(listed, asked.limit)


def prepare(
    asked: BenchmarkSettings | PhotoBenchmarkSettings,
    paths: Sequence[str],
    inpainter: Inpainter,
    guided: bool,
    progress: Progress,
) -> tuple[Faces | Photos, list[Method], int]:
    """Read the images; return them, the methods to compare, and the linear estimate's faces.

    Raises:
      UserError: as `methods.model_methods`, `face_sets.load_faces`, `face_sets.list_linear` or
        `Photos`.
    """
    size, channels = inpainter.image_size, inpainter.channels
    photos = isinstance(asked, PhotoBenchmarkSettings)
    batch = photo_run.default_batch_size(1, len(paths)) if photos else min(BATCH, len(paths))
    ours = methods.model_methods(asked, inpainter, batch, guided)
    training = face_sets.list_linear(asked.linear, asked.holdout, paths) if asked.linear else []
    if isinstance(asked, PhotoBenchmarkSettings):
        images = Photos(paths, FaceAligner(LANDMARKS, size), channels, batch, progress)
    else:
        images = Faces(face_sets.load_faces(paths, size, channels), asked.fraction)
    simple: list[Method] = [*methods.inpainting_methods()]
    if len(images) > 1:
        simple.insert(0, methods.mean_face_method(images.squares, "smooth" if photos else "none"))
    if training:
        estimate = linear_estimate.fit_files(training, size, channels, cache_of(asked), progress)
        simple.insert(0, methods.linear_method(estimate, 1 if photos else batch))
    return images, [*ours, *simple], len(training)


def evaluate_completion(
    asked: BenchmarkSettings | PhotoBenchmarkSettings,
    inpainter: Inpainter,
    guided: bool,
    config: Mapping[str, Any],
) -> tuple[str, str]:
    """Complete faces or photos, and measure.

    Args:
      asked: what is evaluated.
      inpainter: completes.
      guided: whether a context encoder guides `auto`.
      config: the record of the run.

    Returns:
      The texts of results.json and results.md.
    """
    paths = list_images(asked)
    groupings = []
    if isinstance(asked, BenchmarkSettings) and asked.groups:
        groupings = subgroups.group_images(paths, asked.groups, asked.group_bins)
    folder = results_folder.ResultsFolder(asked.out, asked.overwrite)
    photos = isinstance(asked, PhotoBenchmarkSettings)
    progress = functools.partial(cli.progress_bar, unit="photo" if photos else "face", leave=False)
    images, compared, training = prepare(asked, paths, inpainter, guided, progress)
    content = {**config, "images": len(images)}
    if isinstance(images, Photos):
        content["left_out"] = len(paths) - len(images)
        paths = images.paths
    content |= {"seeds": asked.seed, "linear_faces": training}
    folder.start(paths)
    dumped, text, blocks, done = "", "", [], []
    with make_reader(asked) as reader:
        bench = Benchmark(images, compared, asked.seed, reader, progress)
        for kind in asked.kinds:
            done.append(bench.evaluate(kind, results_folder.SHEET))
            if kind in asked.reference_kinds:
                place = asked.seed[0], cache_of(asked), reader, progress
                done[-1].metrics.update(
                    reference.measure_reference(inpainter, images.squares, *place)
                )
            folder.write_result(images.aligned, paths, done)
            own = subgroups.by_located(done[-1].found) if photos else groupings
            blocks.append(tables.summary(done[-1], bench.originals.found, asked.baseline, own))
            text += tables.completion_markdown(blocks[-1], len(images), asked.seed) + "\n"
            finished = len(done) == len(asked.kinds)
            dumped = folder.write({**content, "masks": blocks}, text, finished)
    return dumped, text


def evaluate_generator(
    asked: GeneratorSettings, inpainter: Inpainter, config: Mapping[str, Any]
) -> tuple[str, str]:
    """Score the generator; return the texts of results.json and results.md."""
    sets = face_sets.list_sets(asked.real, asked.training, asked.holdout)
    folder = results_folder.ResultsFolder(asked.out, asked.overwrite)
    progress = functools.partial(cli.progress_bar, unit="face", leave=False)
    with make_reader(asked) as reader:
        score = generator_scores.score(inpainter.model, sets, asked, reader, progress)
    folder.start(sets.real)
    for name, columns in score.sheets.items():
        folder.write_sheet(name, columns)
    text = tables.generator_markdown(
        score.metrics, len(sets.training), generator_scores.NEAREST_DRAWN
    )
    estimates = {name: tables.as_json(value) for name, value in score.metrics.items()}
    content = {**config, "generator": estimates, "training_faces": len(sets.training)}
    return folder.write(content, text, finished=True), text
