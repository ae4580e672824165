"""The sub-command `neighbours`: the faces of a data set that are nearest to samples."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dcgan_completion import cli, utils
from dcgan_completion.evaluation import embeddings, face_sets, nearest_faces
from dcgan_completion.evaluation.embeddings import EmbeddingCache, FaceReader
from dcgan_completion.evaluation.nearest_faces import Nearest
from dcgan_completion.latent import samples, sheets
from dcgan_completion.latent.generator import Generator
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.settings.latent import NeighboursSettings

COLUMNS = ("sample", "by", "rank", "file", "distance")

logger = logging.getLogger(__name__)


def _find(
    settings: NeighboursSettings, images: np.ndarray, paths: Sequence[str], cache: str
) -> dict[str, Nearest]:
    """Find the faces nearest to images, uint8 [N, S, S, C], by `pixels` and by `dlib`."""
    from scipy.spatial.distance import cdist

    with (
        FaceReader(settings.workers, EmbeddingCache(cache)) as reader,
        cli.progress_bar(total=len(paths), unit="face") as bar,
    ):
        own = reader.describe(images, keep=False).embeddings
        return nearest_faces.find_nearest(
            nearest_faces.load_blocks(paths, *images.shape[2:]),
            settings.count,
            {
                "pixels": functools.partial(nearest_faces.pixel_distances, images),
                "dlib": lambda block: cdist(
                    own, reader.describe(block, advance=bar.update).embeddings
                ),
            },
        )


def draw_neighbours(settings: NeighboursSettings, generator: Generator) -> None:
    """Write a sheet and a table of the nearest faces."""
    paths = face_sets.list_faces([settings.dataset], "--dataset", set(), set())
    paths = face_sets.evenly_spaced(paths, settings.limit)

    def load(number: int) -> np.ndarray:
        path = paths[number]
        return face_sets.load_faces([path], generator.image_size, generator.channels)[0]

    load(0)  # refused before anything takes long
    cache = settings.cache or embeddings.default_cache()
    utils.check_writable(cache, "--cache")
    names = settings.names()
    images = np.concatenate(list(samples.image_batches(settings, generator, names)))
    found = _find(settings, images, paths, cache)
    samples.make_folder(settings.out)
    labels = list(map(str, names))
    utils.write_csv(settings.beside, COLUMNS, _rows(labels, found, paths))
    utils.save_image(settings.out, _sheet(labels, images, found, load))
    logger.info(
        f"wrote the nearest neighbours, in {settings.dataset}, of {len(names)} samples of "
        f"{generator.prefix} to {settings.out} and {settings.beside}"
    )


def _rows(
    labels: Sequence[str], found: dict[str, Nearest], paths: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    """Yield the table's rows; see COLUMNS."""
    for i, label in enumerate(labels):
        for by, nearest in found.items():
            pairs = zip(nearest.numbers[i], nearest.distances[i], strict=True)
            for rank, (number, distance) in enumerate(pairs, 1):
                yield label, by, str(rank), paths[int(number)], f"{distance:.4f}"


def _sheet(
    labels: Sequence[str],
    images: np.ndarray,
    found: dict[str, Nearest],
    load: Callable[[int], np.ndarray],
) -> np.ndarray:
    """Draw a row for each sample: itself, the nearest faces by pixels, and those by embedding."""
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
