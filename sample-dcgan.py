#!/usr/bin/env python3
"""Draw images from a trained model's generator.

examples:
  ./sample-dcgan.py --n 64 --seed 0 --out samples.png
  ./sample-dcgan.py --n 1000 --individual generated-faces
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import cli
import utils
from utils import UserError


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--n", type=cli.picture_count, default=64, help="number of images")
    parser.add_argument(
        "--seed",
        type=cli.seed,
        default=0,
        help="of the latent z; the first images of a seed are the same for every --n",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", metavar="FILE", help="grid of all (default: samples.png)")
    where.add_argument("--individual", metavar="DIR", help="a folder for one file each instead")
    parser.add_argument(
        "--checkpoint-dir",
        "--checkpoint_dir",
        "--checkpointDir",
        help="folder of the model, or one of its checkpoints, such as checkpoint/ckpt-12000 "
        "(default: ./checkpoint if it holds a model, else data/pretrained)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    return parser


def output_files(args: argparse.Namespace) -> list[str]:
    """The files to write: the grid's alone, or one for each image.

    Raises:
      UserError: the grid's name is not a PNG's, the place cannot be written, or a file is there.
    """
    if args.individual:
        utils.check_writable(args.individual, "--individual")
        names = [f"{args.seed}-{i:05d}.png" for i in range(args.n)]
        paths = [os.path.join(args.individual, name) for name in names]
    else:
        grid = args.out or "samples.png"
        if not grid.lower().endswith(".png"):
            raise UserError(f"--out {grid}: pictures are PNG; name it {grid}.png")
        utils.check_writable(os.path.dirname(grid) or ".", "--out")
        paths = [grid]
    for path in paths:
        if os.path.isdir(path) or (os.path.exists(path) and not args.overwrite):
            raise UserError(f"{path}: exists; name another place, or replace it with --overwrite")
    return paths


def main(argv: Sequence[str] | None = None) -> None:
    """Draws and writes the images."""
    args = build_parser().parse_args(argv)
    paths = output_files(args)
    cli.prepare_tensorflow()
    import numpy as np

    import checkpoints

    checkpoint_dir, note = checkpoints.select_model(args.checkpoint_dir)
    if note:
        print(note)
    model, prefix = checkpoints.load_model(checkpoint_dir)
    z = np.random.default_rng(args.seed).uniform(-1, 1, [args.n, model.z_dim])
    images = checkpoints.generate(model, z)
    os.makedirs(os.path.dirname(paths[0]) or ".", exist_ok=True)
    outputs = images if args.individual else [utils.image_grid(images)]
    for path, image in zip(paths, outputs, strict=True):
        utils.save_image(path, image)
    print(f"{args.n} pictures by {prefix} are in {args.individual or paths[0]}")


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
