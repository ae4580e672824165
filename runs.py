"""The record of a run in the config.json of its folder: how it came about."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

import devices
from utils import UserError, open_text, write_text

PROGRAM = "dcgan-completion"
CONFIG = "config.json"
LONGEST = 2**24  # characters of a config.json; it has some thousands
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "pillow", "opencv-python-headless")


def _git_commit() -> str | None:
    """The commit of the toolkit's checkout, None for an installed package."""
    here = os.path.dirname(os.path.abspath(__file__))
    if not os.path.exists(os.path.join(here, ".git")):
        return None
    try:
        command = ["git", "-C", here, "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def record(options: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run repeatable, for config.json: options, command, versions, machine."""
    return {
        "command": shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        "options": dict(options),
        "packages": {
            "python": platform.python_version(),
            **{package: _version(package) for package in PACKAGES},
        },
        "git_commit": _git_commit(),
        "processor": devices.processor(),
        "devices": [f"{d.device_type} {d.name}" for d in tf.config.list_logical_devices()],
    }


def read_config(folder: str) -> dict[str, Any] | None:
    """The config.json in `folder`, or None where there is none.

    Raises:
      UserError: another program wrote it, or it is damaged.
    """
    path = os.path.join(folder, CONFIG)
    if not os.path.lexists(path):
        return None
    try:
        with open_text(path) as file:
            text = file.read(LONGEST)
            config = None if file.read(1) else json.loads(text)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None
    except RecursionError:
        raise UserError(f"{path}: cannot be read as JSON (nested too deeply)") from None
    if not isinstance(config, dict) or config.get("program") != PROGRAM:
        raise UserError(f"{path}: another program wrote it; choose another folder")
    return config


def write_config(folder: str, config: dict[str, Any]) -> None:
    """Writes config.json into `folder`, which exists."""
    text = json.dumps({"program": PROGRAM} | config, indent=2)
    write_text(os.path.join(folder, CONFIG), text + "\n")
