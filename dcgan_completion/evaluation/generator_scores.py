"""Scores of a generator: distance to real faces, diversity, inversion, memorisation.

Memorisation is measured by the distance of samples to the nearest training faces, beside that of
faces that were held out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from dcgan_completion import checkpoints, latents
from dcgan_completion.evaluation import embeddings, image_metrics, nearest_faces
from dcgan_completion.evaluation.embeddings import FaceReader
from dcgan_completion.evaluation.face_sets import FaceSets, evenly_spaced, load_faces
from dcgan_completion.evaluation.progress import Progress, describe, silent
from dcgan_completion.evaluation.results import GeneratorScore
from dcgan_completion.evaluation.statistics import Estimate, estimate, jackknife
from dcgan_completion.inpaint.inversion import invert
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.evaluation import GeneratorSettings
from dcgan_completion.settings.search import SearchSettings

NEAREST = 64  # samples, and held-out faces, whose nearest training face is sought
NEAREST_DRAWN = 5000  # training faces that are compared by their embeddings
# Settings of adam that invert G: the squared difference alone, without the perceptual loss.
INVERSION = {"distance": "l2", "n_iter": 600, "lr": 0.05, "lam": 0.0}


class NearestTraining(NamedTuple):
    """The training face nearest to each of N images, by two distances.

    Attributes:
      pixels: distances, root mean squared differences of values in 0..1, [N].
      identity: distances between embeddings, [N].
      by_pixels, by_identity: the nearest faces, uint8 [N, S, S, C].
    """

    pixels: np.ndarray
    identity: np.ndarray
    by_pixels: np.ndarray
    by_identity: np.ndarray


def nearest_training(
    images: np.ndarray,
    training: Sequence[str],
    seed: int,
    reader: FaceReader,
    progress: Progress = silent,
) -> NearestTraining:
    """Find the training faces nearest to images, uint8 [N, S, S, C].

    By pixels among all of them, by embedding among 5,000 that are drawn by the seed. Files are
    read as by `face_sets.load_faces`.
    """
    size, channels = images.shape[2:]
    with progress(total=len(training), desc="training faces, by pixels") as bar:
        blocks = nearest_faces.load_blocks(training, size, channels, bar.update)
        by_pixels = functools.partial(nearest_faces.pixel_distances, images)
        pixels = nearest_faces.find_nearest(blocks, 1, {"pixels": by_pixels})["pixels"]
    drawn = np.random.default_rng(seed).permutation(len(training))[:NEAREST_DRAWN]
    faces = load_faces([training[int(i)] for i in sorted(drawn)], size, channels)
    known = describe(reader, faces, progress, "training faces, by embedding").embeddings
    own = describe(reader, images, progress, "samples and held-out faces").embeddings
    distances = cdist(own, known)
    return NearestTraining(
        pixels.distances[:, 0] / 255,
        distances.min(axis=1),
        load_faces([training[int(i)] for i in pixels.numbers[:, 0]], size, channels),
        faces[distances.argmin(axis=1)],
    )


def _ratio(some: Estimate, other: Estimate) -> Estimate:
    """some / other of two independent estimates, with its error by propagation of theirs."""
    ratio = some.mean / other.mean
    return Estimate(
        ratio, ratio * math.hypot(some.error / some.mean, other.error / other.mean), some.n
    )


def compare_sets(some: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Estimate]:
    """Compare the embeddings of samples (`some`) with those of real faces, [N, 128] each.

    The distance between two halves of the real faces, drawn by the seed, shows what a perfect
    generator would reach with sets of that size.
    """
    first, second = np.array_split(np.random.default_rng(seed).permutation(real), 2)
    diversity = jackknife(embeddings.diversity, some), jackknife(embeddings.diversity, real)
    return {
        "frechet": jackknife(lambda rows: embeddings.frechet_distance(rows, real), some),
        "frechet_real_halves": jackknife(
            lambda rows: embeddings.frechet_distance(rows, second), first
        ),
        "diversity": diversity[0],
        "diversity_real": diversity[1],
        "diversity_ratio": _ratio(*diversity),
    }


def _score_inversion(
    model: DCGAN,
    faces: np.ndarray,
    identities: np.ndarray,
    seed: int,
    reader: FaceReader,
    progress: Progress,
) -> GeneratorScore:
    """Score how well G reconstructs faces, uint8 [N, S, S, C] with embeddings `identities`."""
    _, inverted = invert(model, faces, seed, SearchSettings.of("adam", **INVERSION))
    own = describe(reader, inverted, progress, "inverted faces", keep=False).embeddings
    everywhere = np.ones([*faces.shape[:3], 1], bool)
    metrics = {
        "inversion_psnr": estimate(image_metrics.psnr(faces, inverted, everywhere)),
        "inversion_identity": estimate(embeddings.identity_distance(own, identities)),
    }
    sheet = {"real": faces[:NEAREST], "inverted": inverted[:NEAREST]}
    return GeneratorScore(metrics, {"inversion": sheet})


def _score_nearest(
    generated: np.ndarray,
    held_out: np.ndarray,
    training: Sequence[str],
    settings: GeneratorSettings,
    reader: FaceReader,
    progress: Progress,
) -> GeneratorScore:
    """Score how near samples and held-out faces, uint8 [N, S, S, C], are to training faces."""
    pictures = np.concatenate([generated, held_out])
    (seed,) = settings.seed
    nearest = nearest_training(pictures, training, seed, reader, progress)
    metrics, sheets = {}, {}
    for part, name, kind in (
        (slice(len(generated)), "", "sample"),
        (slice(len(generated), None), "_real", "held-out"),
    ):
        metrics[f"nearest_pixels{name}"] = estimate(nearest.pixels[part])
        metrics[f"nearest_identity{name}"] = estimate(nearest.identity[part])
        sheets[f"nearest-{kind}"] = {
            kind: pictures[part],
            "by-pixels": nearest.by_pixels[part],
            "by-dlib": nearest.by_identity[part],
        }
    return GeneratorScore(metrics, sheets)


def score(
    model: DCGAN,
    sets: FaceSets,
    settings: GeneratorSettings,
    reader: FaceReader,
    progress: Progress = silent,
) -> GeneratorScore:
    """Score a model's generator.

    Args:
      model: with its EMA generator.
      sets: the faces that `settings` name.
      settings: numbers of faces, and the one seed of all draws; the samples are those of
        sample-dcgan.py with the same seed.
      reader: describes faces.
      progress: of its stages.

    Raises:
      UserError: as `face_sets.load_faces`.
    """
    (seed,) = settings.seed
    real = evenly_spaced(sets.real, settings.samples)
    faces = load_faces(real, model.image_size, model.channels)
    z = latents.draw(seed, 0, settings.samples, model.z_dim)
    generated = checkpoints.generate(model, z)
    own = describe(reader, generated, progress, "samples", keep=False)
    known = describe(reader, faces, progress, "real faces")
    metrics = compare_sets(own.embeddings, known.embeddings, seed) | {
        "found": estimate(own.found.astype(float)),
        "found_real": estimate(known.found.astype(float)),
    }
    parts = [GeneratorScore(metrics, {"samples": {"samples": generated[:NEAREST]}})]
    which = evenly_spaced(range(len(faces)), settings.inversion)
    identities = known.embeddings[which]
    parts.append(_score_inversion(model, faces[which], identities, seed, reader, progress))
    if sets.training:
        held_out = faces[evenly_spaced(range(len(faces)), NEAREST)]
        samples = generated[:NEAREST]
        parts.append(_score_nearest(samples, held_out, sets.training, settings, reader, progress))
    return GeneratorScore(
        {name: value for part in parts for name, value in part.metrics.items()},
        {name: columns for part in parts for name, columns in part.sheets.items()},
    )
