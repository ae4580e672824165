"""Completing images with a trained DCGAN: where the model, the search for z and the masks meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

import utils
from completion import blending as poisson
from completion import input_images as inputs
from completion import latent_search as search
from completion import masks
from completion.settings import Settings
from model import DCGAN

POOL_BATCH = 64  # generated images of the pool at a time
SMOOTHNESS = 1 / 32  # of the edge: 2 of 64 pixels were best (docs/completion.md)


def update_rule(settings: Settings) -> search.Rule:
    """The rule by which z is searched."""
    if settings.approach == "pgd":
        return search.pgd(settings.lr, settings.momentum)
    if settings.approach == "hmc":
        return search.HamiltonianMonteCarlo(
            settings.hmc_beta, settings.hmc_eps, settings.hmc_l, settings.hmc_anneal
        )
    return search.adam(settings.lr, settings.beta1, settings.beta2, settings.eps, settings.decay)


@dataclasses.dataclass(frozen=True)
class Completion:
    """Where the completion of some images stands: rows are images, columns samples, best first.

    Attributes:
      iteration: number of iterations done.
      samples_z: the best latent so far of each search, [N, K, A, z_dim]; a sample is the mean of
        A of them (`Settings.average`), the best first.
      samples_losses: total, contextual and perceptual loss at the best of the A, each [N, K].
      samples_generated: G(z), the mean over the A, uint8 [N, K, S, S, C].
      samples_completed: the images with their holes filled, as `samples_generated`.
      history: the least total loss among the samples at every iteration since the state before,
        [iterations, N].
    """

    iteration: int
    samples_z: np.ndarray
    samples_losses: tuple[np.ndarray, np.ndarray, np.ndarray]
    samples_generated: np.ndarray
    samples_completed: np.ndarray
    history: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """The best search's latent, [N, z_dim]."""
        return self.samples_z[:, 0, 0]

    @property
    def losses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The best sample's total, contextual and perceptual loss, each [N]."""
        total, contextual, perceptual = self.samples_losses
        return total[:, 0], contextual[:, 0], perceptual[:, 0]

    @property
    def generated(self) -> np.ndarray:
        """The best sample's G(z), uint8 [N, S, S, C]."""
        return self.samples_generated[:, 0]

    @property
    def completed(self) -> np.ndarray:
        """The best completions, uint8 [N, S, S, C]."""
        return self.samples_completed[:, 0]


