"""Trained models on disk: found, chosen, checked, loaded; images drawn with them.

A model is a folder with TensorFlow checkpoints and the config.json beside them.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dcgan_completion import runs
from dcgan_completion.encoders import ContextEncoder, count_encoder_weights
from dcgan_completion.model import DCGAN, count_weights
from dcgan_completion.utils import UserError, check_name, check_regular, to_uint8


def _shipped_folder() -> str:
    """The folder of the model that ships: in the package if it is installed, else beside it."""
    package = os.path.dirname(os.path.abspath(__file__))
    installed = os.path.join(package, "data", "pretrained")
    beside = os.path.join(os.path.dirname(package), "data", "pretrained")
    return installed if os.path.isdir(installed) else beside


ENCODER_FOLDER = "context-encoder"  # in a DCGAN's folder: that of its context encoder
LICENCE = "LICENSE"  # beside a model that is not free for every use
STATE = "checkpoint"  # TensorFlow's file in a folder: which checkpoints are there
MOST_WEIGHTS = 2**29  # of all networks of a model: 2 GiB
DEFAULT = "checkpoint"
# What is trained, and by which script.
TRAINED_BY = {"DCGAN": "./train-dcgan.py", "context encoder": "./train-context-encoder.py"}
SHIPPED = _shipped_folder()


def holds_checkpoint(folder: str) -> bool:
    """Whether there is a TensorFlow checkpoint in `folder`, of whatever program.

    Raises:
      UserError: another program's config.json is there.
    """
    runs.read_config(folder)
    return _newest(folder) is not None


def _newest(folder: str) -> str | None:
    """Path prefix of the checkpoint that a folder's file `checkpoint` names, if it is there.

    tf.train.latest_checkpoint does the same, but logs an error of its own where it is not. The
    file without a suffix is a checkpoint of TensorFlow before 1.0, such as the tutorial's.

    Raises:
      UserError: that file is damaged, or names what is not in its own folder.
    """
    path, own = os.path.join(folder, STATE), os.path.realpath(folder)
    check_name(path, "TensorFlow")
    if not os.path.lexists(path) or os.path.isdir(path):
        return None
    check_regular(path)
    try:
        state = tf.train.get_checkpoint_state(folder)
        named = [state.model_checkpoint_path, *state.all_model_checkpoint_paths] if state else []
        stray = [p for p in named if os.path.realpath(os.path.dirname(p) or ".") != own]
    except ValueError:  # no protocol buffer, not UTF-8, or a path that cannot be one
        state = None
    if state is None:
        raise UserError(
            f"{path}: is damaged, no list of TensorFlow's checkpoints; name one of them itself, or "
            "another folder"
        )
    if stray:
        raise UserError(
            f"{path}: names a checkpoint in another folder ({stray[0]!r}); a model's files lie in "
            "one folder: name that"
        )
    prefix = state.model_checkpoint_path
    return prefix if any(map(os.path.isfile, (f"{prefix}.index", prefix))) else None


def licence_note(path: str) -> str:
    """A line on what the model that `path` names may be used for, if it is the shipped one."""
    folders = (os.path.realpath(folder) for folder in (path, os.path.dirname(path)))
    if os.path.realpath(SHIPPED) not in folders:
        return ""
    text = os.path.join(os.path.relpath(SHIPPED), LICENCE)
    return f"using the shipped model, for non-commercial research only ({text})"


def select_model(path: str | None) -> tuple[str, str]:
    """The model to use, and a line about it for the user (empty: nothing to say).

    A path that was named is taken; else ./checkpoint if it holds a model, else the shipped one.
    """
    if path is not None or holds_checkpoint(DEFAULT) or not holds_checkpoint(SHIPPED):
        path = path or DEFAULT
        return path, licence_note(path)
    return SHIPPED, f"no model in ./checkpoint: {licence_note(SHIPPED)}"


def describe_choice(asked: str | None, prefix: str) -> str:
    """A checkpoint that was used, for the user; with the other choice where it was by default.

    Args:
      asked: the path that was named, or None, as for `select_model`.
      prefix: of the checkpoint.
    """
    if asked is not None or licence_note(prefix) or not holds_checkpoint(SHIPPED):
        return prefix
    return f"{prefix} (--checkpoint-dir {os.path.relpath(SHIPPED)}: by the model that ships)"


def find_checkpoint(
    path: str, flag: str = "--checkpoint-dir", network: str = "DCGAN"
) -> tuple[str, dict[str, Any]]:
    """The checkpoint that `path` names: a folder (its newest) or one of its checkpoints.

    Args:
      path: as above.
      flag: the option that names it.
      network: what it must be a checkpoint of, of TRAINED_BY.

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
            "another program wrote it, and its networks are not known"
        )
    source = os.path.join(folder, runs.CONFIG)
    found = _network_of(config["architecture"], network)
    if found != network:
        raise UserError(
            f"{flag} {path}: the checkpoint there is a {found}'s, not a {network}'s; a DCGAN's "
            f"folder has that of its context encoder, {ENCODER_FOLDER}, inside"
        )
    check_architecture(config["architecture"], source, network)
    for file in (f"{prefix}.index", *glob.glob(f"{glob.escape(prefix)}.data-*")):
        if os.path.lexists(file):
            check_regular(file)
    return prefix, config


