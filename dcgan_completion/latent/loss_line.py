"""The completion loss along a line through the latent space, and the faces on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from dcgan_completion import checkpoints, utils
from dcgan_completion.masks import drawing
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN

LAM = 0.1  # weight of the perceptual loss: the paper's
BATCH = 64  # latents


@dataclasses.dataclass(frozen=True, eq=False)
class LossLine:
    """Losses and faces along a line z(t) = z(0) + t * direction, for t from -1 to 1.

    Attributes:
      t: where the losses were computed, [M].
      contextual, perceptual: losses of z(t) as a completion of the face G(z(0)) whose centre is
        missing, each [M].
      lam: weight of the perceptual loss in the total.
      faces_t: where the faces were generated, [K].
      faces: G(z(t)), uint8 [K, S, S, C].
      known: G(z(0)) with its missing centre gray, uint8 [S, S, C].
    """

    t: np.ndarray
    contextual: np.ndarray
    perceptual: np.ndarray
    lam: float
    faces_t: np.ndarray
    faces: np.ndarray
    known: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """The loss that a search minimises, [M]."""
        return self.contextual + self.lam * self.perceptual


def measure(model: DCGAN, rng: np.random.Generator, points: int = 97, faces: int = 9) -> LossLine:
    """Compute losses at `points` equal steps of a random line, and `faces` faces on it."""
    middle = rng.uniform(-1, 1, model.z_dim).astype(np.float32)
    # As far as the cube of all z reaches, in every dimension.
    direction = np.float32(rng.choice([-1, 1], model.z_dim)) * (1 - np.abs(middle))
    t, faces_t = np.linspace(-1, 1, points), np.linspace(-1, 1, faces)
    face = checkpoints.generate(model, middle[np.newaxis])
    mask = Mask.of_plane(drawing.center(model.image_size))
    known = (~mask.hole).astype(np.float32)
    losses = [
        _losses(model, middle + np.float32(part[:, np.newaxis]) * direction, face, known)
        for part in np.split(t, range(BATCH, points, BATCH))
    ]
    contextual, perceptual = np.concatenate(losses, axis=1)
    return LossLine(
        t,
        contextual,
        perceptual,
        LAM,
        faces_t,
        checkpoints.generate(model, middle + faces_t[:, np.newaxis] * direction),
        mask.visible(face)[0],
    )


def _losses(model: DCGAN, z: np.ndarray, face: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Compute contextual and perceptual loss of each z: [2, N]."""
    tensors = (tf.constant(x) for x in (z, utils.to_signed(face), known))
    _, contextual, perceptual = model.completion_loss(*tensors, lam=1.0)
    return np.stack([contextual, perceptual])
