"""Loads a module of the checkout's top level under its name in the package."""

import importlib.util
import sys
from pathlib import Path


def load(name: str) -> None:
    """Puts `NAME.py` beside the package in place of the stand-in `dcgan_completion.NAME`."""
    path = Path(__file__).parents[1] / f"{name.rpartition('.')[2]}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
