"""What the tests of complete.py share: pictures, what an output folder holds, losses by hand."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
from helpers import load_picture

from dcgan_completion.model import DCGAN

SCRIPT = "complete.py"


SIZE = 16


COLUMNS = ["input", "output", "contextual", "perceptual", "total"]


# Three images that share one name, so that two are named by their folders.
GIVEN = ("a/1.png", "b/1.png", "c, ä.png")


NAMES = ("a-1", "b-1", "c, ä")


# A weight that makes the perceptual loss count: it is small beside the contextual one.
LAM = 20


ADAM = ("--approach", "adam", "--precision", "float32")


OPTIONS = (*ADAM, "--batch-size", 2, "--nIter", 6, "--outInterval", 4, "--lr", 0.05, "--lam", LAM)


AGAIN = (GIVEN[0], "b", GIVEN[2], *OPTIONS)


def noise_images(number: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, [number, size, size, 3], np.uint8)


def rows_of(out: Path) -> list[list[str]]:
    """The rows of results.csv."""
    with open(out / "results.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == COLUMNS
    return rows


def history_of(out: Path) -> tuple[list[str], np.ndarray]:
    """The names and the losses [iterations, N] of a batch."""
    with open(out / "logs" / "losses.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head[0] == "iteration"
    assert [row[0] for row in rows] == [str(i) for i in range(len(rows))]
    return head[1:], np.array([row[1:] for row in rows], float)


def z_of(out: Path) -> np.ndarray:
    """The latents of a batch."""
    with np.load(out / "logs" / "z.npz") as arrays:
        return arrays["z"]


def finals_of(out: Path) -> np.ndarray:
    """The completions of the two pictures of `complete_noise`."""
    return np.stack([load_picture(out / "final" / f"{i}.png") for i in range(2)])


def cells(grid: np.ndarray) -> np.ndarray:
    """The two pictures of a grid."""
    return np.stack([grid[:, :SIZE], grid[:, SIZE:]])


def signed(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float64) / 127.5 - 1


def levels(values: np.ndarray) -> np.ndarray:
    """[-1, 1] -> 0..255, as numbers with a sign, to subtract."""
    return np.rint((np.asarray(values, np.float64) + 1) * 127.5)


def block_means(images: np.ndarray, edge: int) -> np.ndarray:
    number, height, width, channels = images.shape
    blocks = images.reshape(number, height // edge, edge, width // edge, edge, channels)
    return blocks.mean(axis=(2, 4))


def losses_of(
    model: DCGAN, z: np.ndarray, images: np.ndarray, known: np.ndarray, edge: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Contextual and perceptual loss of each row, from what the networks say.

    images in [-1, 1]; known, 1 or 0, broadcasts to the blocks' averages.
    """
    generated = model.generator(tf.constant(z, tf.float32))
    difference = block_means(generated.numpy().astype(np.float64) - images, edge)
    contextual = np.abs(known * difference).sum(axis=(1, 2, 3))
    logits = model.discriminator(generated).numpy().astype(np.float64)
    return contextual, np.log1p(np.exp(-logits))


def assert_losses(
    out: Path, model: DCGAN, images: np.ndarray, known: np.ndarray, edge: int = 1
) -> None:
    found = np.array([row[2:] for row in rows_of(out)], float)
    contextual, perceptual = losses_of(model, z_of(out), signed(images), known, edge)
    np.testing.assert_allclose(found[:, 0], contextual, rtol=1e-4)
    np.testing.assert_allclose(found[:, 1], perceptual, rtol=1e-4)
    np.testing.assert_allclose(found[:, 2], contextual + LAM * perceptual, rtol=1e-4)


def unfinish(out: Path) -> None:
    """Makes an output folder look as if its run had been stopped."""
    config = json.loads((out / "config.json").read_text())
    config["completion"]["finished"] = False
    (out / "config.json").write_text(json.dumps(config))


def stop_in_second_batch(out: Path) -> None:
    """Makes the folder of `completed` look as if its run had been killed in its second batch."""
    unfinish(out)
    rows = (out / "results.csv").read_text().splitlines()
    (out / "results.csv").write_text("\n".join(rows[:-1]) + "\n")
    (out / "final" / f"{NAMES[-1]}.png").unlink()
    shutil.rmtree(out / "batch-0002" / "logs")
