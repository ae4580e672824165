"""Train a context encoder, which estimates at once what is missing in an image.

It belongs to a DCGAN and is written beside it, to CHECKPOINT_DIR/context-encoder. A run that finds
its own checkpoint there goes on from it. Ctrl-C saves one before it stops.

examples:
  ./train-context-encoder.py --dataset ./data/your-dataset/aligned --checkpoint-dir checkpoint
  ./train-context-encoder.py --dataset faces --checkpoint-dir sharper --epoch 5 \\
      --init-from checkpoint/context-encoder --adversarial-weight 1 --learning-rate 0.0003
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dcgan_completion import cli
from dcgan_completion.settings import training as settings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.model import DCGAN
    from dcgan_completion.settings.training import TrainingSettings
    from dcgan_completion.training.dataset import ImageFolders
    from dcgan_completion.training.encoder_trainer import ContextEncoderTrainer


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    return settings.build_parser(__doc__, settings.ENCODER_OPTIONS)


def fit_to_dcgan(given: dict[str, Any]) -> dict[str, Any]:
    """The options given, with the size and channels of the images of the DCGAN beside, if any.

    Raises:
      UserError: others are given, or --checkpoint-dir holds something else.
    """
    from dcgan_completion import checkpoints
    from dcgan_completion.training import checkpointing, run

    folder = run.from_values(settings.EncoderOutputSettings, given).checkpoint_dir
    if not checkpoints.holds_checkpoint(folder):
        return given
    prefix, config = checkpoints.find_checkpoint(folder)
    images = {name: config["architecture"][name] for name in ("image_size", "channels")}
    checkpointing.refuse_contradictions(given, images, prefix, "--checkpoint-dir")
    return given | images


def load_discriminator(settled: TrainingSettings) -> DCGAN | None:
    """The DCGAN whose discriminator judges what is completed, where the rules want that.

    Raises:
      UserError: there is none, or no encoder to start from.
    """
    weight, output = settled.rules.adversarial_weight, settled.output
    if not weight:
        return None
    from dcgan_completion import checkpoints

    if settled.run.init_from is None and not checkpoints.holds_checkpoint(output.model_dir):
        raise UserError(
            f"--adversarial-weight {weight:g}: sharpens an encoder that was trained without it; "
            "name that by --init-from"
        )
    if not checkpoints.holds_checkpoint(output.checkpoint_dir):
        raise UserError(
            f"--adversarial-weight {weight:g}: there is no DCGAN in --checkpoint-dir "
            f"{output.checkpoint_dir}, whose discriminator is needed; copy one there"
        )
    return checkpoints.load_model(output.checkpoint_dir, settled.precision.used)[0]


def make_trainer(settled: TrainingSettings, dataset: ImageFolders) -> ContextEncoderTrainer:
    """The network and what trains it, at step 0."""
    from dcgan_completion.encoders import ContextEncoder
    from dcgan_completion.training.encoder_trainer import HELD_OUT, SAMPLES, ContextEncoderTrainer

    model = ContextEncoder(
        **dataclasses.asdict(settled.architecture),
        seed=settled.rules.seed,
        compute_dtype=settled.precision.used,
    )
    held_out = dataset.load_held_out(HELD_OUT)
    pictures = (held_out if len(held_out) else dataset.batch(0))[:SAMPLES]
    dcgan = load_discriminator(settled)
    return ContextEncoderTrainer(model, settled.rules, pictures, held_out, dcgan)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; returns the exit status."""
    args = build_parser().parse_args(argv)
    given = settings.given_options(args, settings.ENCODER_OPTIONS)
    cli.prepare_tensorflow()
    from dcgan_completion.training import command

    given = fit_to_dcgan(given)
    return command.run_training(given, settings.ENCODER_OPTIONS, args.traceback, make_trainer)
