"""The output folder of complete.py a second time: finished, unfinished, stopped, of others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf
from completion_helpers import (
    AGAIN,
    GIVEN,
    NAMES,
    SCRIPT,
    history_of,
    rows_of,
    stop_in_second_batch,
    unfinish,
)
from helpers import ROOT, Run, assert_refused, contents, load_picture

from dcgan_completion import devices
from dcgan_completion.inpaint.search import LatentSearch

pytest_plugins = ["completion_fixtures"]


def test_a_finished_folder_needs_overwrite(copy: Path, run_complete: Run) -> None:
    before = contents(copy)
    for options in ((), ("--lam", 0.2)):
        done = run_complete(*AGAIN, *options, cwd=copy)
        assert_refused(done, "--outDir completions", "finished", "--overwrite")
    assert contents(copy) == before


def test_overwrite_starts_anew_and_leaves_other_files(copy: Path, run_complete: Run) -> None:
    out = copy / "completions"
    mine = [out / "notes.txt", out / "my batch" / "1.png", out / "batch-2 of my photos" / "2.png"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("precious")
    options = ("--nIter", 2, "--lam", 0, "--overwrite")
    done = run_complete(GIVEN[1], *options, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (out / "final").iterdir()] == ["1.png"]
    assert [path.name for path in sorted((out / "completed").iterdir())] == ["0000.png", "0002.png"]
    assert not (out / "batch-0002").exists()
    ((path, _, contextual, _, total),) = rows_of(out)
    assert path == GIVEN[1]
    assert contextual == total  # without the perceptual loss
    lost = [str(path.relative_to(out)) for path in mine if not path.exists()]
    assert lost == []


def test_an_unfinished_folder_goes_on_at_the_first_unfinished_image(
    copy: Path, run_complete: Run
) -> None:
    out = copy / "completions"
    unfinish(out)
    before = contents(copy)
    done = run_complete(*AGAIN, "--lam", 0.2, cwd=copy)
    assert_refused(done, "--outDir completions", "other options", "--overwrite")
    assert contents(copy) == before
    # As if it had been killed in its second batch, of one image.
    finals = {name: load_picture(out / "final" / f"{name}.png") for name in NAMES}
    rows = (out / "results.csv").read_text().splitlines()
    stop_in_second_batch(out)
    (out / "final" / f"{NAMES[0]}.png").write_text("not done again")
    done = run_complete(*AGAIN, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "resuming in completions: 2 images are done"
    assert set(contents(copy)) == set(before)
    assert (out / "final" / f"{NAMES[0]}.png").read_text() == "not done again"
    again = load_picture(out / "final" / f"{NAMES[-1]}.png").astype(int)
    assert np.abs(again - finals[NAMES[-1]]).max() <= 1  # many threads may sum in another order
    assert [row[:2] for row in rows_of(out)] == [row.split(",")[:2] for row in rows[1:3]] + [
        [GIVEN[2], f"{NAMES[-1]}.png"]
    ]
    assert json.loads((out / "config.json").read_text())["completion"]["finished"] is True


def options_of(out: Path) -> dict[str, object]:
    return json.loads((out / "config.json").read_text())["options"]


def test_a_folder_goes_on_where_auto_is_another_precision(
    copy: Path, run_complete: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, again = copy / "out", (*AGAIN, "--precision", "auto", "--outDir", "out")
    going_on = "resuming in out: 2 images are done"
    changed = "this machine only emulates bfloat16: the run continues in float32"
    monkeypatch.setattr(devices, "bfloat16_gain", lambda: 2.0)
    monkeypatch.setattr(devices, "has_bfloat16", lambda: True)
    assert run_complete(*again, cwd=copy).returncode == 0
    whole = history_of(out / "batch-0002")[1]
    assert (options_of(out)["precision"], options_of(out)["precision_used"]) == ("auto", "bfloat16")
    stop_in_second_batch(out)
    monkeypatch.setattr(devices, "has_bfloat16", lambda: False)
    done = run_complete(*again, "--seed", 1, cwd=copy)
    assert_refused(done, "--outDir out", "other options", "--overwrite")
    done = run_complete(*again, "--precision", "float32", cwd=copy)
    assert_refused(done, "--outDir out", "other options", "--overwrite")
    done = run_complete(*again, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [changed, going_on]
    assert (options_of(out)["precision"], options_of(out)["precision_used"]) == ("auto", "float32")
    exact = history_of(out / "batch-0002")[1]
    assert (exact != whole).any()
    _, wanted = history_of(copy / "completions" / "batch-0002")  # all of it in float32
    np.testing.assert_allclose(exact, wanted, rtol=1e-3)
    # Where it began it now stays with what it has come to.
    stop_in_second_batch(out)
    monkeypatch.setattr(devices, "has_bfloat16", lambda: True)
    done = run_complete(*again, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == going_on
    assert changed not in done.stdout
    assert (options_of(out)["precision"], options_of(out)["precision_used"]) == ("auto", "float32")
    np.testing.assert_allclose(history_of(out / "batch-0002")[1], wanted, rtol=1e-3)


def test_the_precision_is_recorded_before_a_batch_is_done(
    copy: Path, run_complete: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copy / "completions"
    stop_in_second_batch(out)
    config = json.loads((out / "config.json").read_text())
    config["options"] |= {"precision": "auto", "precision_used": "bfloat16"}
    (out / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(devices, "has_bfloat16", lambda: False)
    exhausted = tf.errors.ResourceExhaustedError(None, None, "no memory")
    monkeypatch.setattr(LatentSearch, "states", Mock(side_effect=exhausted))
    assert run_complete(*AGAIN, "--precision", "auto", cwd=copy).returncode == 2
    assert options_of(out)["precision_used"] == "float32"
    assert json.loads((out / "config.json").read_text())["completion"] == {"finished": False}


@pytest.mark.parametrize("has_bfloat16", [False, True])
def test_a_folder_of_an_earlier_version_goes_on(
    has_bfloat16: bool, copy: Path, run_complete: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in whose options `precision` is the one used."""
    out = copy / "completions"
    stop_in_second_batch(out)
    config = json.loads((out / "config.json").read_text())
    del config["options"]["precision_used"]
    assert config["options"]["precision"] == "float32"
    (out / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(devices, "has_bfloat16", lambda: has_bfloat16)
    monkeypatch.setattr(devices, "bfloat16_gain", lambda: 2.0)
    done = run_complete(*AGAIN, "--precision", "auto", cwd=copy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "resuming in completions: 2 images are done"
    assert (options_of(out)["precision"], options_of(out)["precision_used"]) == ("auto", "float32")
    assert len(rows_of(out)) == 3


def test_a_stopped_run_is_unfinished(copy: Path, run_complete: Run) -> None:
    out = copy / "out"
    words = [GIVEN[0], "--nIter", "1000000", "--outInterval", "20", "--outDir", "out"]
    words += ["--guide", "0"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / SCRIPT), *words],
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not (out / "completed" / "0040.png").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143
    assert output == ""
    assert "Traceback" not in errors
    assert "stopped: 0 of 1 images are done; the same command resumes" in errors
    assert not [name for name in contents(out) if name.endswith(".partial")]
    done = run_complete(GIVEN[0], "--nIter", 3, "--outDir", "out", cwd=copy)
    assert_refused(done, "--outDir out", "other options", "--overwrite")
    done = run_complete(GIVEN[0], "--nIter", 3, "--outDir", "out", "--overwrite", cwd=copy)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(out / "completed")) == ["0000.png", "0003.png"]


def test_earlier_results_may_be_completed_without_being_lost(copy: Path, run_complete: Run) -> None:
    finals = [f"completions/final/{name}.png" for name in NAMES]
    done = run_complete(*finals, "--nIter", 2, "--maskType", "left", "--overwrite", cwd=copy)
    assert done.returncode in (0, 2), done.stderr
    assert [path for path in finals if not (copy / path).exists()] == []


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
def test_folders_of_others_are_refused(
    overwrite: tuple[str, ...], copy: Path, run_complete: Run
) -> None:
    (copy / "mine" / "final").mkdir(parents=True)
    (copy / "mine" / "final" / "thesis.txt").write_text("precious")
    (copy / "theirs").mkdir()
    (copy / "theirs" / "config.json").write_text('{"program": "other"}')
    before = contents(copy)
    for folder, words in {
        "checkpoint": ("--outDir checkpoint", "model"),
        "mine": ("--outDir mine", "final"),
        "theirs": ("theirs/config.json", "another program"),
    }.items():
        done = run_complete(GIVEN[0], "--nIter", 1, "--outDir", folder, *overwrite, cwd=copy)
        assert_refused(done, *words)
    assert contents(copy) == before
