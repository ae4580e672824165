"""Face embeddings by dlib, their cache on disk, distances between them and between their sets.

Images are uint8 [N, S, S, C], embeddings float32 [N, 128].
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import NamedTuple

import cv2
import dlib
import numpy as np

from dcgan_completion.faces import aligner as faces
from dcgan_completion.utils import check_regular, replacing
from dcgan_completion.workers import WorkerPool

EMBEDDING = 128  # numbers in an embedding
CHIP = 150  # pixels: edge of the images that dlib's network takes
PADDING = 12 / 64  # of the edge: width of the margin that is added around an image
CHIP_VERSION = "embeddings-1"  # change it with `face_chip`: cached embeddings are then not used
NETWORK = "dlib_face_recognition_resnet_model_v1.dat"


class FaceEmbeddings(NamedTuple):
    """The result of dlib's models for some images.

    Attributes:
      embeddings: by the face recognition network, float32 [N, 128]; dlib takes two photos for
        one person's where they are less than 0.6 apart.
      found: whether the face detector finds a face, bool [N].
    """

    embeddings: np.ndarray
    found: np.ndarray


def face_chip(image: np.ndarray) -> np.ndarray:
    """Prepare an aligned face, uint8 [S, S, C], for dlib's models: uint8 [150, 150, 3].

    dlib wants more around the face than an aligned image has: it gets a margin of repeated edge
    pixels (12 for 64), and is scaled with cubic interpolation.
    """
    margin = round(PADDING * len(image))
    padded = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    chip = cv2.resize(padded, (CHIP, CHIP), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.broadcast_to(np.atleast_3d(chip), (CHIP, CHIP, 3)))


class _FaceModels:
    """dlib's network and detector, loaded in a worker process."""

    def __init__(self, network: str) -> None:
        self.network = dlib.face_recognition_model_v1(network)
        self.detector = dlib.get_frontal_face_detector()


def _describe_face(models: _FaceModels, image: np.ndarray) -> np.ndarray:
    """Compute the row of an image, uint8 [S, S, C]: see `EmbeddingCache`."""
    chip = face_chip(image)
    found = len(models.detector(chip, 0)) > 0
    return np.array([*models.network.compute_face_descriptor(chip), found], np.float32)


def default_cache() -> str:
    """Choose the folder where embeddings are kept between runs."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(root, "dcgan-completion")


class EmbeddingCache:
    """Descriptions of faces on disk: a small file for each image, by the hash of its pixels.

    A row is the embedding of an image, then 1 if a face was found, else 0: float32 [129].
    """

    def __init__(self, folder: str) -> None:
        """`folder` is made when something is stored."""
        self._folder = os.path.join(folder, CHIP_VERSION)

    def _path(self, image: np.ndarray) -> str:
        digest = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
        return os.path.join(self._folder, digest[:2], f"{digest}.npy")

    def get(self, image: np.ndarray) -> np.ndarray | None:
        """Return the row stored for an image; None if there is none, or it is damaged."""
        try:
            check_regular(self._path(image))
            with open(self._path(image), "rb") as file:
                row = np.lib.format.read_array(file)
        except Exception:  # it raises anything on damaged files
            return None
        whole = row.shape == (EMBEDDING + 1,) and row.dtype == np.float32
        return row if whole and np.isfinite(row).all() else None

    def put(self, image: np.ndarray, row: np.ndarray) -> None:
        """Store an image's row in an atomic write."""
        path = self._path(image)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.save(file, row)


class FaceReader:
    """Describes faces with dlib in parallel processes; a context manager."""

    def __init__(self, workers: int, cache: EmbeddingCache | None = None) -> None:
        """Start nothing yet.

        Args:
          workers: number of processes.
          cache: where rows are looked up and stored; None: nowhere.

        Raises:
          UserError: the network's package is not installed.
        """
        self._cache = cache
        self._pool = WorkerPool(
            workers,
            _FaceModels,
            faces.installed_model(NETWORK, "dlib's face recognition network"),
            if_killed="a process that runs dlib was killed, perhaps out of memory; run the "
            "command again with a lower --workers",
        )

    def __enter__(self) -> FaceReader:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.__exit__(*error)

    def describe(
        self,
        images: np.ndarray,
        *,
        keep: bool = True,
        advance: Callable[[int], object] = lambda _number: None,
    ) -> FaceEmbeddings:
        """Describe images, uint8 [N, S, S, C].

        Args:
          images: any number of them.
          keep: look them up in the cache, and store them there.
          advance: called with the number of images done since its last call.

        Raises:
          UserError: a worker was killed.
        """
        rows = np.empty([len(images), EMBEDDING + 1], np.float32)
        cache = self._cache if keep else None
        missing = []
        for i, image in enumerate(images):
            known = cache.get(image) if cache else None
            if known is None:
                missing.append(i)
            else:
                rows[i] = known
        advance(len(images) - len(missing))
        found = self._pool.map(_describe_face, (images[i] for i in missing))
        for i, row in zip(missing, found, strict=True):
            rows[i] = row
            if cache:
                cache.put(images[i], row)
            advance(1)
        return FaceEmbeddings(rows[:, :EMBEDDING], rows[:, EMBEDDING] > 0)


def identity_distance(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute Euclidean distances between two sets of embeddings, row by row: float64 [N]."""
    return np.linalg.norm(some.astype(np.float64) - others, axis=1)


def frechet_distance(some: np.ndarray, others: np.ndarray) -> float:
    """Compute the Frechet distance between Gaussians fitted to two sets of embeddings, [N, d] each.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), Dowson and Landau 1982 (J. Multivariate Anal.
    12(3)). The formula is the FID's (Heusel et al. 2017, arXiv:1706.08500), the number is not:
    that one is of 2048 features of an Inception network trained on ImageNet, for 50,000
    images of 299 pixels. dlib's 128 numbers have another scale, and say who somebody is, not
    what an image looks like. Compare it only with distances of the same embeddings and of as many
    faces: with fewer faces it comes out larger.

    Raises:
      ValueError: fewer than two rows.
    """
    if min(len(some), len(others)) < 2:
        raise ValueError("a covariance needs two rows at least")
    (mean1, cov1), (mean2, cov2) = (
        (x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False)))
        for x in (np.asarray(some, np.float64), np.asarray(others, np.float64))
    )
    # C1 C2 has the eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric: its roots are real, and
    # are found even where a covariance is singular.
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov2 @ root).clip(0)).sum()
    distance = np.square(mean1 - mean2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * cross
    return max(0.0, float(distance))


def diversity(embeddings: np.ndarray) -> float:
    """Average the Euclidean distance over all pairs of embeddings, [N, d]; NaN without a pair."""
    from scipy.spatial.distance import pdist

    return float(pdist(embeddings).mean()) if len(embeddings) > 1 else float("nan")