def _folder_of(path: str) -> str:
    """The folder that `path` names, or that its checkpoint lies in."""
    return path if os.path.isdir(path) else os.path.dirname(path) or "."


def encoder_folder(path: str) -> str | None:
    """The folder of the context encoder inside the DCGAN's that `path` names, None without one.

    Whether it can be used, `load_context_encoder` says. `path` is as for `find_checkpoint`.
    """
    folder = os.path.join(_folder_of(path), ENCODER_FOLDER)
    return folder if os.path.lexists(folder) else None


def copy_licence(prefix: str, folder: str) -> None:
    """Copies the LICENSE beside the model of the checkpoint `prefix` to a folder, if there is one.

    That of a context encoder inside a DCGAN's folder lies beside the DCGAN.
    """
    own = os.path.dirname(os.path.abspath(prefix))
    around = [os.path.dirname(own)] if os.path.basename(own) == ENCODER_FOLDER else []
    for place in (own, *around):
        path = os.path.join(place, LICENCE)
        if os.path.isfile(path):
            shutil.copyfile(path, os.path.join(folder, LICENCE))
            return


def network_at(path: str) -> str:
    """Which of TRAINED_BY the checkpoint that `path` names is of, where that is plain; else DCGAN.

    Raises:
      UserError: another program's config.json is there.
    """
    config = runs.read_config(_folder_of(path)) or {}
    return _network_of(config.get("architecture"), "DCGAN")


def _network_of(architecture: Any, asked: str) -> str:
    """Which of TRAINED_BY an architecture is of; the one `asked` for, if it is not plainly another.

    It is plainly one's if it has a name that this network alone has, and none that another has.
    """
    names = set(architecture) if isinstance(architecture, Mapping) else set()
    named = {
        network: names.intersection(width for width, _, _ in parts.widths[len(_IMAGES) :])
        for network, parts in _PARTS.items()
    }
    found = [network for network, own in named.items() if own]
    return found[0] if len(found) == 1 else asked


def check_architecture(architecture: Any, source: str, network: str = "DCGAN") -> None:
    """Looks at what networks are to be made of, before memory is taken for them.

    Args:
      architecture: a mapping of the arguments of `DCGAN` or `ContextEncoder`, if all is well.
      source: what says so, for the error.
      network: of TRAINED_BY, what is to be made.

    Raises:
      UserError: it is none; or the networks are too large to be meant.
    """
    parts = _PARTS[network]
    if not isinstance(architecture, Mapping):
        raise UserError(
            f"{source}: its architecture is not a list of widths, but {_short(architecture)}"
        )
    for name, whether, wanted in parts.widths:
        if name not in architecture:
            raise UserError(f"{source}: its architecture has no {name}; it must be {wanted}")
        value = architecture[name]
        if type(value) is not int or not whether(value):
            raise UserError(f"{source}: {name} is {_short(value)}; it must be {wanted}")
    if unknown := architecture.keys() - {name for name, _, _ in parts.widths}:
        raise UserError(f"{source}: its architecture has an unknown {_short(min(unknown))}")
    weights = parts.count(**architecture)
    if weights > MOST_WEIGHTS:
        raise UserError(
            f"{source}: its networks would have more than {MOST_WEIGHTS} weights, 2 GiB; lower "
            f"{parts.remedy}"
        )


Width = tuple[str, Callable[[int], bool], str]  # its name, whether a number can be it, what can


class _Parts(NamedTuple):
    """What an architecture consists of: its widths, how many weights follow, what to lower."""

    widths: tuple[Width, ...]
    count: Callable[..., int]
    remedy: str


def _positive(name: str) -> Width:
    return name, lambda v: v > 0, "a whole number above 0"


_IMAGES: tuple[Width, ...] = (
    ("image_size", lambda v: v in (16, 32, 64, 128), "16, 32, 64 or 128"),
    ("channels", lambda v: v in (1, 3), "1 or 3"),
)
_PARTS = {
    "DCGAN": _Parts(
        (*_IMAGES, *map(_positive, ("z_dim", "gf_dim", "df_dim"))),
        count_weights,
        "z_dim, gf_dim or df_dim",
    ),
    "context encoder": _Parts((*_IMAGES, _positive("width")), count_encoder_weights, "width"),
}


