"""A trained model on disk: a folder with TensorFlow checkpoints and the config.json beside them."""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from model import DCGAN
from training import Trainer
from utils import UserError, write_text

PROGRAM = "dcgan-completion"
CONFIG = "config.json"


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
    return tf.train.latest_checkpoint(folder) is not None


def find(path: str, flag: str = "--checkpoint-dir") -> tuple[str, dict[str, Any]]:
    """The checkpoint that `path` names: a folder (its newest) or one of its checkpoints.

    Returns:
      The checkpoint's path prefix, such as checkpoint/ckpt-12000, and the folder's config.

    Raises:
      UserError: there is none, or another program wrote it.
    """
    if os.path.isdir(path):
        folder, prefix = path, tf.train.latest_checkpoint(path)
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


def load_model(path: str, compute_dtype: str = "float32") -> tuple[DCGAN, str]:
    """The networks of the checkpoint that `path` names, for use, and its path prefix.

    The generator is the averaged one.

    Raises:
      UserError: as `find`; or the checkpoint is damaged or of another architecture.
    """
    prefix, config = find(path)
    model = DCGAN(**config["architecture"], compute_dtype=compute_dtype)
    with _reading(prefix):
        checkpoint = tf.train.Checkpoint(averaged=model.g, model=tf.train.Checkpoint(d=model.d))
        checkpoint.restore(prefix).expect_partial().assert_existing_objects_matched()
    return model, prefix


def init_from(trainer: Trainer, path: str) -> str:
    """Gives a fresh trainer the weights of another run's checkpoint; returns its path prefix.

    Raises:
      UserError: as `load_model`; or its architecture is not the trainer's.
    """
    prefix, config = find(path, "--init-from")
    check_options(config, trainer.model.architecture, prefix, "--init-from")
    with _reading(prefix):
        checkpoint = tf.train.Checkpoint(model=trainer.model, averaged=trainer.averaged)
        checkpoint.restore(prefix).expect_partial().assert_existing_objects_matched()
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
        prefixes, damaged = list(self._manager.checkpoints), []
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
