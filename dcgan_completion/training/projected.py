"""Discriminators for the photo encoder: on pretrained features, and on patches of the picture.

All judge a completed picture: known pixels are the photo's, what lies beyond the photo is blank, in
real pictures as in completed ones. `marks` are [N, S, S, 2]: 1 in the hole, and 1 within the photo.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from dcgan_completion import ops
from dcgan_completion.training import features

PROJECTED = (32, 64, 96, 128)  # channels of the mixed features, finest first
WIDTHS = 64, 128  # channels of a discriminator's layers on features
# Of the discriminator on patches: channels of its layers of stride 2, of which smaller pictures
# have the last ones alone, and of the layer at the end; and the edge of its map of logits.
PATCH_WIDTHS, PATCH_END, PATCH_MAP = (32, 64, 96), 128, 16
MARKS = 2
FINE_MAPS = 2  # so many of the finest maps judge the cells that touch the hole, and no others


class Verdict(NamedTuple):
    """What one discriminator says.

    Attributes:
      logits: [N, h, w].
      weight: how much each cell of a completed picture counts, [N, h, w].
      maps: its feature maps, for feature matching.
    """

    logits: tf.Tensor
    weight: tf.Tensor
    maps: list[tf.Tensor]


class _Layers(tf.Module):
    """Convolutions with spectral normalisation (Miyato et al. 2018, arXiv:1802.05957)."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed, self._draws = seed, 0
        self.d: dict[str, tf.Variable] = {}
        self.u: dict[str, tf.Variable] = {}  # the largest left singular vectors, by power iteration

    @property
    def discriminator_variables(self) -> list[tf.Variable]:
        """The variables that are trained."""
        return list(self.d.values())

    def _normal(self, shape: Sequence[int]) -> tf.Tensor:
        self._draws += 1
        return tf.random.stateless_normal(shape, [self._seed, -self._draws])

    def _layer(self, name: str, edge: int, into: int, out: int) -> None:
        kernel = self._normal([edge, edge, into, out]) * math.sqrt(2 / (edge * edge * into))
        self.d[f"{name}_kernel"] = tf.Variable(kernel)
        self.d[f"{name}_bias"] = tf.Variable(tf.zeros([out]))
        vector = tf.math.l2_normalize(self._normal([1, out]))
        self.u[name] = tf.Variable(vector, trainable=False, aggregation=tf.VariableAggregation.MEAN)

    def normalised(self, update: bool) -> dict[str, tf.Tensor]:
        """Divide each kernel by its largest singular value; take a step of the power iteration."""
        kernels = {}
        for name, u in self.u.items():
            kernel = self.d[f"{name}_kernel"]
            matrix = tf.reshape(kernel, [-1, kernel.shape[3]])
            v = tf.math.l2_normalize(tf.linalg.matmul(u, matrix, transpose_b=True))
            new = tf.math.l2_normalize(tf.linalg.matmul(v, matrix)) if update else tf.identity(u)
            v, new = tf.stop_gradient(v), tf.stop_gradient(new)
            if update:
                u.assign(new)
            sigma = tf.reduce_sum(tf.linalg.matmul(v, matrix) * new)
            kernels[name] = kernel / tf.maximum(sigma, 1e-6)
        return kernels

    def _conv(
        self, x: tf.Tensor, kernels: dict[str, tf.Tensor], name: str, stride: int
    ) -> tf.Tensor:
        y = tf.nn.conv2d(x, tf.cast(kernels[name], x.dtype), stride, "SAME")
        return y + tf.cast(self.d[f"{name}_bias"], x.dtype)


def _at(marks: tf.Tensor, edge: int) -> tf.Tensor:
    """Resize marks to `edge` pixels: a smaller map's cell has the largest of what it covers."""
    if marks.shape[1] < edge:
        return tf.image.resize(marks, [edge, edge], "nearest")
    factor = marks.shape[1] // edge
    return tf.nn.max_pool2d(marks, factor, factor, "VALID")


