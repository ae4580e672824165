"""What is imported at once is light: TensorFlow and the like come with the first call."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from helpers import ROOT

HEAVY = {"tensorflow", "keras", "dlib", "cv2", "matplotlib", "scipy", "skimage", "tensorboard"}
# What parses, checks and explains options needs these rooms; each ROOM.* is all of its modules.
LIGHT = ("launch", "cli", "utils", "settings.*", "commands.*", "masks.*", "latent.generator")
PROGRAM = """
import importlib, json, pkgutil, sys, time
start = time.process_time()
import dcgan_completion
seconds = time.process_time() - start
for room in sys.argv[1:]:
    module = importlib.import_module("dcgan_completion." + room.removesuffix(".*"))
    if room.endswith(".*"):
        for found in pkgutil.iter_modules(module.__path__, module.__name__ + "."):
            importlib.import_module(found.name)
print(json.dumps([seconds, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def imported(*rooms: str) -> tuple[float, set[str]]:
    """Seconds of `import dcgan_completion`; the packages that it and the rooms bring."""
    command = [sys.executable, "-c", PROGRAM, *rooms]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seconds, names = json.loads(done.stdout)
    return seconds, set(names)


def test_the_package_is_imported_in_a_moment() -> None:
    seconds, names = imported()
    assert seconds < 0.3
    assert not names & (HEAVY | {"numpy", "PIL"})


@pytest.mark.parametrize("room", LIGHT)
def test_light_rooms_load_nothing_heavy(room: str) -> None:
    assert not imported(room)[1] & HEAVY
