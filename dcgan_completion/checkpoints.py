"""Find, choose, check and load trained models on disk; generate images with them.

A model is a folder with TensorFlow checkpoints and the config.json beside them.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import itertools
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from dcgan_completion import runs
from dcgan_completion.encoders import ContextEncoder, count_encoder_weights
from dcgan_completion.model import DCGAN, count_weights
from dcgan_completion.ops import Network
from dcgan_completion.photo_encoder import PhotoEncoder, count_photo_encoder_weights
from dcgan_completion.settings.model_folder import ENCODER_FOLDER, PHOTO_ENCODER_FOLDER
from dcgan_completion.utils import UserError, check_name, check_regular, to_uint8

logger = logging.getLogger(__name__)

Encoder = TypeVar("Encoder", ContextEncoder, PhotoEncoder)


def _shipped_folder() -> str:
    """Return the shipped model's folder: in the package if it is installed, else beside it."""
    package = os.path.dirname(os.path.realpath(__file__))
    installed = os.path.join(package, "data", "pretrained")
    beside = os.path.join(os.path.dirname(package), "data", "pretrained")
    return installed if os.path.isdir(installed) else beside


# Subfolder -> the network in it.
ENCODERS = {ENCODER_FOLDER: "context encoder", PHOTO_ENCODER_FOLDER: "photo encoder"}
LICENCE = "LICENSE"  # beside a model that is not free for every use
STATE = "checkpoint"  # TensorFlow's list of the checkpoints in a folder
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"  # of a variable's key in a checkpoint
MAX_WEIGHTS = 2**29  # of all networks of a model: 2 GiB
DEFAULT = "checkpoint"
# Network -> the script that trains it.
TRAINED_BY = {
    "DCGAN": "./train-dcgan.py",
    "context encoder": "./train-context-encoder.py",
    "photo encoder": "./train-context-encoder.py --for-photos",
}
SHIPPED = _shipped_folder()


def holds_checkpoint(folder: str) -> bool:
    """Return whether there is a TensorFlow checkpoint in `folder`, of any program.

    Raises:
      UserError: it has another program's config.json.
    """
    runs.read_config(folder)
    return _newest(folder) is not None


def _newest(folder: str) -> str | None:
    """Return the path prefix of the checkpoint that a folder's STATE names, if it exists.

    tf.train.latest_checkpoint does the same, but logs an error of its own where it does not. A
    checkpoint of TensorFlow before 1.0, such as the tutorial's, is a file without a suffix.

    Raises:
      UserError: STATE is damaged, or names something outside its folder.
    """
    path, own = os.path.join(folder, STATE), os.path.realpath(folder)
    check_name(path, "TensorFlow")
    if not os.path.lexists(path) or os.path.isdir(path):
        return None
    check_regular(path)
    stray: list[str] = []
    try:
        state = tf.train.get_checkpoint_state(folder)
        named = [state.model_checkpoint_path, *state.all_model_checkpoint_paths] if state else []
        stray = [p for p in named if os.path.realpath(os.path.dirname(p) or ".") != own]
    except ValueError:  # not a protocol buffer, not UTF-8, or an impossible path
        state = None
    if state is None:
        raise UserError(
            f"{path}: is damaged, not a list of TensorFlow's checkpoints; name one of them, or "
            "another folder"
        )
    if stray:
        raise UserError(
            f"{path}: names a checkpoint in another folder ({stray[0]!r}); a model's files must be "
            "in one folder: name that"
        )
    prefix = state.model_checkpoint_path
    return prefix if any(map(os.path.isfile, (f"{prefix}.index", prefix))) else None


def licence_note(path: str) -> str:
    """Return a line on the licence of the model that `path` names if it ships, else ""."""
    folders = (os.path.realpath(folder) for folder in (path, os.path.dirname(path)))
    if os.path.realpath(SHIPPED) not in folders:
        return ""
    text = os.path.join(os.path.relpath(SHIPPED), LICENCE)
    return f"using the shipped model, for non-commercial research only ({text})"


def select_model(path: str | None) -> str:
    """Choose the model to use, and log the licence of the shipped one.

    A path that was named is taken; else ./checkpoint if it holds a model, else the shipped one.
    """
    if path is None and not holds_checkpoint(DEFAULT) and holds_checkpoint(SHIPPED):
        logger.info("no model in ./%s: %s", DEFAULT, licence_note(SHIPPED))
        return SHIPPED
    path = path or DEFAULT
    if note := licence_note(path):
        logger.info(note)
    return path


