"""Folders of heads as batches: each head shifted, turned, scaled and mirrored at random."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from dcgan_completion import utils
from dcgan_completion.faces.heads import STORED
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.utils import UserError

HEADS = 5  # purpose of random numbers, after those of `dataset`
# By how much landmarks that a hole hides are wrong, and alignment with them: standard deviations,
# of a share of the width, of radians, of the logarithm of the scale; now and then `OUTLIERS` times.
SHIFT, TURN, SCALE = 0.015, 0.05, 0.05
OUTLIERS, OUTLIER_PROBABILITY = 2.5, 0.1
GRAY_PROBABILITY = 0.04  # old photos
LIGHT = 0.15  # standard deviation of the logarithm of the gamma


class HeadFolders(ImageFolders):
    """The heads in some folders, RGBA of `STORED` times the square's width; alpha 0 = not seen.

    Folders count by `proportions`, whatever they hold: what is rare can be drawn more often.
    """

    def __init__(
        self, folders: Sequence[str], *, proportions: Sequence[float] = (), **others: Any
    ) -> None:
        """List the files.

        Args:
          folders, others: as for `ImageFolders`.
          proportions: one number for each folder; none: all are equal.

        Raises:
          UserError: as `ImageFolders`; there are more or fewer proportions than folders.
        """
        super().__init__(folders, cache_bytes=0, **others)
        shares = np.array(proportions or [1.0] * len(folders), float)
        if len(shares) != len(folders):
            raise UserError(
                f"--proportions: {len(shares)} numbers for {len(folders)} folders of --dataset; "
                "give one for each"
            )
        prefixes = [os.path.join(folder, "") for folder in folders]
        self._members = [
            np.flatnonzero([path.startswith(prefix) for path in self.files]) for prefix in prefixes
        ]
        self._shares = shares / shares.sum()

    def _load(self, path: str) -> np.ndarray:
        """Decode a head, uint8 [E, E, C + 1]; raise UserError if the file holds something else."""

        with utils.open_picture(path) as picture:
            mode = "RGBA" if self.channels == 3 else "LA"
            square = picture.width == picture.height >= self.image_size
            if picture.mode != mode or not square:
                raise UserError(
                    f"{path}: is not a head ({mode}, a square of {self.image_size} pixels or "
                    "more); ./align-dlib.py --heads writes them"
                )
            return np.asarray(picture)

    def batch(self, step: int, share: slice = slice(None)) -> np.ndarray:
        """Load the heads of a step (from 0), or a share of them: uint8 [batch_size, S, S, C + 1].

        Raises:
          UserError: fewer heads than a batch can be read.
        """
        return np.stack([self._draw(step, place) for place in range(self.batch_size)[share]])

    def _draw(self, step: int, place: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, HEADS, step, place])
        members = self._members[rng.choice(len(self._shares), p=self._shares)]
        head = self._image_from(members, int(rng.integers(len(members))))
        return jitter(head, self.image_size, rng)

    def _unmoved(self, image: np.ndarray) -> np.ndarray:
        return place_head(image, self.image_size, np.eye(2), np.zeros(2))

    @property
    def _planes(self) -> int:
        return self.channels + 1  # alpha


def jitter(head: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Shift, turn, scale and mirror a head, and change its light: uint8 [size, size, 4]."""
    wide = OUTLIERS if rng.random() < OUTLIER_PROBABILITY else 1.0
    shift, turn, scale = rng.normal(0, SHIFT, 2), rng.normal(0, TURN), rng.normal(0, SCALE)
    scale, turn = math.exp(wide * scale), wide * turn
    cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
    linear = np.array([[cos, -sin], [sin, cos]])
    if rng.random() < 0.5:
        linear = linear @ np.diag([-1.0, 1.0])
    result = place_head(head, size, linear, wide * shift)
    gamma, gray = math.exp(rng.normal(0, LIGHT)), rng.random() < GRAY_PROBABILITY
    curve = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    colours = curve[result[..., :3]]
    if gray:
        colours = np.repeat(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2)
    return np.dstack([colours * (result[..., 3:] > 0), result[..., 3]])


def place_head(head: np.ndarray, size: int, linear: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Resample a stored head by a linear map around its middle and a shift, uint8 [size, size, 4].

    The shift is a share of the width of the result. Partly seen pixels count as not seen.
    """
    fine = max(1, int(len(head) / STORED) // size)  # pixels are averaged over fine x fine samples
    edge = size * fine
    matrix = linear * (edge * STORED / len(head))
    middle, stored = (edge - 1) / 2, (len(head) - 1) / 2
    offset = middle + shift * edge - matrix @ [stored, stored]
    warped = cv2.warpAffine(
        head, np.column_stack([matrix, offset]), (edge, edge), flags=cv2.INTER_LINEAR
    )
    seen = (warped[..., 3] == 255).astype(np.uint8)
    small = cv2.resize(warped[..., :3], (size, size), interpolation=cv2.INTER_AREA)
    whole = seen.reshape(size, fine, size, fine).all(axis=(1, 3))
    return np.dstack([small * whole[..., np.newaxis], np.where(whole, 255, 0)]).astype(np.uint8)
