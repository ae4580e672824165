"""Explore a trained model: samples, walks, latent arithmetic, inversion, nearest neighbours.

Without a sub-command, `grid` is run: `grid --help` lists its options. COMMAND --help describes a
sub-command and its options.

examples:
  ./sample-dcgan.py --n 64 --seed 0 --out samples.png
  ./sample-dcgan.py walk 3 17 40 --loop --out walk.gif
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Sequence

from dcgan_completion import cli, utils
from dcgan_completion.settings import options
from dcgan_completion.settings.commands import CommandSettings
from dcgan_completion.settings.latent import COMMANDS
from dcgan_completion.utils import UserError


def _positional(settings: type[CommandSettings]) -> list[dataclasses.Field[object]]:
    """List the fields that are given without an option."""
    return [field for field in dataclasses.fields(settings) if "positional" in field.metadata]


def build_parser() -> cli.CommandParser:
    """Build the command line: a parser for each sub-command, in `commands`."""
    parser = cli.CommandParser(__doc__, default="grid")
    common = [field.name for field in options.option_fields(CommandSettings)]
    for name, settings in COMMANDS.items():
        command = parser.add_command(name, inspect.getdoc(settings) or "")
        for field in _positional(settings):
            command.add_argument(field.name, **field.metadata["positional"])
        own = [f.name for f in options.option_fields(settings) if f.name not in common]
        for names in (own, common):
            options.add_options(command, settings, options.plain_default, names)
    return parser


def read_settings(argv: Sequence[str] | None) -> CommandSettings:
    """Read the settings of the sub-command from the command line.

    Raises:
      UserError: options contradict each other.
    """
    args = build_parser().parse_args(argv)
    settings = COMMANDS[args.command]
    given = options.given_options(args, settings)
    given |= {field.name: tuple(getattr(args, field.name)) for field in _positional(settings)}
    for one, other, why in settings.CONFLICTS:
        if given.get(one) and given.get(other):
            first = "Z" if one == "z" else options.flag(one)
            raise UserError(f"{first} and {options.flag(other)}: {why}; leave one of them out")
    return settings(**given)


def check_outputs(settings: CommandSettings) -> None:
    """Check the files that will be written, before a model is loaded.

    Raises:
      UserError: as `CommandSettings.outputs`; or a file cannot be written, or exists.
    """
    for flag, paths in settings.outputs().items():
        suffix = settings.SUFFIX
        if flag == "--out" and not paths[0].lower().endswith(suffix):
            kind = "images are PNG" if suffix == ".png" else f"latents are stored as {suffix}"
            raise UserError(f"--out {paths[0]}: {kind}; name it {paths[0]}{suffix}")
        utils.check_writable(os.path.dirname(paths[0]) or ".", flag)
        for path in paths:
            if os.path.isdir(path) or (os.path.exists(path) and not settings.overwrite):
                raise UserError(
                    f"{path}: exists; choose another name, or replace it with --overwrite"
                )


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run the sub-command; return the exit status, None for 0."""
    settings = read_settings(argv)
    utils.limit_pixels(getattr(settings, "max_pixels", utils.MAX_PIXELS))
    check_outputs(settings)
    cli.prepare_tensorflow()
    from dcgan_completion.latent import run

    return run.run(settings)
