r"""Find the largest face in every photo of a folder, and align it to the mean face.

Writes one flat folder of PNGs, and next to it a report, outputDir-report.csv, with one row for each
photo. Photos that the report lists already are skipped on later runs.

examples:
  ./align-dlib.py data/your-dataset/raw align innerEyesAndBottomLip \
      data/your-dataset/aligned --size 64
  ./align-dlib.py photos align innerEyesAndBottomLip heads --heads
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dcgan_completion import cli, utils
from dcgan_completion.settings import options
from dcgan_completion.settings.alignment import LANDMARK_SETS, AlignmentSettings


def build_parser() -> argparse.ArgumentParser:
    """Build the command line, with the names of OpenFace's tool, which the tutorial calls."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("inputDir", help="folder of photos, searched recursively")
    parser.add_argument("mode", choices=["align"], help="the word align, as in OpenFace's tool")
    parser.add_argument("landmarks", choices=LANDMARK_SETS, help="landmarks used for alignment")
    parser.add_argument("outputDir", help="folder for the aligned faces")
    options.add_options(parser, AlignmentSettings, options.plain_default)
    return parser


def read_settings(argv: Sequence[str] | None) -> AlignmentSettings:
    """Read the settings from the command line."""
    args = build_parser().parse_args(argv)
    given = options.given_options(args, AlignmentSettings)
    return AlignmentSettings(args.inputDir, args.outputDir, args.landmarks, **given)


def main(argv: Sequence[str] | None = None) -> None:
    """Align a folder of photos."""
    settings = read_settings(argv)
    utils.limit_pixels(settings.max_pixels)
    from dcgan_completion.faces import folder, report

    done_earlier = folder.align_missing(settings)
    rows = report.read_report(settings.report, settings.size, settings.landmarks)
    # Sorted, each photo once.
    report.write_report(settings.report, (rows[path] for path in sorted(rows)))
    print(folder.summary_of(rows.values(), done_earlier, settings))
