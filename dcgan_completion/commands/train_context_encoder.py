"""Train a context encoder, which estimates the missing part of an image in one pass.

It belongs to a DCGAN and is written to its folder, as CHECKPOINT_DIR/context-encoder. Images that
are held out (--holdout) are used for validation. Run the same command again to resume from the last
checkpoint. Ctrl-C saves one and stops.

With --for-photos it trains a photo encoder, CHECKPOINT_DIR/photo-encoder, which draws heads in
photos; it has options of its own: ./train-context-encoder.py --for-photos --help.

examples:
  ./train-context-encoder.py --dataset ./data/your-dataset/aligned --checkpoint-dir checkpoint
  ./train-context-encoder.py --dataset faces --checkpoint-dir sharper --epoch 5 \\
      --init-from checkpoint/context-encoder --adversarial-weight 1 --learning-rate 0.0003
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
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
    from dcgan_completion.training.photo_encoder_trainer import PhotoEncoderTrainer


FOR_PHOTOS = "--for-photos"


def build_parser(
    classes: settings.OptionClasses = settings.ENCODER_OPTIONS,
) -> argparse.ArgumentParser:
    """Make the parser of the command line, with the options of one of the encoders."""
    parser = settings.build_parser(__doc__, classes)
    help_text = "train a photo encoder, which has other options: see --for-photos --help"
    parser.add_argument(FOR_PHOTOS, action="store_true", help=help_text)
    return parser


def fit_to_dcgan(given: dict[str, Any]) -> dict[str, Any]:
    """Add the size and channels of the images of the DCGAN in --checkpoint-dir, if there is one.

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


def load_discriminator(resolved: TrainingSettings) -> DCGAN | None:
    """Load the DCGAN whose discriminator judges completions; None without adversarial weight.

    Raises:
      UserError: there is none, or no encoder to start from.
    """
    weight, output = resolved.rules.adversarial_weight, resolved.output
    if not weight:
        return None
    from dcgan_completion import checkpoints

    if resolved.run.init_from is None and not checkpoints.holds_checkpoint(output.model_dir):
        raise UserError(
            f"--adversarial-weight {weight:g}: continues from an encoder that was trained without "
            "it; name that by --init-from"
        )
    if not checkpoints.holds_checkpoint(output.checkpoint_dir):
        raise UserError(
            f"--adversarial-weight {weight:g}: needs a discriminator, and there is no DCGAN in "
            f"--checkpoint-dir {output.checkpoint_dir}; copy one there"
        )
    return checkpoints.load_model(output.checkpoint_dir, resolved.precision.used)[0]


def make_photo_trainer(resolved: TrainingSettings, dataset: ImageFolders) -> PhotoEncoderTrainer:
    """Make the photo encoder, its discriminators and their trainer, at step 0."""
    from dcgan_completion.photo_encoder import PhotoEncoder
    from dcgan_completion.training import features, photo_encoder_trainer

    rules, images = resolved.rules, resolved.architecture
    model = PhotoEncoder(
        **dataclasses.asdict(images), seed=rules.seed, compute_dtype=resolved.precision.used
    )
    judges = None
    if rules.adversarial_weight:
        network = features.FeatureNetwork.load()
        judges = photo_encoder_trainer.Discriminators(
            network, images.image_size, images.channels, rules.seed
        )
    heads = dataset.load_held_out(photo_encoder_trainer.MAX_VALIDATION)
    validation = heads if len(heads) else dataset.batch(0)
    return photo_encoder_trainer.PhotoEncoderTrainer(model, rules, validation, judges)


def make_trainer(resolved: TrainingSettings, dataset: ImageFolders) -> ContextEncoderTrainer:
    """Make the network and its trainer, at step 0."""
    from dcgan_completion.encoders import ContextEncoder
    from dcgan_completion.training import encoder_trainer

    model = ContextEncoder(
        **dataclasses.asdict(resolved.architecture),
        seed=resolved.rules.seed,
        compute_dtype=resolved.precision.used,
    )
    validation = dataset.load_held_out(encoder_trainer.MAX_VALIDATION)
    pictures = validation if len(validation) else dataset.batch(0)
    return encoder_trainer.ContextEncoderTrainer(
        model,
        resolved.rules,
        pictures[: encoder_trainer.SAMPLES],
        validation,
        load_discriminator(resolved),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    for_photos = FOR_PHOTOS in argv
    classes = settings.PHOTO_ENCODER_OPTIONS if for_photos else settings.ENCODER_OPTIONS
    args = build_parser(classes).parse_args(argv)
    given = settings.given_options(args, classes)
    cli.prepare_tensorflow()
    from dcgan_completion.training import command

    make = make_photo_trainer if for_photos else make_trainer
    if not for_photos:
        given = fit_to_dcgan(given)
    return command.run_training(given, classes, args.traceback, make)
