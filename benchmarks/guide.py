#!/usr/bin/env python3
"""Measure completions over the settings of a guided search: how near, how sharp, how like.

The context encoder's estimate alone (direct) and the unguided search stand beside them. Faces that
evaluate.py --limit N reports on are left out: settings are chosen on others.

examples:
  python benchmarks/guide.py --dataset lfw-aligned --mask-type center left --guide 0.5 1 2
  python benchmarks/guide.py --dataset lfw-aligned --guide 0 0.25 0.5 1 2 4 --plot guide.png
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dcgan_completion import cli, utils
from dcgan_completion.masks import mask as masks
from dcgan_completion.settings import options
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SearchSettings

if TYPE_CHECKING:
    from dcgan_completion.encoders import ContextEncoder
    from dcgan_completion.evaluation.benchmark import KnownFaces
    from dcgan_completion.masks.mask import Mask
    from dcgan_completion.model import DCGAN

SHOWN = {"psnr": 2, "ssim": 3, "sharpness": 3, "identity": 3, "found": 3}
FRACTION = 0.8  # of random pixels missing


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--dataset", required=True, metavar="DIR", help="aligned faces")
    parser.add_argument("--checkpoint-dir", default="data/pretrained", help="with an encoder")
    parser.add_argument("--skip", type=int, default=256, help="evenly spaced faces to leave out")
    parser.add_argument("--faces", type=options.positive_int, default=64, help="number of faces")
    parser.add_argument(
        "--mask-type", nargs="+", choices=masks.MASK_TYPES, default=["center"], help="masks"
    )
    number = options.non_negative_float
    parser.add_argument("--guide", nargs="+", type=number, default=[0.5], help="weights")
    parser.add_argument("--mix", nargs="+", type=number, default=[0.0, 0.04], help="shares")
    parser.add_argument("--n-iter", nargs="+", type=options.positive_int, default=[40])
    parser.add_argument("--average", nargs="+", type=options.positive_int, default=[1])
    parser.add_argument("--seed", type=options.seed, default=0)
    parser.add_argument("--plot", metavar="FILE", help="PSNR against sharpness, as a PNG")
    return parser


def choose_faces(folder: str, skip: int, number: int) -> list[str]:
    """Paths of evenly spaced faces, without those that evaluate.py --limit `skip` takes."""
    from dcgan_completion.evaluation import face_sets

    paths = utils.list_images(folder)
    left_out = set(face_sets.evenly_spaced(paths, skip)) if skip else set()
    return face_sets.evenly_spaced([path for path in paths if path not in left_out], number)


def completions(
    args: argparse.Namespace,
    networks: tuple[DCGAN, ContextEncoder],
    images: np.ndarray,
    mask: Mask,
    precision: str,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the name of a setting and what it makes of the images."""
    from dcgan_completion.inpaint import blending
    from dcgan_completion.inpaint.completer import NEAR, Completer
    from dcgan_completion.inpaint.direct import DirectCompleter

    model, encoder = networks
    common = {"batch_size": 64, "precision": precision}
    direct = DirectCompleter(encoder, **common)
    estimate = direct.source(images, mask)
    size = images.shape[1]
    near = masks.nearness(mask.known, NEAR * size)
    yield "direct", direct.complete(images, mask)
    unguided = SearchSettings.of("auto")
    yield (
        "auto unguided",
        Completer(model, unguided, **common).complete(images, mask, args.seed).completed,
    )
    for average in args.average:
        for n_iter in args.n_iter:
            for guide in args.guide:
                given = {"average": average, "n_iter": n_iter, "mix": 0.0, "guide": guide}
                search = SearchSettings.of("auto", guided=True, **given)
                completer = Completer(model, search, encoder=encoder, **common)
                generated = completer.complete(images, mask, args.seed).generated
                for mix in args.mix:
                    source = generated
                    if mix:
                        source = blending.mix(generated, estimate, mix * size, near)
                    name = f"{average} x {n_iter}, guide {guide:g}, mix {mix:.4g}"
                    yield name, blending.fill(images, mask, source, search.blend)


def measure_setting(faces: KnownFaces, completed: np.ndarray, mask: Mask) -> dict[str, float]:
    """Means over the faces; of sharpness the ratio of sums."""
    values = faces.measure(completed, mask, "")
    means = {name: float(np.nanmean(values[name])) for name in SHOWN if name != "sharpness"}
    sums = [np.nansum(values[name]) for name in ("gradient_energy", "original_gradient_energy")]
    return means | {"sharpness": float(sums[0] / sums[1])}


def draw(rows: dict[str, dict[str, float]], path: str) -> None:
    """PSNR against sharpness: a line for each search and mix over the guide's weights."""
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
    for (label, points), marker in zip(lines.items(), "osv^Dx+<>", strict=False):
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
    from dcgan_completion import checkpoints, devices
    from dcgan_completion.evaluation import embeddings, face_sets
    from dcgan_completion.evaluation.benchmark import KnownFaces
    from dcgan_completion.masks import source as mask_source

    model, prefix = checkpoints.load_model(args.checkpoint_dir)
    encoder, _ = checkpoints.load_context_encoder(checkpoints.encoder_folder(prefix))
    paths = choose_faces(args.dataset, args.skip, args.faces)
    images = face_sets.load_faces(paths, model.image_size, model.channels)
    precision = devices.Precision.choose("auto").used
    cache = embeddings.EmbeddingCache(embeddings.default_cache())
    result: dict[str, Any] = {}
    with embeddings.FaceReader(1, cache) as reader:
        faces = KnownFaces.of(images, reader)
        for kind in args.mask_type:
            options = {"fraction": FRACTION} if kind == "random" else {}
            settings = MaskSettings.of(mask_type=kind, **options)
            mask = mask_source.draw_masks(settings, images, args.seed)
            print(f"\n{kind}, {len(images)} faces\n\n| setting | {' | '.join(SHOWN)} |")
            print(f"| --- |{' --- |' * len(SHOWN)}", flush=True)
            rows = result[kind] = {}
            for name, completed in completions(args, (model, encoder), images, mask, precision):
                rows[name] = measure_setting(faces, completed, mask)
                cells = [f"{rows[name][metric]:.{digits}f}" for metric, digits in SHOWN.items()]
                print(f"| {name} | {' | '.join(cells)} |", flush=True)
    if args.plot:
        draw(result[args.mask_type[0]], args.plot)
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
