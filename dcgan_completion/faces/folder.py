"""A folder of photos, aligned in parallel: what is left to do, under which names, and the work."""

from __future__ import annotations

import collections
import csv
import functools
import itertools
import logging
import os
from collections.abc import Iterable, Iterator

import numpy as np

from dcgan_completion import cli, utils
from dcgan_completion.faces import aligner, report
from dcgan_completion.faces.aligner import AlignedFace, FaceAligner
from dcgan_completion.faces.heads import stored_head
from dcgan_completion.faces.report import ALIGNED, NO_FACE, SEVERAL, STATUSES, UNREADABLE, Row
from dcgan_completion.settings.alignment import AlignmentSettings
from dcgan_completion.utils import UserError
from dcgan_completion.workers import WorkerPool

logger = logging.getLogger(__name__)

Job = tuple[str, str]  # a photo's path below the folder of photos, and its output's name
Outcome = tuple[Row, str]  # of a job: its row of the report, and what is wrong with the photo

# --- names ---


def aligned_names(inputs: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Give every relative path a unique file name: a/1.jpg -> a-1.png.

    Paths that would share a name keep their extension (a-1-jpg.png), and where that is still not
    unique get eight digits of their path's hash.
    """
    inputs, taken = list(inputs), list(taken)
    # Of a million photos few may share a name: only those are kept with all their candidates.
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
    unique = utils.unique_names(candidates, taken)
    return {path: unique.get(path) or candidates_of(path)[0] for path in inputs}


def candidates_of(path: str) -> list[str]:
    """List the names that the output of a photo may have, the best first."""
    stem, extension = os.path.splitext(path.replace(os.sep, "-"))
    long = f"{stem}-{extension[1:]}"
    return [f"{stem}.png", f"{long}.png", f"{long}-{utils.path_digits(path)}.png"]


# --- what is left to do ---


def find_photos(settings: AlignmentSettings) -> list[str]:
    """List the photos by their paths relative to the input folder.

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
    """Read the rows of an earlier run into the same folder, by input.

    Raises:
      UserError: as `report.read_report`, or the folder holds files but has no report.
    """
    rows = report.read_report(settings.report, settings.size, settings.landmarks)
    output = settings.output
    if not os.path.exists(settings.report) and os.path.isdir(output) and os.listdir(output):
        raise UserError(
            f"outputDir {output}: holds files, but there is no report {settings.report}; choose an "
            "empty folder"
        )
    outputs = (os.path.join(output, row.output) for row in rows.values() if row.output)
    first = next(filter(os.path.exists, outputs), None)
    if first is not None and _holds_head(first) != settings.heads:
        other = "faces, not heads" if settings.heads else "heads, not faces"
        raise UserError(f"outputDir {output}: holds {other}; choose another folder")
    return rows


def _holds_head(path: str) -> bool:
    """Return whether a picture has transparency, as heads have."""
    try:
        with utils.open_picture(path) as picture:
            return picture.mode == "RGBA"
    except UserError:  # damaged: no other file is looked at
        return False


def is_done(row: Row, settings: AlignmentSettings) -> bool:
    """Return whether a photo of an earlier run need not be aligned again."""
    if row.status == ALIGNED:
        return os.path.exists(os.path.join(settings.output, row.output))
    return row.status == NO_FACE or (row.status == SEVERAL and settings.skip_multi)


def missing_outputs(
    photos: Iterable[str], earlier: dict[str, Row], settings: AlignmentSettings
) -> dict[str, str]:
    """List the photos still to be aligned, each with its output's name, the earlier one if any."""
    new = [p for p in photos if p not in earlier or not is_done(earlier[p], settings)]
    named = {p: earlier[p].output for p in new if p in earlier and earlier[p].output}
    taken = [row.output for row in earlier.values() if row.output]
    names = aligned_names([path for path in new if path not in named], taken)
    return {path: named.get(path) or names[path] for path in new}


# --- the work ---


def _row(
    job: Job,
    settings: AlignmentSettings,
    status: str,
    faces: int = 0,
    face: AlignedFace | None = None,
) -> Row:
    """Make the row of a photo with a number of faces, and the one that was aligned."""
    path, name = job
    output = points = matrix = score = ""
    if face is not None:  # digits enough for a hundredth of a pixel
        points = " ".join(f"{value:.8g}" for value in face.landmarks.flat)
        matrix = " ".join(f"{value:.10g}" for value in face.matrix.flat)
        output, score = name, f"{face.score:.4f}"
    placement = points, matrix, score
    return Row(path, status, output, faces, *placement, settings.size, settings.landmarks)


def _align_photo(model: FaceAligner, job: Job, settings: AlignmentSettings) -> Outcome:
    """Align one photo, in a worker process."""
    path = os.path.join(settings.photos, job[0])
    try:
        photo = utils.load_image(path)
    except UserError as error:
        return _row(job, settings, UNREADABLE), str(error)
    found = model.detect(photo)
    if not found or (settings.skip_multi and len(found) > 1):
        return _row(job, settings, SEVERAL if found else NO_FACE, len(found)), ""
    try:
        face = model.align(photo, aligner.largest_face(found))
    except UserError as error:
        return _row(job, settings, UNREADABLE), f"{path}: {error}"
    picture = stored_head(photo, face.matrix, settings.size) if settings.heads else face.image
    utils.save_image(os.path.join(settings.output, job[1]), picture)
    return _row(job, settings, ALIGNED, len(found), face), ""


def _killed(job: Job, settings: AlignmentSettings) -> Outcome:
    path = os.path.join(settings.photos, job[0])
    return _row(job, settings, UNREADABLE), f"{path}: a process that read it was killed, twice"


def align_photos(jobs: Iterable[Job], settings: AlignmentSettings) -> Iterator[Outcome]:
    """Align photos in parallel processes; taken from `jobs` as results are.

    Yields:
      The outcomes in the order of `jobs`. A photo that cannot be read, or that kills its process,
      has something wrong with it.

    Raises:
      UserError: workers are killed again and again.
    """
    if_killed = (
        "a worker process was killed, perhaps for lack of memory; run the command again with a "
        "lower --workers to go on"
    )
    arguments = (settings.landmarks, settings.size, settings.dlib_face_predictor)
    with WorkerPool(settings.workers, FaceAligner, *arguments, if_killed=if_killed) as pool:
        work, killed = (functools.partial(f, settings=settings) for f in (_align_photo, _killed))
        yield from pool.map(work, jobs, killed)


def align_all(todo: dict[str, str], settings: AlignmentSettings) -> None:
    """Align the photos in `todo` (input -> output name), adding a row to the report for each."""
    with (
        open(settings.report, "a", newline="", encoding="utf-8", errors="surrogateescape") as file,
        cli.progress_bar(total=len(todo), unit="photo") as bar,
    ):
        for row, problem in align_photos(todo.items(), settings):
            if problem:
                logger.warning("skipped: %s", problem)
            csv.writer(file).writerow(report.VALUES(row))
            file.flush()
            bar.update()


def align_missing(settings: AlignmentSettings) -> int:
    """Align what earlier runs have not; return the number of photos that were done already.

    A function of its own: its lists of a million photos are freed before the report is read.
    """
    photos = find_photos(settings)
    earlier = read_earlier(settings)
    # Here, too, though the workers load it: a wrong file is found before anything is written.
    aligner.load_predictor(settings.dlib_face_predictor or aligner.default_predictor())
    todo = missing_outputs(photos, earlier, settings)
    done = [row for row in earlier.values() if is_done(row, settings)]
    os.makedirs(settings.output, exist_ok=True)
    report.write_report(settings.report, done)
    if todo:
        align_all(todo, settings)
    return len(done)


def summary_of(rows: Iterable[Row], done_earlier: int, settings: AlignmentSettings) -> str:
    """Summarise a run in a line."""
    counts = collections.Counter(row.status for row in rows)
    parts = ", ".join(f"{counts[status]} {status}" for status in STATUSES)
    earlier = f" ({done_earlier} done earlier)" if done_earlier else ""
    where = f"faces are in {settings.output}" if counts[ALIGNED] else "no face was aligned"
    return f"{counts.total()} photos: {parts}{earlier}; {where}, see {settings.report}"
