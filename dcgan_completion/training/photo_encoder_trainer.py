"""The photo encoder's trainer: its step, logged scalars, validation and samples.

The recipe, besides the squared error of pixels, is that of Projected GANs (Sauer et al. 2021,
arXiv:2111.01007) with a discriminator of patches and feature matching beside them (Wang et al.
2018, arXiv:1711.11585), and a perceptual loss (Johnson et al. 2016, arXiv:1603.08155) by the same
features. All discriminators see completed pictures: the known pixels are the photo's.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dcgan_completion.encoders import KNOWN_WEIGHT, mean_where, minus_psnr
from dcgan_completion.faces import head_masks
from dcgan_completion.octaves import octave_energies
from dcgan_completion.photo_encoder import NOISE, PhotoEncoder
from dcgan_completion.settings.training import PhotoEncoderRules
from dcgan_completion.training import adversary, augment, projected
from dcgan_completion.training.encoder_trainer import EncoderTrainer, logged_scalars
from dcgan_completion.training.loop import Inputs, Monitor, Results
from dcgan_completion.utils import to_uint8

# The largest norm of a gradient, of the pixel loss in dB and of the adversarial recipe.
CLIP_NORM, ADVERSARIAL_CLIP_NORM = 50.0, 10.0
BETA2 = 0.99
PAIR_FLOOR = 2.5e-4  # as ERROR_FLOOR, where the error of a pair is divided by it
# Weights of the losses beside the pair's. At the start the norms of their gradients by the picture
# are as 1 (pair), 1.5 (features), 0.1 (feature matching), 8 (projected) and 0.04 (patches).
OWN_WEIGHT, PROJECTED_WEIGHT, PATCH_WEIGHT = 0.2, 0.4, 1.0
FEATURE_SIZE = 128  # pixels, at least: at which the feature network sees a picture
MAX_VALIDATION, SAMPLES = 256, 16
HOLE_LEVEL = 128  # of holes in samples
SHOWN_SEED = 0xEA  # of the holes and the noise of validation and samples
OCTAVES = 3
SCALARS = logged_scalars(
    "photo encoder", {f"octave_{i + 1}": f"energy of octave {i + 1}" for i in range(OCTAVES)}
)
ADVERSARIAL_SCALARS = dataclasses.replace(
    SCALARS,
    charts={
        **SCALARS.charts,
        "perceptual_loss": ("photo encoder", "relative distance of features"),
        "feature_matching": ("discriminator of patches", "relative distance of features"),
        "projected_loss": ("projected discriminators", "loss of the encoder"),
        "patch_loss": ("discriminator of patches", "loss of the encoder"),
        "d_projected": ("projected discriminators", "loss of the discriminators"),
        "d_patch": ("discriminator of patches", "loss of the discriminators"),
        "diversity": ("photo encoder", "mean difference of two samples"),
    },
)


class Heads(NamedTuple):
    """A batch of heads: images in [-1, 1], blank beyond the photo; hole and known, [N, S, S, 1]."""

    images: tf.Tensor
    hole: tf.Tensor
    known: tf.Tensor

    @classmethod
    def of(cls, heads: tf.Tensor, holes: tf.Tensor) -> Heads:
        """Take heads, uint8 [N, S, S, C + 1], the last channel 0 where nothing was seen; holes."""
        channels = heads.shape[3] - 1
        seen = tf.cast(heads[..., channels:] > 0, tf.float32)
        hole = tf.cast(holes, tf.float32) * seen
        images = (tf.cast(heads[..., :channels], tf.float32) / 127.5 - 1) * seen
        return cls(images, hole, seen - hole)

    @property
    def marks(self) -> tf.Tensor:
        """What discriminators are told, as in `projected`."""
        return tf.concat([self.hole, self.hole + self.known], axis=3)

    def twice(self) -> Heads:
        """Return each head twice: first all, then all again."""
        return Heads(*(tf.concat([part, part], axis=0) for part in self))


class Pictures(NamedTuple):
    """What discriminators judge: images, their marks, and the feature network's maps of them."""

    images: tf.Tensor
    marks: tf.Tensor
    maps: list[tf.Tensor]


