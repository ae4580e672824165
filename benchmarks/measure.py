"""Shared by the benchmarks: the limit that matrix products set, and timing against it."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan_completion import devices
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.model import KERNEL, START
from dcgan_completion.training.dataset import ImageFolders

DRAW_FACES = Path(__file__).resolve().parent.parent / "data" / "draw-faces.py"


def best_of(function: Callable[[], object], repeats: int) -> float:
    """Time the shortest of several runs, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def matmul_gflops(dtype: str) -> float:
    """Measure the best rate of TensorFlow's and (float32) NumPy's matrix products, GFLOP/s."""
    rates = []
    for edge in (2048, 4096):
        flop = 2 * edge**3
        a = tf.cast(tf.random.normal([edge, edge]), dtype)
        rates.append(flop / best_of(lambda a=a: tf.linalg.matmul(a, a)[0, 0].numpy(), 2) / 1e9)
        if dtype == "float32":
            b = a.numpy()
            rates.append(flop / best_of(lambda b=b: b @ b, 2) / 1e9)
    return max(rates)


def network_layers(architecture: dict[str, int], net: str) -> list[tuple[int, int, int]]:
    """List (edge of the smaller side, wide channels, narrow channels) of a network's convolutions.

    `net` is generator or discriminator; both are listed from the image inwards.
    """
    wide = architecture["gf_dim" if net == "generator" else "df_dim"]
    edge, narrow, layers = architecture["image_size"] // 2, architecture["channels"], []
    while edge >= START:
        layers.append((edge, wide, narrow))
        edge, narrow, wide = edge // 2, wide, 2 * wide
    return layers


def convolution_flop(layers: list[tuple[int, int, int]]) -> list[int]:
    """Count the FLOP of one pass of one image through each convolution of `network_layers`."""
    return [2 * edge**2 * wide * narrow * KERNEL**2 for edge, wide, narrow in layers]


def step_flop(architecture: dict[str, int], batch_size: int, g_updates: int) -> int:
    """Count the FLOP of the convolutions of one training step.

    A pass through a network counts once forward, once for the gradient of its input and once
    for that of its kernels; D's update needs no gradient of its images.
    """
    g = convolution_flop(network_layers(architecture, "generator"))
    d = convolution_flop(network_layers(architecture, "discriminator"))
    update_g = 3 * sum(g) + 2 * sum(d)
    update_d = 2 * (3 * sum(d) - d[0])
    return batch_size * (g_updates * update_g + update_d)


def encoder_step_flop(encoder: ContextEncoder, batch_size: int) -> int:
    """Count the FLOP of the convolutions of one training step of a context encoder."""
    edges = {
        name: encoder.image_size // 2 ** (int(name.removesuffix("_kernel")[-1]) + 1)
        for name in encoder.e
        if name.endswith("_kernel") and name.startswith(("down", "up"))
    }
    edges["refine_kernel"] = encoder.image_size // 2
    flop = {name: 2 * edge**2 * math.prod(encoder.e[name].shape) for name, edge in edges.items()}
    # The images need no gradient.
    return batch_size * (3 * sum(flop.values()) - flop["down0_kernel"])


def print_machine() -> None:
    """Print the processor and those of its flags that matter here."""
    flags = [f for f in devices.processor_flags() if f.startswith(("avx", "amx", "fma", "bf16"))]
    print(f"processor: {devices.processor()}")
    print(f"flags: {' '.join(flags) or 'unknown'}")
    print(f"devices: {', '.join(d.name for d in tf.config.list_logical_devices())}")
    print(f"NumPy {np.__version__}, TensorFlow {tf.__version__}")


@contextlib.contextmanager
def images_in(folder: str | None) -> Iterator[str]:
    """Provide `folder`; if it is None, a temporary one with 4,000 drawn faces of 64 pixels."""
    if folder:
        yield folder
        return
    with tempfile.TemporaryDirectory() as drawn:
        command = [sys.executable, DRAW_FACES, "--n", "4000", "--size", "64", "--out", drawn]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        yield drawn


def input_rates(folder: str, batch_size: int) -> tuple[float, float]:
    """Measure images a second of an epoch of training's input, from disk and from memory.

    The first epoch warms up: it imports the decoder and brings the files into the system's cache.
    """
    rates = []
    for cache_bytes in (0, 2**40):
        dataset = ImageFolders(
            [folder], image_size=64, batch_size=batch_size, cache_bytes=cache_bytes
        )
        steps = dataset.steps_per_epoch
        for epoch in (0, 1):
            start = time.perf_counter()
            for _ in dataset.batches(epoch * steps, (epoch + 1) * steps):
                pass
            seconds = time.perf_counter() - start
        rates.append(steps * batch_size / seconds)
    return rates[0], rates[1]
