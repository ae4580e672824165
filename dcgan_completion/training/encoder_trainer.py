"""The training step of the context encoder, and what of it is logged, watched and saved."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_completion import checkpoints, devices
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.masks import sampling
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.training import EncoderRules
from dcgan_completion.training import adversary, augment
from dcgan_completion.training.averaging import averaged_copies, move_averages
from dcgan_completion.training.logs import LoggedScalars
from dcgan_completion.training.loop import check_finite
from dcgan_completion.training.randomness import StepPurpose
from dcgan_completion.utils import to_signed, to_uint8

# A longer gradient is shortened to this. The loss is in dB, so that gradients are long; the usual
# ones are shorter, and a few outliers among the first steps cannot throw the weights far off.
CLIP_NORM = 50.0
HELD_OUT = 128  # images at most, each under a mask of every kind: some 4 s, 64 pixels, two cores
SAMPLES = 16
MISSING = 255  # how samples show what is not known
PSNR = "PSNR of the hole, dB"
SCALARS = LoggedScalars(
    group="context encoder",
    charts={
        "psnr": ("training images", PSNR),  # minus the loss
        "gradient_norm": ("training images", "norm of the gradient before clipping"),
        "held_out_psnr": ("held-out images", PSNR),
        **{
            f"held_out_{kind}_psnr": ("held-out images", f"{PSNR} ({kind})")
            for kind in sampling.SHARES
        },
    },
    losses={"psnr": "training images", "held_out_psnr": "held-out images"},
    axis=PSNR,
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


class FiniteMonitor:
    """Stops a run that has broken down."""

    def check(self, step: int, values: Mapping[str, float], last_good: str | None) -> str:
        """Looks at a step's scalars; has no warnings.

        Raises:
          UserError: the loss is not finite; names the step and the checkpoint to go back to.
        """
        check_finite(("psnr", "gradient_norm"), step, values, last_good)
        return ""


def known(hole: np.ndarray) -> np.ndarray:
    """Turn holes into the encoder's input: float32 of the same shape, 1 = known."""
    return (~hole).astype(np.float32)


