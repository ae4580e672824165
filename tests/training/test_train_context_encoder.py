"""train-context-encoder.py as users run it: what it writes, goes on with, and refuses."""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import Run, assert_refused, contents, load_script
from PIL import Image
from training_runs import load_events, newest, numbers, tensors

from dcgan_completion import checkpoints, utils
from dcgan_completion.settings import training as settings
from dcgan_completion.training import dataset as dataset_module
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.utils import UserError

SCRIPT = "train-context-encoder.py"
SMALL = ("--image-size", 16, "--width", 4, "--batch-size", 8, "--warmup-steps", 3)
MODEL = Path("checkpoint/context-encoder")
LOGS = Path("logs/context-encoder")


def train_in(folder: Path, run_here: Run, *arguments: object) -> str:
    done = run_here(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / LOGS / "scalars.csv", newline="") as file:
        return list(csv.DictReader(file))


def refused(run_here: Run, *arguments: object, cwd: Path, words: tuple[str, ...]) -> None:
    before = contents(cwd)
    assert_refused(run_here(*arguments, cwd=cwd), *words)
    assert contents(cwd) == before


@pytest.fixture(scope="module")
def held_out(faces16: Path) -> list[str]:
    return sorted(path.name for path in faces16.iterdir())[3:40:4]


