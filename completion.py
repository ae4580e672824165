"""Completing images with a trained DCGAN: where the model, the search for z and the masks meet.

A stand-in with the interface of the module that is being written beside this one: `adam` and
`pgd` as complete.py has them, and a plain Jacobi iteration for `poisson`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

import inputs
import masks
import report
import search
import utils
from model import DCGAN
from utils import UserError


@dataclasses.dataclass(frozen=True)
class Settings:
    """How z is searched (`approach`, `n_iter`, `lr`, `lam`, `distance`), the hole filled."""

    approach: str
    n_iter: int = 1000
    lr: float = 0.01
    lam: float = 0.1
    distance: str = "l1"
    weighted: float = 0.0
    blend: str = "none"

    @classmethod
    def of(cls, approach: str, **overrides: Any) -> Settings:
        """The approach's settings; None for an override leaves it as the approach has it."""
        if approach not in ("adam", "pgd"):
            raise UserError(f"--approach {approach}: not part of this stand-in")
        return cls(approach, **{k: v for k, v in overrides.items() if v is not None})


@dataclasses.dataclass(frozen=True)
class Completion:
    """z [N, z_dim], losses [N] each, generated and completed uint8 [N, S, S, C]."""

    z: np.ndarray
    losses: tuple[np.ndarray, np.ndarray, np.ndarray]
    generated: np.ndarray
    completed: np.ndarray


class Completer:
    """Completes images with a model, in batches of one shape."""

    def __init__(self, model: DCGAN, settings: Settings, *, batch_size: int = 64) -> None:
        self.model, self.settings, self.batch_size = model, settings, batch_size
        make = search.adam if settings.approach == "adam" else search.pgd
        self._rule = make(settings.lr)

    def _loss(self, z: tf.Tensor, images: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, ...]:
        block = images.shape[1] // mask.shape[1]
        if self.settings.distance == "l1":
            return self.model.completion_loss(z, images, mask, lam=self.settings.lam, block=block)
        squares = tf.square(mask * (self.model.generator(z) - images))
        total = tf.reduce_sum(squares, axis=[1, 2, 3])
        return total, total, tf.zeros_like(total)

    def _batch(self, images: np.ndarray, mask: np.ndarray, mask_type: str, seed: int) -> list:
        count, size = len(images), self.batch_size
        padding = [(0, size - count), (0, 0), (0, 0), (0, 0)]
        images, mask = (np.pad(x, padding, mode="edge") for x in (images, mask))
        shape = self.model.z_dim
        start = [inputs.random_of(x, seed, purpose=0).uniform(-1, 1, shape) for x in images]
        *_, state = search.complete(
            self._loss,
            np.array(start, np.float32),
            self._rule,
            data=(utils.to_signed(images), mask),
            iterations=self.settings.n_iter,
            interval=self.settings.n_iter,
        )
        generated = report.generate(self.model, state.z, size)
        completed = masks.composite(images, mask, generated, mask_type)
        if self.settings.blend == "poisson" and mask_type not in ("full", "lowres"):
            completed = _poisson(images, mask, generated)
        return [x[:count] for x in (state.z, *state.losses, generated, completed)]

    def complete(
        self, images: np.ndarray, mask: np.ndarray, mask_type: str, seed: int
    ) -> Completion:
        """Completes any number of images, uint8 [N, S, S, C]; mask as masks.make_mask gives it."""
        parts = [
            self._batch(images[i : i + self.batch_size], mask[i : i + self.batch_size], *rest)
            for rest in [(mask_type, seed)]
            for i in range(0, len(images), self.batch_size)
        ]
        z, *losses, generated, completed = (np.concatenate(x) for x in zip(*parts, strict=True))
        return Completion(z, tuple(losses), generated, completed)


def _poisson(images: np.ndarray, mask: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """G(z) plus a membrane that meets the known pixels: 2,000 rounds of averaging neighbours."""
    difference = (images.astype(np.float64) - generated) * mask
    for _ in range(2000):
        around = np.pad(difference, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
        mean = (around[:, 2:, 1:-1] + around[:, :-2, 1:-1]) / 4
        mean += (around[:, 1:-1, 2:] + around[:, 1:-1, :-2]) / 4
        difference = np.where(mask > 0, difference, mean)
    return np.clip(np.rint(generated + difference), 0, 255).astype(np.uint8)
