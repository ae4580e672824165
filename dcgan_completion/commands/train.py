"""Train a DCGAN on a folder of images, such as aligned faces.

Run the same command again to resume from the last checkpoint. Ctrl-C saves one and stops.

examples:
  ./train-dcgan.py --dataset ./data/your-dataset/aligned --epoch 20
  ./train-dcgan.py --dataset flowers --image-size 32 --gf-dim 32 --df-dim 32 --minutes 30
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcgan_completion import cli
from dcgan_completion.settings import training as settings

if TYPE_CHECKING:
    from dcgan_completion.settings.training import TrainingSettings
    from dcgan_completion.training.dataset import ImageFolders
    from dcgan_completion.training.trainer import DCGANTrainer


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return settings.build_parser(__doc__, settings.OPTIONS)


def make_trainer(resolved: TrainingSettings, _dataset: ImageFolders) -> DCGANTrainer:
    """Make the networks and their trainer, at step 0."""
    from dcgan_completion.model import DCGAN
    from dcgan_completion.training.trainer import DCGANTrainer

    model = DCGAN(
        **dataclasses.asdict(resolved.architecture),
        seed=resolved.rules.seed,
        compute_dtype=resolved.precision.used,
        sync_batch_norm=resolved.run.sync_batch_norm,
    )
    return DCGANTrainer(model, resolved.rules)


def main(argv: Sequence[str] | None = None) -> int:
    """Train; return the exit status."""
    args = build_parser().parse_args(argv)
    given = settings.given_options(args, settings.OPTIONS)
    cli.prepare_tensorflow()
    from dcgan_completion.training import command

    return command.run_training(given, settings.OPTIONS, args.traceback, make_trainer)
