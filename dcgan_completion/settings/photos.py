"""The settings of complete-photo.py besides those of its search and of its holes.

Importing this needs no TensorFlow.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from dcgan_completion.photos.files import OUTPUT_FORMATS
from dcgan_completion.settings import options
from dcgan_completion.settings.completion import CompletionSettings
from dcgan_completion.utils import UserError

LANDMARKS = "innerEyesAndBottomLip"  # of faces.LANDMARK_SETS: those of the models that ship
ALL, LARGEST = "all", "largest"
DEFAULT_FOLDER = "repaired"


def face(text: str) -> str:
    """argparse type: ALL, LARGEST, or the number of a face."""
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
    """Which photos are repaired by which model, and what becomes of them.

    Attributes:
      photos: files and folders as the user gave them.
      checkpoint_dir: of the model; None: `checkpoints.select_model` takes one.
      out_dir: the output folder.
      overwrite: replace an earlier run in the output folder.
      format: of the repaired photos, of files.OUTPUT_FORMATS.
      patch: write what was filled as a layer, too.
      face: which faces are completed: ALL, LARGEST or a number (`detection.choose_faces`).
      list_faces: draw the faces and stop.
      landmarks: path of a file with a face's landmarks (`detection.read_landmarks`).
      no_grain: leave out the noise that the photo has.
      batch_size: faces of a batch; None: `run.default_batch_size`.
      shard: (I, N): only the I-th of N parts of the photos; None: all.
      samples: repaired versions of each photo.
      seed: of all that is random.
      precision: of options.PRECISIONS, as asked for.
      max_pixels: of a photo or a mask file; one of more is not read.
    """

    photos: tuple[str, ...]
    checkpoint_dir: str | None = options.same_option(CompletionSettings, "checkpoint_dir")
    out_dir: str = options.same_option(CompletionSettings, "out_dir", default=DEFAULT_FOLDER)
    overwrite: bool = options.same_option(
        CompletionSettings, "overwrite", help_text="replace what an earlier run left in --out-dir"
    )
    format: str = options.option(
        "of the repaired photos: same, that of the photo, where it holds all that is kept; a JPEG "
        "file changes in all pixels when it is written again",
        choices=OUTPUT_FORMATS,
        default="png",
    )
    patch: bool = options.option(
        "write what was filled as a layer for image editors, too, into patch/",
        action="store_true",
        default=False,
    )
    face: str = options.option(
        "of the faces whose squares the hole touches all, the largest, or the one with that "
        "number, from left to right",
        type=face,
        metavar=f"{ALL}|{LARGEST}|N",
        default=ALL,
    )
    list_faces: bool = options.option(
        "draw the faces found, with their numbers, into faces-found/ of --out-dir, and stop",
        action="store_true",
        default=False,
    )
    landmarks: str | None = options.option(
        "a text file that says where the face of the photo is: three lines x,y, in pixels of the "
        "upright photo, of the inner corners of the left and the right eye, as the photo shows "
        "them, and of the middle of the lower lip's lower edge",
        metavar="FILE",
    )
    no_grain: bool = options.option(
        "put no noise into what is filled", action="store_true", default=False
    )
    batch_size: int | None = options.same_option(
        CompletionSettings, "batch_size", help_text="faces at a time"
    )
    shard: tuple[int, int] | None = options.same_option(
        CompletionSettings,
        "shard",
        help_text="repair the I-th of N parts of the photos; each needs an --out-dir of its own",
    )
    samples: int = options.same_option(
        CompletionSettings,
        "samples",
        help_text="repaired versions of each photo, from different starts, in samples/, the best "
        "first",
    )
    seed: int = options.same_option(
        CompletionSettings, "seed", help_text="of the first z, random masks and grain"
    )
    precision: str = options.same_option(CompletionSettings, "precision")
    max_pixels: int = options.max_pixels_option()

    @classmethod
    def of(cls, photos: Sequence[str], **given: Any) -> PhotoSettings:
        """Settings from what was given, without contradictions.

        Raises:
          UserError: options contradict each other.
        """
        for name in ("face", "list_faces"):
            if "landmarks" in given and name in given:
                raise UserError(
                    f"--landmarks says where the face is and contradicts {options.flag(name)}; "
                    "leave one of them out"
                )
        return cls(tuple(photos), **given)

    def options(self) -> dict[str, Any]:
        """The values of the options for config.json, without those that change no result.

        `precision` is as asked for.
        """
        values = dataclasses.asdict(self)
        for name in ("overwrite", "max_pixels", "list_faces"):
            del values[name]
        return values

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """What the help says of a field's default."""
        if field.name == "batch_size":
            return "default: at most 16"
        return CompletionSettings.default_text(field)
