"""The DCGAN of the paper and the tutorial: networks, losses, completion loss."""

from __future__ import annotations

import importlib
import itertools
import math
import sys

import tensorflow as tf

from dcgan_completion import ops
from dcgan_completion.ops import START

BATCH_NORM_MOMENTUM = 0.9
KERNEL = 5  # pixels: edge of all convolutions' kernels


def count_weights(image_size: int, channels: int, z_dim: int, gf_dim: int, df_dim: int) -> int:
    """Count the numbers in all variables of such a `DCGAN`, without making one."""
    layers = int(math.log2(image_size // START))
    g, d = ([dim * 2**i for i in range(layers)] for dim in (gf_dim, df_dim))
    between = sum(KERNEL**2 * a * b for net in (g, d) for a, b in itertools.pairwise(net))
    normalised = 4 * (sum(g) + sum(d[1:]))  # scale, offset, mean, variance
    start, end = START * START * g[-1], START * START * d[-1]
    outer = KERNEL**2 * channels * (gf_dim + df_dim) + channels + df_dim
    return between + normalised + outer + start * (z_dim + 1) + end + 1


class DCGAN(ops.Network):
    """A generator G, a discriminator D, and the losses with which they are trained and used.

    Radford et al. 2016 (arXiv:1511.06434), in the form of Amos' tutorial: z -> linear ->
    4x4 x (gf_dim * image_size / 8) -> 5x5 stride-2 transposed convolutions, halving the
    channels down to gf_dim, then the image; D mirrors it from df_dim up. At 64 pixels G's
    feature maps have 512, 256, 128, 64 channels.

    Attributes:
      g, d: every variable of G and of D, by its layer's name; a checkpoint's keys are made of
        these names.
    """

    ARCHITECTURE = ("image_size", "channels", "z_dim", "gf_dim", "df_dim")

    def __init__(
        self,
        *,
        image_size: int = 64,
        channels: int = 3,
        z_dim: int = 100,
        gf_dim: int = 64,
        df_dim: int = 64,
        seed: int = 0,
        compute_dtype: str = "float32",
        sync_batch_norm: bool = False,
    ) -> None:
        """Make the variables.

        Args:
          image_size: S, edge of the images in pixels.
          channels: C, 1 for gray or 3 for colour.
          z_dim: length of the latent z.
          gf_dim: channels of G's last feature map.
          df_dim: channels of D's first feature map.
          seed: of the variables' initial values.
          compute_dtype: float32 or bfloat16, of the convolutions and of what lies between them;
            variables, batch statistics, images, logits and losses are float32.
          sync_batch_norm: training normalises by the statistics of the global batch of a
            distribution strategy, instead of those of each replica's part.

        Raises:
          ValueError: image_size is not 16, 32, 64 or 128, or channels not 1 or 3.
        """
        super().__init__(image_size, channels, seed, compute_dtype)
        self.z_dim, self.gf_dim, self.df_dim = z_dim, gf_dim, df_dim
        self._sync_batch_norm = sync_batch_norm
        self._g_widths = [gf_dim * 2**i for i in reversed(range(self._layers))]
        self._d_widths = [df_dim * 2**i for i in range(self._layers)]
        self.g: dict[str, tf.Variable] = {}
        self.d: dict[str, tf.Variable] = {}
        self._make_generator()
        self._make_discriminator()

    # --- variables ---

    # Properties, since tf.Module would store lists a second time in every checkpoint's graph.
    @property
    def generator_variables(self) -> list[tf.Variable]:
        """G's trainable variables, in the order of its layers."""
        return [v for v in self.g.values() if v.trainable]

    @property
    def generator_statistics(self) -> list[tf.Variable]:
        """The running means and variances of G's batch normalisations."""
        return [v for v in self.g.values() if not v.trainable]

    @property
    def discriminator_variables(self) -> list[tf.Variable]:
        """D's trainable variables, in the order of its layers."""
        return [v for v in self.d.values() if v.trainable]

    @property
    def discriminator_statistics(self) -> list[tf.Variable]:
        """The running means and variances of D's batch normalisations."""
        return [v for v in self.d.values() if not v.trainable]

    def _make_batch_norm(self, net: dict[str, tf.Variable], layer: str, width: int) -> None:
        net[f"{layer}_scale"] = tf.Variable(tf.ones([width]))
        net[f"{layer}_offset"] = tf.Variable(tf.zeros([width]))
        for name, initial in (("mean", tf.zeros([width])), ("variance", tf.ones([width]))):
            # What several replicas assign is averaged.
            net[f"{layer}_{name}"] = tf.Variable(
                initial, trainable=False, aggregation=tf.VariableAggregation.MEAN
            )

    def _make_generator(self) -> None:
        g, widths = self.g, self._g_widths
        start = START * START * widths[0]
        g["linear_weight"] = tf.Variable(self._normal([self.z_dim, start]))
        # Batch normalisation cancels a bias that is equal over a channel; this one differs by
        # position and stays. The convolutions but the last have none.
        g["linear_bias"] = tf.Variable(tf.zeros([start]))
        self._make_batch_norm(g, "bn0", widths[0])
        for i, (into, out) in enumerate(zip(widths, [*widths[1:], self.channels], strict=True), 1):
            g[f"conv{i}_kernel"] = tf.Variable(self._normal([KERNEL, KERNEL, out, into]))
            if i < self._layers:
                self._make_batch_norm(g, f"bn{i}", out)
        g[f"conv{self._layers}_bias"] = tf.Variable(tf.zeros([self.channels]))

    def _make_discriminator(self) -> None:
        d, widths = self.d, self._d_widths
        for i, (into, out) in enumerate(zip([self.channels, *widths], widths, strict=False)):
            kernel = self._normal([KERNEL, KERNEL, into, out], truncated=True)
            d[f"conv{i}_kernel"] = tf.Variable(kernel)
            if i == 0:
                d["conv0_bias"] = tf.Variable(tf.zeros([out]))
            else:
                self._make_batch_norm(d, f"bn{i}", out)
        d["linear_weight"] = tf.Variable(self._normal([START * START * widths[-1], 1]))
        d["linear_bias"] = tf.Variable(tf.zeros([1]))

    # --- networks ---

    def _batch_norm(
        self,
        net: dict[str, tf.Variable],
        layer: str,
        x: tf.Tensor,
        training: bool,
        momentum: float | tf.Tensor | None,
        groups: int = 1,
    ) -> tf.Tensor:
        """Normalise [N, H, W, C]; arguments as in `generator` and `discriminator`."""
        if groups > 1:
            parts = tf.split(x, groups)
            return tf.concat(
                [self._batch_norm(net, layer, part, training, momentum) for part in parts], 0
            )
        mean, variance = net[f"{layer}_mean"], net[f"{layer}_variance"]
        scale, offset = net[f"{layer}_scale"], net[f"{layer}_offset"]
        if training and self._sync_batch_norm and not tf.distribute.in_cross_replica_context():
            y, batch_mean, batch_variance = ops.sync_batch_norm(x, scale, offset)
        else:
            statistics = None if training else (mean, variance)
            y, batch_mean, batch_variance = ops.batch_norm(x, scale, offset, statistics)
        if training and momentum is not None:
            mean.assign_sub((1 - momentum) * (mean - batch_mean))
            variance.assign_sub((1 - momentum) * (variance - batch_variance))
        return y

    def generator(
        self,
        z: tf.Tensor,
        *,
        training: bool = False,
        momentum: float | tf.Tensor | None = BATCH_NORM_MOMENTUM,
        weights: dict[str, tf.Variable] | None = None,
    ) -> tf.Tensor:
        """Compute G(z): latent [N, z_dim] in [-1, 1] -> images [N, S, S, C] in [-1, 1].

        With `training`, batch normalisation uses the batch's statistics and averages them into
        the running ones with the decay `momentum` (None: it leaves those alone); without, it uses
        the running ones. `weights` replace G's own variables, `self.g`.
        """
        g = self.g if weights is None else weights
        with tf.name_scope("generator"):
            with tf.name_scope("linear"):
                h = ops.linear(z, g["linear_weight"], g["linear_bias"])
                h = tf.reshape(h, [-1, START, START, self._g_widths[0]])
                h = tf.cast(h, self._compute_dtype)
            for i in range(1, self._layers + 1):
                with tf.name_scope(f"conv{i}"):
                    h = self._batch_norm(g, f"bn{i - 1}", h, training, momentum)
                    h = ops.conv2d_transpose(tf.nn.relu(h), g[f"conv{i}_kernel"])
            return tf.nn.tanh(tf.cast(h, tf.float32) + g[f"conv{self._layers}_bias"])

    def discriminator(
        self,
        images: tf.Tensor,
        *,
        training: bool = False,
        momentum: float | None = BATCH_NORM_MOMENTUM,
        groups: int = 1,
    ) -> tf.Tensor:
        """Compute D's logits: images [N, S, S, C] in [-1, 1] -> [N], high for real.

        `training` and `momentum` as in `generator`. With `groups` above 1, the images are that
        many batches, concatenated, and each is normalised separately: the same result as one call
        per batch, and faster.
        """
        d = self.d
        with tf.name_scope("discriminator"):
            with tf.name_scope("conv0"):
                h = ops.conv2d(tf.cast(images, self._compute_dtype), d["conv0_kernel"])
                h = ops.lrelu(h + tf.cast(d["conv0_bias"], self._compute_dtype))
            for i in range(1, self._layers):
                with tf.name_scope(f"conv{i}"):
                    h = ops.conv2d(h, d[f"conv{i}_kernel"])
                    h = ops.lrelu(self._batch_norm(d, f"bn{i}", h, training, momentum, groups))
            with tf.name_scope("linear"):
                h = tf.reshape(tf.cast(h, tf.float32), [-1, START * START * self._d_widths[-1]])
                return ops.linear(h, d["linear_weight"], d["linear_bias"])[:, 0]

    # --- losses ---

    @staticmethod
    def discriminator_loss(
        real_logits: tf.Tensor, fake_logits: tf.Tensor, label_smoothing: float = 0.0
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the means of -log D(x) and of -log(1 - D(G(z))); D minimises their sum.

        Cross-entropy of Goodfellow et al. 2014 (arXiv:1406.2661) on logits [N]; -log sigmoid(l)
        is softplus(-l). With `label_smoothing` s the target for real images is 1 - s instead
        of 1 (one-sided: Salimans et al. 2016, arXiv:1606.03498). Two scalars.
        """
        loss_real = tf.reduce_mean(
            (1 - label_smoothing) * tf.nn.softplus(-real_logits)
            + label_smoothing * tf.nn.softplus(real_logits)
        )
        loss_fake = tf.reduce_mean(tf.nn.softplus(fake_logits))
        return loss_real, loss_fake

    @staticmethod
    def generator_loss(fake_logits: tf.Tensor) -> tf.Tensor:
        """Return the mean of -log D(G(z)) over logits [N], the GAN paper's non-saturating loss."""
        return tf.reduce_mean(tf.nn.softplus(-fake_logits))

    def completion_loss(
        self,
        z: tf.Tensor,
        images: tf.Tensor,
        pixel_weights: tf.Tensor,
        *,
        lam: float = 0.1,
        block: int = 1,
        distance: str = "l1",
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Measure how well G(z) completes the known part of `images`, per image.

        contextual + lam * perceptual, after Yeh and Chen et al. 2016 (arXiv:1607.07539) as
        Amos' tutorial implements it: contextual is the sum over known pixels and channels of
        |G(z) - image|; perceptual is softplus(-D's logit of G(z)) = -log D(G(z)). (The
        tutorial's formula for the latter is log(1 - D(G(z))), its listing this one; both fall
        as D is convinced.) Batch normalisation is in inference mode.

        Args:
          z: latent [N, z_dim].
          images: [N, S, S, C] in [-1, 1].
          pixel_weights: [N, S/block, S/block, 1], how much each pixel counts: the paper's mask M,
            1 = known, 0 = missing, or weights of the known pixels (masks.contextual_weights).
            Only here, in the context encoder's input and in exported signatures, 1 = known;
            everywhere else a mask is 1 in the hole.
          lam: weight of the perceptual loss; with 0, D is not evaluated, and the perceptual loss
            is returned as 0.
          block: edge in pixels of the square blocks whose averages are compared: 1 compares
            pixels; more completes an image of low resolution.
          distance: `l1`, the absolute difference, or `l2`, its square.

        Returns:
          total, contextual and perceptual loss, each [N].
        """
        generated = self.generator(z)
        difference = generated - images
        if block > 1:
            difference = tf.nn.avg_pool2d(difference, block, block, "VALID")
        errors = tf.abs(difference) if distance == "l1" else tf.square(difference)
        contextual = tf.reduce_sum(pixel_weights * errors, axis=[1, 2, 3])
        if lam == 0:
            return contextual, contextual, tf.zeros_like(contextual)
        perceptual = tf.nn.softplus(-self.discriminator(generated))
        return contextual + lam * perceptual, contextual, perceptual


if __name__ == "model":  # imported by its short name, in a checkout: hand over the package's module
    sys.modules[__name__] = importlib.import_module("dcgan_completion.model")
