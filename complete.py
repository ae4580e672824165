#!/usr/bin/env python3
"""Fill in the missing parts of aligned face images with a trained DCGAN.

Searches the latent z whose picture G(z) agrees best with what is known of an image and looks
real to D, then takes the missing pixels from it.

examples:
  ./complete.py ./data/your-test-data/aligned/* --outDir outputImages
  ./complete.py photo.jpg --resize --maskType left --approach pgd --nIter 300
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import inputs
import masks
import utils
from utils import UserError

if TYPE_CHECKING:
    from model import DCGAN
    from report import CompletionFolder

# Options that belong to one choice of another: --option: (its default, the other, the choice)
CONDITIONAL = {
    "beta1": (0.9, "approach", "adam"),
    "beta2": (0.999, "approach", "adam"),
    "eps": (1e-8, "approach", "adam"),
    "momentum": (0.9, "approach", "pgd"),
    "center_scale": (0.25, "mask_type", "center"),
}
NOT_RESULTS = ("traceback", "overwrite")  # options that do not change what comes out


def center_scale(text: str) -> float:
    """argparse type: where a central hole begins, as a share of the width."""
    value = utils.open_fraction(text)
    if value >= 0.5:
        raise argparse.ArgumentTypeError(f"{text} leaves no hole; it must be below 0.5")
    return value


def build_parser() -> argparse.ArgumentParser:
    """The command line: the reference's options under their own and a kebab-case spelling."""
    parser = utils.ArgumentParser(__doc__)
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="images, or folders of them")
    add("--approach", choices=("adam", "pgd"), default="adam", help="how z is searched")
    add("--lr", type=utils.positive_float, default=0.01, help="step size of the search")
    add("--beta1", type=utils.decay_rate, help="adam's decay of the mean gradient (default: 0.9)")
    add("--beta2", type=utils.decay_rate, help="adam's decay of its square (default: 0.999)")
    add("--eps", type=utils.positive_float, help="adam's epsilon (default: 1e-8)")
    add("--momentum", type=utils.decay_rate, help="pgd's Nesterov momentum (default: 0.9)")
    add("--n-iter", "--nIter", type=utils.positive_int, default=1000, help="iterations")
    add(
        "--img-size",
        "--imgSize",
        type=utils.image_size,
        help="edge of the images in pixels (default: the model's)",
    )
    add("--lam", type=utils.non_negative_float, default=0.1, help="weight of the perceptual loss")
    add(
        "--checkpoint-dir",
        "--checkpointDir",
        default="checkpoint",
        help="folder of the model, or one of its checkpoints (checkpoint/ckpt-12000)",
    )
    add("--out-dir", "--outDir", default="completions", help="folder for the results")
    add(
        "--out-interval",
        "--outInterval",
        type=utils.positive_int,
        default=50,
        help="iterations between pictures of where the search stands",
    )
    add(
        "--mask-type",
        "--maskType",
        choices=masks.MASK_TYPES,
        default="center",
        help="what is missing: center, a square; random, a fifth of the pixels; left, the left "
        "half; full, nothing; grid, all but every fourth pixel in both directions; lowres, all "
        "but the averages of 8x8 blocks",
    )
    add(
        "--center-scale",
        "--centerScale",
        type=center_scale,
        help="the central hole begins at this share of the width (default: 0.25)",
    )
    add("--seed", type=utils.seed, default=0, help="of the first z and random masks")
    add("--batch-size", type=utils.positive_int, help="images at a time (default: at most 64)")
    add("--resize", action="store_true", help="crop images to a square and scale them to fit")
    add("--overwrite", action="store_true", help="replace an earlier completion in --outDir")
    return parser


def resolve(args: argparse.Namespace) -> None:
    """Fills conditional options; UserError where one contradicts the choice it belongs to."""
    for name, (default, choice, value) in CONDITIONAL.items():
        if getattr(args, choice) == value:
            if getattr(args, name) is None:
                setattr(args, name, default)
        elif getattr(args, name) is not None:
            flag, other = (f"--{n.replace('_', '-')}" for n in (name, choice))
            raise UserError(
                f"{flag} belongs to {other} {value} and contradicts {other} "
                f"{getattr(args, choice)}; leave one of them out"
            )


def make_masks(args: argparse.Namespace, batch: np.ndarray) -> np.ndarray:
    """The mask of every image in a batch, float32 [N, S, S, 1] (lowres: [N, S/8, S/8, 1])."""
    scale = args.center_scale or 0.25  # unused by the other types
    return np.stack(
        [
            masks.make_mask(
                args.mask_type,
                image.shape[0],
                center_scale=scale,
                random=inputs.random_of(image, args.seed, purpose=1),
            )
            for image in batch
        ]
    )


