"""Serve a web page on which you paint over part of a photo, and the model fills it in.

The first line printed is the page's address. Photos are held in memory only: they are never written
to disk, and never leave this machine.

examples:
  ./serve.py --open
  ./serve.py --port 8081 --checkpoint-dir checkpoint
"""

from __future__ import annotations

import argparse
import logging
import secrets
from collections.abc import Sequence

from dcgan_completion import cli
from dcgan_completion.settings import options
from dcgan_completion.settings.serving import LOOPBACK, ServeSettings

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Build the command line."""
    parser = cli.ArgumentParser(__doc__)
    options.add_options(parser, ServeSettings, ServeSettings.default_text)
    return parser


def read_settings(argv: Sequence[str] | None) -> ServeSettings:
    """Read the command line."""
    given = options.given_options(build_parser().parse_args(argv), ServeSettings)
    given["allow_host"] = tuple(given.get("allow_host", ()))
    return ServeSettings(**given)


def address_of(settings: ServeSettings, port: int, token: str) -> str:
    """Give the page's address; browsers do not send the token, behind #."""
    name = "127.0.0.1"
    if settings.host not in LOOPBACK and settings.allow_host:
        name = settings.allow_host[0]
    elif settings.host == "::1":
        name = "[::1]"
    return f"http://{name}:{port}/#{token}"


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until it is interrupted."""
    settings = read_settings(argv)
    from dcgan_completion.serving import http_server

    listener, token = http_server.bind(settings.host, settings.port), secrets.token_urlsafe(24)
    port = listener.getsockname()[1]
    address = address_of(settings, port, token)
    print(address, flush=True)
    if settings.host not in LOOPBACK:
        logger.warning(
            "--host %s: the connection is not encrypted; for access from another machine prefer "
            "ssh -L %d:127.0.0.1:%d HOST, and leave --host out",
            settings.host,
            port,
            port,
        )
    from dcgan_completion.serving.page_server import PageServer

    with PageServer(settings, listener, token) as server:
        if settings.open:
            import webbrowser

            webbrowser.open(address)
        server.serve()
