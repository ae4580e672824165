"""complete.py as users run it: what it writes, what it finds, what it refuses."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, TINY, Run, assert_refused, contents, load_script, run_script
from PIL import Image

from completion import input_images as inputs
from completion import run as completion_run
from completion.completer import Completer
from model import DCGAN

SCRIPT = "complete.py"
SIZE = 16
COLUMNS = ["input", "output", "contextual", "perceptual", "total"]


# --- helpers ---


def load(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


def save(path: Path, image: np.ndarray) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path.name


def rows_of(out: Path) -> list[list[str]]:
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
    with np.load(out / "logs" / "z.npz") as arrays:
        return arrays["z"]


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


def noise_images(number: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, [number, size, size, 3], np.uint8)


# --- fixtures ---


GIVEN = ("a/1.png", "b/1.png", "c, ä.png")
NAMES = ("a-1", "b-1", "c, ä")
# A weight that makes the perceptual loss count: it is small beside the contextual one.
LAM = 20
ADAM = ("--approach", "adam", "--precision", "float32")
OPTIONS = (*ADAM, "--batch-size", 2, "--nIter", 6, "--outInterval", 4, "--lr", 0.05, "--lam", LAM)


@pytest.fixture(scope="module")
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
    return np.stack([load(completed[0] / path) for path in GIVEN])


# --- options ---


def resolved(*options: str) -> argparse.Namespace:
    args = load_script(SCRIPT).build_parser().parse_args(["a.png", *options])
    completion_run.resolve(args)
    return args


def test_options_have_the_references_defaults() -> None:
    wanted = {
        "lr": 0.01,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "decay": 0,
        "n_iter": 1000,
        "img_size": None,
        "lam": 0.1,
        "weighted": 0,
        "blend": "none",
        "distance": "l1",
        "out_dir": "completions",
        "out_interval": 50,
        "mask_type": "center",
        "center_scale": 0.25,
        "momentum": None,
        "seed": 0,
        "samples": 1,
        "average": 1,
        "resize": False,
        "overwrite": False,
    }
    args = resolved("--approach", "adam")
    assert {name: getattr(args, name) for name in wanted} == wanted
    args = resolved("--approach", "pgd", "--maskType", "left")
    assert (args.momentum, args.beta1, args.beta2, args.eps) == (0.9, None, None, None)
    assert (args.lr, args.n_iter, args.lam, args.center_scale) == (0.01, 1000, 0.1, None)
    args = resolved("--approach", "hmc")
    assert (args.hmc_beta, args.hmc_eps, args.hmc_l, args.hmc_anneal) == (0.2, 0.001, 100, 1)
    assert (args.n_iter, args.lr, args.lam, args.blend) == (20, None, 0.1, "none")


def test_auto_is_the_default_with_values_of_its_own() -> None:
    args, adam = resolved(), resolved("--approach", "adam")
    assert (args.approach, args.blend, args.momentum) == ("auto", "smooth", None)
    assert args.n_iter <= adam.n_iter / 10
    assert args.n_iter * args.average <= adam.n_iter / 5  # of half the price: D is not asked
    assert args.out_interval < args.n_iter
    assert args.average > 1
    args = resolved("--nIter", "7", "--lr", "0.5", "--weighted", "0.25", "--blend", "none")
    assert (args.n_iter, args.lr, args.weighted, args.blend) == (7, 0.5, 0.25, "none")


@pytest.mark.parametrize("options", [("--average", "1"), ("--samples", "3")])
def test_a_single_search_is_longer(options: tuple[str, ...]) -> None:
    args = resolved(*options)
    assert args.average == 1
    assert args.n_iter > 2 * resolved().n_iter
    assert resolved(*options, "--nIter", "7").n_iter == 7


def test_samples_may_be_averages_too() -> None:
    args = resolved("--samples", "3", "--average", "2")
    assert (args.samples, args.average, args.n_iter) == (3, 2, resolved().n_iter)


SPELLINGS = {
    "n_iter": ("--nIter", "--n-iter", "7", 7),
    "img_size": ("--imgSize", "--img-size", "32", 32),
    "checkpoint_dir": ("--checkpointDir", "--checkpoint-dir", "c", "c"),
    "out_dir": ("--outDir", "--out-dir", "o", "o"),
    "out_interval": ("--outInterval", "--out-interval", "9", 9),
    "mask_type": ("--maskType", "--mask-type", "grid", "grid"),
    "center_scale": ("--centerScale", "--center-scale", "0.3", 0.3),
    "hmc_beta": ("--hmcBeta", "--hmc-beta", "0.3", 0.3),
    "hmc_eps": ("--hmcEps", "--hmc-eps", "0.3", 0.3),
    "hmc_l": ("--hmcL", "--hmc-l", "30", 30),
    "hmc_anneal": ("--hmcAnneal", "--hmc-anneal", "0.3", 0.3),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_options_in_both_spellings(name: str) -> None:
    reference, kebab, text, value = SPELLINGS[name]
    for flag in (reference, kebab):
        args = load_script(SCRIPT).build_parser().parse_args(["a.png", flag, text])
        assert getattr(args, name) == value


# --- what is written ---


def test_the_outputs_have_their_names(
    completed: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = completed
    assert done.stdout.splitlines() == [
        "3 images completed by checkpoint/ckpt-11: see completions/final and completion.gif"
    ]
    batch = {"before.png", "masked.png", "completion.gif", "logs/losses.csv", "logs/z.npz"}
    batch |= {f"{kind}/{i:04d}.png" for kind in ("hats_imgs", "completed") for i in (0, 4, 6)}
    wanted = batch | {f"batch-0002/{name}" for name in batch}
    wanted |= {f"final/{name}.png" for name in NAMES} | {"results.csv", "config.json"}
    found = contents(folder / "completions")
    assert {name for name, data in found.items() if data is not None} == wanted
    assert {path.name for path in folder.iterdir()} == {"a", "b", *GIVEN[2:], "checkpoint"} | {
        "completions"
    }


def test_known_pixels_are_the_inputs_and_the_hole_is_generated(
    completed: tuple[Path, object], model: DCGAN, images_of: np.ndarray
) -> None:
    out = completed[0] / "completions"
    finals = np.stack([load(out / "final" / f"{name}.png") for name in NAMES])
    hole = np.zeros([SIZE, SIZE], bool)
    hole[4:12, 4:12] = True
    np.testing.assert_array_equal(finals[:, ~hole], images_of[:, ~hole])
    z = np.concatenate([z_of(out), z_of(out / "batch-0002")])
    assert z.shape == (3, 8)
    assert np.abs(z).max() <= 1
    generated = levels(model.generator(tf.constant(z)))
    # Another process may round the last bit otherwise.
    assert np.abs(finals - generated)[:, hole].max() <= 1
    assert np.abs(finals - generated)[:, hole].mean() < 0.05
    # The test could not fail if G always drew the same.
    assert np.abs(generated[0] - generated[1]).mean() > 10


def test_pictures_show_the_batch_from_start_to_end(
    completed: tuple[Path, object], images_of: np.ndarray
) -> None:
    out = completed[0] / "completions"
    for batch, of in ((out, slice(0, 2)), (out / "batch-0002", slice(2, 3))):
        before = np.concatenate(images_of[of], axis=1)
        finals = [load(out / "final" / f"{name}.png") for name in NAMES[of]]
        np.testing.assert_array_equal(load(batch / "before.png"), before)
        final = np.concatenate(finals, axis=1)
        np.testing.assert_array_equal(load(batch / "completed" / "0006.png"), final)
        masked, first = load(batch / "masked.png"), load(batch / "completed" / "0000.png")
        generated = load(batch / "hats_imgs" / "0006.png")
        for left in range(0, before.shape[1], SIZE):
            hole = np.zeros(before.shape[:2], bool)
            hole[4:12, left + 4 : left + 12] = True
            cell = np.zeros(before.shape[:2], bool)
            cell[:, left : left + SIZE] = True
            assert (masked[hole] == 128).all()
            np.testing.assert_array_equal(masked[cell & ~hole], before[cell & ~hole])
            np.testing.assert_array_equal(first[cell & ~hole], before[cell & ~hole])
            np.testing.assert_array_equal(generated[hole], final[hole])
        assert (first != final).any()


def test_the_animation_goes_from_start_to_end(completed: tuple[Path, object]) -> None:
    out = completed[0] / "completions"
    with Image.open(out / "completion.gif") as gif:
        assert gif.info["loop"] == 0
        assert gif.n_frames == 3
        for frame, name in enumerate(("0000", "0004", "0006")):
            gif.seek(frame)
            shown = np.asarray(gif.convert("RGB")).astype(int)
            assert np.abs(shown - load(out / "completed" / f"{name}.png")).mean() < 8


def test_losses_are_what_the_networks_say(
    completed: tuple[Path, object], model: DCGAN, images_of: np.ndarray
) -> None:
    out = completed[0] / "completions"
    rows = rows_of(out)
    assert [row[0] for row in rows] == list(GIVEN)
    assert [row[1] for row in rows] == [f"{name}.png" for name in NAMES]
    found = np.array([row[2:] for row in rows], float)
    z = np.concatenate([z_of(out), z_of(out / "batch-0002")])
    known = np.ones([1, SIZE, SIZE, 1])
    known[:, 4:12, 4:12] = 0
    contextual, perceptual = losses_of(model, z, signed(images_of), known)
    np.testing.assert_allclose(found[:, 0], contextual, rtol=1e-4)
    np.testing.assert_allclose(found[:, 1], perceptual, rtol=1e-4)
    np.testing.assert_allclose(found[:, 2], contextual + LAM * perceptual, rtol=1e-4)


def test_the_log_has_a_column_per_image_and_the_best_is_reported(
    completed: tuple[Path, object],
) -> None:
    out = completed[0] / "completions"
    totals = np.array([row[4] for row in rows_of(out)], float)
    for batch, of in ((out, slice(0, 2)), (out / "batch-0002", slice(2, 3))):
        names, history = history_of(batch)
        assert names == list(NAMES[of])
        assert history.shape == (6, len(names))
        assert (totals[of] <= history.min(axis=0)).all()
        assert (totals[of] < 0.999 * history[0]).all()
        with np.load(batch / "logs" / "z.npz") as arrays:
            assert arrays["names"].tolist() == list(NAMES[of])
            assert arrays["inputs"].tolist() == list(GIVEN[of])


def test_the_configuration_is_kept(completed: tuple[Path, object]) -> None:
    config = json.loads((completed[0] / "completions" / "config.json").read_text())
    options = config["options"]
    wanted = {"approach": "adam", "lr": 0.05, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
    wanted |= {"n_iter": 6, "out_interval": 4, "lam": LAM, "mask_type": "center"}
    wanted |= {
        "center_scale": 0.25,
        "batch_size": 2,
        "seed": 0,
        "images": ["a/1.png", "b", "c, ä.png"],
    }
    wanted |= {"checkpoint": "checkpoint/ckpt-11", "out_dir": "completions"}
    assert {name: options[name] for name in wanted} == wanted
    assert config["seed"] == 0
    assert config["completion"] == {"finished": True}
    assert config["packages"]["tensorflow"] == tf.__version__


def test_the_configuration_holds_resolved_options(copy: Path, run_here: Run) -> None:
    arguments = (*GIVEN, "--nIter", 1, "--outDir", "out")
    assert run_here(*arguments, cwd=copy).returncode == 0
    options = json.loads((copy / "out" / "config.json").read_text())["options"]
    assert (options["img_size"], options["batch_size"]) == (SIZE, 3)


# --- independence ---


@pytest.fixture(scope="module")
def among_others(
    completed: tuple[Path, object], faces16: Path
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The same images in another order, with others, some of which cannot be used."""
    folder = completed[0].parent / "among others"
    shutil.copytree(completed[0], folder)
    shutil.rmtree(folder / "completions")
    shutil.copy(sorted(faces16.iterdir())[9], folder / "other.png")
    (folder / "bad.png").write_text("not an image")
    save(folder / "cut.png", noise_images(1)[0])
    whole = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])  # its head can be read
    save(folder / "wide.png", noise_images(1, 24)[0])
    others = ("bad.png", "other.png", GIVEN[2], "cut.png", "missing.png", "wide.png")
    return folder, run_script(SCRIPT, *others, *GIVEN[:2], *OPTIONS, cwd=folder, status=1)


