#!/usr/bin/env python3
"""Write a trained model to a folder of its own, to pass on: without what only training needs.

The averaged generator, the discriminator, the configuration, and SHA256SUMS, which loading checks
by. complete.py, sample-dcgan.py and train-dcgan.py --init-from take the folder.

examples:
  ./data/export-model.py checkpoint my-model
  ./data/export-model.py checkpoint/ckpt-12000 my-model
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import cli
import utils
from utils import UserError


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("checkpoint", help="folder of the model, or one of its checkpoints")
    parser.add_argument("out", help="folder to make")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Exports the model."""
    args = build_parser().parse_args(argv)
    utils.check_writable(args.out, "out")
    utils.check_name(args.out, "TensorFlow")
    if os.path.lexists(args.out):
        raise UserError(f"{args.out}: exists; name another folder")
    cli.prepare_tensorflow()
    from training import checkpointing

    prefix = checkpointing.export_model(args.checkpoint, args.out)
    size = sum(entry.stat().st_size for entry in os.scandir(args.out)) / 1e6
    print(f"{prefix}: {size:.1f} MB")


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
