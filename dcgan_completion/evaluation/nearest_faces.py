"""Nearest faces: those of a set on disk that are nearest to given ones. Knows no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dcgan_completion.evaluation import face_sets

BLOCK = 1000  # faces in memory at a time


class Nearest(NamedTuple):
    """The faces of a set that are nearest to each of N queries, the nearest first.

    Attributes:
      numbers: their places in the set, int [N, count].
      distances: float64 [N, count].
    """

    numbers: np.ndarray
    distances: np.ndarray


def load_blocks(
    paths: Sequence[str],
    size: int,
    channels: int,
    advance: Callable[[int], object] = lambda _number: None,
) -> Iterator[np.ndarray]:
    """Load faces as `face_sets.load_faces`, uint8 [n, size, size, channels] at a time.

    `advance` is called with the number of faces of each block when it is done with.
    """
    for first in range(0, len(paths), BLOCK):
        block = face_sets.load_faces(paths[first : first + BLOCK], size, channels)
        yield block
        advance(len(block))


def pixel_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Measure root mean squared differences of images, in levels of 0..255: float64 [N, M].

    Args:
      some, others: uint8 [N, S, S, C] and [M, S, S, C].
    """
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (some, others))
    squares = np.square(a).sum(axis=1)[:, np.newaxis] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(squares / a.shape[1])  # of whole numbers, so that none is below 0


def find_nearest(
    blocks: Iterable[np.ndarray],
    count: int,
    distances: Mapping[str, Callable[[np.ndarray], np.ndarray]],
) -> dict[str, Nearest]:
    """Find the nearest faces by each of some distances; the first of equally near ones comes first.

    Args:
      blocks: the set's faces, uint8 [n, S, S, C] at a time.
      count: faces to find for each query, at most.
      distances: by name; each takes a block and gives the queries' distances to it, [N, n].
    """
    found: dict[str, Nearest] = {}
    first = 0
    for block in blocks:
        for name, measure in distances.items():
            values = measure(block)
            numbers = np.broadcast_to(first + np.arange(len(block)), values.shape)
            if name in found:
                numbers = np.concatenate([found[name].numbers, numbers], axis=1)
                values = np.concatenate([found[name].distances, values], axis=1)
            order = np.argsort(values, axis=1, kind="stable")[:, :count]
            found[name] = Nearest(*(np.take_along_axis(x, order, 1) for x in (numbers, values)))
        first += len(block)
    return found
