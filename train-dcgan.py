#!/usr/bin/env python3
"""Train a DCGAN on a folder of images, such as aligned faces.

A run that finds its own checkpoint goes on from there. Ctrl-C saves one before it stops.

examples:
  ./train-dcgan.py --dataset ./data/your-dataset/aligned --epoch 20
  ./train-dcgan.py --dataset flowers --image-size 32 --gf-dim 32 --df-dim 32 --minutes 30
"""

from __future__ import annotations

import argparse
import glob
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import utils
from utils import UserError

# An option left out takes the value of the run that is resumed, or else this one.
ARCHITECTURE = {"image_size": 64, "channels": 3, "z_dim": 100, "gf_dim": 64, "df_dim": 64}
IDENTITY = {"batch_size": 64, "seed": 0}
RULES = {"learning_rate": 0.0002, "beta1": 0.5, "g_updates": 2, "train_size": "all"}
FIXED_SAMPLES = 64


def image_count(text: str) -> int | str:
    """argparse type: a number of images, or all of them."""
    return text if text == "all" else int(utils.positive_int(text))


def build_parser() -> argparse.ArgumentParser:
    """The command line: the reference's options under their own and a kebab-case spelling."""
    parser = utils.ArgumentParser(__doc__)

    def add(*flags: str, **arguments: Any) -> None:
        name = flags[0].strip("-").replace("-", "_")
        default = (ARCHITECTURE | IDENTITY | RULES).get(name)
        if default is not None:
            arguments["help"] += f" (default: {default}, or as in the run that is resumed)"
        parser.add_argument(*flags, **arguments)

    add(
        "--dataset",
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders of png, jpg, jpeg, webp or bmp images, searched with all below them; "
        "each image is cropped to its central square and scaled",
    )
    add("--epoch", type=utils.positive_int, default=25, help="epochs in all, resumed ones included")
    add("--learning-rate", "--learning_rate", type=utils.positive_float, help="Adam's step size")
    add("--beta1", type=utils.decay_rate, help="Adam's decay of the mean gradient")
    add("--train-size", "--train_size", type=image_count, help="number of images to use, or all")
    add("--batch-size", "--batch_size", type=utils.positive_int, help="images a step")
    add(
        "--image-size",
        "--image_size",
        type=utils.image_size,
        help="edge of the images in pixels: 16, 32, 64 or 128",
    )
    add("--channels", type=int, choices=(1, 3), help="1 for gray, 3 for colour")
    add("--z-dim", "--z_dim", type=utils.positive_int, help="length of the latent z")
    add("--gf-dim", "--gf_dim", type=utils.positive_int, help="channels of G's last hidden layer")
    add("--df-dim", "--df_dim", type=utils.positive_int, help="channels of D's first layer")
    add("--g-updates", "--g_updates", type=utils.positive_int, help="G's updates per D's; paper: 1")
    add("--seed", type=utils.seed, help="of weights, noise and order")
    add(
        "--checkpoint-dir", "--checkpoint_dir", default="checkpoint", help="where the model is kept"
    )
    add("--sample-dir", "--sample_dir", default="samples", help="where sample grids go")
    add(
        "--log-dir",
        "--log_dir",
        default="logs",
        help="where scalars.csv and TensorBoard's files go",
    )
    add(
        "--sample-interval",
        type=utils.positive_int,
        default=100,
        help="steps between sample grids and histograms",
    )
    add(
        "--checkpoint-interval",
        type=utils.positive_int,
        default=500,
        help="steps between checkpoints",
    )
    add(
        "--minutes", type=utils.positive_float, help="stop after so many minutes, with a checkpoint"
    )
    return parser


def resolve(args: argparse.Namespace) -> bool:
    """Fills the options left out and checks all; returns whether there is a run to resume.

    Raises:
      UserError: a folder that cannot be used, an option that contradicts the run.
    """
    import checkpoints

    for folder in args.dataset:
        utils.check_folder(folder, "--dataset")
    for flag in ("--checkpoint-dir", "--sample-dir", "--log-dir"):
        utils.check_writable(getattr(args, flag[2:].replace("-", "_")), flag)
    stored: dict[str, Any] = {}
    if resumes := checkpoints.holds_checkpoint(args.checkpoint_dir):
        prefix, config = checkpoints.find(args.checkpoint_dir)
        explicit = {name: getattr(args, name) for name in ARCHITECTURE | IDENTITY}
        checkpoints.check_architecture(config, explicit, prefix)
        stored = config["options"] | config["architecture"] | config["identity"]
    else:
        earlier = glob.glob(os.path.join(glob.escape(args.sample_dir), "train_*.png"))
        log = os.path.join(args.log_dir, "scalars.csv")
        if earlier or os.path.exists(log):
            raise UserError(
                f"{earlier[0] if earlier else log} is of another run, and --checkpoint-dir "
                f"{args.checkpoint_dir} holds no checkpoint to resume; move it away, or choose "
                "another --sample-dir and --log-dir"
            )
    for name, default in (ARCHITECTURE | IDENTITY | RULES).items():
        if getattr(args, name) is None:
            setattr(args, name, stored.get(name, default))
    return resumes


