"""A model of the format before the layout of folders: it loads, resumes and completes as then.

tests/golden holds what this made, and what it led to, on a processor with AVX-512:

  data/draw-faces.py --n 16 --size 16 --seed 3 --out faces
  train-dcgan.py --dataset faces --image-size 16 --z-dim 8 --gf-dim 8 --df-dim 8 --batch-size 8 \
      --epoch 300 --precision float32 --learning-rate 0.001 --seed 3

Other processors round otherwise: pictures may be off by a level.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, Run
from PIL import Image

GOLDEN = ROOT / "tests" / "golden"
EXPECTED = GOLDEN / "expected"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("faces", "checkpoint"):
        shutil.copytree(GOLDEN / name, tmp_path / name)
    return tmp_path


def assert_picture(path: Path, name: str) -> None:
    with Image.open(path) as actual, Image.open(EXPECTED / f"{name}.png") as expected:
        difference = np.asarray(actual, int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= 1


def test_it_draws_what_it_drew(folder: Path, run_any: Run) -> None:
    done = run_any("sample-dcgan.py", "--n", 16, "--out", "samples.png", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert_picture(folder / "samples.png", "samples")


@pytest.mark.parametrize(
    ("mask_type", "options"),
    [
        ("center", ()),
        ("left", ()),
        ("random", ()),
        ("lowres", ()),
        ("pattern", ("--dilate", 1, "--feather", "--average", 1)),
    ],
)
def test_it_completes_what_it_completed(
    folder: Path, run_any: Run, mask_type: str, options: tuple[object, ...]
) -> None:
    search = ("--mask-type", mask_type, *options, "--precision", "float32", "--nIter", 10)
    done = run_any("complete.py", "faces", *search, "--outDir", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert_picture(folder / "out" / "completed" / "0010.png", mask_type)


def test_its_training_goes_on_as_it_went_on(folder: Path, run_any: Run) -> None:
    done = run_any("train-dcgan.py", "--dataset", "faces", "--epoch", 310, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "resuming from checkpoint/ckpt-600" in done.stdout
    assert_picture(folder / "samples" / "train_310_0002.png", "resumed")
    rows = []
    for path in (folder / "logs" / "scalars.csv", EXPECTED / "resumed-scalars.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            rows.append(list(csv.reader(file)))
    assert rows[0][0] == rows[1][0]
    actual, expected = (np.array(table[1:], float) for table in rows)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3)
