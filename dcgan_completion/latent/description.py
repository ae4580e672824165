"""The sub-command `describe`: layers, shapes, parameters, multiply-adds, as text and as JSON."""

from __future__ import annotations

import itertools
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dcgan_completion import checkpoints, utils
from dcgan_completion.latent import samples
from dcgan_completion.latent.generator import Generator
from dcgan_completion.model import START
from dcgan_completion.settings.latent import DescribeSettings

COUNTED = (
    "multiply-adds per image: those of matrix products and convolutions by their definitions, "
    "with zero padding multiplied, too; not counted: biases, normalisation, activations"
)
CONVOLUTION, TRANSPOSED, SAME = (
    "convolution, stride 2",
    "transposed convolution, stride 2",
    "convolution, stride 1",
)
# Kinds of layers with a kernel of rank 4, by the prefix of their names.
GENERATOR = {"conv": TRANSPOSED}
DISCRIMINATOR = {"conv": CONVOLUTION}
ENCODER = {"down": CONVOLUTION, "up": TRANSPOSED, "refine": SAME}
NUMBERS = ("parameters", "statistics", "multiply_adds")
HEADINGS = ("layer", "kind", "output", "parameters", "statistics", "multiply-adds")

logger = logging.getLogger(__name__)


class Layer(NamedTuple):
    """A layer of a network.

    Attributes:
      name: as in a checkpoint's keys.
      kind: what it computes.
      output: shape of its output for one image.
      parameters: number of trained values.
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
    """List the layers of a network, from the shapes of its variables.

    Args:
      variables: by name, LAYER_PART, in the order of the layers.
      start: shape of the network's input for one image.
      kinds: of layers with a kernel of rank 4, by the prefix of their names.
    """
    layers, shape = [], start
    parts = itertools.groupby(variables.items(), key=lambda item: item[0].rpartition("_")[0])
    for name, group in parts:
        own = {key.rpartition("_")[2]: variable for key, variable in group}
        shapes = {key: variable.numpy().shape for key, variable in own.items()}
        kind, shape, products = _step(name, shapes, shape, kinds)
        trained = sum(math.prod(shapes[key]) for key, v in own.items() if v.trainable)
        others = sum(map(math.prod, shapes.values())) - trained
        layers.append(Layer(name, kind, shape, trained, others, products))
    return layers


def _step(
    name: str,
    own: Mapping[str, tuple[int, ...]],
    shape: tuple[int, ...],
    kinds: Mapping[str, str],
) -> tuple[str, tuple[int, ...], int]:
    """Derive a layer's kind, output shape and multiply-adds from the shapes of its variables."""
    if "scale" in own:
        return "batch normalisation", shape, 0
    if "weight" in own:
        inputs, outputs = own["weight"]
        output = (START, START, outputs // START**2) if outputs > 1 else (1,)
        return "fully connected", output, inputs * outputs
    kernel = own["kernel"]
    if len(kernel) == 3:
        places, _, channels = kernel
        return "fully connected, by channel", shape, places * places * channels
    kind = next(kind for prefix, kind in kinds.items() if name.startswith(prefix))
    edge = shape[0]
    area, first, second = math.prod(kernel[:2]), *kernel[2:]
    if kind == TRANSPOSED:
        # Each value of the input is multiplied by the whole kernel, and added to the output.
        return kind, (2 * edge, 2 * edge, first), edge * edge * area * first * second
    edge = edge // 2 if kind == CONVOLUTION else edge
    return kind, (edge, edge, second), edge * edge * area * first * second


def describe(generator: Generator) -> dict[str, Any]:
    """Describe the networks of a model, and the context encoder beside it if any, for JSON.

    Raises UserError as `checkpoints.load_context_encoder`.
    """
    model, prefix = generator.model, generator.prefix
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
    return {
        "checkpoint": prefix,
        "counted": COUNTED,
        "networks": {
            name: {
                "input": inputs[name],
                **{number: sum(getattr(layer, number) for layer in layers) for number in NUMBERS},
                "layers": [layer._asdict() for layer in layers],
            }
            for name, layers in networks.items()
        },
    }


def as_text(description: Mapping[str, Any]) -> str:
    """Format a description: a table for each network."""
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
    return (f"{counts[name]:,}" for name in NUMBERS)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Align rows below HEADINGS in columns, numbers to the right."""
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


def write_description(settings: DescribeSettings, generator: Generator) -> None:
    """Print, or write to files, what the networks consist of."""
    description = describe(generator)
    as_json = json.dumps(description, indent=2) + "\n"
    for path, text in ((settings.out, as_text(description)), (settings.json, as_json)):
        if path not in (None, "-"):
            samples.make_folder(path)
            utils.write_text(path, text)
            if settings.json != "-":
                logger.info(f"wrote the description of {generator.prefix} to {path}")
    if settings.json == "-":
        print(as_json, end="")
    elif not settings.out:
        print(as_text(description), end="")
