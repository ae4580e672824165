"""Checkpoints that are exported: their content, sums and licence; which model is chosen."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import TINY, Run, assert_refused, contents, run_script, save_encoder

from dcgan_completion import checkpoints, runs
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.photo_encoder import PhotoEncoder
from dcgan_completion.training import checkpointing
from dcgan_completion.utils import UserError

SCRIPT = "export.py"
CHECKPOINT = ("--format", "checkpoint", "--checkpoint-dir")  # and the model's path


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    done = run_script(SCRIPT, "model", *CHECKPOINT, trained / "checkpoint", cwd=folder)
    assert done.stdout.startswith("model/ckpt-10: ")
    return folder / "model"


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "model"))


def test_the_export_holds_what_use_needs_and_no_more(exported: Path, trained: Path) -> None:
    found = {path.name for path in exported.iterdir()}
    data, index = "ckpt-10.data-00000-of-00001", "ckpt-10.index"
    assert found == {"SHA256SUMS", "checkpoint", "config.json", data, index}
    assert (exported / "SHA256SUMS").read_text().splitlines() == [
        f"{hashlib.sha256((exported / name).read_bytes()).hexdigest()}  {name}"
        for name in sorted(found - {"SHA256SUMS"})
    ]
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


def test_the_configuration_names_no_paths(exported: Path, trained: Path) -> None:
    text = (exported / "config.json").read_text()
    assert str(trained) not in text
    assert "--dataset" not in text
    config = runs.read_config(str(exported))
    assert config["architecture"]["image_size"] == 16
    assert config["options"]["learning_rate"] == 0.0002


@pytest.mark.parametrize("name", ["ckpt-10.data-00000-of-00001", "ckpt-10.index", "config.json"])
def test_a_damaged_or_missing_file_is_named(
    name: str, copy: Path, run_any: Run, tmp_path: Path
) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(UserError):
        checkpoints.load_model(str(copy))
    if name == "config.json":  # the architecture itself may be what is damaged
        return
    done = run_any("sample-dcgan.py", "--checkpoint-dir", copy, cwd=tmp_path)
    assert_refused(done, name, "damaged", "SHA256SUMS")
    assert not (tmp_path / "samples.png").exists()
    if "data" in name:
        (copy / name).unlink()
        with pytest.raises(UserError, match=f"{name}: is missing"):
            checkpoints.load_model(str(copy))


@pytest.mark.parametrize("network", ["g", "d"])  # both have a conv1_kernel
def test_weights_that_are_not_finite_are_refused(
    network: str, trained: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained / "checkpoint", tmp_path / "checkpoint"))
    model, _ = checkpoints.load_model(str(folder))
    kernel = getattr(model, network)["conv1_kernel"]
    values = kernel.numpy()
    values[0, 0, 0, 0] = np.nan
    kernel.assign(values)
    checkpoint = tf.train.Checkpoint(averaged=model.g, model=model)
    tf.train.CheckpointManager(checkpoint, str(folder), 5, checkpoint_name="ckpt").save(11)
    with pytest.raises(UserError, match=r"ckpt-11: .*not finite \(conv1_kernel\).*earlier"):
        checkpoints.load_model(str(folder))


def assert_starts(first: Path, variables: dict, *trees: str) -> None:
    """A training's first checkpoint holds these weights in all of these trees."""
    reader = tf.train.load_checkpoint(str(first))
    for name, variable in variables.items():
        for tree in trees:
            stored = reader.get_tensor(f"{tree}/{name}/.ATTRIBUTES/VARIABLE_VALUE")
            np.testing.assert_array_equal(stored, variable)


def test_training_starts_from_it_if_asked(
    copy: Path, faces16: Path, run_any: Run, tmp_path: Path
) -> None:
    options = ("--epoch", 1, "--init-from", copy, "--average-decay", 0)
    done = run_any("train-dcgan.py", "--dataset", faces16, *TINY, *options, cwd=tmp_path)
    assert f"starting from the weights of {copy}/ckpt-10" in done.stdout
    model, _ = checkpoints.load_model(str(copy))
    assert_starts(tmp_path / "checkpoint" / "ckpt-0", model.g, "model/g", "averaged")


