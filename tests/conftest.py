"""What the tests share: running scripts as users do, drawn faces, a tiny trained model."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

# The scripts set these themselves; the tests of modules run under the same conditions.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parent.parent

Run = Callable[..., subprocess.CompletedProcess[str]]


def load_script(path: str) -> ModuleType:
    """A script with hyphens in its name, as a module."""
    name = Path(path).stem.replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def run_script(
    script: str, *arguments: object, cwd: Path, status: int | None = 0, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Runs a script of the checkout in `cwd`, as a user does; checks its exit status."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if status is not None:
        assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line on stderr that holds all the words, status 2, nothing on stdout."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0], (word, lines[0])


@pytest.fixture(scope="session")
def faces16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 drawn faces of 16 pixels."""
    folder = tmp_path_factory.mktemp("data") / "faces16"
    run_script("data/draw-faces.py", "--n", 40, "--size", 16, "--out", folder, cwd=folder.parent)
    return folder


TINY = ("--image-size", 16, "--z-dim", 8, "--gf-dim", 4, "--df-dim", 4, "--batch-size", 8)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, faces16: Path) -> Path:
    """A folder in which a tiny model of 16 pixels was trained for 2 epochs of 5 steps."""
    folder = tmp_path_factory.mktemp("trained")
    run_script("train-dcgan.py", "--dataset", faces16, *TINY, "--epoch", 2, cwd=folder)
    return folder


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)
