"""Scores of a generator: distance to real faces, diversity, inversion, memorisation.

Memorisation is measured by the distance of samples to the nearest training faces, beside that of
faces that were held out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from dcgan_completion import checkpoints
from dcgan_completion.evaluation import embeddings, image_metrics
from dcgan_completion.evaluation.embeddings import FaceReader
from dcgan_completion.evaluation.face_sets import FaceSets, evenly_spaced, load_faces
from dcgan_completion.evaluation.progress import Progress, describe, silent
from dcgan_completion.evaluation.results import GeneratorScore
from dcgan_completion.evaluation.statistics import Estimate, estimate, jackknife
from dcgan_completion.inpaint.completer import Completer
from dcgan_completion.masks import source as mask_source
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.evaluation import GeneratorSettings
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SearchSettings

BATCH = 64  # images that are inverted in one search
NEAREST = 64  # samples, and held-out faces, whose nearest training face is sought
NEAREST_DRAWN = 5000  # training faces that are compared by their embeddings
BLOCK = 1000  # training faces that are loaded at once
# Settings of adam that invert G: the squared difference alone, without the perceptual loss.
INVERSION = {"distance": "l2", "n_iter": 600, "lr": 0.05, "lam": 0.0}


def invert(model: DCGAN, images: np.ndarray, seed: int) -> np.ndarray:
    """Reconstructions by G of whole faces; faces and reconstructions are uint8 [N, S, S, C].

    The search is that of INVERSION.
    """
    batch = min(BATCH, len(images))
    completer = Completer(model, SearchSettings.of("adam", **INVERSION), batch_size=batch)
    mask = mask_source.draw_masks(MaskSettings("full"), images, seed)
    return completer.complete(images, mask, seed).generated


@dataclasses.dataclass(frozen=True)
class Nearest:
    """The training face nearest to each of some images, by two distances.

    Attributes:
      pixels: distances, root mean squared differences of values in 0..1, [N].
      identity: distances between embeddings, [N].
      by_pixels, by_identity: the nearest faces, uint8 [N, S, S, C].
    """

    pixels: np.ndarray
    identity: np.ndarray
    by_pixels: np.ndarray
    by_identity: np.ndarray


def _nearest_pixels(images: np.ndarray, training: Sequence[str], progress: Progress) -> np.ndarray:
    """Numbers of the training files nearest to images, uint8 [N, S, S, C], by pixels: int [N]."""
    size, channels = images.shape[2:]
    queries = images.reshape(len(images), -1).astype(np.float32) / 255
    best, number = np.full(len(images), np.inf), np.zeros(len(images), int)
    with progress(total=len(training), desc="training faces, by pixels") as bar:
        for first in range(0, len(training), BLOCK):
            paths = training[first : first + BLOCK]
            block = load_faces(paths, size, channels).reshape(len(paths), -1)
            block = block.astype(np.float32) / 255
            # |q - t|^2 - |q|^2: the last term is the same for all t
            squares = np.square(block).sum(axis=1) - 2 * queries @ block.T
            nearer = squares.min(axis=1) < best
            number[nearer] = first + squares.argmin(axis=1)[nearer]
            best = np.minimum(best, squares.min(axis=1))
            bar.update(len(paths))
    return number


def nearest_training(
    images: np.ndarray,
    training: Sequence[str],
    seed: int,
    reader: FaceReader,
    progress: Progress = silent,
) -> Nearest:
    """The training faces nearest to images, uint8 [N, S, S, C].

    By pixels among all of them, by embedding among 5,000 that are drawn by the seed. Files are
    read as by `face_sets.load_faces`.
    """
    size, channels = images.shape[2:]
    numbers = _nearest_pixels(images, training, progress)
    by_pixels = load_faces([training[i] for i in numbers], size, channels)
    squares = np.square((images.astype(np.float64) - by_pixels) / 255)
    drawn = np.random.default_rng(seed).permutation(len(training))[:NEAREST_DRAWN]
    faces = load_faces([training[i] for i in sorted(drawn)], size, channels)
    known = describe(reader, faces, progress, "training faces, by embedding").embeddings
    own = describe(reader, images, progress, "samples and held-out faces").embeddings
    distances = cdist(own, known)
    return Nearest(
        np.sqrt(squares.mean(axis=(1, 2, 3))),
        distances.min(axis=1),
        by_pixels,
        faces[distances.argmin(axis=1)],
    )


def _ratio(some: Estimate, other: Estimate) -> Estimate:
    """some / other of two independent estimates, with its error by propagation of theirs."""
    ratio = some.mean / other.mean
    return Estimate(
        ratio, ratio * math.hypot(some.error / some.mean, other.error / other.mean), some.n
    )


def compare_sets(some: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Estimate]:
    """Metrics of the embeddings of samples (`some`) and of real faces, [N, 128] each.

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
    """How well G reconstructs faces, uint8 [N, S, S, C], whose embeddings are `identities`."""
    inverted = invert(model, faces, seed)
    own = describe(reader, inverted, progress, "inverted faces", keep=False).embeddings
    all_hole = np.zeros([*faces.shape[:3], 1], np.float32)  # every pixel is generated, and counts
    metrics = {
        "inversion_psnr": estimate(image_metrics.psnr(faces, inverted, all_hole)),
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
    """How near samples and held-out faces, uint8 [N, S, S, C], come to training faces."""
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
    """Scores a model's generator.

    Args:
      model: with its averaged generator.
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
    z = np.random.default_rng(seed).uniform(-1, 1, [settings.samples, model.z_dim])
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
