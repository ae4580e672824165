#!/usr/bin/env python3
"""Train a DCGAN on a folder of images, such as aligned faces.

A run that finds its own checkpoint goes on from there. Ctrl-C saves one before it stops.

examples:
  ./train-dcgan.py --dataset ./data/your-dataset/aligned --epoch 20
  ./train-dcgan.py --dataset flowers --image-size 32 --gf-dim 32 --df-dim 32 --minutes 30
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cli
import utils
from training import settings
from utils import UserError

if TYPE_CHECKING:
    import tensorflow as tf

    from training.dataset import ImageFolders
    from training.settings import TrainingSettings
    from training.trainer import DCGANTrainer


def build_parser() -> argparse.ArgumentParser:
    """The command line: the reference's options under their own and a kebab-case spelling."""
    parser = cli.ArgumentParser(__doc__)
    images = parser.add_argument_group("images")
    networks = parser.add_argument_group("networks")
    training = parser.add_argument_group("training")
    output = parser.add_argument_group("output")
    kept, plain = settings.resumed_default_text, settings.default_text
    elsewhere = (*settings.AUGMENTATION, "seed", "init_from")

    def others(options: type) -> list[str]:
        return [f.name for f in cli.option_fields(options) if f.name not in elsewhere]

    cli.add_options(images, settings.DataSettings, kept)
    cli.add_options(images, settings.Rules, kept, settings.AUGMENTATION)
    cli.add_options(networks, settings.Architecture, kept)
    cli.add_options(networks, settings.Rules, kept, ["seed"])
    cli.add_options(networks, settings.RunSettings, plain, ["init_from"])
    cli.add_options(training, settings.Rules, kept, others(settings.Rules))
    cli.add_options(training, settings.PrecisionSettings, kept)
    cli.add_options(training, settings.RunSettings, plain, others(settings.RunSettings))
    cli.add_options(output, settings.OutputSettings, plain)
    return parser


def open_dataset(settled: TrainingSettings, resumed: dict[str, Any] | None) -> ImageFolders:
    """The images; skipped ones are named on stderr.

    Raises:
      UserError: there are too few, or not those of the resumed run.
    """
    from training.dataset import ImageFolders

    data, networks, rules = settled.data, settled.architecture, settled.rules
    dataset = ImageFolders(
        data.dataset,
        image_size=networks.image_size,
        channels=networks.channels,
        batch_size=rules.batch_size,
        seed=rules.seed,
        train_size=None if data.train_size == "all" else int(data.train_size),
        holdout=utils.read_names(data.holdout, "--holdout") if data.holdout else (),
        max_pixels=data.max_pixels,
        on_unreadable=lambda message: cli.say(f"skipped: {message}"),
    )
    if resumed and resumed["data"] != dataset.identity:
        raise UserError(
            f"--dataset: these are not the images that the run in {settled.output.checkpoint_dir} "
            "was trained on (other names or sizes); name those, or start another run with "
            "--init-from and another --checkpoint-dir"
        )
    dataset.check_readable()
    return dataset


def make_trainer(settled: TrainingSettings, strategy: tf.distribute.Strategy) -> DCGANTrainer:
    """The networks and what trains them, at step 0."""
    from model import DCGAN
    from training.trainer import DCGANTrainer

    with strategy.scope():
        model = DCGAN(
            **dataclasses.asdict(settled.architecture),
            seed=settled.rules.seed,
            compute_dtype=settled.precision.used,
            sync_batch_norm=settled.run.sync_batch_norm,
        )
        return DCGANTrainer(model, settled.rules)


def restore(trainer: DCGANTrainer, settled: TrainingSettings, resumed: bool, chief: bool) -> None:
    """Brings the trainer to the run's last checkpoint, or to the weights that it starts from."""
    import checkpoints
    from training import checkpointing

    path, output = settled.run.init_from, settled.output
    if resumed:
        saver = checkpointing.Checkpoints(trainer, output.checkpoint_dir, output.keep)
        for damaged in saver.restore(repair=chief):
            cli.say(f"{damaged} is damaged: going back to the one before")
        print(f"resuming from {saver.latest}")
    elif path is not None:
        prefix = checkpointing.load_initial_weights(trainer.model, trainer.averaged, path)
        print(f"starting from the weights of {prefix}")
        if note := checkpoints.licence_note(path):
            cli.say(note)


def configuration(
    settled: TrainingSettings, traceback: bool, dataset: ImageFolders
) -> dict[str, Any]:
    """The record of the run, for config.json."""
    import runs

    return runs.record({"traceback": traceback} | settled.options()) | {
        "architecture": dataclasses.asdict(settled.architecture),
        "identity": {name: getattr(settled.rules, name) for name in settings.IDENTITY},
        "data": dataset.identity,
    }


def train_and_write(
    trainer: DCGANTrainer,
    dataset: ImageFolders,
    settled: TrainingSettings,
    config: dict[str, Any],
    chief: bool,
) -> int:
    """Trains to the end, or until it is stopped; returns the signal that did so, else 0."""
    from training import logs, run
    from training.loop import train

    epochs, output = settled.run.epoch, settled.output
    last_step = epochs * dataset.steps_per_epoch
    stop = run.StopRequest(trainer.strategy, settled.run.minutes)
    with contextlib.ExitStack() as stack:
        writer = None
        if chief:
            writer = run.RunWriter(trainer, dataset, epochs, output, config)
            stack.enter_context(writer)
        for result in train(trainer, dataset, last_step, settled.rules.decay_epochs):
            ends = stop.due() or result.step == last_step
            if writer:
                writer.write(result, ends)
            if ends:
                break
    if writer:
        logs.plot_losses(output.log_dir, trainer.scalars.losses)
        places = f"samples are in {output.sample_dir}, logs in {output.log_dir}"
        print(f"saved {writer.saver.latest}; {places}")
    return stop.signals.received


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; returns the exit status."""
    args = build_parser().parse_args(argv)
    given: dict[str, Any] = {}
    for options in settings.OPTIONS:
        given |= cli.given_options(args, options)
    cli.prepare_tensorflow()
    import tensorflow as tf

    import devices
    from training import run

    settled, resumed, note = run.settle(given)
    if note:
        print(note)
    if settled.run.deterministic:
        tf.config.experimental.enable_op_determinism()
    dataset = open_dataset(settled, resumed)
    # All processes have looked at the folders by now: this waits for them, then the chief writes.
    strategy = devices.make_strategy()
    chief = devices.is_chief(strategy)
    trainer = make_trainer(settled, strategy)
    restore(trainer, settled, resumed is not None, chief)
    epochs_done = int(trainer.step.numpy()) // dataset.steps_per_epoch
    if epochs_done >= settled.run.epoch:
        print(f"{epochs_done} epochs are done; for more, raise --epoch {settled.run.epoch}")
        return 0
    config = configuration(settled, args.traceback, dataset)
    print(
        f"{len(dataset.files)} images, {dataset.steps_per_epoch} steps an epoch, convolutions in "
        f"{settled.precision.used}, on {trainer.replicas} x {config['devices'][-1]}"
    )
    received = train_and_write(trainer, dataset, settled, config, chief)
    return 128 + received if received else 0


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
