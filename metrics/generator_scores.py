"""How good a generator is: are its faces like real ones, as varied, and not those it has seen?"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence, Set

import numpy as np
from scipy.spatial.distance import cdist

import utils
from completion.completer import Completer
from completion.settings import Settings
from metrics import benchmark as evaluation
from metrics import embeddings as metrics
from metrics.embeddings import Estimate, FaceReader, estimate, jackknife
from metrics.tables import table
from model import DCGAN
from training import logs as report
from utils import UserError

NEAREST = 64  # samples, and held-out faces, whose nearest training face is sought
NEAREST_DRAWN = 5000  # training faces that are compared by their embeddings
BLOCK = 1000  # training faces in memory at a time
INVERSION = {"distance": "l2", "n_iter": 600, "lr": 0.05, "lam": 0.0}

Tick = Callable[[int], None]


def list_faces(folders: Sequence[str], flag: str, only: Set[str], without: Set[str]) -> list[str]:
    """Paths of the images below some folders, each file once.

    Args:
      folders: in the order of the result.
      flag: the option that names them.
      only: files to take, by their names or their paths below their folder; empty for all.
      without: files to leave out, by the same or by their real paths.

    Raises:
      UserError: a folder that is none, or nothing is left.
    """
    paths: dict[str, str] = {}  # by real path
    for folder in folders:
        utils.check_folder(folder, flag)
        for path in utils.list_images(folder):
            real = os.path.realpath(path)
            names = {os.path.relpath(path, folder), os.path.basename(path)}
            if (not only or names & only) and not (names | {real}) & without:
                paths.setdefault(real, path)
    if not paths:
        which = " that --holdout lists" if only else " besides the real ones" if without else ""
        raise UserError(f"{flag} {folders[0]}: holds no images{which}")
    return list(paths.values())


def list_sets(
    real: Sequence[str], training: Sequence[str], holdout: str | None
) -> tuple[list[str], list[str]]:
    """Paths of real faces to compare with, and of those that a model was trained on.

    Args:
      real, training: folders.
      holdout: a file of names; only these of the real faces are taken, and none of them nor
        any real face for one of training.

    Raises:
      UserError: as `list_faces` and `utils.read_names`, or fewer than 4 real faces.
    """
    names = utils.read_names(holdout, "--holdout") if holdout else set()
    paths = list_faces(real, "--real", names, set())
    if len(paths) < 4:
        raise UserError(f"--real {real[0]}: {len(paths)} faces are too few to compare with")
    if not training:
        return paths, []
    held_out = names | {os.path.realpath(path) for path in paths}
    return paths, list_faces(training, "--training", set(), held_out)


def invert(model: DCGAN, images: np.ndarray, seed: int) -> np.ndarray:
    """The nearest that G comes to faces that are wholly known, uint8 [N, S, S, C] both.

    Adam on the squared difference alone, without the perceptual loss.
    """
    batch = min(evaluation.BATCH, len(images))
    completer = Completer(model, Settings.of("adam", **INVERSION), batch_size=batch)
    mask = evaluation.make_masks(images, "full", seed, {})
    return completer.complete(images, mask, "full", seed).generated


@dataclasses.dataclass(frozen=True)
class Nearest:
    """The training faces that some pictures come nearest to.

    Attributes:
      pixels: distances, root mean squared differences of values in 0..1, [N].
      identity: distances between embeddings, [N].
      by_pixels, by_identity: those faces, uint8 [N, S, S, C].
    """

    pixels: np.ndarray
    identity: np.ndarray
    by_pixels: np.ndarray
    by_identity: np.ndarray


def _nearest_pixels(images: np.ndarray, training: Sequence[str], tick: Tick) -> np.ndarray:
    """Numbers of the training files that are nearest to images by their pixels, [N]."""
    size, channels = images.shape[2:]
    queries = images.reshape(len(images), -1).astype(np.float32) / 255
    best, number = np.full(len(images), np.inf), np.zeros(len(images), int)
    for first in range(0, len(training), BLOCK):
        paths = training[first : first + BLOCK]
        block = evaluation.load_faces(paths, size, channels).reshape(len(paths), -1)
        block = block.astype(np.float32) / 255
        # |q - t|^2 but for |q|^2, which is the same for all t
        squares = np.square(block).sum(axis=1) - 2 * queries @ block.T
        nearer = squares.min(axis=1) < best
        number[nearer] = first + squares.argmin(axis=1)[nearer]
        best = np.minimum(best, squares.min(axis=1))
        tick(len(paths))
    return number


def nearest_training(
    images: np.ndarray, training: Sequence[str], seed: int, reader: FaceReader, tick: Tick
) -> Nearest:
    """The training faces nearest to images, uint8 [N, S, S, C].

    By pixels among all, by embedding among 5,000 that the seed draws.
    """
    size, channels = images.shape[2:]
    numbers = _nearest_pixels(images, training, tick)
    by_pixels = evaluation.load_faces([training[i] for i in numbers], size, channels)
    squares = np.square((images.astype(np.float64) - by_pixels) / 255)
    drawn = np.random.default_rng(seed).permutation(len(training))[:NEAREST_DRAWN]
    faces = evaluation.load_faces([training[i] for i in sorted(drawn)], size, channels)
    known = reader.describe(faces, tick=tick).embeddings
    distances = cdist(reader.describe(images, tick=tick).embeddings, known)
    return Nearest(
        np.sqrt(squares.mean(axis=(1, 2, 3))),
        distances.min(axis=1),
        by_pixels,
        faces[distances.argmin(axis=1)],
    )


@dataclasses.dataclass(frozen=True)
class Score:
    """What was found of a generator.

    Attributes:
      figures: by name.
      sheets: name -> columns of a contact sheet.
    """

    figures: dict[str, Estimate]
    sheets: dict[str, dict[str, np.ndarray]]


def _ratio(some: Estimate, other: Estimate) -> Estimate:
    """some / other, with the error that those of independent estimates propagate."""
    ratio = some.mean / other.mean
    return Estimate(
        ratio, ratio * math.hypot(some.error / some.mean, other.error / other.mean), some.n
    )


def compare_sets(some: np.ndarray, real: np.ndarray, seed: int) -> dict[str, Estimate]:
    """Figures of samples' embeddings and real faces', [N, 128] each.

    The real faces' two halves, which the seed draws, are as near as sets of half the size come.
    """
    first, second = np.array_split(np.random.default_rng(seed).permutation(real), 2)
    diversity = jackknife(metrics.diversity, some), jackknife(metrics.diversity, real)
    return {
        "frechet": jackknife(lambda rows: metrics.frechet_distance(rows, real), some),
        "frechet_real_halves": jackknife(
            lambda rows: metrics.frechet_distance(rows, second), first
        ),
        "diversity": diversity[0],
        "diversity_real": diversity[1],
        "diversity_ratio": _ratio(*diversity),
    }


def _score_inversion(
    model: DCGAN,
    faces: np.ndarray,
    embeddings: np.ndarray,
    seed: int,
    reader: FaceReader,
    tick: Tick,
) -> Score:
    """How well G shows real faces, uint8 [N, S, S, C], whose embeddings [N, 128] are known."""
    inverted = invert(model, faces, seed)
    own = reader.describe(inverted, keep=False, tick=tick).embeddings
    whole = np.zeros([*faces.shape[:3], 1], np.float32)  # all of it is generated
    figures = {
        "inversion_psnr": estimate(metrics.psnr(faces, inverted, whole)),
        "inversion_identity": estimate(metrics.identity_distance(own, embeddings)),
    }
    return Score(figures, {"inversion": {"real": faces[:NEAREST], "inverted": inverted[:NEAREST]}})


def _score_nearest(
    generated: np.ndarray,
    held_out: np.ndarray,
    training: Sequence[str],
    seed: int,
    reader: FaceReader,
    tick: Tick,
) -> Score:
    """How near samples and held-out faces, uint8 [N, S, S, C], come to training faces."""
    pictures = np.concatenate([generated, held_out])
    nearest = nearest_training(pictures, training, seed, reader, tick)
    figures, sheets = {}, {}
    for part, name, kind in (
        (slice(len(generated)), "", "sample"),
        (slice(len(generated), None), "_real", "held-out"),
    ):
        figures[f"nearest_pixels{name}"] = estimate(nearest.pixels[part])
        figures[f"nearest_identity{name}"] = estimate(nearest.identity[part])
        sheets[f"nearest-{kind}"] = {
            kind: pictures[part],
            "by-pixels": nearest.by_pixels[part],
            "by-dlib": nearest.by_identity[part],
        }
    return Score(figures, sheets)


def score(
    model: DCGAN,
    real: Sequence[str],
    training: Sequence[str],
    *,
    samples: int,
    inversion: int,
    seed: int,
    reader: FaceReader,
    tick: Tick,
) -> Score:
    """Scores a model's generator.

    Args:
      model: with its averaged generator.
      real: paths of faces that it was not trained on; `samples` of them at most are used.
      training: paths of those that it was trained on; may be empty.
      samples: number of generated faces, those of sample-dcgan.py with the same seed.
      inversion: number of real faces that G is to show.
      seed: of all that is drawn.
      reader: of dlib's figures.
      tick: is told of progress; `work` ticks in all.
    """
    size, channels = model.image_size, model.channels
    faces = evaluation.load_faces(evaluation.evenly_spaced(real, samples), size, channels)
    z = np.random.default_rng(seed).uniform(-1, 1, [samples, model.z_dim])
    generated = report.generate(model, z)
    read = reader.describe(generated, keep=False, tick=tick)
    read_real = reader.describe(faces, tick=tick)
    figures = compare_sets(read.embeddings, read_real.embeddings, seed) | {
        "found": estimate(read.found.astype(float)),
        "found_real": estimate(read_real.found.astype(float)),
    }
    parts = [Score(figures, {"samples": {"samples": generated[:NEAREST]}})]
    which = evaluation.evenly_spaced(range(len(faces)), inversion)
    embeddings = read_real.embeddings[which]
    parts.append(_score_inversion(model, faces[which], embeddings, seed, reader, tick))
    if training:
        held_out = faces[evaluation.evenly_spaced(range(len(faces)), NEAREST)]
        parts.append(_score_nearest(generated[:NEAREST], held_out, training, seed, reader, tick))
    return Score(
        {name: value for part in parts for name, value in part.figures.items()},
        {name: columns for part in parts for name, columns in part.sheets.items()},
    )


def work(real: int, training: int, samples: int, inversion: int) -> int:
    """How many ticks `score` takes, for a progress bar."""
    used = min(real, samples)
    ticks = samples + used + min(used, inversion)
    if training:
        ticks += training + min(training, NEAREST_DRAWN)
        ticks += min(samples, NEAREST) + min(used, NEAREST)
    return ticks


# --- the table ------------------------------------------------------------------------------

# Figures of the samples and of the real faces beside them, and digits after the point.
ROWS = (
    ("Frechet distance to the real faces; of two real halves", "frechet", "frechet_real_halves", 4),
    ("diversity: mean distance between embeddings", "diversity", "diversity_real", 4),
    ("diversity, as a share of the real faces'", "diversity_ratio", None, 3),
    ("share in which dlib finds a face", "found", "found_real", 3),
    ("nearest training face, pixels", "nearest_pixels", "nearest_pixels_real", 4),
    ("nearest training face, embedding", "nearest_identity", "nearest_identity_real", 4),
    ("inversion of real faces, PSNR in dB", None, "inversion_psnr", 2),
    ("inversion of real faces, identity distance", None, "inversion_identity", 3),
)


def markdown(figures: Mapping[str, Estimate], training: int) -> str:
    """The table of a generator's figures, from a `Score`; `training`: number of those faces."""

    def cell(name: str | None, digits: int) -> str:
        value = figures.get(name)
        if value is None or not math.isfinite(value.mean):
            return ""
        shown = f" ± {value.error:.{digits}f}" if math.isfinite(value.error) else ""
        return f"{value.mean:.{digits}f}{shown} ({value.n})"

    rows = [
        [label, cell(own, digits), cell(real, digits)]
        for label, own, real, digits in ROWS
        if own in figures or real in figures
    ]
    notes = (
        "± standard error over faces (jackknife for the distance and the diversity), number of "
        "faces in brackets. The Frechet distance is between dlib's embeddings and is no FID."
    )
    if training:
        notes += (
            f" Nearest of {training} training faces by pixels (root mean squared "
            f"difference, values 0..1), of at most {NEAREST_DRAWN} by embedding."
        )
    return f"## Generator\n\n{notes}\n\n{table(['', 'samples', 'real faces'], rows)}\n"
