"""Checkpoints of a training: save, resume, start from other weights, export a model."""

from __future__ import annotations

import dataclasses
import glob
import itertools
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dcgan_completion import checkpoints, runs
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.model import DCGAN
from dcgan_completion.photo_encoder import PhotoEncoder
from dcgan_completion.settings import options
from dcgan_completion.settings.training import EncoderRules, PhotoEncoderRules, Rules
from dcgan_completion.training.loop import Trainer
from dcgan_completion.utils import UserError

logger = logging.getLogger(__name__)


def refuse_contradictions(
    given: Mapping[str, Any], stored: Mapping[str, Any], source: str, other: str
) -> None:
    """Raise UserError if a value contradicts that of a checkpoint.

    `given` values are what the user asked for, by the names of the options' fields; `stored` ones
    are those of the checkpoint `source`, which the option `other` has named.
    """
    for name, value in given.items():
        if name in stored and stored[name] != value:
            option = options.flag(name)
            raise UserError(
                f"{option} {value} contradicts the checkpoint {source}, which was trained "
                f"with {option} {stored[name]}; leave the option out, or name another {other}"
            )


def remove_leftovers(folder: str) -> None:
    """Remove the partial files of a process that was killed while it wrote a checkpoint."""
    for path in glob.glob(os.path.join(glob.escape(folder), "ckpt-*_temp*")):
        shutil.rmtree(path)
    for path in glob.glob(os.path.join(glob.escape(folder), "ckpt-*.data-*")):
        if not os.path.exists(path.rpartition(".data-")[0] + ".index"):
            os.remove(path)


class Checkpoints:
    """Saves a trainer into a folder as ckpt-STEP, keeps the newest ones, and restores it."""

    def __init__(self, trainer: Trainer, folder: str, keep: int = 5) -> None:
        self._step, self._folder, self._keep = trainer.step, folder, keep
        self._checkpoint = tf.train.Checkpoint(**trainer.checkpoint_contents())
        self._manager = self._new_manager()

    def _new_manager(self) -> tf.train.CheckpointManager:
        return tf.train.CheckpointManager(
            self._checkpoint, self._folder, max_to_keep=self._keep, checkpoint_name="ckpt"
        )

    @property
    def latest(self) -> str | None:
        """The path prefix of the newest checkpoint."""
        return self._manager.latest_checkpoint

    def restore(self, repair: bool = True) -> None:
        """Restore the newest checkpoint that can be read; warn of damaged newer ones.

        Args:
          repair: remove the damaged ones; for only one process of a training.

        Raises:
          UserError: none can be read, or they are of another architecture.
        """
        # The manager lists none where the folder's state file has no times (a copied checkpoint).
        prefixes = list(self._manager.checkpoints) or [p for p in [self.latest] if p]
        damaged = []
        problem: UserError | None = None
        while prefixes:
            try:
                with checkpoints.reading_checkpoint(prefixes[-1]):
                    self._checkpoint.restore(prefixes[-1]).expect_partial().assert_consumed()
                break
            except UserError as error:
                problem = problem or error
                damaged.append(prefixes.pop())
        if not prefixes:
            raise problem or UserError(f"{self._folder}: holds no checkpoint")
        for prefix in damaged:
            logger.warning("%s is damaged; going back to the checkpoint before it", prefix)
        if damaged and repair:
            # Relative paths: absolute ones would be kept, and a model's folder may be moved.
            paths = [os.path.relpath(prefix) for prefix in prefixes]
            folder = os.path.relpath(self._folder)
            tf.compat.v1.train.update_checkpoint_state(folder, paths[-1], paths)
            for path in itertools.chain(*(glob.glob(f"{glob.escape(p)}.*") for p in damaged)):
                os.remove(path)
            self._manager = self._new_manager()

    def save(self) -> str:
        """Save the trainer under its step, unless that is done; return the path prefix.

        Raises:
          UserError: it cannot be written; earlier checkpoints are intact.
        """
        step, latest = int(self._step.numpy()), self.latest
        if latest is not None and latest.endswith(f"ckpt-{step}"):
            return latest
        try:
            return self._manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{self._folder}: the checkpoint of step {step} cannot be written ({reason}); free "
                f"some disk space and run the command again: it resumes from {latest}"
            ) from error