class Completer:
    """Completes images with a model, in batches of one shape.

    A result depends on the model, the settings, the batch's shape, the image, its mask and the
    seed: not on the other images of its batch, nor on its place in it.
    """

    def __init__(
        self,
        model: DCGAN,
        settings: Settings,
        *,
        batch_size: int = 64,
        samples: int = 1,
        precision: str = "float32",
    ) -> None:
        """Sets the search up.

        Args:
          model: its generator is used as it is, such as checkpoints.load_model gives it.
          settings: of the search.
          batch_size: images at a time.
          samples: completions of each image, from different starts.
          precision: of the convolutions in the search; what is returned is computed in float32.
        """
        self.model, self.settings = model, settings
        self.batch_size, self.samples = batch_size, samples
        self._searches = samples * settings.average  # of each image
        self._fast = model.in_precision(precision)
        self._rule = update_rule(settings)
        # By the edge of a mask's blocks: one object for all batches, since each is compiled.
        self._losses: dict[int, search.LossFunction] = {}
        self._pool: tuple[Any, np.ndarray, tf.Tensor] = None, np.empty(0), tf.zeros([0])

    def states(
        self,
        images: np.ndarray,
        mask: np.ndarray,
        mask_type: str,
        seed: int,
        interval: int,
        feather: np.ndarray | None = None,
    ) -> Iterator[Completion]:
        """Completes one batch; yields at the start, after every `interval` iterations, at the end.

        Args:
          images: uint8 [N, S, S, C], N at most the batch size.
          mask: float32 as masks.make_mask gives it, one for each image.
          mask_type: of masks.MASK_TYPES, or `file`.
          seed: of what is random; each image adds its own pixels' hash.
          interval: iterations.
          feather: as for `fill`.
        """
        settings, count = self.settings, len(images)
        padding = [(0, self.batch_size - count), (0, 0), (0, 0), (0, 0)]
        rows = [
            np.repeat(np.pad(x, padding, mode="edge"), self._searches, 0) for x in (images, mask)
        ]
        signed = utils.to_signed(rows[0])
        weights = masks.blend_weights(rows[1], settings.weighted).astype(np.float32)
        block = masks.block_edge(mask_type)
        drawn = rows[0][:: self._searches]
        start = self._start(drawn, signed, weights, block, seed)
        randoms = [
            own
            for image in drawn
            for own in inputs.random_of(image, seed, purpose=2).spawn(self._searches)
        ]
        found = search.complete(
            self._loss(block),
            start,
            self._rule,
            data=(signed, weights),
            iterations=settings.n_iter,
            interval=interval,
            randoms=randoms,
        )
        for state in found:
            generated, losses = self._look(state.z, signed, weights, block)

            def filled(sample: np.ndarray) -> np.ndarray:
                return fill(images, mask, sample, mask_type, settings.blend, feather)

            yield self._ranked(state, losses, generated, count, filled)

    def complete(
        self, images: np.ndarray, mask: np.ndarray, mask_type: str, seed: int
    ) -> Completion:
        """Completes any number of images; arguments as for `states`."""
        parts = []
        for first in range(0, len(images), self.batch_size):
            part = slice(first, first + self.batch_size)
            *_, last = self.states(
                images[part], mask[part], mask_type, seed, interval=self.settings.n_iter
            )
            parts.append(last)
        return Completion(
            parts[0].iteration,
            np.concatenate([p.samples_z for p in parts]),
            tuple(np.concatenate(x) for x in zip(*(p.samples_losses for p in parts), strict=True)),
            np.concatenate([p.samples_generated for p in parts]),
            np.concatenate([p.samples_completed for p in parts]),
            np.concatenate([p.history for p in parts], axis=1),
        )

    def _loss(self, block: int) -> search.LossFunction:
        settings, model = self.settings, self._fast

        def loss(z: tf.Tensor, images: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return model.completion_loss(
                z, images, weights, lam=settings.lam, block=block, distance=settings.distance
            )[:1]

        return self._losses.setdefault(block, loss)

    def _start(
        self, drawn: np.ndarray, signed: np.ndarray, weights: np.ndarray, block: int, seed: int
    ) -> np.ndarray:
        """Where each row's search begins, [rows, z_dim]: the pool's best, or anywhere."""
        shape = [self._searches, self.model.z_dim]
        if not self.settings.pool:
            starts = [
                inputs.random_of(image, seed, purpose=0).uniform(-1, 1, shape) for image in drawn
            ]
            return np.concatenate(starts).astype(np.float32)
        z, pool = self._generated_pool(block, seed)
        one = slice(None, None, self._searches)  # all searches for an image are alike
        averages = masks.block_average(signed[one], block)[:, ::block, ::block]
        targets = 127.5 * (averages + 1).reshape(len(drawn), -1)
        counts = np.repeat(weights[one], signed.shape[3], axis=3).reshape(targets.shape)
        return z[search.nearest(pool, targets, counts, self._searches).ravel()]

    def _generated_pool(self, block: int, seed: int) -> tuple[np.ndarray, tf.Tensor]:
        """Latents, [pool, z_dim], and what is compared of their images, uint8 [pool, values]."""
        if self._pool[0] != (block, seed):
            random = np.random.default_rng([seed, 3])
            size = max(self.settings.pool, self._searches)
            z = random.uniform(-1, 1, [size, self.model.z_dim]).astype(np.float32)
            parts = np.split(z, range(POOL_BATCH, len(z), POOL_BATCH))
            pool = tf.concat([_pool_part(self._fast, tf.constant(p), block) for p in parts], 0)
            self._pool = (block, seed), z, pool
        return self._pool[1:]

    def _look(
        self, z: np.ndarray, images: np.ndarray, weights: np.ndarray, block: int
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """G(z) in [-1, 1], and total, contextual and perceptual loss, all in float32."""
        generated, contextual, perceptual = _evaluate(
            self.model,
            *(tf.constant(x) for x in (z, images, weights)),
            block,
            self.settings.distance,
        )
        contextual, perceptual = contextual.numpy(), perceptual.numpy()
        total = contextual + np.float32(self.settings.lam) * perceptual
        return generated.numpy(), (total, contextual, perceptual)

    def _ranked(
        self,
        state: search.SearchState,
        losses: Sequence[np.ndarray],
        generated: np.ndarray,
        count: int,
        filled: Callable[[np.ndarray], np.ndarray],
    ) -> Completion:
        """The state of the first `count` images, each one's searches sorted by their loss."""

        def by_image(values: np.ndarray) -> np.ndarray:
            return values.reshape(-1, self._searches, *values.shape[1:])[:count]

        order = np.argsort(by_image(losses[0]), axis=1, kind="stable")

        def ranked(values: np.ndarray) -> np.ndarray:
            own = by_image(values)
            return np.stack([row[places] for row, places in zip(own, order, strict=True)])

        def grouped(values: np.ndarray) -> np.ndarray:
            return ranked(values).reshape(count, self.samples, -1, *values.shape[1:])

        generated = utils.to_uint8(grouped(generated).mean(axis=2))
        history = state.history.reshape(-1, self.batch_size, self._searches)[:, :count]
        return Completion(
            state.iteration,
            grouped(state.z),
            tuple(grouped(values)[:, :, 0] for values in losses),
            generated,
            np.stack([filled(generated[:, k]) for k in range(self.samples)], axis=1),
            history.min(axis=2, initial=np.inf),
        )


@tf.function(reduce_retracing=True, autograph=False)
def _pool_part(model: DCGAN, z: tf.Tensor, block: int) -> tf.Tensor:
    images = model.generator(z)
    if block > 1:
        images = tf.nn.avg_pool2d(images, block, block, "VALID")
    levels = tf.round(127.5 * (tf.reshape(images, [tf.shape(z)[0], -1]) + 1))
    return tf.cast(levels, tf.uint8)


@tf.function(reduce_retracing=True, autograph=False)
def _evaluate(
    model: DCGAN, z: tf.Tensor, images: tf.Tensor, weights: tf.Tensor, block: int, distance: str
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    _, contextual, perceptual = model.completion_loss(
        z, images, weights, lam=1, block=block, distance=distance
    )
    return model.generator(z), contextual, perceptual


def fill(
    images: np.ndarray,
    mask: np.ndarray,
    generated: np.ndarray,
    mask_type: str,
    blend: str = "none",
    feather: np.ndarray | None = None,
) -> np.ndarray:
    """The completions: the known pixels of `images`, the hole by G(z).

    Args:
      images, generated: uint8 [N, S, S, C].
      mask: [N, S, S, 1], 1 = known.
      mask_type: of masks.MASK_TYPES, or `file`; decides whether blending makes sense.
      blend: `none`: as it is; `poisson`: by its gradients (poisson.poisson_blend); `smooth`: by
        its gradients and its curvature, which count alike over SMOOTHNESS.
      feather: the share of G(z) in each pixel, as masks.feather_weights gives it, for a mask that
        was grown.
    """
    if blend != "none" and mask_type not in masks.NOTHING_STAYS:
        smoothness = SMOOTHNESS * images.shape[1] if blend == "smooth" else 0.0
        filled = poisson.poisson_blend(images, mask, generated, smoothness)
    else:
        filled = masks.composite(images, mask, generated, mask_type)
    return filled if feather is None else masks.feather(images, feather, filled)
