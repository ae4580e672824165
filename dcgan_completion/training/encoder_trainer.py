"""The context encoder's trainer: its step, logged scalars, validation and samples.

`EncoderTrainer` has what the photo encoder's trainer shares with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from dcgan_completion import checkpoints
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.masks import sampling
from dcgan_completion.model import DCGAN
from dcgan_completion.photo_encoder import PhotoEncoder
from dcgan_completion.settings.training import EncoderRules, PhotoEncoderRules
from dcgan_completion.training import adversary, augment
from dcgan_completion.training.logs import LoggedScalars
from dcgan_completion.training.loop import Batch, Inputs, Monitor, Results, Trainer
from dcgan_completion.utils import to_signed, to_uint8

# The largest norm of a gradient. The loss is in dB, so that gradients are long; most are shorter,
# and a few outliers among the first steps cannot throw the weights far off.
CLIP_NORM = 50.0
MAX_VALIDATION = 128  # images, each under a mask of every kind: some 4 s, 64 pixels, two cores
SAMPLES = 16
HOLE_LEVEL = 255  # of holes in samples
PSNR = "PSNR of the hole, dB"


def logged_scalars(group: str, held_out: Mapping[str, str]) -> LoggedScalars:
    """Describe the scalars of an encoder's training; `held_out`: of more of them, the charts."""
    charts = {
        "psnr": ("training images", PSNR),  # minus the loss
        "gradient_norm": ("training images", "norm of the gradient before clipping"),
        "held_out_psnr": ("held-out images", PSNR),
        **{f"held_out_{name}": ("held-out images", chart) for name, chart in held_out.items()},
    }
    losses = {"psnr": "training images", "held_out_psnr": "validation images"}
    return LoggedScalars(group, charts, losses, axis=PSNR)


SCALARS = logged_scalars(
    "context encoder", {f"{kind}_psnr": f"{PSNR} ({kind})" for kind in sampling.SHARES}
)
ADVERSARIAL_SCALARS = dataclasses.replace(
    SCALARS,
    charts={
        **SCALARS.charts,
        "adversarial_loss": ("context encoder", "loss"),
        **adversary.LOSS_CHARTS,
        **adversary.OUTPUT_CHARTS,
        "d_loss_fake": ("completed images", adversary.BY_KIND),
        "d_fake": ("completed images", adversary.OUTPUT),
    },
)
# Of Adam for the discriminator, as where it was trained against the generator.
D_LEARNING_RATE, D_BETA1 = 2e-4, 0.5


def known(hole: np.ndarray) -> np.ndarray:
    """Turn holes into the encoder's input: float32 of the same shape, 1 = known."""
    return (~hole).astype(np.float32)


class EncoderTrainer(Trainer):
    """What the trainers of both encoders share: Adam, with a warm-up and clipped gradients.

    Attributes:
      adversary: what judges completions, and is trained, too; None: nothing does.
      optimizer: of the encoder.
      d_optimizer: of the adversary, if there is one.
    """

    model: ContextEncoder | PhotoEncoder
    rules: EncoderRules | PhotoEncoderRules
    more_inputs: ClassVar[tuple[tf.TensorSpec, ...]] = ()  # of `estimate`, after images and mask

    def _build(
        self,
        trained: Sequence[tf.Variable],
        optimizer: keras.optimizers.Adam,
        judge: Any,
        d_optimizer: keras.optimizers.Adam | None,
    ) -> None:
        """Take the variables to train, and the attributes; None for the last two: no adversary."""
        self._trained, self._share, self.adversary = trained, 1.0, judge
        self.optimizer, self.d_optimizer = optimizer, d_optimizer
        # Built here, so that a restored checkpoint finds all variables.
        self.optimizer.build(trained)
        if self.d_optimizer is not None:
            self.d_optimizer.build(judge.discriminator_variables)

    def set_learning_rates(self, share: float = 1.0) -> None:
        """Set the share of the rules' learning rate, as `Trainer`; warm-up lowers it."""
        self._share = share

    def learning_rate(self, step: int) -> float:
        """Return that of a step (from 0): a linear rise, then the share that is set."""
        share = min(1, (step + 1) / self.rules.warmup_steps, self._share)
        return self.rules.learning_rate * share

    def train_step(self, images: Batch, *inputs: Batch) -> Results:
        """Take a step of Adam, after one of the adversary if there is one; as `Trainer`."""
        self.optimizer.learning_rate = self.learning_rate(int(self.step.numpy()))
        return super().train_step(images, *inputs)

    def _apply(
        self, gradients: Sequence[tf.Tensor], scalars: dict[str, tf.Tensor], clip: float
    ) -> Results:
        """Take the step by gradients of at most a norm of `clip`; return the step's results."""
        if self.replicas > 1:
            # Before clipping: its norm is that of the whole batch.
            mean, context = tf.distribute.ReduceOp.MEAN, tf.distribute.get_replica_context()
            scalars, gradients = context.all_reduce(mean, [scalars, gradients])
        gradients, norm = tf.clip_by_global_norm(gradients, clip)
        adversary.apply_mean(self.optimizer, gradients, self._trained)
        return scalars | {"gradient_norm": norm}, {}

    def checkpoint_contents(self) -> dict[str, Any]:
        """Return all that a checkpoint holds but the adversary; as `Trainer`."""
        contents = super().checkpoint_contents() | {"optimizer": self.optimizer}
        return contents | ({"optimizer_d": self.d_optimizer} if self.adversary else {})

    def graph(self) -> tf.Graph:
        """Trace the graph of an estimate, for TensorBoard."""
        size, channels = self.model.image_size, self.model.channels
        function = tf.function(self.model.estimate, autograph=False)
        images, known = (tf.TensorSpec([None, size, size, last]) for last in (channels, 1))
        return function.get_concrete_function(images, known, *self.more_inputs).graph


