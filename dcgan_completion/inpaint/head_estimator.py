"""`HeadEstimator`: a photo encoder's pictures of heads, as candidates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from dcgan_completion import utils
from dcgan_completion.inpaint.candidates import Candidates
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photo_encoder import NOISE, PhotoEncoder
from dcgan_completion.randomness import Purpose, image_rng


class HeadEstimator:
    """Draws what is missing of heads at once, in batches of one shape.

    A result depends on the encoder, the batch's shape, the seed and the known pixels of its head:
    not on the missing ones, nor on the other heads of the batch. To a caller it is a search of one
    step: see `LatentSearch`.
    """

    iterations = 1

    def __init__(
        self,
        encoder: PhotoEncoder,
        *,
        samples: int = 1,
        batch_size: int = 16,
        precision: str = "float32",
    ) -> None:
        """Compute nothing yet.

        Args:
          encoder: for use, as checkpoints.load_photo_encoder gives it.
          samples: K, different candidates of each head.
          batch_size: candidates of a batch; smaller batches are padded to it.
          precision: of the encoder's convolutions.
        """
        self.image_size, self.channels = encoder.image_size, encoder.channels
        self.samples, self.batch_size = samples, batch_size
        self._encoder = encoder.in_precision(precision)

    def states(
        self, heads: np.ndarray, mask: Mask, seed: int = 0, _interval: int = 1
    ) -> Iterator[Candidates]:
        """Yield what was drawn, as the only state; arguments as for `complete`."""
        yield self.complete(heads, mask, seed)

    def complete(self, heads: np.ndarray, mask: Mask, seed: int = 0) -> Candidates:
        """Draw whole heads.

        Args:
          heads: uint8 [N, S, S, C].
          mask: of the heads; what lies beyond the photo is missing.
          seed: of the noise by which the candidates of a head differ.
        """
        unknown = mask.hole
        images = np.where(unknown, np.uint8(0), heads)
        noise = [
            image_rng(image, seed, Purpose.NOISE).standard_normal([self.samples, NOISE])
            for image in images
        ]
        given = [
            np.repeat(part.astype(np.float32), self.samples, axis=0)
            for part in (utils.to_signed(images), ~unknown)
        ]
        flat = [*given, np.concatenate(noise).astype(np.float32)]
        count = len(flat[0])
        ends = range(self.batch_size, count, self.batch_size)
        parts = []
        for some in zip(*(np.split(part, ends) for part in flat), strict=True):
            number = len(some[0])
            padded = [
                np.pad(part, [(0, self.batch_size - number)] + [(0, 0)] * (part.ndim - 1), "edge")
                for part in some
            ]
            parts.append(_estimate(self._encoder, *map(tf.constant, padded)).numpy()[:number])
        drawn = np.float32(127.5) * (np.concatenate(parts) + 1)
        return Candidates(1, drawn.reshape(len(heads), self.samples, *drawn.shape[1:]))


@tf.function(reduce_retracing=True, autograph=False)
def _estimate(
    encoder: PhotoEncoder, images: tf.Tensor, known: tf.Tensor, noise: tf.Tensor
) -> tf.Tensor:
    return encoder.estimate(images, known, noise)
