"""Runs a training command, from the options that were given to the exit status."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from dcgan_completion import checkpoints, devices, runs, utils
from dcgan_completion.settings.training import (
    IDENTITY,
    HeadDataSettings,
    OptionClasses,
    TrainingSettings,
)
from dcgan_completion.training import checkpointing, logs, run
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.training.head_dataset import HeadFolders
from dcgan_completion.training.loop import Trainer, train
from dcgan_completion.utils import UserError

logger = logging.getLogger(__name__)


def open_dataset(settings: TrainingSettings, resumed: dict[str, Any] | None) -> ImageFolders:
    """Open the images.

    Raises:
      UserError: there are too few, or not those of the resumed run.
    """
    data, networks, rules = settings.data, settings.architecture, settings.rules
    make: Callable[..., ImageFolders] = ImageFolders
    if isinstance(data, HeadDataSettings):
        make = functools.partial(HeadFolders, proportions=data.proportions)
    dataset = make(
        data.dataset,
        image_size=networks.image_size,
        channels=networks.channels,
        batch_size=rules.batch_size,
        seed=rules.seed,
        train_size=None if data.train_size == "all" else int(data.train_size),
        holdout=utils.read_names(data.holdout, "--holdout") if data.holdout else (),
    )
    if resumed and resumed["data"] != dataset.identity:
        raise UserError(
            f"--dataset: these are not the images that the run in {settings.output.model_dir} "
            "was trained on (other names or sizes); name those, or start another run with "
            "--init-from and another --checkpoint-dir"
        )
    dataset.check_readable()
    return dataset


def restore(trainer: Trainer, settings: TrainingSettings, resumed: bool, chief: bool) -> None:
    """Restore the run's last checkpoint, or the weights that a new run starts from."""
    path, output = settings.run.init_from, settings.output
    if resumed:
        saver = checkpointing.Checkpoints(trainer, output.model_dir, output.keep)
        saver.restore(repair=chief)
        logger.info("resuming from %s", saver.latest)
    elif path is not None:
        prefix = checkpointing.load_initial_weights(
            trainer.model, trainer.ema, path, trainer.starts_from_ema
        )
        logger.info("starting from the weights of %s", prefix)
        if note := checkpoints.licence_note(path):
            logger.warning(note)


def train_and_write(
    trainer: Trainer,
    dataset: ImageFolders,
    settings: TrainingSettings,
    config: dict[str, Any],
    chief: bool,
) -> int:
    """Train to the end, or until the run is stopped; return the signal that did so, else 0."""
    epochs, output = settings.run.epoch, settings.output
    last_step = epochs * dataset.steps_per_epoch
    stop = run.StopRequest(trainer.strategy, settings.run.minutes)
    with contextlib.ExitStack() as stack:
        writer = None
        if chief:
            writer = run.RunWriter(trainer, dataset, epochs, output, config)
            stack.enter_context(writer)
        for result in train(trainer, dataset, last_step, settings.rules.decay_epochs):
            ends = stop.due() or result.step == last_step
            if writer:
                writer.write(result, ends)
            if ends:
                break
    if writer:
        logs.plot_losses(output.log_dir, trainer.scalars.losses, trainer.scalars.axis)
        places = output.sample_dir, output.log_dir
        logger.info("saved %s; samples are in %s, logs in %s", writer.saver.latest, *places)
    return stop.signals.received


def run_training(
    given: Mapping[str, Any],
    classes: OptionClasses,
    traceback: bool,
    make_trainer: Callable[[TrainingSettings, ImageFolders], Trainer],
) -> int:
    """Train; return the exit status.

    Args:
      given: the options that the user gave, by the names of their fields.
      classes: the command's settings classes.
      traceback: whether --traceback was given.
      make_trainer: makes networks and trainer, at step 0; called in the scope of a strategy.

    Raises:
      UserError: the user can mend it.
    """
    settings, resumed = run.resolve_settings(given, classes)
    if settings.run.deterministic:
        tf.config.experimental.enable_op_determinism()
    utils.limit_pixels(settings.data.max_pixels)
    dataset = open_dataset(settings, resumed)
    # All processes have read the folders by now: this waits for them, then the chief writes.
    strategy = devices.make_strategy()
    chief = devices.is_chief(strategy)
    with strategy.scope():
        trainer = make_trainer(settings, dataset)
    restore(trainer, settings, resumed is not None, chief)
    epochs_done = int(trainer.step.numpy()) // dataset.steps_per_epoch
    if epochs_done >= settings.run.epoch:
        message = "%d epochs are done; to continue, raise --epoch %d"
        logger.info(message, epochs_done, settings.run.epoch)
        return 0
    config = runs.record({"traceback": traceback} | settings.options()) | {
        "architecture": dataclasses.asdict(settings.architecture),
        "identity": {name: getattr(settings.rules, name) for name in IDENTITY},
        "data": dataset.identity,
    }
    logger.info(
        "%d images, %d steps per epoch, convolutions in %s, on %d x %s",
        *(len(dataset.files), dataset.steps_per_epoch, settings.precision.used),
        *(trainer.replicas, config["devices"][-1]),
    )
    received = train_and_write(trainer, dataset, settings, config, chief)
    return 128 + received if received else 0
