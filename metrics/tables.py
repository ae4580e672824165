"""What an evaluation leaves: tables in Markdown and JSON, figures of every image, sheets to see."""

from __future__ import annotations

import glob
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

import checkpoints
import utils
from metrics.benchmark import FIGURES, REFERENCE, REFERENCE_MASK, Evaluation, Figures, MaskResult
from metrics.embeddings import Estimate, estimate, paired_difference
from metrics.subgroups import Grouping
from utils import UserError

RESULTS = "results.json"
OURS = ("results.*", "figures.csv", "images.txt", "contact-*.png")  # what --overwrite removes
COMPARED = FIGURES[:4]  # seconds of different methods are not compared face by face
# How a figure is shown: its head, a factor and digits after the point.
SHOWN = {
    "psnr": ("hole PSNR, dB", 1, 2),
    "ssim": ("hole SSIM", 1, 3),
    "identity": ("identity distance", 1, 3),
    "found": ("faces found, %", 100, 1),
    "seconds": ("s per face", 1, 4),
}
SHEET = 64  # faces in a contact sheet
CELL = 64  # pixels: edge of a picture in a contact sheet, at least
HEADING = 28  # pixels: two lines of text
GAP = 16


# --- summaries ------------------------------------------------------------------------------


def as_json(value: Estimate) -> dict[str, float | int | None]:
    """An estimate for JSON, which has no NaN: null."""
    mean, error = (x if math.isfinite(x) else None for x in (value.mean, value.error))
    return {"mean": mean, "standard_error": error, "n": value.n}


def _estimates(
    methods: Mapping[str, Figures], which: np.ndarray | slice = slice(None)
) -> dict[str, Any]:
    return {
        name: {figure: as_json(estimate(values[which])) for figure, values in figures.items()}
        for name, figures in methods.items()
    }


def _differences(methods: Mapping[str, Figures], baseline: str) -> dict[str, Any]:
    base = methods[baseline]
    return {
        name: {f: as_json(paired_difference(figures[f], base[f])) for f in COMPARED}
        for name, figures in methods.items()
        if name != baseline
    }


def summary(
    result: MaskResult, found: np.ndarray, baseline: str, groupings: Sequence[Grouping]
) -> dict[str, Any]:
    """What results.json says of a mask.

    Args:
      result: the figures.
      found: whether dlib finds a face in each original, bool [N].
      baseline: the method whose differences to all others are of interest; those to the
        reference are added where it ran.
      groupings: of the images.
    """
    methods = result.figures
    bases = dict.fromkeys((baseline, *REFERENCE))
    return {
        "mask": result.mask_type,
        "originals_found": as_json(estimate(found.astype(float))),
        "methods": _estimates(methods),
        "differences": {b: _differences(methods, b) for b in bases if b in methods},
        "groups": {
            grouping.name: {
                "without": grouping.without,
                "values": {
                    value: {"n": len(members), "methods": _estimates(methods, members)}
                    for value, members in grouping.members.items()
                },
            }
            for grouping in groupings
        },
    }


# --- Markdown -------------------------------------------------------------------------------


def _cell(value: Mapping[str, Any], figure: str, signed: bool = False) -> str:
    _, factor, digits = SHOWN[figure]
    if value["mean"] is None:
        return "-"
    text = f"{factor * value['mean']:{'+' if signed else ''}.{digits}f}"
    if value["standard_error"] is not None:
        text += f" ± {factor * value['standard_error']:.{digits}f}"
    return text


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned for those who read the text."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _rows(
    methods: Mapping[str, Any], figures: Sequence[str], signed: bool = False
) -> list[list[str]]:
    return [
        [name, *(_cell(values[f], f, signed) for f in figures)] for name, values in methods.items()
    ]


def _group_table(name: str, group: Mapping[str, Any]) -> str:
    rows = [
        [value, str(own["n"]), *row]
        for value, own in group["values"].items()
        for row in _rows(own["methods"], FIGURES[:4])
    ]
    return table([name, "n", "method", *(SHOWN[f][0] for f in FIGURES[:4])], rows)


