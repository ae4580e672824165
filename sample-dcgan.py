#!/usr/bin/env python3
"""Draw pictures from a trained model's generator.

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
    parser.add_argument("--n", type=cli.positive_int, default=64, help="number of pictures")
    parser.add_argument(
        "--seed",
        type=cli.seed,
        default=0,
        help="of the latent z; the first pictures of a seed are the same for every --n",
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


def main(argv: Sequence[str] | None = None) -> None:
    """Draws and writes the pictures."""
    args = build_parser().parse_args(argv)
    if args.individual:
        utils.check_writable(args.individual, "--individual")
        names = [f"{args.seed}-{i:05d}.png" for i in range(args.n)]
        paths = [os.path.join(args.individual, name) for name in names]
    else:
        args.out = args.out or "samples.png"
        if not args.out.lower().endswith(".png"):
            raise UserError(f"--out {args.out}: pictures are PNG; name it {args.out}.png")
        utils.check_writable(os.path.dirname(args.out) or ".", "--out")
        paths = [args.out]
    for path in paths:
        if os.path.isdir(path) or (os.path.exists(path) and not args.overwrite):
            raise UserError(f"{path}: exists; name another place, or replace it with --overwrite")

    cli.prepare_tensorflow()
    import numpy as np

    import checkpoints
    from training import logs as report

    args.checkpoint_dir, note = checkpoints.choose(args.checkpoint_dir)
    if note:
        print(note)
    model, prefix = checkpoints.load_model(args.checkpoint_dir)
    z = np.random.default_rng(args.seed).uniform(-1, 1, [args.n, model.z_dim])
    pictures = report.generate(model, z)
    os.makedirs(args.individual or os.path.dirname(args.out) or ".", exist_ok=True)
    if args.individual:
        for path, picture in zip(paths, pictures, strict=True):
            utils.save_image(path, picture)
    else:
        utils.save_image(args.out, utils.image_grid(pictures))
    print(f"{args.n} pictures by {prefix} are in {args.individual or args.out}")


if __name__ == "__main__":
    sys.exit(cli.run(main))
