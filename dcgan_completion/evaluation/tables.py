"""Tables of an evaluation's results, in JSON and in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dcgan_completion.evaluation.results import (
    COMPARED,
    METRICS,
    RATIOS,
    REFERENCE,
    MaskResult,
    MetricValues,
)
from dcgan_completion.evaluation.statistics import (
    Estimate,
    estimate,
    paired_difference,
    paired_ratio_difference,
    ratio,
)
from dcgan_completion.evaluation.subgroups import Grouping

# A metric's column: heading, factor, digits after the decimal point.
COLUMNS = {
    "psnr": ("hole PSNR, dB", 1, 2),
    "ssim": ("hole SSIM", 1, 3),
    "identity": ("identity distance", 1, 3),
    "found": ("faces found, %", 100, 1),
    "sharpness": ("sharpness", 1, 3),
    "seconds": ("s per face", 1, 4),
}
# Label; metric of the samples; that of real faces beside it; digits after the decimal point.
GENERATOR_ROWS = (
    ("Frechet distance to the real faces; of two real halves", "frechet", "frechet_real_halves", 4),
    ("diversity: mean distance between embeddings", "diversity", "diversity_real", 4),
    ("diversity, as a share of the real faces'", "diversity_ratio", None, 3),
    ("share in which dlib finds a face", "found", "found_real", 3),
    ("nearest training face, pixels", "nearest_pixels", "nearest_pixels_real", 4),
    ("nearest training face, embedding", "nearest_identity", "nearest_identity_real", 4),
    ("inversion of real faces, PSNR in dB", None, "inversion_psnr", 2),
    ("inversion of real faces, identity distance", None, "inversion_identity", 3),
)

_LOCATED = (
    "Measured at the photos' own size. In {} % of the photos the face was found with the hole in "
    "it; in the others, methods that paste back a face fill the hole by diffusion."
)

# --- summaries ---


def as_json(value: Estimate) -> dict[str, float | int | None]:
    """Convert an estimate for JSON, with null for NaN."""
    mean, error = (x if math.isfinite(x) else None for x in (value.mean, value.error))
    return {"mean": mean, "standard_error": error, "n": value.n}


def _estimates(
    methods: Mapping[str, MetricValues], which: np.ndarray | slice = slice(None)
) -> dict[str, Any]:
    return {
        method: {name: as_json(_estimate(metrics, name, which)) for name in METRICS}
        for method, metrics in methods.items()
    }


def _estimate(metrics: MetricValues, name: str, which: np.ndarray | slice) -> Estimate:
    if name in RATIOS:
        return ratio(*(metrics[part][which] for part in RATIOS[name]))
    return estimate(metrics[name][which])


def _difference(metrics: MetricValues, base: MetricValues, name: str) -> Estimate:
    if name not in RATIOS:
        return paired_difference(metrics[name], base[name])
    above, below = RATIOS[name]
    return paired_ratio_difference((metrics[above], metrics[below]), (base[above], base[below]))


def _differences(methods: Mapping[str, MetricValues], baseline: str) -> dict[str, Any]:
    base = methods[baseline]
    return {
        method: {name: as_json(_difference(metrics, base, name)) for name in COMPARED}
        for method, metrics in methods.items()
        if method != baseline
    }


def summary(
    result: MaskResult, found: np.ndarray, baseline: Sequence[str], groupings: Sequence[Grouping]
) -> dict[str, Any]:
    """Summarise one mask: its block of results.json.

    Args:
      result: what was measured.
      found: whether dlib finds a face in each original, bool [N].
      baseline: methods to which all others are compared, where they ran; the reference is added
        where it ran.
      groupings: of the images.
    """
    methods = result.metrics
    located = {"located": as_json(estimate(result.found))} if result.located else {}
    bases = dict.fromkeys((*baseline, *REFERENCE))
    return {
        "mask": result.mask_type,
        "originals_found": as_json(estimate(found.astype(float))),
        **located,
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


# --- Markdown ---


def _cell(value: Mapping[str, Any], metric: str, signed: bool = False) -> str:
    _, factor, digits = COLUMNS[metric]
    if value["mean"] is None:
        return "-"
    text = f"{factor * value['mean']:{'+' if signed else ''}.{digits}f}"
    if value["standard_error"] is not None:
        text += f" ± {factor * value['standard_error']:.{digits}f}"
    return text


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table whose columns are aligned in the text, too."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _rows(
    methods: Mapping[str, Any], metrics: Sequence[str], signed: bool = False
) -> list[list[str]]:
    return [
        [method, *(_cell(values[name], name, signed) for name in metrics)]
        for method, values in methods.items()
    ]


def _heads(metrics: Sequence[str]) -> list[str]:
    return [COLUMNS[name][0] for name in metrics]


def _subgroup_table(name: str, subgroups: Mapping[str, Any]) -> str:
    rows = [
        [value, str(own["n"]), *row]
        for value, own in subgroups["values"].items()
        for row in _rows(own["methods"], COMPARED)
    ]
    return table([name, "n", "method", *_heads(COMPARED)], rows)


def completion_markdown(block: Mapping[str, Any], images: int, seeds: Sequence[int]) -> str:
    """Format the tables of one mask, from its `summary`."""
    found = block["originals_found"]
    parts = [
        f"## {block['mask']}",
        f"{images} faces, seeds {' '.join(map(str, seeds))}; ± standard error over faces. dlib "
        f"finds a face in {_cell(found, 'found')} % of the originals. Sharpness is "
        "the gradient energy in the hole, summed over faces, over the originals': best near 1.",
        *([_LOCATED.format(_cell(block["located"], "found"))] if "located" in block else []),
        table(["method", *_heads(METRICS)], _rows(block["methods"], METRICS)),
    ]
    for method, values in block["methods"].items():
        measured = {name: values[name]["n"] for name in COMPARED}
        if some := {name: n for name, n in measured.items() if 0 < n < images}:
            left = ", ".join(f"{COLUMNS[name][0]} {n}" for name, n in some.items())
            parts.append(f"Faces that {method} has a finite metric for: {left}.")
    for base, methods in block["differences"].items():
        faces = max((v["psnr"]["n"] for v in methods.values()), default=0)
        parts.append(f"Paired differences to {base}, over {faces} faces:")
        parts.append(table(["method", *_heads(COMPARED)], _rows(methods, COMPARED, signed=True)))
    for name, subgroups in block["groups"].items():
        without = f"; {subgroups['without']} names hold none" if subgroups["without"] else ""
        parts += [f"By {name}{without}:", _subgroup_table(name, subgroups)]
    return "\n\n".join(parts) + "\n"


def generator_markdown(metrics: Mapping[str, Estimate], training: int, drawn: int) -> str:
    """Format the table of a generator.

    Args:
      metrics: of a `GeneratorScore`.
      training: number of training faces that were compared by pixels; 0: none.
      drawn: the most of them that were compared by embedding.
    """

    def cell(name: str | None, digits: int) -> str:
        value = metrics.get(name) if name else None
        if value is None or not math.isfinite(value.mean):
            return ""
        shown = f" ± {value.error:.{digits}f}" if math.isfinite(value.error) else ""
        return f"{value.mean:.{digits}f}{shown} ({value.n})"

    rows = [
        [label, cell(own, digits), cell(real, digits)]
        for label, own, real, digits in GENERATOR_ROWS
        if own in metrics or real in metrics
    ]
    notes = (
        "± standard error over faces (jackknife for the distance and the diversity), number of "
        "faces in brackets. The Frechet distance is between dlib's embeddings and is no FID."
    )
    if training:
        notes += (
            f" Nearest of {training} training faces by pixels (root mean squared "
            f"difference, values 0..1), of at most {drawn} by embedding."
        )
    return f"## Generator\n\n{notes}\n\n{table(['', 'samples', 'real faces'], rows)}\n"
