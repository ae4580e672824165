"""The reference's own searches, which take long to measure, and the cache of their metrics."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping

import numpy as np

from dcgan_completion import checkpoints, utils
from dcgan_completion.completion import mask_source
from dcgan_completion.evaluation import methods
from dcgan_completion.evaluation.benchmark import Benchmark
from dcgan_completion.evaluation.cases import BATCH, Faces
from dcgan_completion.evaluation.embeddings import FaceReader
from dcgan_completion.evaluation.progress import Progress, silent
from dcgan_completion.evaluation.results import MEASURED, REFERENCE, MetricValues
from dcgan_completion.inpaint.inpainter import Inpainter
from dcgan_completion.settings.evaluation import REFERENCE_MASK
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SearchSettings

EVERY = 4  # only every fourth face: a search of the reference takes a thousand iterations
# Raise it when equal settings give other completions, or something else is measured: cached metrics
# are then not used.
VERSION = 3


def measure_reference(
    inpainter: Inpainter,
    images: np.ndarray,
    seed: int,
    cache: str,
    reader: FaceReader,
    progress: Progress = silent,
) -> dict[str, MetricValues]:
    """Measure the methods REFERENCE under the center mask, on every fourth face.

    The metrics are cached as JSON, by a hash of the model, the images, their masks, the seed and
    the settings.

    Args:
      inpainter: completes.
      images: all faces that are evaluated, uint8 [N, S, S, C].
      seed: of the searches.
      cache: a folder, made if need be.
      reader: describes faces.
      progress: of completion.

    Returns:
      Metrics by method, each [N] for all faces: NaN for those that are left out.
    """
    some = images[::EVERY]
    found = {}
    for name in REFERENCE:
        approach = name.removeprefix("reference-")
        what = dataclasses.asdict(SearchSettings.of(approach)) | {"seed": seed, "version": VERSION}
        path = os.path.join(cache, "reference", f"{_digest(what, inpainter, some)}.json")
        own = _read(path, len(some))
        if own is None:
            options, batch = {"approach": approach}, min(BATCH, len(some))
            method = methods.search_method(inpainter, name, options, batch, precision="float32")
            bench = Benchmark(Faces(some), [method], [seed], reader, progress)
            own = bench.evaluate(REFERENCE_MASK, 0).metrics[name]
            os.makedirs(os.path.dirname(path), exist_ok=True)
            stored = {k: [None if np.isnan(x) else x for x in v] for k, v in own.items()}
            utils.write_text(path, json.dumps(what | {"metrics": stored}))
        found[name] = {metric: _spread(values, len(images)) for metric, values in own.items()}
    return found


def _digest(what: Mapping[str, object], inpainter: Inpainter, images: np.ndarray) -> str:
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    model = inpainter.model
    known = ~mask_source.draw_masks(MaskSettings(REFERENCE_MASK), images, seed=0).hole
    for part in (
        checkpoints.network_hash(model.architecture, model.g, model.d).encode(),
        images.tobytes(),
        known.astype(np.float32).tobytes(),
    ):
        digest.update(part)
    return digest.hexdigest()


def _spread(values: np.ndarray, number: int) -> np.ndarray:
    """Put the values of every fourth face among `number` faces, NaN between: float64 [number]."""
    spread = np.full(number, np.nan)
    spread[::EVERY] = values
    return spread


def _read(path: str, number: int) -> MetricValues | None:
    """Read the cached metrics of `number` faces; None if there are none, or they are damaged."""
    try:
        with utils.open_text(path) as file:
            content = json.load(file)
        stored = content["metrics"] if "metrics" in content else content["figures"]  # until 1.0
        read = {name: np.array(stored[name], np.float64) for name in MEASURED}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return read if all(values.shape == (number,) for values in read.values()) else None
