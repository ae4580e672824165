#!/usr/bin/env python3
"""Fill in the missing parts of aligned face images with a trained DCGAN.

Searches the latent z whose picture G(z) agrees best with what is known of an image, then takes the
missing pixels from it.

examples:
  ./complete.py ./data/your-test-data/aligned/* --outDir outputImages
  ./complete.py photo.jpg --resize --mask hole.png --samples 8
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import cli
import utils
from completion import input_images as inputs
from completion import masks
from completion import settings as approaches
from utils import UserError

# Options that do not change what comes out.
NOT_RESULTS = ("traceback", "overwrite", "mask_of")


def center_scale(text: str) -> float:
    """argparse type: where a central hole begins, as a share of the width."""
    value = cli.open_fraction(text)
    if value >= 0.5:
        raise argparse.ArgumentTypeError(f"{text} leaves no hole; it must be below 0.5")
    return value


def shard(text: str) -> tuple[int, int]:
    """argparse type: I/N, the I-th of N parts."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 2/4, the second of four parts")
    return int(part), int(parts)


def add_search(parser: argparse.ArgumentParser) -> None:
    """The options of the search; those left out are as the approach has them."""
    group = parser.add_argument_group("search")
    add = group.add_argument
    positive, share = cli.positive_float, cli.decay_rate
    add(
        "--approach",
        choices=approaches.APPROACHES,
        default="auto",
        help="auto: the best that was measured, in a tenth of the time of the others; adam, pgd: "
        "the reference's and the tutorial's; hmc: Hamiltonian Monte Carlo, whose iterations take "
        "as long as 101 of the others",
    )
    add("--lr", type=positive, help="step size (auto: 0.07; adam, pgd: 0.01)")
    add(
        "--n-iter",
        "--nIter",
        type=cli.positive_int,
        help="iterations (auto: 40, or 100 with --average 1; adam, pgd: 1000; hmc: 20); on 2 cores "
        "with bfloat16 one of 64 searches takes 0.1 s, or 0.2 s where --lam is not 0",
    )
    add(
        "--lam",
        type=cli.non_negative_float,
        help="weight of the perceptual loss (auto: 0, else 0.1)",
    )
    add("--distance", choices=("l1", "l2"), help="of known pixels: absolute (default) or squared")
    add(
        "--weighted",
        type=cli.closed_fraction,
        help="how much more known pixels near missing ones count, 0 to 1 (auto: 0.25, else 0)",
    )
    add("--beta1", type=share, help="adam's decay of the mean gradient (default: 0.9)")
    add("--beta2", type=share, help="adam's decay of its square (default: 0.999)")
    add("--eps", type=positive, help="adam's epsilon (default: 1e-8)")
    add(
        "--decay",
        type=cli.non_negative_float,
        help="each of adam's steps takes --lr times so much of z away (auto: 0.3, adam: 0)",
    )
    add("--momentum", type=share, help="pgd's Nesterov momentum (default: 0.9)")
    add("--hmc-beta", "--hmcBeta", type=positive, help="inverse temperature (default: 0.2)")
    add("--hmc-eps", "--hmcEps", type=positive, help="leapfrog step (default: 0.001)")
    add("--hmc-l", "--hmcL", type=cli.positive_int, help="leapfrog steps (default: 100)")
    add("--hmc-anneal", "--hmcAnneal", type=positive, help="beta grows by it (default: 1)")
    add(
        "--samples",
        type=cli.positive_int,
        default=1,
        metavar="N",
        help="completions of each image, from different starts, in samples/, the best first",
    )
    add(
        "--average",
        type=cli.positive_int,
        metavar="K",
        help="a completion is the mean of K searches from different starts: nearer to the truth, "
        "and softer (auto: 5, or 1 with --samples; else 1)",
    )
    add("--seed", type=cli.seed, default=0, help="of the first z and random masks")
    add(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the search's convolutions; auto: the faster one here",
    )


