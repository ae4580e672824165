"""An alignment of a folder: which photos are to be done under which names, and the doing."""

from __future__ import annotations

import collections
import csv
import itertools
import os
from collections.abc import Iterable

import numpy as np

from dcgan_completion import cli, utils
from dcgan_completion.faces import aligner as faces
from dcgan_completion.faces import report
from dcgan_completion.faces.report import ALIGNED, NO_FACE, SEVERAL, UNREADABLE, Row
from dcgan_completion.settings.alignment import AlignmentSettings
from dcgan_completion.utils import UserError


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


def find_photos(settings: AlignmentSettings) -> list[str]:
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


def read_earlier(settings: AlignmentSettings) -> dict[str, Row]:
    """The rows of an earlier run into the same folder, by input.

    Raises:
      UserError: as `report.read_report`, or the folder holds files but has no report.
    """
    rows = report.read_report(settings.report, settings.size, settings.landmarks)
    output = settings.output
    if not os.path.exists(settings.report) and os.path.isdir(output) and os.listdir(output):
        raise UserError(
            f"outputDir {output}: holds files that no {settings.report} accounts for; choose an "
            "empty folder"
        )
    return rows


def is_done(row: Row, settings: AlignmentSettings) -> bool:
    """Whether a photo of an earlier run need not be aligned again."""
    if row.status == ALIGNED:
        return os.path.exists(os.path.join(settings.output, row.output))
    return row.status == NO_FACE or (row.status == SEVERAL and settings.skip_multi)


def missing_outputs(
    photos: Iterable[str], earlier: dict[str, Row], settings: AlignmentSettings
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


def align_all(todo: dict[str, str], settings: AlignmentSettings) -> None:
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
            cells = report.placement_cells(found.placement)
            values = (path, status, output, found.faces, *cells, settings.size, settings.landmarks)
            csv.writer(file).writerow(values)
            file.flush()
            bar.update()


def align_missing(settings: AlignmentSettings) -> int:
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
    report.write_report(settings.report, done)
    if todo:
        align_all(todo, settings)
    return len(done)


def summary_of(rows: Iterable[Row], done_earlier: int, settings: AlignmentSettings) -> str:
    """The last line on the terminal."""
    counts = collections.Counter(row.status for row in rows)
    parts = ", ".join(f"{counts[s]} {s}" for s in (ALIGNED, NO_FACE, SEVERAL, UNREADABLE))
    earlier = f" ({done_earlier} done earlier)" if done_earlier else ""
    where = f"faces are in {settings.output}" if counts[ALIGNED] else "no face was aligned"
    return f"{counts.total()} photos: {parts}{earlier}; {where}, see {settings.report}"
