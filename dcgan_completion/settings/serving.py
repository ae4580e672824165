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
    """argparse type: a TCP port; 0 takes a free one."""
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 65535")
    return int(text)


@dataclasses.dataclass(frozen=True)
class ServeSettings:
    """Where the page is served, by which model, and what is accepted.

    Attributes:
      port: TCP port; 0 takes a free one.
      host: address to listen on.
      allow_host: further names that the Host header may have.
      checkpoint_dir: of the model; None: `checkpoints.select_model` takes one.
      open: open the page in the user's browser.
      max_bytes: of a photo or a mask as it is sent.
      max_pixels: of a photo or a mask.
    """

    port: int = options.option("TCP port; 0 takes a free one", type=port, metavar="N", default=8080)
    host: str = options.option(
        "address to listen on; others than 127.0.0.1 can be reached from other machines",
        default="127.0.0.1",
    )
    allow_host: tuple[str, ...] = options.option(
        "a name, besides localhost, by which browsers may reach the page; may be given several "
        "times",
        action="append",
        metavar="NAME",
        default=(),
    )
    checkpoint_dir: str | None = options.same_option(CompletionSettings, "checkpoint_dir")
    open: bool = options.option("open the page in a browser", action="store_true", default=False)
    max_bytes: int = options.option(
        "bytes of a photo, at most", type=options.positive_int, metavar="N", default=50_000_000
    )
    max_pixels: int = options.max_pixels_option()

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """What the help says of a field's default."""
        if field.name == "checkpoint_dir":
            return CompletionSettings.default_text(field)
        return "" if field.name in ("allow_host", "open") else f"default: {field.default}"
