"""What lies in a folder beside results: config.json, how they came about, and SHA256SUMS."""

from __future__ import annotations

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

PROGRAM = "dcgan-completion"
CONFIG = "config.json"
SUMS = "SHA256SUMS"  # beside a model that is passed on: what its files must be
LONGEST = 2**24  # characters of a config.json; it has some thousands
PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "pillow", "opencv-python-headless")


def _git_commit() -> str | None:
    """The commit of the toolkit's checkout, None for an installed package."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not os.path.exists(os.path.join(here, ".git")):
        return None
    try:
        command = ["git", "-C", here, "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """The installed version of each package; None of one that is not there."""
    return {package: _version(package) for package in packages}


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
            **versions(PACKAGES),
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


def check_sums(folder: str) -> None:
    """Raises UserError if a file that the folder's SHA256SUMS lists is not what it says."""
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
            raise UserError(f"{sums}: is damaged, no list of SHA-256 sums; get the model anew")
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            raise UserError(f"{path}: is missing; get the model anew")
        check_regular(path)
        with open(path, "rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != digest:
            raise UserError(
                f"{path}: is damaged or was changed (its SHA-256 is not the one in {SUMS}); get "
                "the model anew"
            )


def write_sums(folder: str) -> None:
    """Lists the SHA-256 of all files in a folder of a model, in the format of sha256sum.

    Folders in it are left out: each has its own list.
    """
    lines = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name != SUMS and os.path.isfile(path):
            with open(path, "rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    write_text(os.path.join(folder, SUMS), "".join(lines))
