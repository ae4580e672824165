#!/usr/bin/env python3
r"""Measure how good a trained model's completions are, or its generator.

Completes faces that are known, under several masks and seeds, and compares the result with what
was there, beside simple methods. With --generator: scores generated faces against real ones.

examples:
  ./evaluate.py data/your-test-data/aligned --mask-type center left random --seed 0 1 2 \
      --limit 256 --out evaluation
  ./evaluate.py --generator --real data/your-test-data/aligned --samples 2000 --out score
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cli
import utils
from completion import masks
from completion import settings as approaches
from utils import UserError

if TYPE_CHECKING:
    from model import DCGAN

# Options of one of the two tasks, and what they are if left open.
COMPLETION = {
    "mask_type": ["center"],
    "fraction": None,
    "limit": None,
    "approach": ["auto"],
    "n_iter": None,
    "average": None,
    "blend": [],
    "reference": False,
    "baseline": "telea",
    "groups": None,
    "group_bins": [],
}
GENERATOR = {"real": None, "holdout": None, "training": [], "samples": 2000, "inversion": 64}


def build_parser() -> argparse.ArgumentParser:
    """The command line; options of the task that is not chosen stay None."""
    parser = cli.ArgumentParser(__doc__)
    several = {"nargs": "+"}
    add = parser.add_argument
    add("faces", nargs="?", metavar="FOLDER", help="aligned faces, searched with all below it")
    add("--seed", **several, type=cli.seed, default=[0], help="of the search and random masks")
    add("--out", default="evaluation", metavar="DIR", help="folder for the results")
    add("--overwrite", action="store_true", help="replace an earlier evaluation in --out")
    add("--json", action="store_true", help="print results.json instead of the tables")
    checkpoint = "the model (default: ./checkpoint if it holds one, else data/pretrained)"
    add("--checkpoint-dir", "--checkpointDir", metavar="DIR", help=checkpoint)
    precisions, precision = ("auto", "float32", "bfloat16"), "of our searches' convolutions"
    add("--precision", choices=precisions, default="auto", help=precision)
    add("--workers", type=cli.positive_int, default=os.cpu_count(), help="processes for dlib")
    add("--cache", metavar="DIR", help="for figures that cost time (default: in ~/.cache)")

    add = parser.add_argument_group("completion").add_argument
    types = masks.MASK_TYPES
    add("--mask-type", "--maskType", **several, choices=types, help="masks (default: center)")
    add("--fraction", type=cli.open_fraction, help="share that a random mask leaves out")
    limit = "faces: so many of the sorted paths, evenly spaced (default: all)"
    add("--limit", type=cli.positive_int, metavar="N", help=limit)
    add(
        "--approach",
        **several,
        choices=approaches.APPROACHES,
        help="how z is searched (default: auto)",
    )
    add("--n-iter", "--nIter", type=cli.positive_int, help="iterations (default: by approach)")
    average = "searches of whose mean a completion is made (default: by approach)"
    add("--average", type=cli.positive_int, metavar="K", help=average)
    blend = "how its hole is filled (default: by approach); all share one search"
    add("--blend", **several, choices=approaches.BLENDS, help=blend)
    reference = "the reference's adam and pgd, too: center mask, every fourth face, first seed"
    add("--reference", action="store_true", default=None, help=reference)
    baseline = "the method whose paired differences to all others are shown (default: telea)"
    add("--baseline", metavar="METHOD", help=baseline)
    groups = r"figures by each group that file names hold: '^(?P<age>\d+)_(?P<gender>\d)_'"
    add("--groups", metavar="REGEX", help=groups)
    bins = "lower edges of bins for a group of numbers: age=0,10,20,40,60"
    add("--group-bins", **several, metavar="GROUP=EDGES", help=bins)

    add = parser.add_argument_group("generator").add_argument
    add("--generator", action="store_true", help="score the generator instead of completions")
    add("--real", **several, metavar="DIR", help="real faces that it was not trained on")
    holdout = "file names, one a line: only these of --real are used, and none of --training"
    add("--holdout", metavar="FILE", help=holdout)
    training = "faces that it was trained on: how near do samples come to them?"
    add("--training", **several, metavar="DIR", help=training)
    add("--samples", type=cli.positive_int, help="generated and real faces (default: 2000)")
    inversion = "real faces that it is to show (default: 64)"
    add("--inversion", type=cli.positive_int, metavar="N", help=inversion)
    return parser


def resolve(args: argparse.Namespace) -> None:
    """Fills open options; UserError where one belongs to the other task, or something lacks."""
    if bool(args.faces) == args.generator:
        raise UserError("name either FOLDER, a folder of faces to complete, or --generator")
    own, other = (GENERATOR, COMPLETION) if args.generator else (COMPLETION, GENERATOR)
    for name in other:
        if getattr(args, name) is not None:
            task = "FOLDER, not to --generator" if args.generator else "--generator, not to FOLDER"
            raise UserError(f"--{name.replace('_', '-')} belongs to {task}; leave it out")
    for name, default in own.items():
        if getattr(args, name) is None:
            setattr(args, name, default)
    if args.generator:
        if not args.real:
            raise UserError("--generator needs real faces to compare with: --real DIR")
        if len(args.seed) > 1 or args.samples < 4:
            raise UserError("--generator takes one --seed, and 4 --samples at least")
        return
    utils.check_folder(args.faces, "FOLDER")
    for name in ("seed", "mask_type", "approach", "blend"):  # each once
        setattr(args, name, list(dict.fromkeys(getattr(args, name))))
    if args.fraction and "random" not in args.mask_type:
        raise UserError("--fraction belongs to --mask-type random; leave it out")
    if args.reference and "center" not in args.mask_type:
        raise UserError("--reference completes under --mask-type center; add that one")
    if args.group_bins and not args.groups:
        raise UserError("--group-bins belongs to --groups REGEX; leave it out")


def evaluate_completion(args: argparse.Namespace, model: DCGAN, config: dict) -> tuple[str, str]:
    """Completes and measures; returns the texts of results.json and results.md."""
    from metrics import benchmark as evaluation
    from metrics import embeddings as metrics
    from metrics import subgroups as groups
    from metrics import tables as results

    paths = utils.list_images(args.faces, skip=[os.path.realpath(args.out)])
    if not paths:
        raise UserError(f"{args.faces}: holds no images ({', '.join(utils.IMAGE_SUFFIXES)})")
    paths = evaluation.evenly_spaced(paths, args.limit)
    groupings = groups.group_images(paths, args.groups, args.group_bins) if args.groups else []
    batch = min(evaluation.BATCH, len(paths))
    given = {"n_iter": args.n_iter, "average": args.average}
    searches = [
        evaluation.search_method(model, approach, args.blend, batch, args.precision, **given)
        for approach in args.approach
    ]
    evaluation.check_baseline(args.baseline, searches)
    images = evaluation.load_faces(paths, model.image_size, model.channels)
    folder = results.ResultsFolder(args.out, args.overwrite)
    reader = metrics.FaceReader(args.workers, metrics.EmbeddingCache(args.cache))
    folder.start(paths)
    total = evaluation.work(len(paths), len(args.seed), args.mask_type, searches, args.reference)
    fraction = {"fraction": args.fraction} if args.fraction else {}
    with reader, cli.progress_bar(total=total, unit="face") as bar:
        return results.evaluate(
            evaluation.Evaluation(model, images, args.seed, searches, reader, bar.update),
            {mask: fraction if mask == "random" else {} for mask in args.mask_type},
            folder,
            paths,
            config | {"images": len(paths), "seeds": args.seed},
            baseline=args.baseline,
            groupings=groupings,
            reference=args.cache if args.reference else None,
        )


def evaluate_generator(args: argparse.Namespace, model: DCGAN, config: dict) -> tuple[str, str]:
    """Scores the generator; returns the texts of results.json and results.md."""
    from metrics import embeddings as metrics
    from metrics import generator_scores as scoring
    from metrics import tables as results

    real, training = scoring.list_sets(args.real, args.training, args.holdout)
    folder = results.ResultsFolder(args.out, args.overwrite)
    reader = metrics.FaceReader(args.workers, metrics.EmbeddingCache(args.cache))
    total = scoring.work(len(real), len(training), args.samples, args.inversion)
    numbers = {"samples": args.samples, "inversion": args.inversion, "seed": args.seed[0]}
    with reader, cli.progress_bar(total=total, unit="face") as bar:
        score = scoring.score(model, real, training, **numbers, reader=reader, tick=bar.update)
    folder.start(real)
    for name, columns in score.sheets.items():
        folder.write_sheet(name, columns)
    text = scoring.markdown(score.figures, len(training))
    figures = {name: results.as_json(value) for name, value in score.figures.items()}
    content = config | {"generator": figures, "training_faces": len(training)}
    return folder.write(content, text, finished=True), text


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluates a model."""
    args = build_parser().parse_args(argv)
    resolve(args)
    cli.prepare_tensorflow()
    import checkpoints
    import devices
    from metrics import embeddings as metrics
    from training import logs as report

    args.cache = args.cache or metrics.default_cache()
    for flag in ("out", "cache"):
        utils.check_writable(getattr(args, flag), f"--{flag}")
    args.precision = devices.resolve_precision(args.precision)
    path, note = checkpoints.choose(args.checkpoint_dir)
    if note:
        cli.say(note)
    model, prefix = checkpoints.load_model(path)
    config = report.record(vars(args) | {"checkpoint": prefix})
    task = evaluate_generator if args.generator else evaluate_completion
    dumped, text = task(args, model, config)
    print(dumped if args.json else text, end="")


if __name__ == "__main__":
    sys.exit(cli.run(main))
