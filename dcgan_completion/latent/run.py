"""Runs a sub-command of sample-dcgan.py on the model that its settings name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dcgan_completion import checkpoints, cli
from dcgan_completion.latent import arithmetic, description, inversion, neighbours, paths, samples
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.commands import CommandSettings
from dcgan_completion.settings.latent import (
    ArithmeticSettings,
    DescribeSettings,
    InvertSettings,
    NeighboursSettings,
    SweepSettings,
    WalkSettings,
)
from dcgan_completion.settings.samples import BestSettings, GridSettings, ImagesSettings

# Each writes its files, tells where they are, and returns the exit status.
RUNS: dict[type[CommandSettings], Callable[[Any, DCGAN, str], int]] = {
    GridSettings: samples.draw_grid,
    ImagesSettings: samples.write_images,
    BestSettings: samples.draw_best,
    WalkSettings: paths.draw_walk,
    SweepSettings: paths.draw_sweep,
    ArithmeticSettings: arithmetic.draw_arithmetic,
    InvertSettings: inversion.write_inversion,
    NeighboursSettings: neighbours.draw_neighbours,
    DescribeSettings: description.write_description,
}


def run(settings: CommandSettings) -> int:
    """Runs a sub-command; returns the exit status.

    Raises:
      UserError: the model, or what else the settings name, cannot be used.
    """
    path, note = checkpoints.select_model(settings.checkpoint_dir)
    if note:  # what is printed as JSON is to be read by programs
        (cli.say if getattr(settings, "json", None) == "-" else print)(note)
    model, prefix = checkpoints.load_model(path)
    return RUNS[type(settings)](settings, model, prefix)
