"""Fixtures of the tests of complete.py; a test file names this module in pytest_plugins."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from completion_helpers import GIVEN, LAM, OPTIONS, SCRIPT, noise_images
from helpers import Run, load_picture, run_script, save_picture


@pytest.fixture
def run_complete(run_any: Run) -> Run:
    """complete.py in this process."""
    return functools.partial(run_any, SCRIPT)


@pytest.fixture(scope="session")
def completed(
    vivid: Path, faces16: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with three drawn faces, completed in two batches in ./completions."""
    folder = tmp_path_factory.mktemp("completed")
    shutil.copytree(vivid, folder / "checkpoint")
    for path, face in zip(GIVEN, sorted(faces16.iterdir()), strict=False):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copy(face, folder / path)
    # A file, a folder, a file.
    return folder, run_script(SCRIPT, GIVEN[0], "b", GIVEN[2], *OPTIONS, cwd=folder)


@pytest.fixture
def copy(completed: tuple[Path, object], tmp_path: Path) -> Path:
    return Path(shutil.copytree(completed[0], tmp_path / "copy"))


@pytest.fixture
def images_of(completed: tuple[Path, object]) -> np.ndarray:
    return np.stack([load_picture(completed[0] / path) for path in GIVEN])


@pytest.fixture
def complete_noise(
    vivid: Path, tmp_path: Path, run_complete: Run
) -> Callable[..., tuple[np.ndarray, Path]]:
    """Completes two pictures of noise; returns them and the output folder."""

    def run(*options: object) -> tuple[np.ndarray, Path]:
        images = noise_images(2)
        for i, image in enumerate(images):
            save_picture(tmp_path / f"{i}.png", image)
        done = run_complete(
            *("0.png", "1.png", "--checkpointDir", vivid, "--outDir", "out"),
            *("--nIter", 3, "--lr", 0.2, "--lam", LAM, *options),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return images, tmp_path / "out"

    return run
