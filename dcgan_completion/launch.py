"""Starts the commands, for the scripts of a checkout and for the console scripts of a wheel."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from typing import NoReturn


def run(command: str) -> NoReturn:
    """Run the `main` of a module of `dcgan_completion.commands` and exit with its status."""
    # A notebook's kernel sets a backend that only the kernel has; commands draw without a display.
    os.environ["MPLBACKEND"] = "agg"
    try:
        cli = importlib.import_module("dcgan_completion.cli")
        module = importlib.import_module(f"dcgan_completion.commands.{command}")
    except ModuleNotFoundError as error:  # a newcomer's first mistake: outside the environment
        if (error.name or "dcgan_completion").startswith("dcgan_completion"):
            raise
        sys.stderr.write(
            f"{os.path.basename(sys.argv[0])}: error: the package {error.name} is not installed "
            f"for {sys.executable}; source .venv/bin/activate, which make demo made, or pip "
            "install -r requirements.txt\n"
        )
        sys.exit(2)
    sys.exit(cli.run_main(module.main))


align = functools.partial(run, "align")
complete = functools.partial(run, "complete")
complete_photo = functools.partial(run, "complete_photo")
distributions = functools.partial(run, "distributions")
evaluate = functools.partial(run, "evaluate")
export = functools.partial(run, "export")
sample = functools.partial(run, "sample")
serve = functools.partial(run, "serve")
train = functools.partial(run, "train")
train_context_encoder = functools.partial(run, "train_context_encoder")
