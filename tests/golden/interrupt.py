"""Run a script of the toolkit, and signal it when its progress bars have counted so many units.

  interrupt.py CHECKOUT/SCRIPT UNITS SIGNAL [ARGUMENT ...]

Units are steps, iterations, batches or photos, as the script counts them. Unlike a signal from
outside, this one always comes at the same place.
"""

from __future__ import annotations

import runpy
import signal
import sys
from pathlib import Path
from typing import Any

script, units, name, *arguments = sys.argv[1:]
sys.path.insert(0, str(Path(script).resolve().parent))

import cli  # noqa: E402  (that of the checkout)

make_bar, counted = cli.progress_bar, 0


def counting_bar(**options: Any) -> Any:
    """A progress bar whose `update` sends the signal when it is due."""
    bar = make_bar(**options)
    update = bar.update

    def count(n: int = 1) -> None:
        global counted
        update(n)
        before, counted = counted, counted + n
        if before < int(units) <= counted:
            signal.raise_signal(signal.Signals[f"SIG{name}"])  # to this thread: at once

    bar.update = count
    return bar


cli.progress_bar = counting_bar
sys.argv = [script, *arguments]
runpy.run_path(script, run_name="__main__")
