#!/usr/bin/env python3
"""Draw simple faces: a data set that needs no download, for trials and the tests.

Skin, hair, eyes, brows, mouth, background and the direction of the light vary; the face fills the
picture, upright and in the middle.

examples:
  ./data/draw-faces.py --n 3000 --size 32 --out drawn-faces
  ./data/draw-faces.py --n 16 --size 16 --seed 1 --out tiny-faces
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np
from PIL import Image, ImageDraw

import cli
import utils

OVERSAMPLING = 4
# Dark to light: a face's skin lies between two neighbours. RGB.
SKINS = np.array([[62, 38, 28], [110, 70, 48], [160, 110, 80], [205, 155, 120], [240, 205, 180]])
HAIRS = np.array([[20, 16, 14], [60, 38, 24], [120, 80, 45], [190, 150, 90], [150, 145, 140]])
EYES = np.array([[45, 30, 20], [70, 95, 60], [60, 90, 130]])


def draw_face(random: np.random.Generator, size: int) -> np.ndarray:
    """One face, uint8 [size, size, 3]; every property is drawn from `random`."""
    edge = size * OVERSAMPLING
    position = random.uniform(0, len(SKINS) - 1)
    lower = int(position)
    skin = SKINS[lower] + (position - lower) * (SKINS[lower + 1] - SKINS[lower])
    hair = HAIRS[random.integers(len(HAIRS))] + random.uniform(-10, 10, 3)
    iris = EYES[random.integers(len(EYES))]
    background = random.uniform(40, 220, 3)

    def colour(values: np.ndarray) -> tuple[int, ...]:
        return tuple(int(v) for v in np.clip(values, 0, 255))

    picture = Image.new("RGB", (edge, edge), colour(background))
    draw = ImageDraw.Draw(picture)

    def ellipse(x: float, y: float, width: float, height: float, fill: np.ndarray) -> None:
        """Centre and radii as shares of the edge."""
        box = [(x - width) * edge, (y - height) * edge, (x + width) * edge, (y + height) * edge]
        draw.ellipse(box, fill=colour(fill))

    middle, width = 0.5 + random.uniform(-0.02, 0.02), random.uniform(0.40, 0.47)
    ellipse(middle, 0.42, width + 0.06, 0.50, hair)  # behind the face
    if random.random() < 0.4:  # long hair
        box = [(middle - width - 0.06) * edge, 0.4 * edge, (middle + width + 0.06) * edge, edge]
        draw.rectangle(box, fill=colour(hair))
    ellipse(middle, 0.52, width, 0.52, skin)
    fringe = random.uniform(-0.02, 0.10)
    ellipse(middle + random.uniform(-0.1, 0.1), fringe - 0.12, width, 0.22, hair)

    gap, open_eye = random.uniform(0.17, 0.21), random.uniform(0.025, 0.05)
    gaze, tilt = random.uniform(-0.015, 0.015), random.uniform(-0.02, 0.02)
    for side in (-1, 1):
        x = middle + side * gap
        ellipse(x, 0.37, 0.085, open_eye, np.array([240, 240, 235]))
        ellipse(x + gaze, 0.37, 0.035, min(open_eye, 0.035), iris)
        line = [(x - 0.09) * edge, (0.27 + side * tilt) * edge]
        line += [(x + 0.09) * edge, (0.27 - side * tilt) * edge]
        draw.line(line, fill=colour(hair * 0.8), width=max(1, int(0.03 * edge)))
    ellipse(middle, 0.56, 0.055, 0.035, skin * 0.82)
    nose = [(middle - 0.01) * edge, 0.4 * edge, (middle - 0.03) * edge, 0.55 * edge]
    draw.line(nose, fill=colour(skin * 0.88), width=max(1, int(0.015 * edge)))

    lips = skin * 0.6 + np.array([75, 15, 20])
    half, smile = random.uniform(0.10, 0.18), random.uniform(-0.02, 0.07)
    mouth_y = 0.75
    if random.random() < 0.3:  # open
        ellipse(middle, mouth_y, half, random.uniform(0.03, 0.06), lips)
        ellipse(middle, mouth_y, half * 0.75, 0.02, np.array([235, 230, 225]))
    else:
        xs = np.linspace(-1, 1, 9)
        points = [
            ((middle + half * x) * edge, (mouth_y + smile * (0.5 - x * x)) * edge) for x in xs
        ]
        draw.line(points, fill=colour(lips), width=max(1, int(0.04 * edge)), joint="curve")

    # Light from one side: a ramp over the whole picture.
    angle, strength = random.uniform(0, 2 * np.pi), random.uniform(0, 0.35)
    y, x = np.mgrid[0:edge, 0:edge] / edge - 0.5
    light = random.uniform(0.85, 1.1) + strength * (x * np.cos(angle) + y * np.sin(angle))
    lit = np.clip(np.asarray(picture) * light[..., np.newaxis], 0, 255)
    return utils.crop_and_resize(lit.astype(np.uint8), size)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--n", type=cli.positive_int, default=3000, help="number of faces")
    parser.add_argument("--size", type=cli.positive_int, default=32, help="edge in pixels")
    parser.add_argument("--seed", type=cli.seed, default=0, help="of the faces")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the PNGs go")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the faces."""
    args = build_parser().parse_args(argv)
    utils.check_writable(args.out, "--out")
    os.makedirs(args.out, exist_ok=True)
    for i in range(args.n):
        face = draw_face(np.random.default_rng([args.seed, i]), args.size)
        utils.save_image(os.path.join(args.out, f"face-{args.seed}-{i:05d}.png"), face)
    print(f"{args.n} faces are in {args.out}")


if __name__ == "__main__":
    sys.exit(cli.run(main))