@pytest.fixture(scope="module")
def names(held_out: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of 10 of the 40 faces."""
    path = tmp_path_factory.mktemp("lists") / "names.txt"
    path.write_text("\n".join(held_out) + "\n")
    return path


@pytest.fixture
def options(faces16: Path, names: Path) -> tuple[object, ...]:
    """Of runs with 3 steps an epoch, which are saved every 6."""
    data = ("--dataset", faces16, "--holdout", names, "--flip")
    return (*data, *SMALL, "--decay-epochs", 2, "--checkpoint-interval", 6)


# --- outputs ---


def test_two_sittings_equal_one(run_here: Run, options: tuple[object, ...], tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    # The rate falls over the last epochs of the run, however many sittings it takes.
    train_in(whole, run_here, *options, "--epoch", 4)
    stopped = run_here(*options, "--epoch", 4, "--minutes", 1e-9, cwd=parts)
    assert stopped.returncode == 0, stopped.stderr
    assert newest(parts / MODEL) == 1
    stdout = train_in(parts, run_here, *options, "--epoch", 4)
    assert f"resuming from {MODEL}/ckpt-1" in stdout
    one, two = tensors(whole / MODEL / "ckpt-12"), tensors(parts / MODEL / "ckpt-12")
    assert set(one) == set(two)
    # The weights and two averages of each, the averaged weights; rate, count and step.
    weights = [name for name in one if name.startswith("averaged/")]
    assert len(one) == 4 * len(weights) + 3
    for name, value in one.items():
        np.testing.assert_array_equal(two[name], value, err_msg=name)
    picture = "samples/context-encoder/train_04_0003.png"
    assert (whole / picture).read_bytes() == (parts / picture).read_bytes()
    ours, theirs = rows_of(whole), rows_of(parts)
    assert [row["step"] for row in ours] == [str(i) for i in range(1, 13)]
    assert theirs[0]["held_out_psnr"]  # where a sitting ends, it is evaluated as well
    assert theirs[1:] == ours[1:]
    _check_outputs(whole)


def _check_outputs(folder: Path) -> None:
    rows = rows_of(folder)
    assert [bool(row["held_out_center_psnr"]) for row in rows] == [i % 6 == 5 for i in range(12)]
    assert all(0 < float(row["psnr"]) < 40 for row in rows)
    with Image.open(folder / "samples/context-encoder/train_04_0003.png") as grid:
        assert grid.size == (4 * 3 * 16, 3 * 16)  # ten triples
    config = json.loads((folder / MODEL / "config.json").read_text())
    assert config["program"] == "dcgan-completion"
    assert config["architecture"] == {"image_size": 16, "channels": 3, "width": 4}
    assert config["identity"] == {"batch_size": 8, "seed": 0}
    assert config["options"]["warmup_steps"] == 3
    assert "sync_batch_norm" not in config["options"]
    found = {path.name for path in (folder / LOGS).iterdir()}
    runs = {"training images", "held-out images", "training"}
    assert found == {"scalars.csv", "losses.png", "losses.pdf", *runs}
    events = load_events(folder / LOGS)
    points = numbers(events["held-out images"], "context encoder/PSNR of the hole, dB")
    assert [step for step, _ in points] == [6, 12]
    assert "context encoder/samples" in events["training"].Tags()["tensors"]


def test_an_encoder_is_loaded_and_started_from(
    run_here: Run, options: tuple[object, ...], tmp_path: Path
) -> None:
    train_in(tmp_path, run_here, *options, "--epoch", 1)
    encoder, prefix = checkpoints.load_context_encoder(str(tmp_path / MODEL))
    assert prefix == str(tmp_path / MODEL / "ckpt-3")
    stored = tensors(Path(prefix))
    for name, variable in encoder.e.items():
        value = stored[f"averaged/{name}/.ATTRIBUTES/VARIABLE_VALUE"]
        np.testing.assert_array_equal(variable, value)
    (tmp_path / "other").mkdir()
    start = ("--init-from", tmp_path / MODEL, "--epoch", 1, "--seed", 5)
    stdout = train_in(tmp_path / "other", run_here, *options, *start)
    assert f"starting from the weights of {prefix}" in stdout
    first = tensors(tmp_path / "other" / MODEL / "ckpt-0")
    for name, value in stored.items():
        if name.startswith(("averaged/", "model/")):
            np.testing.assert_array_equal(first[name], value, err_msg=name)
    # One that holds the averaged weights alone, as a model that is passed on does.
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(tmp_path / MODEL / "config.json", alone)
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(averaged=encoder.e), str(alone), 1, checkpoint_name="ckpt"
    )
    manager.save(3)
    again, _ = checkpoints.load_context_encoder(str(alone))
    for name, variable in again.e.items():
        np.testing.assert_array_equal(variable, encoder.e[name])
    (tmp_path / "third").mkdir()
    train_in(tmp_path / "third", run_here, *options, "--epoch", 1, "--init-from", alone)


def test_what_is_held_out_is_never_trained_on(
    faces16: Path, held_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    load = dataset_module.load_image

    def noted(path: str, channels: int) -> np.ndarray:
        read.append(path)
        return load(path, channels)

    monkeypatch.setattr(dataset_module, "load_image", noted)
    dataset = ImageFolders([str(faces16)], image_size=16, batch_size=8, holdout=held_out)
    for step in range(2 * dataset.steps_per_epoch):
        dataset.batch(step)
    assert len({Path(path).name for path in read}) > 20
    assert not {Path(path).name for path in read} & set(held_out)
    read.clear()
    assert dataset.load_held_out(4).shape == (4, 16, 16, 3)
    assert dataset.load_held_out(100).shape == (10, 16, 16, 3)
    assert {Path(path).name for path in read} == set(held_out)


def test_held_out_files_that_cannot_be_read_are_told(
    tmp_path: Path, faces16: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(faces16, tmp_path / "data"))
    (folder / "broken.png").write_text("no image")
    Image.new("RGB", (17, 16)).save(folder / "large.png")
    utils.limit_pixels(16 * 16)
    dataset = ImageFolders(
        [str(folder)],
        image_size=16,
        batch_size=8,
        holdout=["broken.png", "large.png"],
    )
    assert dataset.load_held_out(3).shape == (0, 16, 16, 3)
    broken, large = caplog.messages
    assert "broken.png: cannot be read" in broken
    assert "large.png: is 17x16, more than 256 pixels" in large


# --- beside a DCGAN ---


def test_size_and_channels_are_the_dcgans(
    run_here: Run, run_any: Run, trained: Path, faces16: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    data = ("--dataset", faces16, "--width", 4, "--batch-size", 8)
    words = ("--image-size 32 contradicts", "ckpt-10", "--image-size 16", "--checkpoint-dir")
    refused(run_here, *data, "--image-size", 32, cwd=folder, words=words)
    words = ("--channels 1 contradicts", "--channels 3")
    refused(run_here, *data, "--channels", 1, cwd=folder, words=words)
    before = contents(folder)
    stdout = train_in(folder, run_here, *data, "--epoch", 1)
    assert "40 images, 5 steps per epoch" in stdout
    after = contents(folder)
    assert {name: after[name] for name in before} == before  # of the DCGAN's run nothing changes
    assert json.loads(after[f"{MODEL}/config.json"])["architecture"]["image_size"] == 16
    assert {row["held_out_psnr"] for row in rows_of(folder)} == {""}
    # The DCGAN goes on beside it.
    done = run_any("train-dcgan.py", "--dataset", faces16, "--epoch", 3, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert newest(folder / "checkpoint") == 15
    assert newest(folder / MODEL) == 5


def test_estimates_are_sharpened_against_the_dcgans_discriminator(
    run_here: Run, trained: Path, faces16: Path, tmp_path: Path
) -> None:
    first, second = (Path(shutil.copytree(trained, tmp_path / n)) for n in ("first", "second"))
    data = ("--dataset", faces16, "--width", 4, "--batch-size", 8, "--warmup-steps", 3)
    train_in(first, run_here, *data, "--epoch", 1)
    sharper = ("--adversarial-weight", 2)
    words = ("--adversarial-weight 2", "--init-from")
    refused(run_here, *data, *sharper, cwd=second, words=words)
    start = ("--init-from", first / MODEL)
    words = ("--adversarial-weight 2", "no DCGAN in --checkpoint-dir other", "copy one there")
    elsewhere = ("--checkpoint-dir", "other", "--image-size", 16)
    refused(run_here, *data, *sharper, *start, *elsewhere, cwd=second, words=words)
    stopped = (*data, *sharper, *start, "--epoch", 2, "--minutes", 1e-9)
    train_in(second, run_here, *stopped)
    words = ("--adversarial-weight 0.0 contradicts", "--adversarial-weight 2.0", "ckpt-1")
    refused(run_here, *data, "--adversarial-weight", 0, cwd=second, words=words)
    train_in(second, run_here, *data, "--epoch", 2)  # the weight is kept
    rows = rows_of(second)
    assert len(rows) == 10
    assert all(float(row["adversarial_loss"]) > 0 < float(row["d_loss"]) for row in rows)
    before, _ = checkpoints.load_context_encoder(str(first / MODEL))
    after, _ = checkpoints.load_context_encoder(str(second / MODEL))
    for name, variable in before.e.items():
        same = np.array_equal(variable.numpy(), after.e[name].numpy())
        assert same != name.startswith(("up1", "refine", "up0")), name
    words = ("--adversarial-weight 2.0 contradicts", "--adversarial-weight 0.0")
    refused(run_here, *data, *sharper, "--epoch", 2, cwd=first, words=words)


def test_one_network_is_not_taken_for_the_other(
    run_here: Run, run_any: Run, trained: Path, faces16: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    data = ("--dataset", faces16, "--batch-size", 8)
    train_in(folder, run_here, *data, "--width", 4, "--epoch", 1)
    encoder, dcgan = str(folder / MODEL), str(folder / "checkpoint")
    with pytest.raises(UserError, match=r"is a context encoder's, not a DCGAN's"):
        checkpoints.load_model(encoder)
    with pytest.raises(UserError, match=r"is a DCGAN's, not a context encoder's.*context-encoder"):
        checkpoints.load_context_encoder(dcgan)
    with pytest.raises(UserError, match=r"train-context-encoder\.py"):
        checkpoints.load_context_encoder(str(tmp_path))
    others = ("--log-dir", "l", "--sample-dir", "s")
    words = (f"--checkpoint-dir {MODEL}", "context encoder's")
    refused(run_here, *data, *others, "--checkpoint-dir", MODEL, cwd=folder, words=words)
    new = ("--checkpoint-dir", "new", *others)
    words = ("--init-from checkpoint", "DCGAN's")
    done = run_here(*data, *SMALL, *new, "--init-from", "checkpoint", cwd=folder)
    assert_refused(done, *words)
    done = run_any(
        "train-dcgan.py", *data, "--image-size", 16, *new, "--init-from", MODEL, cwd=folder
    )
    assert_refused(done, f"--init-from {MODEL}", "context encoder's")
    # A config of one beside a checkpoint of the other.
    for path in ("config.json", "checkpoint"):
        shutil.copy(folder / "checkpoint" / path, tmp_path)
    for path in folder.joinpath("checkpoint").glob("ckpt-10*"):
        shutil.copy(path, tmp_path)
    shutil.copy(folder / MODEL / "config.json", tmp_path)
    with pytest.raises(UserError, match="does not fit the networks that its"):
        checkpoints.load_context_encoder(str(tmp_path))


def test_damaged_and_broken_encoders_are_refused(
    run_here: Run, options: tuple[object, ...], tmp_path: Path
) -> None:
    train_in(tmp_path, run_here, *options, "--epoch", 1)
    encoder, prefix = checkpoints.load_context_encoder(str(tmp_path / MODEL))
    encoder.e["up1_bias"].assign(np.full(encoder.e["up1_bias"].shape, np.nan))
    broken = tf.train.Checkpoint(averaged=encoder.e)
    written = broken.save(str(tmp_path / MODEL / "broken"))
    with pytest.raises(UserError, match=r"not finite \(up1_bias\)"):
        checkpoints.load_context_encoder(written)
    with open(f"{prefix}.data-00000-of-00001", "r+b") as file:
        file.truncate(100)
    with pytest.raises(UserError, match="damaged"):
        checkpoints.load_context_encoder(prefix)


# --- what is refused ---


def test_other_runs_are_neither_mixed_nor_changed(
    run_here: Run, run_any: Run, options: tuple[object, ...], trained: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    # Into the DCGAN's logs or samples: at the start of a run, and when one goes on.
    refused(run_here, *options, "--log-dir", "logs", cwd=folder, words=("logs/scalars.csv",))
    words = ("train_02_0005.png", "another run", "--sample-dir")
    refused(run_here, *options, "--sample-dir", "samples", cwd=folder, words=words)
    train_in(folder, run_here, *options, "--epoch", 1)
    log = (folder / "logs" / "scalars.csv").read_bytes()
    done = run_here(*options, "--epoch", 2, "--log-dir", "logs", cwd=folder)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "logs/scalars.csv: is not of this training; move it away" in last
    assert "or choose another --log-dir" in last
    assert (folder / "logs" / "scalars.csv").read_bytes() == log
    for wrong, words in (
        (("--width", 5), ("--width 5 contradicts", "--width 4")),
        (("--seed", 5), ("--seed 5 contradicts", "--seed 0")),
        (("--init-from", "checkpoint/context-encoder"), ("--init-from", "would be resumed")),
    ):
        refused(run_here, *options, *wrong, cwd=folder, words=words)


@pytest.mark.parametrize(
    "option", ["--width=0", "--warmup-steps=0", "--image-size=48", "--g-updates=2"]
)
def test_bad_options_are_refused(option: str, run_here: Run, tmp_path: Path) -> None:
    assert_refused(run_here("--dataset", ".", option, cwd=tmp_path), option.partition("=")[0])


def test_a_file_in_place_of_the_model_is_refused(
    run_here: Run, faces16: Path, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / MODEL).write_text("here first")
    words = ("--checkpoint-dir checkpoint/context-encoder",)
    refused(run_here, "--dataset", faces16, *SMALL, cwd=tmp_path, words=words)


def test_images_of_too_many_pixels_are_not_read(
    run_here: Run, faces16: Path, tmp_path: Path
) -> None:
    done = run_here("--dataset", faces16, *SMALL, "--max-pixels", 255, cwd=tmp_path)
    assert done.returncode == 2
    *skipped, last = done.stderr.splitlines()
    assert len(skipped) == 33  # then fewer than a batch of 8 are left of 40
    assert all(line.startswith("skipped: ") and "more than 255 pixels" in line for line in skipped)
    assert "7 readable images are fewer than a batch of 8" in last
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("for_photos", [False, True])
def test_every_option_has_its_field(for_photos: bool) -> None:
    classes = settings.PHOTO_ENCODER_OPTIONS if for_photos else settings.ENCODER_OPTIONS
    args = load_script(SCRIPT).build_parser(classes).parse_args(["--dataset", "data"])
    fields = [f.name for each in classes for f in settings.options.option_fields(each)]
    assert len(fields) == len(set(fields))
    assert {*fields, "for_photos", "traceback"} == set(vars(args))
    assert settings.given_options(args, classes) == {"dataset": ["data"]}


def test_proportions_are_numbers_above_zero() -> None:
    assert settings.proportions("1,2.5") == [1, 2.5]
    for text in ("1,0", "1,x", "-1"):
        with pytest.raises(argparse.ArgumentTypeError):
            settings.proportions(text)


def test_a_photo_encoder_is_trained_resumed_and_used(tmp_path: Path, run_here: Run) -> None:
    """As users run it: heads, a run by pixels, one that starts from it against discriminators."""
    rng = np.random.default_rng(0)
    heads = tmp_path / "heads"
    heads.mkdir()
    for i in range(6):
        picture = rng.integers(0, 256, [40, 40, 4], np.uint8)
        picture[..., 3] = 255
        Image.fromarray(picture).save(heads / f"{i}.png")
    (tmp_path / "holdout.txt").write_text("5.png\n")
    size = ("--image-size", 16, "--first-size", 16, "--width", 4, "--batch-size", 2)
    words = ("--for-photos", "--dataset", "heads", "--holdout", "holdout.txt", *size)

    def train(folder: str, *more: object) -> subprocess.CompletedProcess[str]:
        places = [("--checkpoint-dir", folder), ("--log-dir", f"{folder}/logs")]
        places.append(("--sample-dir", f"{folder}/samples"))
        return run_here(*words, *itertools.chain(*places), *more, cwd=tmp_path)

    done = train("pixels", "--adversarial-weight", 0, "--epoch", 1)
    assert done.returncode == 0, done.stderr
    done = train("pixels", "--epoch", 2)  # what is recorded is kept
    assert done.returncode == 0, done.stderr
    assert "resuming from pixels/photo-encoder/ckpt-2" in done.stdout
    done = train("sharp", "--init-from", "pixels/photo-encoder", "--epoch", 1)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "sharp" / "logs" / "scalars.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert all(math.isfinite(float(row["projected_loss"])) for row in rows)
    assert float(rows[-1]["held_out_psnr"]) > 0
    encoder, _ = checkpoints.load_photo_encoder(str(tmp_path / "sharp" / "photo-encoder"))
    assert encoder.image_size == 16
    refused = train("sharp", "--adversarial-weight", 0)
    assert refused.returncode == 2
    assert "--adversarial-weight 0.0 contradicts the checkpoint" in refused.stderr
