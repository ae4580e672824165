"""The record of a run beside its results, config.json, and SHA256SUMS beside a model."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from dcgan_completion import devices
from dcgan_completion.utils import UserError, check_regular, open_text, write_text
from dcgan_completion.version import VERSION

PROGRAM = "dcgan-completion"
CONFIG = "config.json"
SUMS = "SHA256SUMS"  # beside an exported model: the hashes of its files
MAX_LENGTH = 2**24  # characters of a config.json; it has some thousands
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "pillow", "opencv-python-headless")


def _git_commit() -> str | None:
    """Return the commit of the toolkit's checkout, None for an installed package."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not os.path.exists(os.path.join(root, ".git")):
        return None
    try:
        command = ["git", "-C", root, "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Return the installed version of each package; None for one that is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        found[package] = None
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def record(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a run repeatable: options, command, versions, machine."""
    return {
        "command": shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        "options": dict(options),
        "packages": {
            "python": platform.python_version(),
            PROGRAM: VERSION,
            **versions(PACKAGES),
        },
        "git_commit": _git_commit(),
        "processor": devices.processor(),
        "devices": [f"{d.device_type} {d.name}" for d in tf.config.list_logical_devices()],
    }


def read_config(folder: str) -> dict[str, Any] | None:
    """Read the config.json in `folder`; None if there is none.

    Raises:
      UserError: another program wrote it, or it is damaged.
    """
    path = os.path.join(folder, CONFIG)
    if not os.path.lexists(path):
        return None
    try:
        with open_text(path) as file:
            text = file.read(MAX_LENGTH)
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
    """Write config.json into `folder`, which exists."""
    text = json.dumps({"program": PROGRAM} | config, indent=2)
    write_text(os.path.join(folder, CONFIG), text + "\n")


def check_sums(folder: str) -> None:
    """Raise UserError if a file does not have the hash that the folder's SHA256SUMS lists."""
    sums = os.path.join(folder, SUMS)
    if not os.path.lexists(sums):
        return
    try:
        with open_text(sums) as file:
            lines = file.read().splitlines()
    except UnicodeDecodeError:
        lines = [""]
    for line in lines:
        digest, _, name = line.partition("  ")
        if not re.fullmatch("[0-9a-f]{64}", digest) or name in ("", "..") or "/" in name:
            raise UserError(f"{sums}: is not a list of SHA-256 sums; download the model again")
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            raise UserError(f"{path}: is missing; download the model again")
        check_regular(path)
        with open(path, "rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != digest:
            raise UserError(
                f"{path}: is damaged or was changed (its SHA-256 is not the one in {SUMS}); "
                "download the model again"
            )


def write_sums(folder: str) -> None:
    """List the SHA-256 of the files in a model's folder, in the format of sha256sum.

    Subfolders are left out: each has its own list.
    """
    lines = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name != SUMS and os.path.isfile(path):
            with open(path, "rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    write_text(os.path.join(folder, SUMS), "".join(lines))