def describe_choice(asked: str | None, prefix: str) -> str:
    """Describe the checkpoint `prefix`; name the shipped model if it could have been used.

    `asked` is the path that was named, or None, as for `select_model`.
    """
    if asked is not None or licence_note(prefix) or not holds_checkpoint(SHIPPED):
        return prefix
    return f"{prefix} (for the shipped model: --checkpoint-dir {os.path.relpath(SHIPPED)})"


def find_checkpoint(
    path: str, flag: str = "--checkpoint-dir", network: str = "DCGAN"
) -> tuple[str, dict[str, Any]]:
    """Find the checkpoint that `path` names: a folder (its newest) or one of its checkpoints.

    Args:
      path: as above.
      flag: the option that names it.
      network: its network, of TRAINED_BY.

    Returns:
      The checkpoint's path prefix, such as checkpoint/ckpt-12000, and the folder's config.

    Raises:
      UserError: there is none, another program wrote it, or it is of another network.
    """
    if os.path.isdir(path):
        folder, prefix = path, _newest(path)
    else:
        for suffix in (".index", ".data-00000-of-00001"):
            path = path.removesuffix(suffix)
        folder, prefix = os.path.dirname(path) or ".", path
        if not os.path.exists(f"{path}.index"):
            prefix = None
        check_name(path, "TensorFlow")
    if prefix is None:
        raise UserError(
            f"{flag} {path}: holds no checkpoint; train a model first "
            f"({TRAINED_BY[network]} --dataset FOLDER) or name the folder of one"
        )
    config = runs.read_config(folder)
    if config is None or "architecture" not in config:
        raise UserError(
            f"{flag} {path}: the checkpoint there has no {runs.CONFIG} of {runs.PROGRAM}; "
            "another program wrote it, and its architecture is unknown"
        )
    source = os.path.join(folder, runs.CONFIG)
    found = _network_of(config["architecture"], network)
    if found != network:
        raise UserError(
            f"{flag} {path}: the checkpoint there is a {found}'s, not a {network}'s; encoders are "
            f"in the subfolders {' and '.join(ENCODERS)} of their DCGAN's folder"
        )
    check_architecture(config["architecture"], source, network)
    for file in (f"{prefix}.index", *glob.glob(f"{glob.escape(prefix)}.data-*")):
        if os.path.lexists(file):
            check_regular(file)
    return prefix, config


def _folder_of(path: str) -> str:
    """Return the folder that `path` names, or that its checkpoint is in."""
    return path if os.path.isdir(path) else os.path.dirname(path) or "."


def encoder_folder(path: str, name: str = ENCODER_FOLDER) -> str | None:
    """Return the folder of an encoder of the DCGAN that `path` names; None without one.

    `path` is as for `find_checkpoint`; loading the encoder checks whether it can be used.
    """
    folder = os.path.join(_folder_of(path), name)
    return folder if os.path.lexists(folder) else None


def copy_licence(prefix: str, folder: str) -> None:
    """Copy the LICENSE beside the model of the checkpoint `prefix` to a folder, if there is one.

    That of an encoder in a DCGAN's folder is beside the DCGAN.
    """
    own = os.path.dirname(os.path.abspath(prefix))
    around = [os.path.dirname(own)] if os.path.basename(own) in ENCODERS else []
    for place in (own, *around):
        path = os.path.join(place, LICENCE)
        if os.path.isfile(path):
            shutil.copyfile(path, os.path.join(folder, LICENCE))
            return


def network_at(path: str) -> str:
    """Return which of TRAINED_BY the checkpoint that `path` names is of; DCGAN if it is unclear.

    Raises:
      UserError: it has another program's config.json.
    """
    config = runs.read_config(_folder_of(path)) or {}
    return _network_of(config.get("architecture"), "DCGAN")


def _network_of(architecture: Any, default: str) -> str:
    """Return the first of TRAINED_BY that has all the names by which an architecture is known."""
    names = set(architecture) if isinstance(architecture, Mapping) else set()
    own = {name: {*made.ARCHITECTURE} - _SHARED for name, (made, _) in _NETWORKS.items()}
    known = names & set().union(*own.values())
    found = [network for network, its in own.items() if known and known <= its]
    return found[0] if found else default


