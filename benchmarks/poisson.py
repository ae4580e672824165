"""Time the filling of a batch's holes, with equal masks and with a mask for every image.

examples:
  python -m benchmarks.poisson
  python -m benchmarks.poisson --smoothness 2 --size 128 --batch-size 16
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

import numpy as np

from dcgan_completion import cli
from dcgan_completion.inpaint import blending
from dcgan_completion.masks import drawing
from dcgan_completion.settings import options

REPEATS = 5
MASK_TYPES = ("center", "left", "top", "pattern", "random", "random 80 %", "grid")


def draw(mask_type: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a hole of a type, bool [S, S, 1], with a known pixel somewhere in it to be distinct."""
    name, _, percent = mask_type.partition(" ")
    fraction = int(percent[:-2]) / 100 if percent else drawing.RANDOM_SHARE
    hole = drawing.draw(name, size, fraction=fraction, rng=rng).copy()
    missing = np.argwhere(hole)
    hole[tuple(missing[rng.integers(len(missing))])] = False
    return hole[..., np.newaxis]


def seconds(
    images: np.ndarray, hole: np.ndarray, candidates: np.ndarray, smoothness: float
) -> list[float]:
    """Time several calls, sorted."""
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        blending.poisson_blend(images, hole, candidates, smoothness)
        found.append(time.perf_counter() - start)
    return sorted(found)


def main(argv: Sequence[str] | None = None) -> None:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.poisson")
    parser.add_argument("--size", type=options.image_size, default=64, help="edge in pixels")
    parser.add_argument("--batch-size", type=options.positive_int, default=64, help="images")
    smoothness = "pixels; 0: Poisson blending (complete.py --blend smooth takes 2 of 64)"
    parser.add_argument("--smoothness", type=float, default=0, help=smoothness)
    args = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    shape = [2, args.batch_size, args.size, args.size, 3]
    images, candidates = rng.integers(0, 256, shape, np.uint8)
    results = {}
    print(f"seconds for {args.batch_size} images of {args.size}x{args.size}: median (worst of 5)")
    for mask_type in MASK_TYPES:
        distinct = np.stack([draw(mask_type, args.size, rng) for _ in images])
        equal = seconds(images, distinct[0], candidates, args.smoothness)
        each = seconds(images, distinct, candidates, args.smoothness)
        print(
            f"{mask_type:12} equal masks {equal[2]:.3f} ({equal[-1]:.3f})"
            f"   distinct {each[2]:.3f} ({each[-1]:.3f})"
        )
        results[mask_type] = {"equal_s": equal[2], "distinct_s": each[2]}
    print(json.dumps(results))


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
