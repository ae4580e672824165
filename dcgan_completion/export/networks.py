"""The networks as functions to export: named inputs and outputs, of any batch size.

Their masks are those of the paper, 1 = known, unlike all others in this package: exported models
keep their interface.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.model import DCGAN
from dcgan_completion.photo_encoder import NOISE, PhotoEncoder

Arrays = dict[str, np.ndarray]
FILES = {
    "generate": "generator",
    "discriminate": "discriminator",
    "estimate": "context-encoder",
    "draw_heads": "photo-encoder",
}
LAM = 0.1  # weight of the perceptual loss in example inputs


@dataclasses.dataclass(frozen=True)
class Network:
    """A network, or a loss computed with networks, as a function of named tensors.

    Attributes:
      name: of the SavedModel's signature, such as `generate`.
      function: input tensors by name -> output tensors by name.
      inputs: shape and type of each input, in order; N, the first axis, is None.
    """

    name: str
    function: Callable[..., dict[str, tf.Tensor]]
    inputs: dict[str, tf.TensorSpec]

    @property
    def signature(self) -> list[tf.TensorSpec]:
        """The named inputs, in order."""
        return [tf.TensorSpec(s.shape, s.dtype, name) for name, s in self.inputs.items()]

    def traced(self) -> tf.types.experimental.PolymorphicFunction:
        """Make a graph function for tensors of any N."""
        return tf.function(self.function, input_signature=self.signature, autograph=False)

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Compute the outputs, as arrays."""
        outputs = self.function(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    def example(self, number: int, rng: np.random.Generator) -> Arrays:
        """Draw inputs for N = `number`: masks of 0 and 1, others uniform in [-1, 1], float32."""

        def draw(name: str, spec: tf.TensorSpec) -> np.ndarray:
            if not spec.shape.rank:
                return np.array(LAM, np.float32)
            values = rng.uniform(-1, 1, [number, *spec.shape[1:]])
            return (values > 0 if name == "mask" else values).astype(np.float32)

        return {name: draw(name, spec) for name, spec in self.inputs.items()}


def _floats(*shape: int | None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, tf.float32)


def generate(model: DCGAN, with_pixels: bool = False) -> Network:
    """Make G: z [N, z_dim] in [-1, 1] -> images [N, S, S, C] in [-1, 1], and as uint8 pixels."""

    def function(z: tf.Tensor) -> dict[str, tf.Tensor]:
        images = model.generator(z)
        if not with_pixels:
            return {"images": images}
        levels = tf.clip_by_value(tf.round((images + 1) * 127.5), 0, 255)
        return {"images": images, "pixels": tf.cast(levels, tf.uint8)}

    return Network("generate", function, {"z": _floats(None, model.z_dim)})


def discriminate(model: DCGAN) -> Network:
    """Make D before its sigmoid: images [N, S, S, C] in [-1, 1] -> logits [N], high for real."""

    def function(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": model.discriminator(images)}

    return Network("discriminate", function, {"images": _image_spec(model, model.channels)})


def completion_loss(model: DCGAN) -> Network:
    """Make `DCGAN.completion_loss` and its gradient.

    z [N, z_dim], images [N, S, S, C] in [-1, 1], mask [N, S, S, 1] (1 = known, 0 = hole; or the
    weight of each pixel), lam (a scalar: the weight of the perceptual loss) -> contextual,
    perceptual and total loss, each [N], and the gradient of the total with respect to z,
    [N, z_dim].
    """

    def function(
        z: tf.Tensor, images: tf.Tensor, mask: tf.Tensor, lam: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(z)
            # The model's own lam must be a number, which decides whether D is evaluated.
            _, contextual, perceptual = model.completion_loss(z, images, mask, lam=1.0)
            total = contextual + lam * perceptual
        return {
            "contextual": contextual,
            "perceptual": perceptual,
            "total": total,
            "gradient": tape.gradient(total, z),  # a row's loss depends on its own z alone
        }

    inputs = {
        "z": _floats(None, model.z_dim),
        "images": _image_spec(model, model.channels),
        "mask": _image_spec(model, 1),
        "lam": _floats(),
    }
    return Network("completion_loss", function, inputs)


def estimate(encoder: ContextEncoder) -> Network:
    """Make E: images [N, S, S, C] in [-1, 1], mask [N, S, S, 1] (1 = known) -> estimates.

    As `Estimator.estimate`: a symmetric encoder's estimate is the mean of those of the image
    and its mirror image. Pixels of the hole may have any value.
    """

    def function(images: tf.Tensor, mask: tf.Tensor) -> dict[str, tf.Tensor]:
        estimates = encoder.estimate(images, mask)
        if encoder.symmetric:
            mirrored = encoder.estimate(tf.reverse(images, [2]), tf.reverse(mask, [2]))
            estimates = (estimates + tf.reverse(mirrored, [2])) / 2
        return {"estimates": estimates}

    inputs = {"images": _image_spec(encoder, encoder.channels), "mask": _image_spec(encoder, 1)}
    return Network("estimate", function, inputs)


def draw_heads(encoder: PhotoEncoder) -> Network:
    """Make the photo encoder: images [N, S, S, C], mask [N, S, S, 1], noise [N, NOISE] -> heads.

    As `PhotoEncoder.estimate`: images in [-1, 1], mask 1 = known, noise of a standard normal
    distribution. Pixels of the hole may have any value.
    """

    def function(images: tf.Tensor, mask: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"heads": encoder.estimate(images, mask, noise)}

    inputs = {"images": _image_spec(encoder, encoder.channels), "mask": _image_spec(encoder, 1)}
    return Network("draw_heads", function, inputs | {"noise": _floats(None, NOISE)})


def _image_spec(model: DCGAN | ContextEncoder | PhotoEncoder, channels: int) -> tf.TensorSpec:
    return _floats(None, model.image_size, model.image_size, channels)


def difference(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> float:
    """Measure the largest difference between outputs; infinite if names, shapes or types differ.

    Relative to the largest value, if that is above 1, as in losses. Between integers, a difference
    of one level, by rounding, does not count.
    """
    largest = 0.0
    for name, value in wanted.items():
        other = found.get(name)
        if other is None or (other.shape, other.dtype) != (value.shape, value.dtype):
            return np.inf
        errors = np.abs(other.astype(np.float64) - value)
        if value.dtype.kind == "u":
            errors = np.maximum(errors - 1, 0)
        error = float(errors.max() / max(1.0, float(np.abs(value).max())))
        largest = max(largest, np.inf if np.isnan(error) else error)
    return largest
