"""Records of earlier completions that are damaged: one line, and nothing is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers import ROOT, Run, assert_refused, contents

GOLDEN = ROOT / "tests" / "golden"
COMPLETE = ("complete.py", "faces", "--nIter", 1, "--approach", "adam", "--precision", "float32")
TABLE = "input,output,contextual,perceptual,total\r\nfaces/face-3-00000.png,1.png,1,2,3\r\n"


@pytest.fixture
def stopped(run_any: Run, tmp_path: Path) -> Path:
    """A folder with a completion that looks as if it had been stopped."""
    for name in ("faces", "checkpoint"):
        shutil.copytree(GOLDEN / name, tmp_path / name)
    done = run_any(*COMPLETE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = tmp_path / "completions" / "config.json"
    config.write_text(config.read_text().replace('"finished": true', '"finished": false'))
    return tmp_path


DAMAGED = {
    "empty": b"",
    "binary": b"\xff\xfe\0",
    "cut": TABLE[:60].encode(),
    "no number": TABLE.replace("1,2,3", "1,x,3").encode(),
    "other columns": TABLE.replace("total", "all").encode(),
}


def test_a_completion_does_not_go_on_with_a_damaged_table(stopped: Path, run_any: Run) -> None:
    for data in DAMAGED.values():
        (stopped / "completions" / "results.csv").write_bytes(data)
        before = contents(stopped)
        done = run_any(*COMPLETE, cwd=stopped)
        assert_refused(done, "--outDir completions: holds a damaged results.csv", "--overwrite")
        assert contents(stopped) == before


def test_a_completion_does_not_go_on_with_a_damaged_record(stopped: Path, run_any: Run) -> None:
    path = stopped / "completions" / "config.json"
    whole = json.loads(path.read_text())
    for change in (
        {"options": None},
        {"completion": "unfinished"},
        {"completion": {}},
        {"options": whole["options"] | {"precision_used": "float8"}},
    ):
        path.write_text(json.dumps(whole | change))
        before = contents(stopped)
        done = run_any(*COMPLETE, cwd=stopped)
        assert_refused(done, "--outDir completions: holds ", "--overwrite")
        assert contents(stopped) == before
    path.write_text(json.dumps(whole))
    done = run_any(*COMPLETE, cwd=stopped)
    assert done.returncode == 0, done.stderr
    assert "16 images are done" in done.stdout
