"""Train a DCGAN on a folder of images, such as aligned faces.

A run that finds its own checkpoint goes on from there. Ctrl-C saves one before it stops.

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
    """The command line."""
    return settings.build_parser(__doc__, settings.OPTIONS)


def make_trainer(settled: TrainingSettings, _dataset: ImageFolders) -> DCGANTrainer:
    """The networks and what trains them, at step 0."""
    from dcgan_completion.model import DCGAN
    from dcgan_completion.training.trainer import DCGANTrainer

    model = DCGAN(
        **dataclasses.asdict(settled.architecture),
        seed=settled.rules.seed,
        compute_dtype=settled.precision.used,
        sync_batch_norm=settled.run.sync_batch_norm,
    )
    return DCGANTrainer(model, settled.rules)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; returns the exit status."""
    args = build_parser().parse_args(argv)
    given = settings.given_options(args, settings.OPTIONS)
    cli.prepare_tensorflow()
    from dcgan_completion.training import command

    return command.run_training(given, settings.OPTIONS, args.traceback, make_trainer)
