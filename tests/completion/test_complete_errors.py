"""What complete.py refuses: options, inputs, checkpoints, too large a batch; in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from completion_helpers import SCRIPT, noise_images
from helpers import Run, assert_refused, contents, run_script, save_picture

from dcgan_completion.inpaint.search import LatentSearch

pytest_plugins = ["completion_fixtures"]

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
    save_picture(tmp_path / "1.png", noise_images(1)[0])
    save_picture(tmp_path / "large.png", noise_images(1, 20)[0])
    save_picture(tmp_path / "sizes" / "larger.png", noise_images(1, 24)[0])
    (tmp_path / "file").write_text("here first")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_refused(case: str, folder: Path, run_complete: Run) -> None:
    options, words = REFUSED[case]
    before = contents(folder)
    assert_refused(run_complete("1.png", *options, cwd=folder), *words)
    assert contents(folder) == before


def test_bad_inputs_are_refused(folder: Path, run_complete: Run) -> None:
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
        assert_refused(run_complete(*arguments, cwd=folder), *words)
    assert contents(folder) == before


def test_other_checkpoints_are_refused(folder: Path, run_complete: Run) -> None:
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
        assert_refused(run_complete("1.png", cwd=folder), *words)
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
    number: int, folder: Path, run_complete: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number == 1:  # TensorFlow itself asks for 16 TB in vain, not NumPy on its behalf
        monkeypatch.setattr(LatentSearch, "states", lambda *_: (tf.zeros([n]) for n in [2**42]))
    done = run_complete(
        "1.png", "--guide", 0, "--batch-size", number, "--outDir", "large", cwd=folder
    )
    assert (done.returncode, done.stdout) == (2, "")
    line = done.stderr.splitlines()[-1]  # below the progress bar
    assert f"--batch-size {number}: out of memory" in line
    assert "lower it" in line
    config = json.loads((folder / "large" / "config.json").read_text())
    assert config["completion"]["finished"] is False
