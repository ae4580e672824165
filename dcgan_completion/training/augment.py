"""Augmentation of image batches inside the training step, by stateless random numbers.

Images are float32 [N, S, S, C] in [-1, 1]; a seed is an int64 tensor [2], and equal seeds give
equal random numbers on every kind of device (Philox).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

import tensorflow as tf

from dcgan_completion.settings.training import POLICIES

MAX_TRANSLATION = 1 / 8  # of the edge
CUTOUT_EDGE = 1 / 2  # of the edge

# images and a seed -> augmented images
Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Purpose(enum.IntEnum):
    """Purposes of a step's random numbers, besides its z."""

    FLIP = 1  # which images are mirrored
    AUGMENT = 2  # what the discriminator sees
    STATISTICS = 3  # the z under which batch statistics are estimated
    NOISE = 4  # what a photo encoder's estimates differ by


def fold(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Derive a seed, int64 [2], from another and a number, such as a purpose or a replica."""
    return tf.random.experimental.stateless_fold_in(seed, number)


def _uniform(
    shape: Sequence[int | tf.Tensor], seed: tf.Tensor, low: float, high: float
) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed, low, high, alg="philox")


def flip(
    images: tf.Tensor, seed: tf.Tensor, first: int | tf.Tensor = 0, total: int | None = None
) -> tf.Tensor:
    """Mirror each image left to right with probability 1/2.

    Args:
      images: [N, S, S, C].
      seed: of the draws for a whole batch.
      first: index of the first image in that batch.
      total: size of that batch; None: the images are all of it.
    """
    number = tf.shape(images)[0]
    drawn = _uniform([number if total is None else total, 1, 1, 1], seed, 0, 1)
    mirrored = drawn[first : first + number] < 0.5
    return tf.where(mirrored, tf.reverse(images, axis=[2]), images)


def _color(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Change brightness by U(-0.5, 0.5), saturation * U(0, 2), contrast * U(0.5, 1.5) per image."""
    shape = [tf.shape(images)[0], 1, 1, 1]
    images += _uniform(shape, fold(seed, 0), -0.5, 0.5)
    gray = tf.reduce_mean(images, axis=3, keepdims=True)
    images = gray + (images - gray) * _uniform(shape, fold(seed, 1), 0, 2)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (images - mean) * _uniform(shape, fold(seed, 2), 0.5, 1.5)


def _translation(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shift by up to an eighth of the edge in both directions, and pad with zeros."""
    number, edge = tf.shape(images)[0], images.shape[1]
    reach = max(1, round(edge * MAX_TRANSLATION))
    shift = tf.random.stateless_uniform(
        [number, 2], seed, -reach, reach + 1, dtype=tf.int32, alg="philox"
    )
    padded = tf.pad(images, [[0, 0], [reach, reach], [reach, reach], [0, 0]])
    positions = tf.range(edge)[tf.newaxis, :] + reach
    rows = tf.gather(padded, positions + shift[:, :1], axis=1, batch_dims=1)
    return tf.gather(rows, positions + shift[:, 1:], axis=2, batch_dims=1)


def _cutout(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Set a square of half the edge to zero, its centre anywhere in the image."""
    number, edge = tf.shape(images)[0], images.shape[1]
    half = round(edge * CUTOUT_EDGE) // 2
    centre = tf.random.stateless_uniform([number, 2], seed, 0, edge, dtype=tf.int32, alg="philox")
    offset = tf.range(edge)[tf.newaxis, :] - centre[:, :, tf.newaxis]  # [N, 2, edge]
    inside = tf.logical_and(offset >= -half, offset < half)
    hole = tf.logical_and(inside[:, 0, :, tf.newaxis], inside[:, 1, tf.newaxis, :])
    return tf.where(hole[..., tf.newaxis], tf.zeros_like(images), images)


def differentiable(policies: Sequence[str]) -> Augment:
    """Make DiffAugment (Zhao et al. 2020, arXiv:2006.10738): what D sees, real and generated alike.

    Against memorisation of small data sets by D; G gets its gradient through the augmentation.

    Args:
      policies: of POLICIES, applied in the order of POLICIES with the paper's strengths; if empty,
        the images stay unchanged.

    Returns:
      A function of images and a seed.

    Raises:
      ValueError: a policy is unknown.
    """
    if unknown := set(policies) - set(POLICIES):
        raise ValueError(f"unknown augmentation {min(unknown)!r}: must be of {POLICIES}")
    functions = {"color": _color, "translation": _translation, "cutout": _cutout}
    chosen = [(i, functions[name]) for i, name in enumerate(POLICIES) if name in policies]

    def augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        for i, function in chosen:
            images = function(images, fold(seed, 10 + i))
        return images

    return augment
