"""`Estimator`: a context encoder's estimates, as candidates or for a search to be guided by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dcgan_completion import checkpoints, utils
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.inpaint import blending
from dcgan_completion.inpaint.candidates import Candidates
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.utils import UserError


def load_encoder_for(model: DCGAN, folder: str, remedy: str = "") -> ContextEncoder:
    """Load the context encoder in a folder, for images like the model's.

    Args:
      model: the DCGAN beside which it is.
      folder: as for `checkpoints.load_context_encoder`.
      remedy: what else to do, at the end of an error.

    Raises:
      UserError: as `checkpoints.load_context_encoder`, or it is for other images.
    """
    try:
        encoder, _ = checkpoints.load_context_encoder(folder)
    except UserError as error:
        raise UserError(f"{error}{remedy}") from error
    ours, its = ((n.image_size, n.channels) for n in (model, encoder))
    if ours != its:
        raise UserError(
            f"{folder}: the context encoder is for images of {its[0]} pixels and {its[1]} "
            f"channels, the DCGAN for {ours[0]} and {ours[1]}; train it anew{remedy}"
        )
    return encoder


class Estimator:
    """Estimates what is missing at once, in batches of one shape.

    A result depends on the encoder, the batch's shape, the mask and the image's known pixels: not
    on its missing ones, nor on the other images of the batch. To a caller it is a search of one
    step, with one candidate: see `LatentSearch`.
    """

    iterations, samples = 1, 1

    def __init__(
        self, encoder: ContextEncoder, *, batch_size: int = 64, precision: str = "float32"
    ) -> None:
        """Compute nothing yet.

        Args:
          encoder: for use, as checkpoints.load_context_encoder gives it.
          batch_size: images of a batch; smaller batches are padded to it.
          precision: of the encoder's convolutions.
        """
        self.batch_size = batch_size
        self.image_size, self.channels = encoder.image_size, encoder.channels
        self._encoder = encoder.in_precision(precision)

    def estimate(self, images: np.ndarray, mask: Mask) -> np.ndarray:
        """Estimate whole images, float32 [N, S, S, C] in [-1, 1].

        Of an encoder that is symmetric, each is the mean of two: of the image and, mirrored again,
        of its mirror image.

        Args:
          images: uint8 [N, S, S, C].
          mask: of the images; it keeps pixels.
        """
        count = len(images)
        padding = [(0, -count % self.batch_size), (0, 0), (0, 0), (0, 0)]
        known = np.pad((~mask.hole).astype(np.float32), padding, mode="edge")  # 1 = known
        # The encoder is given nothing but the known values: no missing pixel can reach it.
        values = np.pad(utils.to_signed(mask.known_values(images)), padding, mode="edge")
        result = checkpoints.estimate(self._encoder, values, known, self.batch_size)
        if self._encoder.symmetric:
            # Two estimates of the same: their mean is nearer to the truth.
            other = checkpoints.estimate(
                self._encoder, values[:, :, ::-1], known[:, :, ::-1], self.batch_size
            )
            result = (result + other[:, :, ::-1]) / 2
        return result[:count]

    def candidates(self, images: np.ndarray, mask: Mask) -> np.ndarray:
        """Estimate what holes are filled from, float32 [N, S, S, C] in 0..255.

        Softened where known pixels tell more (`blending.soften`); arguments as for `estimate`.
        """
        softened = blending.soften(self.estimate(images, mask), mask.hole)
        return np.float32(127.5) * (softened + 1)

    def states(
        self, images: np.ndarray, mask: Mask, _seed: int = 0, _interval: int = 1
    ) -> Iterator[Candidates]:
        """Yield the estimate, as the only state; arguments as for `estimate`."""
        yield Candidates(1, self.candidates(images, mask)[:, np.newaxis])

    def complete(self, images: np.ndarray, mask: Mask, _seed: int = 0) -> Candidates:
        """Estimate any number of images; arguments as for `estimate`."""
        return next(self.states(images, mask))
