"""The folder that an evaluation writes: results, metrics of every image, contact sheets."""

from __future__ import annotations

import dataclasses
import glob
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from dcgan_completion import runs, utils
from dcgan_completion.evaluation.results import (
    METRICS,
    RATIOS,
    LocatedFace,
    MaskResult,
    MetricValues,
)
from dcgan_completion.utils import UserError

RESULTS = "results.json"
# What --overwrite removes; metrics.csv was figures.csv until 1.0.
OURS = ("results.*", "metrics.csv", "figures.csv", "photos.csv", "images.txt", "contact-*.png")
SHEET = 64  # faces in a contact sheet
CELL = 64  # pixels: edge of a picture in a contact sheet, at least
HEADING = 28  # pixels: two lines of text
GAP = 16  # pixels between blocks of rows


def contact_sheet(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Put images side by side to compare, uint8 [H, W, 3].

    A row for each image, and a column for each entry, uint8 [n, S, S, C], under its name. The rows
    are split into blocks side by side, which make the sheet about square.
    """
    pictures = np.stack(list(columns.values()), axis=1)  # [n, columns, S, S, C]
    scale = max(1, CELL // pictures.shape[2])
    pictures = pictures.repeat(scale, axis=2).repeat(scale, axis=3)
    number, across, edge = pictures.shape[:3]
    blocks = min(number, max(1, round(math.sqrt(number / across))))
    rows = -(-number // blocks)
    width = blocks * (across * edge + GAP) - GAP
    sheet = np.full([HEADING + rows * edge, width, 3], 255, np.uint8)
    for i, strip in enumerate(pictures):
        top, left = HEADING + i % rows * edge, i // rows * (across * edge + GAP)
        sheet[top : top + edge, left : left + across * edge] = np.concatenate(strip, axis=1)
    canvas = Image.fromarray(sheet)
    draw = ImageDraw.Draw(canvas)
    for block in range(blocks):
        for column, name in enumerate(columns):
            place = (block * (across * edge + GAP) + column * edge + 2, 1)
            draw.text(place, name.replace("-", "-\n", 1), fill="black", font_size=11, spacing=1)
    return np.asarray(canvas)


def _column(metrics: MetricValues, name: str) -> np.ndarray:
    """Compute a column of metrics.csv, float64 [N]."""
    if name not in RATIOS:
        return metrics[name]
    above, below = (metrics[part] for part in RATIOS[name])
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / below


class ResultsFolder:
    """The folder that an evaluation writes: atomic writes, and only over its own files."""

    def __init__(self, path: str, overwrite: bool) -> None:
        """Check the folder, and change nothing.

        Raises:
          UserError: it holds results and `overwrite` is not given, or anything else.
        """
        self.path = path
        utils.check_writable(path, "--out")
        if os.path.isdir(path) and os.listdir(path):
            if not self._is_evaluation():
                raise UserError(
                    f"--out {path}: holds files, not an evaluation; choose another folder"
                )
            if not overwrite:
                raise UserError(
                    f"--out {path}: holds an evaluation; choose another folder, or replace it with "
                    "--overwrite"
                )

    def _is_evaluation(self) -> bool:
        try:
            with utils.open_text(os.path.join(self.path, RESULTS)) as file:
                content = json.load(file)
            return content["program"] == runs.PROGRAM and "finished" in content
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False

    def start(self, paths: Sequence[str]) -> None:
        """Make the folder, remove earlier results, and list the images' paths in images.txt."""
        os.makedirs(self.path, exist_ok=True)
        self.write({}, "", finished=False)  # first: the folder is known as ours from now on
        for pattern in OURS:
            for path in glob.glob(os.path.join(glob.escape(self.path), pattern)):
                if os.path.basename(path) != RESULTS:
                    os.remove(path)
        self.write_text("images.txt", "".join(f"{path}\n" for path in paths))

    def write_text(self, name: str, text: str) -> None:
        """Write a text file into the folder."""
        utils.write_text(os.path.join(self.path, name), text)

    def write(self, content: Mapping[str, Any], text: str, finished: bool) -> str:
        """Write `content` to results.json, `text` to results.md; return the former's text."""
        head = {"program": runs.PROGRAM, "finished": finished}
        dumped = json.dumps(head | dict(content), indent=2, allow_nan=False) + "\n"
        self.write_text(RESULTS, dumped)
        self.write_text("results.md", text)
        return dumped

    def write_sheet(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """Write contact-NAME.png; columns as in `contact_sheet`."""
        path = os.path.join(self.path, f"contact-{name}.png")
        utils.save_image(path, contact_sheet(columns))

    def write_result(
        self, faces: np.ndarray, paths: Sequence[str], results: Sequence[MaskResult]
    ) -> None:
        """Write the contact sheet of the last result, and the tables of all.

        Args:
          faces: as they are in the images, uint8 [N, S, S, C].
          paths: of the images.
          results: so far.
        """
        last = results[-1]
        shown = {"before": faces[: len(last.masked)], "masked": last.masked}
        self.write_sheet(last.mask_type, shown | last.completed)
        self.write_metrics(paths, results)
        if last.located:
            self.write_located(paths, results)

    def write_metrics(self, paths: Sequence[str], results: Sequence[MaskResult]) -> None:
        """Write metrics.csv: every metric of every image, empty where it was not measured.

        A metric that is the ratio of two sums over images has its ratio for each image, and at the
        end of the row what is summed above and below the line.
        """
        columns = [*METRICS, *(part for parts in RATIOS.values() for part in parts)]
        rows = []
        for result in results:
            for method, metrics in result.metrics.items():
                values = np.stack([_column(metrics, name) for name in columns], axis=1)
                for path, row in zip(paths, values, strict=True):
                    texts = ("" if np.isnan(value) else f"{value:.6g}" for value in row)
                    rows.append([result.mask_type, method, path, *texts])
        utils.write_csv(
            os.path.join(self.path, "metrics.csv"), ["mask", "method", "image", *columns], rows
        )

    def write_located(self, paths: Sequence[str], results: Sequence[MaskResult]) -> None:
        """Write photos.csv: the result of the search for every photo's face, by kind of hole."""
        columns = [field.name for field in dataclasses.fields(LocatedFace)]
        rows = []
        for result in results:
            for path, face in zip(paths, result.located, strict=True):
                cells = (getattr(face, name) for name in columns)
                texts = ("" if c is None else f"{c:.6g}" if type(c) is float else c for c in cells)
                rows.append([result.mask_type, path, *texts])
        place = os.path.join(self.path, "photos.csv")
        utils.write_csv(place, ["mask", "image", *columns], rows)
