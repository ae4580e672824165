"""A training run: the settings it starts or resumes with, when it stops, and what it writes."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import json
import os
import time
from collections.abc import Mapping
from typing import Any, TypeVar

import tensorflow as tf
import tqdm

from dcgan_completion import checkpoints, cli, devices, runs, utils
from dcgan_completion.settings import options
from dcgan_completion.settings.training import (
    IDENTITY,
    OPTIONS,
    OptionClasses,
    OutputSettings,
    PrecisionSettings,
    TrainingSettings,
)
from dcgan_completion.training import checkpointing, logs
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.training.loop import Trainer
from dcgan_completion.utils import UserError

SAVE_BATCHES, SAMPLE_BATCHES = 100, 10  # over which batch statistics are estimated

Settings = TypeVar("Settings")


# --- settings ---


def resolve_settings(
    given: Mapping[str, Any], classes: OptionClasses = OPTIONS
) -> tuple[TrainingSettings, dict[str, Any] | None]:
    """Resolve the settings of a run: as given, or else as in the run to resume, or the defaults.

    `given` has the options that the user gave, by the names of their fields.

    Returns:
      The settings, and the config of the run to resume, None for a new run.

    Raises:
      UserError: a folder cannot be used, or an option contradicts the run.
    """
    output, run = from_values(classes.output, given), from_values(classes.run, given)
    kept = (*_names(classes.architecture), *IDENTITY, *classes.rules.fixed)
    fixed = {name: given[name] for name in given if name in kept}
    for folder in given["dataset"]:
        utils.check_folder(folder, "--dataset")
    config = find_run(output, run.init_from, fixed, classes)
    precision = resolve_precision(given, config)
    values = dict(given)
    if config is not None:
        values = config["options"] | config["architecture"] | config["identity"] | values
    architecture = from_values(classes.architecture, values)
    source = " ".join(f"{options.flag(name)} {given[name]}" for name in fixed) or "the networks"
    checkpoints.check_architecture(dataclasses.asdict(architecture), source, architecture.network)
    rules, data = from_values(classes.rules, values), from_values(classes.data, values)
    return TrainingSettings(architecture, rules, data, precision, run, output), config


def _names(settings: type) -> list[str]:
    return [field.name for field in options.option_fields(settings)]


def from_values(settings: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Make a settings object from those of some values, by name, that are its fields."""
    return settings(**{name: values[name] for name in _names(settings) if name in values})


def resolve_precision(given: Mapping[str, Any], config: dict[str, Any] | None) -> devices.Precision:
    """Resolve the precision of a run; arguments and errors as `resolve_settings`."""
    asked, earlier = given.get("precision"), (config or {}).get("options", {})
    if "precision_used" in earlier:
        stored = devices.Precision(earlier.get("precision", "auto"), earlier["precision_used"])
        return stored.resumed(asked)
    return devices.Precision.choose(from_values(PrecisionSettings, given).precision)


def find_run(
    output: OutputSettings,
    init_from: str | None,
    fixed: Mapping[str, Any],
    classes: OptionClasses = OPTIONS,
) -> dict[str, Any] | None:
    """Read the config of the run to resume in some folders; None if a new one can start there.

    A new run would start from the checkpoint `init_from`. `fixed` has the values that the user gave
    for options that a resumed run cannot change.

    Raises:
      UserError: the folders cannot be used, or something contradicts the run in them.
    """
    for name in ("checkpoint_dir", "sample_dir", "log_dir"):
        utils.check_writable(getattr(output, name), options.flag(name))
    for folder in (output.checkpoint_dir, output.log_dir):
        utils.check_name(folder, "TensorFlow")
    utils.check_writable(output.model_dir, "--checkpoint-dir")
    if not checkpoints.holds_checkpoint(output.model_dir):
        _refuse_other_runs(output)
        return None
    prefix, config = checkpoints.find_checkpoint(
        output.model_dir, network=classes.architecture.network
    )
    check_config(config, os.path.join(output.model_dir, runs.CONFIG), classes)
    default = classes.rules()
    rules = {name: config["options"].get(name, getattr(default, name)) for name in default.fixed}
    stored = config["architecture"] | config["identity"] | rules
    checkpointing.refuse_contradictions(fixed, stored, prefix, "--checkpoint-dir")
    if init_from is not None:
        raise UserError(
            f"--init-from {init_from} contradicts the run in {output.model_dir}, which "
            "would be resumed; leave it out, or name another --checkpoint-dir"
        )
    return config


def check_config(config: Mapping[str, Any], path: str, classes: OptionClasses = OPTIONS) -> None:
    """Raise UserError if the config.json at `path` lacks what resuming its run needs."""
    remedy = "repair it, or start another run with --init-from and another --checkpoint-dir"
    kinds = {"options": dict, "identity": dict, "data": str}
    missing = [name for name, kind in kinds.items() if not isinstance(config.get(name), kind)]
    if "identity" not in missing:
        missing += [name for name in IDENTITY if name not in config["identity"]]
    if missing:
        raise UserError(f"{path}: lacks the {missing[0]} of the run to resume; {remedy}")
    stored = config["options"] | config["identity"]
    for settings in (classes.rules, classes.data, classes.precision):
        for field in options.option_fields(settings):
            if field.name in stored and not options.could_be_given(field, stored[field.name]):
                raise UserError(
                    f"{path}: {field.name} of the run to resume is not a value that "
                    f"{options.flag(field.name)} accepts; {remedy}"
                )
    if stored.get("precision_used", "float32") not in options.PRECISIONS[1:]:
        raise UserError(f"{path}: precision_used of the run to resume is not a precision; {remedy}")


