"""What the training commands share: from the options that were given to the exit status."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from dcgan_completion import checkpoints, cli, devices, runs, utils
from dcgan_completion.settings import training as settings
from dcgan_completion.settings.training import OptionClasses, TrainingSettings
from dcgan_completion.training import checkpointing, logs, run
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.training.encoder_trainer import ContextEncoderTrainer
from dcgan_completion.training.loop import train
from dcgan_completion.training.trainer import DCGANTrainer
from dcgan_completion.utils import UserError

AnyTrainer = DCGANTrainer | ContextEncoderTrainer


def open_dataset(settled: TrainingSettings, resumed: dict[str, Any] | None) -> ImageFolders:
    """The images; skipped ones are named on stderr.

    Raises:
      UserError: there are too few, or not those of the resumed run.
    """
    data, networks, rules = settled.data, settled.architecture, settled.rules
    dataset = ImageFolders(
        data.dataset,
        image_size=networks.image_size,
        channels=networks.channels,
        batch_size=rules.batch_size,
        seed=rules.seed,
        train_size=None if data.train_size == "all" else int(data.train_size),
        holdout=utils.read_names(data.holdout, "--holdout") if data.holdout else (),
        on_unreadable=lambda message: cli.say(f"skipped: {message}"),
    )
    if resumed and resumed["data"] != dataset.identity:
        raise UserError(
            f"--dataset: these are not the images that the run in {settled.output.model_dir} "
            "was trained on (other names or sizes); name those, or start another run with "
            "--init-from and another --checkpoint-dir"
        )
    dataset.check_readable()
    return dataset


def restore(trainer: AnyTrainer, settled: TrainingSettings, resumed: bool, chief: bool) -> None:
    """Brings the trainer to the run's last checkpoint, or to the weights that it starts from."""
    path, output = settled.run.init_from, settled.output
    if resumed:
        saver = checkpointing.Checkpoints(trainer, output.model_dir, output.keep)
        for damaged in saver.restore(repair=chief):
            cli.say(f"{damaged} is damaged: going back to the one before")
        print(f"resuming from {saver.latest}")
    elif path is not None:
        prefix = checkpointing.load_initial_weights(
            trainer.model, trainer.averaged, path, trainer.from_averaged
        )
        print(f"starting from the weights of {prefix}")
        if note := checkpoints.licence_note(path):
            cli.say(note)


def configuration(
    settled: TrainingSettings, traceback: bool, dataset: ImageFolders
) -> dict[str, Any]:
    """The record of the run, for config.json."""
    return runs.record({"traceback": traceback} | settled.options()) | {
        "architecture": dataclasses.asdict(settled.architecture),
        "identity": {name: getattr(settled.rules, name) for name in settings.IDENTITY},
        "data": dataset.identity,
    }


def train_and_write(
    trainer: AnyTrainer,
    dataset: ImageFolders,
    settled: TrainingSettings,
    config: dict[str, Any],
    chief: bool,
) -> int:
    """Trains to the end, or until it is stopped; returns the signal that did so, else 0."""
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
        logs.plot_losses(output.log_dir, trainer.scalars.losses, trainer.scalars.axis)
        places = f"samples are in {output.sample_dir}, logs in {output.log_dir}"
        print(f"saved {writer.saver.latest}; {places}")
    return stop.signals.received


def run_training(
    given: Mapping[str, Any],
    classes: OptionClasses,
    traceback: bool,
    make_trainer: Callable[[TrainingSettings, ImageFolders], AnyTrainer],
) -> int:
    """Trains; returns the exit status.

    Args:
      given: the options that the user gave, by the names of their fields.
      classes: the command's settings classes.
      traceback: whether --traceback was given.
      make_trainer: makes the networks and what trains them, at step 0; called in the scope of a
        strategy.

    Raises:
      UserError: what the user can mend.
    """
    settled, resumed, note = run.settle(given, classes)
    if note:
        print(note)
    if settled.run.deterministic:
        tf.config.experimental.enable_op_determinism()
    utils.limit_pixels(settled.data.max_pixels)
    dataset = open_dataset(settled, resumed)
    # All processes have looked at the folders by now: this waits for them, then the chief writes.
    strategy = devices.make_strategy()
    chief = devices.is_chief(strategy)
    with strategy.scope():
        trainer = make_trainer(settled, dataset)
    restore(trainer, settled, resumed is not None, chief)
    epochs_done = int(trainer.step.numpy()) // dataset.steps_per_epoch
    if epochs_done >= settled.run.epoch:
        print(f"{epochs_done} epochs are done; for more, raise --epoch {settled.run.epoch}")
        return 0
    config = configuration(settled, traceback, dataset)
    print(
        f"{len(dataset.files)} images, {dataset.steps_per_epoch} steps an epoch, convolutions in "
        f"{settled.precision.used}, on {trainer.replicas} x {config['devices'][-1]}"
    )
    received = train_and_write(trainer, dataset, settled, config, chief)
    return 128 + received if received else 0
