#!/usr/bin/env python3
"""Draw the losses of several trainings in one picture, as rolling averages.

examples:
  python benchmarks/curves.py --out precision.png float32=run-a/logs bfloat16=run-b/logs
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import cli
import utils
from utils import UserError

CHARTS = {"d_loss": "discriminator", "g_loss": "generator"}


def read_losses(folder: str, last_step: int) -> dict[str, np.ndarray]:
    """Losses by name, each [steps], from the scalars.csv in a folder of logs."""
    with open(Path(folder) / "scalars.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) <= last_step]
    return {name: np.array([float(row[name]) for row in rows]) for name in CHARTS}


def main() -> None:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("runs", nargs="+", metavar="NAME=LOGS")
    parser.add_argument("--steps", type=cli.positive_int, default=500)
    parser.add_argument("--window", type=cli.positive_int, default=25, help="steps averaged over")
    parser.add_argument("--out", required=True, metavar="FILE")
    args = parser.parse_args()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    charts = figure.subplots(1, len(CHARTS))
    for run in args.runs:
        label, found, folder = run.partition("=")
        if not found:
            raise UserError(f"{run}: is not like NAME=LOGS")
        losses = read_losses(folder, args.steps)
        for chart, name in zip(charts, CHARTS, strict=True):
            kernel = np.full(args.window, 1 / args.window)
            average = np.convolve(losses[name], kernel, mode="valid")
            chart.plot(np.arange(args.window, len(losses[name]) + 1), average, label=label)
            half = losses[name][len(losses[name]) // 2 :]
            print(f"{label}, {name}: {half.mean():.3f} on average over the second half of steps")
    for chart, name in zip(charts, CHARTS.values(), strict=True):
        chart.set(title=name, xlabel="step", ylabel="loss", ylim=(0, None))
        chart.spines[["top", "right"]].set_visible(False)
        chart.legend()
    with utils.replacing(args.out) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


if __name__ == "__main__":
    sys.exit(cli.run(lambda _: main()))
