"""The search of complete.py against NumPy's steps, from start to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from completion_helpers import GIVEN, SIZE, history_of, rows_of, signed, z_of
from helpers import Run, load_picture
from oracles import adam_in_box, pgd_in_box

from dcgan_completion.model import DCGAN

pytest_plugins = ["completion_fixtures"]


def losses_and_gradient(
    model: DCGAN, z: np.ndarray, images: np.ndarray, known: np.ndarray, lam: float
) -> tuple[np.ndarray, np.ndarray]:
    variable = tf.Variable(z, dtype=tf.float32)
    with tf.GradientTape() as tape:
        generated = model.generator(variable)
        distance = tf.abs(generated - tf.constant(images, tf.float32))
        contextual = tf.einsum("nyxc,yx->n", distance, tf.constant(known, tf.float32))
        perceptual = tf.math.log1p(tf.exp(-model.discriminator(generated)))
        losses = contextual + lam * perceptual
    return losses.numpy(), tape.gradient(losses, variable).numpy().astype(np.float64)


SEARCHES = {
    "adam": (adam_in_box, {"lr": 0.1, "beta1": 0.5, "beta2": 0.7, "eps": 0.5, "decay": 0.25}),
    "pgd": (pgd_in_box, {"lr": 0.002, "momentum": 0.6}),
}


@pytest.mark.parametrize("case", SEARCHES)
def test_the_search_takes_numpys_steps(
    case: str, vivid: Path, model: DCGAN, faces16: Path, tmp_path: Path, run_complete: Run
) -> None:
    paths = sorted(faces16.iterdir())[3:5]
    common = (*paths, "--checkpointDir", vivid, "--maskType", "left", "--lam", 2.5)
    common += ("--precision", "float32")
    start = ("--approach", "adam", "--nIter", 1, "--lr", 1e-12, "--outDir", "start")
    assert run_complete(*common, *start, cwd=tmp_path).returncode == 0
    steps, options = SEARCHES[case]
    flags = (word for name, value in options.items() for word in (f"--{name}", value))
    interval = ("--nIter", 8, "--outInterval", 3)
    done = run_complete(*common, "--approach", case, *flags, *interval, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    images = signed(np.stack([load_picture(path) for path in paths]))
    known = np.repeat(np.arange(SIZE)[np.newaxis] >= SIZE / 2, SIZE, axis=0)

    def losses_at(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return losses_and_gradient(model, z, images, known, lam=2.5)

    start = z_of(tmp_path / "start").astype(float)
    visited = steps(lambda z: losses_at(z)[1], start, 8, **options)
    wanted = np.stack([losses_at(z)[0] for z in visited])
    _, history = history_of(tmp_path / "completions")
    np.testing.assert_allclose(history, wanted[:8], rtol=1e-3)
    assert (np.abs(np.diff(wanted, axis=0)) > 0.01 * wanted[:-1]).any(axis=0).all()
    best = wanted.argmin(axis=0)
    z = np.stack([visited[b][i] for i, b in enumerate(best)])
    np.testing.assert_allclose(z_of(tmp_path / "completions"), z, atol=2e-3)


def test_z_stays_in_its_box(
    complete_noise: Callable[..., tuple[np.ndarray, Path]],
) -> None:
    for approach in ("pgd", "adam"):
        _, out = complete_noise("--approach", approach, "--lr", 5, "--nIter", 4, "--overwrite")
        assert np.abs(z_of(out)).max() <= 1


def test_another_seed_starts_elsewhere(copy: Path, run_complete: Run) -> None:
    start = ("--approach", "adam", "--nIter", 1, "--lr", 1e-12)
    for out, seed in (("0", 0), ("also 0", 0), ("1", 1)):
        done = run_complete(*GIVEN, *start, "--seed", seed, "--outDir", out, cwd=copy)
        assert done.returncode == 0, done.stderr
    z = {out: z_of(copy / out) for out in ("0", "also 0", "1")}
    np.testing.assert_array_equal(z["0"], z["also 0"])
    assert np.abs(z["0"] - z["1"]).min(axis=1).max() > 0
    together = np.concatenate([z["0"], z["1"]])
    assert len(np.unique(together.round(6))) == together.size
    # Uniform in [-1, 1]: of 48 numbers some are near each end.
    assert -1 <= together.min() < -0.8
    assert 0.8 < together.max() <= 1


def test_hmc_lowers_the_loss(vivid: Path, copy: Path, run_complete: Run) -> None:
    options = ("--approach", "hmc", "--hmcL", 5, "--hmcEps", 0.02, "--hmcBeta", 1)
    finals = {}
    for out in ("one", "two"):
        done = run_complete(*GIVEN, *options, "--nIter", 12, "--outDir", out, cwd=copy)
        assert done.returncode == 0, done.stderr
        _, history = history_of(copy / out)
        assert history.shape == (12, 3)
        best = np.array([row[4] for row in rows_of(copy / out)], float)
        assert (best < 0.95 * history[0]).all()
        finals[out] = z_of(copy / out)
    np.testing.assert_allclose(finals["one"], finals["two"], atol=1e-4)  # from seed and pixels
