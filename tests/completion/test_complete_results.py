"""What complete.py writes: pictures, losses, latents, samples, the record of the run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from completion_helpers import (
    GIVEN,
    LAM,
    NAMES,
    SIZE,
    cells,
    finals_of,
    history_of,
    levels,
    losses_of,
    rows_of,
    signed,
    z_of,
)
from helpers import Run, contents, load_picture
from PIL import Image

from dcgan_completion.model import DCGAN
from dcgan_completion.settings.search import SearchSettings

pytest_plugins = ["completion_fixtures"]


def test_the_outputs_have_their_names(
    completed: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = completed
    (line,) = done.stdout.splitlines()
    assert line.startswith("3 images completed by checkpoint/ckpt-11 (for the shipped model: ")
    assert line.endswith("): see completions/final and completion.gif")
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
    finals = np.stack([load_picture(out / "final" / f"{name}.png") for name in NAMES])
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
        finals = [load_picture(out / "final" / f"{name}.png") for name in NAMES[of]]
        np.testing.assert_array_equal(load_picture(batch / "before.png"), before)
        final = np.concatenate(finals, axis=1)
        np.testing.assert_array_equal(load_picture(batch / "completed" / "0006.png"), final)
        masked, first = (
            load_picture(batch / "masked.png"),
            load_picture(batch / "completed" / "0000.png"),
        )
        generated = load_picture(batch / "hats_imgs" / "0006.png")
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
            assert np.abs(shown - load_picture(out / "completed" / f"{name}.png")).mean() < 8


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


def test_the_configuration_holds_resolved_options(copy: Path, run_complete: Run) -> None:
    arguments = (*GIVEN, "--nIter", 1, "--outDir", "out")
    assert run_complete(*arguments, cwd=copy).returncode == 0
    options = json.loads((copy / "out" / "config.json").read_text())["options"]
    assert (options["img_size"], options["batch_size"]) == (SIZE, 3)


def test_samples_are_ranked_and_shown(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    images, out = complete_noise("--samples", 3, "--approach", "adam", "--maskType", "left")
    with np.load(out / "logs" / "z.npz") as arrays:
        z, losses = arrays["samples_z"], arrays["samples_losses"]
        np.testing.assert_array_equal(arrays["z"], z[:, 0])
    assert z.shape == (2, 3, model.z_dim)
    assert (np.diff(losses, axis=1) >= 0).all()
    masked = cells(load_picture(out / "masked.png"))
    for i in range(2):
        names = ["1.png", "2.png", "3.png"]
        assert sorted(os.listdir(out / "samples" / str(i))) == names
        samples = np.stack([load_picture(out / "samples" / str(i) / name) for name in names])
        np.testing.assert_array_equal(samples[0], finals_of(out)[i])
        np.testing.assert_array_equal(samples[:, :, 8:], images[[i, i, i], :, 8:])
        generated = levels(model.generator(tf.constant(z[i])))
        assert np.abs(samples - generated)[:, :, :8].max() <= 1
        for one, other in ((0, 1), (0, 2), (1, 2)):
            assert np.abs(samples[one].astype(int) - samples[other]).max() > 3
        sheet = load_picture(out / "samples" / f"{i}.png")
        expected = np.concatenate([images[i], masked[i], *samples], axis=1)
        np.testing.assert_array_equal(sheet, expected)


def test_the_default_is_the_mean_of_several_searches(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    options = ("--approach", "auto", "--maskType", "left", "--blend", "none")
    images, out = complete_noise(*options, "--nIter", 3)
    z, finals = z_of(out), finals_of(out)
    assert z.shape == (2, SearchSettings.of("auto").average, model.z_dim)
    np.testing.assert_array_equal(finals[:, :, 8:], images[:, :, 8:])
    each = np.stack([levels(model.generator(tf.constant(own))) for own in z])
    assert np.abs(finals - each.mean(axis=1))[:, :, :8].max() <= 1
    assert np.abs(finals - each[:, 0])[:, :, :8].max() > 3
