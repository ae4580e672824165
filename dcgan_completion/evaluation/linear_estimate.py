"""The linear estimate of a hole: the conditional mean of a Gaussian fitted to training faces.

`LinearEstimate` is the Gaussian; `fit_files` fits one to files, or reads it from a cache on disk.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import scipy.linalg

from dcgan_completion import utils
from dcgan_completion.evaluation import face_sets
from dcgan_completion.evaluation.progress import Progress, silent
from dcgan_completion.masks.mask import Mask

COMPONENTS = 1024
NOISE = 8  # times the mean variance that the components leave: the best of 1 to 16 (LFW)
MIN_NOISE = 1 / 12 / 255**2  # the variance of rounding to whole levels
MIN_VARIANCE = 1e-6  # of a component, as a share of the first one's: below it, float32 rounds
OVERSAMPLED, ROUNDS = 128, 6  # of the subspace iteration: further vectors, and its rounds
BLOCK = 1024  # faces in memory at a time
VERSION = 1  # raise it when the same files give another estimate: cached ones are then not used

# It is compiled: type checkers cannot see its functions.
blas: Any = scipy.linalg.blas

# --- the Gaussian ---


@dataclasses.dataclass(frozen=True, eq=False)
class LinearEstimate:
    """A Gaussian of faces: x = mean + s components + noise.

    Probabilistic principal component analysis (Tipping and Bishop 1999, J. R. Statist. Soc. B
    61(3)) of faces and their mirror images. x are the P = S * S * C values of an image, in 0..1.

    Attributes:
      mean: float32 [P].
      components: orthonormal rows, float32 [K, P].
      variances: of s, by component, float64 [K].
      noise: variance of the noise of each value.
      shape: of an image, (S, S, C).
      faces: number of faces that it was fitted to, without their mirror images.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    noise: float
    shape: tuple[int, int, int]
    faces: int

    @classmethod
    def fit(
        cls, blocks: Callable[[], Iterable[np.ndarray]], components: int = COMPONENTS
    ) -> LinearEstimate:
        """Fit one to faces.

        The covariance of a set that holds the mirror image of each face maps even images (equal to
        their mirror image) to even ones, and odd ones (its negative) to odd ones. So
        the even and the odd half of the space are taken by themselves: two matrices of half the
        edge, one after the other, and no mirror image is made. Memory is for one of them, float32
        [P / 2, P / 2]: 0.15 GB for 64x64x3, 2.4 GB for 128x128x3.

        Args:
          blocks: gives all faces at each of two calls, uint8 [n, S, S, C] at a time, S even.
          components: K at most. Half of the covariance's rank at most, too, so that few faces
            leave a variance by which to tell the noise.
        """
        halves = [_fit_half(blocks(), sign, components) for sign in (1, -1)]
        faces, shape = halves[0].faces, halves[0].shape
        values = np.concatenate([half.variances for half in halves])
        rank = min(2 * faces - 1, int(np.prod(shape)))
        order = np.argsort(values)[::-1][: min(components, rank // 2)]
        order = order[values[order] > max(MIN_VARIANCE * values.max(), MIN_NOISE)]
        rest = sum(half.trace for half in halves) - values[order].sum()
        noise = NOISE * rest / (np.prod(shape) - len(order))
        return cls(
            halves[0].mean,
            np.concatenate([half.components for half in halves])[order],
            values[order].astype(np.float64),
            float(max(noise, MIN_NOISE)),
            shape,
            faces,
        )

    def estimate(self, images: np.ndarray, mask: Mask) -> np.ndarray:
        """Compute the conditional mean of images, given their known pixels: uint8 [N, S, S, C].

        The mean of s, given known values x, is (V V' / noise + 1 / variances)^-1 V (x - mean) /
        noise, where V are the components at the known values. Equal masks are solved together.

        Args:
          images: uint8 [N, S, S, C]; what is missing in them does not matter.
          mask: of pixels.
        """
        known = np.broadcast_to(~mask.hole, images.shape).reshape(len(images), -1)
        images_by_mask = collections.defaultdict(list)
        for i, places in enumerate(known):
            images_by_mask[places.tobytes()].append(i)
        result = np.empty(images.shape, np.uint8)
        for members in images_by_mask.values():
            places = known[members[0]]
            values = images[members].reshape(len(members), -1)[:, places]
            # float64: where little is known, V V' is all but singular beside a small noise.
            seen = self.components[:, places].astype(np.float64)
            right = seen @ (values / 255 - self.mean[places]).T / self.noise
            products = self._products_at(places, seen)
            precision = products / self.noise + np.diag(1 / self.variances)
            scores = scipy.linalg.solve(precision, right, assume_a="pos", overwrite_a=True)
            expected = self.mean + scores.T.astype(np.float32) @ self.components
            result[members] = utils.to_uint8(2 * expected - 1).reshape(-1, *self.shape)
        return result

    def _products_at(self, places: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Compute V V' of V, `seen`, the components at some values; from the others if fewer."""
        if 2 * places.sum() <= len(places):
            return seen @ seen.T
        others = self.components[:, ~places].astype(np.float64)
        return self._products - others @ others.T

    @functools.cached_property
    def _products(self) -> np.ndarray:
        """The components' products with each other, which float32 makes all but orthonormal."""
        components = self.components.astype(np.float64)
        return components @ components.T


@dataclasses.dataclass(frozen=True, eq=False)
class _Half:
    """The mean, leading components and their variances of a mirrored set's even or odd part.

    The mean is float32 [P], that of the odd part 0; the trace is that of the part's covariance.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    trace: float
    shape: tuple[int, int, int]
    faces: int


def _fit_half(blocks: Iterable[np.ndarray], sign: int, components: int) -> _Half:
    """Fit the part of blocks of faces, uint8 [n, S, S, C], that is even (sign 1) or odd (-1).

    Each even or odd image is given by its left half, Q = P / 2 values, scaled to the same length.
    """
    faces, total, covariance = 0, np.zeros(0), np.zeros([0, 0], np.float32)
    height, width, channels = 0, 0, 0
    for block in blocks:
        if not faces:
            height, width, channels = block.shape[1:]
            edge = block[0].size // 2
            # Fortran's order, in which BLAS adds to the upper triangle in place.
            total, covariance = np.zeros(edge), np.zeros([edge, edge], np.float32, order="F")
        # Gray is taken off first, so that little is lost where the mean is taken off in the end.
        values = block.astype(np.float32) / 255 - np.float32(0.5)
        left, right = np.split(values, 2, axis=2)
        rows = (left + sign * right[:, :, ::-1]).reshape(len(block), -1) / np.float32(np.sqrt(2))
        covariance = blas.ssyrk(1, rows.T, beta=1, c=covariance, overwrite_c=True)
        total += rows.sum(axis=0, dtype=np.float64)
        faces += len(block)
    # Each odd part has its negative beside it, that of the mirror image: their mean is 0.
    mean = total / faces if sign == 1 else np.zeros_like(total)
    covariance /= np.float32(faces)
    covariance = blas.ssyr(-1, mean.astype(np.float32), a=covariance, overwrite_a=True)
    trace = float(np.trace(covariance, dtype=np.float64))
    variances, vectors = _leading(covariance, min(components, len(covariance)))

    def whole(rows: np.ndarray) -> np.ndarray:
        """Complete even or odd images [n, P] from their left halves, [n, Q]."""
        left = rows.reshape(-1, height, width // 2, channels) / np.float32(np.sqrt(2))
        both = np.concatenate([left, sign * left[:, :, ::-1]], axis=2)
        return both.reshape(len(rows), -1).astype(np.float32)

    gray = 0.5 if sign == 1 else 0.0
    return _Half(
        whole(mean[np.newaxis])[0] + gray,
        whole(vectors.T),
        variances,
        trace,
        (height, width, channels),
        faces,
    )


def _leading(covariance: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the largest eigenvalues of a covariance, rising, and their vectors as columns.

    Where few of many are asked for: by subspace iteration (Halko et al. 2011, SIAM Review 53(2),
    algorithm 4.4). Of a spectrum such as that of faces the values are right to a few digits at the
    end of those that are asked for, and to float32's precision in their first half.

    Args:
      covariance: float32 [Q, Q]; its upper triangle counts, and is overwritten.
      number: of eigenvalues, at most Q.
    """
    edge, width = len(covariance), number + OVERSAMPLED
    if edge <= 2 * width:
        last = [edge - number, edge - 1]
        return scipy.linalg.eigh(covariance, lower=False, overwrite_a=True, subset_by_index=last)
    start = np.random.default_rng(0).standard_normal([width, edge], np.float32)
    basis = start.T
    for _ in range(ROUNDS):
        product = blas.ssymm(1, covariance, basis)
        # Of the tuples that it may return, that of Q and R.
        factors: Any = scipy.linalg.qr(product, overwrite_a=True, mode="economic")
        basis = factors[0]
    values, vectors = scipy.linalg.eigh(basis.T @ blas.ssymm(1, covariance, basis))
    return values[-number:], basis @ vectors[:, -number:]


# --- files ---


def fit_files(
    paths: Sequence[str],
    size: int,
    channels: int,
    cache: str,
    progress: Progress = silent,
) -> LinearEstimate:
    """Fit the estimate to files of faces, or read it from the cache.

    It is cached by a hash of the files' real paths, sizes and times of change; a damaged file in
    the cache is replaced.

    Args:
      paths: of the faces, as from `face_sets.list_linear`.
      size, channels: as in `face_sets.load_faces`.
      cache: a folder, made if need be.
      progress: of its two stages.

    Raises:
      UserError: as `face_sets.load_faces`.
    """
    stored = os.path.join(cache, "linear", f"{_key(paths, size, channels)}.npz")
    estimate = _read(stored, (size, size, channels))
    if estimate is not None:
        return estimate

    def blocks() -> Iterator[np.ndarray]:
        with progress(total=len(paths), desc="linear estimate: training faces") as bar:
            for first in range(0, len(paths), BLOCK):
                block = face_sets.load_faces(paths[first : first + BLOCK], size, channels)
                yield block
                bar.update(len(block))

    estimate = LinearEstimate.fit(blocks)
    os.makedirs(os.path.dirname(stored), exist_ok=True)
    with utils.replacing(stored) as temporary, open(temporary, "wb") as file:
        np.savez(file, **dataclasses.asdict(estimate))
    return estimate


def _key(paths: Sequence[str], size: int, channels: int) -> str:
    states = [(os.path.realpath(path), os.stat(path)) for path in paths]
    files = sorted((real, state.st_size, state.st_mtime_ns) for real, state in states)
    what = [VERSION, COMPONENTS, NOISE, size, channels, files]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _read(path: str, shape: tuple[int, int, int]) -> LinearEstimate | None:
    """Read the cached estimate for images of a shape; None if there is none, or it is damaged."""
    try:
        utils.check_regular(path)
        with np.load(path) as file:
            stored = {field.name: file[field.name] for field in dataclasses.fields(LinearEstimate)}
        height, width, channels = map(int, stored["shape"])
        estimate = LinearEstimate(
            stored["mean"],
            stored["components"],
            stored["variances"],
            float(stored["noise"]),
            (height, width, channels),
            int(stored["faces"]),
        )
    except Exception:  # it raises anything on damaged files
        return None
    number = len(estimate.variances)
    arrays = (estimate.mean, estimate.components, estimate.variances)
    fits = [a.shape for a in arrays] == [(np.prod(shape),), (number, np.prod(shape)), (number,)]
    finite = all(a.dtype.kind == "f" and np.isfinite(a).all() for a in arrays)
    positive = estimate.noise > 0 and np.isfinite(estimate.noise) and (estimate.variances > 0).all()
    return estimate if estimate.shape == shape and fits and finite and positive else None
