"""The model that ships: complete, small, clean, and good enough to use."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT, run_script

from dcgan_completion import checkpoints, runs, utils
from dcgan_completion.evaluation import baselines, embeddings, image_metrics
from dcgan_completion.masks import drawing
from dcgan_completion.masks.mask import Mask
from dcgan_completion.settings.model_folder import ENCODER_FOLDER

FOLDER = ROOT / "data" / "pretrained"


ENCODER = FOLDER / ENCODER_FOLDER


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def listed_in(folder: Path) -> set[str]:
    return {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}


def checkpoint_files(folder: Path) -> set[str]:
    """The names of what is loaded: one checkpoint, and what belongs to it."""
    (data,) = (path.name for path in folder.glob("ckpt-*.data-00000-of-00001"))
    index = data.replace("data-00000-of-00001", "index")
    return {data, index, "checkpoint", "config.json"}


def test_it_has_all_it_needs_and_no_more_than_64_megabytes() -> None:
    loaded = checkpoint_files(FOLDER)
    texts = {"LICENSE", "MODEL_CARD.md", "SHA256SUMS", "holdout.txt"}
    inside = {ENCODER.name} if ENCODER.exists() else set()
    assert {path.name for path in FOLDER.iterdir()} == loaded | texts | inside
    assert sum(path.stat().st_size for path in files_of(FOLDER)) <= 64e6
    assert listed_in(FOLDER) == loaded


@pytest.mark.skipif(not ENCODER.exists(), reason="no context encoder ships")
def test_its_context_encoder_has_all_it_needs() -> None:
    loaded = checkpoint_files(ENCODER)
    assert {path.name for path in ENCODER.iterdir()} == loaded | {"SHA256SUMS"}
    assert listed_in(ENCODER) == loaded
    encoder, prefix = checkpoints.load_context_encoder(str(ENCODER))
    images = {"image_size": 64, "channels": 3}
    assert {name: encoder.architecture[name] for name in images} == images
    stored = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    weights = [name for name in stored if name.endswith("VARIABLE_VALUE")]
    assert {name.split("/")[0] for name in weights} == {"averaged", "save_counter"}


def test_git_changes_no_line_ends_in_it() -> None:
    names = ["config.json", "SHA256SUMS", "context-encoder/config.json", "context-encoder/ckpt-1"]
    command = ["git", "check-attr", "text", "--", *(f"data/pretrained/{name}" for name in names)]
    try:
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no checkout of git")
    assert [line.rpartition(": ")[2] for line in done.stdout.splitlines()] == ["unset"] * 4


def test_it_is_the_tutorials_network_without_optimizers() -> None:
    config = runs.read_config(str(FOLDER))
    sizes = {"image_size": 64, "channels": 3, "z_dim": 100, "gf_dim": 64, "df_dim": 64}
    assert config["architecture"] == sizes
    names = tf.train.load_checkpoint(str(FOLDER)).get_variable_to_shape_map()
    assert not [name for name in names if "optimizer" in name]


def test_its_texts_name_no_places() -> None:
    for path in files_of(FOLDER):
        if not path.name.startswith("ckpt-"):
            places = re.findall(r"/(?:home|root|tmp|work|usr|mnt)/\S*", path.read_text())
            assert not places, path.name


def test_the_held_out_faces_are_listed() -> None:
    names = (FOLDER / "holdout.txt").read_text().split("\n")[:-1]
    assert len(set(names)) == len(names) == 2000
    utkface = [name for name in names if re.match(r"\d+_\d", name)]
    assert len(utkface) == 1000


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portraits")
    run_script("data/copy-portraits.py", "--out", "raw", cwd=folder)
    run_script("align-dlib.py", "raw", "align", "innerEyesAndBottomLip", "aligned", cwd=folder)
    return folder / "aligned"


def test_dlib_sees_faces_in_what_it_generates() -> None:
    model, _ = checkpoints.load_model(str(FOLDER))
    z = np.random.default_rng(0).uniform(-1, 1, [32, 100])
    with embeddings.FaceReader(1) as reader:
        found = reader.describe(checkpoints.generate(model, z)).found
    assert np.mean(found) > 0.8


def test_it_completes_portraits_better_than_inpainting(aligned: Path, tmp_path: Path) -> None:
    done = run_script("complete.py", aligned, "--outDir", "out", cwd=tmp_path)
    assert "using the shipped model" in done.stdout
    names = sorted(path.name for path in aligned.iterdir())
    faces = np.stack([utils.load_image(str(aligned / name)) for name in names])
    ours = np.stack([utils.load_image(str(tmp_path / "out" / "final" / name)) for name in names])
    mask = Mask.of_type("center", [drawing.center(64)] * len(names))
    np.testing.assert_array_equal(ours * ~mask.hole, faces * ~mask.hole)
    theirs = np.stack([baselines.telea(face, mask.plane) for face in faces])
    gain = image_metrics.psnr(faces, ours, mask.hole) - image_metrics.psnr(faces, theirs, mask.hole)
    assert np.mean(gain) > 1  # dB