def squared_error(estimate: tf.Tensor, other: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Multiply the errors of two estimates, as of values in 0..1: [N, S, S, 1]."""
    return tf.reduce_mean((estimate - images) * (other - images), axis=3, keepdims=True) / 4


def pixel_loss(estimate: tf.Tensor, heads: Heads, known_weight: float = KNOWN_WEIGHT) -> tf.Tensor:
    """Return minus the PSNR of the holes in dB, averaged over the images: `minus_psnr`."""
    squares = squared_error(estimate, estimate, heads.images)
    return minus_psnr(squares, heads.hole, heads.known, known_weight)


def pair_losses(estimates: tf.Tensor, heads: Heads) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the pixel losses of two estimates of each head, which differ by their noise.

    A squared error of each would teach the network to ignore the noise. The product of the errors
    of two independent samples is on average the squared error of their mean, whatever they differ
    by. Both are relative to the error of each hole, as in the logarithm's gradient.

    Returns:
      The pair's loss, and that of each one's own error, scalars.
    """
    one, other = tf.split(estimates, 2)
    own = sum(squared_error(e, e, heads.images) for e in (one, other)) / 2
    error = mean_where(own, heads.hole)
    scale = tf.stop_gradient(error + PAIR_FLOOR)
    pair = mean_where(squared_error(one, other, heads.images), heads.hole)
    own_loss = error + KNOWN_WEIGHT * mean_where(own, heads.known)
    return tf.reduce_mean(pair / scale), tf.reduce_mean(own_loss / scale)


class PhotoEncoderTrainer(EncoderTrainer):
    """Trains a photo encoder; estimates come from the EMA.

    Without an adversarial weight it trains by pixels alone, on one estimate of each head, without
    noise; with it, on two estimates of each, against the discriminators, which are trained, too.
    """

    model: PhotoEncoder
    rules: PhotoEncoderRules
    starts_from_ema = True
    more_inputs = (tf.TensorSpec([None, NOISE]),)

    def __init__(
        self,
        model: PhotoEncoder,
        rules: PhotoEncoderRules,
        validation: np.ndarray,
        discriminators: Discriminators | None = None,
    ) -> None:
        """Make optimizers and EMA, in the scope of the strategy that the model was made in.

        Args:
          model: the network.
          rules: how it is trained.
          validation: heads to evaluate on, of which some are shown, uint8 [N, S, S, C + 1].
          discriminators: where the rules have an adversarial weight.

        Raises:
          UserError: as `Trainer`.
          ValueError: the rules have an adversarial weight, and there are no discriminators.
        """
        if rules.adversarial_weight and discriminators is None:
            raise ValueError("adversarial_weight: needs discriminators")
        judges = discriminators if rules.adversarial_weight else None
        scalars = ADVERSARIAL_SCALARS if judges else SCALARS
        super().__init__(model, model.e, rules, scalars, Monitor(("psnr", "gradient_norm")))
        adam = functools.partial(adversary.make_adam, rules.learning_rate, rules.beta1, BETA2)
        self._build(model.encoder_variables, adam(), judges, judges and adam())
        self._validation = validation
        rng = np.random.default_rng(SHOWN_SEED)
        holes = [head_masks.draw_mask(model.image_size, rng)[1] for _ in validation]
        self._holes = np.array(holes, bool)[..., np.newaxis]
        self._noise = rng.standard_normal([len(validation), NOISE]).astype(np.float32)

    # --- the step ---

    def draw_inputs(self, step: int, places: range) -> Inputs:
        """Draw the holes of a step for some places of the batch, bool [N, S, S, 1]."""
        return (head_masks.draw_masks(self.model.image_size, self.rules.seed, step, places),)

    def _replica_step(self, images: tf.Tensor, holes: tf.Tensor) -> Results:
        """Take a step under holes of `draw_inputs`; give all but the held-out scalars."""
        heads = Heads.of(images, holes)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._trained)
            if self.adversary:
                loss, scalars = self._adversarial_loss(tape, heads)
            else:
                noise = tf.zeros([tf.shape(images)[0], NOISE])
                estimate = self.model.estimate(heads.images, heads.known, noise)
                loss = pixel_loss(estimate, heads)
                scalars = {"psnr": -loss}
        clip = ADVERSARIAL_CLIP_NORM if self.adversary else CLIP_NORM
        return self._apply(tape.gradient(loss, self._trained), scalars, clip)

    def _adversarial_loss(
        self, tape: tf.GradientTape, heads: Heads
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Compute the joint loss of two estimates of each head, after a step of the discriminators.

        The feature network sees each picture once: its maps serve the discriminators' step, on
        detached features, and then the encoder's.
        """
        judges = self.adversary
        assert judges is not None
        twice = heads.twice()
        context = tf.distribute.get_replica_context()
        seed = augment.fold(
            self._purpose_seed(augment.Purpose.NOISE), context.replica_id_in_sync_group
        )
        shape = [tf.shape(twice.images)[0], NOISE]
        noise = tf.random.stateless_normal(shape, seed, alg="philox")
        estimates = self.model.estimate(twice.images, twice.known, noise)
        pair, own = pair_losses(estimates, heads)
        completed = tf.where(twice.hole > 0, estimates, twice.images)
        fake = Pictures(completed, twice.marks, judges.projected.features(completed))
        with tape.stop_recording():
            of_real = judges.projected.features(heads.images)
            real = Pictures(heads.images, heads.marks, of_real)
            scalars = judges.update(self.d_optimizer, real, fake)
        verdict = judges.encoder_losses(real, fake)
        one, other = tf.split(estimates, 2)
        scalars |= verdict | {
            "psnr": -(pixel_loss(one, heads) + pixel_loss(other, heads)) / 2,
            "diversity": tf.reduce_mean(mean_where(tf.abs(one - other), heads.hole)),
        }
        judged = PROJECTED_WEIGHT * verdict["projected_loss"]
        judged += PATCH_WEIGHT * verdict["patch_loss"]
        matched = verdict["perceptual_loss"] + verdict["feature_matching"]
        return pair + OWN_WEIGHT * own + self.rules.adversarial_weight * (judged + matched), scalars

    # --- validation, samples, checkpoints ---

    def _complete(self, number: int) -> np.ndarray:
        """Complete the first validation heads, float32 [number, S, S, C] in [-1, 1]."""
        parts = []
        for first in range(0, number, SAMPLES):
            some = slice(first, min(first + SAMPLES, number))
            noise = self._noise[some] if self.adversary else np.zeros_like(self._noise[some])
            heads = Heads.of(tf.constant(self._validation[some]), tf.constant(self._holes[some]))
            parts.append(_estimate(self.model, heads, tf.constant(noise), self.ema).numpy())
        return np.concatenate(parts)

    def evaluate(self) -> dict[str, tf.Tensor]:
        """Compute validation PSNR in dB and the energy of three octaves relative to the original's.

        The holes and the noise are always the same.
        """
        if not len(self._validation):
            return {}
        drawn = self._complete(len(self._validation))
        heads = Heads.of(tf.constant(self._validation), tf.constant(self._holes))
        hole = heads.hole.numpy() > 0
        images = heads.images.numpy()
        energy = [
            np.sum(
                [
                    octave_energies(127.5 * picture, where, OCTAVES)
                    for picture, where in zip(some, hole[..., 0], strict=True)
                ],
                axis=0,
            )
            for some in (np.where(hole, drawn, images), images)
        ]
        octaves = energy[0] / energy[1]
        scalars = {f"held_out_octave_{i + 1}": tf.constant(octaves[i]) for i in range(OCTAVES)}
        return {"held_out_psnr": -pixel_loss(tf.constant(drawn), heads, 0.0), **scalars}

    def sample_pictures(self) -> np.ndarray:
        """Show the same heads each time, masked, completed and original: uint8 [N, S, 3 S, C]."""
        number = min(SAMPLES, len(self._validation))
        heads = self._validation[:number]
        channels = heads.shape[3] - 1
        images, seen = heads[..., :channels], heads[..., channels:] > 0
        hole = self._holes[:number] | ~seen
        drawn = np.where(hole, to_uint8(self._complete(number)), images)
        masked = np.where(hole, np.uint8(HOLE_LEVEL), images)
        return np.concatenate([masked, drawn, images], axis=2)

    def checkpoint_contents(self) -> dict[str, Any]:
        """Return all that a checkpoint holds, as `Trainer.checkpoint_contents`."""
        judges = {"discriminator": self.adversary.variables_by_name} if self.adversary else {}
        return super().checkpoint_contents() | judges


class Discriminators:
    """The discriminators of the recipe, trained together."""

    def __init__(self, network: Any, size: int, channels: int, seed: int) -> None:
        """Make the variables, for pictures of `size` pixels; `network` gives the features."""
        feature_size = max(size, FEATURE_SIZE)
        self.projected = projected.ProjectedDiscriminators(network, feature_size, seed)
        self.patches = projected.PatchDiscriminator(size, channels, seed)

    @property
    def discriminator_variables(self) -> list[tf.Variable]:
        """The variables that are trained."""
        return [*self.projected.discriminator_variables, *self.patches.discriminator_variables]

    @property
    def variables_by_name(self) -> dict[str, dict[str, tf.Variable]]:
        """All variables that a checkpoint holds."""
        parts = {"projected": self.projected, "patches": self.patches}
        return {
            f"{name}_{kind}": getattr(part, kind) for name, part in parts.items() for kind in "du"
        }

    def update(self, optimizer: Any, real: Pictures, fake: Pictures) -> dict[str, tf.Tensor]:
        """Take a step on real and completed pictures; return the losses."""
        variables = self.discriminator_variables
        fake = tf.nest.map_structure(tf.stop_gradient, fake)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            kernels = self.projected.normalised(True)
            verdicts = (self.projected.judge(p.maps, p.marks, kernels) for p in (real, fake))
            of_features = projected.discriminator_loss(*verdicts)
            kernels = self.patches.normalised(True)
            verdicts = (self.patches.judge(p.images, p.marks, kernels) for p in (real, fake))
            of_patches = projected.discriminator_loss(*verdicts)
            loss = of_features + of_patches
        adversary.apply_mean(optimizer, tape.gradient(loss, variables), variables)
        return {"d_projected": of_features, "d_patch": of_patches}

    def encoder_losses(self, real: Pictures, fake: Pictures) -> dict[str, tf.Tensor]:
        """Compute what the updated discriminators and the features say of completed pictures."""
        judged = self.projected.judge(fake.maps, fake.marks, self.projected.normalised(False))
        kernels = self.patches.normalised(False)
        said_of_fake, said_of_real = (
            self.patches.judge(p.images, p.marks, kernels) for p in (fake, real)
        )

        def distance(some: list[tf.Tensor], others: list[tf.Tensor]) -> tf.Tensor:
            both = [tf.concat([other, other], axis=0) for other in others]
            return projected.map_distance(some, both, fake.marks)

        return {
            "projected_loss": projected.generator_loss(judged),
            "patch_loss": projected.generator_loss(said_of_fake),
            "perceptual_loss": distance(fake.maps, real.maps),
            "feature_matching": distance(said_of_fake[0].maps, said_of_real[0].maps),
        }


@tf.function(reduce_retracing=True, autograph=False)
def _estimate(
    model: PhotoEncoder, heads: Heads, noise: tf.Tensor, weights: dict[str, tf.Variable]
) -> tf.Tensor:
    return model.estimate(heads.images, heads.known, noise, weights=weights)
