"""How good it is: figures of completed images, and how far sets of faces are apart.

Pictures are uint8 [N, S, S, C]. Masks are float32 [N, S, S, 1], 1 = known; figures of a hole are
taken over its pixels (mask 0) alone, since the known ones would flatter every method alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import NamedTuple

import cv2
import dlib
import numpy as np

import faces
from utils import UserError, replacing

EMBEDDING = 128  # numbers in dlib's description of a face
CHIP = 150  # pixels: edge of the pictures that dlib's network describes
PADDING = 12 / 64  # what is added around a picture, as a share of its edge
CHUNK = 8  # pictures handed to a process at a time: about a second
CHIP_VERSION = "embeddings-1"  # another one if chips are ever made otherwise: a cache of its own
NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
JACKKNIFE_GROUPS = 20


# --- pictures -------------------------------------------------------------------------------


def psnr(original: np.ndarray, completed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in the hole, in dB, float64 [N].

    -10 log10 of the mean squared difference over the hole's pixels and channels, with values
    in 0..1. Infinite where the hole is restored exactly, NaN where there is none.
    """
    hole = mask == 0
    squares = np.square((original.astype(np.float64) - completed) / 255)
    count = hole.sum(axis=(1, 2, 3)) * original.shape[3]
    with np.errstate(divide="ignore", invalid="ignore"):
        return -10 * np.log10(np.sum(squares * hole, axis=(1, 2, 3)) / count)


