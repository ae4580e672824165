#!/usr/bin/env python3
"""Copy two public-domain portraits out of the packages that carry them.

Grace Hopper (US Navy, sample data of matplotlib) and Eileen Collins (NASA, scikit-image).

examples:
  ./data/copy-portraits.py --out portraits
  ./data/copy-portraits.py --out data/your-test-data/raw
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dcgan_completion import cli, utils
from dcgan_completion.photos.portraits import PORTRAITS


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--out", required=True, metavar="DIR", help="where the photos go")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Copies the photos."""
    args = build_parser().parse_args(argv)
    utils.check_writable(args.out, "--out")
    os.makedirs(args.out, exist_ok=True)
    for name, load in PORTRAITS.items():
        utils.save_image(os.path.join(args.out, name), load())
        print(os.path.join(args.out, name))


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
