"""The nearest faces, against all distances at once."""

from __future__ import annotations

import csv
import functools
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import Run, assert_refused, contents, load_picture, save_picture
from scipy.spatial.distance import cdist

from dcgan_completion import checkpoints, latents
from dcgan_completion.evaluation import nearest_faces
from dcgan_completion.model import DCGAN

SCRIPT = "sample-dcgan.py"


@pytest.mark.parametrize("block", [1, 7, 50])
def test_the_nearest_of_blocks_are_the_nearest_of_all(
    block: int, random: np.random.Generator
) -> None:
    images = random.integers(0, 256, [5, 8, 8, 3], np.uint8)
    others = random.integers(0, 256, [40, 8, 8, 3], np.uint8)
    others[[11, 30]] = images[2]  # equally near: the first one comes first

    def corners(some: np.ndarray) -> np.ndarray:
        return some[:, :2, :2].reshape(len(some), -1) / 255

    distances_to = {
        "pixels": functools.partial(nearest_faces.pixel_distances, images),
        "corners": lambda some: cdist(corners(images), corners(some)),
    }
    blocks = (others[i : i + block] for i in range(0, 40, block))
    found = nearest_faces.find_nearest(blocks, 3, distances_to)
    for by, scale, crop in (("pixels", 1, 8), ("corners", 255 / np.sqrt(12), 2)):
        pairs = images[:, None, :crop, :crop] - others[None, :, :crop, :crop].astype(np.float64)
        distances = np.sqrt(np.square(pairs).mean(axis=(2, 3, 4)))
        order = np.argsort(distances, axis=1, kind="stable")[:, :3]
        np.testing.assert_array_equal(found[by].numbers, order)
        expected = np.take_along_axis(distances, order, 1) / scale
        np.testing.assert_allclose(found[by].distances, expected, atol=1e-4)
    assert found["pixels"].numbers[2, :2].tolist() == [11, 30]


def test_fewer_faces_than_asked_for_are_all_found() -> None:
    images = np.zeros([2, 4, 4, 1], np.uint8)
    by_pixels = {"pixels": functools.partial(nearest_faces.pixel_distances, images)}
    found = nearest_faces.find_nearest([images], 5, by_pixels)
    assert found["pixels"].numbers.tolist() == [[0, 1], [0, 1]]


@pytest.fixture
def dataset(model: DCGAN, tmp_path: Path) -> Path:
    """A folder with samples 3 to 8 of seed 2, as 3.png to 8.png."""
    images = checkpoints.generate(model, latents.draw(2, 3, 6, model.z_dim))
    for number, image in enumerate(images, 3):
        save_picture(tmp_path / "faces" / f"{number}.png", image)
    return tmp_path / "faces"


def test_samples_that_are_in_the_folder_are_found(
    run_here: Run, vivid: Path, dataset: Path, tmp_path: Path
) -> None:
    words = ("--dataset", dataset, "--seed", 2, "--count", 2, "--workers", 1)
    words = ("neighbours", "5-6", *words, "--cache", tmp_path / "cache", "--checkpoint-dir", vivid)
    done = run_here(*words, "--out", "n.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "n.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2
    first = [row for row in rows if row["rank"] == "1"]
    assert [(row["sample"], row["by"]) for row in first] == [
        (number, by) for number in ("5", "6") for by in ("pixels", "dlib")
    ]
    for row in first:
        assert os.path.basename(row["file"]) == f"{row['sample']}.png"
        assert float(row["distance"]) < 0.6
    assert load_picture(tmp_path / "n.png").shape[0] > 2 * 16
    cached = contents(tmp_path / "cache")
    assert len([path for path in cached if path.endswith(".npy")]) == 6
    assert_refused(run_here(*words, "--out", "n.png", cwd=tmp_path), "n.png", "exists")
    done = run_here(*words, "--out", "again.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "n.csv").read_bytes()
    assert contents(tmp_path / "cache") == cached