class ProjectedDiscriminators(_Layers):
    """Four small discriminators on mixed features of a fixed network.

    Sauer et al. 2021, "Projected GANs converge faster" (arXiv:2111.01007, section 3): features of
    four resolutions are mixed across channels by random 1x1 convolutions, and across scales by
    random 3x3 ones, from the coarsest up, which stay fixed.
    """

    def __init__(self, network: features.FeatureNetwork, size: int, seed: int) -> None:
        """Make the variables, for pictures that the network sees at `size` pixels."""
        super().__init__(seed)
        self._network, self._size = network, size
        self._mixing: list[list[tf.Tensor]] = []
        for into, out in zip(features.CHANNELS, PROJECTED, strict=True):
            self._mixing.append([self._normal([1, 1, into, out]) * math.sqrt(1 / into)])
        for i in range(len(PROJECTED) - 1):
            into, out = PROJECTED[i + 1], PROJECTED[i]
            self._mixing[i].append(self._normal([3, 3, into, out]) * math.sqrt(1 / (9 * into)))
        for i, into in enumerate(PROJECTED):
            self._layer(f"{i}_first", 4 if i < FINE_MAPS else 3, into + MARKS, WIDTHS[0])
            self._layer(f"{i}_second", 3, WIDTHS[0], WIDTHS[1])
            self._layer(f"{i}_logit", 1, WIDTHS[1], 1)

    def features(self, pictures: tf.Tensor) -> list[tf.Tensor]:
        """Compute the fixed network's feature maps of pictures, [N, S, S, 3], finest first."""
        if pictures.shape[1] != self._size:
            pictures = tf.image.resize(pictures, [self._size, self._size])
        return self._network(pictures)

    def _mix(self, maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        mixed: list[tf.Tensor] = []
        for features_of, kernels in zip(reversed(maps), reversed(self._mixing), strict=True):
            # Maps of one scale have a variance of very different sizes.
            h = tf.nn.conv2d(features_of, kernels[0], 1, "SAME")
            if mixed:
                larger = tf.image.resize(mixed[-1], h.shape[1:3])
                h = (h + tf.nn.conv2d(larger, kernels[1], 1, "SAME")) / math.sqrt(2)
            mixed.append(h)
        return mixed[::-1]

    def judge(
        self, maps: Sequence[tf.Tensor], marks: tf.Tensor, kernels: dict[str, tf.Tensor]
    ) -> list[Verdict]:
        """Judge pictures by their feature maps; kernels are `normalised`."""
        verdicts = []
        for i, h in enumerate(self._mix(maps)):
            seen = _at(marks, h.shape[1])
            h = tf.concat([h, seen], axis=3)
            h = ops.lrelu(self._conv(h, kernels, f"{i}_first", 2 if i < FINE_MAPS else 1))
            h = ops.lrelu(self._conv(h, kernels, f"{i}_second", 2 if i == 0 else 1))
            logits = self._conv(h, kernels, f"{i}_logit", 1)[..., 0]
            touched = _at(marks, logits.shape[1])[..., 0]
            weight = touched if i < FINE_MAPS else tf.ones_like(touched)
            verdicts.append(Verdict(logits, weight, []))
        return verdicts


class PatchDiscriminator(_Layers):
    """A discriminator of patches (Isola et al. 2017, arXiv:1611.07004, section 3.2.2)."""

    def __init__(self, size: int, channels: int, seed: int) -> None:
        """Make the variables, for pictures of `size` pixels and `channels`."""
        super().__init__(seed)
        halvings = max(1, round(math.log2(size / PATCH_MAP)))
        widths = [*PATCH_WIDTHS[-halvings:], PATCH_END]
        self._layers, into = len(widths), channels + MARKS
        for i, out in enumerate(widths):
            self._layer(f"patch{i}", 3 if i == halvings else 4, into, out)
            into = out
        self._layer("patch_logit", 3, into, 1)

    def judge(
        self, pictures: tf.Tensor, marks: tf.Tensor, kernels: dict[str, tf.Tensor]
    ) -> list[Verdict]:
        """Judge pictures, [N, S, S, C]; kernels are `normalised`."""
        h, maps = tf.concat([pictures, marks], axis=3), []
        for i in range(self._layers):
            stride = 1 if i == self._layers - 1 else 2
            h = ops.lrelu(self._conv(h, kernels, f"patch{i}", stride))
            maps.append(h)
        logits = self._conv(h, kernels, "patch_logit", 1)[..., 0]
        return [Verdict(logits, _at(marks, logits.shape[1])[..., 0], maps)]


def _mean(values: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Average values by their weights; 0 without any."""
    return tf.math.divide_no_nan(tf.reduce_sum(values * weight), tf.reduce_sum(weight))


def discriminator_loss(real: Sequence[Verdict], fake: Sequence[Verdict]) -> tf.Tensor:
    """Compute the hinge loss (Lim and Ye 2017, arXiv:1705.02894), the mean over discriminators."""
    losses = []
    for of_real, of_fake in zip(real, fake, strict=True):
        kept = tf.reduce_mean(tf.nn.relu(1 - of_real.logits))
        losses.append(kept + _mean(tf.nn.relu(1 + of_fake.logits), of_fake.weight))
    return tf.add_n(losses) / len(losses)


def generator_loss(fake: Sequence[Verdict]) -> tf.Tensor:
    """Compute the mean over discriminators of minus the logits of completed pictures."""
    losses = [_mean(-verdict.logits, verdict.weight) for verdict in fake]
    return tf.add_n(losses) / len(losses)


def map_distance(
    fake: Sequence[tf.Tensor], real: Sequence[tf.Tensor], marks: tf.Tensor
) -> tf.Tensor:
    """Compare feature maps where they see the hole: the mean over maps of the relative L1 distance.

    Each channel's distance is divided by its mean magnitude in the real pictures, so that all maps
    and channels count alike.
    """
    losses = []
    for one, other in zip(fake, real, strict=True):
        other = tf.stop_gradient(other)
        touched = _at(marks[..., :1], one.shape[1])
        size = tf.reduce_mean(tf.abs(other), axis=[0, 1, 2]) + 1e-2
        distance = tf.reduce_mean(tf.abs(one - other) / size, axis=3, keepdims=True)
        losses.append(_mean(distance, touched))
    return tf.add_n(losses) / len(losses)
