"""The context encoder: estimates the whole image from its known pixels, in one pass."""

from __future__ import annotations

import itertools
import math

import tensorflow as tf

from dcgan_completion import ops
from dcgan_completion.ops import START

KERNEL = 5
REFINE_KERNEL = 3  # of the convolution over the largest feature maps
LAST_LAYERS = ("up1_", "refine_", "up0_")
TRUST = 2  # see `interpolate`
MAX_WIDTH = 8  # of a feature map, as a multiple of `width`
# How much a known pixel's squared error counts beside a missing one's: enough that the estimate
# continues the photo, too little to matter for the holes.
KNOWN_WEIGHT = 0.05
ERROR_FLOOR = (
    2.5e-5  # lower mean squared errors of values in 0..1 (46 dB) are not worth more effort
)


def count_encoder_weights(image_size: int, channels: int, width: int) -> int:
    """Count the numbers in all variables of a `ContextEncoder`, without making one."""
    layers = int(math.log2(image_size // START))
    widths = [width * min(2**i, MAX_WIDTH) for i in range(layers)]
    down = [2 * channels + 1, *widths]
    up = [channels + 1, *widths]
    kernels = sum(KERNEL**2 * a * b for side in (down, up) for a, b in itertools.pairwise(side))
    biases = sum(widths) + sum(up[:-1])
    refine = REFINE_KERNEL**2 * 2 * width * width + width
    return kernels + biases + START**4 * widths[-1] + refine


def interpolate(known: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Interpolate the missing pixels of images smoothly from the known ones.

    Pull-push (Gortler et al. 1996, "The Lumigraph", section 3.4): average the known pixels at half
    the size, and so on down to one pixel; then go up again, where at each size pixels that are
    known well enough stay, and the others come from the smaller image, enlarged.

    Args:
      known: [N, S, S, C], 0 where nothing is known; S is a power of 2.
      mask: [N, S, S, 1], 1 = known, 0 = missing.

    Returns:
      [N, S, S, C]; the known pixels are unchanged.
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


def mean_where(values: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """Average [N, S, S, 1] over the pixels of each image for which `where` is 1; else 0: [N]."""
    axes = [1, 2, 3]
    total = tf.reduce_sum(where, axes)
    return tf.math.divide_no_nan(tf.reduce_sum(values * where, axes), total)


def minus_psnr(
    squares: tf.Tensor, hole: tf.Tensor, known: tf.Tensor, known_weight: float = KNOWN_WEIGHT
) -> tf.Tensor:
    """Compute minus the PSNR of holes in dB, averaged over the images: see `ContextEncoder.loss`.

    Args:
      squares: squared errors, of values in 0..1, [N, S, S, 1].
      hole, known: 1 for the pixels that are missing, and that are known, [N, S, S, 1].
      known_weight: how much the known pixels count.
    """
    error = mean_where(squares, hole) + known_weight * mean_where(squares, known) + ERROR_FLOOR
    return tf.reduce_mean(tf.math.log(error)) * (10 / math.log(10))


def activate(x: tf.Tensor, bias: tf.Variable | None = None) -> tf.Tensor:
    """Add a bias, if there is one, and apply the leaky ReLU."""
    return ops.lrelu(x if bias is None else x + tf.cast(bias, x.dtype))


def connect(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Apply a fully connected layer per channel: kernel [to, from, channels], by position."""
    flat = tf.reshape(x, [-1, START * START, x.shape[3]])
    y = tf.einsum("npc,qpc->nqc", flat, tf.cast(kernel, x.dtype))
    return tf.reshape(y, tf.shape(x))


class ContextEncoder(ops.Network):
    """A network E that estimates an image from a part of its pixels, and its loss.

    Pathak et al. 2016 (arXiv:1604.07379), without the adversarial loss, with skip connections as
    in U-Net (Ronneberger et al. 2015, arXiv:1505.04597). 5x5 stride-2 convolutions halve the known
    pixels, an interpolation of the others (`interpolate`) and the mask down to 4x4, doubling the
    channels from `width` up; a channel-wise fully connected layer with a residual connection
    spreads information all over the image; transposed convolutions double the size again. Skip
    connections add the encoder's feature map of the same size to each of the decoder's; the
    largest, of half the image's size, are concatenated instead and go through a 3x3 convolution.
    At 64 pixels and a width of 48 the feature maps have 48, 96, 192, 384 channels. The network
    outputs colours, and for each pixel a share by which the interpolated ones are added to them:
    near known pixels little is left to estimate. There is no batch normalisation: training and
    inference compute the same.

    Attributes:
      symmetric: whether it was trained on mirrored images, too, so that the mirror image of an
        estimate is as good an estimate of the mirrored input.
      e: every variable, by its layer's name; a checkpoint's keys are made of these names.
    """

    ARCHITECTURE = ("image_size", "channels", "width")

    def __init__(
        self,
        *,
        image_size: int = 64,
        channels: int = 3,
        width: int = 48,
        seed: int = 0,
        compute_dtype: str = "float32",
    ) -> None:
        """Make the variables.

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
        super().__init__(image_size, channels, seed, compute_dtype)
        self.width, self.symmetric = width, False
        self._widths = [width * min(2**i, MAX_WIDTH) for i in range(self._layers)]
        self.e: dict[str, tf.Variable] = {}
        self._make_variables()

    # --- variables ---

    # A property, since tf.Module would store a list a second time in every checkpoint's graph.
    @property
    def encoder_variables(self) -> list[tf.Variable]:
        """E's variables, in the order of its layers; all of them are trained."""
        return list(self.e.values())

    @property
    def last_variables(self) -> list[tf.Variable]:
        """The variables of the last layers, which make edges and texture.

        These layers make the largest feature maps and the image; at 64 pixels they have a 30th of
        all weights.
        """
        return [v for name, v in self.e.items() if name.startswith(LAST_LAYERS)]

    def _kernel(self, shape: list[int], inputs: float) -> tf.Variable:
        """Initialise as He et al. 2015 (arXiv:1502.01852): variance 2 / inputs of an output."""
        return tf.Variable(self._normal(shape, math.sqrt(2 / inputs), truncated=True))

    def _make_variables(self) -> None:
        e, into, taps = self.e, 2 * self.channels + 1, KERNEL * KERNEL
        for i, out in enumerate(self._widths):
            e[f"down{i}_kernel"] = self._kernel([KERNEL, KERNEL, into, out], taps * into)
            e[f"down{i}_bias"] = tf.Variable(tf.zeros([out]))
            into = out
        places = START * START
        e["middle_kernel"] = self._kernel([places, places, into], 2 * places)
        # `up{i}` restores the size that `down{i}` has halved; up0 makes the image.
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

    # --- the network ---

    def estimate(
        self,
        images: tf.Tensor,
        mask: tf.Tensor,
        *,
        weights: dict[str, tf.Variable] | None = None,
    ) -> tf.Tensor:
        """Estimate whole images from their known pixels: [N, S, S, C] in [-1, 1].

        Known pixels are estimated, too, though a completion keeps the original ones. The values of
        missing pixels never reach the network.

        Args:
          images: [N, S, S, C] in [-1, 1].
          mask: [N, S, S, 1], 1 = known, 0 = missing, the opposite of other masks.
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
                    h = activate(ops.conv2d(h, e[f"down{i}_kernel"]), e[f"down{i}_bias"])
            with tf.name_scope("middle"):
                h += connect(h, e["middle_kernel"])
            for i in reversed(range(1, self._layers)):
                with tf.name_scope(f"up{i}"):
                    h = ops.conv2d_transpose(h, e[f"up{i}_kernel"])
                    h = activate(h, e[f"up{i}_bias"])
                    h = h + skips[i] if i > 1 else tf.concat([h, skips[i]], axis=3)
            with tf.name_scope("refine"):
                h = tf.nn.conv2d(h, tf.cast(e["refine_kernel"], h.dtype), 1, "SAME")
                h = activate(h, e["refine_bias"])
            with tf.name_scope("up0"):
                h = tf.cast(ops.conv2d_transpose(h, e["up0_kernel"]), tf.float32)
                colours, share = tf.split(h + e["up0_bias"], [self.channels, 1], axis=3)
                return tf.clip_by_value(tf.nn.tanh(colours) + tf.nn.sigmoid(share) * smooth, -1, 1)

    # --- the loss ---

    @staticmethod
    def loss(
        estimate: tf.Tensor,
        images: tf.Tensor,
        mask: tf.Tensor,
        known_weight: float = KNOWN_WEIGHT,
    ) -> tf.Tensor:
        """Return minus the PSNR of the holes in dB, averaged over the images: a scalar.

        The reconstruction loss of Pathak et al. 2016 (equation 1) is the squared error of the
        missing pixels; this is the logarithm of its mean over each hole, so that easy holes (single
        pixels) and hard ones (a half) count alike: 10 log10(e + known_weight * k + ERROR_FLOOR) for
        each image, where e and k are the mean squared errors of missing and known pixels, of values
        in 0..1.

        Args:
          estimate, images: [N, S, S, C] in [-1, 1].
          mask: [N, S, S, 1], 1 = known, 0 = missing; each image has at least one pixel of both.
          known_weight: how much the known pixels count.
        """
        # The factor 4 goes from values in [-1, 1] to values in 0..1.
        squares = tf.reduce_mean(tf.square(estimate - images), axis=3, keepdims=True) / 4
        return minus_psnr(squares, 1 - mask, mask, known_weight)
