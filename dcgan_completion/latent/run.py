"""Runs a sub-command of sample-dcgan.py on the model that its settings name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from dcgan_completion import checkpoints, cli
from dcgan_completion.latent import arithmetic, description, inversion, neighbours, samples, walks
from dcgan_completion.latent.generator import Generator
from dcgan_completion.settings import latent as commands
from dcgan_completion.settings.commands import CommandSettings

logger = logging.getLogger(__name__)

# Each writes its files, logs where they are, and returns the exit status, None for 0.
RUNS: dict[type[CommandSettings], Callable[[Any, Generator], int | None]] = {
    commands.GridSettings: samples.draw_grid,
    commands.ImagesSettings: samples.write_images,
    commands.BestSettings: samples.draw_best,
    commands.WalkSettings: walks.draw_walk,
    commands.SweepSettings: walks.draw_sweep,
    commands.ArithmeticSettings: arithmetic.draw_arithmetic,
    commands.InvertSettings: inversion.write_inversion,
    commands.NeighboursSettings: neighbours.draw_neighbours,
    commands.DescribeSettings: description.write_description,
}


def run(settings: CommandSettings) -> int | None:
    """Run a sub-command; return the exit status. Raises UserError if the model cannot be used."""
    if getattr(settings, "json", None) == "-":
        cli.keep_stdout_for_results()
    generator = Generator(
        *checkpoints.load_model(checkpoints.select_model(settings.checkpoint_dir))
    )
    return RUNS[type(settings)](settings, generator)
