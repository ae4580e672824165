"""The reference's own searches, which take long to measure, and the cache of their metrics."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os

import numpy as np

from dcgan_completion import checkpoints, utils
from dcgan_completion.evaluation import methods
from dcgan_completion.evaluation.benchmark import KnownFaces
from dcgan_completion.evaluation.progress import Progress, silent
from dcgan_completion.evaluation.results import MEASURED, REFERENCE, MetricValues
from dcgan_completion.masks import source as mask_source
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.evaluation import REFERENCE_MASK
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SearchSettings

EVERY = 4  # only every fourth face: a search of the reference takes a thousand iterations
# Raise it when equal settings give other completions, or something else is measured: cached metrics
# are then not used.
VERSION = 3


def measure_reference(
    model: DCGAN, faces: KnownFaces, seed: int, cache: str, progress: Progress = silent
) -> dict[str, MetricValues]:
    """The metrics of the methods REFERENCE under the center mask, on every fourth face.

    They are cached as JSON, by a hash of the model, the images, their masks, the seed and the
    settings.

    Args:
      model: completes.
      faces: all that are evaluated.
      seed: of the searches.
      cache: a folder, made if need be.
      progress: of completion.

    Returns:
      Metrics by method, each [N] for all faces: NaN for those that are left out.
    """
    some = faces[::EVERY]
    mask = mask_source.draw_masks(MaskSettings(REFERENCE_MASK), some.images, seed)
    found = {}
    for name in REFERENCE:
        search = SearchSettings.of(name.removeprefix("reference-"))
        what = dataclasses.asdict(search) | {"seed": seed, "version": VERSION}
        path = os.path.join(cache, "reference", f"{_digest(what, model, some, mask)}.json")
        own = _read(path, len(some))
        if own is None:
            method = methods.search_method(model, search, [], min(methods.BATCH, len(some)))
            with progress(total=len(some), desc=name) as bar:
                completed, seconds = method.complete_timed(some.images, mask, seed, bar.update)
            own = some.measure(completed[search.approach], mask, name) | {"seconds": seconds}
            os.makedirs(os.path.dirname(path), exist_ok=True)
            stored = {k: [None if np.isnan(x) else x for x in v] for k, v in own.items()}
            utils.write_text(path, json.dumps(what | {"figures": stored}))
        found[name] = {metric: _spread(values, len(faces)) for metric, values in own.items()}
    return found


def _digest(what: dict[str, object], model: DCGAN, faces: KnownFaces, mask: Mask) -> str:
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    network = checkpoints.network_hash(model.architecture, model.g, model.d)
    for part in (
        network.encode(),
        faces.images.tobytes(),
        (~mask.hole).astype(np.float32).tobytes(),
    ):
        digest.update(part)
    return digest.hexdigest()


def _spread(values: np.ndarray, number: int) -> np.ndarray:
    """The values of every fourth face among `number` faces, the others NaN: float64 [number]."""
    spread = np.full(number, np.nan)
    spread[::EVERY] = values
    return spread


def _read(path: str, number: int) -> MetricValues | None:
    """The cached metrics of `number` faces; None if there are none, or the file is damaged."""
    try:
        with utils.open_text(path) as file:
            stored = json.load(file)["figures"]
        read = {name: np.array(stored[name], np.float64) for name in MEASURED}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return read if all(values.shape == (number,) for values in read.values()) else None
