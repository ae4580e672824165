"""The settings of complete-photo.py besides those of its search: photos, faces, masks.

Importing this needs no TensorFlow.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from dcgan_completion.masks import drawing
from dcgan_completion.settings import options
from dcgan_completion.settings.completion import CompletionSettings
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.utils import UserError

LANDMARKS = "innerEyesAndBottomLip"  # of alignment.LANDMARK_SETS: that of the model that ships
ALL, LARGEST = "all", "largest"
DEFAULT_FOLDER = "repaired"
OUTPUT_FORMATS = ("png", "same")
TRANSFER, GRAIN, NONE = DETAILS = ("transfer", "grain", "none")


def face(text: str) -> str:
    """Parse ALL, LARGEST, or the number of a face, as an argparse type."""
    if text in (ALL, LARGEST):
        return text
    try:
        return str(options.positive_int(text))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not {ALL}, {LARGEST} or the number of a face"
        ) from None


@dataclasses.dataclass(frozen=True)
class PhotoSettings:
    """Which photos are repaired by which model, and what becomes of them."""

    photos: tuple[str, ...]
    checkpoint_dir: str | None = options.same_option(CompletionSettings, "checkpoint_dir")
    out_dir: str = options.same_option(CompletionSettings, "out_dir", default=DEFAULT_FOLDER)
    overwrite: bool = options.same_option(
        CompletionSettings, "overwrite", help_text="replace what an earlier run left in --out-dir"
    )
    format: str = options.option(
        "format of the repaired photos; same: the input's, if it can store transparency and depth "
        "as they are (encoding a JPEG again slightly changes every pixel)",
        choices=OUTPUT_FORMATS,
        default="png",
    )
    patch: bool = options.option(
        "also save the filled area as a transparent layer for image editors, in patch/",
        action="store_true",
        default=False,
    )
    face: str = options.option(
        "which of the faces that the hole touches are completed: all, the largest, or face number "
        "N, counting all detected faces from left to right, as --list-faces shows them",
        type=face,
        metavar=f"{ALL}|{LARGEST}|N",
        default=ALL,
    )
    list_faces: bool = options.option(
        "draw the faces found, with their numbers, into faces-found/ in --out-dir, and exit",
        action="store_true",
        default=False,
    )
    landmarks: str | None = options.option(
        "text file of landmarks, for a face that the detector misses: three lines x,y, in pixels "
        "after rotation by EXIF: the inner corner of the eye on the left, that of the eye on the "
        "right, the middle of the lower lip's lower edge",
        metavar="FILE",
    )
    detail: str | None = options.option(
        "what makes faces as sharp as the photo, if they are larger in it than the model's images; "
        "transfer: fine detail of the face's other half and of its known skin and hair; grain: "
        "noise like that of the face, which smaller faces get with transfer, too; none: nothing",
        choices=DETAILS,
    )
    no_grain: bool = options.option("the same as --detail none", action="store_true", default=False)
    batch_size: int | None = options.same_option(
        CompletionSettings, "batch_size", help_text="faces per batch"
    )
    shard: tuple[int, int] | None = options.same_option(
        CompletionSettings,
        "shard",
        help_text="repair only the I-th of N parts of the photos; each part needs its own "
        "--out-dir",
    )
    samples: int = options.same_option(
        CompletionSettings,
        "samples",
        help_text="number of different repaired versions of each photo, saved in samples/, the "
        "best first",
    )
    seed: int = options.same_option(
        CompletionSettings, "seed", help_text="seed of the initial z, of random masks and of grain"
    )
    precision: str = options.same_option(CompletionSettings, "precision")
    max_pixels: int = options.max_pixels_option()

    @classmethod
    def of(cls, photos: Sequence[str], **given: Any) -> PhotoSettings:
        """Make settings from what was given, without contradictions.

        Raises:
          UserError: options contradict each other.
        """
        for name in ("face", "list_faces"):
            if "landmarks" in given and name in given:
                raise UserError(
                    f"--landmarks says where the face is and contradicts {options.flag(name)}; "
                    "leave one of them out"
                )
        if given.get("no_grain"):
            if given.get("detail", NONE) != NONE:
                raise UserError(
                    f"--no-grain is --detail {NONE} and contradicts --detail {given['detail']}; "
                    "leave one of them out"
                )
            given["detail"] = NONE
        # Both are recorded: an earlier version knew only --no-grain.
        given["no_grain"] = given.get("detail") == NONE
        return cls(tuple(photos), **given)

    def options(self) -> dict[str, Any]:
        """Return the options for config.json, without those that change no result.

        `precision` is as asked for.
        """
        values = dataclasses.asdict(self)
        for name in ("overwrite", "max_pixels", "list_faces"):
            del values[name]
        return values

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """Describe a field's default for the help."""
        if field.name == "batch_size":
            return "default: at most 16"
        if field.name == "detail":
            return f"default: {TRANSFER}; for a run that an earlier version began: {GRAIN}"
        return CompletionSettings.default_text(field)


