"""The record of a run in config.json."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

from dcgan_completion import runs
from dcgan_completion.utils import UserError
from dcgan_completion.version import VERSION


def test_a_record_says_how_a_run_came_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/train-dcgan.py", "--dataset", "two words"])
    options = {"seed": 3, "holdout": None}
    record = runs.record(options)
    assert record["command"] == "train-dcgan.py --dataset 'two words'"
    assert record["options"] == options
    assert record["packages"]["python"] == platform.python_version()
    assert record["packages"]["dcgan-completion"] == VERSION
    for package in ("tensorflow", "numpy"):
        assert record["packages"][package] == importlib.metadata.version(package)
    assert "CPU" in record["devices"][0]
    head = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True
    )
    assert record["git_commit"] == (head.stdout.strip() or None)
    json.dumps(record)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert runs.read_config(str(tmp_path)) is None
    assert runs.read_config(str(tmp_path / "nowhere")) is None
    (tmp_path / "file").write_text("here first")
    assert runs.read_config(str(tmp_path / "file")) is None
    runs.write_config(str(tmp_path), {"options": {"names": ["\u00e9", 1.5, None]}})
    assert runs.read_config(str(tmp_path)) == {
        "program": "dcgan-completion",
        "options": {"names": ["\u00e9", 1.5, None]},
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "file"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "another program"),
        ('{"program": "other"}', "another program"),
        ("\0", "cannot be read as JSON"),
    ],
)
def test_another_programs_or_a_damaged_record_is_refused(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=f"config.json: .*{message}"):
        runs.read_config(str(tmp_path))
