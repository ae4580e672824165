"""What networks are made of: layers, shapes, parameters, multiply-adds, as text and as JSON."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dcgan_completion import checkpoints, utils
from dcgan_completion.latent import samples
from dcgan_completion.model import DCGAN, START
from dcgan_completion.settings.latent import DescribeSettings

COUNTED = (
    "multiply-adds per image: those of matrix products and convolutions by their definitions, at "
    "the borders as if zeros were multiplied; not counted: biases, normalisation, activations"
)
CONVOLUTION, TRANSPOSED, SAME = (
    "convolution, stride 2",
    "transposed convolution, stride 2",
    "convolution, stride 1",
)
# The kind of the layers with a kernel of rank 4, by the beginning of their names.
GENERATOR = {"conv": TRANSPOSED}
DISCRIMINATOR = {"conv": CONVOLUTION}
ENCODER = {"down": CONVOLUTION, "up": TRANSPOSED, "refine": SAME}
HEADINGS = ("layer", "kind", "output", "parameters", "statistics", "multiply-adds")


class Layer(NamedTuple):
    """A layer of a network.

    Attributes:
      name: as in a checkpoint's keys.
      kind: what it computes.
      output: shape of its output for one image.
      parameters: numbers that are trained.
      statistics: running means and variances.
      multiply_adds: for one image; see COUNTED.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    statistics: int
    multiply_adds: int


def layers_of(
    variables: Mapping[str, tf.Variable], start: tuple[int, ...], kinds: Mapping[str, str]
) -> list[Layer]:
    """The layers of a network, from its variables' shapes.

    Args:
      variables: by name, LAYER_PART, in the order of the layers.
      start: shape of the network's input for one image.
      kinds: of layers with a kernel of rank 4, by the beginning of their names.
    """
    layers, shape = [], start
    parts = itertools.groupby(variables.items(), key=lambda item: item[0].rpartition("_")[0])
    for name, group in parts:
        own = {key.rpartition("_")[2]: variable for key, variable in group}
        kind, shape, products = _step(name, own, shape, kinds)
        numbers = [
            sum(math.prod(v.shape) for v in own.values() if v.trainable is trained)
            for trained in (True, False)
        ]
        layers.append(Layer(name, kind, shape, *numbers, products))
    return layers


def _step(
    name: str,
    own: Mapping[str, tf.Variable],
    shape: tuple[int, ...],
    kinds: Mapping[str, str],
) -> tuple[str, tuple[int, ...], int]:
    """A layer's kind, the shape of its output, and its multiply-adds, by its variables."""
    if "scale" in own:
        return "batch normalisation", shape, 0
    if "weight" in own:
        into, out = own["weight"].shape
        spread = (START, START, out // START**2) if out > 1 else (1,)
        return "fully connected", spread, into * out
    kernel = own["kernel"].shape
    if len(kernel) == 3:
        places, _, channels = kernel
        return "fully connected, by channel", shape, places * places * channels
    kind = next(kind for start, kind in kinds.items() if name.startswith(start))
    edge = shape[0]
    area, first, second = math.prod(kernel[:2]), *kernel[2:]
    if kind == TRANSPOSED:
        # Each value of the input is multiplied by the whole kernel, and added to the output.
        return kind, (2 * edge, 2 * edge, first), edge * edge * area * first * second
    edge = edge // 2 if kind == CONVOLUTION else edge
    return kind, (edge, edge, second), edge * edge * area * first * second


def describe(model: DCGAN, prefix: str) -> dict[str, Any]:
    """The networks of a model, and its context encoder's where there is one, for JSON.

    Args:
      model: the networks.
      prefix: of its checkpoint, beside which the context encoder lies.

    Raises:
      UserError: the context encoder cannot be loaded.
    """
    image = (model.image_size, model.image_size, model.channels)
    networks = {
        "generator": layers_of(model.g, (model.z_dim,), GENERATOR),
        "discriminator": layers_of(model.d, image, DISCRIMINATOR),
    }
    inputs = {"generator": (model.z_dim,), "discriminator": image}
    if folder := checkpoints.encoder_folder(prefix):
        encoder, _ = checkpoints.load_context_encoder(folder)
        # The known pixels, what is interpolated from them, and the mask.
        inputs["context encoder"] = (*image[:2], 2 * encoder.channels + 1)
        networks["context encoder"] = layers_of(encoder.e, inputs["context encoder"], ENCODER)
    totals = ("parameters", "statistics", "multiply_adds")
    return {
        "checkpoint": prefix,
        "counted": COUNTED,
        "networks": {
            name: {
                "input": inputs[name],
                **{total: sum(getattr(layer, total) for layer in layers) for total in totals},
                "layers": [layer._asdict() for layer in layers],
            }
            for name, layers in networks.items()
        },
    }


def as_text(description: Mapping[str, Any]) -> str:
    """A table for each network of a description."""
    blocks = [description["checkpoint"]]
    for name, network in description["networks"].items():
        rows = [
            (layer["name"], layer["kind"], _shape(layer["output"]), *_numbers(layer))
            for layer in network["layers"]
        ]
        total = ("total", "", "", *_numbers(network))
        blocks.append(f"{name}, input {_shape(network['input'])}\n{_table([*rows, total])}")
    return "\n\n".join([*blocks, description["counted"]]) + "\n"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _numbers(counts: Mapping[str, int]) -> Iterator[str]:
    return (f"{counts[name]:,}" for name in ("parameters", "statistics", "multiply_adds"))


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Rows below HEADINGS in columns, numbers to the right."""
    rows = [HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        words = [
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(words).rstrip())
    return "\n".join(lines)


def write_description(settings: DescribeSettings, model: DCGAN, prefix: str) -> int:
    """Tells, or writes, what the networks are made of; returns the status."""
    description = describe(model, prefix)
    as_json = json.dumps(description, indent=2) + "\n"
    for path, text in ((settings.out, as_text(description)), (settings.json, as_json)):
        if path not in (None, "-"):
            samples.make_folder(path)
            utils.write_text(path, text)
            if settings.json != "-":
                print(f"the description of {prefix} is in {path}")
    if settings.json == "-":
        print(as_json, end="")
    elif not settings.out:
        print(as_text(description), end="")
    return 0
