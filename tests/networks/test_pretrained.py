"""The model that ships: complete, small, clean, and good enough to use."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT, run_script

import checkpoints
import runs
import utils
from completion import masks
from metrics import baselines, embeddings, image_metrics

FOLDER = ROOT / "data" / "pretrained"


def test_it_has_all_it_needs_and_no_more_than_40_megabytes() -> None:
    names = {path.name for path in FOLDER.iterdir()}
    (data,) = (name for name in names if re.fullmatch(r"ckpt-\d+\.data-00000-of-00001", name))
    index = data.replace("data-00000-of-00001", "index")
    texts = {"LICENSE", "MODEL_CARD.md", "SHA256SUMS", "config.json", "holdout.txt"}
    assert names == {data, index, "checkpoint"} | texts
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 40e6
    listed = {line.split("  ")[1] for line in (FOLDER / "SHA256SUMS").read_text().splitlines()}
    assert listed == {data, index, "checkpoint", "config.json"}  # what is loaded


def test_it_is_the_tutorials_network_without_optimizers() -> None:
    config = runs.read_config(str(FOLDER))
    sizes = {"image_size": 64, "channels": 3, "z_dim": 100, "gf_dim": 64, "df_dim": 64}
    assert config["architecture"] == sizes
    names = tf.train.load_checkpoint(str(FOLDER)).get_variable_to_shape_map()
    assert not [name for name in names if "optimizer" in name]


def test_its_texts_name_no_places() -> None:
    for path in FOLDER.iterdir():
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
    mask = np.stack([masks.make_mask("center", 64)] * len(names))
    np.testing.assert_array_equal(ours * (mask == 1), faces * (mask == 1))
    theirs = baselines.inpaint_all(baselines.telea, faces, masks.Mask(mask))
    gain = image_metrics.psnr(faces, ours, mask) - image_metrics.psnr(faces, theirs, mask)
    assert np.mean(gain) > 1  # dB
