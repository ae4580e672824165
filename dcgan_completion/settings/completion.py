"""The settings of complete.py besides those of search and masks: its images and results.

Defaults, choices and help of the options are written here alone; command lines are built from
these classes. Importing this needs no TensorFlow.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from dcgan_completion.settings import options
from dcgan_completion.settings.search import SEARCHES

# Iterations between pictures: of auto, of the other approaches.
AUTO_OUT_INTERVAL, OUT_INTERVAL = 10, 50
OF_APPROACHES: dict[str, tuple[str, ...]] = {
    "out_interval": SEARCHES
}  # options that only some approaches have


def shard(text: str) -> tuple[int, int]:
    """Parse I/N, the I-th of N parts."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 2/4, the second of four parts")
    return int(part), int(parts)


@dataclasses.dataclass(frozen=True)
class CompletionSettings:
    """What is completed by which model, and what becomes of it."""

    images: tuple[str, ...]
    checkpoint_dir: str | None = options.option(
        "the model's folder, or one of its checkpoints, such as checkpoint/ckpt-12000",
        "--checkpointDir",
    )
    img_size: int | None = options.option(
        "size of the images in pixels, which must be the model's",
        "--imgSize",
        type=options.image_size,
    )
    resize: bool = options.option(
        "crop the images to their central squares and scale them to the model's size",
        action="store_true",
        default=False,
    )
    out_dir: str = options.option("folder for the results", "--outDir", default="completions")
    out_interval: int = options.option(
        "save intermediate images every so many iterations",
        "--outInterval",
        type=options.positive_int,
        default=AUTO_OUT_INTERVAL,
    )
    overwrite: bool = options.option(
        "replace the results of an earlier run in --out-dir", action="store_true", default=False
    )
    batch_size: int | None = options.option("images per batch", type=options.positive_int)
    shard: tuple[int, int] | None = options.option(
        "complete only the I-th of N parts of the images; each part needs its own --out-dir",
        type=shard,
        metavar="I/N",
    )
    samples: int = options.option(
        "number of different completions of each image, saved in samples/, the lowest loss first",
        type=options.positive_int,
        metavar="N",
        default=1,
    )
    seed: int = options.option(
        "seed of the initial z and of random masks", type=options.seed, default=0
    )
    precision: str = options.option(
        "precision of the convolutions in the search; auto: whichever is faster on this machine",
        choices=options.PRECISIONS,
        default="auto",
    )
    max_pixels: int = options.max_pixels_option()

    @classmethod
    def of(cls, approach: str, images: Sequence[str], **given: Any) -> CompletionSettings:
        """Make settings from what was given; the approach decides on the default of out_interval.

        Raises:
          UserError: an option belongs to another approach.
        """
        for name in given:
            options.check_belongs(name, "approach", approach, OF_APPROACHES)
        interval = AUTO_OUT_INTERVAL if approach == "auto" else OUT_INTERVAL
        values: dict[str, Any] = {"out_interval": interval} | given
        return cls(tuple(images), **values)

    def options(self) -> dict[str, Any]:
        """Give the values of the options for config.json, without those that change no result.

        `precision` is as asked for.
        """
        values = dataclasses.asdict(self)
        del values["overwrite"], values["max_pixels"]
        return values

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """Say in the help what a field's default is."""
        special = {
            "checkpoint_dir": "default: ./checkpoint if it holds a model, else data/pretrained",
            "img_size": "default: the model's",
            "out_interval": f"default: auto: {AUTO_OUT_INTERVAL}; others: {OUT_INTERVAL}",
            "batch_size": "default: at most 64",
        }
        return special.get(field.name, options.plain_default(field))