def load_initial_weights(
    model: DCGAN | ContextEncoder | PhotoEncoder,
    ema: dict[str, tf.Variable],
    path: str,
    from_ema: bool = False,
) -> str:
    """Give a new training the weights of the checkpoint that `path` names.

    An exported model holds only the EMA of G or E; its own weights then start from that. A photo
    encoder may have grown: its new layers stay as they are.

    Args:
      model: the networks.
      ema: the EMA of the weights, by the names of `model.g` or `model.e`.
      path: as for `checkpoints.find_checkpoint`.
      from_ema: G's or E's own weights start from the EMA in any case.

    Returns:
      The checkpoint's path prefix.

    Raises:
      UserError: as `checkpoints.load_model`; or its architecture is not the model's.
    """
    networks = {DCGAN: "DCGAN", ContextEncoder: "context encoder", PhotoEncoder: "photo encoder"}
    own_tree, own = ("model/g", model.g) if isinstance(model, DCGAN) else ("model/e", model.e)
    prefix, config = checkpoints.find_checkpoint(path, "--init-from", networks[type(model)])
    stored = dict(config["architecture"])
    if isinstance(model, PhotoEncoder) and stored["image_size"] == model.first_size:
        stored |= {"image_size": model.image_size, "first_size": model.first_size}  # it grows
    refuse_contradictions(model.architecture, stored, prefix, "--init-from")
    runs.check_sums(os.path.dirname(prefix))
    with checkpoints.reading_checkpoint(prefix):
        names = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
        exported = not any(name.startswith(f"{own_tree}/") for name in names)
        if isinstance(model, PhotoEncoder):
            known = {n: v for n, v in ema.items() if f"averaged/{n}{checkpoints.SUFFIX}" in names}
            checkpoints.read_ema(prefix, known)
        elif exported and isinstance(model, ContextEncoder):
            checkpoints.read_ema(prefix, ema)
        else:
            checkpoint = tf.train.Checkpoint(model=model, averaged=ema)
            if exported and isinstance(model, DCGAN):
                checkpoint = checkpoints.inference_checkpoint(ema, model.d)
            checkpoint.restore(prefix).expect_partial().assert_existing_objects_matched()
    if exported or from_ema:
        for name, variable in own.items():
            variable.assign(ema[name])
    return prefix


class _Part(NamedTuple):
    """A network to export: the contents of its new checkpoint; prefix and config of its own."""

    contents: tf.train.Checkpoint
    prefix: str
    config: dict[str, Any]


def _read_dcgan(path: str) -> _Part:
    model, prefix = checkpoints.load_model(path)
    contents = checkpoints.inference_checkpoint(model.g, model.d)
    return _Part(contents, *checkpoints.find_checkpoint(prefix))


def _read_encoder(path: str, network: str) -> _Part:
    load = checkpoints.load_photo_encoder
    if network == "context encoder":
        load = checkpoints.load_context_encoder
    encoder, prefix = load(path)
    contents = tf.train.Checkpoint(averaged={name: _to_float16(v) for name, v in encoder.e.items()})
    return _Part(contents, *checkpoints.find_checkpoint(prefix, network=network))


def _to_float16(variable: tf.Variable) -> tf.Variable:
    """Copy a variable in 16 bits, or in 32 if one of its numbers is too large for that."""
    with np.errstate(over="ignore"):
        half = variable.numpy().astype(np.float16)
    return tf.Variable(half if np.isfinite(half).all() else variable)


def _write_part(part: _Part, folder: str, with_licence: bool) -> str:
    """Write checkpoint, config.json and SHA256SUMS to a new folder; return the file's name.

    `with_licence` copies the LICENSE beside the model, too, if there is one.
    """
    os.makedirs(folder)
    manager = tf.train.CheckpointManager(part.contents, folder, 1, checkpoint_name="ckpt")
    step = part.prefix.rpartition("-")[2]
    written = manager.save(checkpoint_number=int(step) if step.isdecimal() else 0)
    kept = ("architecture", "identity", "data", "packages", "processor")
    every = Rules, EncoderRules, PhotoEncoderRules
    names = {f.name for rules in every for f in dataclasses.fields(rules)}
    names |= {"precision_used"}
    options = part.config.get("options")
    options = options if isinstance(options, dict) else {}
    # Without paths, which mean nothing on other machines.
    options = {name: value for name, value in options.items() if name in names}
    record = {name: part.config[name] for name in kept if name in part.config}
    runs.write_config(folder, record | {"options": options})
    if with_licence:
        checkpoints.copy_licence(part.prefix, folder)
    runs.write_sums(folder)
    return os.path.basename(written)


def export_model(path: str, folder: str) -> str:
    """Write the model that `path` names to a new folder, without what only training needs.

    A DCGAN is exported with the encoders in its folder; an encoder may also be named itself. An
    encoder's weights are written in 16 bits. A LICENSE beside the model is copied. The folder
    appears once it is complete.

    Returns:
      The path prefix of the exported checkpoint.

    Raises:
      UserError: as `checkpoints.load_model` and `checkpoints.load_context_encoder`.
    """
    network = checkpoints.network_at(path)
    if network == "DCGAN":
        parts = {"": _read_dcgan(path)}
        for name, encoder in checkpoints.ENCODERS.items():
            if inside := checkpoints.encoder_folder(path, name):
                parts[name] = _read_encoder(inside, encoder)
    else:
        parts = {"": _read_encoder(path, network)}
    parent, name = os.path.split(os.path.abspath(folder))
    os.makedirs(parent, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=parent) as temporary:
        whole = os.path.join(temporary, name)
        files = [
            _write_part(part, os.path.join(whole, inner), with_licence=not inner)
            for inner, part in parts.items()
        ]
        os.rename(whole, folder)
    return os.path.join(folder, files[0])