def markdown(block: Mapping[str, Any], images: int, seeds: Sequence[int]) -> str:
    """The tables of one mask, from its `summary`."""
    found = block["originals_found"]
    figures = [SHOWN[f][0] for f in COMPARED]
    parts = [
        f"## {block['mask']}",
        f"{images} faces, seeds {' '.join(map(str, seeds))}; ± standard error over faces. dlib "
        f"finds a face in {_cell(found, 'found')} % of the originals.",
        table(
            ["method", *(head for head, _, _ in SHOWN.values())], _rows(block["methods"], FIGURES)
        ),
    ]
    for name, values in block["methods"].items():
        measured = {f: values[f]["n"] for f in COMPARED if 0 < values[f]["n"] < images}
        if measured:
            left = ", ".join(f"{SHOWN[f][0]} {n}" for f, n in measured.items())
            parts.append(f"Faces that {name} has a finite figure for: {left}.")
    for base, methods in block["differences"].items():
        faces = max((v["psnr"]["n"] for v in methods.values()), default=0)
        parts.append(f"Paired differences to {base}, over {faces} faces:")
        parts.append(table(["method", *figures], _rows(methods, COMPARED, signed=True)))
    for name, group in block["groups"].items():
        without = f"; {group['without']} names hold none" if group["without"] else ""
        parts += [f"By {name}{without}:", _group_table(name, group)]
    return "\n\n".join(parts) + "\n"


# --- pictures -------------------------------------------------------------------------------


def contact_sheet(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Pictures side by side to compare, uint8 [H, W, 3].

    A row for each image and a column for each entry, uint8 [n, S, S, C], under its name; in as
    many blocks of rows as make the sheet about square.
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


# --- the folder -----------------------------------------------------------------------------


class ResultsFolder:
    """The folder that an evaluation writes: whole files, and only over its own."""

    def __init__(self, path: str, overwrite: bool) -> None:
        """Looks, and changes nothing.

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
            with open(os.path.join(self.path, RESULTS), encoding="utf-8") as file:
                content = json.load(file)
            return content["program"] == checkpoints.PROGRAM and "finished" in content
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def start(self, paths: Sequence[str]) -> None:
        """Makes the folder, clears it of earlier results, and writes the list of images."""
        os.makedirs(self.path, exist_ok=True)
        self.write({}, "", finished=False)  # first: the folder is known as ours from now on
        for pattern in OURS:
            for path in glob.glob(os.path.join(glob.escape(self.path), pattern)):
                if os.path.basename(path) != RESULTS:
                    os.remove(path)
        self.write_text("images.txt", "".join(f"{path}\n" for path in paths))

    def write_text(self, name: str, text: str) -> None:
        """A text file in the folder."""
        utils.write_text(os.path.join(self.path, name), text)

    def write(self, content: Mapping[str, Any], text: str, finished: bool) -> str:
        """results.json and results.md; returns the former's text."""
        head = {"program": checkpoints.PROGRAM, "finished": finished}
        dumped = json.dumps(head | dict(content), indent=2, allow_nan=False) + "\n"
        self.write_text(RESULTS, dumped)
        self.write_text("results.md", text)
        return dumped

    def write_sheet(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """A contact sheet contact-NAME.png."""
        path = os.path.join(self.path, f"contact-{name}.png")
        utils.save_image(path, contact_sheet(columns))

    def write_figures(self, paths: Sequence[str], results: Sequence[MaskResult]) -> None:
        """figures.csv: every figure of every image, empty where there is none."""
        rows = [
            [result.mask_type, name, path, *(f"{figures[f][i]:.6g}" for f in FIGURES)]
            for result in results
            for name, figures in result.figures.items()
            for i, path in enumerate(paths)
        ]
        rows = [["" if value == "nan" else value for value in row] for row in rows]
        utils.write_csv(
            os.path.join(self.path, "figures.csv"), ["mask", "method", "image", *FIGURES], rows
        )


def evaluate(
    trial: Evaluation,
    mask_types: Mapping[str, Mapping[str, Any]],
    folder: ResultsFolder,
    paths: Sequence[str],
    content: Mapping[str, Any],
    *,
    baseline: str,
    groupings: Sequence[Grouping] = (),
    reference: str | None = None,
) -> tuple[str, str]:
    """Tries all methods under each mask, and writes after each what is known by then.

    Args:
      trial: the faces and the methods.
      mask_types: the masks, each with further arguments of masks.make_mask.
      folder: is started.
      paths: of the faces.
      content: of results.json besides the figures.
      baseline, groupings: as for `summary`.
      reference: the cache of the reference's figures; None to leave it out.

    Returns:
      The texts of results.json and results.md.
    """
    dumped, text = "", ""
    done: list[MaskResult] = []
    blocks = []
    for mask_type, options in mask_types.items():
        result = trial.under(mask_type, options, SHEET)
        if reference and mask_type == REFERENCE_MASK:
            result.figures.update(trial.reference(options, reference))
        done.append(result)
        before = {"before": trial.images[:SHEET], "masked": result.masked}
        folder.write_sheet(mask_type, before | result.completed)
        folder.write_figures(paths, done)
        blocks.append(summary(result, trial.real.found, baseline, groupings))
        text += markdown(blocks[-1], len(paths), trial.seeds) + "\n"
        finished = len(done) == len(mask_types)
        dumped = folder.write({**content, "masks": blocks}, text, finished)
    return dumped, text