def check_architecture(architecture: Any, source: str, network: str = "DCGAN") -> None:
    """Check an architecture before memory is allocated for its networks.

    Args:
      architecture: should be a mapping with the ARCHITECTURE of `DCGAN` or `ContextEncoder`.
      source: where it is from, for the error.
      network: of TRAINED_BY.

    Raises:
      UserError: it is not, or the networks would be too large.
    """
    made, count = _NETWORKS[network]
    widths = [name for name in made.ARCHITECTURE if name not in _ALLOWED]
    if not isinstance(architecture, Mapping):
        raise UserError(
            f"{source}: its architecture must be a JSON object, not {_short(architecture)}"
        )
    for name in made.ARCHITECTURE:
        allowed = _ALLOWED.get(name, ())
        wanted = _one_of(allowed) if allowed else "a whole number above 0"
        if name not in architecture:
            raise UserError(f"{source}: its architecture has no {name}; it must be {wanted}")
        value = architecture[name]
        if type(value) is not int or not (value in allowed if allowed else value > 0):
            raise UserError(f"{source}: {name} is {_short(value)}; it must be {wanted}")
    if unknown := architecture.keys() - {*made.ARCHITECTURE}:
        raise UserError(f"{source}: its architecture has an unknown {_short(min(unknown))}")
    if count(**architecture) > MAX_WEIGHTS:
        raise UserError(
            f"{source}: its networks would have more than {MAX_WEIGHTS} weights, 2 GiB; lower "
            f"{_one_of(widths)}"
        )


# Network -> its class, and the function that counts its weights.
_NETWORKS: dict[str, tuple[type[Network], Callable[..., int]]] = {
    "DCGAN": (DCGAN, count_weights),
    "context encoder": (ContextEncoder, count_encoder_weights),
    "photo encoder": (PhotoEncoder, count_photo_encoder_weights),
}
_SIZES = (16, 32, 64, 128)
_ALLOWED = {"image_size": _SIZES, "first_size": _SIZES, "channels": (1, 3)}  # all else: above 0
_SHARED = {"image_size", "channels"}  # that tell nothing of the network


def _one_of(choices: Sequence[Any]) -> str:
    """Join choices for an error message: 1, 2 or 3."""
    return " or ".join(", ".join(map(str, part)) for part in (choices[:-1], choices[-1:]) if part)


def _short(value: Any) -> str:
    """Shorten a value from a file for an error message."""
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."


@contextlib.contextmanager
def reading_checkpoint(prefix: str) -> Iterator[None]:
    """Turn TensorFlow's errors on a damaged checkpoint into a UserError."""
    try:
        yield
    except (tf.errors.OpError, ValueError, AssertionError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{prefix}: does not fit the networks that its {runs.CONFIG} describes, or is damaged "
            f"({reason})"
        ) from error


def load_model(path: str, compute_dtype: str = "float32") -> tuple[DCGAN, str]:
    """Load the networks of the checkpoint that `path` names, the generator with the EMA's weights.

    Returns:
      The networks, and the checkpoint's path prefix.

    Raises:
      UserError: as `find_checkpoint`; or the checkpoint is damaged, of another architecture, or
        of a training that has diverged.
    """
    prefix, config = find_checkpoint(path)
    runs.check_sums(os.path.dirname(prefix))
    model = DCGAN(**config["architecture"], compute_dtype=compute_dtype)
    with reading_checkpoint(prefix):
        contents = inference_checkpoint(model.g, model.d)
        contents.restore(prefix).expect_partial().assert_existing_objects_matched()
    _check_finite(prefix, model.g, model.d)
    return model, prefix


def load_context_encoder(path: str, compute_dtype: str = "float32") -> tuple[ContextEncoder, str]:
    """Load the context encoder of the checkpoint that `path` names, as `load_model`."""
    encoder, prefix, config = _load_encoder(ContextEncoder, path, compute_dtype, "context encoder")
    options = config.get("options")
    encoder.symmetric = isinstance(options, Mapping) and options.get("flip") is True
    return encoder, prefix


def load_photo_encoder(path: str, compute_dtype: str = "float32") -> tuple[PhotoEncoder, str]:
    """Load the photo encoder of the checkpoint that `path` names, as `load_model`."""
    encoder, prefix, _ = _load_encoder(PhotoEncoder, path, compute_dtype, "photo encoder")
    return encoder, prefix


