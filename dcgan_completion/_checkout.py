"""Run a module of the checkout's top level under its name in the package."""

import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path


def load(name: str) -> None:
    """Execute `NAME.py` of the checkout as the module `dcgan_completion.NAME`."""
    path = str(Path(__file__).resolve().parents[1] / f"{name.rpartition('.')[2]}.py")
    module = sys.modules[name]  # the stand-in's: other threads wait until it is complete
    spec = module.__spec__
    assert spec is not None
    module.__file__ = spec.origin = path
    module.__loader__ = spec.loader = loader = SourceFileLoader(name, path)
    loader.exec_module(module)
