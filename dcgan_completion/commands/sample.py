"""Look inside a trained model: samples, walks between them, arithmetic, inversion, neighbours.

Without a sub-command, `grid` is meant. COMMAND --help lists the options of one.

examples:
  ./sample-dcgan.py --n 64 --seed 0 --out samples.png
  ./sample-dcgan.py walk 3 17 40 --loop --out walk.gif
"""

from __future__ import annotations

from collections.abc import Sequence

from dcgan_completion import cli, utils
from dcgan_completion.settings.commands import CommandSettings
from dcgan_completion.settings.latent import COMMANDS, InvertSettings, NeighboursSettings


def build_parser() -> cli.CommandParser:
    """The command line: a parser for each sub-command, in `commands`."""
    parser = cli.CommandParser(__doc__, default="grid")
    for name, settings in COMMANDS.items():
        settings.add_to(parser, name)
    return parser


def read_settings(argv: Sequence[str] | None) -> CommandSettings:
    """What the command line says.

    Raises:
      UserError: options contradict each other.
    """
    args = build_parser().parse_args(argv)
    return COMMANDS[args.command].of_command_line(args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the sub-command; returns the exit status."""
    settings = read_settings(argv)
    if isinstance(settings, (InvertSettings, NeighboursSettings)):
        utils.limit_pixels(settings.max_pixels)
    settings.check_outputs()
    cli.prepare_tensorflow()
    from dcgan_completion.latent import run

    return run.run(settings)