def _short(value: Any) -> str:
    """A value from a file, for an error: not longer than a line."""
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."


@contextlib.contextmanager
def reading_checkpoint(prefix: str) -> Iterator[None]:
    """Turns what TensorFlow raises on a damaged checkpoint into a UserError."""
    try:
        yield
    except (tf.errors.OpError, ValueError, AssertionError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{prefix}: does not fit the networks its {runs.CONFIG} describes, or is damaged "
            f"({reason})"
        ) from error


def load_model(path: str, compute_dtype: str = "float32") -> tuple[DCGAN, str]:
    """The networks of the checkpoint that `path` names, for use, and its path prefix.

    The generator is the averaged one.

    Raises:
      UserError: as `find_checkpoint`; or the checkpoint is damaged, of another architecture, or
        of a training that has broken down.
    """
    prefix, config = find_checkpoint(path)
    runs.check_sums(os.path.dirname(prefix))
    model = DCGAN(**config["architecture"], compute_dtype=compute_dtype)
    with reading_checkpoint(prefix):
        inference_checkpoint(model.g, model.d).restore(
            prefix
        ).expect_partial().assert_existing_objects_matched()
    for variables in (model.g, model.d):
        _check_finite(variables, prefix)
    return model, prefix


def load_context_encoder(path: str, compute_dtype: str = "float32") -> tuple[ContextEncoder, str]:
    """The context encoder of the checkpoint that `path` names, with averaged weights; its prefix.

    Args:
      path: as for `find_checkpoint`; a DCGAN's folder has the encoder's, ENCODER_FOLDER, inside.
      compute_dtype: as for `ContextEncoder`.

    Raises:
      UserError: as `load_model`.
    """
    prefix, config = find_checkpoint(path, network="context encoder")
    runs.check_sums(os.path.dirname(prefix))
    encoder = ContextEncoder(**config["architecture"], compute_dtype=compute_dtype)
    options = config.get("options")
    encoder.symmetric = isinstance(options, Mapping) and options.get("flip") is True
    with reading_checkpoint(prefix):
        read_averaged(prefix, encoder.e)
    _check_finite(encoder.e, prefix)
    return encoder, prefix


def read_averaged(prefix: str, variables: Mapping[str, tf.Variable]) -> None:
    """Gives variables a checkpoint's averaged weights of 16 or 32 bits, in `reading_checkpoint`."""
    reader = tf.train.load_checkpoint(prefix)
    for name, variable in variables.items():
        stored = reader.get_tensor(f"averaged/{name}/.ATTRIBUTES/VARIABLE_VALUE")
        variable.assign(np.asarray(stored, np.float32))


def network_hash(architecture: Mapping[str, Any], *networks: Mapping[str, tf.Variable]) -> str:
    """SHA-256 of networks, whatever file they came from: it changes with any of their weights.

    Args:
      architecture: such as `DCGAN.architecture`.
      networks: the variables of each by name, such as `DCGAN.g` and `DCGAN.d`; their order counts.
    """
    digest = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode())
    for network in networks:
        for name in sorted(network):
            digest.update(name.encode() + network[name].numpy().tobytes())
    return digest.hexdigest()


def _check_finite(variables: Mapping[str, tf.Variable], prefix: str) -> None:
    """Raises UserError if a checkpoint's weights are of a training that has broken down."""
    for name, variable in variables.items():
        if not np.isfinite(variable.numpy()).all():
            raise UserError(
                f"{prefix}: holds weights that are not finite ({name}): the training had broken "
                "down; name an earlier checkpoint"
            )


def inference_checkpoint(
    g: dict[str, tf.Variable], d: dict[str, tf.Variable]
) -> tf.train.Checkpoint:
    """What completion and sampling need of a checkpoint, and all that a shipped model holds."""
    return tf.train.Checkpoint(averaged=g, model=tf.train.Checkpoint(d=d))


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
    """Pictures of G(z), uint8 [N, S, S, C], for latent z [N, z_dim]; `batch_size` at a time.

    `weights` stand in for the generator's own, as in `DCGAN.generator`.
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
    """What a context encoder makes of images, `batch_size` at a time: as `images`, float32.

    Args:
      encoder: the network.
      images: [N, S, S, C] in [-1, 1].
      mask: [N, S, S, 1], 1 = known, 0 = missing.
      batch_size: that many at a time.
      weights: stand in for the encoder's own, as in `ContextEncoder.estimate`.
    """
    ends = range(batch_size, len(images), batch_size)
    batches = zip(np.split(images, ends), np.split(mask, ends), strict=True)
    parts = [
        _estimate(encoder, tf.constant(some, tf.float32), tf.constant(known, tf.float32), weights)
        for some, known in batches
    ]
    return np.concatenate(parts)
