"""The tutorial's commands as it prints them, on two portraits, at the tutorial's size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import copy_code
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.settings.search import SearchSettings

# OpenFace's path is ours: ./align-dlib.py. Otherwise to the letter, but for the last line's
# ImageMagick, which completion.gif stands for.
TUTORIAL = """
./align-dlib.py data/your-dataset/raw align innerEyesAndBottomLip data/your-dataset/aligned --size 64
cd data/your-dataset/aligned
find . -name '*.png' -exec mv {} . \\;
find . -type d -empty -delete
cd ../../..
./train-dcgan.py --dataset ./data/your-dataset/aligned --epoch 20
./align-dlib.py data/your-test-data/raw align innerEyesAndBottomLip data/your-test-data/aligned --size 64
./complete.py ./data/your-test-data/aligned/* --outDir outputImages
"""  # noqa: E501


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout, with 64 photos of two people to learn from and two to complete."""
    copy_code(tmp_path)
    test_data = tmp_path / "data" / "your-test-data" / "raw"
    copy = [sys.executable, tmp_path / "data" / "copy-portraits.py", "--out", test_data]
    subprocess.run(copy, check=True)
    raw = tmp_path / "data" / "your-dataset" / "raw"
    random = np.random.default_rng(0)
    for path in test_data.iterdir():
        (raw / path.stem).mkdir(parents=True)
        photo = Image.open(path).resize((256, 256))
        for i in range(32):
            light = random.uniform(0.8, 1.1)
            image = np.clip(np.asarray(photo) * light, 0, 255).astype(np.uint8)
            utils.save_image(raw / path.stem / f"{i:02d}.jpg", image)
    return tmp_path


def test_the_tutorial_runs_as_printed(checkout: Path) -> None:
    # The scripts' first line asks for python3: that of this environment.
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", TUTORIAL],
        cwd=checkout,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    aligned = checkout / "data" / "your-dataset" / "aligned"
    assert len(list(aligned.glob("*.png"))) == 64
    assert (checkout / "checkpoint" / "ckpt-20.index").exists()
    assert (checkout / "samples" / "train_20_0001.png").exists()
    outputs = checkout / "outputImages"
    for name in ("eileen_collins", "grace_hopper"):
        final = utils.load_image(outputs / "final" / f"{name}.png")
        given = utils.load_image(checkout / "data" / "your-test-data" / "aligned" / f"{name}.png")
        hole = np.zeros([64, 64], bool)
        hole[16:48, 16:48] = True
        np.testing.assert_array_equal(final[~hole], given[~hole])
        assert (final[hole] != given[hole]).any()
    losses = np.genfromtxt(outputs / "logs" / "losses.csv", delimiter=",", skip_header=1)
    assert losses.shape[0] == SearchSettings.of("auto").n_iter
    assert losses.shape[1] == 3
    # Twenty steps of training make no faces; but the search goes downhill even there.
    assert (losses[-1, 1:] < losses[0, 1:]).all()
    assert (outputs / "completed" / f"{len(losses):04d}.png").exists()
