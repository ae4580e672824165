"""What a context encoder makes of an image's known pixels: alone, or for a search to be guided."""

from __future__ import annotations

import numpy as np

from dcgan_completion import checkpoints, utils
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.inpaint import blending
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.utils import UserError


def load_encoder_for(model: DCGAN, folder: str, remedy: str = "") -> ContextEncoder:
    """The context encoder in a folder, for images like the model's.

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


class DirectCompleter:
    """Completes images by a context encoder's estimates, in batches of one shape.

    A result depends on the encoder, the batch's shape, the mask and the image's known pixels: not
    on its missing ones, nor on the other images of the batch.
    """

    def __init__(
        self,
        encoder: ContextEncoder,
        blend: str = "smooth",
        *,
        batch_size: int = 64,
        precision: str = "float32",
    ) -> None:
        """Computes nothing yet.

        Args:
          encoder: for use, as checkpoints.load_context_encoder gives it.
          blend: how the hole is filled, of BLENDS; see `blending.fill`.
          batch_size: images of a batch; smaller batches are padded to it.
          precision: of the encoder's convolutions.
        """
        self.blend, self.batch_size = blend, batch_size
        self.image_size, self.channels = encoder.image_size, encoder.channels
        self._encoder = encoder.in_precision(precision)

    def estimate(self, images: np.ndarray, mask: Mask) -> np.ndarray:
        """The estimates of whole images, float32 [N, S, S, C] in [-1, 1].

        Of an encoder that is symmetric, each is the mean of two: of the image and, turned back, of
        its mirror image.

        Args:
          images: uint8 [N, S, S, C].
          mask: of the images; it keeps pixels.
        """
        count = len(images)
        padding = [(0, -count % self.batch_size), (0, 0), (0, 0), (0, 0)]
        known = np.pad(mask.known, padding, mode="edge")
        # The encoder is given nothing but the known values: no missing pixel can reach it.
        values = np.pad(utils.to_signed(mask.known_values(images)), padding, mode="edge")
        result = checkpoints.estimate(self._encoder, values, known, self.batch_size)
        if self._encoder.symmetric:
            # Two estimates of the same: their mean is nearer to the truth.
            turned = (x[:, :, ::-1] for x in (values, known))
            other = checkpoints.estimate(self._encoder, *turned, self.batch_size)
            result = (result + other[:, :, ::-1]) / 2
        return result[:count]

    def source(self, images: np.ndarray, mask: Mask) -> np.ndarray:
        """What holes are filled from, float32 [N, S, S, C] in the range 0..255.

        The estimates, softened where known pixels tell more (`blending.soften`); arguments as for
        `estimate`.
        """
        softened = blending.soften(self.estimate(images, mask), mask.known)
        return np.float32(127.5) * (softened + 1)

    def complete(self, images: np.ndarray, mask: Mask) -> np.ndarray:
        """Images, uint8 [N, S, S, C], with their holes filled from the estimates."""
        source = np.rint(self.source(images, mask)).astype(np.uint8)
        return blending.fill(images, mask, source, self.blend)
