"""Measure the detail of repaired photos against what was under the holes, by octaves.

Holes over mouth, eyes and one half of each photo's largest face are filled by the model's estimate,
and get no detail, grain, or detail transfer. In octave k the gray photo is the difference of its
Gaussians of 0.5 * 2^(k - 1) and twice as many pixels; pixels count that lie three from the hole's
edge. E is the energy of a result over that of the truth, r their correlation, both over all photos
together. `where` is the correlation of the logarithms of local energies, a mean over photos: is
detail where it should be? Identity is the distance of dlib's embeddings. Paired differences to
grain are means ± standard errors over holes.

example:
  python -m benchmarks.detail photos --every 30 --offset 7
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from dcgan_completion import cli, devices, utils
from dcgan_completion.octaves import octave_bands
from dcgan_completion.settings import options
from dcgan_completion.settings.photos import DETAILS, GRAIN, LANDMARKS
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.evaluation.photo_cases import Photos
    from dcgan_completion.photos.photo_inpainter import PhotoSearch

KINDS = ("mouth", "eyes", "half")
COUNT = 3  # octaves
INNER = 7  # pixels: edge of the square by which holes are eroded
AROUND = 24  # pixels around a hole that the bands see
LOCAL = 1.5 / 64  # of a face's width: Gaussian of local energies
FLOOR = 0.3  # levels, added to them: less is noise
AGAINST = GRAIN  # paired differences are to it
COLUMNS = ("detail", "E of octaves 1, 2, 3", "r", "where", "PSNR, dB", f"to {AGAINST}")
COLUMNS = (*COLUMNS, "identity distance", f"to {AGAINST}")
HEAD = f"| {' | '.join(COLUMNS)} |\n|{len(COLUMNS) * ' --- |'}"


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.detail")
    parser.add_argument("photos", nargs="+", metavar="FACES", help="photos, or folders of them")
    every = "take every Nth of the sorted photos"
    parser.add_argument("--every", type=options.positive_int, default=1, metavar="N", help=every)
    first = "number of the first photo, from 0 on (default: 0)"
    parser.add_argument("--offset", type=options.seed, default=0, metavar="N", help=first)
    kinds = f"holes (default: {' '.join(KINDS)})"
    parser.add_argument("--hole", nargs="+", choices=KINDS, default=KINDS, help=kinds)
    parser.add_argument("--checkpoint-dir", metavar="FOLDER", help="model (default: that ships)")
    tiles = "also draw original, hole and results around each hole, three times as large"
    parser.add_argument("--tiles", metavar="FOLDER", help=tiles)
    return parser


def difference(values: np.ndarray, digits: int) -> str:
    """Write the mean of paired differences, and its standard error."""
    if not values.any():
        return ""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():+.{digits}f} ± {error:.{digits}f}"


class Tally:
    """The metrics of one way to add detail, over photos."""

    def __init__(self) -> None:
        self.sums = np.zeros([3, COUNT])  # of squares, ours and true, and of products
        self.where: list[np.ndarray] = []
        self.psnr: list[float] = []
        self.faces: list[np.ndarray] = []  # aligned, as they are described

    def add(
        self, true: np.ndarray, ours: np.ndarray, hole: np.ndarray, sigma: float, psnr: float
    ) -> None:
        """Add a photo: its bands, those of the result, the hole, and `LOCAL` in pixels."""
        inner = cv2.erode(hole.astype(np.uint8), np.ones([INNER, INNER], np.uint8)) > 0
        self.psnr.append(psnr)
        if not inner.any():
            return
        a, b = ours[:, inner], true[:, inner]
        self.sums += [np.square(a).sum(axis=1), np.square(b).sum(axis=1), (a * b).sum(axis=1)]
        local = [
            [
                np.log(np.sqrt(cv2.GaussianBlur(np.square(band), (0, 0), sigma)) + FLOOR)[inner]
                for band in bands
            ]
            for bands in (ours, true)
        ]
        pairs = zip(*local, strict=True)
        self.where.append(np.array([np.corrcoef(one, other)[0, 1] for one, other in pairs]))

    def row(self, name: str, identity: np.ndarray, against: tuple[Tally, np.ndarray]) -> str:
        """Write a line of the table.

        Args:
          name: of the way.
          identity: distances, [n].
          against: the tally and the distances of another way.
        """
        energies = self.sums[0] / self.sums[1]
        together = self.sums[2] / np.sqrt(self.sums[0] * self.sums[1])
        cells = [
            " ".join(f"{value:.2f}" for value in values)
            for values in (energies, together, np.nanmean(self.where, axis=0))
        ]
        psnr = np.array(self.psnr)
        cells += [f"{psnr.mean():.2f}", difference(psnr - against[0].psnr, 2)]
        cells += [f"{identity.mean():.3f}", difference(identity - against[1], 3)]
        return f"| {name} | {' | '.join(cells)} |"


def measure(options: argparse.Namespace, paths: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the tables, one for each kind of hole, and one for all."""
    from dcgan_completion.evaluation.embeddings import FaceReader, identity_distance
    from dcgan_completion.evaluation.photo_cases import Photos
    from dcgan_completion.faces.aligner import FaceAligner
    from dcgan_completion.photos.photo_inpainter import PhotoInpainter, head_size_of

    model = PhotoInpainter.from_pretrained(options.checkpoint_dir)
    aligner = FaceAligner(LANDMARKS, model.inpainter.image_size)
    approach = {"approach": "direct"}
    head_size = head_size_of(model.head_encoder(approach))
    photos = Photos(paths, aligner, model.inpainter.channels, 1, head_size=head_size)
    search = model.search(approach, batch_size=1)
    every: dict[str, Tally] = collections.defaultdict(Tally)
    distances: dict[str, list[np.ndarray]] = collections.defaultdict(list)
    with FaceReader(1) as reader:
        truth = reader.describe(photos.aligned, keep=False).embeddings
        for kind in options.hole:
            tallies: dict[str, Tally] = collections.defaultdict(Tally)
            widths, indices = _complete(photos, search, kind, (tallies, every), options.tiles)
            yield f"\n**{kind}**, {len(widths)} faces {min(widths)} to {max(widths)} pixels wide"
            yield HEAD
            for name in DETAILS[::-1]:
                found = reader.describe(np.stack(tallies[name].faces), keep=False).embeddings
                distances[name].append(identity_distance(found, truth[indices]))
            for name in DETAILS[::-1]:
                other = tallies[AGAINST], distances[AGAINST][-1]
                yield tallies[name].row(name, distances[name][-1], other)
    yield "\n**all holes**"
    yield HEAD
    whole = {name: np.concatenate(parts) for name, parts in distances.items()}
    for name in DETAILS[::-1]:
        yield every[name].row(name, whole[name], (every[AGAINST], whole[AGAINST]))


