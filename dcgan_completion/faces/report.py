"""The report of an alignment: a row for every photo, written, and read by the next run."""

from __future__ import annotations

import csv
import dataclasses
import logging
import operator
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dcgan_completion import utils
from dcgan_completion.settings.alignment import LANDMARK_SETS
from dcgan_completion.utils import UserError

logger = logging.getLogger(__name__)

STATUSES = ALIGNED, NO_FACE, SEVERAL, UNREADABLE = (
    "aligned",
    "no face",
    "several faces",
    "unreadable",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What became of a photo.

    The numbers of points, matrix and score are separated by spaces; they are empty where no face
    was aligned, and in rows of older reports.
    """

    input: str  # relative to the folder of photos
    status: str  # of STATUSES
    output: str  # file name, empty if there is none
    faces: int
    points: str  # x y of the three landmarks, in pixels of the upright photo
    matrix: str  # the two rows of the `alignment_matrix`
    score: str  # of the detector
    size: int
    landmarks: str


COLUMNS = [field.name for field in dataclasses.fields(Row)]
VALUES = operator.attrgetter(*COLUMNS)  # of a row, for its cells
PLACEMENT = {"points": 6, "matrix": 6, "score": 1}  # columns and how many numbers each has
OLD_COLUMNS = [name for name in COLUMNS if name not in PLACEMENT]  # of reports before those


def read_report(path: str, size: int, landmarks: str) -> dict[str, Row]:
    """Read the rows of an earlier run by input; none if there was none.

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
        logger.warning("%s: %d damaged rows are lost; their photos are aligned again", path, lost)
    return rows


def read_rows(path: str) -> Iterator[Row | None]:
    """Yield the rows of a report one by one, since there may be a million; None for damaged ones.

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
    """Make a row of its cells; None if it is cut short or damaged."""
    try:
        cells: dict[str, Any] = dict.fromkeys(PLACEMENT, "")
        cells |= dict(zip(columns, values, strict=True))
        cells |= {name: sys.intern(cells[name]) for name in ("status", "landmarks")}
        counts = {name: len([float(v) for v in cells[name].split()]) for name in PLACEMENT}
        cells |= {name: int(cells[name]) for name in ("faces", "size")}
        row = Row(**cells)
    except ValueError:
        return None
    # The output's name is a file in the output folder, and may not lead anywhere else.
    aligned, output = row.status == ALIGNED, row.output
    good_output = output.endswith(".png") and "/" not in output if aligned else not output
    good_placement = not any(counts.values()) or (aligned and counts == PLACEMENT)
    good = row.landmarks in LANDMARK_SETS and row.status in STATUSES
    return row if good and good_output and good_placement and row.faces >= 0 else None


def write_report(path: str, rows: Iterable[Row]) -> None:
    """Write a report, in place of an earlier one."""
    with (
        utils.replacing(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        csv.writer(file).writerow(COLUMNS)
        csv.writer(file).writerows(map(VALUES, rows))