def _refuse_other_runs(output: OutputSettings) -> None:
    """Raise UserError if there are samples or logs that a new run would mix with its own."""
    found = glob.glob(os.path.join(glob.escape(output.sample_dir), "train_*.png"))
    found += glob.glob(os.path.join(glob.escape(output.log_dir), logs.SCALARS))
    if found:
        raise UserError(
            f"{found[0]} belongs to another run, and --checkpoint-dir {output.model_dir} holds no "
            "checkpoint to resume; move it away, or choose another --sample-dir and --log-dir"
        )


# --- stopping ---


class StopRequest:
    """Stops a run early, in all processes at once: by SIGINT, SIGTERM, or after some minutes.

    Attributes:
      signals: those that were received.
    """

    def __init__(self, strategy: tf.distribute.Strategy, minutes: float | None) -> None:
        """Record signals, and count `minutes` (None: no limit), from now on."""
        self._strategy = strategy
        self.signals = cli.StopSignals()
        self._deadline = float("inf") if minutes is None else time.monotonic() + 60 * minutes

    def due(self) -> bool:
        """Return whether to stop now; all processes must call it at the same step."""
        stop = bool(self.signals.received) or time.monotonic() > self._deadline
        return devices.any_process(self._strategy, stop)


# --- outputs ---


class RunWriter:
    """Writes logs, samples, checkpoints and the progress bar, in the chief process of a run.

    Use as a context manager.

    Attributes:
      saver: the run's checkpoints.
    """

    def __init__(
        self,
        trainer: Trainer,
        dataset: ImageFolders,
        epochs: int,
        output: OutputSettings,
        config: dict[str, Any],
    ) -> None:
        """Make the folders, config.json and the first checkpoint.

        The trainer is at the run's first step; `epochs` are those of the whole run.
        """
        self._trainer, self._dataset, self._epochs = trainer, dataset, epochs
        self._output = output
        for folder in (output.model_dir, output.sample_dir, output.log_dir):
            os.makedirs(folder, exist_ok=True)
            utils.remove_partial(folder)
        checkpointing.remove_leftovers(output.model_dir)
        runs.write_config(output.model_dir, config)
        self.saver = checkpointing.Checkpoints(trainer, output.model_dir, output.keep)
        self.saver.save()  # from here on the run can be resumed
        self._first_step, self._start = int(trainer.step.numpy()), time.monotonic()
        self._open = contextlib.ExitStack()
        log = logs.TrainingLog(output.log_dir, self._first_step, trainer.scalars)
        self._log = self._open.enter_context(log)
        bar = cli.progress_bar(
            total=epochs * dataset.steps_per_epoch, initial=self._first_step, unit="step"
        )
        self._bar: tqdm.tqdm = self._open.enter_context(bar)
        if self._first_step == 0:
            log.write_run(trainer.graph(), json.dumps(config, indent=2))
            log.write_picture("training images", utils.image_grid(dataset.batch(0)), 0)

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, result: logs.StepResult, ends: bool) -> None:
        """Write what is due after a step: everything, if the run ends with it.

        Raises:
          UserError: a loss is not finite, or a checkpoint cannot be written.
        """
        saves = ends or result.step % self._output.checkpoint_interval == 0
        if saves:
            scalars = {**result.scalars, **self._trainer.evaluate()}
            result = dataclasses.replace(result, scalars=scalars)
        values = self._log.write_step(result)
        self._trainer.monitor.check(result.step, values, self.saver.latest)
        self._show_progress(result, values)
        if ends or result.step % self._output.sample_interval == 0:
            self._write_samples(result)
        if saves:
            self._trainer.estimate_statistics(SAVE_BATCHES)
            self._log.flush()
            self.saver.save()

    def _show_progress(self, result: logs.StepResult, values: Mapping[str, float]) -> None:
        seconds = time.monotonic() - self._start
        rate = (result.step - self._first_step) * self._dataset.batch_size / seconds
        losses = [
            f"{name} {values[name]:.3f}" for name in self._trainer.scalars.losses if name in values
        ]
        self._bar.set_description(f"epoch {result.epoch}/{self._epochs}", refresh=False)
        self._bar.set_postfix_str(", ".join([*losses, f"{rate:.0f} images/s"]), refresh=False)
        self._bar.update()

    def _write_samples(self, result: logs.StepResult) -> None:
        self._trainer.estimate_statistics(SAMPLE_BATCHES)
        grid = utils.image_grid(self._trainer.sample_pictures())
        step_of_epoch = (result.step - 1) % self._dataset.steps_per_epoch + 1
        name = f"train_{result.epoch:02d}_{step_of_epoch:04d}.png"
        utils.save_image(os.path.join(self._output.sample_dir, name), grid)
        self._log.write_picture("samples", grid, result.step)
        self._log.write_histograms(result)