def test_results_depend_neither_on_neighbours_nor_on_place(
    completed: tuple[Path, object], among_others: tuple[Path, object]
) -> None:
    one, other = completed[0] / "completions", among_others[0] / "completions"
    results = {row[0]: row[1:] for row in rows_of(other)}
    assert list(results) == ["other.png", GIVEN[2], *GIVEN[:2]]
    for row in rows_of(one):
        assert results[row[0]] == row[1:]
        finals = [load(out / "final" / row[1]) for out in (one, other)]
        np.testing.assert_array_equal(*finals)
    z = np.concatenate([z_of(other)[1:], z_of(other / "batch-0002")])
    np.testing.assert_array_equal(np.roll(z, -1, axis=0)[:2], z_of(one))
    np.testing.assert_array_equal(z[:1], z_of(one / "batch-0002"))


def test_what_cannot_be_used_is_named_and_the_rest_is_done(
    among_others: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = among_others
    assert "4 images completed" in done.stdout
    lines = [line for line in done.stderr.splitlines() if "skipped: " in line]
    problems = {line.partition("skipped: ")[2] for line in lines}
    assert len(problems) == len(lines) == 4
    for name, word in {
        "bad.png": "cannot be read",
        "cut.png": "cannot be read",
        "missing.png": "no such file",
        "wide.png": "24x24",
    }.items():
        (problem,) = [p for p in problems if p.startswith(name)]
        assert word in problem
    config = json.loads((folder / "completions" / "config.json").read_text())
    assert config["completion"]["finished"] is True


def test_another_seed_starts_elsewhere(copy: Path, run_here: Run) -> None:
    start = ("--approach", "adam", "--nIter", 1, "--lr", 1e-12)
    for out, seed in (("0", 0), ("also 0", 0), ("1", 1)):
        done = run_here(*GIVEN, *start, "--seed", seed, "--outDir", out, cwd=copy)
        assert done.returncode == 0, done.stderr
    z = {out: z_of(copy / out) for out in ("0", "also 0", "1")}
    np.testing.assert_array_equal(z["0"], z["also 0"])
    assert np.abs(z["0"] - z["1"]).min(axis=1).max() > 0
    together = np.concatenate([z["0"], z["1"]])
    assert len(np.unique(together.round(6))) == together.size
    # Uniform in [-1, 1]: of 48 numbers some are near each end.
    assert -1 <= together.min() < -0.8
    assert 0.8 < together.max() <= 1


# --- masks ---


def center(y: int, x: int) -> bool:
    return not (4 <= y < 12 and 4 <= x < 12)


def small_center(y: int, x: int) -> bool:
    return not (6 <= y < 9 and 6 <= x < 9)  # 16 * 0.4 = 6.4 and 16 * 0.6 = 9.6


# What is known of row y and column x.
MASKS: dict[str, tuple[tuple[object, ...], Callable[[int, int], bool]]] = {
    "center": (("--maskType", "center"), center),
    "centerScale": (("--centerScale", 0.4), small_center),
    "left": (("--maskType", "left"), lambda y, x: x >= 8),
    "grid": (("--maskType", "grid"), lambda y, x: y % 4 == 0 and x % 4 == 0),
    "full": (("--maskType", "full"), lambda y, x: True),
}


@pytest.fixture
def complete_noise(
    vivid: Path, tmp_path: Path, run_here: Run
) -> Callable[..., tuple[np.ndarray, Path]]:
    """Completes two pictures of noise; returns them and the output folder."""

    def run(*options: object) -> tuple[np.ndarray, Path]:
        images = noise_images(2)
        for i, image in enumerate(images):
            save(tmp_path / f"{i}.png", image)
        done = run_here(
            *("0.png", "1.png", "--checkpointDir", vivid, "--outDir", "out"),
            *("--nIter", 3, "--lr", 0.2, "--lam", LAM, *options),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return images, tmp_path / "out"

    return run


def finals_of(out: Path) -> np.ndarray:
    return np.stack([load(out / "final" / f"{i}.png") for i in range(2)])


def cells(grid: np.ndarray) -> np.ndarray:
    return np.stack([grid[:, :SIZE], grid[:, SIZE:]])


def assert_losses(
    out: Path, model: DCGAN, images: np.ndarray, known: np.ndarray, edge: int = 1
) -> None:
    found = np.array([row[2:] for row in rows_of(out)], float)
    contextual, perceptual = losses_of(model, z_of(out), signed(images), known, edge)
    np.testing.assert_allclose(found[:, 0], contextual, rtol=1e-4)
    np.testing.assert_allclose(found[:, 1], perceptual, rtol=1e-4)
    np.testing.assert_allclose(found[:, 2], contextual + LAM * perceptual, rtol=1e-4)


@pytest.mark.parametrize(
    ("case", "approach"), [*((case, "adam") for case in MASKS), ("left", "pgd"), ("full", "pgd")]
)
def test_masks_decide_what_is_known(
    case: str, approach: str, complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    options, definition = MASKS[case]
    images, out = complete_noise(*options, "--approach", approach)
    known = np.array([[definition(y, x) for x in range(SIZE)] for y in range(SIZE)])
    masked, finals = cells(load(out / "masked.png")), finals_of(out)
    np.testing.assert_array_equal(masked[:, known], images[:, known])
    assert (masked[:, ~known] == 128).all()
    z = z_of(out)
    assert np.abs(z).max() <= 1
    generated = levels(model.generator(tf.constant(z)))
    hole = np.ones_like(known) if case == "full" else ~known
    np.testing.assert_array_equal(finals[:, ~hole], images[:, ~hole])
    assert np.abs(finals - generated)[:, hole].max() <= 1
    assert_losses(out, model, images, known[np.newaxis, ..., np.newaxis])


def test_random_masks_miss_a_fifth_and_derive_from_seed_and_pixels(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    missing = {}
    for seed in (0, 1):
        options = ("--maskType", "random", "--blend", "none", "--weighted", 0, "--average", 1)
        images, out = complete_noise(*options, "--seed", seed, "--overwrite")
        masked, finals = cells(load(out / "masked.png")), finals_of(out)
        missing[seed] = (masked == 128).all(axis=-1)  # noise is never that gray
        known = ~missing[seed]
        np.testing.assert_array_equal(masked[known], images[known])
        np.testing.assert_array_equal(finals[known], images[known])
        generated = levels(model.generator(tf.constant(z_of(out))))
        assert np.abs(finals - generated)[~known].max() <= 1
        assert_losses(out, model, images, known[..., np.newaxis])
        deviation = np.sqrt(0.2 * 0.8 / SIZE**2)
        assert np.abs(missing[seed].mean(axis=(1, 2)) - 0.2).max() < 5 * deviation
        assert (missing[seed][0] != missing[seed][1]).any()
    assert (missing[0] != missing[1]).any(axis=(1, 2)).all()


def test_lowres_knows_the_averages_of_blocks(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    images, out = complete_noise("--maskType", "lowres", "--average", 1)
    means = block_means(signed(images), 8)
    seen = levels(means.repeat(8, axis=1).repeat(8, axis=2))
    assert np.abs(cells(load(out / "masked.png")) - seen).max() <= 1
    generated = levels(model.generator(tf.constant(z_of(out))))
    assert np.abs(finals_of(out) - generated).max() <= 1
    assert_losses(out, model, images, np.ones([1, 1, 1, 1]), edge=8)


# --- the search ---


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


def adam_steps(
    gradients: Callable[[np.ndarray], np.ndarray], z: np.ndarray, steps: int
) -> Iterator[np.ndarray]:
    """With --lr 0.1 --beta1 0.5 --beta2 0.7 --eps 0.5 --decay 0.25."""
    m = v = np.zeros_like(z)
    for t in range(1, steps + 1):
        yield z
        g = gradients(z)
        m, v = 0.5 * m + 0.5 * g, 0.7 * v + 0.3 * g * g
        z = 0.975 * z - 0.1 * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.7**t)) + 0.5)
        z = z.clip(-1, 1)


def pgd_steps(
    gradients: Callable[[np.ndarray], np.ndarray], z: np.ndarray, steps: int
) -> Iterator[np.ndarray]:
    """With --lr 0.002 --momentum 0.6."""
    v = np.zeros_like(z)
    for _ in range(steps):
        yield z
        v_next = 0.6 * v - 0.002 * gradients(z)
        z = (z - 0.6 * v + 1.6 * v_next).clip(-1, 1)
        v = v_next


SEARCHES = {
    "adam": (
        (
            *("--approach", "adam", "--lr", 0.1, "--beta1", 0.5, "--beta2", 0.7, "--eps", 0.5),
            *("--decay", 0.25),
        ),
        adam_steps,
    ),
    "pgd": (("--approach", "pgd", "--lr", 0.002, "--momentum", 0.6), pgd_steps),
}


@pytest.mark.parametrize("case", SEARCHES)
def test_the_search_takes_numpys_steps(
    case: str, vivid: Path, model: DCGAN, faces16: Path, tmp_path: Path, run_here: Run
) -> None:
    paths = sorted(faces16.iterdir())[3:5]
    common = (*paths, "--checkpointDir", vivid, "--maskType", "left", "--lam", 2.5)
    common += ("--precision", "float32")
    start = ("--approach", "adam", "--nIter", 1, "--lr", 1e-12, "--outDir", "start")
    assert run_here(*common, *start, cwd=tmp_path).returncode == 0
    options, steps = SEARCHES[case]
    done = run_here(*common, *options, "--nIter", 8, "--outInterval", 3, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    images = signed(np.stack([load(path) for path in paths]))
    known = np.repeat(np.arange(SIZE)[np.newaxis] >= SIZE / 2, SIZE, axis=0)

    def losses_at(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return losses_and_gradient(model, z, images, known, lam=2.5)

    visited = list(steps(lambda z: losses_at(z)[1], z_of(tmp_path / "start").astype(float), 9))
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


# --- names ---


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/1.png", "y/2.png"], ["1", "2"]),
        (["a/1.png", "b/1.png", "b/2.png"], ["a-1", "b-1", "2"]),
        (["p/a/1.png", "q/a/1.png", "q/b/1.png"], ["p-a-1", "q-a-1", "b-1"]),
        (["a/1.jpg", "a/1.png"], ["1-jpg", "1-png"]),
        (["x.y/1.2.png"], ["1.2"]),
    ],
)
def test_names_get_the_shortest_distinguishing_prefix(paths: list[str], names: list[str]) -> None:
    assert list(inputs.output_names([f"/top/{path}" for path in paths]).values()) == names
    assert list(inputs.output_names(paths).values()) == names


@pytest.mark.parametrize(
    "paths",
    [
        ["/1.png", "/a/1.png", "/b/a/1.png"],
        ["/a/1.png", "/A/1.png", "/a-1.png", "/b/1.PNG"],
        ["/a/b-1.png", "/a-b/1.png", "/a/b/1.png", "/1.png", "/c/1.png"],
        ["1.png", "./1.png", "1.jpg"],
    ],
)
def test_names_are_told_apart_also_without_case(paths: list[str]) -> None:
    names = inputs.output_names(paths)
    assert list(names) == paths
    assert len({name.casefold() for name in names.values()}) == len(paths)
    assert not any("/" in name for name in names.values())


# --- sizes and channels ---


def test_resize_crops_and_scales(vivid: Path, tmp_path: Path, run_here: Run) -> None:
    image = np.zeros([40, 100, 3], np.uint8)
    image[:, 30:70] = [200, 100, 50]  # the central square
    save(tmp_path / "wide.png", image)
    save(tmp_path / "gray.png", np.full([SIZE, SIZE], 77, np.uint8))
    arguments = ("wide.png", "gray.png", "--checkpointDir", vivid, "--nIter", 1, "--imgSize", 16)
    done = run_here(*arguments, "--resize", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "completions"
    before = load(out / "before.png")
    assert before.shape == (SIZE, 2 * SIZE, 3)
    assert (before[:, :SIZE] == [200, 100, 50]).all()
    assert (before[:, SIZE:] == 77).all()
    final = load(out / "final" / "wide.png")
    assert (final[:4] == [200, 100, 50]).all()
    assert final.shape == (SIZE, SIZE, 3)


def test_a_model_of_gray_pictures_completes_gray_ones(
    faces16: Path, tmp_path: Path, run_here: Run, run_any: Run
) -> None:
    arguments = ("--dataset", faces16, *TINY, "--channels", 1, "--epoch", 1)
    done = run_any("train-dcgan.py", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = sorted(faces16.iterdir())[0]
    done = run_here(path, "--nIter", 2, "--maskType", "left", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "completions"
    final, before = load(out / "final" / path.name), load(out / "before.png")
    assert final.shape == before.shape == (SIZE, SIZE)
    luma = load(path) @ np.array([299, 587, 114]) / 1000  # ITU-R 601-2
    assert np.abs(before - luma).max() <= 1
    np.testing.assert_array_equal(final[:, 8:], before[:, 8:])


def test_one_checkpoint_may_be_named(copy: Path, run_here: Run) -> None:
    finals = {}
    for name in ("ckpt-10", "ckpt-11", "ckpt-11.index", "."):
        where = ("--checkpointDir", f"checkpoint/{name}", "--outDir", f"out {name}")
        done = run_here(GIVEN[0], "--nIter", 2, *where, cwd=copy)
        assert done.returncode == 0, done.stderr
        used = "ckpt-10" if name == "ckpt-10" else "ckpt-11"
        assert f"{used}:" in done.stdout
        finals[name] = load(copy / f"out {name}" / "final" / "1.png")
    np.testing.assert_array_equal(finals["ckpt-11"], finals["."])
    np.testing.assert_array_equal(finals["ckpt-11"], finals["ckpt-11.index"])
    assert (finals["ckpt-10"] != finals["ckpt-11"]).any()


# --- a second time ---

AGAIN = (GIVEN[0], "b", GIVEN[2], *OPTIONS)


def test_a_finished_folder_needs_overwrite(copy: Path, run_here: Run) -> None:
    before = contents(copy)
    for options in ((), ("--lam", 0.2)):
        done = run_here(*AGAIN, *options, cwd=copy)
        assert_refused(done, "--outDir completions", "finished", "--overwrite")
    assert contents(copy) == before


def test_overwrite_starts_anew_and_leaves_other_files(copy: Path, run_here: Run) -> None:
    out = copy / "completions"
    mine = [out / "notes.txt", out / "my batch" / "1.png", out / "batch-2 of my photos" / "2.png"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("precious")
    options = ("--nIter", 2, "--lam", 0, "--overwrite")
    done = run_here(GIVEN[1], *options, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (out / "final").iterdir()] == ["1.png"]
    assert [path.name for path in sorted((out / "completed").iterdir())] == ["0000.png", "0002.png"]
    assert not (out / "batch-0002").exists()
    ((path, _, contextual, _, total),) = rows_of(out)
    assert path == GIVEN[1]
    assert contextual == total  # without the perceptual loss
    lost = [str(path.relative_to(out)) for path in mine if not path.exists()]
    assert lost == []


def unfinish(out: Path) -> None:
    config = json.loads((out / "config.json").read_text())
    config["completion"]["finished"] = False
    (out / "config.json").write_text(json.dumps(config))


def test_an_unfinished_folder_goes_on_at_the_first_unfinished_image(
    copy: Path, run_here: Run
) -> None:
    out = copy / "completions"
    unfinish(out)
    before = contents(copy)
    done = run_here(*AGAIN, "--lam", 0.2, cwd=copy)
    assert_refused(done, "--outDir completions", "other options", "--overwrite")
    assert contents(copy) == before
    # As if it had been killed in its second batch, of one image.
    finals = {name: load(out / "final" / f"{name}.png") for name in NAMES}
    rows = (out / "results.csv").read_text().splitlines()
    (out / "results.csv").write_text("\n".join(rows[:-1]) + "\n")
    (out / "final" / f"{NAMES[-1]}.png").unlink()
    shutil.rmtree(out / "batch-0002" / "logs")
    (out / "final" / f"{NAMES[0]}.png").write_text("not done again")
    done = run_here(*AGAIN, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "going on in completions: 2 images are done"
    assert set(contents(copy)) == set(before)
    assert (out / "final" / f"{NAMES[0]}.png").read_text() == "not done again"
    again = load(out / "final" / f"{NAMES[-1]}.png").astype(int)
    assert np.abs(again - finals[NAMES[-1]]).max() <= 1  # many threads may sum in another order
    assert [row[:2] for row in rows_of(out)] == [row.split(",")[:2] for row in rows[1:3]] + [
        [GIVEN[2], f"{NAMES[-1]}.png"]
    ]
    assert json.loads((out / "config.json").read_text())["completion"]["finished"] is True


def test_a_stopped_run_is_unfinished(copy: Path, run_here: Run) -> None:
    out = copy / "out"
    words = [GIVEN[0], "--nIter", "1000000", "--outInterval", "20", "--outDir", "out"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / SCRIPT), *words],
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not (out / "completed" / "0040.png").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143
    assert output == ""
    assert "Traceback" not in errors
    assert not [name for name in contents(out) if name.endswith(".partial")]
    done = run_here(GIVEN[0], "--nIter", 3, "--outDir", "out", cwd=copy)
    assert_refused(done, "--outDir out", "other options", "--overwrite")
    done = run_here(GIVEN[0], "--nIter", 3, "--outDir", "out", "--overwrite", cwd=copy)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(out / "completed")) == ["0000.png", "0003.png"]


def test_earlier_results_may_be_completed_without_being_lost(copy: Path, run_here: Run) -> None:
    finals = [f"completions/final/{name}.png" for name in NAMES]
    done = run_here(*finals, "--nIter", 2, "--maskType", "left", "--overwrite", cwd=copy)
    assert done.returncode in (0, 2), done.stderr
    assert [path for path in finals if not (copy / path).exists()] == []


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_folders_of_others_are_refused(
    overwrite: tuple[str, ...], copy: Path, run_here: Run
) -> None:
    (copy / "mine" / "final").mkdir(parents=True)
    (copy / "mine" / "final" / "thesis.txt").write_text("precious")
    (copy / "theirs").mkdir()
    (copy / "theirs" / "config.json").write_text('{"program": "other"}')
    before = contents(copy)
    for folder, words in {
        "checkpoint": ("--outDir checkpoint", "model"),
        "mine": ("--outDir mine", "final"),
        "theirs": ("theirs/config.json", "another program"),
    }.items():
        done = run_here(GIVEN[0], "--nIter", 1, "--outDir", folder, *overwrite, cwd=copy)
        assert_refused(done, *words)
    assert contents(copy) == before


# --- errors ---

REFUSED = {
    "momentum of adam": (
        ("--approach", "adam", "--momentum", 0.5),
        ("--momentum", "--approach pgd", "--approach adam"),
    ),
    "lr of hmc": (("--approach", "hmc", "--lr", 0.5), ("--lr", "adam or pgd", "--approach hmc")),
    "hmcL of auto": (("--hmcL", 5), ("--hmc-l", "--approach hmc", "--approach auto")),
    "fraction of center": (("--fraction", 0.5), ("--fraction", "random", "center")),
    "mask of left": (("--mask", "1.png", "--maskType", "left"), ("--mask ", "file", "left")),
    "no mask": (("--maskType", "file"), ("--mask-type file", "--mask PATH")),
    "inverted center": (("--invert-mask",), ("--invert-mask", "file", "center")),
    "feather alone": (("--feather",), ("--feather", "--dilate")),
    "all dilated": (("--dilate", 20), ("1.png", "nothing of it is known", "--dilate")),
    "nothing to dilate": (("--dilate", 2, "--maskType", "full"), ("--dilate", "full")),
    "weighted twice": (("--weighted", 2), ("--weighted", "'2'")),
    "no sample": (("--samples", 0), ("--samples", "'0'")),
    "no search": (("--average", 0), ("--average", "'0'")),
    "shard of none": (("--shard", "3/2"), ("--shard", "3/2", "2/4")),
    "an empty shard": (("--shard", "2/3"), ("--shard 2/3", "1 image")),
    "beta1 of pgd": (("--approach", "pgd", "--beta1", 0.5), ("--beta1", "adam", "pgd")),
    "beta2 of pgd": (("--approach", "pgd", "--beta2", 0.5), ("--beta2", "adam", "pgd")),
    "eps of pgd": (("--approach", "pgd", "--eps", 0.5), ("--eps", "adam", "pgd")),
    "decay of pgd": (("--approach", "pgd", "--decay", 0.5), ("--decay", "adam", "pgd")),
    "scale of left": (
        ("--maskType", "left", "--centerScale", 0.3),
        ("--center-scale", "center", "--mask-type left"),
    ),
    "another size": (("--imgSize", 32), ("--img-size 32", "ckpt-11", "16")),
    "an impossible size": (("--imgSize", 17), ("17",)),
    "no hole": (("--centerScale", 0.5), ("0.5",)),
    "all hole": (("--centerScale", 0), ("'0'",)),
    "no rate": (("--lr", 0), ("--lr", "'0'")),
    "negative weight": (("--lam=-1",), ("--lam", "'-1'")),
    "no iteration": (("--nIter", 0), ("--nIter", "'0'")),
    "no interval": (("--outInterval", 0), ("--outInterval", "'0'")),
    "no batch": (("--batch-size", 0), ("--batch-size", "'0'")),
    "beta of one": (("--beta1", 1), ("--beta1", "'1'")),
    "unknown mask": (("--maskType", "middle"), ("middle", "center")),
    "unknown approach": (("--approach", "sgd"), ("sgd", "pgd")),
    "abbreviated": (("--over",), ("--over",)),
    "below a file": (("--outDir", "file/out"), ("--outDir file/out", "cannot be written")),
    "a file": (("--outDir", "file"), ("--outDir file", "not a folder")),
    "no model": (("--checkpointDir", "missing"), ("missing", "no checkpoint", "train-dcgan.py")),
    "an empty model": (("--checkpointDir", "empty"), ("empty", "no checkpoint")),
    "no such step": (("--checkpointDir", "checkpoint/ckpt-12"), ("ckpt-12", "no checkpoint")),
}


@pytest.fixture
def folder(vivid: Path, tmp_path: Path) -> Path:
    shutil.copytree(vivid, tmp_path / "checkpoint")
    save(tmp_path / "1.png", noise_images(1)[0])
    save(tmp_path / "large.png", noise_images(1, 20)[0])
    save(tmp_path / "sizes" / "larger.png", noise_images(1, 24)[0])
    (tmp_path / "file").write_text("here first")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_refused(case: str, folder: Path, run_here: Run) -> None:
    options, words = REFUSED[case]
    before = contents(folder)
    assert_refused(run_here("1.png", *options, cwd=folder), *words)
    assert contents(folder) == before


def test_bad_inputs_are_refused(folder: Path, run_here: Run) -> None:
    before = contents(folder)
    for arguments, words in {
        ("missing.png",): ("missing.png", "no such file"),
        ("file",): ("file", "cannot be read as an image"),
        ("empty",): ("empty", "no images"),
        ("1.png", "empty"): ("empty", "no images"),
        ("large.png",): ("20x20", "16x16", "./align-dlib.py", "--size 16", "--resize"),
        ("large.png", "sizes", "file"): ("large.png", "--resize", "2 more"),
        (): ("IMAGE",),
    }.items():
        assert_refused(run_here(*arguments, cwd=folder), *words)
    assert contents(folder) == before


def test_other_checkpoints_are_refused(folder: Path, run_here: Run) -> None:
    config = folder / "checkpoint" / "config.json"
    text = config.read_text()
    other = json.loads(text)
    other["architecture"]["gf_dim"] = 5
    foreign = {"program": "other", "architecture": {}}
    for content, words in (
        (json.dumps(other), ("ckpt-11", "config.json")),
        (json.dumps(foreign), ("config.json", "another program")),
        ("{", ("config.json", "JSON")),
        (None, ("checkpoint", "another program")),
    ):
        config.unlink()
        if content is not None:
            config.write_text(content)
        before = contents(folder)
        assert_refused(run_here("1.png", cwd=folder), *words)
        assert contents(folder) == before
        config.write_text(text)


def test_errors_are_one_line_also_for_users(folder: Path) -> None:
    # Once as users run it, before and after TensorFlow is imported.
    before = contents(folder)
    done = run_script(SCRIPT, "1.png", "--momentum", 0.5, cwd=folder, status=2)
    assert_refused(done, "--momentum")
    done = run_script(SCRIPT, "large.png", cwd=folder, status=2)
    assert_refused(done, "large.png", "--resize")
    assert contents(folder) == before


@pytest.mark.parametrize("number", [1, 10**12])
def test_where_memory_does_not_suffice_the_option_to_lower_is_named(
    number: int, folder: Path, run_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number == 1:  # TensorFlow itself asks for 16 TB in vain, not NumPy on its behalf
        monkeypatch.setattr(Completer, "states", lambda *_: (tf.zeros([n]) for n in [2**42]))
    done = run_here("1.png", "--batch-size", number, "--outDir", "large", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    line = done.stderr.splitlines()[-1]  # below the progress bar
    assert f"--batch-size {number}: memory" in line
    assert "lower it" in line
    config = json.loads((folder / "large" / "config.json").read_text())
    assert config["completion"]["finished"] is False


# --- more than one completion, more than one machine, more than masks ---


def test_samples_are_ranked_and_shown(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    images, out = complete_noise("--samples", 3, "--approach", "adam", "--maskType", "left")
    with np.load(out / "logs" / "z.npz") as arrays:
        z, losses = arrays["samples_z"], arrays["samples_losses"]
        np.testing.assert_array_equal(arrays["z"], z[:, 0])
    assert z.shape == (2, 3, model.z_dim)
    assert (np.diff(losses, axis=1) >= 0).all()
    masked = cells(load(out / "masked.png"))
    for i in range(2):
        names = ["1.png", "2.png", "3.png"]
        assert sorted(os.listdir(out / "samples" / str(i))) == names
        samples = np.stack([load(out / "samples" / str(i) / name) for name in names])
        np.testing.assert_array_equal(samples[0], finals_of(out)[i])
        np.testing.assert_array_equal(samples[:, :, 8:], images[[i, i, i], :, 8:])
        generated = levels(model.generator(tf.constant(z[i])))
        assert np.abs(samples - generated)[:, :, :8].max() <= 1
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert np.abs(samples[one].astype(int) - samples[other]).max() > 3
        sheet = load(out / "samples" / f"{i}.png")
        expected = np.concatenate([images[i], masked[i], *samples], axis=1)
        np.testing.assert_array_equal(sheet, expected)


def test_the_default_is_the_mean_of_several_searches(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    options = ("--approach", "auto", "--maskType", "left", "--blend", "none")
    images, out = complete_noise(*options, "--nIter", 3)
    z, finals = z_of(out), finals_of(out)
    assert z.shape == (2, completion_run.Settings.of("auto").average, model.z_dim)
    np.testing.assert_array_equal(finals[:, :, 8:], images[:, :, 8:])
    each = np.stack([levels(model.generator(tf.constant(own))) for own in z])
    assert np.abs(finals - each.mean(axis=1))[:, :, :8].max() <= 1
    assert np.abs(finals - each[:, 0])[:, :, :8].max() > 3


def test_shards_divide_the_images_and_change_nothing(copy: Path, run_here: Run) -> None:
    parts = []
    for part in (1, 2):
        out = copy / f"part {part}"
        options = ("--shard", f"{part}/2", "--outDir", out.name)
        done = run_here(*AGAIN, *options, cwd=copy)
        assert done.returncode == 0, done.stderr
        parts.append(sorted(path.stem for path in (out / "final").iterdir()))
        for name in parts[-1]:
            whole = load(copy / "completions" / "final" / f"{name}.png").astype(int)
            assert np.abs(whole - load(out / "final" / f"{name}.png")).max() <= 1
    assert parts == [[NAMES[0], NAMES[2]], [NAMES[1]]]


@pytest.mark.parametrize("kind", ["one for all", "one for each"])
def test_mask_files_say_what_is_missing(
    kind: str, complete_noise: Callable[..., tuple[np.ndarray, Path]], tmp_path: Path
) -> None:
    hole = np.zeros([2, SIZE, SIZE], bool)
    hole[0, 3:7, 2:9] = hole[0, 10:, 12:] = True
    if kind == "one for all":
        save(tmp_path / "mask.png", np.uint8(255 * hole[0].repeat(2, 0).repeat(2, 1)))
        hole[1], options = hole[0], ("--mask", "mask.png")
    else:
        hole[1, :, 5:6] = True
        for i in range(2):
            save(tmp_path / "masks" / f"{i}.png", np.uint8(255 * ~hole[i]))
        options = ("--mask", "masks", "--invert-mask")
    images, out = complete_noise(*options)
    masked, finals = cells(load(out / "masked.png")), finals_of(out)
    np.testing.assert_array_equal(masked[~hole], images[~hole])
    assert (masked[hole] == 128).all()
    np.testing.assert_array_equal(finals[~hole], images[~hole])
    assert (finals[hole] != images[hole]).any()


def test_dilate_grows_the_hole_and_feather_goes_over_inside(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], tmp_path: Path
) -> None:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    hole = (abs(rows - 7.5) < 2) & (abs(columns - 7.5) < 2)
    save(tmp_path / "mask.png", np.uint8(255 * hole))
    near = ((rows[..., None] - rows[hole]) ** 2 + (columns[..., None] - columns[hole]) ** 2).min(-1)
    grown = near <= 9
    options = ("--mask", "mask.png", "--dilate", 3, "--blend", "none", "--approach", "adam")
    images, out = complete_noise(*options)
    plain = finals_of(out)
    np.testing.assert_array_equal(plain[:, ~grown], images[:, ~grown])
    rim = grown & ~hole
    assert (plain[:, rim] != images[:, rim]).any(axis=-1).all()  # noise is never G's
    complete_noise(*options, "--feather", "--overwrite")
    soft = finals_of(out)
    np.testing.assert_array_equal(soft[:, ~grown], images[:, ~grown])
    np.testing.assert_array_equal(soft[:, hole], plain[:, hole])
    low, high = np.minimum(images, plain), np.maximum(images, plain)
    assert ((soft >= low) & (soft <= high))[:, rim].all()
    assert (soft[:, rim] != images[:, rim]).any()
    assert (soft[:, rim] != plain[:, rim]).any()


def test_blending_keeps_what_is_known_and_leaves_no_step(
    vivid: Path, tmp_path: Path, run_here: Run
) -> None:
    smooth = np.zeros([SIZE, SIZE, 3], np.uint8) + np.uint8(np.linspace(40, 200, SIZE))[:, None]
    save(tmp_path / "smooth.png", smooth)
    steps = {}
    for blend in ("none", "poisson", "smooth"):
        options = ("--blend", blend, "--outDir", blend, "--nIter", 3)
        done = run_here("smooth.png", "--checkpointDir", vivid, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        final = load(tmp_path / blend / "final" / "smooth.png").astype(int)
        inside = np.zeros([SIZE, SIZE], bool)
        inside[4:12, 4:12] = True
        np.testing.assert_array_equal(final[~inside], smooth[~inside])
        steps[blend] = np.abs(final[4:12, 4] - final[4:12, 3]).mean()
    assert max(steps["poisson"], steps["smooth"]) < 0.75 * steps["none"]


def test_hmc_lowers_the_loss(vivid: Path, copy: Path, run_here: Run) -> None:
    options = ("--approach", "hmc", "--hmcL", 5, "--hmcEps", 0.02, "--hmcBeta", 1)
    finals = {}
    for out in ("one", "two"):
        done = run_here(*GIVEN, *options, "--nIter", 12, "--outDir", out, cwd=copy)
        assert done.returncode == 0, done.stderr
        _, history = history_of(copy / out)
        assert history.shape == (12, 3)
        best = np.array([row[4] for row in rows_of(copy / out)], float)
        assert (best < 0.95 * history[0]).all()
        finals[out] = z_of(copy / out)
    np.testing.assert_allclose(finals["one"], finals["two"], atol=1e-4)  # from seed and pixels
