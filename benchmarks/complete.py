#!/usr/bin/env python3
"""Time completion: approaches as commands and without start-up, iterations, auto against adam.

An iteration is measured against the rate of matrix products.

examples:
  python benchmarks/complete.py
  python benchmarks/complete.py --skip-curves
  python benchmarks/complete.py --dataset data/your-test-data/aligned --checkpoint-dir checkpoint
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dcgan_completion import cli, utils
from dcgan_completion.settings import options
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SearchSettings

COUNT = 64
ITERATION_STEPS = 8


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument(
        "--checkpoint-dir",
        help="folder of the model (default: ./checkpoint if there is one, else data/pretrained)",
    )
    parser.add_argument(
        "--dataset", metavar="DIR", help="aligned faces: 64 of them are completed, evenly spaced"
    )
    parser.add_argument("--iterations", type=options.positive_int, default=1000, help="of adam")
    parser.add_argument(
        "--adam-interval",
        type=options.positive_int,
        default=100,
        help="between points of its curve",
    )
    parser.add_argument(
        "--auto-interval", type=options.positive_int, default=5, help="between points of its curve"
    )
    parser.add_argument(
        "--skip-curves", action="store_true", help="no curves of auto and adam, which take minutes"
    )
    return parser


def time_iterations(model: Any, images: Any, mask: Any) -> dict[str, dict[str, float] | None]:
    """Seconds an iteration of adam, with the perceptual loss, and of auto, without it."""
    import measure
    import numpy as np

    from dcgan_completion import devices
    from dcgan_completion.inpaint import latent_search

    start = np.random.default_rng(0).uniform(-1, 1, [COUNT, model.z_dim]).astype(np.float32)
    layers = [
        sum(measure.convolution_flop(measure.network_layers(model.architecture, net)))
        for net in ("generator", "discriminator")
    ]
    result: dict[str, dict[str, float] | None] = {"float32": None, "bfloat16": None}
    print("| precision | loss | s an iteration | matrix product, GFLOP/s | share of limit |")
    print("| --- | --- | --- | --- | --- |")
    for dtype in ["float32"] + (["bfloat16"] if devices.has_bfloat16() else []):
        fast = model.in_precision(dtype)
        for lam, name in ((0.1, "with D"), (0.0, "without D")):
            gflop = 2 * COUNT * (sum(layers) if lam else layers[0]) / 1e9

            def loss(z: Any, x: Any, weights: Any, fast: Any = fast, lam: float = lam) -> Any:
                return fast.completion_loss(z, x, weights, lam=lam)[:1]

            states = latent_search.minimise(
                loss,
                start,
                latent_search.adam(),
                data=(images, mask),
                iterations=4 * ITERATION_STEPS + 1,
                interval=ITERATION_STEPS,
            )
            next(states), next(states)  # compiled by now
            seconds, rates = [], []
            for _ in range(3):
                rates.append(measure.matmul_gflops(dtype))
                before = time.perf_counter()
                next(states)
                seconds.append((time.perf_counter() - before) / ITERATION_STEPS)
            value, rate = sorted(seconds)[1], max(rates)
            share = gflop / rate / value
            print(f"| {dtype} | {name} | {value:.3f} | {rate:.0f} | {share:.2f} |")
            if lam:
                result[dtype] = {
                    "iteration_s": value,
                    "share_of_limit": share,
                    "matmul_gflops": rate,
                }
    return result


def curve(
    completer: Any, images: Any, mask: Any, interval: int, reader: Any, real: Any
) -> list[tuple[int, float, float, float]]:
    """(iteration, seconds, hole PSNR, identity distance) as the completion of a batch goes on.

    Import and compilation are not counted; choosing from the pool is.
    """
    from dcgan_completion.evaluation import embeddings, image_metrics

    warm = completer.states(images, mask, seed=1, interval=interval)
    next(warm), next(warm)
    warm.close()
    states = completer.states(images, mask, seed=0, interval=interval)
    points, seconds = [], 0.0
    while True:
        before = time.perf_counter()
        state = next(states, None)
        seconds += time.perf_counter() - before
        if state is None:
            return points
        quality = image_metrics.psnr(images, state.completed, mask.known).mean()
        described = reader.describe(state.completed, keep=False)
        apart = embeddings.identity_distance(real, described.embeddings).mean()
        points.append((state.iteration, seconds, float(quality), float(apart)))


def reached(
    points: list[tuple[int, float, float, float]], column: int, goal: float
) -> float | None:
    """Seconds until a curve is as good as the goal; None if it never is."""
    sign = 1 if column == 2 else -1  # PSNR is better high, distance low
    good = [point[1] for point in points if sign * point[column] >= sign * goal]
    return min(good, default=None)


def compare_curves(
    args: argparse.Namespace, model: Any, images: Any, mask: Any, precision: str
) -> dict[str, float | None]:
    """Prints the curves of auto and adam; returns when auto is as good as adam is in the end."""
    from dcgan_completion.evaluation import embeddings
    from dcgan_completion.inpaint.completer import Completer

    completers = {
        "adam": Completer(model, SearchSettings.of("adam", n_iter=args.iterations)),
        "auto": Completer(model, SearchSettings.of("auto", blend="none"), precision=precision),
    }
    curves = {}
    with embeddings.FaceReader(os.cpu_count() or 1) as reader:
        real = reader.describe(images).embeddings
        for name, completer in completers.items():
            interval = args.adam_interval if name == "adam" else args.auto_interval
            curves[name] = curve(completer, images, mask, interval, reader, real)
            used = "float32" if name == "adam" else precision
            print(f"\n{name}, {used}, hole without blending\n")
            print("| iterations | s | hole PSNR, dB | identity distance |")
            print("| --- | --- | --- | --- |")
            for iteration, seconds, quality, apart in curves[name]:
                print(f"| {iteration} | {seconds:.1f} | {quality:.2f} | {apart:.3f} |")
    _, adam_seconds, quality, apart = curves["adam"][-1]
    result = {
        "adam_1000_s": adam_seconds,
        "auto_s_to_adam_psnr": reached(curves["auto"], 2, quality),
        "auto_s_to_adam_identity": reached(curves["auto"], 3, apart),
    }
    for name in ("psnr", "identity"):
        seconds = result[f"auto_s_to_adam_{name}"]
        ratio = f"{adam_seconds / seconds:.1f} times as fast" if seconds else "not reached"
        print(f"\nauto to adam's {name} after {args.iterations} iterations: {ratio}", end="")
    return result


def main() -> None:
    args = build_parser().parse_args()
    cli.prepare_tensorflow()
    import approaches
    import measure
    import numpy as np

    from dcgan_completion import checkpoints, devices
    from dcgan_completion.masks import source as mask_source

    measure.print_machine()
    path, note = checkpoints.select_model(args.checkpoint_dir)
    model, prefix = checkpoints.load_model(path)
    print(f"{note}\n{prefix}")
    precision = devices.Precision.choose("auto").used
    with measure.images_in(args.dataset) as folder:
        files = utils.list_images(folder)
        files = [files[i * len(files) // COUNT] for i in range(COUNT)]
        images = np.stack([utils.load_image(file) for file in files])
        mask = mask_source.draw_masks(MaskSettings("center"), images, seed=0)
        functions = approaches.in_process(model, path, images, mask, precision)
        whole = approaches.time_approaches(functions, files, path)
    result: dict[str, Any] = time_iterations(model, utils.to_signed(images), mask.known)
    result |= {"approaches": whole, "precision": precision}
    if not args.skip_curves:
        result |= compare_curves(args, model, images, mask, precision)
    print(f"\n{json.dumps(result)}")


if __name__ == "__main__":
    sys.exit(main())
