"""The settings of sample-dcgan.py's sub-commands. Importing this needs no TensorFlow.

A class for each: its docstring is what `--help` says, its fields are the options.
"""

from __future__ import annotations

import dataclasses
import os

from dcgan_completion import latents
from dcgan_completion.latents import Name, Word
from dcgan_completion.settings import options
from dcgan_completion.settings.alignment import LANDMARK_SETS
from dcgan_completion.settings.commands import (
    CommandSettings,
    DrawnSettings,
    NamedSettings,
    number_option,
    out_option,
    positional,
)
from dcgan_completion.utils import UserError

CONFIG = "config.json"  # as runs.CONFIG, which needs TensorFlow
STRIP, ANIMATIONS = ".png", (".gif", ".webp")  # what a walk is written as
PATHS = ("straight", "spherical")


def _either(number: str) -> tuple[str, str, str]:
    """Describe the conflict of named latents with their number."""
    return "z", number, "both set the number of samples"


@dataclasses.dataclass(frozen=True)
class GridSettings(NamedSettings):
    """Draw a grid of samples.

    examples:
      ./sample-dcgan.py grid --n 64 --seed 0 --out samples.png
      ./sample-dcgan.py grid --rows 4 --columns 10 --numbers --range 0.7 --out numbered.png
    """

    n: int | None = number_option("--rows times --columns if both are given, else 64")
    rows: int | None = options.option("rows of the grid (default: as needed)", type=options.edge)
    columns: int | None = options.option(
        "columns of the grid (default: as needed for --rows; without it, a square grid)",
        type=options.edge,
    )
    numbers: bool = options.option(
        "write each sample's number below it", action="store_true", default=False
    )
    individual: str | None = options.option(
        "write each sample to a file of its own in this folder, instead of a grid", metavar="DIR"
    )
    out: str = out_option("samples.png")

    NUMBER = "n"
    CONFLICTS = (
        _either("n"),
        *(
            ("individual", field, "separate files have no grid")
            for field in ("out", "rows", "columns", "numbers")
        ),
    )

    def names(self) -> list[Name]:
        """As `NamedSettings.names`."""
        cells = self.rows * self.columns if self.rows and self.columns else None
        names = super().names() if self.z or self.n or not cells else latents.samples(cells)
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
        return super().outputs()


@dataclasses.dataclass(frozen=True)
class ImagesSettings(NamedSettings):
    """Write samples to PNG files, or to one NumPy array.

    examples:
      ./sample-dcgan.py images --count 1000 --out generated
      ./sample-dcgan.py images --count 100000 --npy faces.npy
    """

    count: int | None = number_option(64)
    npy: str | None = options.option(
        "write one uint8 array [N, S, S, C] instead of PNGs; numpy.load(FILE, mmap_mode='r') opens "
        "it without reading it into memory",
        metavar="FILE",
    )
    out: str = out_option(
        "generated", "folder for the PNGs, SEED-NUMBER.png, and config.json", "DIR"
    )

    NUMBER, SUFFIX = "count", ""
    CONFLICTS = (_either("count"), ("npy", "out", "samples go to one place"))

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        if self.npy is None:
            return {"--out": [*self.files_in(self.out), os.path.join(self.out, CONFIG)]}
        if not self.npy.lower().endswith(".npy"):
            raise UserError(f"--npy {self.npy}: is NumPy's format; name it {self.npy}.npy")
        self.names()
        return {"--npy": [self.npy]}


@dataclasses.dataclass(frozen=True)
class BestSettings(DrawnSettings):
    """Draw the most realistic of many samples, as rated by the discriminator.

    They are cherry-picked, and the image says so: they are not typical of the model.

    examples:
      ./sample-dcgan.py best --count 16 --of 1000 --out best.png
      ./sample-dcgan.py best --count 4 --of 100 --seed 5 --checkpoint-dir checkpoint
    """

    count: int = options.option("samples to show, the best first", type=options.edge, default=16)
    of: int = options.option("samples to choose from", type=options.picture_count, default=256)
    out: str = out_option("best.png")

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        if self.count > self.of:
            raise UserError(
                f"--count {self.count}: is more than --of {self.of}; lower it, or raise --of"
            )
        return super().outputs()


