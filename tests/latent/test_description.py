"""What is said of networks, against counts by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dcgan_completion.encoders import ContextEncoder, count_encoder_weights
from dcgan_completion.latent import description
from dcgan_completion.latent.description import DISCRIMINATOR, ENCODER, GENERATOR, layers_of
from dcgan_completion.latent.generator import Generator
from dcgan_completion.model import DCGAN, count_weights

M = 5 * 5  # a kernel


@pytest.fixture(scope="module")
def dcgan() -> DCGAN:
    """The tutorial's network for 64 pixels, in a quarter of its width."""
    return DCGAN(image_size=64, z_dim=100, gf_dim=16, df_dim=16)


def test_multiply_adds_of_the_network_for_64_pixels(dcgan: DCGAN) -> None:
    # By hand: a transposed convolution multiplies each of its input's values by a whole kernel.
    generator = layers_of(dcgan.g, (100,), GENERATOR)
    expected = {
        "linear": 100 * 4 * 4 * 128,
        "conv1": 4 * 4 * M * 128 * 64,
        "conv2": 8 * 8 * M * 64 * 32,
        "conv3": 16 * 16 * M * 32 * 16,
        "conv4": 32 * 32 * M * 16 * 3,
    }
    assert {x.name: x.multiply_adds for x in generator if x.multiply_adds} == expected
    discriminator = layers_of(dcgan.d, (64, 64, 3), DISCRIMINATOR)
    expected = {
        "conv0": 32 * 32 * M * 3 * 16,
        "conv1": 16 * 16 * M * 16 * 32,
        "conv2": 8 * 8 * M * 32 * 64,
        "conv3": 4 * 4 * M * 64 * 128,
        "linear": 4 * 4 * 128,
    }
    assert {x.name: x.multiply_adds for x in discriminator if x.multiply_adds} == expected


def test_shapes_are_those_of_the_paper(dcgan: DCGAN) -> None:
    shapes = [x.output for x in layers_of(dcgan.g, (100,), GENERATOR)]
    edges = [(4, 4, 128), (8, 8, 64), (16, 16, 32), (32, 32, 16)]
    assert shapes == [x for x in edges for _ in range(2)] + [(64, 64, 3)]
    shapes = [x.output for x in layers_of(dcgan.d, (64, 64, 3), DISCRIMINATOR)]
    edges = [(8, 8, 64), (4, 4, 128)]
    assert shapes == [(32, 32, 16), *2 * [(16, 16, 32)], *[x for x in edges for _ in "12"], (1,)]


def test_a_multiply_add_is_one_tap_of_a_kernel() -> None:
    # Of a transposed convolution: with an input and a kernel of ones the output's sum is the
    # number of taps, but for those that fall outside of the image.
    import tensorflow as tf

    from dcgan_completion import ops

    ones = ops.conv2d_transpose(tf.ones([1, 16, 16, 2]), tf.ones([5, 5, 3, 2]))
    counted = 16 * 16 * M * 3 * 2
    assert counted * 0.85 < float(tf.reduce_sum(ones)) < counted


@pytest.mark.parametrize(("size", "channels"), [(16, 3), (32, 1), (64, 3), (128, 3)])
def test_parameters_are_all_that_a_model_has(size: int, channels: int) -> None:
    widths = {"image_size": size, "channels": channels, "z_dim": 9, "gf_dim": 3, "df_dim": 2}
    model = DCGAN(**widths)
    image = (size, size, channels)
    layers = layers_of(model.g, (9,), GENERATOR) + layers_of(model.d, image, DISCRIMINATOR)
    assert sum(x.parameters + x.statistics for x in layers) == count_weights(**widths)
    statistics = [*model.generator_statistics, *model.discriminator_statistics]
    assert sum(x.statistics for x in layers) == sum(int(np.prod(v.shape)) for v in statistics)
    widths = {"image_size": size, "channels": channels, "width": 3}
    encoder = layers_of(ContextEncoder(**widths).e, (size, size, 2 * channels + 1), ENCODER)
    assert sum(x.parameters for x in encoder) == count_encoder_weights(**widths)
    assert encoder[-1].output == (size, size, channels + 1)


def test_multiply_adds_of_a_context_encoder() -> None:
    # 16 pixels: down to 4x4 by two convolutions of stride 2, and up again; at 8x8 one of 3x3 over
    # 2 * 4 channels; 7 channels in, 4 out.
    layers = layers_of(ContextEncoder(image_size=16, width=4).e, (16, 16, 7), ENCODER)
    assert {x.name: x.multiply_adds for x in layers} == {
        "down0": 8 * 8 * M * 7 * 4,
        "down1": 4 * 4 * M * 4 * 8,
        "middle": 16 * 16 * 8,
        "up1": 4 * 4 * M * 8 * 4,
        "refine": 8 * 8 * 9 * 8 * 4,
        "up0": 8 * 8 * M * 4 * 4,
    }


def test_text_and_json_say_the_same(guided: object) -> None:
    found = json.loads(json.dumps(description.describe(Generator.from_pretrained(guided))))
    assert list(found["networks"]) == ["generator", "discriminator", "context encoder"]
    text = description.as_text(found)
    for name, network in found["networks"].items():
        assert f"{name}, input " in text
        for count in ("parameters", "statistics", "multiply_adds"):
            assert network[count] == sum(layer[count] for layer in network["layers"])
            assert f" {network[count]:,}" in text
        for layer in network["layers"]:
            (line,) = [
                line
                for line in text.split(f"{name}, input")[1].split("total")[0].splitlines()
                if line.split() and line.split()[0] == layer["name"]
            ]
            assert line.split()[-1] == f"{layer['multiply_adds']:,}"
