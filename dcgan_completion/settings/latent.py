"""The settings of sample-dcgan.py's sub-commands. Importing this needs no TensorFlow.

A class for each: its docstring is what `--help` says, its fields are the options.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, ClassVar

from dcgan_completion.faces import aligner as faces
from dcgan_completion.latent import points
from dcgan_completion.latent.points import Name, Word
from dcgan_completion.settings import options
from dcgan_completion.settings.commands import (
    CommandSettings,
    DrawnSettings,
    NamedSettings,
    SeededSettings,
    refuse_both,
)
from dcgan_completion.settings.samples import BestSettings, GridSettings, ImagesSettings
from dcgan_completion.utils import UserError

STRIP, GIF, WEBP = ".png", ".gif", ".webp"  # what a walk is written as
PATHS = ("straight", "spherical")
SIGNS = ("+", "-")


@dataclasses.dataclass(frozen=True)
class WalkSettings(NamedSettings):
    """Walk through the latent space: from one z to the next, at a constant speed.

    examples:
      ./sample-dcgan.py walk --points 5 --loop --out walk
      ./sample-dcgan.py walk 3 17 inverted.npz:0 --path spherical --frames 90 --out walk.gif
    """

    points: int | None = options.option(
        "number of samples of the seed to go through, if no Z is named (default: 4)",
        type=options.edge,
    )
    frames: int = options.option("pictures of the walk, in all", type=options.edge, default=60)
    path: str = options.option(
        "straight: along lines; spherical: by equal angles, with the lengths of z interpolated; "
        "z is then clipped to [-1, 1]",
        choices=PATHS,
        default="straight",
    )
    loop: bool = options.option(
        "back to the first z; the last frame leads to the first one",
        action="store_true",
        default=False,
    )
    strip: int = options.option("frames that the strip shows", type=options.edge, default=10)
    delay: int = options.option("milliseconds that a frame stays", type=options.edge, default=50)
    out: str = options.same_option(
        CommandSettings,
        "out",
        default="walk",
        help_text="NAME.png, a strip; NAME.gif, NAME.webp, animations; or NAME, for all three",
    )

    NUMBER: ClassVar[str] = "points"
    SUFFIX: ClassVar[str] = ""

    def names(self) -> list[Name]:
        """As `NamedSettings.names`.

        Raises:
          UserError: there is one alone.
        """
        names = super().names() if self.z else points.samples(self.points or 4)
        if len(names) < 2:
            raise UserError("a walk goes from one z to another: name two at least")
        return names

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        self.names()
        suffixes = (STRIP, GIF, WEBP)
        if self.out.lower().endswith(suffixes):
            return {"--out": [self.out]}
        return {"--out": [self.out + suffix for suffix in suffixes]}


@dataclasses.dataclass(frozen=True)
class SweepSettings(NamedSettings):
    """Change single values of a z from -1 to 1, a row of pictures for each.

    examples:
      ./sample-dcgan.py sweep 3 --dims 0 1 2 --out sweep.png
      ./sample-dcgan.py sweep inverted.npz:0 --rows 5
    """

    dims: tuple[int, ...] = options.option(
        "values of z, from 0 on (default: the --rows that change the picture most)",
        type=options.index,
        nargs="+",
        metavar="I",
        default=(),
    )
    rows: int | None = options.option(
        "number of values, without --dims (default: 8)", type=options.edge
    )
    steps: int = options.option("pictures from -1 to 1", type=options.edge, default=9)
    out: str = options.same_option(CommandSettings, "out", default="sweep.png")

    @classmethod
    def check(cls, given: dict[str, Any]) -> None:
        """As `CommandSettings.check`."""
        refuse_both(given, "dims", ["rows"], "both say which rows there are")

    def names(self) -> list[Name]:
        """The latent, one alone: by default the seed's first sample."""
        names = points.expand(self.z) if self.z else points.samples(1)
        if len(names) > 1:
            raise UserError(f"Z: {len(names)} latents are named; a sweep is around one")
        return names

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        self.names()
        return super().outputs()


def _term_word(text: str) -> Word | str:
    """argparse type: a sign, or as `points.word`."""
    return text if text in SIGNS else points.word(text)


@dataclasses.dataclass(frozen=True)
class ArithmeticSettings(DrawnSettings):
    """Reckon with faces: A - B + C, each the mean z of several samples.

    In the paper, smiling woman - neutral woman + neutral man is a smiling man (Radford et al. 2016,
    figure 7). The picture shows the samples, their means, and around the result eight more, from z
    with a little uniform noise.

    examples:
      ./sample-dcgan.py arithmetic 3 17 40 - 4 9 11 + 5 8 12 --out arithmetic.png
      ./sample-dcgan.py arithmetic inverted.npz:0 - 0-99 + 200-299 --noise 0.1
    """

    z: tuple[Word | str, ...] = ()
    noise: float = options.option(
        "half the width of the noise around the result",
        type=options.non_negative_float,
        default=0.25,
    )
    out: str = options.same_option(CommandSettings, "out", default="arithmetic.png")

    POSITIONAL: ClassVar[dict[str, dict[str, Any]]] = {
        "z": {
            "nargs": "+",
            "type": _term_word,
            "metavar": "Z",
            "help": f"terms with - or + between them, each one or several {points.HELP}",
        }
    }

    def named_terms(self) -> list[tuple[str, list[Name]]]:
        """Sign and latents of each term.

        Raises:
          UserError: a term is empty, or as `points.expand`.
        """
        terms: list[tuple[str, list[Word]]] = []
        for item in self.z:
            if isinstance(item, str):
                terms.append((item, []))
            else:
                if not terms:
                    terms.append(("+", []))
                terms[-1][1].append(item)
        if not all(words for _, words in terms):
            raise UserError("Z: a sign has no z behind it; name A - B + C, such as 3 17 - 4 9 + 5")
        return [(sign, points.expand(words)) for sign, words in terms]

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        self.named_terms()
        return super().outputs()