def _complete(
    photos: Photos,
    search: PhotoSearch,
    kind: str,
    tallies: Sequence[dict[str, Tally]],
    tiles: str | None,
) -> tuple[list[int], list[int]]:
    """Repair the photos under a kind of hole in all ways; list the faces' widths, and indices."""
    from dcgan_completion.evaluation.image_metrics import psnr
    from dcgan_completion.masks.boxes import bounding_box
    from dcgan_completion.photos.repair import repair
    from dcgan_completion.photos.task import width_of

    widths, indices = [], []
    for case in itertools.chain(*photos.batches(kind, 0)):
        if case.task is None:
            continue
        (candidates,) = search.candidates([case.task], 0)
        hole, width = case.mask.plane, width_of(case.task.faces[0])
        crop = bounding_box(hole, AROUND)
        true = np.stack(octave_bands(case.original[crop], COUNT))
        results = []
        for name in DETAILS:
            pixels = repair(case.task, candidates[:, 0], "smooth", 0, name).pixels
            quality = psnr(case.original[None], pixels[None], hole[None, ..., None])[0]
            for tally in tallies:
                place = (
                    np.stack(octave_bands(pixels[crop], COUNT)),
                    hole[crop],
                    LOCAL * width,
                    quality,
                )
                tally[name].add(true, *place)
            tallies[0][name].faces.append(photos.align(case, pixels))
            results.append(pixels)
        if tiles:
            parts = [case.original, case.visible, results[1], results[0]]
            stem = os.path.splitext(os.path.basename(photos.paths[case.index]))[0]
            draw([part[crop] for part in parts], os.path.join(tiles, f"{stem}-{kind}.png"))
        widths.append(width)
        indices.append(case.index)
    return widths, indices


def draw(parts: Sequence[np.ndarray], path: str) -> None:
    """Draw parts of photos, uint8 [h, w, C], side by side, three times as large, into a file."""
    row = np.concatenate(parts, axis=1)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    utils.save_image(path, cv2.resize(row, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    paths = [
        path
        for place in args.photos
        for path in (utils.list_images(place) if os.path.isdir(place) else [place])
    ][args.offset :: args.every]
    if not paths:
        raise UserError(f"{' '.join(args.photos)}: holds no such photos")
    cli.prepare_tensorflow()
    cv2.setNumThreads(1)
    print(f"{len(paths)} photos; {devices.processor()}", flush=True)
    for line in measure(args, paths):
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
