"""The photo encoder: draws the unknown part of a head, in one pass and in many ways."""

from __future__ import annotations

import math

import tensorflow as tf

from dcgan_completion import ops
from dcgan_completion.encoders import activate, connect, interpolate
from dcgan_completion.ops import START

DOWN, SAME = 5, 3  # edges of the kernels that change the size, and of those that keep it
WIDTH_AT = 64  # pixels: edge of the feature map that has `width` channels
MAX_WIDTH = 16  # of a feature map, as a multiple of `width`
NOISE = 64  # length of the noise vector
STYLE = 128  # length of the vector that modulates the decoder
STYLE_DEVIATION = (
    0.05  # of the initial weights from it: at first, feature maps are hardly modulated
)


def channels_at(size: int, width: int) -> int:
    """Return the channels of a feature map of `size` pixels: a multiple of 8, for processors."""
    return min(8 * math.ceil(width * WIDTH_AT / size / 8), MAX_WIDTH * width)


def count_photo_encoder_weights(
    image_size: int, channels: int, width: int, first_size: int = 64
) -> int:
    """Count the numbers in all variables of a `PhotoEncoder`, without making one."""
    top, into = channels_at(START, width), 2 * channels + 1
    places = START * START
    weights = (NOISE + 1) * places * top + places * places * top
    weights += SAME**2 * top * top + top + (NOISE + top + 1) * STYLE
    size = 2 * START
    while size <= image_size:
        low, high = channels_at(size // 2, width), channels_at(size, width)
        if size >= min(first_size, image_size):
            weights += SAME**2 * into * high + high
        weights += 2 * DOWN**2 * high * low + low + high  # down and up
        weights += SAME**2 * high * high + high + (STYLE + 1) * 2 * high
        weights += (SAME**2 * high + 1) * (channels + 1)
        size *= 2
    return weights


class PhotoEncoder(ops.Network):
    """A network E(y, M, noise) that draws the unknown pixels of a head.

    A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) down to 4x4, whose decoder is modulated by
    the noise and by what the encoder has seen (Zhao et al. 2021, "Large scale image completion via
    co-modulated generative adversarial networks", arXiv:2103.10428). Each size from 8x8 up adds its
    part to the image (Karras et al. 2020, arXiv:1912.04958, figure 7b), so that a trained network
    grows: one with layers for 128 pixels computes at first what the one for 64 does, enlarged.
    There is no normalisation: training and inference compute the same.

    Attributes:
      e: every variable, by its layer's name; a checkpoint's keys are made of these names.
    """

    ARCHITECTURE = ("image_size", "channels", "width", "first_size")

    def __init__(
        self,
        *,
        image_size: int = 64,
        channels: int = 3,
        width: int = 24,
        first_size: int = 64,
        seed: int = 0,
        compute_dtype: str = "float32",
    ) -> None:
        """Make the variables.

        Args:
          image_size: S, edge of the images in pixels.
          channels: C, 1 for gray or 3 for colour.
          width: channels of the feature maps of 64 pixels.
          first_size: that of the network from which it has grown, at most `image_size`.
          seed: of the variables' initial values.
          compute_dtype: float32 or bfloat16, of the convolutions and of what lies between them;
            variables, images and the loss are float32.

        Raises:
          ValueError: image_size is not 16, 32, 64 or 128, or channels not 1 or 3.
        """
        super().__init__(image_size, channels, seed, compute_dtype)
        self.width, self.first_size = width, min(first_size, image_size)
        self.sizes = [START << i for i in range(self._layers + 1)]  # 4 .. S
        self.e: dict[str, tf.Variable] = {}
        self._make_variables()

    # --- variables ---

    @property
    def encoder_variables(self) -> list[tf.Variable]:
        """E's variables, in the order of its layers; all of them are trained."""
        return list(self.e.values())

    def _layer(
        self, name: str, shape: list[int], inputs: float, *, deviation: float | None = None
    ) -> None:
        """Make a kernel and a bias, by He et al. 2015 (arXiv:1502.01852) or with a deviation."""
        spread = math.sqrt(2 / inputs) if deviation is None else deviation
        out = shape[2] if name.startswith("up") else shape[-1]
        self.e[f"{name}_kernel"] = tf.Variable(self._normal(shape, spread, truncated=True))
        self.e[f"{name}_bias"] = tf.Variable(tf.zeros([out]))

    def _make_variables(self) -> None:
        # In the order of growth, so that a grown network's smaller layers start as they would have.
        into, top = 2 * self.channels + 1, channels_at(START, self.width)
        self._layer("noise", [NOISE, START * START * top], NOISE, deviation=0.05)
        places = START * START
        self.e["spread_kernel"] = tf.Variable(
            self._normal([places, places, top], math.sqrt(1 / places), truncated=True)
        )
        self._layer("middle", [SAME, SAME, top, top], SAME**2 * top)
        self._layer("mapping", [NOISE + top, STYLE], NOISE + top)
        for small, size in zip(self.sizes, self.sizes[1:], strict=False):
            low, high = channels_at(small, self.width), channels_at(size, self.width)
            grown = size > self.first_size
            if size >= self.first_size:
                self._layer(f"stem{size}", [SAME, SAME, into, high], SAME**2 * into)
            zero = {"deviation": 0.0} if grown else {}
            self._layer(f"down{size}", [DOWN, DOWN, high, low], DOWN**2 * high, **zero)
            # A pixel of a stride-2 transposed convolution is reached by a quarter of the taps.
            self._layer(f"up{size}", [DOWN, DOWN, high, low], DOWN**2 / 4 * low)
            self._layer(f"conv{size}", [SAME, SAME, high, high], SAME**2 * high)
            self._layer(f"style{size}", [STYLE, 2 * high], STYLE, deviation=STYLE_DEVIATION)
            deviation = 0.0 if grown else 0.1 / math.sqrt(SAME**2 * high)
            shape = [SAME, SAME, high, self.channels + 1]
            self._layer(f"rgb{size}", shape, high, deviation=deviation)

    # --- the network ---

    def estimate(
        self,
        images: tf.Tensor,
        mask: tf.Tensor,
        noise: tf.Tensor,
        *,
        weights: dict[str, tf.Variable] | None = None,
    ) -> tf.Tensor:
        """Draw whole images from their known pixels: [N, S, S, C] in [-1, 1].

        Known pixels are drawn, too, though a completion keeps the original ones. The values of
        missing pixels never reach the network.

        Args:
          images: [N, S, S, C] in [-1, 1].
          mask: [N, S, S, 1], 1 = known, 0 = missing, the opposite of other masks. What lies beyond
            the photo is missing, too.
          noise: [N, NOISE], of a standard normal distribution; zeros draw the likeliest picture.
          weights: replace the encoder's own variables, `self.e`.
        """
        e = self.e if weights is None else weights
        with tf.name_scope("photo_encoder"):
            # Selected, not multiplied: 0 times a value that is not finite is NaN.
            known = tf.where(mask > 0, images, tf.zeros_like(images))
            smooth = interpolate(known, mask)
            inputs = tf.cast(tf.concat([known, mask, smooth], axis=3), self._compute_dtype)
            h, skips = self._encode(inputs, e)
            h, style = self._middle(h, noise, e)
            drawn = self._decode(h, style, skips, e)
            colours, share = tf.split(tf.cast(drawn, tf.float32), [self.channels, 1], axis=3)
            return tf.clip_by_value(tf.nn.tanh(colours) + tf.nn.sigmoid(share) * smooth, -1, 1)

    def _encode(
        self, inputs: tf.Tensor, e: dict[str, tf.Variable]
    ) -> tuple[tf.Tensor, dict[int, tf.Tensor]]:
        """Reduce to 4x4; give also the feature maps before each reduction, by their size."""
        skips, h = {}, None
        for size in reversed(self.sizes[1:]):
            with tf.name_scope(f"down{size}"):
                if size >= self.first_size:
                    seen = activate(_conv(inputs, e, f"stem{size}"))
                    h = seen if h is None else h + seen
                    inputs = tf.nn.avg_pool2d(inputs, 2, 2, "VALID")
                skips[size] = h
                h = activate(ops.conv2d(h, e[f"down{size}_kernel"]), e[f"down{size}_bias"])
        return h, skips

    def _middle(
        self, h: tf.Tensor, noise: tf.Tensor, e: dict[str, tf.Variable]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Spread information over the image, and the noise; give also the decoder's style."""
        with tf.name_scope("middle"):
            noise = tf.cast(noise, h.dtype)
            h += connect(h, e["spread_kernel"])
            h += tf.reshape(_dense(noise, e, "noise"), tf.shape(h))
            h += activate(_conv(h, e, "middle"))
            seen = tf.concat([noise, tf.reduce_mean(h, axis=[1, 2])], axis=1)
            return h, activate(_dense(seen, e, "mapping"))

    def _decode(
        self,
        h: tf.Tensor,
        style: tf.Tensor,
        skips: dict[int, tf.Tensor],
        e: dict[str, tf.Variable],
    ) -> tf.Tensor:
        """Draw colours and shares, [N, S, S, C + 1], from the smallest feature map."""
        drawn = None
        for size in self.sizes[1:]:
            with tf.name_scope(f"up{size}"):
                h = ops.conv2d_transpose(h, e[f"up{size}_kernel"])
                h = activate(h + skips[size], e[f"up{size}_bias"])
                both = _dense(style, e, f"style{size}")[:, tf.newaxis, tf.newaxis]
                scale, shift = tf.split(both, 2, axis=3)
                h = activate(_conv(h, e, f"conv{size}") * (1 + scale) + shift)
                part = _conv(h, e, f"rgb{size}")
                drawn = part if drawn is None else part + _enlarge(drawn)
        return drawn


def _conv(x: tf.Tensor, e: dict[str, tf.Variable], name: str) -> tf.Tensor:
    y = tf.nn.conv2d(x, tf.cast(e[f"{name}_kernel"], x.dtype), 1, "SAME")
    return y + tf.cast(e[f"{name}_bias"], x.dtype)


def _dense(x: tf.Tensor, e: dict[str, tf.Variable], name: str) -> tf.Tensor:
    kernel, bias = (tf.cast(e[f"{name}_{part}"], x.dtype) for part in ("kernel", "bias"))
    return ops.linear(x, kernel, bias)


def _enlarge(x: tf.Tensor) -> tf.Tensor:
    """Double the size of [N, H, W, C] by bilinear interpolation."""
    return tf.cast(tf.image.resize(x, [2 * x.shape[1], 2 * x.shape[2]]), x.dtype)
