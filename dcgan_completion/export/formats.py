"""The export formats: writing networks, and running what was written, to verify it.

SavedModel, TensorFlow's own; TFLite, for LiteRT on phones and embedded devices; ONNX.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from dcgan_completion import cli
from dcgan_completion.export.networks import FILES, Arrays, Network

OPSET = 18  # of ONNX
LOGGERS = ("absl", "tensorflow", "tf2onnx")
TOLERANCE, TOLERANCE_FLOAT16 = 1e-4, 1e-2  # see `Exported.tolerance`


class Exported(NamedTuple):
    """A network that was written.

    Attributes:
      file: its file in the exported folder, or its signature.
      network: the original.
      run: computes its outputs with the runtime of the format.
      tolerance: the largest difference of its outputs from the original's, as
        `networks.difference` measures it.
    """

    file: str
    network: Network
    run: Callable[[Arrays], Arrays]
    tolerance: float = TOLERANCE


# Networks and a folder -> what was written to it.
Writer = Callable[[Sequence[Network], str], list[Exported]]


def write_savedmodel(networks: Sequence[Network], folder: str) -> list[Exported]:
    """Write one SavedModel with a signature for each network."""
    functions = {network.name: network.traced().get_concrete_function() for network in networks}
    with _quiet():
        tf.saved_model.save(_Variables(*functions.values()), folder, signatures=functions)
    loaded = tf.saved_model.load(folder)  # keeps the weights alive; signatures do not

    return [
        Exported(f"signature {n.name}", n, functools.partial(_run_signature, loaded, n.name))
        for n in networks
    ]


def _run_signature(loaded: Any, name: str, inputs: Arrays) -> Arrays:
    outputs = loaded.signatures[name](**{key: tf.constant(x) for key, x in inputs.items()})
    return {key: value.numpy() for key, value in outputs.items()}


class _Variables(tf.Module):
    """Tracks all variables of some functions, as savers need."""

    def __init__(self, *functions: tf.types.experimental.ConcreteFunction) -> None:
        super().__init__()
        self.used = [variable for function in functions for variable in function.variables]


def _write_file(
    network: Network,
    folder: str,
    ending: str,
    content: bytes,
    run: Callable[[bytes, Arrays], Arrays],
    tolerance: float = TOLERANCE,
) -> Exported:
    file = f"{FILES[network.name]}{ending}"
    Path(folder, file).write_bytes(content)
    return Exported(file, network, functools.partial(run, content), tolerance)


def write_tflite(networks: Sequence[Network], folder: str) -> list[Exported]:
    """Write each network as two files: with float32 weights, and with float16."""
    kinds = ((".tflite", False, TOLERANCE), ("-float16.tflite", True, TOLERANCE_FLOAT16))
    return [
        _write_file(n, folder, ending, _to_tflite(n, half), _run_tflite, tolerance)
        for n in networks
        for ending, half, tolerance in kinds
    ]


def _to_tflite(network: Network, half: bool) -> bytes:
    """Convert a network, with one signature, whose batch can be resized."""
    function = network.traced().get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], _Variables(function))
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with _quiet():
        return converter.convert()


def _run_tflite(content: bytes, inputs: Arrays) -> Arrays:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    with _quiet():  # the signature runner resizes inputs to the batch that it is given
        return dict(interpreter.get_signature_runner()(**inputs))


def write_onnx(networks: Sequence[Network], folder: str) -> list[Exported]:
    """Write each network as an ONNX file; images are [N, S, S, C] in it, too."""
    return [_write_file(n, folder, ".onnx", _to_onnx(n), _run_onnx) for n in networks]


def _to_onnx(network: Network) -> bytes:
    """Convert a network by tf2onnx; the first axis of inputs and outputs is named N."""
    import tf2onnx

    with _quiet():
        proto, _ = tf2onnx.convert.from_function(
            network.traced(), input_signature=network.signature, opset=OPSET
        )
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    return proto.SerializeToString()


def _run_onnx(content: bytes, inputs: Arrays) -> Arrays:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs: Any = session.run(names, inputs)  # arrays: none is a sequence, a map or sparse
    return dict(zip(names, outputs, strict=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what converters log and print for their developers."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        with contextlib.redirect_stdout(io.StringIO()), cli.quiet_stderr():
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


WRITERS: dict[str, Writer] = {
    "savedmodel": write_savedmodel,
    "tflite": write_tflite,
    "onnx": write_onnx,
}
