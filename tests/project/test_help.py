"""The --help of every script."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from helpers import ROOT, assert_refused, load_script

SCRIPTS = (
    "train-dcgan.py",
    "train-context-encoder.py",
    "complete.py",
    "complete-photo.py",
    "evaluate.py",
    "align-dlib.py",
    "sample-dcgan.py",
    "export.py",
    "simple-distributions.py",
    "data/draw-faces.py",
)

SLOW_IMPORTS = ("tensorflow", "keras", "dlib", "cv2", "matplotlib", "scipy", "skimage")

# Runs a script as `python script --help`, then tells which of the slow packages were imported.
HELP = f"""
import os, runpy, sys
script = sys.argv[1]
sys.path[0] = os.path.dirname(script)
sys.argv = [script, "--help"]
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as exit_:
    print("status", exit_.code, [name for name in {SLOW_IMPORTS} if name in sys.modules])
"""


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_imports_nothing_slow_and_shows_two_examples(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP, str(ROOT / script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    text, _, last = done.stdout.strip().rpartition("\n")
    assert last == "status 0 []"
    assert done.stderr == ""
    _, _, examples = text.partition("\nexamples:\n")
    lines = examples.replace("\\\n", " ").strip().splitlines()
    assert len(lines) == 2
    parser = load_script(script).build_parser()
    for line in lines:
        command, *arguments = shlex.split(line)
        assert command == f"./{script}"
        parser.parse_args(arguments)


@pytest.mark.parametrize("script", [script for script in SCRIPTS if "/" not in script])
def test_without_its_packages_a_script_says_how_to_get_them(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / script), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert_refused(done, script, "is not installed", ".venv/bin/activate", "requirements.txt")
