"""The settings of an alignment. Importing this needs neither dlib nor TensorFlow."""

from __future__ import annotations

import dataclasses
import os

from dcgan_completion.settings import options


@dataclasses.dataclass(frozen=True)
class AlignmentSettings:
    """The options of an alignment."""

    photos: str  # folder, searched with all below it
    output: str  # folder for the aligned faces
    landmarks: str  # a key of faces.LANDMARK_SETS
    size: int  # edge of an aligned face in pixels
    skip_multi: bool  # leave out photos with several faces
    predictor: str | None  # path of a landmark model; None for the installed one
    workers: int  # number of processes
    max_pixels: int = options.max_pixels_option()

    @property
    def report(self) -> str:
        """Path of the report, beside the output folder."""
        return self.output.rstrip("/" + os.sep) + "-report.csv"