class ContextEncoderTrainer(EncoderTrainer):
    """Trains a context encoder; estimates come from the EMA.

    With an adversarial weight it trains the encoder's last layers alone, on the joint loss of
    Pathak et al. 2016 (equation 3): the reconstruction loss, and the weight times -log D of the
    completed image. D is a DCGAN's discriminator, which is trained, too.
    """

    model: ContextEncoder
    rules: EncoderRules

    def __init__(
        self,
        model: ContextEncoder,
        rules: EncoderRules,
        pictures: np.ndarray,
        validation: np.ndarray | None = None,
        dcgan: DCGAN | None = None,
    ) -> None:
        """Make optimizers and EMA, in the scope of the strategy that the model was made in.

        Args:
          model: the network.
          rules: how it is trained.
          pictures: whose estimates are the samples, uint8 [N, S, S, C].
          validation: images to evaluate on, uint8 [N, S, S, C]; None or empty: no evaluation.
          dcgan: has the discriminator, where the rules have an adversarial weight.

        Raises:
          UserError: as `Trainer`.
          ValueError: the rules have an adversarial weight, and there is no DCGAN of such images.
        """
        images = (model.image_size, model.channels)
        if not rules.adversarial_weight:
            dcgan = None
        elif dcgan is None or (dcgan.image_size, dcgan.channels) != images:
            raise ValueError("adversarial_weight: needs a DCGAN of images like the encoder's")
        scalars = ADVERSARIAL_SCALARS if dcgan else SCALARS
        super().__init__(model, model.e, rules, scalars, Monitor(("psnr", "gradient_norm")))
        # The layers that are not trained keep the EMA's weights, which were good.
        self.starts_from_ema = dcgan is not None
        # Trained against D, the earlier layers lose more than they gain.
        trained = model.last_variables if dcgan else model.encoder_variables
        optimizer = adversary.make_adam(rules.learning_rate, rules.beta1)
        self._build(
            trained, optimizer, dcgan, dcgan and adversary.make_adam(D_LEARNING_RATE, D_BETA1)
        )
        self._pictures = pictures
        self._validation = validation if validation is not None and len(validation) else None

    # --- the step ---

    def draw_inputs(self, step: int, places: range) -> Inputs:
        """Draw the masks of a step for some places of the batch, float32 [N, S, S, 1]."""
        return (known(sampling.draw_masks(self.model.image_size, self.rules.seed, step, places)),)

    def _replica_step(self, images: tf.Tensor, masks: tf.Tensor) -> Results:
        """Take a step under masks of `draw_inputs`; give all but the held-out scalars."""
        model, rules = self.model, self.rules
        context = tf.distribute.get_replica_context()
        replica, share = context.replica_id_in_sync_group, rules.batch_size // self.replicas
        real = to_signed(tf.cast(images, tf.float32))
        if rules.flip:
            seed = self._purpose_seed(augment.Purpose.FLIP)
            real = augment.flip(real, seed, replica * share, rules.batch_size)
        scalars = {}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._trained)
            estimate = model.estimate(real, masks)
            loss = model.loss(estimate, real, masks)
            scalars["psnr"] = -loss
            if self.adversary:
                completed = tf.where(masks > 0, real, estimate)
                with tape.stop_recording():
                    of_d, _ = adversary.update_discriminator(
                        self.adversary, self.d_optimizer, real, completed
                    )
                # The updated D, by the batch's statistics; its running ones are left alone.
                logits = self.adversary.discriminator(completed, training=True, momentum=None)
                scalars |= {"adversarial_loss": self.adversary.generator_loss(logits), **of_d}
                loss += rules.adversarial_weight * scalars["adversarial_loss"]
        return self._apply(tape.gradient(loss, self._trained), scalars, CLIP_NORM)

    # --- validation, samples, checkpoints ---

    def _estimate(self, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
        return checkpoints.estimate(self.model, to_signed(images), masks, weights=self.ema)

    def evaluate(self) -> dict[str, tf.Tensor]:
        """Compute the validation PSNR in dB: the mean over holes of each kind, and over all.

        The masks are always the same; over all, kinds count as often as they are trained on.
        """
        if self._validation is None:
            return {}
        number, images = len(self._validation), to_signed(self._validation)
        scalars = {}
        for kind in sampling.SHARES:
            masks = known(sampling.fixed_masks(kind, self.model.image_size, number))
            loss = self.model.loss(self._estimate(self._validation, masks), images, masks, 0.0)
            scalars[f"held_out_{kind}_psnr"] = -loss
        parts = [
            share * scalars[f"held_out_{kind}_psnr"] for kind, share in sampling.SHARES.items()
        ]
        return {"held_out_psnr": tf.add_n(parts), **scalars}

    def sample_pictures(self) -> np.ndarray:
        """Show the same images each time, masked, completed and original: uint8 [N, S, 3 S, C]."""
        images, size, kinds = self._pictures, self.model.image_size, list(sampling.SHARES)
        drawn = {kind: known(sampling.fixed_masks(kind, size, len(images))) for kind in kinds}
        masks = np.stack([drawn[kinds[i % len(kinds)]][i] for i in range(len(images))])
        masked = np.where(masks > 0, images, np.uint8(HOLE_LEVEL))
        filled = np.where(masks > 0, images, to_uint8(self._estimate(images, masks)))
        return np.concatenate([masked, filled, images], axis=2)

    def checkpoint_contents(self) -> dict[str, Any]:
        """Return all that a checkpoint holds, as `Trainer.checkpoint_contents`."""
        judge = {"discriminator": self.adversary.d} if self.adversary else {}
        return super().checkpoint_contents() | judge