class ContextEncoderTrainer(tf.Module):
    """The network, its optimizer and the number of steps done; a `loop.Trainer`.

    With an adversarial weight it trains the encoder's last layers alone, down the joint loss of
    Pathak et al. 2016 (equation 3): the reconstruction loss, and the weight times -log D of the
    completed image. D is a DCGAN's discriminator, trained along.

    Attributes:
      averaged: an exponential moving average of the weights over the steps, by the names of
        `model.e`. Estimates come from it.
      from_averaged: whether weights to start from are averaged ones.
    """

    def __init__(
        self,
        model: ContextEncoder,
        rules: EncoderRules,
        pictures: np.ndarray,
        held_out: np.ndarray | None = None,
        dcgan: DCGAN | None = None,
    ) -> None:
        """Makes optimizer and averages, in the scope of the strategy that the model was made in.

        Args:
          model: the network.
          rules: how it is trained.
          pictures: whose estimates are the samples, uint8 [N, S, S, C].
          held_out: images to evaluate on, uint8 [N, S, S, C]; none: there is no evaluation.
          dcgan: has the discriminator, where the rules have an adversarial weight.

        Raises:
          UserError: the batch does not divide among the strategy's replicas.
        """
        super().__init__(name="trainer")
        self.model, self.rules = model, rules
        self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.adversary = dcgan if rules.adversarial_weight else None
        self.scalars = ADVERSARIAL_SCALARS if self.adversary else SCALARS
        self.monitor = FiniteMonitor()
        devices.check_divides(self.strategy, rules.batch_size)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.averaged = averaged_copies(model.e)
        # Those that are not trained stay the averages that were good.
        self.from_averaged = self.adversary is not None
        # Trained against D, the layers before lose more than they gain.
        self._trained = model.last_variables if self.adversary else model.encoder_variables
        self.optimizer = adversary.make_adam(rules.learning_rate, rules.beta1)
        # Built here, so that a restored checkpoint finds all variables.
        self.optimizer.build(self._trained)
        if self.adversary:
            self.d_optimizer = adversary.make_adam(D_LEARNING_RATE, D_BETA1)
            self.d_optimizer.build(self.adversary.discriminator_variables)
        self._share = 1.0
        self._pictures = pictures
        self._held_out = held_out if held_out is not None and len(held_out) else None

    # --- the step ---

    def set_learning_rates(self, share: float = 1.0) -> None:
        """Goes on with a share of the rules' learning rate, or less during warm-up."""
        self._share = share

    def learning_rate(self, step: int) -> float:
        """Of a step (from 0): a linear rise, then the share that is set of the rules' one."""
        share = min(1, (step + 1) / self.rules.warmup_steps, self._share)
        return self.rules.learning_rate * share

    def draw_inputs(self, step: int, places: range) -> tuple[np.ndarray, ...]:
        """The masks of a step for some places of the batch, float32 [N, S, S, 1]."""
        return (known(sampling.draw_masks(self.model.image_size, self.rules.seed, step, places)),)

    def train_step(
        self,
        images: np.ndarray | tf.Tensor | tf.distribute.DistributedValues,
        masks: np.ndarray | tf.Tensor | tf.distribute.DistributedValues,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """One step of Adam down the gradient of the loss; D takes one before.

        Args:
          images: uint8 [batch_size, S, S, C], or each replica's part of them.
          masks: of `draw_inputs`, or each replica's part of them.

        Returns:
          scalars: psnr and gradient_norm of SCALARS, or all but held-out ones of
            ADVERSARIAL_SCALARS.
          histograms: none.
        """
        self.optimizer.learning_rate = self.learning_rate(int(self.step.numpy()))
        return self._train_step(images, masks), {}

    @tf.function(reduce_retracing=True, autograph=False)
    def _train_step(
        self,
        images: np.ndarray | tf.Tensor | tf.distribute.DistributedValues,
        masks: np.ndarray | tf.Tensor | tf.distribute.DistributedValues,
    ) -> dict[str, tf.Tensor]:
        scalars = self.strategy.run(self._replica_step, args=(images, masks))
        local = self.strategy.experimental_local_results
        # Equal on all replicas: they were reduced there.
        scalars = {name: local(value)[0] for name, value in scalars.items()}
        move_averages(self.averaged, self.model.e, self.step, self.rules.average_decay)
        self.step.assign_add(1)
        return scalars

    def _replica_step(self, images: tf.Tensor, masks: tf.Tensor) -> dict[str, tf.Tensor]:
        """`train_step` on one replica's part of the global batch."""
        model, rules = self.model, self.rules
        context = tf.distribute.get_replica_context()
        replica, share = context.replica_id_in_sync_group, rules.batch_size // self.replicas
        real = to_signed(tf.cast(images, tf.float32))
        if rules.flip:
            seed = tf.stack([tf.cast(rules.seed, tf.int64), self.step])
            seed = augment.fold(seed, int(StepPurpose.FLIP))
            real = augment.flip(real, seed, replica * share, rules.batch_size)
        variables, scalars = self._trained, {}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
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
        gradients = tape.gradient(loss, variables)
        if self.replicas > 1:
            # Before clipping: its norm is that of the whole batch.
            mean = tf.distribute.ReduceOp.MEAN
            scalars, gradients = context.all_reduce(mean, [scalars, gradients])
        gradients, norm = tf.clip_by_global_norm(gradients, CLIP_NORM)
        adversary.apply_mean(self.optimizer, gradients, variables)
        return scalars | {"gradient_norm": norm}

    # --- what is looked at and saved ---

    def estimate_statistics(self, batches: int) -> None:
        """Nothing: there is no batch normalisation."""

    def _estimate(self, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
        return checkpoints.estimate(self.model, to_signed(images), masks, weights=self.averaged)

    def evaluate(self) -> dict[str, tf.Tensor]:
        """The mean PSNR of the holes of held-out images in dB: for each kind, and in all.

        Under masks that are always the same; in all, kinds count as often as they are trained on.
        """
        if self._held_out is None:
            return {}
        number, images = len(self._held_out), to_signed(self._held_out)
        scalars = {}
        for kind in sampling.SHARES:
            masks = known(sampling.fixed_masks(kind, self.model.image_size, number))
            loss = self.model.loss(self._estimate(self._held_out, masks), images, masks, 0.0)
            scalars[f"held_out_{kind}_psnr"] = -loss
        parts = [
            share * scalars[f"held_out_{kind}_psnr"] for kind, share in sampling.SHARES.items()
        ]
        return {"held_out_psnr": tf.add_n(parts), **scalars}

    def sample_pictures(self) -> np.ndarray:
        """The same images each time, masked, filled in, and as they are: uint8 [N, S, 3 S, C]."""
        images, size, kinds = self._pictures, self.model.image_size, list(sampling.SHARES)
        drawn = {kind: known(sampling.fixed_masks(kind, size, len(images))) for kind in kinds}
        masks = np.stack([drawn[kinds[i % len(kinds)]][i] for i in range(len(images))])
        masked = np.where(masks > 0, images, np.uint8(MISSING))
        filled = np.where(masks > 0, images, to_uint8(self._estimate(images, masks)))
        return np.concatenate([masked, filled, images], axis=2)

    def checkpoint_contents(self) -> dict[str, Any]:
        """All that a checkpoint holds, by name; weights come first, as in `DCGANTrainer`."""
        contents = {
            "averaged": self.averaged,
            "model": self.model,
            "optimizer": self.optimizer,
            "step": self.step,
        }
        if self.adversary:
            contents |= {"discriminator": self.adversary.d, "optimizer_d": self.d_optimizer}
        return contents

    def graph(self) -> tf.Graph:
        """The graph of an estimate, to look at."""
        size, channels = self.model.image_size, self.model.channels
        function = tf.function(self.model.estimate, autograph=False)
        images = tf.TensorSpec([None, size, size, channels])
        return function.get_concrete_function(images, tf.TensorSpec([None, size, size, 1])).graph
