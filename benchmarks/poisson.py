#!/usr/bin/env python3
"""Time the filling of a batch's holes, with equal masks and with a mask for every image.

examples:
  python benchmarks/poisson.py
  python benchmarks/poisson.py --smoothness 2 --size 128 --batch-size 16
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dcgan_completion import cli
from dcgan_completion.inpaint import blending
from dcgan_completion.masks import mask as masks
from dcgan_completion.settings import options

REPEATS = 5
MASK_TYPES = ("center", "left", "top", "pattern", "random", "random 80 %", "grid")


def draw(mask_type: str, size: int, random: np.random.Generator) -> np.ndarray:
    """A mask of the type; those that are not drawn get a known pixel each to be distinct."""
    name, _, percent = mask_type.partition(" ")
    fraction = int(percent[:-2]) / 100 if percent else masks.RANDOM_MISSING
    mask = masks.make_mask(name, size, fraction=fraction, random=random)
    missing = np.argwhere(mask[..., 0] == 0)
    mask[tuple(missing[random.integers(len(missing))])] = 1
    return mask


def seconds(
    images: np.ndarray, mask: np.ndarray, generated: np.ndarray, smoothness: float
) -> list[float]:
    """What each of several calls took, sorted."""
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        blending.poisson_blend(images, mask, generated, smoothness)
        found.append(time.perf_counter() - start)
    return sorted(found)


def main() -> int:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--size", type=options.image_size, default=64, help="edge in pixels")
    parser.add_argument("--batch-size", type=options.positive_int, default=64, help="images")
    smoothness = "pixels; 0: Poisson blending (complete.py --blend smooth takes 2 of 64)"
    parser.add_argument("--smoothness", type=float, default=0, help=smoothness)
    args = parser.parse_args()
    random = np.random.default_rng(0)
    shape = [args.batch_size, args.size, args.size, 3]
    images, generated = random.integers(0, 256, [2, *shape], np.uint8)
    results = {}
    print(f"seconds for {args.batch_size} images of {args.size}x{args.size}: median (worst of 5)")
    for mask_type in MASK_TYPES:
        distinct = np.stack([draw(mask_type, args.size, random) for _ in images])
        equal = seconds(images, distinct[0], generated, args.smoothness)
        each = seconds(images, distinct, generated, args.smoothness)
        print(
            f"{mask_type:12} equal masks {equal[2]:.3f} ({equal[-1]:.3f})"
            f"   distinct {each[2]:.3f} ({each[-1]:.3f})"
        )
        results[mask_type] = {"equal_s": equal[2], "distinct_s": each[2]}
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(cli.run_main(lambda _: main()))
