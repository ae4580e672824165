"""A training run: the options it starts or goes on with, and what it writes."""

from __future__ import annotations

import argparse
import contextlib
import glob
import json
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tqdm

import checkpoints
import cli
import devices
import utils
from training import logs as report
from training.trainer import Monitor, StepResult, Trainer
from utils import UserError

FIXED_SAMPLES = 64
SAVE_BATCHES, SAMPLE_BATCHES = 100, 10  # over which batch statistics are estimated


def resolve(
    args: argparse.Namespace, fixed: Mapping[str, Any], changeable: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Fills the options left out and checks all.

    Args:
      args: the options; None where one was left out.
      fixed: options that a resumed run cannot change, with their defaults.
      changeable: options that are as in the resumed run if left out, with their defaults.

    Returns:
      The config of the run to resume, None if there is none.

    Raises:
      UserError: a folder that cannot be used, an option that contradicts the run.
    """
    for folder in args.dataset:
        utils.check_folder(folder, "--dataset")
    for flag in ("--checkpoint-dir", "--sample-dir", "--log-dir"):
        utils.check_writable(getattr(args, flag[2:].replace("-", "_")), flag)
    config: dict[str, Any] | None = None
    if checkpoints.holds_checkpoint(args.checkpoint_dir):
        prefix, config = checkpoints.find(args.checkpoint_dir)
        explicit = {name: getattr(args, name) for name in fixed}
        checkpoints.check_options(config, explicit, prefix)
        if args.init_from:
            raise UserError(
                f"--init-from {args.init_from} contradicts the run in {args.checkpoint_dir}, which "
                "would be resumed; leave it out, or name another --checkpoint-dir"
            )
    else:
        refuse_other_runs(args)
    stored: dict[str, Any] = {}
    if config is not None:
        stored = config["options"] | config["architecture"] | config["identity"]
    for name, default in (fixed | changeable).items():
        if getattr(args, name) is None:
            setattr(args, name, stored.get(name, default))
    if config is None:
        args.precision = args.precision or "auto"
        args.precision_used, note = devices.resolve_precision(args.precision), ""
    else:
        wanted, args.precision = args.precision, args.precision or stored["precision"]
        used = stored["precision_used"]
        args.precision_used, note = devices.resumed_precision(wanted, stored["precision"], used)
    if note:
        print(note)
    return config


def refuse_other_runs(args: argparse.Namespace) -> None:
    """Raises UserError if samples or logs are there that a new run would mix with its own."""
    found = glob.glob(os.path.join(glob.escape(args.sample_dir), "train_*.png"))
    found += glob.glob(os.path.join(glob.escape(args.log_dir), "scalars.csv"))
    if found:
        raise UserError(
            f"{found[0]} is of another run, and --checkpoint-dir {args.checkpoint_dir} holds no "
            "checkpoint to resume; move it away, or choose another --sample-dir and --log-dir"
        )


class RunWriter:
    """What the chief process of a run writes: logs, samples, checkpoints, the progress bar.

    Use as a context manager. The other processes have none.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        trainer: Trainer,
        steps_per_epoch: int,
        config: dict[str, Any],
        real: np.ndarray,
    ) -> None:
        """Makes the folders, config.json and the first checkpoint.

        Args:
          args: the options, resolved.
          config: for config.json and TensorBoard.
          real: some real images to show beside the samples, uint8 [N, S, S, C].
        """
        self._args, self._trainer, self._steps_per_epoch = args, trainer, steps_per_epoch
        for folder in (args.checkpoint_dir, args.sample_dir, args.log_dir):
            os.makedirs(folder, exist_ok=True)
            utils.remove_partial(folder)
        checkpoints.remove_leftovers(args.checkpoint_dir)
        checkpoints.write_config(args.checkpoint_dir, config)
        self.saver = checkpoints.Checkpoints(trainer, args.checkpoint_dir, args.keep)
        self.saver.save()  # from here on the run can be resumed
        self._first_step, self._start = int(trainer.step.numpy()), time.monotonic()
        self._monitor = Monitor()
        self._fixed_z = np.random.default_rng(args.seed).uniform(-1, 1, [FIXED_SAMPLES, args.z_dim])
        self._open = contextlib.ExitStack()
        log = report.TrainingLog(args.log_dir, self._first_step)
        self._log = self._open.enter_context(log)
        bar = cli.progress_bar(
            total=args.epoch * steps_per_epoch, initial=self._first_step, unit="step"
        )
        self._bar: tqdm.tqdm = self._open.enter_context(bar)
        if self._first_step == 0:
            log.write_run(trainer.model, json.dumps(config, indent=2))
            log.write_picture("training images", utils.image_grid(real), 0)

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, result: StepResult, ends: bool) -> None:
        """Writes what is due after a step: everything, if the run ends with it.

        Raises:
          UserError: a loss is not finite, or a checkpoint cannot be written.
        """
        args = self._args
        values = self._log.write_step(result)
        if warning := self._monitor.check(result.step, values, self.saver.latest):
            cli.say(f"warning: {warning}")
        seconds = time.monotonic() - self._start
        rate = (result.step - self._first_step) * args.batch_size / seconds
        losses = f"d_loss {values['d_loss']:.3f}, g_loss {values['g_loss']:.3f}"
        self._bar.set_description(f"epoch {result.epoch}/{args.epoch}", refresh=False)
        self._bar.set_postfix_str(f"{losses}, {rate:.0f} images/s", refresh=False)
        self._bar.update()
        if ends or result.step % args.sample_interval == 0:
            self._write_samples(result)
        if ends or result.step % args.checkpoint_interval == 0:
            self._trainer.estimate_statistics(SAVE_BATCHES)
            self._log.flush()
            self.saver.save()

    def _write_samples(self, result: StepResult) -> None:
        trainer = self._trainer
        trainer.estimate_statistics(SAMPLE_BATCHES)
        pictures = report.generate(trainer.model, self._fixed_z, weights=trainer.averaged)
        grid = utils.image_grid(pictures)
        step_of_epoch = (result.step - 1) % self._steps_per_epoch + 1
        name = f"train_{result.epoch:02d}_{step_of_epoch:04d}.png"
        utils.save_image(os.path.join(self._args.sample_dir, name), grid)
        self._log.write_picture("samples", grid, result.step)
        self._log.write_histograms(result)
