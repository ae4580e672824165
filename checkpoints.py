"""A trained model on disk: a folder with TensorFlow checkpoints and the config.json beside them."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from model import DCGAN
from training.trainer import Rules, Trainer
from utils import UserError, write_text

PROGRAM = "dcgan-completion"
CONFIG = "config.json"
SUMS = "SHA256SUMS"  # beside a model that is passed on: what its files must be
DEFAULT = "checkpoint"
SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "pretrained")


def read_config(folder: str) -> dict[str, Any] | None:
    """The config.json in `folder`, or None where there is none.

    Raises:
      UserError: another program wrote it, or it is damaged.
    """
    path = os.path.join(folder, CONFIG)
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(config, dict) or config.get("program") != PROGRAM:
        raise UserError(f"{path}: another program wrote it; choose another folder")
    return config


def write_config(folder: str, config: dict[str, Any]) -> None:
    """Writes config.json into `folder`, which exists."""
    text = json.dumps({"program": PROGRAM} | config, indent=2)
    write_text(os.path.join(folder, CONFIG), text + "\n")


def holds_checkpoint(folder: str) -> bool:
    """Whether there is a TensorFlow checkpoint in `folder`, of whatever program.

    Raises:
      UserError: another program's config.json is there.
    """
    read_config(folder)
    return _newest(folder) is not None


def _newest(folder: str) -> str | None:
    """Path prefix of the checkpoint that a folder's file `checkpoint` names, if it is there.

    tf.train.latest_checkpoint does the same, but logs an error of its own where it is not. The
    file without a suffix is a checkpoint of TensorFlow before 1.0, such as the tutorial's.
    """
    state = tf.train.get_checkpoint_state(folder)
    prefix = state.model_checkpoint_path if state else ""
    return prefix if any(map(os.path.isfile, (f"{prefix}.index", prefix))) else None


def terms(path: str) -> str:
    """A line on what the model that `path` names may be used for, if it is the shipped one."""
    folders = (os.path.realpath(folder) for folder in (path, os.path.dirname(path)))
    if os.path.realpath(SHIPPED) not in folders:
        return ""
    text = os.path.join(os.path.relpath(SHIPPED), "LICENSE")
    return f"using the shipped model, for non-commercial research only ({text})"


def choose(path: str | None) -> tuple[str, str]:
    """The model to use, and a line about it for the user (empty: nothing to say).

    A path that was named is taken; else ./checkpoint if it holds a model, else the shipped one.
    """
    if path is not None or holds_checkpoint(DEFAULT) or not holds_checkpoint(SHIPPED):
        path = path or DEFAULT
        return path, terms(path)
    return SHIPPED, f"no model in ./checkpoint: {terms(SHIPPED)}"


def find(path: str, flag: str = "--checkpoint-dir") -> tuple[str, dict[str, Any]]:
    """The checkpoint that `path` names: a folder (its newest) or one of its checkpoints.

    Returns:
      The checkpoint's path prefix, such as checkpoint/ckpt-12000, and the folder's config.

    Raises:
      UserError: there is none, or another program wrote it.
    """
    if os.path.isdir(path):
        folder, prefix = path, _newest(path)
    else:
        for suffix in (".index", ".data-00000-of-00001"):
            path = path.removesuffix(suffix)
        folder, prefix = os.path.dirname(path) or ".", path
        if not os.path.exists(f"{path}.index"):
            prefix = None
    if prefix is None:
        raise UserError(
            f"{flag} {path}: holds no checkpoint; train a model first "
            "(./train-dcgan.py --dataset FOLDER) or name the folder of one"
        )
    config = read_config(folder)
    if config is None or "architecture" not in config:
        raise UserError(
            f"{flag} {path}: the checkpoint there has no {CONFIG} of {PROGRAM}; "
            "another program wrote it, and its networks are not known"
        )
    return prefix, config


def check_options(
    config: dict[str, Any], wanted: dict[str, Any], source: str, flag: str = "--checkpoint-dir"
) -> None:
    """Raises UserError if an explicit value in `wanted` contradicts the stored one.

    Args:
      config: of a checkpoint.
      wanted: option name with underscores -> value, None where the user left it open.
      source: the path to name in the message.
      flag: the option that led to it.
    """
    stored = config["architecture"] | config.get("identity", {})
    for name, value in wanted.items():
        if value is not None and stored[name] != value:
            option = "--" + name.replace("_", "-")
            raise UserError(
                f"{option} {value} contradicts the checkpoint {source}, which was trained with "
                f"{option} {stored[name]}; leave the option out, or name another {flag}"
            )


@contextlib.contextmanager
def _reading(prefix: str) -> Iterator[None]:
    try:
        yield
    except (tf.errors.OpError, ValueError, AssertionError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{prefix}: does not fit the networks its {CONFIG} describes, or is damaged ({reason})"
        ) from error


def _check_sums(folder: str) -> None:
    """Raises UserError if a file that the folder's SHA256SUMS lists is not what it says."""
    try:
        with open(os.path.join(folder, SUMS), encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        digest, _, name = line.partition("  ")
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise UserError(f"{path}: is missing; get the model anew") from None
        if actual != digest:
            raise UserError(
                f"{path}: is damaged or was changed (its SHA-256 is not the one in {SUMS}); get "
                "the model anew"
            )


def write_sums(folder: str) -> None:
    """Lists the SHA-256 of all files in a folder of a model, in the format of sha256sum."""
    lines = []
    for name in sorted(os.listdir(folder)):
        if name != SUMS:
            with open(os.path.join(folder, name), "rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    write_text(os.path.join(folder, SUMS), "".join(lines))


def load_model(path: str, compute_dtype: str = "float32") -> tuple[DCGAN, str]:
    """The networks of the checkpoint that `path` names, for use, and its path prefix.

    The generator is the averaged one.

    Raises:
      UserError: as `find`; or the checkpoint is damaged, of another architecture, or of a
        training that has broken down.
    """
    prefix, config = find(path)
    _check_sums(os.path.dirname(prefix))
    model = DCGAN(**config["architecture"], compute_dtype=compute_dtype)
    with _reading(prefix):
        _for_use(model.g, model.d).restore(
            prefix
        ).expect_partial().assert_existing_objects_matched()
    for name, variable in (*model.g.items(), *model.d.items()):
        if not np.isfinite(variable.numpy()).all():
            raise UserError(
                f"{prefix}: holds weights that are not finite ({name}): the training had broken "
                "down; name an earlier checkpoint"
            )
    return model, prefix


def _for_use(g: dict[str, tf.Variable], d: dict[str, tf.Variable]) -> tf.train.Checkpoint:
    """What completion and sampling need of a checkpoint, and all that a shipped model holds."""
    return tf.train.Checkpoint(averaged=g, model=tf.train.Checkpoint(d=d))


def export(path: str, folder: str) -> str:
    """Writes the model that `path` names to a new folder, without what only training needs.

    Returns:
      The path prefix of the exported checkpoint.

    Raises:
      UserError: as `load_model`.
    """
    model, prefix = load_model(path)
    _, config = find(path)
    os.makedirs(folder)
    checkpoint = _for_use(model.g, model.d)
    manager = tf.train.CheckpointManager(checkpoint, folder, 1, checkpoint_name="ckpt")
    written = manager.save(checkpoint_number=int(prefix.rpartition("-")[2]))
    kept = ("architecture", "identity", "data", "packages", "processor")
    names = {field.name for field in dataclasses.fields(Rules)} | {"precision_used"}
    # No paths: they mean nothing elsewhere.
    options = {name: value for name, value in config["options"].items() if name in names}
    write_config(folder, {name: config[name] for name in kept} | {"options": options})
    write_sums(folder)
    return written


def init_from(trainer: Trainer, path: str) -> str:
    """Gives a fresh trainer the weights of another run's checkpoint; returns its path prefix.

    A model that was exported has but the averaged generator: that is then both.

    Raises:
      UserError: as `load_model`; or its architecture is not the trainer's.
    """
    prefix, config = find(path, "--init-from")
    check_options(config, trainer.model.architecture, prefix, "--init-from")
    _check_sums(os.path.dirname(prefix))
    with _reading(prefix):
        stored = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
        whole = any(name.startswith("model/g/") for name in stored)
        checkpoint = (
            tf.train.Checkpoint(model=trainer.model, averaged=trainer.averaged)
            if whole
            else _for_use(trainer.averaged, trainer.model.d)
        )
        checkpoint.restore(prefix).expect_partial().assert_existing_objects_matched()
    if not whole:
        for name, variable in trainer.model.g.items():
            variable.assign(trainer.averaged[name])
    return prefix


def remove_leftovers(folder: str) -> None:
    """Removes what a process that was killed while it wrote a checkpoint has left in a folder."""
    for path in glob.glob(os.path.join(glob.escape(folder), "ckpt-*_temp*")):
        shutil.rmtree(path)
    for path in glob.glob(os.path.join(glob.escape(folder), "ckpt-*.data-*")):
        if not os.path.exists(path.rpartition(".data-")[0] + ".index"):
            os.remove(path)


class Checkpoints:
    """Saves a trainer into a folder as ckpt-STEP, keeps the newest, and restores it."""

    def __init__(self, trainer: Trainer, folder: str, keep: int = 5) -> None:
        self._trainer, self._folder, self._keep = trainer, folder, keep
        self._checkpoint = tf.train.Checkpoint(
            # Named so that weights are stored under the model's names, which come first in the
            # alphabet, and not as what an optimizer refers to.
            averaged=trainer.averaged,
            model=trainer.model,
            optimizer_d=trainer.d_optimizer,
            optimizer_g=trainer.g_optimizer,
            step=trainer.step,
        )
        self._manager = self._new_manager()

    def _new_manager(self) -> tf.train.CheckpointManager:
        return tf.train.CheckpointManager(
            self._checkpoint, self._folder, max_to_keep=self._keep, checkpoint_name="ckpt"
        )

    @property
    def latest(self) -> str | None:
        """Path prefix of the newest checkpoint."""
        return self._manager.latest_checkpoint

    def restore(self, repair: bool = True) -> list[str]:
        """Restores the newest checkpoint that can be read; removes damaged newer ones (`repair`).

        Returns:
          The path prefixes of the damaged ones.

        Raises:
          UserError: none can be read, or they are of another architecture.
        """
        # A state file without times, as for a single copied checkpoint, has no list.
        prefixes = list(self._manager.checkpoints) or [p for p in [self.latest] if p]
        damaged = []
        problem: UserError | None = None
        while prefixes:
            try:
                with _reading(prefixes[-1]):
                    self._checkpoint.restore(prefixes[-1]).expect_partial().assert_consumed()
                break
            except UserError as error:
                problem = problem or error
                damaged.append(prefixes.pop())
        if not prefixes:
            raise problem or UserError(f"{self._folder}: holds no checkpoint")
        if damaged and repair:
            tf.compat.v1.train.update_checkpoint_state(self._folder, prefixes[-1], prefixes)
            for path in itertools.chain(*(glob.glob(f"{glob.escape(p)}.*") for p in damaged)):
                os.remove(path)
            self._manager = self._new_manager()
        return damaged

    def save(self) -> str:
        """Saves the trainer under its step, if that is not done yet; returns the path prefix.

        Raises:
          UserError: it cannot be written; the checkpoints before are intact.
        """
        step, latest = int(self._trainer.step.numpy()), self.latest
        if latest is not None and latest.endswith(f"ckpt-{step}"):
            return latest
        try:
            return self._manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{self._folder}: the checkpoint of step {step} cannot be written ({reason}); make "
                f"room and run the command again: it goes on from {latest}"
            ) from error
