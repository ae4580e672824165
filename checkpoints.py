"""A trained model on disk: a folder with TensorFlow checkpoints and the config.json beside them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from model import DCGAN
from training import Trainer
from utils import UserError, write_text

PROGRAM = "dcgan-completion"
CONFIG = "config.json"
KEEP = 5


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


def find(path: str) -> tuple[str, dict[str, Any]]:
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
            f"--checkpoint-dir {path}: holds no checkpoint; train a model first "
            "(./train-dcgan.py --dataset FOLDER) or name the folder of one"
        )
    config = read_config(folder)
    if config is None or "architecture" not in config:
        raise UserError(
            f"--checkpoint-dir {path}: the checkpoint there has no {CONFIG} of {PROGRAM}; "
            "another program wrote it, and its networks are not known"
        )
    return prefix, config


def check_architecture(config: dict[str, Any], wanted: dict[str, int | None], source: str) -> None:
    """Raises UserError if an explicit value in `wanted` contradicts the stored one.

    Args:
      config: of a checkpoint.
      wanted: option name with underscores -> value, None where the user left it open.
      source: the path to name in the message.
    """
    stored = config["architecture"] | config.get("identity", {})
    for name, value in wanted.items():
        if value is not None and stored[name] != value:
            flag = "--" + name.replace("_", "-")
            raise UserError(
                f"{flag} {value} contradicts the checkpoint {source}, which was trained with "
                f"{flag} {stored[name]}; leave the option out, or name another --checkpoint-dir"
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


def load_model(path: str) -> tuple[DCGAN, str]:
    """The networks of the checkpoint that `path` names, for use, and its path prefix.

    Raises:
      UserError: as `find`; or the checkpoint is damaged or of another architecture.
    """
    prefix, config = find(path)
    model = DCGAN(**config["architecture"])
    with _reading(prefix):
        status = tf.train.Checkpoint(model=model).restore(prefix)
        status.assert_existing_objects_matched().expect_partial()
    return model, prefix


class Checkpoints:
    """Saves a trainer into a folder as ckpt-STEP, keeps the newest five, and restores it."""

    def __init__(self, trainer: Trainer, folder: str) -> None:
        self._trainer = trainer
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                # In this order, so that weights are stored under the model's names, not as what
                # an optimizer refers to.
                model=trainer.model,
                optimizer_d=trainer.d_optimizer,
                optimizer_g=trainer.g_optimizer,
                step=trainer.step,
            ),
            folder,
            max_to_keep=KEEP,
            checkpoint_name="ckpt",
        )

    def restore(self) -> str | None:
        """Restores the newest checkpoint, if there is one, and returns its path prefix.

        Raises:
          UserError: it is damaged or of another architecture.
        """
        prefix = self._manager.latest_checkpoint
        if prefix is not None:
            with _reading(prefix):
                status = self._manager.checkpoint.restore(prefix)
                status.assert_existing_objects_matched().assert_consumed()
        return prefix

    def save(self) -> str:
        """Saves the trainer under its step and returns the path prefix."""
        step = int(self._trainer.step)
        prefix = self._manager.latest_checkpoint
        if prefix is not None and prefix.endswith(f"ckpt-{step}"):
            return prefix
        return self._manager.save(checkpoint_number=step)
