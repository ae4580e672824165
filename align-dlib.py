#!/usr/bin/env python3
r"""Find the largest face in every photo of a folder and bring it to a standard position.

Writes one flat folder of PNGs, and beside it OUTPUT-report.csv with a row for every photo.
A photo that the report lists as done is not done again.

examples:
  ./align-dlib.py data/your-dataset/raw align innerEyesAndBottomLip \
      data/your-dataset/aligned --size 64
  ./align-dlib.py photos align outerEyesAndNose faces --size 128 --skipMulti
"""

from __future__ import annotations

import argparse
import collections
import csv
import dataclasses
import itertools
import operator
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

import cli
import faces
import utils
from utils import UserError

STATUSES = ALIGNED, NO_FACE, SEVERAL, UNREADABLE = (
    "aligned",
    "no face",
    "several faces",
    "unreadable",
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options of an alignment."""

    photos: str  # folder, searched with all below it
    output: str  # folder for the aligned faces
    landmarks: str  # a key of faces.LANDMARK_SETS
    size: int  # edge of an aligned face in pixels
    skip_multi: bool  # leave out photos with several faces
    predictor: str | None  # path of a landmark model; None for the installed one
    workers: int  # number of processes
    max_pixels: int = cli.max_pixels_option()

    @property
    def report(self) -> str:
        """Path of the report, beside the output folder."""
        return self.output.rstrip("/" + os.sep) + "-report.csv"


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One row of the report: what became of a photo.

    Numbers of a placement stand in one cell, with spaces between; it is empty where no face was
    aligned, and in rows of older reports.
    """

    input: str  # relative to the folder of photos
    status: str  # ALIGNED, NO_FACE, SEVERAL or UNREADABLE
    output: str  # file name, empty if there is none
    faces: int
    points: str  # x y of the three landmarks, in pixels of the upright photo
    matrix: str  # the two rows of faces.alignment_matrix
    score: str  # of the detector
    size: int
    landmarks: str


COLUMNS = [field.name for field in dataclasses.fields(Row)]
VALUES = operator.attrgetter(*COLUMNS)  # of a row, for its cells
PLACEMENT = {"points": 6, "matrix": 6, "score": 1}  # columns and their numbers
OLD_COLUMNS = [name for name in COLUMNS if name not in PLACEMENT]  # of reports before those


def build_parser() -> argparse.ArgumentParser:
    """The command line, in the words of OpenFace's tool that the tutorial calls."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("inputDir", help="folder of photos, searched with all below it")
    parser.add_argument("mode", choices=["align"], help="the word align")
    parser.add_argument("landmarks", choices=faces.LANDMARK_SETS, help="the landmarks to align")
    parser.add_argument("outputDir", help="folder for the aligned faces")
    parser.add_argument("--size", type=cli.edge, default=64, help="edge in pixels")
    parser.add_argument(
        "--skip-multi",
        "--skipMulti",
        action="store_true",
        help="leave out photos with more than one face (otherwise the largest is taken)",
    )
    parser.add_argument(
        "--dlib-face-predictor",
        "--dlibFacePredictor",
        metavar="FILE",
        help="dlib's 68-landmark model (default: that of the package face_recognition_models)",
    )
    parser.add_argument(
        "--workers",
        type=cli.worker_count,
        default=os.cpu_count(),
        help="processes that work side by side",
    )
    cli.add_options(parser, Settings, lambda field: f"default: {field.default}")
    return parser


def aligned_names(inputs: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A file name of its own for every relative path: a/1.jpg -> a-1.png.

    Paths that would share a name keep their extension (a-1-jpg.png), and where that still is
    not enough get eight digits of their path's hash.
    """
    inputs, taken = list(inputs), list(taken)
    # Of a million photos few can share a name: only those are kept with all their candidates.
    every = ((i, hash(name.casefold())) for i, p in enumerate(inputs) for name in candidates_of(p))
    table = np.fromiter(every, np.dtype((np.int64, 2)))
    used = np.array([hash(name.casefold()) for name in taken], np.int64)
    _, where, counts = np.unique(
        np.concatenate([table[:, 1], used]), return_inverse=True, return_counts=True
    )
    several = counts[where] > 1
    shared = set(table[several[: len(table)], 0].tolist())
    taken = list(itertools.compress(taken, several[len(table) :]))
    candidates = {inputs[i]: candidates_of(inputs[i]) for i in shared}
    told_apart = utils.unique_names(candidates, taken)
    return {path: told_apart.get(path) or candidates_of(path)[0] for path in inputs}


def candidates_of(path: str) -> list[str]:
    """The names that the output of a photo may have, the best first."""
    stem, extension = os.path.splitext(path.replace(os.sep, "-"))
    long = f"{stem}-{extension[1:]}"
    return [f"{stem}.png", f"{long}.png", f"{long}-{utils.path_digits(path)}.png"]


def read_report(path: str, size: int, landmarks: str) -> dict[str, Row]:
    """The rows of an earlier run by input, none if there was none.

    Raises:
      UserError: it is not such a report, or was made with another size or landmark set.
    """
    rows: dict[str, Row] = {}
    if not os.path.lexists(path):
        return rows
    lost, cut = 0, False
    for row in read_rows(path):
        lost, cut = lost + cut, row is None
        if row is None:
            continue
        if (row.size, row.landmarks) != (size, landmarks):
            raise UserError(
                f"{path}: its faces were aligned with {row.landmarks} --size {row.size}, not "
                f"{landmarks} --size {size}; choose another output folder"
            )
        rows[row.input] = row
    # A killed run leaves its last row cut short, and its photo undone; any other was damaged.
    if lost:
        cli.say(f"{path}: {lost} damaged rows are lost; their photos are aligned again")
    return rows


def read_rows(path: str) -> Iterator[Row | None]:
    """The rows of a report, None for damaged ones; one by one, since they may be a million.

    Raises:
      UserError: it is not such a report.
    """
    with utils.open_text(path, errors="surrogateescape") as file:
        lines = csv.reader(file)
        try:
            head = next(lines, [])
            if head not in (COLUMNS, OLD_COLUMNS):
                raise ValueError("another table")
            for values in lines:
                yield read_row(values, head)
        except (ValueError, csv.Error):
            raise UserError(f"{path}: not a report of this program; move it away") from None


def read_row(values: Sequence[str], columns: Sequence[str]) -> Row | None:
    """A row of a report from its cells; None if it is cut short or damaged."""
    try:
        cells = dict.fromkeys(PLACEMENT, "") | dict(zip(columns, values, strict=True))
        cells |= {name: sys.intern(cells[name]) for name in ("status", "landmarks")}
        row = Row(**cells | {name: int(cells[name]) for name in ("faces", "size")})
        counts = {name: len([float(v) for v in cells[name].split()]) for name in PLACEMENT}
    except ValueError:
        return None
    # The output's name is a file in the output folder, and may not lead anywhere else.
    aligned, output = row.status == ALIGNED, row.output
    good_output = output.endswith(".png") and "/" not in output if aligned else not output
    good_placement = not any(counts.values()) or (aligned and counts == PLACEMENT)
    good = row.landmarks in faces.LANDMARK_SETS and row.status in STATUSES
    return row if good and good_output and good_placement and row.faces >= 0 else None


def placement_cells(placement: faces.Placement | None) -> tuple[str, str, str]:
    """The cells of where a face was; digits enough for a hundredth of a pixel."""
    if placement is None:
        return "", "", ""
    points, matrix = (
        " ".join(f"{value:.{digits}g}" for line in lines for value in line)
        for lines, digits in ((placement.landmarks, 8), (placement.matrix, 10))
    )
    return points, matrix, f"{placement.score:.4f}"


def find_photos(settings: Settings) -> list[str]:
    """The photos, by their path relative to the input folder.

    Raises:
      UserError: there are none, or the folder of photos or that of faces cannot be used.
    """
    utils.check_folder(settings.photos, "inputDir")
    if os.path.realpath(settings.output) == os.path.realpath(settings.photos):
        raise UserError(
            f"outputDir {settings.output}: is inputDir; name another folder for the faces"
        )
    utils.check_writable(settings.output, "outputDir")
    found = utils.list_images(settings.photos, skip=[settings.output])
    if not found:
        raise UserError(
            f"inputDir {settings.photos}: holds no images ({', '.join(utils.IMAGE_SUFFIXES)})"
        )
    return [os.path.relpath(path, settings.photos) for path in found]


def read_earlier(settings: Settings) -> dict[str, Row]:
    """The rows of an earlier run into the same folder, by input.

    Raises:
      UserError: as `read_report`, or the folder holds files but has no report.
    """
    rows = read_report(settings.report, settings.size, settings.landmarks)
    output = settings.output
    if not os.path.exists(settings.report) and os.path.isdir(output) and os.listdir(output):
        raise UserError(
            f"outputDir {output}: holds files that no {settings.report} accounts for; choose an "
            "empty folder"
        )
    return rows


def is_done(row: Row, settings: Settings) -> bool:
    """Whether a photo of an earlier run need not be aligned again."""
    if row.status == ALIGNED:
        return os.path.exists(os.path.join(settings.output, row.output))
    return row.status == NO_FACE or (row.status == SEVERAL and settings.skip_multi)


def missing_outputs(
    photos: Iterable[str], earlier: dict[str, Row], settings: Settings
) -> dict[str, str]:
    """The photos still to be aligned, each with its output's name, the earlier one if any."""
    new = [p for p in photos if p not in earlier or not is_done(earlier[p], settings)]
    named = {p: earlier[p].output for p in new if p in earlier and earlier[p].output}
    taken = [row.output for row in earlier.values() if row.output]
    names = aligned_names([path for path in new if path not in named], taken)
    return {path: named.get(path) or names[path] for path in new}


def status_of(found: faces.AlignedFile) -> str:
    """What the report says of a photo."""
    if found.problem:
        return UNREADABLE
    if found.aligned:
        return ALIGNED
    return SEVERAL if found.faces else NO_FACE


def align_all(todo: dict[str, str], settings: Settings) -> None:
    """Aligns the photos in `todo` (input -> output name), adding a row to the report for each."""
    jobs = (
        (os.path.join(settings.photos, path), os.path.join(settings.output, name))
        for path, name in todo.items()
    )
    results = faces.align_files(
        jobs,
        settings.landmarks,
        settings.size,
        predictor=settings.predictor,
        skip_multi=settings.skip_multi,
        workers=settings.workers,
        max_pixels=settings.max_pixels,
    )
    with (
        open(settings.report, "a", newline="", encoding="utf-8", errors="surrogateescape") as file,
        cli.progress_bar(total=len(todo), unit="photo") as bar,
    ):
        for (path, name), found in zip(todo.items(), results, strict=True):
            if found.problem:
                cli.say(f"skipped: {found.problem}")
            status = status_of(found)
            output = name if status == ALIGNED else ""
            cells = placement_cells(found.placement)
            values = (path, status, output, found.faces, *cells, settings.size, settings.landmarks)
            csv.writer(file).writerow(values)
            file.flush()
            bar.update()


def write_report(rows: Iterable[Row], settings: Settings) -> None:
    """Writes the report in place of what is there."""
    with (
        utils.replacing(settings.report) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        csv.writer(file).writerow(COLUMNS)
        csv.writer(file).writerows(map(VALUES, rows))


def summary_of(rows: Iterable[Row], done_earlier: int, settings: Settings) -> str:
    """The last line on the terminal."""
    counts = collections.Counter(row.status for row in rows)
    parts = ", ".join(f"{counts[s]} {s}" for s in (ALIGNED, NO_FACE, SEVERAL, UNREADABLE))
    earlier = f" ({done_earlier} done earlier)" if done_earlier else ""
    where = f"faces are in {settings.output}" if counts[ALIGNED] else "no face was aligned"
    return f"{counts.total()} photos: {parts}{earlier}; {where}, see {settings.report}"


def align_missing(settings: Settings) -> int:
    """Aligns what no earlier run has; the number of photos that are done already.

    A function of its own: its lists of a million photos are gone before the report is read.
    """
    photos = find_photos(settings)
    earlier = read_earlier(settings)
    # Here, too, though the workers load it: a wrong file is found before anything is written.
    faces.load_predictor(settings.predictor or faces.default_predictor())
    todo = missing_outputs(photos, earlier, settings)
    done = [row for row in earlier.values() if is_done(row, settings)]
    os.makedirs(settings.output, exist_ok=True)
    write_report(done, settings)
    if todo:
        align_all(todo, settings)
    return len(done)


def main(argv: Sequence[str] | None = None) -> None:
    """Aligns a folder."""
    args = build_parser().parse_args(argv)
    settings = Settings(
        photos=args.inputDir,
        output=args.outputDir,
        landmarks=args.landmarks,
        size=args.size,
        skip_multi=args.skip_multi,
        predictor=args.dlib_face_predictor,
        workers=args.workers,
        **cli.given_options(args, Settings),
    )
    done_earlier = align_missing(settings)
    rows = read_report(settings.report, settings.size, settings.landmarks)
    write_report((rows[path] for path in sorted(rows)), settings)  # sorted, each photo once
    print(summary_of(rows.values(), done_earlier, settings))


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
