"""The faces of a data set that samples are nearest to, by pixels and by dlib's embedding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dcgan_completion import checkpoints, cli, utils
from dcgan_completion.evaluation import embeddings, face_sets
from dcgan_completion.evaluation.embeddings import EmbeddingCache, FaceReader
from dcgan_completion.latent import samples, sheets
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.latent import NeighboursSettings

BLOCK = 1000  # faces of the data set in memory at a time
COLUMNS = ("sample", "by", "rank", "file", "distance")


class Nearest(NamedTuple):
    """The rows of a set that are nearest to each of N queries, the nearest first.

    Attributes:
      numbers: of the rows, int [N, count].
      distances: float64 [N, count].
    """

    numbers: np.ndarray
    distances: np.ndarray


def merge(nearest: Nearest | None, distances: np.ndarray, first: int, count: int) -> Nearest:
    """The nearest rows, after a further block of them.

    Args:
      nearest: of the blocks before; None: this is the first one.
      distances: of the queries to the block's rows, [N, rows].
      first: number of the block's first row.
      count: of rows to keep, at most.
    """
    numbers = np.broadcast_to(first + np.arange(distances.shape[1]), distances.shape)
    if nearest is not None:
        numbers = np.concatenate([nearest.numbers, numbers], axis=1)
        distances = np.concatenate([nearest.distances, distances], axis=1)
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return Nearest(*(np.take_along_axis(x, order, axis=1) for x in (numbers, distances)))


def pixel_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Root mean squared differences of images [N, S, S, C] and [M, S, S, C]: float64 [N, M].

    Of values in 0..255.
    """
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (some, others))
    squares = np.square(a).sum(axis=1)[:, np.newaxis] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0) / a.shape[1])


def nearest_faces(
    images: np.ndarray,
    blocks: Iterator[np.ndarray],
    count: int,
    describe: Callable[[np.ndarray, bool], np.ndarray],
) -> dict[str, Nearest]:
    """The faces nearest to images, uint8 [N, S, S, C], by `pixels` and by `dlib`.

    Args:
      images: the queries.
      blocks: the data set's faces, uint8 [n, S, S, C] at a time.
      count: of faces to find for each image, at most.
      describe: images, and whether to keep the result for other runs -> embeddings.
    """
    from scipy.spatial.distance import cdist

    own = describe(images, False)
    found: dict[str, Nearest | None] = {"pixels": None, "dlib": None}
    first = 0
    for block in blocks:
        distances = {
            "pixels": pixel_distances(images, block),
            "dlib": cdist(own, describe(block, True)),
        }
        found = {by: merge(found[by], distances[by], first, count) for by in found}
        first += len(block)
    return found


def draw_neighbours(settings: NeighboursSettings, model: DCGAN, prefix: str) -> int:
    """Writes a sheet and a table of the nearest faces; returns the status."""
    paths = face_sets.list_faces([settings.dataset], "--dataset", set(), set())
    paths = face_sets.evenly_spaced(paths, settings.limit)
    size, channels = model.image_size, model.channels
    face_sets.load_faces(paths[:1], size, channels)  # refused before anything takes long
    cache = settings.cache or embeddings.default_cache()
    utils.check_writable(cache, "--cache")
    names = settings.names()
    images = checkpoints.generate(model, samples.latents_of(settings, model, names))
    with (
        FaceReader(settings.workers, EmbeddingCache(cache)) as reader,
        cli.progress_bar(total=len(paths), unit="face") as bar,
    ):

        def describe(some: np.ndarray, keep: bool) -> np.ndarray:
            advance = bar.update if keep else lambda _number: None
            return reader.describe(some, keep=keep, advance=advance).embeddings

        blocks = (
            face_sets.load_faces(paths[i : i + BLOCK], size, channels)
            for i in range(0, len(paths), BLOCK)
        )
        found = nearest_faces(images, blocks, settings.count, describe)
    samples.make_folder(settings.out)
    labels = list(map(str, names))
    utils.write_csv(settings.table, COLUMNS, _rows(labels, found, paths))
    sheet = _sheet(
        labels,
        images,
        found,
        lambda number: face_sets.load_faces([paths[number]], size, channels)[0],
    )
    utils.save_image(settings.out, sheet)
    print(
        f"the faces of {settings.dataset} nearest to {len(names)} samples by {prefix} are in "
        f"{settings.out} and {settings.table}"
    )
    return 0


def _rows(
    labels: Sequence[str], found: dict[str, Nearest], paths: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    """The table's rows; see COLUMNS."""
    for i, label in enumerate(labels):
        for by, nearest in found.items():
            pairs = zip(nearest.numbers[i], nearest.distances[i], strict=True)
            for rank, (number, distance) in enumerate(pairs, 1):
                yield label, by, str(rank), paths[number], f"{distance:.4f}"


def _sheet(
    labels: Sequence[str],
    images: np.ndarray,
    found: dict[str, Nearest],
    load: Callable[[int], np.ndarray],
) -> np.ndarray:
    """A row for each sample: itself, the nearest faces by pixels, and those by embedding."""
    rows = []
    for i, label in enumerate(labels):
        row = [Cell(images[i], label)]
        for by, nearest in found.items():
            row.append(Cell(caption=f"by\n{by}"))
            for number, distance in zip(nearest.numbers[i], nearest.distances[i], strict=True):
                digits = 1 if by == "pixels" else 2
                row.append(Cell(load(number), f"{distance:.{digits}f}"))
        rows.append(row)
    title = (
        "by pixels: root mean squared difference, levels of 255; by dlib: distance of embeddings"
    )
    return sheets.sheet(rows, f"Samples and the faces nearest to them, {title}")
