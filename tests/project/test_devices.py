"""What the machine computes with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tensorflow as tf
from helpers import TINY, assert_refused, run_script

import devices
from model import DCGAN
from training.settings import Rules
from training.trainer import DCGANTrainer
from utils import UserError


def on_cpu(monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    monkeypatch.setattr(devices, "processor_flags", lambda: list(flags))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])


def on_gpus(monkeypatch: pytest.MonkeyPatch, *capabilities: tuple[int, int]) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: list(capabilities))
    details = lambda gpu: {"compute_capability": gpu}  # noqa: E731
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details)


def test_auto_is_bfloat16_where_the_hardware_multiplies_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for flags, precision in (
        (["avx2", "fma"], "float32"),
        (["avx512f", "avx512_bf16"], "bfloat16"),
        (["amx_bf16"], "bfloat16"),
        ([], "float32"),
    ):
        on_cpu(monkeypatch, *flags)
        assert devices.Precision.choose("auto") == devices.Precision("auto", precision)
    for capabilities, precision in (([(8, 6)], "bfloat16"), ([(9, 0), (7, 5)], "float32")):
        on_gpus(monkeypatch, *capabilities)
        assert devices.Precision.choose("auto") == devices.Precision("auto", precision)


def test_emulated_bfloat16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu(monkeypatch, "avx2")
    assert devices.Precision.choose("float32") == devices.Precision("float32", "float32")
    with pytest.raises(UserError, match="--precision bfloat16"):
        devices.Precision.choose("bfloat16")


def test_a_resumed_run_keeps_its_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu(monkeypatch, "avx512_bf16")
    # wanted now, asked for at first, used -> used from now on
    for wanted, asked, used, result in (
        (None, "auto", "float32", "float32"),
        (None, "auto", "bfloat16", "bfloat16"),
        ("auto", "auto", "float32", "float32"),
        ("auto", "bfloat16", "bfloat16", "bfloat16"),
        ("bfloat16", "auto", "float32", "bfloat16"),
        ("float32", "bfloat16", "bfloat16", "float32"),
    ):
        precision, note = devices.Precision(asked, used).resumed(wanted)
        assert precision == devices.Precision(wanted or asked, result)
        assert note == ""


def test_a_resumed_run_goes_on_in_float32_where_bfloat16_is_emulated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_cpu(monkeypatch, "avx2")
    precision, note = devices.Precision("auto", "bfloat16").resumed(None)
    assert precision == devices.Precision("auto", "float32")
    assert "float32" in note
    with pytest.raises(UserError, match="--precision bfloat16"):
        devices.Precision("bfloat16", "bfloat16").resumed(None)


def test_a_batch_that_does_not_divide_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(type(strategy), "num_replicas_in_sync", property(lambda self: 3))
    with pytest.raises(UserError, match="--batch-size 8 does not divide among 3"):
        DCGANTrainer(DCGAN(image_size=16, gf_dim=2, df_dim=2), Rules(batch_size=8))


WRONG = {
    "not json": "{",
    "no task": json.dumps({"cluster": {"worker": ["localhost:1"]}}),
    "index": json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}),
    "type": json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_cluster_is_refused(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", WRONG[what])
    with pytest.raises(UserError, match="TF_CONFIG"):
        devices.make_strategy()


def test_a_wrong_cluster_ends_in_one_line(
    faces16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", WRONG["index"])
    done = run_script("train-dcgan.py", "--dataset", faces16, *TINY, cwd=tmp_path, status=2)
    assert_refused(done, "TF_CONFIG", "worker 1")
    assert list(tmp_path.iterdir()) == []