def check_out_dir(folder: CompletionFolder, options: dict[str, Any], overwrite: bool) -> None:
    """Raises UserError if the output folder holds something that must not be lost."""
    import checkpoints

    earlier = checkpoints.read_config(folder.path)
    if earlier is None:
        if existing := folder.existing():
            raise UserError(
                f"--outDir {folder.path}: {existing[0]} is not of a completion; choose another "
                "folder"
            )
    elif "completion" not in earlier:
        raise UserError(f"--outDir {folder.path}: is the folder of a model; choose another one")
    elif not overwrite and (earlier["completion"]["finished"] or earlier["options"] != options):
        what = "a finished completion" if earlier["completion"]["finished"] else "other options"
        raise UserError(
            f"--outDir {folder.path}: holds {what}; choose another folder, or replace it with "
            "--overwrite"
        )


def complete_images(
    args: argparse.Namespace,
    model: DCGAN,
    names: dict[str, str],
    out: CompletionFolder,
    failed: list[str],
) -> int:
    """Completes images batch by batch into the output folder; returns how many."""
    import report
    import search

    rule = (
        search.adam(args.lr, args.beta1, args.beta2, args.eps)
        if args.approach == "adam"
        else search.pgd(args.lr, args.momentum)
    )
    block = masks.block_edge(args.mask_type)

    def loss(z: Any, images: Any, mask: Any) -> Any:
        return model.completion_loss(z, images, mask, lam=args.lam, block=block)

    # All batches have one shape, so that an image's result does not depend on its neighbours.
    size = args.batch_size
    done = 0
    total = args.n_iter * -(-len(names) // size)
    with utils.progress_bar(total=total, unit="iteration") as bar:
        batches = inputs.load_batches(list(names), model.image_size, model.channels, size, failed)
        for number, (paths, batch) in enumerate(batches, 1):
            count = len(batch)
            padded = np.concatenate([batch, np.repeat(batch[-1:], size - count, axis=0)])
            images, mask = utils.to_signed(padded), make_masks(args, padded)
            start = np.stack(
                [
                    inputs.random_of(image, args.seed, purpose=0).uniform(-1, 1, model.z_dim)
                    for image in padded
                ]
            ).astype(np.float32)
            known = masks.visible(images, mask, args.mask_type)[:count]
            out.start_batch(number, batch, utils.to_uint8(known))
            states = search.complete(
                loss,
                start,
                rule,
                data=(images, mask),
                iterations=args.n_iter,
                interval=args.out_interval,
            )
            for state in states:
                generated = report.generate(model, state.z, size)
                filled = masks.composite(padded, mask, generated, args.mask_type)[:count]
                out.write_iteration(
                    state.iteration, state.history[:, :count], generated[:count], filled
                )
                bar.set_description(f"batch {number}, loss {state.losses[0][:count].mean():.1f}")
                bar.update(len(state.history))
            batch_names = {path: names[path] for path in paths}
            losses = [values[:count] for values in state.losses]
            out.finish_batch(batch_names, state.z[:count], losses, filled)
            done += count
    return done


def main(argv: Sequence[str] | None = None) -> int:
    """Completes the images; returns the exit status."""
    args = build_parser().parse_args(argv)
    resolve(args)
    paths = inputs.list_inputs(args.images)
    utils.check_writable(args.out_dir, "--outDir")

    utils.prepare_tensorflow()
    import checkpoints
    import report

    model, prefix = checkpoints.load_model(args.checkpoint_dir)
    if args.img_size not in (None, model.image_size):
        raise UserError(
            f"--img-size {args.img_size} contradicts the model {prefix}, which completes "
            f"{model.image_size}x{model.image_size}; leave the option out"
        )
    args.img_size = model.image_size
    failed: list[str] = []
    good = inputs.usable(paths, model.image_size, args.resize, failed)
    args.batch_size = args.batch_size or min(64, len(good))
    options = {k: v for k, v in vars(args).items() if k not in NOT_RESULTS}
    options = json.loads(json.dumps(options | {"checkpoint": prefix}))
    out = report.CompletionFolder(args.out_dir)
    check_out_dir(out, options, args.overwrite)
    for path in good:
        if out.holds(path):
            raise UserError(
                f"{path}: lies in --outDir {args.out_dir}, which is cleared; copy it first"
            )
    config = report.record(options) | {"seed": args.seed}
    out.start(config | {"completion": {"finished": False}})
    for message in failed:
        print(f"skipped: {message}", file=sys.stderr)
    skipped = len(failed)
    done = complete_images(args, model, inputs.output_names(good), out, failed)
    for message in failed[skipped:]:
        print(f"skipped: {message}", file=sys.stderr)
    checkpoints.write_config(args.out_dir, config | {"completion": {"finished": True}})
    print(f"{done} images completed by {prefix}: see {args.out_dir}/final and completion.gif")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(utils.run(main))
