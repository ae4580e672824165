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

from dcgan_completion import cli, utils
from dcgan_completion.settings import options

OVERSAMPLING = 4
# Dark to light: a face's skin lies between two neighbours. RGB.
SKINS = np.array([[62, 38, 28], [110, 70, 48], [160, 110, 80], [205, 155, 120], [240, 205, 180]])
HAIRS = np.array([[20, 16, 14], [60, 38, 24], [120, 80, 45], [190, 150, 90], [150, 145, 140]])
EYES = np.array([[45, 30, 20], [70, 95, 60], [60, 90, 130]])


class Canvas:
    """A square picture to draw on; places and sizes are shares of its edge, colours [3]."""

    def __init__(self, edge: int, background: np.ndarray) -> None:
        """`edge` is in pixels."""
        self.edge = edge
        self.picture = Image.new("RGB", (edge, edge), self._rgb(background))
        self._draw = ImageDraw.Draw(self.picture)

    @staticmethod
    def _rgb(colour: np.ndarray) -> tuple[int, ...]:
        return tuple(int(v) for v in np.clip(colour, 0, 255))

    def ellipse(self, x: float, y: float, width: float, height: float, fill: np.ndarray) -> None:
        """By its centre and radii."""
        box = [x - width, y - height, x + width, y + height]
        self._draw.ellipse([v * self.edge for v in box], fill=self._rgb(fill))

    def rectangle(self, box: Sequence[float], fill: np.ndarray) -> None:
        """By its left, upper, right and lower side."""
        self._draw.rectangle([v * self.edge for v in box], fill=self._rgb(fill))

    def line(self, points: Sequence[float], width: float, fill: np.ndarray) -> None:
        """Through x, y, x, y, ..."""
        pixels = max(1, int(width * self.edge))
        self._draw.line(
            [v * self.edge for v in points], fill=self._rgb(fill), width=pixels, joint="curve"
        )


def draw_face(random: np.random.Generator, size: int) -> np.ndarray:
    """One face, uint8 [size, size, 3]; every property is drawn from `random`."""
    position = random.uniform(0, len(SKINS) - 1)
    lower = int(position)
    skin = SKINS[lower] + (position - lower) * (SKINS[lower + 1] - SKINS[lower])
    hair = HAIRS[random.integers(len(HAIRS))] + random.uniform(-10, 10, 3)
    iris = EYES[random.integers(len(EYES))]
    canvas = Canvas(size * OVERSAMPLING, random.uniform(40, 220, 3))
    middle = 0.5 + random.uniform(-0.02, 0.02)
    _draw_head(canvas, random, middle, skin, hair)
    _draw_eyes(canvas, random, middle, hair, iris)
    canvas.ellipse(middle, 0.56, 0.055, 0.035, skin * 0.82)
    canvas.line([middle - 0.01, 0.4, middle - 0.03, 0.55], 0.015, skin * 0.88)  # the nose
    _draw_mouth(canvas, random, middle, skin)
    lit = _lit_from_one_side(np.asarray(canvas.picture), random)
    return utils.crop_and_resize(lit, size)


def _draw_head(
    canvas: Canvas,
    random: np.random.Generator,
    middle: float,
    skin: np.ndarray,
    hair: np.ndarray,
) -> None:
    width = random.uniform(0.40, 0.47)
    canvas.ellipse(middle, 0.42, width + 0.06, 0.50, hair)  # behind the face
    if random.random() < 0.4:  # long hair
        canvas.rectangle([middle - width - 0.06, 0.4, middle + width + 0.06, 1], hair)
    canvas.ellipse(middle, 0.52, width, 0.52, skin)
    fringe = random.uniform(-0.02, 0.10)
    canvas.ellipse(middle + random.uniform(-0.1, 0.1), fringe - 0.12, width, 0.22, hair)


def _draw_eyes(
    canvas: Canvas,
    random: np.random.Generator,
    middle: float,
    hair: np.ndarray,
    iris: np.ndarray,
) -> None:
    gap, open_eye = random.uniform(0.17, 0.21), random.uniform(0.025, 0.05)
    gaze, tilt = random.uniform(-0.015, 0.015), random.uniform(-0.02, 0.02)
    for side in (-1, 1):
        x = middle + side * gap
        canvas.ellipse(x, 0.37, 0.085, open_eye, np.array([240, 240, 235]))
        canvas.ellipse(x + gaze, 0.37, 0.035, min(open_eye, 0.035), iris)
        brow = [x - 0.09, 0.27 + side * tilt, x + 0.09, 0.27 - side * tilt]
        canvas.line(brow, 0.03, hair * 0.8)


def _draw_mouth(
    canvas: Canvas, random: np.random.Generator, middle: float, skin: np.ndarray
) -> None:
    lips = skin * 0.6 + np.array([75, 15, 20])
    half, smile = random.uniform(0.10, 0.18), random.uniform(-0.02, 0.07)
    height = 0.75
    if random.random() < 0.3:  # open
        canvas.ellipse(middle, height, half, random.uniform(0.03, 0.06), lips)
        canvas.ellipse(middle, height, half * 0.75, 0.02, np.array([235, 230, 225]))
    else:
        xs = np.linspace(-1, 1, 9)
        points = np.stack([middle + half * xs, height + smile * (0.5 - xs * xs)], axis=1)
        canvas.line(points.ravel().tolist(), 0.04, lips)


def _lit_from_one_side(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A picture, uint8 [S, S, 3], under a ramp of brightness over the whole of it."""
    angle, strength = random.uniform(0, 2 * np.pi), random.uniform(0, 0.35)
    y, x = np.mgrid[0 : len(picture), 0 : len(picture)] / len(picture) - 0.5
    light = random.uniform(0.85, 1.1) + strength * (x * np.cos(angle) + y * np.sin(angle))
    return np.clip(picture * light[..., np.newaxis], 0, 255).astype(np.uint8)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--n", type=options.positive_int, default=3000, help="number of faces")
    parser.add_argument("--size", type=options.edge, default=32, help="edge in pixels")
    parser.add_argument("--seed", type=options.seed, default=0, help="of the faces")
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
    sys.exit(cli.run_main(main))