# --- the context encoder inside ---

ENCODER = Path("model/context-encoder")
LARGE = 1e6  # more than 16 bits hold: 65504


@pytest.fixture(scope="module")
def guided(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny model with a context encoder inside, as its training saves one."""
    folder = Path(shutil.copytree(trained / "checkpoint", tmp_path_factory.mktemp("guided") / "c"))
    encoder = ContextEncoder(image_size=16, width=4, seed=3)
    averaged = {name: tf.Variable(0.9 * variable) for name, variable in encoder.e.items()}
    averaged["up1_bias"][0].assign(LARGE)
    # Between the least normal and the least number at all of 16 bits, and below that.
    averaged["down0_bias"].assign([3e-5, -1e-7, 1e-8, 1e-12])
    contents = {"averaged": averaged, "model": encoder, "step": tf.Variable(7)}
    inside = folder / "context-encoder"
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(**contents), str(inside), 5, checkpoint_name="ckpt"
    )
    manager.save(5)
    manager.save(7)
    options = {"dataset": [str(trained)], "warmup_steps": 500, "learning_rate": 0.001}
    config = {"architecture": encoder.architecture, "options": options, "command": f"x {trained}"}
    runs.write_config(str(inside), config)
    return folder


@pytest.fixture(scope="module")
def exported_with_encoder(guided: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("with-encoder")
    checkpointing.export_model(str(guided), str(folder / "model"))
    return folder


def test_both_are_exported_and_checked(
    guided: Path, exported: Path, tmp_path: Path, run_here: Run
) -> None:
    done = run_here("model", *CHECKPOINT, guided, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    model, encoder = done.stdout.splitlines()
    assert re.fullmatch(r"model/ckpt-10: \d+\.\d MB", model)
    assert re.fullmatch(r"model/context-encoder: \d+\.\d MB", encoder)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    found = {path.name for path in (tmp_path / ENCODER).iterdir()}
    data, index = "ckpt-7.data-00000-of-00001", "ckpt-7.index"
    assert found == {"SHA256SUMS", "checkpoint", "config.json", data, index}
    assert "context-encoder" not in (tmp_path / "model" / "SHA256SUMS").read_text()
    # Of the DCGAN, all is as without an encoder.
    assert {path.name for path in exported.iterdir()} == {
        path.name for path in (tmp_path / "model").iterdir()
    } - {"context-encoder"}
    for name in ("ckpt-10.data-00000-of-00001", "config.json"):
        assert (tmp_path / "model" / name).read_bytes() == (exported / name).read_bytes()
    inside = checkpoints.encoder_folder(str(tmp_path / "model"))
    assert inside == str(tmp_path / ENCODER)
    _, prefix = checkpoints.load_context_encoder(inside)
    assert prefix == str(tmp_path / ENCODER / "ckpt-7")
    for name in (data, index, "config.json"):
        path = tmp_path / ENCODER / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        with pytest.raises(UserError):
            checkpoints.load_context_encoder(inside)
        path.write_bytes(whole)
    checkpoints.load_model(str(tmp_path / "model"))


def test_the_encoders_configuration_names_no_paths(
    exported_with_encoder: Path, guided: Path
) -> None:
    text = (exported_with_encoder / ENCODER / "config.json").read_text()
    config = runs.read_config(str(exported_with_encoder / ENCODER))
    assert config["options"] == {"warmup_steps": 500, "learning_rate": 0.001}
    assert config["architecture"] == {"image_size": 16, "channels": 3, "width": 4}
    assert str(guided.parent) not in text
    assert "dataset" not in text


def test_its_weights_are_rounded_to_16_bits(exported_with_encoder: Path, guided: Path) -> None:
    ours, _ = checkpoints.load_context_encoder(str(guided / "context-encoder"))
    theirs, prefix = checkpoints.load_context_encoder(str(exported_with_encoder / ENCODER))
    number = 0
    for name, variable in ours.e.items():
        exact, rounded = variable.numpy().astype(np.float64), theirs.e[name].numpy()
        assert rounded.dtype == np.float32
        # 11 significant bits; below the least normal number, 2**-14, so many places.
        bound = np.maximum(np.abs(exact) * 2.0**-11, 2.0**-25)
        assert (np.abs(rounded - exact) <= bound).all(), name
        number += exact.size
    assert theirs.e["up1_bias"][0] == LARGE
    reader = tf.train.load_checkpoint(prefix)
    kinds = reader.get_variable_to_dtype_map()
    trees = {key.split("/")[0] for key in kinds}
    assert trees == {"averaged", "save_counter", "_CHECKPOINTABLE_OBJECT_GRAPH"}
    for name in ours.e:
        kind = tf.float32 if name == "up1_bias" else tf.float16
        assert kinds[f"averaged/{name}/.ATTRIBUTES/VARIABLE_VALUE"] == kind
    # Two bytes a weight, and a few kilobytes of names.
    assert 2 * number <= Path(f"{prefix}.data-00000-of-00001").stat().st_size < 2 * number + 9000


@pytest.mark.parametrize("damage", ["cut", "no checkpoint", "another program"])
def test_with_a_damaged_encoder_nothing_is_written(
    damage: str, guided: Path, run_here: Run, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(guided, tmp_path / "copy"))
    inside = copy / "context-encoder"
    if damage == "cut":
        os.truncate(inside / "ckpt-7.data-00000-of-00001", 100)
    elif damage == "no checkpoint":
        (inside / "checkpoint").unlink()
    else:
        (inside / "config.json").write_text("{}")
    before = contents(tmp_path)
    assert_refused(run_here("out/model", *CHECKPOINT, "copy", cwd=tmp_path), "copy/context-encoder")
    assert contents(tmp_path) == before


def test_what_cannot_be_written_whole_is_not_there(
    guided: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, times = runs.write_sums, []

    def full(folder: str) -> None:
        times.append(folder)
        if len(times) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(folder)

    monkeypatch.setattr(runs, "write_sums", full)
    with pytest.raises(OSError, match="No space"):
        checkpointing.export_model(str(guided), str(tmp_path / "model"))
    assert len(times) == 2
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_is_exported_alone(
    exported_with_encoder: Path, guided: Path, run_here: Run, tmp_path: Path
) -> None:
    done = run_here("encoder", *CHECKPOINT, guided / "context-encoder", cwd=tmp_path)
    assert re.fullmatch(r"encoder/ckpt-7: \d+\.\d MB\n", done.stdout)
    for path in (exported_with_encoder / ENCODER).iterdir():
        if path.name != "SHA256SUMS" and path.name != "checkpoint":  # with the time
            assert path.read_bytes() == (tmp_path / "encoder" / path.name).read_bytes()
    # Into the folder of a model that is there, and another checkpoint than the newest.
    copy = Path(shutil.copytree(exported_with_encoder, tmp_path / "copy"))
    shutil.rmtree(copy / ENCODER)
    done = run_here(copy / ENCODER, *CHECKPOINT, guided / "context-encoder/ckpt-5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    _, prefix = checkpoints.load_context_encoder(str(copy / ENCODER))
    assert prefix.endswith("ckpt-5")
    checkpoints.load_model(str(copy / "model"))


def test_an_encoders_training_starts_from_it(
    exported_with_encoder: Path, faces16: Path, run_any: Run, tmp_path: Path
) -> None:
    path = exported_with_encoder / ENCODER
    options = ("--dataset", faces16, "--batch-size", 8, "--width", 4, "--image-size", 16)
    start = ("--init-from", path, "--epoch", 1, "--minutes", 1e-9)
    done = run_any("train-context-encoder.py", *options, *start, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"starting from the weights of {path}/ckpt-7" in done.stdout
    expected, _ = checkpoints.load_context_encoder(str(path))
    first = tmp_path / "checkpoint/context-encoder/ckpt-0"
    assert_starts(first, expected.e, "model/e", "averaged")


# --- the licence ---


def test_the_licence_beside_a_model_goes_along(
    copy: Path, guided: Path, run_here: Run, tmp_path: Path
) -> None:
    shutil.copytree(guided / "context-encoder", copy / "context-encoder")
    (copy / "LICENSE").write_text("not for sale")
    for source, out in ((copy, "all"), (copy / "context-encoder/ckpt-5", "encoder")):
        assert run_here(out, *CHECKPOINT, source, cwd=tmp_path).returncode == 0
        licences = sorted(path.parent.name for path in (tmp_path / out).rglob("LICENSE"))
        assert licences == [out]
        assert (tmp_path / out / "LICENSE").read_text() == "not for sale"
        sums = (tmp_path / out / "SHA256SUMS").read_text()
        assert f"{hashlib.sha256(b'not for sale').hexdigest()}  LICENSE\n" in sums
    checkpoints.load_model(str(tmp_path / "all"))
    # One around a folder of any other name is not the model's.
    (tmp_path / "LICENSE").write_text("of something else")
    assert run_here("again", *CHECKPOINT, guided, cwd=tmp_path).returncode == 0
    assert not (tmp_path / "again" / "LICENSE").exists()


# --- the shipped model ---


@pytest.fixture
def shipped(copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tiny model in the shipped one's place; the current folder is empty."""
    monkeypatch.setattr(checkpoints, "SHIPPED", str(copy))
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return copy


def test_the_shipped_model_is_used_where_there_is_no_other(
    shipped: Path, trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dcgan_completion")
    assert checkpoints.select_model(None) == str(shipped)
    (note,) = caplog.messages
    assert "non-commercial research" in note
    assert "LICENSE" in note
    caplog.clear()
    shutil.copytree(trained / "checkpoint", "checkpoint")
    assert checkpoints.select_model(None) == "checkpoint"
    assert caplog.messages == []
    told = checkpoints.describe_choice(None, "checkpoint/ckpt-10")
    ships = os.path.relpath(shipped)
    assert told == f"checkpoint/ckpt-10 (for the shipped model: --checkpoint-dir {ships})"
    assert checkpoints.describe_choice("checkpoint", "checkpoint/ckpt-10") == "checkpoint/ckpt-10"
    assert checkpoints.describe_choice(None, f"{shipped}/ckpt-10") == f"{shipped}/ckpt-10"


def test_its_terms_are_said_wherever_it_is_named(
    shipped: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "dcgan_completion")
    (tmp_path / "link").symlink_to(shipped)
    for path in (shipped, shipped / "ckpt-10", f"{shipped}/", tmp_path / "link"):
        caplog.clear()
        assert checkpoints.select_model(str(path)) == str(path)
        (note,) = caplog.messages
        assert "non-commercial research" in note
        assert "no model" not in note
    assert checkpoints.licence_note(str(trained / "checkpoint")) == ""
    monkeypatch.chdir(shipped)
    assert "(./LICENSE)" in checkpoints.licence_note(".")


def test_a_named_model_never_falls_back_and_without_any_training_is_the_remedy(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkpoints.select_model("mine") == "mine"
    with pytest.raises(UserError, match="mine: holds no checkpoint"):
        checkpoints.load_model("mine")
    monkeypatch.setattr(checkpoints, "SHIPPED", str(shipped) + "-not")
    with pytest.raises(UserError, match=r"checkpoint: holds no checkpoint; train a model first"):
        checkpoints.load_model(checkpoints.select_model(None))


def test_a_photo_encoder_is_exported_in_16_bits(
    guided: Path, run_here: Run, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(guided, tmp_path / "both"))
    encoder = PhotoEncoder(image_size=16, width=4, first_size=16)
    save_encoder(encoder, folder, "photo-encoder")
    done = run_here("model", *CHECKPOINT, folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    inside = tmp_path / "model" / "photo-encoder"
    found, prefix = checkpoints.load_photo_encoder(str(inside))
    stored = tf.train.load_checkpoint(prefix).get_variable_to_dtype_map()
    assert {stored[name] for name in stored if name.startswith("averaged/")} == {tf.float16}
    for name, variable in encoder.e.items():
        np.testing.assert_array_equal(found.e[name], np.float16(variable))
    alone = run_here("alone", *CHECKPOINT, folder / "photo-encoder", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    checkpoints.load_photo_encoder(str(tmp_path / "alone"))
