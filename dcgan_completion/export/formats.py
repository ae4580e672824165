"""The formats of other programs: networks are written, and what was written can be run to check it.

SavedModel, TensorFlow's own; TFLite, for LiteRT on phones and small machines; ONNX.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from dcgan_completion import cli, utils
from dcgan_completion.export.networks import FILES, Arrays, Network

OPSET = 18  # of ONNX
LOGGERS = ("absl", "tensorflow", "tf2onnx")
CLOSE, CLOSE_FLOAT16 = 1e-4, 1e-2  # see `Exported.tolerance`


class Exported(NamedTuple):
    """A network that was written.

    Attributes:
      file: its name in the folder of the export, or that of its signature there.
      network: what it was written from.
      run: computes its outputs with the program that the format is for.
      tolerance: how much its outputs may differ from the network's, as
        `export_networks.difference` measures it.
    """

    file: str
    network: Network
    run: Callable[[Arrays], Arrays]
    tolerance: float = CLOSE


# Networks and a folder -> what was written there.
Writer = Callable[[Sequence[Network], str], list[Exported]]


def write_savedmodel(networks: Sequence[Network], folder: str) -> list[Exported]:
    """Writes one SavedModel whose signatures are the networks, by their names."""
    functions = {network.name: network.traced().get_concrete_function() for network in networks}
    with _quiet():
        tf.saved_model.save(_module_of(*functions.values()), folder, signatures=functions)
    loaded = tf.saved_model.load(folder)  # its signatures alone would not hold the weights

    def runner(name: str) -> Callable[[Arrays], Arrays]:
        def run(inputs: Arrays) -> Arrays:
            outputs = loaded.signatures[name](**{key: tf.constant(x) for key, x in inputs.items()})
            return {key: value.numpy() for key, value in outputs.items()}

        return run

    return [Exported(f"signature {n.name}", n, runner(n.name)) for n in networks]


def _module_of(*functions: tf.types.experimental.ConcreteFunction) -> tf.Module:
    """A module from which all variables of some functions are reached, as savers want it."""
    module = tf.Module()
    module.used = [variable for function in functions for variable in function.variables]
    return module


def write_tflite(networks: Sequence[Network], folder: str) -> list[Exported]:
    """Writes each network as two files: with weights of 32 bits, and of 16."""
    written = []
    for network in networks:
        for half in (False, True):
            file = f"{FILES[network.name]}{'-float16' if half else ''}.tflite"
            content = _to_tflite(network, half)
            with utils.replacing(os.path.join(folder, file)) as path, open(path, "wb") as out:
                out.write(content)
            run = _tflite_runner(content)
            written.append(Exported(file, network, run, CLOSE_FLOAT16 if half else CLOSE))
    return written


def _to_tflite(network: Network, half: bool) -> bytes:
    """A network converted by TensorFlow, with one signature, whose batch can be resized."""
    function = network.traced().get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], _module_of(function))
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with _quiet():
        return converter.convert()


def _tflite_runner(content: bytes) -> Callable[[Arrays], Arrays]:
    def run(inputs: Arrays) -> Arrays:
        from ai_edge_litert.interpreter import Interpreter

        # Its runner of signatures resizes the inputs to what they are given.
        interpreter = Interpreter(model_content=content)
        with _quiet():
            return dict(interpreter.get_signature_runner()(**inputs))

    return run


def write_onnx(networks: Sequence[Network], folder: str) -> list[Exported]:
    """Writes each network as a file of ONNX, images [N, S, S, C] as everywhere here."""
    written = []
    for network in networks:
        file = f"{FILES[network.name]}.onnx"
        content = _to_onnx(network)
        with utils.replacing(os.path.join(folder, file)) as path, open(path, "wb") as out:
            out.write(content)
        written.append(Exported(file, network, _onnx_runner(content)))
    return written


def _to_onnx(network: Network) -> bytes:
    """A network converted by tf2onnx, the first axis of inputs and outputs named N."""
    import tf2onnx

    with _quiet():
        proto, _ = tf2onnx.convert.from_function(
            network.traced(), input_signature=network.signature, opset=OPSET
        )
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    return proto.SerializeToString()


def _onnx_runner(content: bytes) -> Callable[[Arrays], Arrays]:
    def run(inputs: Arrays) -> Arrays:
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Holds back what converters log and print that is for their programmers."""
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
