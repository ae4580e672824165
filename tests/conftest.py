"""The fixtures of all tests: scripts run in this process, drawn faces, a tiny trained model."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers import ROOT, TINY, Run, load_script, run_script, save_encoder

from dcgan_completion import utils

if TYPE_CHECKING:
    from dcgan_completion.encoders import ContextEncoder
    from dcgan_completion.model import DCGAN

# The scripts set these themselves; the tests of modules run under the same conditions.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# What takes longest goes first: of two workers, one that began it last would end alone.
LONGEST = ["test_crash", "test_tutorial", "test_evaluate", "test_distributed", "test_install"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Brings the files of LONGEST to the front; all else keeps its order."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> Iterator[None]:
    """What a command line has set does not reach the next test."""
    limit, logger = utils.pixel_limit(), logging.getLogger("dcgan_completion")
    yield
    utils.limit_pixels(limit)
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


@pytest.fixture(autouse=True)
def _usual_log() -> Iterator[None]:
    """What a command line shows of the log, the next test does not."""
    logger = logging.getLogger("dcgan_completion")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture
def run_any(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """As `run_script`, in this process: without TensorFlow's five seconds of start-up."""
    import tensorflow as tf

    from dcgan_completion import cli

    def run(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        tf.config.list_logical_devices()  # its messages come once, and here
        capfd.readouterr()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with monkeypatch.context() as patch:
            patch.setenv("TF_NUM_INTEROP_THREADS", "1")  # cannot be set again once it runs
            patch.setattr(sys, "argv", [str(ROOT / script), *map(str, arguments)])
            patch.chdir(cwd)
            try:
                status = cli.run_main(load_script(script).main)
            except SystemExit as exit_:
                status = exit_.code
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        return subprocess.CompletedProcess(sys.argv, status, *capfd.readouterr())

    return run


@pytest.fixture
def run_here(request: pytest.FixtureRequest, run_any: Run) -> Run:
    """`run_any` for the script that the module of tests is about, its SCRIPT."""
    return functools.partial(run_any, request.module.SCRIPT)


@pytest.fixture(scope="session")
def faces16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 drawn faces of 16 pixels."""
    folder = tmp_path_factory.mktemp("data") / "faces16"
    run_script("data/draw-faces.py", "--n", 40, "--size", 16, "--out", folder, cwd=folder.parent)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, faces16: Path) -> Path:
    """A folder in which a tiny model of 16 pixels was trained for 2 epochs of 5 steps."""
    folder = tmp_path_factory.mktemp("trained")
    run_script("train-dcgan.py", "--dataset", faces16, *TINY, "--epoch", 2, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def vivid(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder whose newest checkpoint, ckpt-11, draws very different pictures.

    After the tiny model's ten steps all its pictures are nearly the same gray.
    """
    import tensorflow as tf

    from dcgan_completion import checkpoints

    folder = tmp_path_factory.mktemp("vivid") / "checkpoint"
    shutil.copytree(trained / "checkpoint", folder)
    model, _ = checkpoints.load_model(str(folder))
    random = np.random.default_rng(0)
    for _ in range(60):  # until the running statistics are those of many z
        z = tf.constant(random.uniform(-1, 1, [64, model.z_dim]), tf.float32)
        pictures = model.generator(z, training=True)
        model.discriminator(pictures, training=True)
    last = [name for name in model.g if name.endswith("_kernel")][-1]
    model.g[last].assign(20 * model.g[last])
    model.d["linear_weight"].assign(20 * model.d["linear_weight"])
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(averaged=model.g, model=model),
        str(folder),
        max_to_keep=None,
        checkpoint_name="ckpt",
    )
    manager.save(checkpoint_number=11)
    return folder


@pytest.fixture(scope="session")
def model(vivid: Path) -> DCGAN:
    """That checkpoint's networks."""
    from dcgan_completion import checkpoints

    return checkpoints.load_model(str(vivid))[0]


@pytest.fixture(scope="session")
def encoder() -> ContextEncoder:
    """A context encoder that nothing has been learned by, for images of 16 pixels."""
    from dcgan_completion.encoders import ContextEncoder

    return ContextEncoder(image_size=16, width=4, seed=1)


@pytest.fixture(scope="session")
def guided(vivid: Path, encoder: ContextEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `vivid` with that context encoder in it."""
    folder = shutil.copytree(vivid, tmp_path_factory.mktemp("guided") / "checkpoint")
    save_encoder(encoder, folder)
    return folder


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)
