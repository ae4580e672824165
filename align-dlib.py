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
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import cli
import utils
from utils import UserError

if TYPE_CHECKING:
    from faces import AlignedFile

LANDMARKS = ("innerEyesAndBottomLip", "outerEyesAndNose")
ALIGNED, NO_FACE, SEVERAL, UNREADABLE = "aligned", "no face", "several faces", "unreadable"


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the report: what became of a photo."""

    input: str  # relative to the folder of photos
    status: str  # ALIGNED, NO_FACE, SEVERAL or UNREADABLE
    output: str  # file name, empty if there is none
    faces: int
    size: int
    landmarks: str


COLUMNS = [field.name for field in dataclasses.fields(Row)]


def build_parser() -> argparse.ArgumentParser:
    """The command line, in the words of OpenFace's tool that the tutorial calls."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("inputDir", help="folder of photos, searched with all below it")
    parser.add_argument("mode", choices=["align"], help="the word align")
    parser.add_argument("landmarks", choices=LANDMARKS, help="the landmarks to align")
    parser.add_argument("outputDir", help="folder for the aligned faces")
    parser.add_argument("--size", type=cli.positive_int, default=64, help="edge in pixels")
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
        type=cli.positive_int,
        default=os.cpu_count(),
        help="processes that work side by side",
    )
    return parser


def output_names(inputs: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A file name of its own for every relative path: a/1.jpg -> a-1.png.

    Paths that would share a name keep their extension (a-1-jpg.png), and where that still is
    not enough get eight digits of their path's hash.
    """
    candidates = {}
    for path in inputs:
        stem, extension = os.path.splitext(path.replace(os.sep, "-"))
        long = f"{stem}-{extension[1:]}"
        digits = utils.path_digits(path)
        candidates[path] = [f"{stem}.png", f"{long}.png", f"{long}-{digits}.png"]
    return utils.unique_names(candidates, taken)


def read_report(path: str, size: int, landmarks: str) -> dict[str, Row]:
    """The rows of an earlier run by input, none if there was none.

    Raises:
      UserError: it is not such a report, or was made with another size or landmark set.
    """
    rows: dict[str, Row] = {}
    if not os.path.exists(path):
        return rows
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        reader = csv.reader(file)
        if next(reader, None) != COLUMNS:
            raise UserError(f"{path}: not a report of this program; move it away")
        for values in reader:
            if len(values) != len(COLUMNS) or values[-1] not in LANDMARKS:
                continue  # cut short when the earlier run was killed: that photo is done again
            row = Row(*values[:3], int(values[3]), int(values[4]), values[5])
            if (row.size, row.landmarks) != (size, landmarks):
                raise UserError(
                    f"{path}: its faces were aligned with {row.landmarks} --size {row.size}, not "
                    f"{landmarks} --size {size}; choose another output folder"
                )
            rows[row.input] = row
    return rows


def align_all(args: argparse.Namespace, todo: dict[str, str], report: str) -> None:
    """Aligns the photos in `todo` (input -> output name), adding a row to the report for each."""
    import faces

    jobs = [
        (os.path.join(args.inputDir, path), os.path.join(args.outputDir, name))
        for path, name in todo.items()
    ]
    results = faces.align_files(
        jobs,
        args.landmarks,
        args.size,
        predictor=args.dlib_face_predictor,
        skip_multi=args.skip_multi,
        workers=args.workers,
    )
    with (
        open(report, "a", newline="", encoding="utf-8", errors="surrogateescape") as file,
        cli.progress_bar(total=len(todo), unit="photo") as bar,
    ):
        for (path, name), found in zip(todo.items(), results, strict=True):
            if found.problem:
                bar.write(f"skipped: {found.problem}", file=sys.stderr)
            status = status_of(found)
            output = name if status == ALIGNED else ""
            row = Row(path, status, output, found.faces, args.size, args.landmarks)
            csv.writer(file).writerow(dataclasses.astuple(row))
            file.flush()
            bar.update()


def status_of(found: AlignedFile) -> str:
    """What the report says of a photo."""
    if found.problem:
        return UNREADABLE
    if found.aligned:
        return ALIGNED
    return SEVERAL if found.faces else NO_FACE


def main(argv: Sequence[str] | None = None) -> int:
    """Aligns a folder; returns the exit status."""
    args = build_parser().parse_args(argv)
    utils.check_folder(args.inputDir, "inputDir")
    if os.path.realpath(args.outputDir) == os.path.realpath(args.inputDir):
        raise UserError(
            f"outputDir {args.outputDir}: is inputDir; name another folder for the faces"
        )
    utils.check_writable(args.outputDir, "outputDir")
    report = args.outputDir.rstrip("/" + os.sep) + "-report.csv"
    inputs = [
        os.path.relpath(path, args.inputDir)
        for path in utils.list_images(args.inputDir, skip=[args.outputDir])
    ]
    if not inputs:
        raise UserError(
            f"inputDir {args.inputDir}: holds no images ({', '.join(utils.IMAGE_SUFFIXES)})"
        )
    rows = read_report(report, args.size, args.landmarks)
    if not os.path.exists(report) and os.path.isdir(args.outputDir) and os.listdir(args.outputDir):
        raise UserError(
            f"outputDir {args.outputDir}: holds files that no {report} accounts for; choose an "
            "empty folder"
        )
    import faces

    # Here, too, though the workers load it: a wrong file is found before anything is written.
    faces.load_predictor(args.dlib_face_predictor or faces.default_predictor())

    def is_done(row: Row) -> bool:
        if row.status == ALIGNED:
            return os.path.exists(os.path.join(args.outputDir, row.output))
        return row.status == NO_FACE or (row.status == SEVERAL and args.skip_multi)

    done = {path: row for path, row in rows.items() if is_done(row)}
    named = {path: row.output for path, row in rows.items() if row.output}
    new = [path for path in inputs if path not in done]
    names = output_names([path for path in new if path not in named], taken=named.values())
    todo = {path: named.get(path) or names[path] for path in new}
    os.makedirs(args.outputDir, exist_ok=True)
    utils.write_csv(report, COLUMNS, map(dataclasses.astuple, done.values()))
    if todo:
        align_all(args, todo, report)
    # Sorted, and each photo once.
    rows = read_report(report, args.size, args.landmarks)
    utils.write_csv(report, COLUMNS, (dataclasses.astuple(rows[path]) for path in sorted(rows)))
    counts = collections.Counter(row.status for row in rows.values())
    summary = ", ".join(f"{counts[s]} {s}" for s in (ALIGNED, NO_FACE, SEVERAL, UNREADABLE))
    skipped = f" ({len(done)} done earlier)" if done else ""
    where = f"faces are in {args.outputDir}" if counts[ALIGNED] else "no face was aligned"
    print(f"{len(rows)} photos: {summary}{skipped}; {where}, see {report}")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
