"""`LatentSearch`: searches the latent space of a DCGAN for candidates."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from dcgan_completion import utils
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.inpaint import blending, latent_search
from dcgan_completion.inpaint.candidates import Losses, Searched, joined_searches
from dcgan_completion.inpaint.estimator import Estimator
from dcgan_completion.masks.mask import Mask, nearness
from dcgan_completion.masks.weights import pixel_weights
from dcgan_completion.model import DCGAN
from dcgan_completion.randomness import Purpose, image_rng, seed_rng
from dcgan_completion.settings.search import SearchSettings

NEAR = 1 / 32  # of the width: how near a known pixel estimates have the detail right, too
POOL_BATCH = 64  # images of the pool that are generated in one call

# The last pool of generated images, by the block, the seed and the size that it was made for.
Pools = dict[tuple[int, int, int], tuple[np.ndarray, tf.Tensor]]


def update_rule(settings: SearchSettings) -> latent_search.Rule:
    """Make the update rule of the settings' approach, with their step size and other parameters.

    Raises:
      ValueError: it needs a step size, and there is none.
    """
    if settings.approach == "hmc":
        return latent_search.HamiltonianMonteCarlo(
            settings.hmc_beta, settings.hmc_eps, settings.hmc_l, settings.hmc_anneal
        )
    if settings.lr is None:
        raise ValueError(f"approach {settings.approach}: needs a step size, lr")
    if settings.approach == "pgd":
        return latent_search.pgd(settings.lr, settings.momentum)
    return latent_search.adam(
        settings.lr, settings.beta1, settings.beta2, settings.eps, settings.decay
    )


class LatentSearch:
    """Searches z for images with a model, in batches of one shape.

    A result depends on the model, the settings, the batch's shape, the seed, the mask and the
    image's known pixels: not on its missing ones, nor on the other images of the batch or its place
    among them.
    """

    def __init__(
        self,
        model: DCGAN,
        settings: SearchSettings,
        *,
        batch_size: int = 64,
        samples: int = 1,
        precision: str = "float32",
        encoder: ContextEncoder | None = None,
        pools: Pools | None = None,
    ) -> None:
        """Compute nothing yet.

        Args:
          model: for use, as checkpoints.load_model gives it.
          settings: of the search.
          batch_size: images of a batch; smaller batches are padded to it.
          samples: candidates of each image, from different starts.
          precision: of the convolutions in the search; what is returned is computed in float32.
          encoder: guides the search where the settings say so, under masks that keep pixels.
          pools: shared with other searches by the same model and precision; None: its own.

        Raises:
          ValueError: the settings ask for a guide, and there is no encoder.
        """
        if settings.guide and encoder is None:
            raise ValueError("a guided search needs a context encoder")
        self._estimator = None
        if encoder is not None and settings.guide:
            self._estimator = Estimator(encoder, batch_size=batch_size, precision=precision)
        self.model, self.settings = model, settings
        self.image_size, self.channels = model.image_size, model.channels
        self.batch_size, self.samples = batch_size, samples
        self._searches = samples * settings.average  # number of them for each image
        self._fast = model.in_precision(precision)
        self._rule = update_rule(settings)
        # By the edge of a mask's blocks: one function for all batches, since each one is compiled.
        self._losses: dict[int, latent_search.LossFunction] = {}
        self._pools: Pools = {} if pools is None else pools

    @property
    def iterations(self) -> int:
        """Number of iterations of a search."""
        return self.settings.n_iter

    def states(
        self, images: np.ndarray, mask: Mask, seed: int, interval: int
    ) -> Iterator[Searched]:
        """Search for one batch; yield at the start, after every `interval` iterations, at the end.

        Args:
          images: uint8 [N, S, S, C], N at most the batch size.
          mask: of the images.
          seed: of the random numbers, which also depend on each image's known pixels.
          interval: iterations between two states.
        """
        settings, count = self.settings, len(images)
        padding = [(0, self.batch_size - count), (0, 0), (0, 0), (0, 0)]
        # The search is given nothing but the known values: no missing pixel can reach it.
        known = np.pad(mask.known_values(images), padding, mode="edge")
        weights = pixel_weights(mask.hole, settings.weighted)
        estimate = self._estimate(images, mask)
        targets, counts = self._targets(known[:count], mask, estimate, weights)
        targets, weights, counts = (
            np.pad(x, padding, mode="edge") for x in (targets, weights, counts)
        )
        starts = self._start(known, targets, counts, mask.block, seed)
        # Row by row: all searches of the first image, then those of the second, ...
        signed, weights, counts = (
            np.repeat(x, self._searches, 0) for x in (utils.to_signed(targets), weights, counts)
        )
        found = latent_search.minimise(
            self._loss(mask.block),
            starts,
            self._rule,
            data=(signed, counts),
            iterations=settings.n_iter,
            interval=interval,
            rngs=self._rngs(known, seed),
        )
        for state in found:
            generated, losses = self._evaluate(state.z, signed, weights, counts, mask.block)
            z, losses, generated = self._rank(state.z, losses, generated, count)
            history = state.history.reshape(-1, self.batch_size, self._searches)[:, :count]
            yield Searched(
                state.iteration,
                self._mixed(generated, estimate, mask),
                generated,
                z,
                losses,
                history.min(axis=2, initial=np.inf),
            )

    def complete(self, images: np.ndarray, mask: Mask, seed: int) -> Searched:
        """Search for any number of images, batch by batch; arguments as for `states`."""
        parts = []
        for first in range(0, len(images), self.batch_size):
            part = slice(first, first + self.batch_size)
            *_, last = self.states(images[part], mask[part], seed, interval=self.settings.n_iter)
            parts.append(last)
        return joined_searches(parts)

    def with_iterations(self, n_iter: int) -> LatentSearch:
        """Share everything, compiled functions too, with a search of another length."""
        other = copy.copy(self)
        other.settings = dataclasses.replace(self.settings, n_iter=n_iter)
        return other

    def _estimate(self, images: np.ndarray, mask: Mask) -> np.ndarray | None:
        """Estimate what guides the search, float32 [N, S, S, C] in 0..255; None: nothing does."""
        if self._estimator is None or not mask.keeps_pixels:
            return None
        return self._estimator.candidates(images, mask)

    def _mixed(self, generated: np.ndarray, estimate: np.ndarray | None, mask: Mask) -> np.ndarray:
        """Mix G(z), [N, K, S, S, C], with the estimates that have guided the search, if any."""
        if estimate is None or not self.settings.mix:
            return generated
        share = nearness(mask.hole, NEAR * self.image_size)[:, np.newaxis]
        sigma = self.settings.mix * self.image_size
        return blending.mix(generated, estimate[:, np.newaxis], sigma, share)

    def _targets(
        self, known: np.ndarray, mask: Mask, estimate: np.ndarray | None, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Set what G(z) is to be like, in 0..255, and how much each of its pixels counts.

        The known values and their `weights`. Where the search is guided, the estimate stands in
        the hole, each pixel with the settings' weight: as the known ones have a mean of 1, it is
        what one counts beside a known one.
        """
        if estimate is None:
            return known, weights
        guide = np.float32(self.settings.guide) * mask.hole
        return np.where(mask.hole, estimate, known), weights + guide

    def _loss(self, block: int) -> latent_search.LossFunction:
        """Give the total completion loss, which is minimised, for blocks of that edge."""
        settings, model = self.settings, self._fast

        def loss(z: tf.Tensor, images: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return model.completion_loss(
                z, images, weights, lam=settings.lam, block=block, distance=settings.distance
            )[:1]

        return self._losses.setdefault(block, loss)

    def _rngs(self, known: np.ndarray, seed: int) -> list[np.random.Generator]:
        """Make the rng of each row's search."""
        rngs = (image_rng(values, seed, Purpose.SEARCH) for values in known)
        return [own for rng in rngs for own in rng.spawn(self._searches)]

    def _start(
        self, known: np.ndarray, targets: np.ndarray, counts: np.ndarray, block: int, seed: int
    ) -> np.ndarray:
        """Choose where each row's search begins, [rows, z_dim]: the pool's best z, or random ones.

        Args:
          known: the images' known values, as `Mask.known_values` gives them.
          targets, counts: as `_targets` gives them.
          block: edge of the mask's blocks in pixels.
          seed: as for `states`.
        """
        shape = [self._searches, self.model.z_dim]
        if not self.settings.pool:
            starts = [
                image_rng(values, seed, Purpose.START).uniform(-1, 1, shape) for values in known
            ]
            return np.concatenate(starts).astype(np.float32)
        z, pool = self._generated_pool(block, seed)
        targets = targets[:, ::block, ::block].reshape(len(known), -1)
        counts = np.repeat(counts, known.shape[3], axis=3).reshape(targets.shape)
        return z[latent_search.nearest(pool, targets, counts, self._searches).ravel()]

    def _generated_pool(self, block: int, seed: int) -> tuple[np.ndarray, tf.Tensor]:
        """Generate latents, [M, z_dim], and their images' pixels or blocks, uint8 [M, values]."""
        size = max(self.settings.pool, self._searches)
        if (block, seed, size) not in self._pools:
            rng = seed_rng(seed, Purpose.POOL)
            z = rng.uniform(-1, 1, [size, self.model.z_dim]).astype(np.float32)
            parts = np.split(z, range(POOL_BATCH, len(z), POOL_BATCH))
            images = [_generate_blocks(self._fast, tf.constant(part), block) for part in parts]
            pool = np.concatenate([utils.to_uint8(part).reshape(len(part), -1) for part in images])
            self._pools.clear()
            self._pools[block, seed, size] = z, tf.constant(pool)
        return self._pools[block, seed, size]

    def _evaluate(
        self,
        z: np.ndarray,
        images: np.ndarray,
        weights: np.ndarray,
        counts: np.ndarray,
        block: int,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Compute G(z) in [-1, 1]; the minimised, total, contextual and perceptual loss.

        All in float32; the last three with `weights`, of the known pixels alone.
        """
        generated, searched, contextual, perceptual = _generate_and_evaluate(
            self.model,
            tf.constant(z),
            tf.constant(images),
            tf.constant(weights),
            tf.constant(counts),
            block,
            self.settings.distance,
        )
        contextual, perceptual = contextual.numpy(), perceptual.numpy()
        perceptual_part = np.float32(self.settings.lam) * perceptual
        total, searched = contextual + perceptual_part, searched.numpy() + perceptual_part
        return generated.numpy(), (searched, total, contextual, perceptual)

    def _rank(
        self, z: np.ndarray, losses: Sequence[np.ndarray], generated: np.ndarray, count: int
    ) -> tuple[np.ndarray, Losses, np.ndarray]:
        """Sort the searches of the first `count` images by the first loss.

        Returns:
          `z`, `losses` and `generated` of `Searched`.
        """

        def by_image(values: np.ndarray) -> np.ndarray:
            return values.reshape(-1, self._searches, *values.shape[1:])[:count]

        order = np.argsort(by_image(losses[0]), axis=1, kind="stable")

        def grouped(values: np.ndarray) -> np.ndarray:
            ranked = [row[own] for row, own in zip(by_image(values), order, strict=True)]
            return np.stack(ranked).reshape(count, self.samples, -1, *values.shape[1:])

        total, contextual, perceptual = (grouped(values)[:, :, 0] for values in losses[1:])
        images = np.float32(127.5) * (grouped(generated).mean(axis=2) + 1)
        return grouped(z), (total, contextual, perceptual), images


@tf.function(reduce_retracing=True, autograph=False)
def _generate_blocks(model: DCGAN, z: tf.Tensor, block: int) -> tf.Tensor:
    """Generate images, averaged over blocks: [N, S / block, S / block, C] in [-1, 1]."""
    images = model.generator(z)
    return tf.nn.avg_pool2d(images, block, block, "VALID") if block > 1 else images


@tf.function(reduce_retracing=True, autograph=False)
def _generate_and_evaluate(
    model: DCGAN,
    z: tf.Tensor,
    images: tf.Tensor,
    weights: tf.Tensor,
    counts: tf.Tensor,
    block: int,
    distance: str,
) -> tuple[tf.Tensor, ...]:
    """Compute G(z), the contextual loss with `counts` and with `weights`, the perceptual loss.

    With D, even if the search has lam 0.
    """
    _, contextual, perceptual = model.completion_loss(
        z, images, weights, lam=1, block=block, distance=distance
    )
    searched, *_ = model.completion_loss(z, images, counts, lam=0, block=block, distance=distance)
    return model.generator(z), searched, contextual, perceptual
