#!/usr/bin/env python3
"""Write a trained model to a folder of its own, to pass on: without what only training needs.

The averaged generator, the discriminator, the configuration, and SHA256SUMS, which loading checks
by; and the same of the context encoder, if there is one in the model's folder, in 16 bits a weight.
complete.py, sample-dcgan.py and train-dcgan.py --init-from take the folder. The folder of a context
encoder, or one of its checkpoints, is exported alone.

examples:
  ./data/export-model.py checkpoint my-model
  ./data/export-model.py checkpoint/ckpt-12000 my-model
  ./data/export-model.py checkpoint/context-encoder my-model/context-encoder
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


def size_text(folder: str) -> str:
    """The size of a folder's files, without those of folders in it."""
    return f"{sum(e.stat().st_size for e in os.scandir(folder) if e.is_file()) / 1e6:.1f} MB"


def main(argv: Sequence[str] | None = None) -> None:
    """Exports the model."""
    args = build_parser().parse_args(argv)
    utils.check_writable(args.out, "out")
    utils.check_name(args.out, "TensorFlow")
    if os.path.lexists(args.out):
        raise UserError(f"{args.out}: exists; name another folder")
    cli.prepare_tensorflow()
    import checkpoints
    from training import checkpointing

    print(f"{checkpointing.export_model(args.checkpoint, args.out)}: {size_text(args.out)}")
    if encoder := checkpoints.encoder_folder(args.out):
        print(f"{encoder}: {size_text(encoder)}")


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
