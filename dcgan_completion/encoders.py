"""The context encoder: from an image's known pixels, at once, an estimate of the whole image."""

from __future__ import annotations

import copy
import itertools
import math

import tensorflow as tf

from dcgan_completion import ops

KERNEL = 5
REFINE_KERNEL = 3  # of the convolution over the largest feature maps
LAST_LAYERS = ("up1_", "refine_", "up0_")
START = 4  # height and width of the smallest feature map
TRUST = 2  # see `interpolate`
WIDEST = 8  # the most channels of a feature map, as a multiple of `width`
# What a known pixel's squared error counts beside a missing one's: enough that the estimate
# continues the photo, too little to matter for the holes.
KNOWN_WEIGHT = 0.05
# Mean squared errors below it (46 dB), of values in 0..1, are not worth more effort.
ERROR_FLOOR = 2.5e-5


def count_encoder_weights(image_size: int, channels: int, width: int) -> int:
    """Numbers in all variables of a `ContextEncoder` with these arguments, without making one."""
    layers = int(math.log2(image_size // START))
    widths = [width * min(2**i, WIDEST) for i in range(layers)]
    down = [2 * channels + 1, *widths]
    up = [channels + 1, *widths]
    kernels = sum(KERNEL**2 * a * b for way in (down, up) for a, b in itertools.pairwise(way))
    biases = sum(widths) + sum(up[:-1])
    refine = REFINE_KERNEL**2 * 2 * width * width + width
    return kernels + biases + START**4 * widths[-1] + refine


def interpolate(known: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Images whose missing pixels are interpolated smoothly from the known ones.

    Pull-push (Gortler et al. 1996, "The Lumigraph", section 3.4): averages of the known pixels at
    half the size, and so on down to one pixel; then up again, where at each size what is known
    well enough stays, and the rest is the smaller image, enlarged.

    Args:
      known: [N, S, S, C], 0 where nothing is known; S is a power of 2.
      mask: [N, S, S, 1], 1 = known, 0 = missing.

    Returns:
      [N, S, S, C]; the known pixels are as they were.
    """
    sums, shares = [known], [mask]
    while sums[-1].shape[1] > 1:
        sums.append(tf.nn.avg_pool2d(sums[-1], 2, 2, "VALID"))
        shares.append(tf.nn.avg_pool2d(shares[-1], 2, 2, "VALID"))
    result = tf.math.divide_no_nan(sums.pop(), shares.pop())
    for total, share in zip(reversed(sums), reversed(shares), strict=True):
        larger = tf.image.resize(result, total.shape[1:3])
        # A pixel of half the size is trusted wholly where a half of what it covers is known.
        trust = tf.minimum(TRUST * share, 1)
        result = trust * tf.math.divide_no_nan(total, share) + (1 - trust) * larger
    return result


class ContextEncoder(tf.Module):
    """A network E that estimates an image from a part of its pixels, and its loss.

    Pathak et al. 2016 (arXiv:1604.07379), without the adversarial loss, with skip connections as
    in U-Net (Ronneberger et al. 2015, arXiv:1505.04597). 5x5 stride-2 convolutions halve the known
    pixels, what is interpolated from them (`interpolate`) and the mask down to 4x4, doubling the
    channels from `width` up; a channel-wise fully connected layer, added to its input, spreads
    what is known all over the image; transposed convolutions double it again. To each of their
    feature maps the one of the same size on the way down is added; the largest, of half the
    image's size, are concatenated instead, and a 3x3 convolution is applied to both. At 64 pixels
    and a width of 48 the feature maps have 48, 96, 192, 384 channels. To the colours that come out
    the interpolated ones are added, by a share for each pixel that comes out, too: near known
    pixels little is left to estimate. There is no batch normalisation: an estimate is the same in
    training and in use.

    Attributes:
      symmetric: whether it was trained on mirrored images, too, so that the mirror image of an
        estimate is as good a one of the mirrored input.
      e: every variable, by its layer's name; a checkpoint's keys are made of these names.
    """

    def __init__(
        self,
        *,
        image_size: int = 64,
        channels: int = 3,
        width: int = 48,
        seed: int = 0,
        compute_dtype: str = "float32",
    ) -> None:
        """Makes the variables.

        Args:
          image_size: S, edge of the images in pixels.
          channels: C, 1 for gray or 3 for colour.
          width: channels of the first feature map.
          seed: of the variables' initial values.
          compute_dtype: float32 or bfloat16, of the convolutions and of what lies between them;
            variables, images and the loss are float32.

        Raises:
          ValueError: image_size is not 16, 32, 64 or 128, or channels not 1 or 3.
        """
        super().__init__(name="context_encoder")
        ops.check_image_shape(image_size, channels)
        self._architecture = {"image_size": image_size, "channels": channels, "width": width}
        self.image_size, self.channels = image_size, channels
        self.symmetric = False
        self._compute_dtype = tf.as_dtype(compute_dtype)
        self._layers = int(math.log2(image_size // START))
        self._widths = [width * min(2**i, WIDEST) for i in range(self._layers)]
        self.e: dict[str, tf.Variable] = {}
        self._seed = seed
        self._seeds_used = 0
        self._make_variables()

    # A plain dict: what a tf.Module holds is wrapped, and json refuses it from Python 3.13 on.
    @property
    def architecture(self) -> dict[str, int]:
        """The arguments that a checkpoint's config.json holds, by name."""
        return dict(self._architecture)

    # --- variables ---

    # A property, since tf.Module would store a list a second time in every checkpoint's graph.
    @property
    def encoder_variables(self) -> list[tf.Variable]:
        """E's variables, in the order of its layers; all of them are trained."""
        return list(self.e.values())

    @property
    def last_variables(self) -> list[tf.Variable]:
        """Those of the layers that make the largest feature maps, and the image, from smaller ones.

        Where edges and texture are made: a 30th of all weights, at 64 pixels.
        """
        return [v for name, v in self.e.items() if name.startswith(LAST_LAYERS)]

    def _kernel(self, shape: list[int], inputs: float) -> tf.Variable:
        """Initial values of He et al. 2015 (arXiv:1502.01852): variance 2 / inputs of an output."""
        self._seeds_used += 1
        seed, deviation = [self._seed, -self._seeds_used], math.sqrt(2 / inputs)
        return tf.Variable(tf.random.stateless_truncated_normal(shape, seed, stddev=deviation))

    def _make_variables(self) -> None:
        e, into, taps = self.e, 2 * self.channels + 1, KERNEL * KERNEL
        for i, out in enumerate(self._widths):
            e[f"down{i}_kernel"] = self._kernel([KERNEL, KERNEL, into, out], taps * into)
            e[f"down{i}_bias"] = tf.Variable(tf.zeros([out]))
            into = out
        places = START * START
        e["middle_kernel"] = self._kernel([places, places, into], 2 * places)
        # `up{i}` leads back to the size that `down{i}` has halved; up0 to the image.
        for i in reversed(range(self._layers)):
            if i == 0:
                edge, wide = REFINE_KERNEL, 2 * into
                e["refine_kernel"] = self._kernel([edge, edge, wide, into], edge * edge * wide)
                e["refine_bias"] = tf.Variable(tf.zeros([into]))
            out = self._widths[i - 1] if i else self.channels + 1
            # A pixel of a stride-2 transposed convolution is reached by a quarter of the taps.
            e[f"up{i}_kernel"] = self._kernel([KERNEL, KERNEL, out, into], taps / 4 * into)
            e[f"up{i}_bias"] = tf.Variable(tf.zeros([out]))
            into = out

    def in_precision(self, compute_dtype: str) -> ContextEncoder:
        """The same network, with the same variables, whose convolutions are in `compute_dtype`."""
        other = copy.copy(self)
        other._compute_dtype = tf.as_dtype(compute_dtype)
        return other

    # --- the network ---

    def estimate(
        self,
        images: tf.Tensor,
        mask: tf.Tensor,
        *,
        weights: dict[str, tf.Variable] | None = None,
    ) -> tf.Tensor:
        """What images look like of which some pixels are known: [N, S, S, C] in [-1, 1].

        Known pixels are estimated, too, though a completion keeps its own. Missing ones never
        reach the network, whatever they hold.

        Args:
          images: [N, S, S, C] in [-1, 1].
          mask: [N, S, S, 1], 1 = known, 0 = missing.
          weights: replace the encoder's own variables, `self.e`.
        """
        e = self.e if weights is None else weights
        with tf.name_scope("context_encoder"):
            # Selected, not multiplied: 0 times a value that is not finite is NaN.
            known = tf.where(mask > 0, images, tf.zeros_like(images))
            smooth = interpolate(known, mask)
            h = tf.cast(tf.concat([known, mask, smooth], axis=3), self._compute_dtype)
            skips = []
            for i in range(self._layers):
                with tf.name_scope(f"down{i}"):
                    skips.append(h)
                    h = self._activate(ops.conv2d(h, e[f"down{i}_kernel"]), e[f"down{i}_bias"])
            with tf.name_scope("middle"):
                h += self._connect(h, e["middle_kernel"])
            for i in reversed(range(1, self._layers)):
                with tf.name_scope(f"up{i}"):
                    h = ops.conv2d_transpose(h, e[f"up{i}_kernel"])
                    h = self._activate(h, e[f"up{i}_bias"])
                    h = h + skips[i] if i > 1 else tf.concat([h, skips[i]], axis=3)
            with tf.name_scope("refine"):
                h = tf.nn.conv2d(h, tf.cast(e["refine_kernel"], h.dtype), 1, "SAME")
                h = self._activate(h, e["refine_bias"])
            with tf.name_scope("up0"):
                h = tf.cast(ops.conv2d_transpose(h, e["up0_kernel"]), tf.float32)
                colours, share = tf.split(h + e["up0_bias"], [self.channels, 1], axis=3)
                return tf.clip_by_value(tf.nn.tanh(colours) + tf.nn.sigmoid(share) * smooth, -1, 1)

    @staticmethod
    def _connect(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """A fully connected layer for each channel: kernel [places, places (from), channels]."""
        flat = tf.reshape(x, [-1, START * START, x.shape[3]])
        y = tf.einsum("npc,qpc->nqc", flat, tf.cast(kernel, x.dtype))
        return tf.reshape(y, tf.shape(x))

    @staticmethod
    def _activate(x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return ops.lrelu(x + tf.cast(bias, x.dtype))

    # --- the loss ---

    @staticmethod
    def loss(
        estimate: tf.Tensor,
        images: tf.Tensor,
        mask: tf.Tensor,
        known_weight: float = KNOWN_WEIGHT,
    ) -> tf.Tensor:
        """Minus the PSNR of the holes in dB, averaged over the images: a scalar.

        The reconstruction loss of Pathak et al. 2016 (equation 1), the squared error of what is
        missing, but as its mean over each hole, and the logarithm of that: so that easy holes
        (single pixels) and hard ones (a half) count alike. Of each image it is 10 log10 of
        (e + known_weight * k + ERROR_FLOOR), where e and k are the mean squared errors of missing
        and known pixels, of values in 0..1.

        Args:
          estimate, images: [N, S, S, C] in [-1, 1].
          mask: [N, S, S, 1], 1 = known, 0 = missing; of both there is at least one in each image.
          known_weight: what the known pixels count.
        """
        # Divided by 4: from values in [-1, 1] to values in 0..1.
        squares = tf.reduce_mean(tf.square(estimate - images), axis=3, keepdims=True) / 4

        def mean(where: tf.Tensor) -> tf.Tensor:
            axes = [1, 2, 3]
            return tf.reduce_sum(squares * where, axes) / tf.reduce_sum(where, axes)

        error = mean(1 - mask) + known_weight * mean(mask) + ERROR_FLOOR
        return tf.reduce_mean(tf.math.log(error)) * (10 / math.log(10))
