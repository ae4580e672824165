"""Checkpoints of a training on disk: kept, restored, repaired, started from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import contents
from toy_trainer import ToyTrainer

from dcgan_completion.model import DCGAN
from dcgan_completion.training import checkpointing
from dcgan_completion.utils import UserError


def save_steps(folder: Path, steps: range, keep: int = 5) -> checkpointing.Checkpoints:
    trainer = ToyTrainer()
    saver = checkpointing.Checkpoints(trainer, str(folder), keep)
    for step in steps:
        trainer.step.assign(step)
        trainer.mean.assign(float(step))
        assert saver.save() == saver.latest == str(folder / f"ckpt-{step}")
    return saver


def damage(folder: Path, step: int) -> None:
    data = folder / f"ckpt-{step}.data-00000-of-00001"
    os.truncate(data, data.stat().st_size // 2)


def test_the_newest_are_kept_and_the_last_is_restored(tmp_path: Path) -> None:
    save_steps(tmp_path, range(5), keep=3)
    assert {path.stem for path in tmp_path.glob("*.index")} == {"ckpt-2", "ckpt-3", "ckpt-4"}
    trainer = ToyTrainer()
    saver = checkpointing.Checkpoints(trainer, str(tmp_path))
    saver.restore()
    assert (int(trainer.step), float(trainer.mean)) == (4, 4.0)


def test_a_step_is_saved_once(tmp_path: Path) -> None:
    saver = save_steps(tmp_path, range(2))
    before = contents(tmp_path)
    saver.save()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("repair", [True, False])
def test_damaged_checkpoints_give_way_to_the_one_before(
    repair: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_steps(tmp_path, range(4))
    for step in (2, 3):
        damage(tmp_path, step)
    before = contents(tmp_path)
    trainer = ToyTrainer()
    saver = checkpointing.Checkpoints(trainer, str(tmp_path))
    saver.restore(repair)
    warnings = [text for text in caplog.messages if "going back" in text]
    for step, message in zip((3, 2), warnings, strict=True):
        assert message.startswith(f"{tmp_path}/ckpt-{step} is damaged; going back")
    assert float(trainer.mean) == 1.0
    if not repair:
        assert contents(tmp_path) == before
        return
    assert saver.latest == str(tmp_path / "ckpt-1")
    assert {path.stem for path in tmp_path.glob("*.index")} == {"ckpt-0", "ckpt-1"}
    assert len(list(tmp_path.glob("*.data-*"))) == 2


def test_without_any_that_can_be_read_nothing_is_removed(tmp_path: Path) -> None:
    save_steps(tmp_path, range(2))
    for step in range(2):
        damage(tmp_path, step)
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"ckpt-1.*damaged"):
        checkpointing.Checkpoints(ToyTrainer(), str(tmp_path)).restore()
    assert contents(tmp_path) == before
    with pytest.raises(UserError, match="holds no checkpoint"):
        checkpointing.Checkpoints(ToyTrainer(), str(tmp_path / "empty")).restore()


def test_leftovers_of_a_killed_write_are_removed_and_no_more(tmp_path: Path) -> None:
    save_steps(tmp_path, range(2))
    before = contents(tmp_path)
    (tmp_path / "ckpt-7_temp").mkdir()
    (tmp_path / "ckpt-7_temp" / "part").write_text("half")
    (tmp_path / "ckpt-7.data-00000-of-00001").write_text("without its index")
    checkpointing.remove_leftovers(str(tmp_path))
    assert contents(tmp_path) == before


def test_only_what_was_given_can_contradict() -> None:
    stored = {"z_dim": 8, "seed": 0}
    checkpointing.refuse_contradictions({}, stored, "c", "--checkpoint-dir")
    checkpointing.refuse_contradictions({"z_dim": 8, "x": 1}, stored, "c", "--checkpoint-dir")
    message = "--z-dim 9 contradicts the checkpoint c, .* --z-dim 8; .* name another --init-from"
    with pytest.raises(UserError, match=message):
        checkpointing.refuse_contradictions({"z_dim": 9}, stored, "c", "--init-from")


def fresh(path: Path, **changed: int) -> tuple[DCGAN, dict[str, tf.Variable], str]:
    """Networks that were given the weights of a checkpoint of the tiny model's folder."""
    architecture = {"image_size": 16, "channels": 3, "z_dim": 8, "gf_dim": 4, "df_dim": 4}
    model = DCGAN(**architecture | changed, seed=5)
    ema = {name: tf.Variable(variable) for name, variable in model.g.items()}
    return model, ema, checkpointing.load_initial_weights(model, ema, str(path))


def test_a_training_starts_from_all_weights_of_a_checkpoint(trained: Path) -> None:
    model, ema, prefix = fresh(trained / "checkpoint")
    assert prefix == str(trained / "checkpoint" / "ckpt-10")
    reader = tf.train.load_checkpoint(prefix)
    for tree, variables in (("model/g", model.g), ("model/d", model.d), ("averaged", ema)):
        for name, variable in variables.items():
            stored = reader.get_tensor(f"{tree}/{name}/.ATTRIBUTES/VARIABLE_VALUE")
            np.testing.assert_array_equal(variable, stored)


def test_a_training_starts_from_an_exported_model(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    written = checkpointing.export_model(str(trained / "checkpoint"), str(folder))
    model, ema, prefix = fresh(folder)
    assert prefix == written == str(folder / "ckpt-10")
    _, trained_average, _ = fresh(trained / "checkpoint")
    for name, variable in model.g.items():
        np.testing.assert_array_equal(variable, trained_average[name])
        np.testing.assert_array_equal(ema[name], trained_average[name])
    with open(folder / "ckpt-10.index", "ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match="damaged"):
        fresh(folder)


def test_another_architecture_is_refused(trained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(trained / "checkpoint", tmp_path / "copy")
    with pytest.raises(UserError, match=r"--gf-dim 5 contradicts .*--gf-dim 4.*--init-from"):
        fresh(copy, gf_dim=5)
