"""What the machine computes with."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from helpers import TINY, assert_refused, run_script

from dcgan_completion import devices
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.training import Rules
from dcgan_completion.training.trainer import DCGANTrainer
from dcgan_completion.utils import UserError


def untimed() -> float:
    raise AssertionError("there is nothing to time here")


def on_cpu(
    monkeypatch: pytest.MonkeyPatch, *flags: str, gain: Callable[[], float] = untimed
) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(devices, "processor_flags", lambda: list(flags))
    monkeypatch.setattr(devices, "bfloat16_gain", gain)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])


def on_gpus(monkeypatch: pytest.MonkeyPatch, *capabilities: tuple[int, int]) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: list(capabilities))
    details = lambda gpu: {"compute_capability": gpu}  # noqa: E731
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details)


def test_auto_is_bfloat16_where_the_hardware_is_faster_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for flags, gain, precision in (
        (["avx512f", "avx512_bf16"], 1.9, "bfloat16"),
        (["avx512f", "avx512_bf16"], 0.5, "float32"),
        (["amx_bf16"], 1.2, "bfloat16"),
        (["amx_bf16"], 1.1, "float32"),  # too little for its rounding
    ):
        on_cpu(monkeypatch, *flags, gain=lambda gain=gain: gain)
        assert devices.Precision.choose("auto") == devices.Precision("auto", precision)
        for asked in ("float32", "bfloat16"):  # by name it is what the user says
            assert devices.Precision.choose(asked) == devices.Precision(asked, asked)


def test_nothing_is_timed_where_flags_and_gpus_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags in (["avx2", "fma"], []):
        on_cpu(monkeypatch, *flags)
        assert devices.Precision.choose("auto") == devices.Precision("auto", "float32")
    for capabilities, precision in (([(8, 6)], "bfloat16"), ([(9, 0), (7, 5)], "float32")):
        on_gpus(monkeypatch, *capabilities)
        assert devices.Precision.choose("auto") == devices.Precision("auto", precision)


def test_a_cluster_is_joined_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    for flag, precision in (("avx512_bf16", "bfloat16"), ("avx2", "float32")):
        on_cpu(monkeypatch, flag)
        monkeypatch.setenv("TF_CONFIG", "{}")
        assert devices.Precision.choose("auto") == devices.Precision("auto", precision)


def test_the_gain_is_that_of_the_best_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = [0.0], []

    def convolve(images: tf.Tensor, kernel: tf.Tensor, strides: int, padding: str) -> None:
        assert kernel.dtype == images.dtype
        calls.append(images.dtype.name)
        # 3 and 2 seconds; compiling takes 50 more, and now and then something else does.
        busy = {0: 50, 1: 50, 4: 7, 7: 9}.get(len(calls) - 1, 0)
        clock[0] += {"float32": 3, "bfloat16": 2}[calls[-1]] + busy

    monkeypatch.setattr(devices.time, "process_time", lambda: clock[0])
    monkeypatch.setattr(tf.nn, "conv2d", convolve)
    assert devices.bfloat16_gain.__wrapped__() == pytest.approx(1.5)
    assert sorted(set(calls)) == ["bfloat16", "float32"]


def test_the_gain_is_measured_once() -> None:
    # It runs: how fast, no test can say.
    assert 0 < devices.bfloat16_gain() < float("inf")
    assert devices.bfloat16_gain() == devices.bfloat16_gain()
    assert devices.bfloat16_gain.cache_info().misses == 1


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
        resumed = devices.Precision(asked, used).resumed(wanted)
        assert resumed == devices.Precision(wanted or asked, result)


def test_a_resumed_run_goes_on_in_float32_where_bfloat16_is_emulated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dcgan_completion")
    on_cpu(monkeypatch, "avx2")
    precision = devices.Precision("auto", "bfloat16").resumed(None)
    assert precision == devices.Precision("auto", "float32")
    assert "the run continues in float32" in caplog.text
    with pytest.raises(UserError, match="--precision bfloat16"):
        devices.Precision("bfloat16", "bfloat16").resumed(None)


def test_a_batch_that_does_not_divide_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = tf.distribute.get_strategy()
    monkeypatch.setattr(type(strategy), "num_replicas_in_sync", property(lambda self: 3))
    with pytest.raises(UserError, match="--batch-size 8 cannot be divided among 3"):
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
