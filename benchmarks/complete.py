"""Time completion: approaches as commands and without start-up, iterations, auto against adam.

An iteration is measured against the rate of matrix products.

examples:
  python -m benchmarks.complete
  python -m benchmarks.complete --skip-curves
  python -m benchmarks.complete --dataset data/your-test-data/aligned --checkpoint-dir checkpoint
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dcgan_completion import cli, utils
from dcgan_completion.settings import options

if TYPE_CHECKING:
    from dcgan_completion.inpaint.inpainter import Inpainter
    from dcgan_completion.masks.mask import Mask
    from dcgan_completion.model import DCGAN

COUNT = 64
ITERATION_STEPS = 8
SCRIPT = Path(__file__).resolve().parent.parent / "complete.py"
REPEATS = 3  # the first one compiles, and the best one counts

Point = tuple[int, float, float, float]  # iteration, seconds, hole PSNR, identity distance


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.complete")
    parser.add_argument(
        "--checkpoint-dir",
        help="folder of the model (default: ./checkpoint if there is one, else data/pretrained)",
    )
    parser.add_argument(
        "--dataset", metavar="DIR", help="aligned faces: 64 of them are completed, evenly spaced"
    )
    parser.add_argument("--iterations", type=options.positive_int, default=1000, help="of adam")
    for approach, interval in (("adam", 100), ("auto", 5)):
        parser.add_argument(
            f"--{approach}-interval",
            type=options.positive_int,
            default=interval,
            help="iterations between points of its curve",
        )
    parser.add_argument(
        "--skip-curves", action="store_true", help="no curves of auto and adam, which take minutes"
    )
    return parser


# --- whole completions ---


def time_command(approach: str, files: Sequence[str], path: str) -> float:
    """Time complete.py for the files, from its start to its end, in seconds."""
    from benchmarks import measure

    # This process has set it; to a command it means that the user wants TensorFlow's messages.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}

    def run() -> None:
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, SCRIPT, *files, "--outDir", f"{out}/done"]
            command += ["--approach", approach, "--checkpoint-dir", path]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

    return measure.best_of(run, REPEATS - 1)


def time_approaches(
    inpainter: Inpainter, images: np.ndarray, mask: Mask, files: Sequence[str], path: str
) -> dict[str, dict[str, float | None]]:
    """Print and return seconds for the faces, with start-up (command) and without (process)."""
    from benchmarks import measure

    found: dict[str, dict[str, float | None]] = {}
    print(f"\n| approach | s for {len(files)} faces | with start-up and files |")
    print("| --- | --- | --- |")
    for name in ("auto", "direct"):
        within = whole = None
        if name == "auto" or inpainter.encoder() is not None:
            within = measure.best_of(
                lambda name=name: inpainter(
                    images, mask, approach=name, batch_size=COUNT, return_type="numpy"
                ),
                REPEATS,
            )
            whole = time_command(name, files, path)
        cells = ("" if value is None else f"{value:.2f}" for value in (within, whole))
        print(f"| {name} | {' | '.join(cells)} |")
        found[name] = {"process": within, "command": whole}
    return found


# --- iterations ---


def time_iterations(
    model: DCGAN, images: np.ndarray, hole: np.ndarray
) -> dict[str, dict[str, float] | None]:
    """Time an iteration of adam, with the perceptual loss, and of auto, without it."""
    from benchmarks import measure
    from dcgan_completion import devices
    from dcgan_completion.inpaint import latent_search

    start = np.random.default_rng(0).uniform(-1, 1, [COUNT, model.z_dim]).astype(np.float32)
    known = (~hole).astype(np.float32)
    layers = [
        sum(measure.convolution_flop(measure.network_layers(model.architecture, net)))
        for net in ("generator", "discriminator")
    ]
    result: dict[str, dict[str, float] | None] = {"float32": None, "bfloat16": None}
    print("\n| precision | loss | s an iteration | matrix product, GFLOP/s | share of limit |")
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
                data=(utils.to_signed(images), known),
                iterations=4 * ITERATION_STEPS + 1,
                interval=ITERATION_STEPS,
            )
            for _ in range(2):  # compiled by then
                next(states)
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


# --- curves ---


def curve(search: Any, images: np.ndarray, mask: Mask, interval: int, reader: Any) -> list[Point]:
    """Follow the completion of a batch, its holes filled without blending.

    Import and compilation are not counted; choosing from the pool is.
    """
    from dcgan_completion.evaluation import embeddings, image_metrics
    from dcgan_completion.inpaint import blending

    real = reader.describe(images).embeddings
    warm = search.states(images, mask, seed=1, interval=interval)
    for _ in range(2):
        next(warm)
    warm.close()
    states = search.states(images, mask, seed=0, interval=interval)
    points, seconds = [], 0.0
    while True:
        before = time.perf_counter()
        state = next(states, None)
        seconds += time.perf_counter() - before
        if state is None:
            return points
        completed = blending.fill(images, mask, state.images[:, 0])
        quality = image_metrics.psnr(images, completed, mask.hole).mean()
        described = reader.describe(completed, keep=False)
        apart = embeddings.identity_distance(real, described.embeddings).mean()
        points.append((state.iteration, seconds, float(quality), float(apart)))


def reached(points: list[Point], column: int, goal: float) -> float | None:
    """Tell the seconds until a curve is as good as the goal; None if it never is."""
    sign = 1 if column == 2 else -1  # PSNR is better high, distance low
    good = [point[1] for point in points if sign * point[column] >= sign * goal]
    return min(good, default=None)


def compare_curves(
    args: argparse.Namespace, inpainter: Inpainter, images: np.ndarray, mask: Mask
) -> dict[str, float | None]:
    """Print the curves of auto and adam; return when auto is as good as adam is in the end."""
    from dcgan_completion.evaluation import embeddings

    tried = {
        "adam": ({"n_iter": args.iterations}, "float32", args.adam_interval),
        "auto": ({"guide": 0.0}, inpainter.precision, args.auto_interval),
    }
    curves = {}
    with embeddings.FaceReader(os.cpu_count() or 1) as reader:
        for name, (given, precision, interval) in tried.items():
            settings = inpainter.search_settings({"approach": name} | given)
            search = inpainter.search(settings, batch_size=COUNT, precision=precision)
            curves[name] = curve(search, images, mask, interval, reader)
            print(f"\n{name}, unguided, {precision}, hole without blending\n")
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


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    cli.prepare_tensorflow()
    from benchmarks import measure
    from dcgan_completion import checkpoints
    from dcgan_completion.completion import mask_source
    from dcgan_completion.evaluation import face_sets
    from dcgan_completion.inpaint.inpainter import Inpainter
    from dcgan_completion.settings.masks import MaskSettings

    measure.print_machine()
    inpainter = Inpainter.from_pretrained(checkpoints.select_model(args.checkpoint_dir))
    print(inpainter.prefix)
    with measure.images_in(args.dataset) as folder:
        files = face_sets.evenly_spaced(utils.list_images(folder), COUNT)
        images = face_sets.load_faces(files, inpainter.image_size, inpainter.channels)
        mask = mask_source.draw_masks(MaskSettings("center"), images, seed=0)
        whole = time_approaches(inpainter, images, mask, files, inpainter.prefix)
    result: dict[str, Any] = time_iterations(inpainter.model, images, mask.hole)
    result |= {"approaches": whole, "precision": inpainter.precision}
    if not args.skip_curves:
        result |= compare_curves(args, inpainter, images, mask)
    print(f"\n{json.dumps(result)}")


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
