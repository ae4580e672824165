"""The settings of what draws samples: grid, images, best. Importing this needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, ClassVar

from dcgan_completion.latent import points
from dcgan_completion.latent.points import Name
from dcgan_completion.settings import options
from dcgan_completion.settings.commands import (
    SAMPLES,
    CommandSettings,
    DrawnSettings,
    NamedSettings,
    refuse_both,
)
from dcgan_completion.utils import UserError

CONFIG = "config.json"  # as runs.CONFIG, which needs TensorFlow


@dataclasses.dataclass(frozen=True)
class GridSettings(NamedSettings):
    """Draw samples side by side in one picture.

    examples:
      ./sample-dcgan.py grid --n 64 --seed 0 --out samples.png
      ./sample-dcgan.py grid --rows 4 --columns 10 --numbers --range 0.7 --out numbered.png
    """

    n: int | None = options.option(
        f"number of samples (default: as many as --rows and --columns hold, else {SAMPLES})",
        type=options.picture_count,
    )
    rows: int | None = options.option("of the grid (default: as needed)", type=options.edge)
    columns: int | None = options.option(
        "of the grid (default: as many as rows, or as needed)", type=options.edge
    )
    numbers: bool = options.option(
        "write each sample's number below it", action="store_true", default=False
    )
    individual: str | None = options.option("a folder for one file each instead", metavar="DIR")
    out: str = options.same_option(CommandSettings, "out", default="samples.png")

    NUMBER: ClassVar[str] = "n"

    @classmethod
    def check(cls, given: dict[str, Any]) -> None:
        """As `CommandSettings.check`."""
        super().check(given)
        grid = ("out", "rows", "columns", "numbers")
        refuse_both(given, "individual", grid, "there is no grid among single files")

    def names(self) -> list[Name]:
        """As `NamedSettings.names`.

        Raises:
          UserError: the grid has not as many cells.
        """
        cells = self.rows * self.columns if self.rows and self.columns else None
        names = super().names() if self.z or self.n or not cells else points.samples(cells)
        if cells is not None and len(names) > cells:
            raise UserError(
                f"--rows {self.rows} and --columns {self.columns}: hold {cells} samples, not "
                f"{len(names)}; leave one of them out"
            )
        return names

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        if self.individual:
            return {"--individual": self.files_in(self.individual)}
        self.names()
        return super().outputs()


@dataclasses.dataclass(frozen=True)
class ImagesSettings(NamedSettings):
    """Write samples one by one: a PNG each, or all as one array.

    examples:
      ./sample-dcgan.py images --count 1000 --out generated
      ./sample-dcgan.py images --count 100000 --npy faces.npy
    """

    count: int | None = options.option(
        f"number of samples (default: {SAMPLES})", type=options.picture_count
    )
    npy: str | None = options.option(
        "one array uint8 [N, S, S, C] instead of PNGs; numpy.load(FILE, mmap_mode='r') opens it "
        "without reading it",
        metavar="FILE",
    )
    out: str = options.same_option(
        CommandSettings,
        "out",
        default="generated",
        help_text="folder for a PNG each, SEED-NUMBER.png, and config.json",
        metavar="DIR",
    )

    NUMBER: ClassVar[str] = "count"
    SUFFIX: ClassVar[str] = ""

    @classmethod
    def check(cls, given: dict[str, Any]) -> None:
        """As `CommandSettings.check`."""
        super().check(given)
        refuse_both(given, "npy", ["out"], "samples go to one place")
        if "npy" in given and not given["npy"].lower().endswith(".npy"):
            raise UserError(f"--npy {given['npy']}: is NumPy's format; name it {given['npy']}.npy")

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        if self.npy:
            self.names()
            return {"--npy": [self.npy]}
        return {"--out": [*self.files_in(self.out), os.path.join(self.out, CONFIG)]}


@dataclasses.dataclass(frozen=True)
class BestSettings(DrawnSettings):
    """Draw the samples that the discriminator takes most for real, out of many.

    They are selected, and the picture says so: they do not show what samples are like.

    examples:
      ./sample-dcgan.py best --count 16 --of 1000 --out best.png
      ./sample-dcgan.py best --count 4 --of 100 --seed 5 --checkpoint-dir checkpoint
    """

    count: int = options.option("samples to show, the best first", type=options.edge, default=16)
    of: int = options.option("samples to choose from", type=options.picture_count, default=256)
    out: str = options.same_option(CommandSettings, "out", default="best.png")

    @classmethod
    def check(cls, given: dict[str, Any]) -> None:
        """As `CommandSettings.check`."""
        count, of = given.get("count", cls.count), given.get("of", cls.of)
        if count > of:
            raise UserError(f"--count {count}: is more than --of {of}; lower it, or raise --of")
