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
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cli
import utils
from utils import UserError

if TYPE_CHECKING:
    from training.dataset import ImageFolders

# An option left out takes the value of the run that is resumed, or else this one.
ARCHITECTURE = {"image_size": 64, "channels": 3, "z_dim": 100, "gf_dim": 64, "df_dim": 64}
IDENTITY = {"batch_size": 64, "seed": 0}
RULES = {
    "learning_rate": 0.0002,
    "d_learning_rate": None,
    "decay_epochs": 0.0,
    "beta1": 0.5,
    "g_updates": 2,
    "flip": False,
    "diffaugment": [],
    "label_smoothing": 0.0,
    "average_decay": 0.999,
}
DATA = {"train_size": "all", "holdout": None}


def image_count(text: str) -> int | str:
    """argparse type: a number of images, or all of them."""
    return text if text == "all" else int(cli.positive_int(text))


def policies(text: str) -> list[str]:
    """argparse type: augmentations, separated by commas."""
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in ("color", "translation", "cutout"):
            raise argparse.ArgumentTypeError(f"{name!r} is not color, translation or cutout")
    return names


def build_parser() -> argparse.ArgumentParser:
    """The command line: the reference's options under their own and a kebab-case spelling."""
    parser = cli.ArgumentParser(__doc__)

    def add(group: Any, *flags: str, **arguments: Any) -> None:
        name = flags[0].strip("-").replace("-", "_")
        default = (ARCHITECTURE | IDENTITY | RULES | DATA).get(name)
        if name in ARCHITECTURE | IDENTITY or default:
            arguments["help"] += f" (default: {default}, or as in the run that is resumed)"
        group.add_argument(*flags, **arguments)

    data = parser.add_argument_group("images")
    add(
        data,
        "--dataset",
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders of png, jpg, jpeg, webp or bmp images, searched with all below them; "
        "each image is cropped to its central square and scaled",
    )
    add(data, "--train-size", "--train_size", type=image_count, help="images to use, or all")
    add(data, "--holdout", metavar="FILE", help="list of file names, one a line, to leave out")
    add(data, "--flip", action=argparse.BooleanOptionalAction, help="mirror half of the images")
    add(
        data,
        "--diffaugment",
        type=policies,
        metavar="LIST",
        help="for small data sets: of color,translation,cutout, what to vary before D looks",
    )

    net = parser.add_argument_group("networks")
    add(
        net,
        "--image-size",
        "--image_size",
        type=cli.image_size,
        help="edge of the images in pixels: 16, 32, 64 or 128",
    )
    add(net, "--channels", type=int, choices=(1, 3), help="1 for gray, 3 for colour")
    add(net, "--z-dim", "--z_dim", type=cli.positive_int, help="length of the latent z")
    add(net, "--gf-dim", "--gf_dim", type=cli.positive_int, help="channels of G's last layer")
    add(net, "--df-dim", "--df_dim", type=cli.positive_int, help="channels of D's first layer")
    add(net, "--seed", type=cli.seed, help="of weights, noise and order")
    net.add_argument("--init-from", metavar="CHECKPOINT", help="start from its weights, at step 0")

    rules = parser.add_argument_group("training")
    add(
        rules,
        "--epoch",
        type=cli.positive_int,
        default=25,
        help="epochs in all, those before a resume included",
    )
    add(rules, "--batch-size", "--batch_size", type=cli.positive_int, help="images a step")
    add(rules, "--learning-rate", "--learning_rate", type=cli.positive_float, help="Adam's step")
    add(rules, "--d-learning-rate", type=cli.positive_float, help="D's, where it differs")
    add(
        rules,
        "--decay-epochs",
        type=cli.non_negative_float,
        metavar="N",
        help="over the last N epochs the learning rates fall linearly to 0",
    )
    add(rules, "--beta1", type=cli.decay_rate, help="Adam's decay of the mean gradient")
    add(rules, "--g-updates", "--g_updates", type=cli.positive_int, help="of G per D's; paper: 1")
    add(
        rules,
        "--label-smoothing",
        type=cli.decay_rate,
        help="D's target for real images is 1 minus this (0.1 keeps D from being too sure)",
    )
    add(
        rules,
        "--average-decay",
        type=cli.decay_rate,
        help="share that a step keeps of the averaged generator, which samples come from; "
        "0: the generator itself",
    )
    rules.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        help="of the convolutions; auto: the faster one here (default: auto, or as in the run "
        "that is resumed)",
    )
    rules.add_argument(
        "--deterministic", action="store_true", help="on GPUs: repeatable to the bit, and slower"
    )
    rules.add_argument(
        "--sync-batch-norm",
        action="store_true",
        help="on several devices: normalise by the statistics of the global batch; slower",
    )
    rules.add_argument("--minutes", type=cli.positive_float, help="stop, saved, after so many")

    out = parser.add_argument_group("output")
    add(out, "--checkpoint-dir", "--checkpoint_dir", default="checkpoint", help="for the model")
    add(out, "--sample-dir", "--sample_dir", default="samples", help="for sample grids")
    add(out, "--log-dir", "--log_dir", default="logs", help="for scalars.csv and TensorBoard")
    positive = {"type": cli.positive_int}
    add(out, "--sample-interval", **positive, default=100, help="steps between sample grids")
    add(out, "--checkpoint-interval", **positive, default=500, help="steps between checkpoints")
    add(out, "--keep", **positive, default=5, help="checkpoints to keep")
    return parser


