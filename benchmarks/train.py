"""Time the training step against the rate of plain matrix products, measured in the same run.

examples:
  python -m benchmarks.train
  python -m benchmarks.train --peer torch --steps 10
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from dcgan_completion import cli
from dcgan_completion.settings import options


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.train")
    parser.add_argument("--steps", type=options.positive_int, default=8, help="measured steps")
    parser.add_argument("--batch-size", type=options.positive_int, default=64, help="images a step")
    parser.add_argument("--dataset", metavar="DIR", help="aligned images (default: drawn faces)")
    parser.add_argument("--peer", choices=("torch",), help="compare with it, if it is installed")
    parser.add_argument("--skip-kernels", action="store_true", help="no breakdown by kernel")
    return parser


def tensorflow_step(dtype: str, batch_size: int, images: Any) -> Callable[[], float]:
    """Make a training step of this project that waits for its result."""
    from dcgan_completion.model import DCGAN
    from dcgan_completion.settings.training import Rules
    from dcgan_completion.training.trainer import DCGANTrainer

    trainer = DCGANTrainer(DCGAN(compute_dtype=dtype), Rules(batch_size=batch_size))

    def step() -> float:
        scalars, _ = trainer.train_step(images)
        return float(scalars["g_loss"])

    return step


def summary(seconds: float, batch_size: int, gflop: float, rate: float) -> dict[str, float]:
    """Summarise a step's time for the JSON; `rate` is that of matrix products, GFLOP/s."""
    return {
        "step_s": seconds,
        "images_per_s": batch_size / seconds,
        "share_of_limit": gflop / rate / seconds,
        "matmul_gflops": rate,
    }


def encoder_step(dtype: str, batch_size: int, images: Any) -> tuple[Callable[[], float], float]:
    """Make a training step of the context encoder, masks apart; return its GFLOP, too."""
    from benchmarks import measure
    from dcgan_completion.encoders import ContextEncoder
    from dcgan_completion.settings.training import EncoderRules
    from dcgan_completion.training.encoder_trainer import ContextEncoderTrainer

    encoder = ContextEncoder(compute_dtype=dtype)
    trainer = ContextEncoderTrainer(encoder, EncoderRules(batch_size=batch_size), images)
    inputs = trainer.draw_inputs(0, range(batch_size))

    def step() -> float:
        scalars, _ = trainer.train_step(images, *inputs)
        return float(scalars["psnr"])

    return step, measure.encoder_step_flop(encoder, batch_size) / 1e9


def print_encoder(dtypes: list[str], batch_size: int, steps: int, images: Any) -> dict[str, Any]:
    """Time the context encoder's step; print a table, and return it by precision."""
    result: dict[str, Any] = {"float32": None, "bfloat16": None}
    print("\n| context encoder | s a step | images/s | matrix product, GFLOP/s | share of limit |")
    print("| --- | --- | --- | --- | --- |")
    for dtype in dtypes:
        step, gflop = encoder_step(dtype, batch_size, images)
        seconds, rate = time_steps({"step": step}, dtype, steps)
        value = seconds["step"]
        result[dtype] = summary(value, batch_size, gflop, rate)
        print(
            f"| {dtype} | {value:.3f} | {batch_size / value:.1f} | {rate:.0f} | "
            f"{gflop / rate / value:.2f} |"
        )
    return result


def time_steps(
    steps: dict[str, Callable[[], float]], dtype: str, number: int
) -> tuple[dict[str, float], float]:
    """Time each kind of step in turn: median seconds, and the best matrix product between."""
    from benchmarks import measure

    for step in steps.values():
        step()
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    rates = []
    for _ in range(number):
        rates.append(measure.matmul_gflops(dtype))
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}, max(rates)


