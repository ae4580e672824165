"""The settings of a completion besides those of its search: of its masks, images and results.

Defaults, choices and help of the options are written here alone; command lines are built from
these classes. Importing this needs no TensorFlow.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

import cli
from completion import masks
from completion.search_settings import SEARCHES
from utils import UserError

# Iterations between pictures: of auto, of the other approaches.
AUTO_OUT_INTERVAL, OUT_INTERVAL = 10, 50
OF_APPROACHES = {"out_interval": SEARCHES}  # options that only some approaches have
# Options that only some kinds of masks have.
OF_MASK_TYPES = {
    "center_scale": ("center",),
    "fraction": ("random",),
    "mask": ("file",),
    "invert_mask": ("file",),
}


def center_scale(text: str) -> float:
    """argparse type: where a central hole begins, as a share of the width."""
    value = cli.open_fraction(text)
    if value >= 0.5:
        raise argparse.ArgumentTypeError(f"{text} leaves no hole; it must be below 0.5")
    return value


def shard(text: str) -> tuple[int, int]:
    """argparse type: I/N, the I-th of N parts."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 2/4, the second of four parts")
    return int(part), int(parts)


@dataclasses.dataclass(frozen=True)
class MaskSettings:
    """What is missing.

    Attributes:
      mask_type: of masks.MASK_TYPES, or `file`.
      center_scale, fraction: of masks.make_mask.
      mask: path of a mask, or of a folder of them (`file`; mask_files.masks_for).
      invert_mask: black pixels of the file are missing, not white ones.
      dilate: pixels by which the hole grows; None: it does not.
      feather: blend from the photo to G(z) over these pixels (`masks.feather_ramp`).
    """

    mask_type: str = cli.option(
        "what is missing: center, a square; random, single pixels; left, right, top, bottom, that "
        "half; half, a random one of them; pattern, a quarter, in blobs; full, nothing; grid, all "
        "but every fourth pixel in both directions; lowres, all but the averages of 8x8 blocks; "
        "file, what --mask says",
        "--maskType",
        choices=(*masks.MASK_TYPES, "file"),
        default="center",
    )
    center_scale: float = cli.option(
        "the central hole begins at this share of the width",
        "--centerScale",
        type=center_scale,
        default=0.25,
    )
    fraction: float = cli.option(
        "of random pixels missing", type=cli.open_fraction, default=masks.RANDOM_MISSING
    )
    mask: str | None = cli.option(
        "an image, white where pixels are missing, or a folder with one for each input, named and "
        "placed like it",
        metavar="PATH",
    )
    invert_mask: bool = cli.option("black is missing", action="store_true", default=False)
    dilate: int | None = cli.option(
        "pixels by which the hole grows", type=cli.positive_int, metavar="PIXELS"
    )
    feather: bool = cli.option(
        "blend from the photo to G(z) gradually in the pixels that --dilate adds",
        action="store_true",
        default=False,
    )

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """What the help says of a field's default."""
        if field.name == "mask_type":
            return "default: center; file with --mask"
        return _plain_default(field)

    @classmethod
    def of(cls, **given: Any) -> MaskSettings:
        """Settings from what was given, without contradictions.

        Raises:
          UserError: an option contradicts the kind of mask, or lacks one that it belongs to.
        """
        kind = given.setdefault("mask_type", "file" if "mask" in given else cls.mask_type)
        for name in given:
            cli.check_belongs(name, "mask_type", kind, OF_MASK_TYPES)
        settings = cls(**given)
        if kind == "file" and settings.mask is None:
            raise UserError(
                "--mask-type file: --mask PATH must name the mask, or a folder of masks"
            )
        if settings.dilate and not settings.keeps_pixels:
            raise UserError(f"--dilate: there is no hole to grow in --mask-type {kind}")
        if settings.feather and not settings.dilate:
            raise UserError(
                "--feather: ramps inside the pixels that --dilate adds; give --dilate, too"
            )
        return settings

    @property
    def keeps_pixels(self) -> bool:
        """See `masks.keeps_pixels`."""
        return masks.keeps_pixels(self.mask_type)

    def options(self) -> dict[str, Any]:
        """The values of the options for config.json; None for those of other kinds of masks."""
        return cli.options_of(self, "mask_type", OF_MASK_TYPES)


