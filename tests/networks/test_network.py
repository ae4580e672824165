"""What both networks have in common: sizes, initial values, precision, other weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.model import DCGAN
from dcgan_completion.ops import Network

Apply = Callable[..., tf.Tensor]


def make(network: type[Network], **options: object) -> Network:
    widths = {"z_dim": 6, "gf_dim": 3, "df_dim": 4} if network is DCGAN else {"width": 3}
    return network(**{"image_size": 16} | widths | options)


def weights(network: Network) -> list[np.ndarray]:
    """The variables that begin with random values."""
    nets = (network.g, network.d) if isinstance(network, DCGAN) else (network.e,)
    named = itertools.chain.from_iterable(net.items() for net in nets)
    return [v.numpy() for name, v in named if name.endswith(("kernel", "linear_weight"))]


def application(network: Network, random: np.random.Generator) -> Apply:
    """The network as a function of the network and its weights, on fixed inputs."""
    images = tf.constant(random.uniform(-1, 1, [4, 16, 16, 3]), tf.float32)
    mask = tf.constant(random.random([4, 16, 16, 1]) < 0.5, tf.float32)
    z = tf.constant(random.uniform(-1, 1, [4, 6]), tf.float32)
    if isinstance(network, DCGAN):
        return lambda net, own=None: net.generator(z, training=True, momentum=None, weights=own)
    return lambda net, own=None: net.estimate(images, mask, weights=own)


both = pytest.mark.parametrize("network", [DCGAN, ContextEncoder])


@both
@pytest.mark.parametrize("wrong", [{"image_size": 48}, {"image_size": 8}, {"channels": 2}])
def test_other_sizes_are_refused(network: type[Network], wrong: dict[str, int]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        make(network, **wrong)


@both
def test_an_architecture_is_a_plain_dict(network: type[Network]) -> None:
    """One that is only like a dict cannot be written as JSON by every Python."""
    architecture = make(network).architecture
    assert type(architecture) is dict
    assert network(**architecture).architecture == architecture


@both
def test_initial_values_are_a_function_of_the_seed(network: type[Network]) -> None:
    first, same, other = (weights(make(network, seed=seed)) for seed in (1, 1, 2))
    for one, two, three in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.isin(one, three).any()


@both
def test_every_layer_has_initial_values_of_its_own(network: type[Network]) -> None:
    scaled = [(weight / weight.std()).ravel() for weight in weights(make(network))]
    for one, other in itertools.combinations(scaled, 2):
        number = min(one.size, other.size)
        assert not np.allclose(one[:number], other[:number])


@both
def test_other_weights_replace_its_own(network: type[Network], random: np.random.Generator) -> None:
    one, other = make(network), make(network, seed=1)
    apply = application(one, random)
    replaced = apply(one, other.g if network is DCGAN else other.e)
    np.testing.assert_array_equal(replaced, apply(other))
    assert (replaced.numpy() != apply(one).numpy()).any()


@both
def test_another_precision_shares_the_variables(
    network: type[Network], random: np.random.Generator
) -> None:
    full = make(network)
    half, apply = full.in_precision("bfloat16"), application(full, random)
    for net in ("g", "d") if network is DCGAN else ("e",):
        for name, variable in getattr(full, net).items():
            assert getattr(half, net)[name] is variable
            assert variable.dtype == tf.float32
    exact, rough = apply(full).numpy(), apply(half).numpy()
    assert rough.dtype == np.float32
    assert 0 < np.abs(exact - rough).max() < 0.05
    assert np.corrcoef(exact.ravel(), rough.ravel())[0, 1] > 0.999
    np.testing.assert_array_equal(apply(half.in_precision("float32")), exact)
    assert make(network, compute_dtype="bfloat16")._compute_dtype == tf.bfloat16
