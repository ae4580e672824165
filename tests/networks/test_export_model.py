"""Models that are passed on: exported, checked, chosen, started from."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import TINY, assert_refused, run_script

import checkpoints
import runs
from utils import UserError

SCRIPT = "data/export-model.py"


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    done = run_script(SCRIPT, trained / "checkpoint", "model", cwd=folder)
    assert done.stdout.startswith("model/ckpt-10: ")
    return folder / "model"


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "model"))


def test_the_export_holds_what_use_needs_and_no_more(exported: Path, trained: Path) -> None:
    found = {path.name for path in exported.iterdir()}
    data, index = "ckpt-10.data-00000-of-00001", "ckpt-10.index"
    assert found == {"SHA256SUMS", "checkpoint", "config.json", data, index}
    shapes = tf.train.load_checkpoint(str(exported)).get_variable_to_shape_map()
    assert not [name for name in shapes if "optimizer" in name]
    numbers = sum(int(np.prod(shape)) for name, shape in shapes.items() if "VARIABLE" in name)
    model, _ = checkpoints.load_model(str(trained / "checkpoint"))
    variables = [*model.g.values(), *model.d.values()]
    assert numbers == sum(int(tf.size(v)) for v in variables) + 1  # and how often it was saved
    other, prefix = checkpoints.load_model(str(exported))
    assert prefix == str(exported / "ckpt-10")
    for one, two in zip(variables, [*other.g.values(), *other.d.values()], strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_sums_are_sha256sums(exported: Path) -> None:
    lines = (exported / "SHA256SUMS").read_text().splitlines()
    expected = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
        for path in sorted(exported.iterdir())
        if path.name != "SHA256SUMS"
    ]
    assert lines == expected


def test_the_configuration_names_no_paths(exported: Path, trained: Path) -> None:
    text = (exported / "config.json").read_text()
    assert str(trained) not in text
    assert "--dataset" not in text
    config = runs.read_config(str(exported))
    assert config["architecture"]["image_size"] == 16
    assert config["options"]["learning_rate"] == 0.0002


@pytest.mark.parametrize("name", ["ckpt-10.data-00000-of-00001", "ckpt-10.index", "config.json"])
def test_a_damaged_file_is_named(name: str, copy: Path, tmp_path: Path) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(UserError):
        checkpoints.load_model(str(copy))
    (copy / "config.json").write_bytes((copy / "config.json").read_bytes())
    if name != "config.json":  # there the architecture may be what is damaged
        done = run_script("sample-dcgan.py", "--checkpoint-dir", copy, cwd=tmp_path, status=2)
        assert_refused(done, name, "damaged", "SHA256SUMS")
        assert not (tmp_path / "samples.png").exists()


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "ckpt-10.data-00000-of-00001").unlink()
    with pytest.raises(UserError, match="data-00000-of-00001: is missing"):
        checkpoints.load_model(str(copy))


def test_weights_that_are_not_finite_are_refused(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained / "checkpoint", tmp_path / "checkpoint"))
    model, _ = checkpoints.load_model(str(folder))
    kernel = model.d["conv1_kernel"]
    values = kernel.numpy()
    values[0, 0, 0, 0] = np.nan
    kernel.assign(values)
    checkpoint = tf.train.Checkpoint(averaged=model.g, model=model)
    tf.train.CheckpointManager(checkpoint, str(folder), 5, checkpoint_name="ckpt").save(11)
    with pytest.raises(UserError, match=r"ckpt-11: .*not finite \(conv1_kernel\).*earlier"):
        checkpoints.load_model(str(folder))


def test_what_exists_is_not_written_to(copy: Path, trained: Path, tmp_path: Path) -> None:
    done = run_script(SCRIPT, trained / "checkpoint", copy, cwd=tmp_path, status=2)
    assert_refused(done, str(copy), "exists")
    done = run_script(SCRIPT, "nothing", "out", cwd=tmp_path, status=2)
    assert_refused(done, "nothing", "no checkpoint")
    assert not (tmp_path / "out").exists()


def train_from(model: Path, folder: Path, faces16: Path) -> subprocess.CompletedProcess[str]:
    options = ("--epoch", 1, "--init-from", model, "--average-decay", 0)
    return run_script("train-dcgan.py", "--dataset", faces16, *TINY, *options, cwd=folder)


def test_training_starts_from_it_if_asked(copy: Path, faces16: Path, tmp_path: Path) -> None:
    done = train_from(copy, tmp_path, faces16)
    assert f"starting from the weights of {copy}/ckpt-10" in done.stdout
    first = tf.train.load_checkpoint(str(tmp_path / "checkpoint" / "ckpt-0"))
    model, _ = checkpoints.load_model(str(copy))
    for name, variable in model.g.items():
        for tree in ("model/g", "averaged"):
            stored = first.get_tensor(f"{tree}/{name}/.ATTRIBUTES/VARIABLE_VALUE")
            np.testing.assert_array_equal(stored, variable)


# --- the shipped model ---


@pytest.fixture
def shipped(copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tiny model in the shipped one's place; the current folder is empty."""
    monkeypatch.setattr(checkpoints, "SHIPPED", str(copy))
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return copy


def test_the_shipped_model_is_used_where_there_is_no_other(shipped: Path, trained: Path) -> None:
    path, note = checkpoints.select_model(None)
    assert path == str(shipped)
    assert "non-commercial research" in note
    assert "LICENSE" in note
    shutil.copytree(trained / "checkpoint", "checkpoint")
    assert checkpoints.select_model(None) == ("checkpoint", "")


def test_its_terms_are_said_wherever_it_is_named(
    shipped: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(shipped)
    for path in (shipped, shipped / "ckpt-10", f"{shipped}/", tmp_path / "link"):
        _, note = checkpoints.select_model(str(path))
        assert "non-commercial research" in note
        assert "no model" not in note
    assert checkpoints.licence_note(str(trained / "checkpoint")) == ""
    monkeypatch.chdir(shipped)
    assert "(./LICENSE)" in checkpoints.licence_note(".")


def test_a_model_that_was_named_never_falls_back(shipped: Path) -> None:
    assert checkpoints.select_model("mine") == ("mine", "")
    with pytest.raises(UserError, match="mine: holds no checkpoint"):
        checkpoints.load_model(checkpoints.select_model("mine")[0])


def test_without_any_model_training_is_the_remedy(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SHIPPED", str(shipped) + "-not")
    with pytest.raises(UserError, match=r"checkpoint: holds no checkpoint; train a model first"):
        checkpoints.load_model(checkpoints.select_model(None)[0])