@dataclasses.dataclass(frozen=True)
class CompletionSettings:
    """What is completed by which model, and what becomes of it.

    Attributes:
      images: files and folders as the user gave them.
      checkpoint_dir: of the model; None: `checkpoints.select_model` takes one.
      img_size: edge of the images in pixels; None: the model's.
      resize: crop images to a square and scale them to the model's size.
      out_dir: the output folder.
      out_interval: iterations between pictures of where the search stands.
      overwrite: replace an earlier completion in the output folder.
      batch_size: images of a batch; None: `run.default_batch_size`.
      shard: (I, N): only the I-th of N parts of the images; None: all.
      samples: completions of each image.
      seed: of all that is random.
      precision: of cli.PRECISIONS, as asked for.
      max_pixels: of an image or a mask file; one of more is not read.
    """

    images: tuple[str, ...]
    checkpoint_dir: str | None = cli.option(
        "folder of the model, or one of its checkpoints, such as checkpoint/ckpt-12000",
        "--checkpointDir",
    )
    img_size: int | None = cli.option(
        "edge of the images in pixels", "--imgSize", type=cli.image_size
    )
    resize: bool = cli.option(
        "crop images to a square and scale them to fit", action="store_true", default=False
    )
    out_dir: str = cli.option("folder for the results", "--outDir", default="completions")
    out_interval: int = cli.option(
        "iterations between pictures of where the search stands",
        "--outInterval",
        type=cli.positive_int,
        default=AUTO_OUT_INTERVAL,
    )
    overwrite: bool = cli.option(
        "replace an earlier completion in --outDir", action="store_true", default=False
    )
    batch_size: int | None = cli.option("images at a time", type=cli.positive_int)
    shard: tuple[int, int] | None = cli.option(
        "complete the I-th of N parts of the images; each needs an --outDir of its own",
        type=shard,
        metavar="I/N",
    )
    samples: int = cli.option(
        "completions of each image, from different starts, in samples/, the best first",
        type=cli.positive_int,
        metavar="N",
        default=1,
    )
    seed: int = cli.option("of the first z and random masks", type=cli.seed, default=0)
    precision: str = cli.option(
        "of the search's convolutions; auto: the faster one here",
        choices=cli.PRECISIONS,
        default="auto",
    )
    max_pixels: int = cli.max_pixels_option()

    @classmethod
    def of(cls, approach: str, images: Sequence[str], **given: Any) -> CompletionSettings:
        """Settings from what was given; the approach decides on the default of out_interval.

        Raises:
          UserError: an option belongs to another approach.
        """
        for name in given:
            cli.check_belongs(name, "approach", approach, OF_APPROACHES)
        interval = AUTO_OUT_INTERVAL if approach == "auto" else OUT_INTERVAL
        return cls(tuple(images), **{"out_interval": interval} | given)

    def options(self) -> dict[str, Any]:
        """The values of the options for config.json, without those that change no result.

        `precision` is as asked for.
        """
        values = dataclasses.asdict(self)
        del values["overwrite"], values["max_pixels"]
        return values

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """What the help says of a field's default."""
        special = {
            "checkpoint_dir": "default: ./checkpoint if it holds a model, else data/pretrained",
            "img_size": "default: the model's",
            "out_interval": f"auto: {AUTO_OUT_INTERVAL}, else {OUT_INTERVAL}",
            "batch_size": "default: at most 64",
        }
        return special.get(field.name, _plain_default(field))


def _plain_default(field: dataclasses.Field[Any]) -> str:
    return "" if field.default is None or field.default is False else f"default: {field.default}"