class StopSignals:
    """Takes note of SIGINT and SIGTERM, so that a step is finished and saved before the end."""

    def __init__(self) -> None:
        self.received = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        if self.received:  # the user insists
            raise KeyboardInterrupt
        self.received = number


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; returns the exit status."""
    args = build_parser().parse_args(argv)
    utils.prepare_tensorflow()
    import json

    import numpy as np
    import tqdm

    import checkpoints
    import report
    from dataset import ImageFolders
    from model import DCGAN
    from training import StepResult, Trainer, train

    explicit_rate = args.learning_rate
    resumes = resolve(args)
    dataset = ImageFolders(
        args.dataset,
        image_size=args.image_size,
        channels=args.channels,
        batch_size=args.batch_size,
        seed=args.seed,
        train_size=None if args.train_size == "all" else args.train_size,
        on_unreadable=lambda message: tqdm.tqdm.write(f"skipped: {message}", file=sys.stderr),
    )
    dataset.check_readable()
    architecture = {name: getattr(args, name) for name in ARCHITECTURE}
    trainer = Trainer(
        DCGAN(**architecture, seed=args.seed),
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        beta1=args.beta1,
        g_updates=args.g_updates,
        seed=args.seed,
    )
    saver = checkpoints.Checkpoints(trainer, args.checkpoint_dir)
    if resumes:
        print(f"resuming from {saver.restore()}")
        if explicit_rate is not None:
            trainer.set_learning_rate(explicit_rate)
    steps_per_epoch = dataset.steps_per_epoch
    first_step, last_step = int(trainer.step), args.epoch * steps_per_epoch
    if first_step >= last_step:
        print(
            f"{first_step // steps_per_epoch} epochs are done; for more, raise --epoch {args.epoch}"
        )
        return 0

    signals = StopSignals()
    for folder in (args.checkpoint_dir, args.sample_dir, args.log_dir):
        os.makedirs(folder, exist_ok=True)
    record = report.record(vars(args))
    identity = {name: getattr(args, name) for name in IDENTITY}
    config = record | {"architecture": architecture, "identity": identity}
    checkpoints.write_config(args.checkpoint_dir, config)
    saver.save()  # from here on the run can be resumed
    print(f"{len(dataset.files)} images, {steps_per_epoch} steps an epoch, on {record['devices']}")

    fixed_z = np.random.default_rng(args.seed).uniform(-1, 1, [FIXED_SAMPLES, args.z_dim])

    def save_samples(result: StepResult, log: report.TrainingLog) -> None:
        grid = utils.image_grid(report.generate(trainer.model, fixed_z))
        step_of_epoch = (result.step - 1) % steps_per_epoch + 1
        name = f"train_{result.epoch:02d}_{step_of_epoch:04d}.png"
        utils.save_image(os.path.join(args.sample_dir, name), grid)
        log.write_picture("samples", grid, result.step)
        log.write_histograms(result)

    deadline = time.monotonic() + 60 * args.minutes if args.minutes else float("inf")
    with (
        report.TrainingLog(args.log_dir, first_step) as log,
        utils.progress_bar(total=last_step, initial=first_step, unit="step") as bar,
    ):
        log.write_run(trainer.model, json.dumps(config, indent=2))
        start = time.monotonic()
        for result in train(trainer, dataset, last_step):
            values = log.write_step(result)
            losses = f"d_loss {values['d_loss']:.3f}, g_loss {values['g_loss']:.3f}"
            rate = (result.step - first_step) * args.batch_size / (time.monotonic() - start)
            bar.set_description(f"epoch {result.epoch}/{args.epoch}", refresh=False)
            bar.set_postfix_str(f"{losses}, {rate:.0f} images/s", refresh=False)
            bar.update()
            ends = result.step == last_step or signals.received or time.monotonic() > deadline
            if ends or result.step % args.sample_interval == 0:
                save_samples(result, log)
            if ends or result.step % args.checkpoint_interval == 0:
                log.flush()
                saver.save()
            if ends:
                break
    print(f"saved {saver.save()}; samples are in {args.sample_dir}, logs in {args.log_dir}")
    return 128 + signals.received if signals.received else 0


if __name__ == "__main__":
    sys.exit(utils.run(main))
