"""Draw the losses of several trainings in one picture, as rolling averages.

examples:
  python -m benchmarks.curves --out precision.png float32=run-a/logs bfloat16=run-b/logs
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dcgan_completion import cli, utils
from dcgan_completion.settings import options
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOTS = {"d_loss": "discriminator", "g_loss": "generator"}


def read_losses(folder: str, last_step: int) -> dict[str, np.ndarray]:
    """Read losses by name, each [steps], from the scalars.csv in a folder of logs."""
    with open(Path(folder) / "scalars.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) <= last_step]
    return {name: np.array([float(row[name]) for row in rows]) for name in PLOTS}


def plot_run(axes: Sequence[Axes], label: str, losses: dict[str, np.ndarray], window: int) -> None:
    """Add a run's rolling averages to the plots, and print its means over the second half."""
    for plot, name in zip(axes, PLOTS, strict=True):
        average = np.convolve(losses[name], np.full(window, 1 / window), mode="valid")
        plot.plot(np.arange(window, len(losses[name]) + 1), average, label=label)
        half = losses[name][len(losses[name]) // 2 :]
        print(f"{label}, {name}: {half.mean():.3f} on average over the second half of steps")


def main(argv: Sequence[str] | None = None) -> None:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.curves")
    parser.add_argument("runs", nargs="+", metavar="NAME=LOGS")
    parser.add_argument("--steps", type=options.positive_int, default=500)
    parser.add_argument(
        "--window", type=options.positive_int, default=25, help="steps of a rolling average"
    )
    parser.add_argument("--out", required=True, metavar="FILE")
    args = parser.parse_args(argv)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots(1, len(PLOTS))
    for run in args.runs:
        label, found, folder = run.partition("=")
        if not found:
            raise UserError(f"{run}: is not like NAME=LOGS")
        plot_run(axes, label, read_losses(folder, args.steps), args.window)
    for plot, title in zip(axes, PLOTS.values(), strict=True):
        plot.set(title=title, xlabel="step", ylabel="loss", ylim=(0, None))
        plot.spines[["top", "right"]].set_visible(False)
        plot.legend()
    with utils.replacing(args.out) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
