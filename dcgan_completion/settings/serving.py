"""The settings of serve.py. Importing this needs no TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
import re
from typing import Any

from dcgan_completion.settings import options
from dcgan_completion.settings.completion import CompletionSettings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def port(text: str) -> int:
    """Read a TCP port, as an argparse type."""
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 65535")
    return int(text)


@dataclasses.dataclass(frozen=True)
class ServeSettings:
    """Where the page is served, with which model, and how much it accepts."""

    port: int = options.option("TCP port; 0 for any free one", type=port, metavar="N", default=8080)
    host: str = options.option(
        "address to listen on; any other than 127.0.0.1 may expose the page to other machines",
        default="127.0.0.1",
    )
    allow_host: tuple[str, ...] = options.option(
        "additional host name to accept in requests, besides localhost; may be repeated",
        action="append",
        metavar="NAME",
        default=(),
    )
    checkpoint_dir: str | None = options.same_option(CompletionSettings, "checkpoint_dir")
    open: bool = options.option("open the page in a browser", action="store_true", default=False)
    max_bytes: int = options.option(
        "largest photo or mask file that is accepted, in bytes",
        type=options.positive_int,
        metavar="N",
        default=50_000_000,
    )
    max_pixels: int = options.max_pixels_option()

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """Say in the help what a field's default is."""
        if field.name == "checkpoint_dir":
            return CompletionSettings.default_text(field)
        return "" if field.name == "allow_host" else options.plain_default(field)
