"""The settings of masks: what is missing. Importing this needs no TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from dcgan_completion.masks import drawing
from dcgan_completion.settings import options
from dcgan_completion.utils import UserError

# Options that only some kinds of masks have.
OF_MASK_TYPES = {
    "center_scale": ("center",),
    "fraction": ("random",),
    "mask": ("file",),
    "invert_mask": ("file",),
}


def center_scale(text: str) -> float:
    """Parse where a central hole begins, as a share of the width."""
    value = options.open_fraction(text)
    if value >= 0.5:
        raise argparse.ArgumentTypeError(f"{text} leaves no hole; it must be below 0.5")
    return value


@dataclasses.dataclass(frozen=True)
class MaskSettings:
    """What is missing in aligned images."""

    mask_type: str = options.option(
        "what is missing: center: a central square; random: randomly chosen pixels (--fraction); "
        "left, right, top, bottom: that half; half: one of these at random; pattern: a quarter of "
        "the pixels, in blobs; grid: all but one pixel of each 4x4 block; lowres: all but the "
        "averages of 8x8 blocks; full: nothing (G reconstructs the whole image); file: what --mask "
        "shows",
        "--maskType",
        choices=(*drawing.MASK_TYPES, "file"),
        default="center",
    )
    center_scale: float = options.option(
        "center: margin on each side of the hole, as a fraction of the image width",
        "--centerScale",
        type=center_scale,
        default=drawing.CENTER_SCALE,
    )
    fraction: float = options.option(
        "random: fraction of the pixels that are missing",
        type=options.open_fraction,
        default=drawing.RANDOM_SHARE,
    )
    mask: str | None = options.option(
        "a mask, white where pixels are missing, or a folder of masks with the inputs' names and "
        "relative paths",
        metavar="PATH",
    )
    invert_mask: bool = options.option(
        "the mask is black where pixels are missing", action="store_true", default=False
    )
    dilate: int | None = options.option(
        "grow the hole by this many pixels", type=options.positive_int, metavar="PIXELS"
    )
    feather: bool = options.option(
        "fade from the photo to the fill across the margin that --dilate adds",
        action="store_true",
        default=False,
    )

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """Say in the help what a field's default is."""
        if field.name == "mask_type":
            return "default: center; file with --mask"
        return options.plain_default(field)

    @classmethod
    def of(cls, **given: Any) -> MaskSettings:
        """Make settings from what was given, without contradictions.

        Raises:
          UserError: an option contradicts the kind of mask, or lacks one that it belongs to.
        """
        kind = given.setdefault("mask_type", "file" if "mask" in given else cls.mask_type)
        for name in given:
            options.check_belongs(name, "mask_type", kind, OF_MASK_TYPES)
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
        """See `drawing.keeps_pixels`."""
        return drawing.keeps_pixels(self.mask_type)

    def options(self) -> dict[str, Any]:
        """Give the options' values for config.json; None for those of other types of masks."""
        return options.options_of(self, "mask_type", OF_MASK_TYPES)