# --- what is missing ---

# Where the hole comes from; one of them is given.
SOURCES = ("mask", "mask_alpha", "box", "mask_type")
# Options that only one source has.
OF_SOURCES = {"invert_mask": "mask", "center_scale": "mask_type", "fraction": "mask_type"}

Box = tuple[int, int, int, int]


def box(text: str) -> Box:
    """Parse X,Y,W,H, the left, top, width and height of a rectangle, as an argparse type."""
    try:
        left, top, width, height = map(int, text.split(","))
    except ValueError:
        left = top = width = height = -1
    if min(left, top) < 0 or min(width, height) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like 40,60,120,80: left, top, width and height in whole pixels"
        )
    return left, top, width, height


@dataclasses.dataclass(frozen=True)
class PhotoMaskSettings:
    """What is missing of photos, in coordinates of the upright photo but for `mask_type`."""

    mask: str | None = options.same_option(MaskSettings, "mask")
    mask_alpha: bool = options.option(
        "transparent pixels of the photo are missing", action="store_true", default=False
    )
    box: tuple[Box, ...] | None = options.option(
        "a rectangle is missing: left, top, width and height in pixels; may be repeated",
        type=box,
        action="append",
        metavar="X,Y,W,H",
    )
    mask_type: str | None = options.same_option(
        MaskSettings,
        "mask_type",
        default=None,
        help_text="for experiments: a mask of that type in the square of each face",
        choices=[name for name in drawing.MASK_TYPES if drawing.keeps_pixels(name)],
    )
    center_scale: float = options.same_option(MaskSettings, "center_scale")
    fraction: float = options.same_option(MaskSettings, "fraction")
    invert_mask: bool = options.same_option(MaskSettings, "invert_mask")
    dilate: int | None = options.same_option(MaskSettings, "dilate")
    feather: bool = options.same_option(MaskSettings, "feather")

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """Describe a field's default for the help."""
        return "" if field.name == "mask_type" else MaskSettings.default_text(field)

    @classmethod
    def of(cls, **given: Any) -> PhotoMaskSettings:
        """Make settings from what was given, without contradictions.

        Raises:
          UserError: nothing says what is missing, several options do, or one lacks what it
            belongs to.
        """
        sources = [name for name in SOURCES if name in given]
        if not sources:
            raise UserError(
                "what is missing of the photo? give --mask MASK, --mask-alpha, --box X,Y,W,H or, "
                "for experiments, --mask-type"
            )
        if len(sources) > 1:
            first, second = (options.flag(name) for name in sources[:2])
            raise UserError(f"{first} and {second} both say what is missing; leave one of them out")
        for name, source in OF_SOURCES.items():
            if name in given and source != sources[0]:
                raise UserError(
                    f"{options.flag(name)} belongs to {options.flag(source)} and contradicts "
                    f"{options.flag(sources[0])}; leave one of them out"
                )
        of_square = ("mask_type", "center_scale", "fraction", "dilate", "feather")
        MaskSettings.of(**{name: given[name] for name in of_square if name in given})
        if "box" in given:
            given["box"] = tuple(given["box"])
        return cls(**given)

    @property
    def in_square(self) -> MaskSettings | None:
        """The masks in the squares of the faces; None if the hole is one of the photo."""
        if self.mask_type is None:
            return None
        shared = {field.name for field in options.option_fields(MaskSettings)} - {
            "mask",
            "invert_mask",
        }
        return MaskSettings(**{name: getattr(self, name) for name in shared})

    def options(self) -> dict[str, Any]:
        """Return the options for config.json; None for those of other sources."""
        values = dataclasses.asdict(self)
        for name, source in OF_SOURCES.items():
            if getattr(self, source) is None:
                values[name] = None
        return values
