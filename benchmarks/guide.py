"""Measure completions over the settings of a guided search: how near, how sharp, how alike.

The context encoder's estimate alone (direct) and the unguided search stand beside them. Faces that
evaluate.py --limit N reports on are left out: settings are chosen on others.

examples:
  python -m benchmarks.guide --dataset lfw-aligned --mask-type center left --guide 0.5 1 2
  python -m benchmarks.guide --dataset lfw-aligned --guide 0.25 0.5 1 2 4 --plot guide.png
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dcgan_completion import cli, utils
from dcgan_completion.masks import drawing
from dcgan_completion.settings import options

if TYPE_CHECKING:
    from dcgan_completion.evaluation.methods import Method
    from dcgan_completion.evaluation.results import MetricValues
    from dcgan_completion.inpaint.inpainter import Inpainter

DIGITS = {"psnr": 2, "ssim": 3, "sharpness": 3, "identity": 3, "found": 3}
FRACTION = 0.8  # of random pixels missing


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.guide")
    parser.add_argument("--dataset", required=True, metavar="DIR", help="aligned faces")
    parser.add_argument("--checkpoint-dir", metavar="DIR", help="a model with an encoder")
    parser.add_argument("--skip", type=int, default=256, help="evenly spaced faces to leave out")
    parser.add_argument("--faces", type=options.positive_int, default=64, help="number of faces")
    parser.add_argument(
        "--mask-type", nargs="+", choices=drawing.MASK_TYPES, default=["center"], help="masks"
    )
    for name, default in (("guide", [0.5]), ("mix", [0.0, 0.04])):
        help_text = f"values of complete.py's --{name}"
        number = options.non_negative_float
        parser.add_argument(f"--{name}", nargs="+", type=number, default=default, help=help_text)
    for name, default in (("n-iter", [40]), ("average", [1])):
        help_text = f"values of complete.py's --{name}"
        number = options.positive_int
        parser.add_argument(f"--{name}", nargs="+", type=number, default=default, help=help_text)
    parser.add_argument("--seed", type=options.seed, default=0, help="of masks and searches")
    parser.add_argument("--plot", metavar="FILE", help="PSNR against sharpness, as a PNG")
    return parser


def choose_faces(folder: str, skip: int, number: int) -> list[str]:
    """Choose evenly spaced faces, without those that evaluate.py --limit `skip` takes."""
    from dcgan_completion.evaluation import face_sets

    paths = utils.list_images(folder)
    left_out = set(face_sets.evenly_spaced(paths, skip)) if skip else set()
    return face_sets.evenly_spaced([path for path in paths if path not in left_out], number)


def make_methods(args: argparse.Namespace, inpainter: Inpainter) -> list[Method]:
    """Make a method of each setting."""
    from dcgan_completion.evaluation.methods import search_method

    tried = {"direct": {"approach": "direct"}, "auto unguided": {"guide": 0.0}}
    for average, n_iter, guide, mix in itertools.product(
        args.average, args.n_iter, args.guide, args.mix
    ):
        if guide or not mix:  # without a guide there is no estimate to mix in
            given = {"average": average, "n_iter": n_iter, "guide": guide, "mix": mix}
            tried[f"{average} x {n_iter}, guide {guide:g}, mix {mix:.4g}"] = given
    return [search_method(inpainter, name, given, batch=64) for name, given in tried.items()]


def means_of(values: MetricValues) -> dict[str, float]:
    """Average over the faces; sharpness is the ratio of sums."""
    means = {name: float(np.nanmean(values[name])) for name in DIGITS if name != "sharpness"}
    sums = [np.nansum(values[name]) for name in ("gradient_energy", "original_gradient_energy")]
    return means | {"sharpness": float(sums[0] / sums[1])}


def draw(rows: dict[str, dict[str, float]], path: str) -> None:
    """Plot PSNR against sharpness: a line for each search and mix over the guide's weights."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    lines: dict[str, list[tuple[str, dict[str, float]]]] = {}
    for name, values in rows.items():
        if ", guide " not in name:
            axes.plot(values["sharpness"], values["psnr"], "k*", markersize=10)
            axes.annotate(
                name, (values["sharpness"], values["psnr"]), (6, 4), textcoords="offset points"
            )
            continue
        search, rest = name.split(", guide ")
        guide, mix = rest.split(", mix ")
        label = f"{search}, mix {mix}" if mix != "0" else f"{search}, all from G(z)"
        lines.setdefault(label, []).append((guide, values))
    for (label, points), marker in zip(lines.items(), itertools.cycle("osv^Dx+<>")):
        places = [(v["sharpness"], v["psnr"]) for _, v in points]
        axes.plot(*zip(*places, strict=True), marker=marker, label=label)
        for (guide, _), place in zip(points, places, strict=True):
            axes.annotate(guide, place, (4, -10), textcoords="offset points", fontsize=8)
    axes.set(xlabel="sharpness (1: the originals')", ylabel="PSNR of the hole, dB")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title="numbers: weight of the guide", loc="center left")
    with utils.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    cli.prepare_tensorflow()
    from dcgan_completion.evaluation import embeddings, face_sets, tables
    from dcgan_completion.evaluation.benchmark import Benchmark
    from dcgan_completion.evaluation.cases import Faces
    from dcgan_completion.inpaint.inpainter import Inpainter

    inpainter = Inpainter.from_pretrained(args.checkpoint_dir)
    methods = make_methods(args, inpainter)
    paths = choose_faces(args.dataset, args.skip, args.faces)
    images = face_sets.load_faces(paths, inpainter.image_size, inpainter.channels)
    cache = embeddings.EmbeddingCache(embeddings.default_cache())
    result: dict[str, dict[str, dict[str, float]]] = {}
    with embeddings.FaceReader(1, cache) as reader:
        bench = Benchmark(Faces(images, FRACTION), methods, [args.seed], reader)
        for kind in args.mask_type:
            metrics = bench.evaluate(kind, shown=0).metrics
            result[kind] = {name: means_of(values) for name, values in metrics.items()}
            rows = [
                [name, *(f"{means[metric]:.{digits}f}" for metric, digits in DIGITS.items())]
                for name, means in result[kind].items()
            ]
            print(f"\n{kind}, {len(images)} faces\n")
            print(tables.table(["setting", *DIGITS], rows), flush=True)
    if args.plot:
        draw(result[args.mask_type[0]], args.plot)
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