def _load_encoder(
    kind: type[Encoder], path: str, compute_dtype: str, network: str
) -> tuple[Encoder, str, dict[str, Any]]:
    """Load an encoder of a class, of TRAINED_BY; return its path prefix and config, too."""
    prefix, config = find_checkpoint(path, network=network)
    runs.check_sums(os.path.dirname(prefix))
    encoder = kind(**config["architecture"], compute_dtype=compute_dtype)
    with reading_checkpoint(prefix):
        read_ema(prefix, encoder.e)
    _check_finite(prefix, encoder.e)
    return encoder, prefix, config


def read_ema(prefix: str, variables: Mapping[str, tf.Variable]) -> None:
    """Assign a checkpoint's EMA, in 16 or 32 bits; call it in `reading_checkpoint`."""
    reader = tf.train.load_checkpoint(prefix)
    for name, variable in variables.items():
        stored = reader.get_tensor(f"averaged/{name}{SUFFIX}")
        variable.assign(np.asarray(stored, np.float32))


def inference_checkpoint(
    g: dict[str, tf.Variable], d: dict[str, tf.Variable]
) -> tf.train.Checkpoint:
    """Make the checkpoint of what inference needs, which is all that a shipped model holds."""
    return tf.train.Checkpoint(averaged=g, model=tf.train.Checkpoint(d=d))


def _check_finite(prefix: str, *networks: Mapping[str, tf.Variable]) -> None:
    """Raise UserError if a checkpoint's weights are of a training that has diverged."""
    for name, variable in itertools.chain.from_iterable(network.items() for network in networks):
        if not np.isfinite(variable.numpy()).all():
            raise UserError(
                f"{prefix}: holds weights that are not finite ({name}): the training had diverged; "
                "name an earlier checkpoint"
            )


def network_hash(architecture: Mapping[str, Any], *networks: Mapping[str, tf.Variable]) -> str:
    """Hash networks by SHA-256, whatever file they came from.

    Args:
      architecture: such as `DCGAN.architecture`.
      networks: the variables of each by name, such as `DCGAN.g` and `DCGAN.d`; their order matters.
    """
    digest = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode())
    for network in networks:
        for name in sorted(network):
            digest.update(name.encode() + network[name].numpy().tobytes())
    return digest.hexdigest()


# Without AutoGraph, which would read the source again, at a time when it may have been edited.
@tf.function(reduce_retracing=True, autograph=False)
def _generate(model: DCGAN, z: tf.Tensor, weights: dict[str, tf.Variable] | None) -> tf.Tensor:
    return model.generator(z, weights=weights)


def generate(
    model: DCGAN,
    z: np.ndarray,
    batch_size: int = 64,
    weights: dict[str, tf.Variable] | None = None,
) -> np.ndarray:
    """Generate images G(z), uint8 [N, S, S, C], for latents z [N, z_dim]; `batch_size` at a time.

    `weights` replace the generator's own, as in `DCGAN.generator`.
    """
    batches = np.split(np.asarray(z, np.float32), range(batch_size, len(z), batch_size))
    return np.concatenate(
        [to_uint8(_generate(model, tf.constant(batch), weights)) for batch in batches]
    )


@tf.function(reduce_retracing=True, autograph=False)
def _estimate(
    encoder: ContextEncoder,
    images: tf.Tensor,
    mask: tf.Tensor,
    weights: dict[str, tf.Variable] | None,
) -> tf.Tensor:
    return encoder.estimate(images, mask, weights=weights)


def estimate(
    encoder: ContextEncoder,
    images: np.ndarray,
    mask: np.ndarray,
    batch_size: int = 64,
    weights: dict[str, tf.Variable] | None = None,
) -> np.ndarray:
    """Apply `ContextEncoder.estimate` to images, `batch_size` at a time; as `images`, float32.

    Args:
      encoder: the network.
      images: [N, S, S, C] in [-1, 1].
      mask: [N, S, S, 1], 1 = known, 0 = missing.
      batch_size: images at a time.
      weights: replace the encoder's own.
    """
    ends = range(batch_size, len(images), batch_size)
    batches = zip(np.split(images, ends), np.split(mask, ends), strict=True)
    parts = [
        _estimate(encoder, tf.constant(some, tf.float32), tf.constant(known, tf.float32), weights)
        for some, known in batches
    ]
    return np.concatenate(parts)