@dataclasses.dataclass(frozen=True)
class InvertSettings(SeededSettings):
    """Find the z whose picture G(z) is nearest to a photo's face.

    Writes z, names and PSNR into a .npz file, for all sub-commands that take Z, and beside it a PNG
    with each face and its reconstruction.

    examples:
      ./sample-dcgan.py invert photo.jpg --out inverted.npz
      ./sample-dcgan.py invert aligned/a.png aligned/b.png --aligned --restarts 8
    """

    photos: tuple[str, ...] = ()
    aligned: bool = options.option(
        "the photos are aligned faces of the model's size; otherwise the largest face of each is "
        "aligned as by align-dlib.py",
        action="store_true",
        default=False,
    )
    landmarks: str = options.option(
        "the landmarks to align, those that the model's faces were aligned by",
        choices=tuple(faces.LANDMARK_SETS),
        default="innerEyesAndBottomLip",
    )
    n_iter: int = options.option("iterations of the search", type=options.positive_int, default=200)
    restarts: int = options.option(
        "searches for each face, from the nearest of generated faces; the best one counts",
        type=options.update_count,
        default=2,
    )
    max_pixels: int = options.max_pixels_option()
    out: str = options.same_option(
        CommandSettings,
        "out",
        default="inverted.npz",
        help_text="file to write, NAME.npz; NAME.png shows the faces",
    )

    POSITIONAL: ClassVar[dict[str, dict[str, Any]]] = {
        "photos": {"nargs": "+", "metavar": "PHOTO", "help": "photos, or folders of them"}
    }
    SUFFIX: ClassVar[str] = points.SUFFIX

    @property
    def sheet(self) -> str:
        """Path of the picture."""
        return self.out[: -len(self.SUFFIX)] + ".png"

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        return {"--out": [self.out, self.sheet]}


@dataclasses.dataclass(frozen=True)
class NeighboursSettings(NamedSettings):
    """Find the faces of a folder that samples are nearest to: has the model learned them by heart?

    By pixels, and by dlib's embedding, which says who somebody is. The picture has a row for each
    sample; the table beside it, NAME.csv, has the files.

    examples:
      ./sample-dcgan.py neighbours --dataset data/your-dataset/aligned --n 8
      ./sample-dcgan.py neighbours 3 17 --dataset aligned --count 5 --out neighbours.png
    """

    dataset: str | None = options.option(
        "folder of aligned faces, such as those of the training", metavar="FOLDER", required=True
    )
    n: int | None = options.option("number of samples (default: 8)", type=options.edge)
    count: int = options.option("nearest faces to show", type=options.update_count, default=3)
    limit: int | None = options.option(
        "take that many of the dataset's faces, evenly spaced (default: all)",
        type=options.positive_int,
        metavar="N",
    )
    workers: int = options.option(
        "processes for dlib", type=options.worker_count, default=os.cpu_count()
    )
    cache: str | None = options.option("for embeddings (default: in ~/.cache)", metavar="DIR")
    max_pixels: int = options.max_pixels_option()
    out: str = options.same_option(CommandSettings, "out", default="neighbours.png")

    NUMBER: ClassVar[str] = "n"

    @property
    def table(self) -> str:
        """Path of the table."""
        return self.out[: -len(self.SUFFIX)] + ".csv"

    def names(self) -> list[Name]:
        """As `NamedSettings.names`."""
        return super().names() if self.z else points.samples(self.n or 8)

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        self.names()
        return {"--out": [self.out, self.table]}


@dataclasses.dataclass(frozen=True)
class DescribeSettings(CommandSettings):
    """Tell what the networks are made of: layers, shapes, parameters, multiply-adds per image.

    examples:
      ./sample-dcgan.py describe
      ./sample-dcgan.py describe --checkpoint-dir checkpoint --json -
    """

    json: str | None = options.option("the same as JSON; - for the terminal", metavar="FILE")
    out: str | None = options.same_option(
        CommandSettings, "out", help_text="file for the text (default: the terminal)"
    )

    SUFFIX: ClassVar[str] = ""

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        return super().outputs() | ({"--json": [self.json]} if self.json not in (None, "-") else {})


COMMANDS: dict[str, type[CommandSettings]] = {
    "grid": GridSettings,
    "images": ImagesSettings,
    "best": BestSettings,
    "walk": WalkSettings,
    "sweep": SweepSettings,
    "arithmetic": ArithmeticSettings,
    "invert": InvertSettings,
    "neighbours": NeighboursSettings,
    "describe": DescribeSettings,
}
