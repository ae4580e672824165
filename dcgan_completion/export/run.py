"""A run of export.py: networks are loaded, written to a new folder, verified, and recorded."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_completion import checkpoints, runs
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.export import networks as export_networks
from dcgan_completion.export.formats import WRITERS, Exported
from dcgan_completion.export.networks import Network
from dcgan_completion.inpaint.estimator import load_encoder_for
from dcgan_completion.model import DCGAN
from dcgan_completion.photo_encoder import PhotoEncoder
from dcgan_completion.settings.export import EXTRAS
from dcgan_completion.settings.model_folder import PHOTO_ENCODER_FOLDER
from dcgan_completion.utils import UserError

BATCHES = (1, 7)  # sizes of the batches with which the written networks are verified

logger = logging.getLogger(__name__)


def networks_for(
    name: str,
    model: DCGAN,
    encoder: ContextEncoder | None,
    photo_encoder: PhotoEncoder | None = None,
) -> list[Network]:
    """List what is exported in a format of `WRITERS`, with the encoders that there are."""
    networks = {
        "savedmodel": (
            export_networks.generate(model, with_pixels=True),
            export_networks.discriminate(model),
            export_networks.completion_loss(model),
        ),
        "tflite": (export_networks.generate(model),),
        "onnx": (export_networks.generate(model), export_networks.discriminate(model)),
    }[name]
    encoders = [export_networks.estimate(encoder)] if encoder else []
    encoders += [export_networks.draw_heads(photo_encoder)] if photo_encoder else []
    return [*networks, *encoders]


def export(name: str, path: str, out: str) -> None:
    """Write the model that `path` names to a new folder, in a format of `WRITERS`.

    Its encoders and the LICENSE beside the model are included, if there are any. The folder appears
    when all networks are written, and agree with the originals; a line on each is logged.

    Raises:
      UserError: as `checkpoints.load_model` and `checkpoints.load_context_encoder`; or a written
        network disagrees with the original.
    """
    model, prefix = checkpoints.load_model(path)
    inside = checkpoints.encoder_folder(prefix)
    encoder = load_encoder_for(model, inside) if inside else None
    inside = checkpoints.encoder_folder(prefix, PHOTO_ENCODER_FOLDER)
    photo_encoder = checkpoints.load_photo_encoder(inside)[0] if inside else None
    parent = os.path.dirname(os.path.abspath(out))
    os.makedirs(parent, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=parent) as temporary:
        whole = os.path.join(temporary, "model")
        os.mkdir(whole)
        written = WRITERS[name](networks_for(name, model, encoder, photo_encoder), whole)
        lines = [_verify(one, name, whole) for one in written]
        checkpoints.copy_licence(prefix, whole)
        architectures = {
            "architecture": model.architecture,
            "context_encoder": encoder and encoder.architecture,
            "photo_encoder": photo_encoder and photo_encoder.architecture,
        }
        runs.write_config(whole, _record(name, prefix, architectures, written))
        os.rename(whole, out)
    for line in lines:
        logger.info(os.path.join(out, line))


def _verify(exported: Exported, name: str, folder: str) -> str:
    """Compare a written network with the original; returns a line on its size and its error.

    Raises:
      UserError: their outputs differ too much.
    """
    rng, network, worst = np.random.default_rng(0), exported.network, 0.0
    for number in BATCHES:
        inputs = network.example(number, rng)
        error = export_networks.difference(exported.run(inputs), network.run(inputs))
        worst = max(worst, error)
        if error > exported.tolerance:
            versions = ", ".join(f"{k} {v}" for k, v in _packages(name).items())
            raise UserError(
                f"--format {name}: for {number} images, {exported.file} differs from the original "
                f"by {error:.1g}, more than {exported.tolerance:g}, with {versions}; nothing was "
                "written; try other versions, or another --format"
            )
    path = os.path.join(folder, exported.file)
    size = f"{os.path.getsize(path) / 1e6:.1f} MB, " if os.path.isfile(path) else ""
    return f"{exported.file}: {size}differs from the original by at most {worst:.1g}"


def _packages(name: str) -> dict[str, str | None]:
    """Look up the versions of the packages that convert and run a format."""
    return runs.versions(("tensorflow", *EXTRAS.get(name, {}).values()))


def _record(
    name: str,
    prefix: str,
    architectures: dict[str, Any],
    written: Sequence[Exported],
) -> dict[str, Any]:
    """Make the content of config.json, without paths, which mean nothing elsewhere."""
    return {
        "format": name,
        "checkpoint": os.path.basename(prefix),
        **architectures,
        "networks": {one.file: _interface(one.network) for one in written},
        "packages": runs.versions(runs.PACKAGES) | _packages(name),
    }


def _interface(network: Network) -> dict[str, dict[str, str]]:
    """Describe inputs and outputs of a network by name: type and shape, N for any number."""

    def described(spec: tf.TensorSpec) -> str:
        sizes = ["N" if size is None else str(size) for size in spec.shape]
        return f"{spec.dtype.name} [{', '.join(sizes)}]"

    outputs = network.traced().get_concrete_function().structured_outputs
    return {
        "inputs": {key: described(spec) for key, spec in network.inputs.items()},
        "outputs": {key: described(spec) for key, spec in outputs.items()},
    }