def add_hole(parser: argparse.ArgumentParser) -> None:
    """The options of what is missing, and of how it is filled."""
    group = parser.add_argument_group("hole")
    add = group.add_argument
    add(
        "--mask-type",
        "--maskType",
        choices=(*masks.MASK_TYPES, "file"),
        help="what is missing: center, a square (the default); random, single pixels; left, "
        "right, top, bottom, that half; half, a random one of them; pattern, a quarter, in blobs; "
        "full, nothing; grid, all but every fourth pixel in both directions; lowres, all but the "
        "averages of 8x8 blocks; file, what --mask says",
    )
    add(
        "--center-scale",
        "--centerScale",
        type=center_scale,
        help="the central hole begins at this share of the width (default: 0.25)",
    )
    add("--fraction", type=cli.open_fraction, help="of random pixels missing (default: 0.2)")
    add(
        "--mask",
        metavar="PATH",
        help="an image, white where pixels are missing, or a folder with one for each input, "
        "named and placed like it",
    )
    add("--invert-mask", action="store_true", default=None, help="black is missing")
    add("--dilate", type=cli.positive_int, metavar="PIXELS", help="grow the hole by so many")
    add(
        "--feather",
        action="store_true",
        help="go over from the photo to G(z) gradually in the pixels that --dilate adds",
    )
    add(
        "--blend",
        choices=approaches.BLENDS,
        help="none: the hole is G(z)'s; poisson: its gradients are; smooth: and there is no bend "
        "at the rim (default with auto)",
    )


def build_parser() -> argparse.ArgumentParser:
    """The command line: the reference's options under their own and a kebab-case spelling."""
    parser = cli.ArgumentParser(__doc__)
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="images, or folders of them")
    add(
        "--checkpoint-dir",
        "--checkpointDir",
        help="folder of the model, or one of its checkpoints, such as checkpoint/ckpt-12000 "
        "(default: ./checkpoint if it holds a model, else data/pretrained)",
    )
    add(
        "--img-size",
        "--imgSize",
        type=cli.image_size,
        help="edge of the images in pixels (default: the model's)",
    )
    add("--resize", action="store_true", help="crop images to a square and scale them to fit")
    add("--out-dir", "--outDir", default="completions", help="folder for the results")
    add(
        "--out-interval",
        "--outInterval",
        type=cli.positive_int,
        help="iterations between pictures of where the search stands (auto: 10, else 50)",
    )
    add("--overwrite", action="store_true", help="replace an earlier completion in --outDir")
    add("--batch-size", type=cli.positive_int, help="images at a time (default: at most 64)")
    add(
        "--shard",
        type=shard,
        metavar="I/N",
        help="complete the I-th of N parts of the images; each needs an --outDir of its own",
    )
    add_search(parser)
    add_hole(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Completes the images; returns the exit status."""
    args = build_parser().parse_args(argv)
    paths = inputs.list_inputs(args.images)
    utils.check_writable(args.out_dir, "--outDir")

    cli.prepare_tensorflow()
    import checkpoints
    import devices
    from completion import run as completion_run
    from completion.completer import Completer
    from training import logs as report

    settings = completion_run.resolve(args)
    args.precision = devices.resolve_precision(args.precision)
    args.checkpoint_dir, note = checkpoints.choose(args.checkpoint_dir)
    if note:
        print(note)
    model, prefix = checkpoints.load_model(args.checkpoint_dir)
    if args.img_size not in (None, model.image_size):
        raise UserError(
            f"--img-size {args.img_size} contradicts the model {prefix}, which completes "
            f"{model.image_size}x{model.image_size}; leave the option out"
        )
    args.img_size = model.image_size
    failed: list[str] = []
    good = inputs.usable(paths, model.image_size, args.resize, failed)
    names = completion_run.choose(args, good)
    options = {k: v for k, v in vars(args).items() if k not in NOT_RESULTS}
    options = json.loads(json.dumps(options | {"checkpoint": prefix}))
    out = report.CompletionFolder(args.out_dir)
    resumed = completion_run.check_out_dir(out, options, args.overwrite)
    for path in good:
        if out.holds(path) and not resumed:
            raise UserError(
                f"{path}: lies in --outDir {args.out_dir}, which is cleared; copy it first"
            )
    config = report.record(options) | {"seed": args.seed}
    if resumed:
        out.resume()
        print(f"going on in {args.out_dir}: {len(out.done)} images are done")
    else:
        out.start(config | {"completion": {"finished": False}})
    for message in failed:
        print(f"skipped: {message}", file=sys.stderr)
    skipped = len(failed)
    completer = Completer(
        model,
        settings,
        batch_size=args.batch_size,
        samples=args.samples,
        precision=args.precision,
    )
    done = completion_run.complete_images(args, completer, names, out, failed)
    for message in failed[skipped:]:
        print(f"skipped: {message}", file=sys.stderr)
    checkpoints.write_config(args.out_dir, config | {"completion": {"finished": True}})
    print(f"{done} images completed by {prefix}: see {args.out_dir}/final and completion.gif")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(cli.run(main))
