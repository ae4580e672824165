"""The --help of every script."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from helpers import COMMANDS, ROOT, assert_refused, load_script

# Runs a script as `python script --help`, then names the slow packages that were imported.
HELP = """
import os, runpy, sys
script = sys.argv[1]
sys.path[0] = os.path.dirname(script)
sys.argv = [script, "--help"]
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as exit_:
    slow = {"tensorflow", "keras", "dlib", "cv2", "matplotlib", "scipy", "skimage"}
    print("status", exit_.code, slow & set(sys.modules))
"""


@pytest.mark.parametrize("script", [*COMMANDS, "data/draw-faces.py"])
def test_help_imports_nothing_slow_and_shows_two_examples(script: str) -> None:
    command = [sys.executable, "-c", HELP, str(ROOT / script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    text, _, last = done.stdout.strip().rpartition("\n")
    assert last == "status 0 set()"
    assert done.stderr == ""
    _, _, examples = text.partition("\nexamples:\n")
    lines = examples.replace("\\\n", " ").strip().splitlines()
    assert len(lines) == 2
    parser = load_script(script).build_parser()
    for line in lines:
        command, *arguments = shlex.split(line)
        assert command == f"./{script}"
        parser.parse_args(arguments)


@pytest.mark.parametrize("script", COMMANDS)
def test_without_its_packages_a_script_says_how_to_get_them(script: str) -> None:
    command = [sys.executable, "-S", str(ROOT / script), "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert_refused(done, script, "is not installed", ".venv/bin/activate", "requirements.txt")
