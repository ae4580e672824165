"""What the tests share: running scripts as users do, pictures on disk, folders compared."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from dcgan_completion.encoders import ContextEncoder
    from dcgan_completion.photo_encoder import PhotoEncoder

ROOT = Path(__file__).resolve().parent.parent
# The module of dcgan_completion.commands that each script runs.
COMMANDS = {
    "align-dlib.py": "align",
    "train-dcgan.py": "train",
    "train-context-encoder.py": "train_context_encoder",
    "sample-dcgan.py": "sample",
    "complete.py": "complete",
    "complete-photo.py": "complete_photo",
    "serve.py": "serve",
    "evaluate.py": "evaluate",
    "export.py": "export",
    "simple-distributions.py": "distributions",
}

# The options of a tiny model of 16 pixels, which trains in a second.
TINY = ("--image-size", 16, "--z-dim", 8, "--gf-dim", 4, "--df-dim", 4, "--batch-size", 8)

Run = Callable[..., subprocess.CompletedProcess[str]]


def load_script(path: str) -> ModuleType:
    """The module that holds `build_parser` and `main` of a script."""
    if path in COMMANDS:
        return importlib.import_module(f"dcgan_completion.commands.{COMMANDS[path]}")
    name = Path(path).stem.replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def copy_code(folder: Path) -> None:
    """Copies the modules, the scripts and data/ of the checkout into a folder."""
    for path in ROOT.glob("*.py"):
        shutil.copy(path, folder)
    for name in ("dcgan_completion", "data"):
        unwanted = shutil.ignore_patterns("__pycache__", "your-*")
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)


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


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that is below a folder, by relative path; None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def load_picture(path: Path) -> np.ndarray:
    """The pixels of a PNG as they are on disk, [H, W] or [H, W, C]."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


def save_picture(path: Path, picture: np.ndarray | Image.Image, **options: object) -> Path:
    """Saves pixels or a picture in the format of its name, by Pillow; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    picture.save(path, **options)
    return path


def save_encoder(
    encoder: ContextEncoder | PhotoEncoder, folder: Path, name: str = "context-encoder"
) -> Path:
    """Saves an encoder in a DCGAN's folder as its training does; returns its own folder."""
    import tensorflow as tf

    own = folder / name
    own.mkdir()
    checkpoint = tf.train.Checkpoint(averaged=encoder.e)
    tf.train.CheckpointManager(checkpoint, str(own), None, checkpoint_name="ckpt").save(3)
    config = {"program": "dcgan-completion", "architecture": encoder.architecture}
    (own / "config.json").write_text(json.dumps(config))
    return own