def open_dataset(args: argparse.Namespace) -> ImageFolders:
    """The images; skipped ones are named on stderr."""
    from training.dataset import ImageFolders

    return ImageFolders(
        args.dataset,
        image_size=args.image_size,
        channels=args.channels,
        batch_size=args.batch_size,
        seed=args.seed,
        train_size=None if args.train_size == "all" else args.train_size,
        holdout=utils.read_names(args.holdout, "--holdout") if args.holdout else (),
        on_unreadable=lambda message: cli.say(f"skipped: {message}"),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Trains; returns the exit status."""
    args = build_parser().parse_args(argv)
    cli.prepare_tensorflow()
    import tensorflow as tf

    import checkpoints
    import devices
    from model import DCGAN
    from training import logs as report
    from training import run
    from training.trainer import Rules, Trainer, train

    if args.deterministic:
        tf.config.experimental.enable_op_determinism()
    resumed = run.resolve(args, ARCHITECTURE | IDENTITY, RULES | DATA)
    dataset = open_dataset(args)
    if resumed and resumed["data"] != dataset.identity:
        raise UserError(
            f"--dataset: these are not the images that the run in {args.checkpoint_dir} was "
            "trained on (other names or sizes); name those, or start another run with --init-from "
            "and another --checkpoint-dir"
        )
    dataset.check_readable()
    # All processes have looked at the folders by now: this waits for them, then the chief writes.
    strategy = devices.make_strategy()
    chief = devices.is_chief(strategy)
    architecture = {name: getattr(args, name) for name in ARCHITECTURE}
    names = [field.name for field in dataclasses.fields(Rules)]
    with strategy.scope():
        model = DCGAN(
            **architecture,
            seed=args.seed,
            compute_dtype=args.precision_used,
            sync_batch_norm=args.sync_batch_norm,
        )
        trainer = Trainer(model, Rules(**{name: getattr(args, name) for name in names}))
    if resumed:
        saver = checkpoints.Checkpoints(trainer, args.checkpoint_dir, args.keep)
        for damaged in saver.restore(repair=chief):
            cli.say(f"{damaged} is damaged: going back to the one before")
        print(f"resuming from {saver.latest}")
    elif args.init_from:
        print(f"starting from the weights of {checkpoints.init_from(trainer, args.init_from)}")
        if note := checkpoints.terms(args.init_from):
            cli.say(note)
    steps_per_epoch = dataset.steps_per_epoch
    last_step = args.epoch * steps_per_epoch
    if int(trainer.step.numpy()) >= last_step:
        epochs = int(trainer.step.numpy()) // steps_per_epoch
        print(f"{epochs} epochs are done; for more, raise --epoch {args.epoch}")
        return 0

    config = report.record(vars(args)) | {
        "architecture": architecture,
        "identity": {name: getattr(args, name) for name in IDENTITY},
        "data": dataset.identity,
    }
    print(
        f"{len(dataset.files)} images, {steps_per_epoch} steps an epoch, convolutions in "
        f"{args.precision_used}, on {trainer.replicas} x {config['devices'][-1]}"
    )
    signals = cli.StopSignals()
    deadline = time.monotonic() + 60 * args.minutes if args.minutes else float("inf")
    with contextlib.ExitStack() as stack:
        writer = None
        if chief:
            writer = run.RunWriter(args, trainer, steps_per_epoch, config, dataset.batch(0))
            stack.enter_context(writer)
        for result in train(trainer, dataset, last_step):
            stops = trainer.any_process(bool(signals.received) or time.monotonic() > deadline)
            if writer:
                writer.write(result, ends=stops or result.step == last_step)
            if stops:
                break
    if writer:
        report.plot_losses(args.log_dir)
        print(
            f"saved {writer.saver.latest}; samples are in {args.sample_dir}, logs in {args.log_dir}"
        )
    return 128 + signals.received if signals.received else 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
