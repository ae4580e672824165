"""Whole completions by each approach, timed: as a command, and within a process that runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import measure
import numpy as np

from dcgan_completion import checkpoints
from dcgan_completion.inpaint.completer import Completer
from dcgan_completion.inpaint.direct import DirectCompleter
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.search import SearchSettings

SCRIPT = Path(__file__).resolve().parent.parent / "complete.py"
TIMED = ("auto", "direct")  # those that are there, of the model and of complete.py
REPEATS = 3  # the first compiles, and the best one counts


def time_command(approach: str, files: Sequence[str], path: str) -> float:
    """Seconds of complete.py for the files, from its start to its end."""

    # This process has set it; to a script it means that the user wants TensorFlow's messages.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}

    def run() -> None:
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, SCRIPT, *files, "--outDir", f"{out}/done"]
            command += ["--approach", approach, "--checkpoint-dir", path]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

    return measure.best_of(run, REPEATS - 1)


def in_process(
    model: DCGAN, path: str, images: np.ndarray, mask: Mask, precision: str
) -> dict[str, Callable[[], object]]:
    """By approach, what completes a batch: from the images and masks to filled holes."""
    folder, encoder = checkpoints.encoder_folder(path), None
    if folder:
        encoder, _ = checkpoints.load_context_encoder(folder)
    search = SearchSettings.of("auto", guided=encoder is not None)
    common = {"batch_size": len(images), "precision": precision}
    searching = Completer(model, search, encoder=encoder, **common)
    found: dict[str, Callable[[], object]] = {
        "auto": lambda: searching.complete(images, mask, seed=0)
    }
    if encoder:
        direct = DirectCompleter(encoder, SearchSettings.of("direct").blend, **common)
        found["direct"] = lambda: direct.complete(images, mask)
    return found


def time_approaches(
    functions: dict[str, Callable[[], object]], files: Sequence[str], path: str
) -> dict[str, dict[str, float | None]]:
    """Prints and returns seconds for the faces, with start-up (command) and without (process)."""
    seconds = {}
    print(f"\n| approach | s for {len(files)} faces | with start-up and files |")
    print("| --- | --- | --- |")
    for name in TIMED:
        within = measure.best_of(functions[name], REPEATS) if name in functions else None
        whole = None
        if within is not None:
            whole = time_command(name, files, path)
        cells = ["" if value is None else f"{value:.2f}" for value in (within, whole)]
        print(f"| {name} | {' | '.join(cells)} |")
        seconds[name] = {"process": within, "command": whole}
    return seconds