def kernel_rates(dtype: str, batch_size: int, layer: tuple[int, int, int]) -> dict[str, float]:
    """Measure GFLOP/s of the three kernels of one convolution, each alone."""
    import tensorflow as tf

    from benchmarks import measure

    edge, wide, narrow = layer
    big = tf.cast(tf.random.normal([batch_size, 2 * edge, 2 * edge, narrow]), dtype)
    small = tf.cast(tf.random.normal([batch_size, edge, edge, wide]), dtype)
    kernel = tf.cast(tf.random.normal([5, 5, narrow, wide]), dtype)
    where = {"strides": [1, 2, 2, 1], "padding": "SAME"}
    functions = {
        "forward": lambda: tf.nn.conv2d(big, kernel, 2, "SAME"),
        "input gradient": lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(big), filter=kernel, out_backprop=small, **where
        ),
        "kernel gradient": lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=big, filter_sizes=tf.shape(kernel), out_backprop=small, **where
        ),
    }
    rates = {}
    (flop,) = measure.convolution_flop([layer])
    for name, function in functions.items():
        compiled = tf.function(function)
        compiled()
        seconds = measure.best_of(lambda f=compiled: f()[0, 0, 0, 0].numpy(), 5)
        rates[name] = batch_size * flop / seconds / 1e9
    return rates


def print_kernels(dtypes: list[str], batch_size: int, architecture: dict[str, int]) -> None:
    from benchmarks import measure

    print("\nGFLOP/s of each kernel alone; G's layers are D's, transposed: an input gradient of D")
    print("is a forward pass of G.\n")
    print("| layer | kernel | " + " | ".join(dtypes) + " |")
    print("| --- | --- |" + " --- |" * len(dtypes))
    for layer in measure.network_layers(architecture, "discriminator"):
        rates = {dtype: kernel_rates(dtype, batch_size, layer) for dtype in dtypes}
        for name in rates[dtypes[0]]:
            cells = " | ".join(f"{rates[dtype][name]:.0f}" for dtype in dtypes)
            print(f"| {2 * layer[0]}x{2 * layer[0]}x{layer[2]} | {name} | {cells} |")


def torch_step(dtype: str, batch_size: int, images: Any) -> Callable[[], float] | None:
    """Make the same step in PyTorch; None where it is not installed."""
    try:
        from benchmarks import peer_torch
    except ImportError:
        print("torch is not installed: no comparison", file=sys.stderr)
        return None
    return peer_torch.make_step(dtype, batch_size, images)


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    cli.prepare_tensorflow()
    import numpy as np

    from benchmarks import measure
    from dcgan_completion import devices

    measure.print_machine()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [args.batch_size, 64, 64, 3], dtype=np.uint8)
    architecture = {"image_size": 64, "channels": 3, "gf_dim": 64, "df_dim": 64}
    gflop = measure.step_flop(architecture, args.batch_size, g_updates=2) / 1e9
    print(f"convolutions of one step: {gflop:.1f} GFLOP\n")
    dtypes = ["float32"] + (["bfloat16"] if devices.has_bfloat16() else [])
    result: dict[str, Any] = {"float32": None, "bfloat16": None}
    peer: dict[str, float | None] | None = None
    print("| precision | by | s a step | images/s | matrix product, GFLOP/s | share of limit |")
    print("| --- | --- | --- | --- | --- | --- |")
    for dtype in dtypes:
        steps = {"this project": tensorflow_step(dtype, args.batch_size, images)}
        if args.peer and (step := torch_step(dtype, args.batch_size, images)):
            steps["torch"] = step
        seconds, rate = time_steps(steps, dtype, args.steps)
        for name, value in seconds.items():
            print(
                f"| {dtype} | {name} | {value:.3f} | {args.batch_size / value:.1f} | {rate:.0f} | "
                f"{gflop / rate / value:.2f} |"
            )
        value = seconds["this project"]
        result[dtype] = summary(value, args.batch_size, gflop, rate)
        if "torch" in seconds:
            peer = (peer or {"float32_step_s": None, "bfloat16_step_s": None}) | {
                f"{dtype}_step_s": seconds["torch"]
            }
            print(f"| {dtype} | torch / this project | {seconds['torch'] / value:.2f} | | | |")
    encoder = print_encoder(dtypes, args.batch_size, args.steps, images)
    if not args.skip_kernels:
        print_kernels(dtypes, args.batch_size, architecture)
    with measure.images_in(args.dataset) as images:
        streamed, kept = measure.input_rates(images, args.batch_size)
    print(f"\ninput alone: {streamed:.0f} images/s from disk, {kept:.0f} from memory")
    result |= {
        "auto": devices.Precision.choose("auto").used,
        "input_images_per_s": streamed,
        "torch": peer,
        "context_encoder": encoder,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
