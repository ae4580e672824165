"""What the settings of sample-dcgan.py's sub-commands share. Importing this needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any, ClassVar

from dcgan_completion import latents
from dcgan_completion.latents import Name, Word
from dcgan_completion.settings import options
from dcgan_completion.utils import UserError


def out_option(
    default: str | None, help_text: str = "PNG file to write", metavar: str = "FILE"
) -> Any:
    """Describe the field `out` of a sub-command."""
    return options.option(help_text, metavar=metavar, default=default)


def number_option(default: object, kind: Callable[[str], float] = options.picture_count) -> Any:
    """Describe the field of a sub-command that says how many samples there are without `z`."""
    return options.option(f"number of samples, if no Z is given (default: {default})", type=kind)


def positional(help_text: str, nargs: str, metavar: str, **arguments: Any) -> Any:
    """Describe a field that is given without an option; the rest is for `add_argument`."""
    arguments |= {"help": help_text, "nargs": nargs, "metavar": metavar}
    return dataclasses.field(default=(), metadata={"positional": arguments})


@dataclasses.dataclass(frozen=True)
class CommandSettings:
    """What all sub-commands have."""

    checkpoint_dir: str | None = options.option(
        "the model's folder, or one of its checkpoints, such as checkpoint/ckpt-12000 "
        "(default: ./checkpoint if it holds a model, else data/pretrained)",
        "--checkpoint_dir",
        "--checkpointDir",
    )
    out: str | None = out_option(None)
    overwrite: bool = options.option("replace existing files", action="store_true", default=False)

    # Fields of which one alone may be given, and why.
    CONFLICTS: ClassVar[tuple[tuple[str, str, str], ...]] = ()
    SUFFIX: ClassVar[str] = ".png"  # of `out`
    BESIDE: ClassVar[str | None] = None  # suffix of a second file beside it

    @property
    def beside(self) -> str:
        """Path of the second file."""
        return f"{(self.out or '')[: -len(self.SUFFIX)]}{self.BESIDE}"

    def outputs(self) -> dict[str, list[str]]:
        """List the files that will be written, by the option that names them.

        Raises:
          UserError: the settings do not fit each other.
        """
        return {"--out": [self.out, *([self.beside] if self.BESIDE else [])]} if self.out else {}

    def options(self) -> dict[str, Any]:
        """Give the options for config.json."""
        values = dataclasses.asdict(self)
        del values["overwrite"]
        return values


@dataclasses.dataclass(frozen=True)
class DrawnSettings(CommandSettings):
    """What sub-commands have that draw samples."""

    seed: int = options.option(
        "random seed; the first samples of a seed are the same, however many are drawn",
        type=options.seed,
        default=0,
    )
    range: float = options.option(
        "draw z uniformly from [-R, R]; below 1, samples are less diverse",
        type=options.share,
        metavar="R",
        default=1.0,
    )


@dataclasses.dataclass(frozen=True)
class NamedSettings(DrawnSettings):
    """What sub-commands have whose latents can be named."""

    z: tuple[Word, ...] = positional(latents.HELP, "*", "Z", type=latents.word)

    NUMBER: ClassVar[str] = ""  # the field that says how many samples there are without `z`
    DEFAULT_NUMBER: ClassVar[int] = 64

    def names(self) -> list[Name]:
        """List the latents.

        Raises:
          UserError: as `latents.expand`, or the sub-command cannot use as many, or as few.
        """
        if self.z:
            return latents.expand(self.z)
        return latents.samples(getattr(self, self.NUMBER, None) or self.DEFAULT_NUMBER)

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`; raises UserError as `names`, too."""
        self.names()
        return super().outputs()

    def files_in(self, folder: str) -> list[str]:
        """Name a file in a folder for each latent.

        Raises:
          UserError: as `names`, or two latents would share a file.
        """
        paths = [
            os.path.join(folder, f"{name.stem if name.file else self.seed}-{name.number:05d}.png")
            for name in self.names()
        ]
        if len(set(paths)) < len(paths):
            twice = next(path for path in paths if paths.count(path) > 1)
            raise UserError(f"{twice}: would be written twice; name each z once")
        return paths