@dataclasses.dataclass(frozen=True)
class WalkSettings(NamedSettings):
    """Walk through the latent space, from one z to the next at constant speed.

    examples:
      ./sample-dcgan.py walk --points 5 --loop --out walk
      ./sample-dcgan.py walk 3 17 inverted.npz:0 --path spherical --frames 90 --out walk.gif
    """

    points: int | None = number_option(4, options.edge)
    frames: int = options.option("number of frames of the walk", type=options.edge, default=60)
    path: str = options.option(
        "straight: straight lines; spherical: spherical interpolation (slerp) of the direction of "
        "z and linear interpolation of its norm, clipped to [-1, 1]",
        choices=PATHS,
        default="straight",
    )
    loop: bool = options.option(
        "return to the first z, so that the animation repeats without a jump",
        action="store_true",
        default=False,
    )
    strip: int = options.option("number of frames in the strip", type=options.edge, default=10)
    delay: int = options.option(
        "duration of a frame in milliseconds", type=options.edge, default=50
    )
    out: str = out_option(
        "walk", "NAME.png: a strip of frames; NAME.gif, NAME.webp: an animation; NAME: all three"
    )

    NUMBER, DEFAULT_NUMBER, SUFFIX = "points", 4, ""
    CONFLICTS = (_either("points"),)

    def names(self) -> list[Name]:
        """As `NamedSettings.names`."""
        names = super().names()
        if len(names) < 2:
            raise UserError("Z: a walk needs at least two latents; name more, or raise --points")
        return names

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        suffixes = (STRIP, *ANIMATIONS)
        named = super().outputs()
        whole = self.out.lower().endswith(suffixes)
        return named if whole else {"--out": [self.out + suffix for suffix in suffixes]}


@dataclasses.dataclass(frozen=True)
class SweepSettings(NamedSettings):
    """Vary one dimension of z at a time from -1 to 1, in a row of images each.

    examples:
      ./sample-dcgan.py sweep 3 --dims 0 1 2 --out sweep.png
      ./sample-dcgan.py sweep inverted.npz:0 --rows 5
    """

    dims: tuple[int, ...] | None = options.option(
        "dimensions of z to vary, counted from 0 (default: the --rows with the largest effect)",
        type=options.index,
        nargs="+",
        metavar="I",
    )
    rows: int | None = options.option(
        "number of dimensions, if --dims is not given (default: 8)", type=options.edge
    )
    steps: int = options.option("images per row", type=options.edge, default=9)
    out: str = out_option("sweep.png")

    DEFAULT_NUMBER = 1
    CONFLICTS = (("dims", "rows", "both set the number of rows"),)

    def names(self) -> list[Name]:
        """As `NamedSettings.names`."""
        names = super().names()
        if len(names) > 1:
            raise UserError(f"Z: {len(names)} latents are named; a sweep starts from one")
        return names


@dataclasses.dataclass(frozen=True)
class ArithmeticSettings(DrawnSettings):
    """Do latent arithmetic, A - B + C, where each term is the mean z of several samples.

    In the paper, smiling woman - neutral woman + neutral man is a smiling man (Radford et al. 2016,
    figure 7). The image shows the samples, the mean of each term, and the result among eight
    variations, for which uniform noise is added to its z.

    examples:
      ./sample-dcgan.py arithmetic 3 17 40 - 4 9 11 + 5 8 12 --out arithmetic.png
      ./sample-dcgan.py arithmetic inverted.npz:0 - 0-99 + 200-299 --noise 0.1
    """

    z: tuple[Word | str, ...] = positional(
        f"terms separated by - or +, each one or several {latents.HELP}",
        "+",
        "Z",
        type=latents.term_word,
    )
    noise: float = options.option(
        "amplitude of the noise",
        type=options.non_negative_float,
        default=0.25,
    )
    out: str = out_option("arithmetic.png")

    def terms(self) -> list[tuple[str, list[Name]]]:
        """List sign and latents of each term; raise UserError as `latents.expand_terms`."""
        return latents.expand_terms(self.z)

    def outputs(self) -> dict[str, list[str]]:
        """As `CommandSettings.outputs`."""
        self.terms()
        return super().outputs()


