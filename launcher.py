"""Runs the scripts of an installed package: what its console commands call.

The modules are flat files that import each other by their plain names, and site-packages must
not gain a `utils` or a `model`. So they are installed inside one folder, and each command puts
that folder first on the path of its own process.
"""

from __future__ import annotations

import importlib.util
import os
import sys


def _run(script: str) -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    # First, in place of the folder of the command itself, which may be full of other things.
    sys.path.insert(0, folder)
    import cli

    spec = importlib.util.spec_from_file_location("script", os.path.join(folder, script))
    module = importlib.util.module_from_spec(spec)
    sys.modules["script"] = module  # where dataclasses look their types up
    spec.loader.exec_module(module)
    sys.exit(cli.run_main(module.main))


def align() -> None:
    """dcgan-align: align-dlib.py."""
    _run("align-dlib.py")


def train() -> None:
    """dcgan-train: train-dcgan.py."""
    _run("train-dcgan.py")


def train_context_encoder() -> None:
    """dcgan-train-context-encoder: train-context-encoder.py."""
    _run("train-context-encoder.py")


def sample() -> None:
    """dcgan-sample: sample-dcgan.py."""
    _run("sample-dcgan.py")


def complete() -> None:
    """dcgan-complete: complete.py."""
    _run("complete.py")


def complete_photo() -> None:
    """dcgan-complete-photo: complete-photo.py."""
    _run("complete-photo.py")


def serve() -> None:
    """dcgan-serve: serve.py."""
    _run("serve.py")


def evaluate() -> None:
    """dcgan-evaluate: evaluate.py."""
    _run("evaluate.py")


def export() -> None:
    """dcgan-export: export.py."""
    _run("export.py")


def distributions() -> None:
    """dcgan-distributions: simple-distributions.py."""
    _run("simple-distributions.py")
