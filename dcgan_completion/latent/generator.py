"""`Generator`: draws the faces of a trained DCGAN, in notebooks and in sample-dcgan.py.

Importing this needs no TensorFlow; `Generator.from_pretrained` loads it.
"""

from __future__ import annotations

import logging
import operator
import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dcgan_completion import latents
from dcgan_completion.inpaint import arrays

if TYPE_CHECKING:
    from dcgan_completion.model import DCGAN

ReturnType = Literal["pil", "numpy"]
logger = logging.getLogger(__name__)


class Generator:
    """The generator G of a trained DCGAN: latents z in, images of faces out.

    sample-dcgan.py is made of it.

    Example:
      >>> from dcgan_completion import Generator
      >>> generator = Generator.from_pretrained()
      >>> faces = generator.sample(3, seed=1)
      >>> faces[0].size
      (64, 64)
      >>> z = generator.z(2, seed=1)  # those of the first two faces
      >>> generator.images(z.mean(axis=0, keepdims=True), return_type="numpy").shape
      (1, 64, 64, 3)

    Attributes:
      model: the DCGAN.
      prefix: of its checkpoint.
      image_size: edge S of an image in pixels.
      channels: C, 3 for colour, 1 for gray.
      z_dim: dimensions of a latent.
    """

    def __init__(self, model: DCGAN, prefix: str) -> None:
        """Take a model for use, as `checkpoints.load_model` gives it, and its path prefix."""
        self.model, self.prefix = model, prefix
        self.image_size, self.channels = model.image_size, model.channels
        self.z_dim = model.z_dim

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str] | None = None) -> Generator:
        """Load a trained model.

        Args:
          path: a checkpoint folder (its newest checkpoint is taken) or one of its checkpoints, such
            as checkpoint/ckpt-12000; None: the model that ships with this package.

        Raises:
          ValueError: `path` holds no checkpoint, or a damaged one.
        """
        from dcgan_completion import checkpoints

        if not isinstance(path, str | os.PathLike | None):
            raise ValueError(f"path={path!r}: is no path; name a checkpoint, or its folder")
        path = checkpoints.SHIPPED if path is None else os.fspath(path)
        prefix, _ = checkpoints.find_checkpoint(path, "path")
        if note := checkpoints.licence_note(prefix):
            logger.info(note)
        return cls(*checkpoints.load_model(prefix))

    def z(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw the latents of a seed's first samples, uniform in [-1, 1]: float64 [n, z_dim].

        They are the same, however many are drawn.

        Raises:
          ValueError: `n` or `seed` is out of range.
        """
        number = _whole("n", n, 1, latents.MAX_SAMPLES)
        return latents.draw(_whole("seed", seed, 0, 2**32 - 1), 0, number, self.z_dim)

    def images(
        self, z: np.ndarray, *, return_type: ReturnType = "pil", batch_size: int = 64
    ) -> Any:
        """Generate the images G(z).

        Args:
          z: latents [N, z_dim], N above 0; the model was trained on values in [-1, 1].
          return_type: pil or numpy.
          batch_size: images that are generated at a time.

        Returns:
          A list of N PIL images, or an array, uint8 [N, S, S, C].

        Raises:
          ValueError: names the argument that has a wrong shape, type or range.
        """
        from dcgan_completion import checkpoints

        arrays.check_choice("return_type", return_type, ("pil", "numpy"))
        z = np.asarray(z)
        if z.ndim != 2 or len(z) == 0 or z.shape[1] != self.z_dim or z.dtype.kind not in "fiu":
            raise ValueError(
                f"z: is {z.dtype} {z.shape}; give numbers [N, {self.z_dim}], N above 0"
            )
        if not np.isfinite(z).all():
            raise ValueError("z: has values that are not finite; give values in [-1, 1]")
        images = checkpoints.generate(self.model, z, _whole("batch_size", batch_size, 1, 10**6))
        return images if return_type == "numpy" else arrays.to_pil(images[np.newaxis])[0]

    def sample(
        self, n: int, *, seed: int = 0, return_type: ReturnType = "pil", batch_size: int = 64
    ) -> Any:
        """Generate a seed's first n samples: those of `./sample-dcgan.py --n N --seed SEED`.

        Arguments, results and errors are those of `z` and `images`. Another batch size than the
        default may change how a few values are rounded.
        """
        return self.images(self.z(n, seed), return_type=return_type, batch_size=batch_size)


def _whole(name: str, value: Any, low: int, high: int) -> int:
    """Check an argument; raise ValueError if it is no whole number from `low` to `high`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if not low <= number <= high or isinstance(value, bool):
        raise ValueError(f"{name}={value!r}: is no whole number from {low} to {high}")
    return number
