"""What the settings of sample-dcgan.py's sub-commands share. Importing this needs no TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from dcgan_completion import cli, utils
from dcgan_completion.latent import points
from dcgan_completion.latent.points import Name, Word
from dcgan_completion.settings import options
from dcgan_completion.utils import UserError

SAMPLES = 64  # without a number of them


def _default_text(field: dataclasses.Field[Any]) -> str:
    said = field.default is None or field.default is False or field.default == ()
    return "" if said else f"default: {field.default}"


@dataclasses.dataclass(frozen=True)
class CommandSettings:
    """What all sub-commands have."""

    checkpoint_dir: str | None = options.option(
        "folder of the model, or one of its checkpoints, such as checkpoint/ckpt-12000 "
        "(default: ./checkpoint if it holds a model, else data/pretrained)",
        "--checkpoint_dir",
        "--checkpointDir",
    )
    out: str | None = options.option("file to write, a PNG", metavar="FILE")
    overwrite: bool = options.option("replace files that exist", action="store_true", default=False)

    # Arguments without an option: field -> arguments for `add_argument`.
    POSITIONAL: ClassVar[dict[str, dict[str, Any]]] = {}
    SUFFIX: ClassVar[str] = ".png"  # of --out

    @classmethod
    def add_to(cls, parsers: cli.CommandParser, name: str) -> None:
        """Adds the sub-command, with the class's docstring as its description."""
        parser = parsers.add_command(name, inspect.getdoc(cls) or "")
        for field, arguments in cls.POSITIONAL.items():
            parser.add_argument(field, **arguments)
        common = [f.name for f in options.option_fields(CommandSettings)]
        own = [f.name for f in options.option_fields(cls) if f.name not in common]
        options.add_options(parser, cls, _default_text, own)
        options.add_options(parser, cls, _default_text, common)

    @classmethod
    def of_command_line(cls, args: argparse.Namespace) -> Self:
        """The settings that a command line says.

        Raises:
          UserError: options contradict each other.
        """
        given = options.given_options(args, cls)
        given |= {field: tuple(getattr(args, field)) for field in cls.POSITIONAL}
        cls.check(given)
        return cls(**given)

    @classmethod
    def check(cls, given: dict[str, Any]) -> None:
        """Raises UserError if what was given contradicts itself."""

    def outputs(self) -> dict[str, list[str]]:
        """The files that will be written, by the option that names them."""
        return {"--out": [self.out]} if self.out else {}

    def check_outputs(self) -> None:
        """Raises UserError if a file cannot be written, or is there and is to stay."""
        for flag, paths in self.outputs().items():
            if flag == "--out" and not paths[0].lower().endswith(self.SUFFIX):
                kind = "pictures are PNG" if self.SUFFIX == ".png" else "latents are kept as .npz"
                name = f"{paths[0]}{self.SUFFIX}"
                raise UserError(f"--out {paths[0]}: {kind}; name it {name}")
            utils.check_writable(os.path.dirname(paths[0]) or ".", flag)
            for path in paths:
                if os.path.isdir(path) or (os.path.exists(path) and not self.overwrite):
                    raise UserError(
                        f"{path}: exists; name another place, or replace it with --overwrite"
                    )

    def options(self) -> dict[str, Any]:
        """The options for config.json."""
        values = dataclasses.asdict(self)
        del values["overwrite"]
        return values


def refuse_both(given: dict[str, Any], one: str, others: Sequence[str], why: str) -> None:
    """Raises UserError if a field was given, and one of others that it contradicts."""
    for other in others:
        if given.get(one) and given.get(other):
            first, second = ("Z" if field == "z" else options.flag(field) for field in (one, other))
            raise UserError(f"{first} and {second}: {why}; leave one of them out")


_LATENTS = {"nargs": "*", "type": points.word, "metavar": "Z", "help": points.HELP}


@dataclasses.dataclass(frozen=True)
class SeededSettings(CommandSettings):
    """What sub-commands have that draw something."""

    seed: int = options.option(
        "of the latent z; the first samples of a seed are the same, however many are drawn",
        type=options.seed,
        default=0,
    )


@dataclasses.dataclass(frozen=True)
class DrawnSettings(SeededSettings):
    """What sub-commands have that draw latents."""

    range: float = options.option(
        "z of the seed are uniform in [-R, R]; below 1 samples are less diverse",
        type=options.share,
        metavar="R",
        default=1.0,
    )


@dataclasses.dataclass(frozen=True)
class NamedSettings(DrawnSettings):
    """What sub-commands have whose latents can be named.

    Attributes:
      z: words that name latents; empty: samples of the seed.
    """

    z: tuple[Word, ...] = ()

    POSITIONAL: ClassVar[dict[str, dict[str, Any]]] = {"z": _LATENTS}
    NUMBER: ClassVar[str] = ""  # the field that says how many samples there are without `z`

    @classmethod
    def check(cls, given: dict[str, Any]) -> None:
        """As `CommandSettings.check`."""
        refuse_both(given, "z", [cls.NUMBER], "both say how many there are")

    def names(self) -> list[Name]:
        """The latents, one by one; raises UserError as `points.expand`."""
        if self.z:
            return points.expand(self.z)
        return points.samples(getattr(self, self.NUMBER) or SAMPLES)

    def files_in(self, folder: str) -> list[str]:
        """A file in a folder for each latent.

        Raises:
          UserError: as `points.expand`, or two latents would share a file.
        """
        paths = [
            os.path.join(folder, f"{name.stem if name.file else self.seed}-{name.number:05d}.png")
            for name in self.names()
        ]
        if len(set(paths)) < len(paths):
            twice = next(path for path in paths if paths.count(path) > 1)
            raise UserError(f"{twice}: would be written twice; name each z once")
        return paths