def ssim(original: np.ndarray, completed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Structural similarity in the hole, at most 1, float64 [N]; NaN where there is no hole.

    The map of Wang et al. 2004 (IEEE TIP 13(4); Gaussian window of deviation 1.5) is computed
    over the whole picture, by channel, and averaged over the hole's pixels: windows at the
    hole's edge see known pixels, too.
    """
    from skimage.metrics import structural_similarity  # slow to import; processes do without it

    values = np.full(len(original), np.nan)
    for i, hole in enumerate(mask[..., 0] == 0):
        if hole.any():
            _, similarity = structural_similarity(
                original[i],
                completed[i],
                data_range=255,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                full=True,
            )
            values[i] = similarity[hole].mean()
    return values


# --- what dlib says of faces ----------------------------------------------------------------


class FaceFigures(NamedTuple):
    """What dlib says of some pictures.

    Attributes:
      embeddings: the face recognition network's description, float32 [N, 128]; dlib takes two
        photos for one person's where they are less than 0.6 apart.
      found: whether the face detector finds a face, bool [N].
    """

    embeddings: np.ndarray
    found: np.ndarray


def face_chip(image: np.ndarray) -> np.ndarray:
    """What all of dlib's figures are taken from, uint8 [150, 150, 3].

    An aligned face, uint8 [S, S, C], cut as closely as training wants it, is given a margin of
    repeated edge pixels (12 for 64) and scaled with cubic interpolation.
    """
    margin = round(PADDING * len(image))
    padded = cv2.copyMakeBorder(image, *4 * [margin], cv2.BORDER_REPLICATE)
    chip = cv2.resize(padded, (CHIP, CHIP), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.broadcast_to(np.atleast_3d(chip), (CHIP, CHIP, 3)))


_network: dlib.face_recognition_model_v1 | None = None  # of a worker process
_detector: dlib.fhog_object_detector | None = None


def _start_worker(network: str) -> None:
    """Loads the models once in each worker process."""
    global _network, _detector
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    cv2.setNumThreads(1)  # the processes share the cores already
    _network = dlib.face_recognition_model_v1(network)
    _detector = dlib.get_frontal_face_detector()


def _describe_chunk(images: np.ndarray) -> np.ndarray:
    """Embedding and whether a face was found, float32 [N, 129]."""
    rows = np.empty([len(images), EMBEDDING + 1], np.float32)
    for row, chip in zip(rows, map(face_chip, images), strict=True):
        row[:EMBEDDING] = _network.compute_face_descriptor(chip)
        row[EMBEDDING] = len(_detector(chip, 0)) > 0
    return rows


def default_cache() -> str:
    """The folder where figures that cost time are kept between runs."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(root, "dcgan-completion")


class EmbeddingCache:
    """dlib's figures on disk, by the hash of a picture's pixels: a small file each."""

    def __init__(self, folder: str) -> None:
        """`folder` is made when something is stored."""
        self._folder = os.path.join(folder, CHIP_VERSION)

    def _path(self, image: np.ndarray) -> str:
        digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
        return os.path.join(self._folder, digest[:2], f"{digest}.npy")

    def get(self, image: np.ndarray) -> np.ndarray | None:
        """What was stored for a picture; None if nothing, or nothing whole, is there."""
        with contextlib.suppress(OSError, ValueError, EOFError):
            row = np.load(self._path(image))
            if row.shape == (EMBEDDING + 1,) and row.dtype == np.float32:
                return row
        return None

    def put(self, image: np.ndarray, row: np.ndarray) -> None:
        """Stores a picture's figures, whole or not at all."""
        path = self._path(image)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.save(file, row)


class FaceReader:
    """Describes faces with dlib in processes side by side; a context manager."""

    def __init__(self, workers: int, cache: EmbeddingCache | None = None) -> None:
        """Starts nothing yet.

        Raises:
          UserError: the network's package is not installed.
        """
        self._workers, self._cache = workers, cache
        self._network = faces.installed_model(NETWORK, "dlib's face recognition network")
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> FaceReader:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _submit(self, images: np.ndarray) -> Future[np.ndarray]:
        if self._pool is None:
            # Fresh processes, not forks: a fork of a process with TensorFlow's threads may hang.
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(self._network,),
            )
        return self._pool.submit(_describe_chunk, images)

    def describe(
        self,
        images: np.ndarray,
        *,
        keep: bool = True,
        tick: Callable[[int], None] = lambda _number: None,
    ) -> FaceFigures:
        """The figures of pictures, uint8 [N, S, S, C].

        Args:
          images: any number of them.
          keep: look them up in the cache, and store them there.
          tick: is told how many are done since it was told last.

        Raises:
          UserError: a worker was killed.
        """
        rows = np.empty([len(images), EMBEDDING + 1], np.float32)
        cache = self._cache if keep else None
        todo = []
        for i, image in enumerate(images):
            known = cache.get(image) if cache else None
            if known is None:
                todo.append(i)
            else:
                rows[i] = known
        tick(len(images) - len(todo))
        chunks = [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
        try:
            for chunk, job in [(chunk, self._submit(images[chunk])) for chunk in chunks]:
                rows[chunk] = job.result()
                for i in chunk if cache else ():
                    cache.put(images[i], rows[i])
                tick(len(chunk))
        except BrokenProcessPool:
            raise UserError(
                "a process that runs dlib was killed, perhaps for want of memory; run the command "
                "again with a lower --workers"
            ) from None
        return FaceFigures(rows[:, :EMBEDDING], rows[:, EMBEDDING] > 0)


def identity_distance(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean distances between embeddings, row by row: [N, 128] twice -> float64 [N]."""
    return np.linalg.norm(some.astype(np.float64) - others, axis=1)


# --- sets of faces --------------------------------------------------------------------------


def frechet_distance(some: np.ndarray, others: np.ndarray) -> float:
    """The Frechet distance between Gaussians fitted to two sets of embeddings, [N, d] each.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), Dowson and Landau 1982 (J. Multivariate Anal.
    12(3)). The formula is the FID's (Heusel et al. 2017, arXiv:1706.08500), the number is not:
    that one is of 2048 features of an Inception network trained on ImageNet, for 50,000
    pictures of 299 pixels. dlib's 128 numbers have another scale, and say who somebody is, not
    what a picture looks like. Compare it only with numbers made in this way, of as many faces:
    the fewer they are, the larger it comes out.

    Raises:
      ValueError: fewer than two rows.
    """
    if min(len(some), len(others)) < 2:
        raise ValueError("a covariance needs two rows at least")
    (mean1, cov1), (mean2, cov2) = (
        (x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False)))
        for x in (np.asarray(some, np.float64), np.asarray(others, np.float64))
    )
    # C1 C2 has the eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric: no complex roots,
    # and none that fails where a covariance has not its full rank.
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov2 @ root).clip(0)).sum()
    distance = np.square(mean1 - mean2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * cross
    return max(0.0, float(distance))


def diversity(embeddings: np.ndarray) -> float:
    """Mean Euclidean distance over all pairs of embeddings, [N, d]; NaN for fewer than two."""
    from scipy.spatial.distance import pdist

    return float(pdist(embeddings).mean()) if len(embeddings) > 1 else float("nan")


# --- how sure it is -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over images, its standard error (NaN where unknown), and of how many images."""

    mean: float
    error: float
    n: int


def estimate(values: np.ndarray) -> Estimate:
    """The mean of independent values, [N], and its standard error, s / sqrt(n).

    Values that are not finite (no hole, a hole restored exactly) are left out, and of `n`.
    """
    finite = np.asarray(values, np.float64)[np.isfinite(values)]
    n = len(finite)
    mean = float(finite.mean()) if n else float("nan")
    error = float(finite.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Estimate(mean, error, n)


def paired_difference(values: np.ndarray, baseline: np.ndarray) -> Estimate:
    """Mean of values - baseline over the images that have both, and its standard error.

    Two methods find the same images hard, so that this is much surer than both means are.
    """
    with np.errstate(invalid="ignore"):  # two exact restorations: inf - inf
        return estimate(np.asarray(values, np.float64) - baseline)


def jackknife(statistic: Callable[[np.ndarray], float], rows: np.ndarray) -> Estimate:
    """A statistic of a sample's rows, with its standard error over samples of that size.

    Delete-a-group jackknife (Shao and Tu 1995, The Jackknife and Bootstrap, 2.3): rows
    i, i + 20, ... are left out in turn.
    """
    groups = min(JACKKNIFE_GROUPS, len(rows))
    whole = float(statistic(rows))
    if len(rows) < 4:  # too few for a statistic of the rest
        return Estimate(whole, float("nan"), len(rows))
    number = np.arange(len(rows)) % groups
    parts = np.array([statistic(rows[number != group]) for group in range(groups)])
    error = np.sqrt((groups - 1) * np.mean(np.square(parts - parts.mean())))
    return Estimate(whole, float(error), len(rows))