@dataclasses.dataclass(frozen=True)
class InvertSettings(CommandSettings):
    """Find the z whose image G(z) is nearest to the face in a photo.

    Writes z, file names and PSNR to a .npz file, which all sub-commands that take Z can read, and
    beside it a PNG with each face and its reconstruction.

    examples:
      ./sample-dcgan.py invert photo.jpg --out inverted.npz
      ./sample-dcgan.py invert aligned/a.png aligned/b.png --aligned --restarts 8
    """

    photos: tuple[str, ...] = positional("photos, or folders of them", "+", "PHOTO")
    seed: int = options.same_option(
        DrawnSettings, "seed", help_text="random seed of the starting points of the searches"
    )
    aligned: bool = options.option(
        "the photos are aligned faces of the model's size; without this option, the largest face "
        "of each is aligned as by align-dlib.py",
        action="store_true",
        default=False,
    )
    landmarks: str = options.option(
        "landmarks to align by; must be those that the model's training faces were aligned by",
        choices=tuple(LANDMARK_SETS),
        default="innerEyesAndBottomLip",
    )
    n_iter: int = options.option("iterations of a search", type=options.positive_int, default=200)
    restarts: int = options.option(
        "searches per face, starting from the nearest generated faces; the best one is kept",
        type=options.update_count,
        default=2,
    )
    max_pixels: int = options.max_pixels_option()
    out: str = out_option("inverted.npz", "file to write, NAME.npz; NAME.png shows the faces")

    SUFFIX, BESIDE = latents.SUFFIX, ".png"


@dataclasses.dataclass(frozen=True)
class NeighboursSettings(NamedSettings):
    """Find the nearest neighbours of samples in a folder of faces, to check for memorisation.

    Two distances are used: pixel differences, and dlib's face embedding, which compares identities.
    The image has a row for each sample; the table beside it, NAME.csv, lists the files.

    examples:
      ./sample-dcgan.py neighbours --dataset data/your-dataset/aligned --n 8
      ./sample-dcgan.py neighbours 3 17 --dataset aligned --count 5 --out neighbours.png
    """

    dataset: str = options.option(
        "folder of aligned faces, such as the training set", metavar="FOLDER", required=True
    )
    n: int | None = number_option(8, options.edge)
    count: int = options.option("neighbours per sample", type=options.update_count, default=3)
    limit: int | None = options.option(
        "compare with N faces of the dataset, evenly spaced (default: all)",
        type=options.positive_int,
        metavar="N",
    )
    workers: int = options.option(
        "number of dlib processes", type=options.worker_count, default=os.cpu_count()
    )
    cache: str | None = options.option(
        "folder to cache embeddings in (default: in ~/.cache)", metavar="DIR"
    )
    max_pixels: int = options.max_pixels_option()
    out: str = out_option("neighbours.png")

    NUMBER, DEFAULT_NUMBER, BESIDE = "n", 8, ".csv"
    CONFLICTS = (_either("n"),)


@dataclasses.dataclass(frozen=True)
class DescribeSettings(CommandSettings):
    """Describe the networks: layers, shapes, parameters, multiply-adds per image.

    examples:
      ./sample-dcgan.py describe
      ./sample-dcgan.py describe --checkpoint-dir checkpoint --json -
    """

    json: str | None = options.option("write the description as JSON; - for stdout", metavar="FILE")
    out: str | None = out_option(None, "text file to write (default: stdout)")

    SUFFIX = ""

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
