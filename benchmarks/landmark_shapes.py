"""Fit the Gaussian of faces' shapes that photos/landmark_shapes.py holds, and print its numbers.

The shapes are dlib's landmarks of the largest faces of photos, and their mirror images, turned,
scaled and moved to the mean; the components are their principal ones.

example:
  python -m benchmarks.landmark_shapes celeba-raw utkface-raw --every 40
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from dcgan_completion import cli, utils
from dcgan_completion.settings import options
from dcgan_completion.utils import UserError

COMPONENTS = 8
ROUNDS = 5  # of superimposing shapes on their mean, and averaging them
# dlib's landmarks of a face in its mirror image.
MIRROR = np.r_[
    np.arange(16, -1, -1), np.arange(26, 16, -1), 27:31, np.arange(35, 30, -1), 45:41:-1, 47, 46,
    39:35:-1, 41, 40, np.arange(54, 47, -1), np.arange(59, 54, -1), np.arange(64, 59, -1),
    67, 66, 65,
]  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.landmark_shapes")
    parser.add_argument(
        "photos", nargs="+", metavar="FOLDER", help="raw photos, searched with all below it"
    )
    parser.add_argument(
        "--every", type=options.positive_int, default=1, metavar="N", help="of the photos, in order"
    )
    return parser


def read_shapes(paths: Sequence[str]) -> np.ndarray:
    """Find dlib's landmarks of the photos' largest faces, [N, 68, 2]; others are left out."""
    from dcgan_completion.evaluation.photo_cases import largest_face, load_photo
    from dcgan_completion.faces.aligner import FaceAligner
    from dcgan_completion.settings.photos import LANDMARKS

    aligner, shapes = FaceAligner(LANDMARKS, 64), []
    for path in paths:
        try:
            shapes.append(largest_face(load_photo(path, 3), aligner))
        except UserError:
            cli.print_error(f"left out: {path}")
    return np.stack(shapes)


def superimpose(shape: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Turn, scale and move a shape, [68, 2], to another by least squares."""
    some, others = (points @ np.array([1, 1j]) for points in (shape, target))
    away = some - some.mean()
    factor = np.vdot(away, others - others.mean()) / np.vdot(away, away)
    moved = factor * away + others.mean()
    return np.stack([moved.real, moved.imag], axis=1)


def fit(shapes: np.ndarray) -> np.ndarray:
    """Fit the mean shape and components, scaled by deviation: [1 + COMPONENTS, 68, 2]."""
    from dcgan_completion.faces.template import TEMPLATE

    every = np.concatenate([shapes, shapes[:, MIRROR] * [-1, 1]])
    mean = TEMPLATE
    for _ in range(ROUNDS):
        mean = superimpose(np.mean([superimpose(shape, mean) for shape in every], axis=0), TEMPLATE)
    rest = np.stack([superimpose(shape, mean) - mean for shape in every]).reshape(len(every), -1)
    values, vectors = np.linalg.eigh(rest.T @ rest / len(rest))
    scaled = vectors[:, ::-1].T[:COMPONENTS] * np.sqrt(values[::-1][:COMPONENTS, np.newaxis])
    return np.concatenate([mean[np.newaxis], scaled.reshape(-1, 68, 2)])


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    paths = [path for folder in args.photos for path in utils.list_images(folder)][:: args.every]
    if not paths:
        raise UserError(f"{' '.join(args.photos)}: holds no images")
    shapes = read_shapes(paths)
    print(f"# {len(shapes)} photos: x, then y of the mean and of each component, in thousandths")
    for rows in np.rint(1000 * fit(shapes)).astype(int).swapaxes(1, 2).tolist():
        print(f"{rows},")


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
