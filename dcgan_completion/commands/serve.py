"""Serve a page to paint on: choose a photo, paint over what is to go, look at the result.

The first line printed is the page's address. Photos stay in this machine's memory.

examples:
  ./serve.py --open
  ./serve.py --port 8081 --checkpoint-dir checkpoint
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence

from dcgan_completion import cli
from dcgan_completion.settings import options
from dcgan_completion.settings.serving import LOOPBACK, ServeSettings


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    options.add_options(parser, ServeSettings, ServeSettings.default_text)
    return parser


def read_settings(argv: Sequence[str] | None) -> ServeSettings:
    """What the command line says."""
    given = options.given_options(build_parser().parse_args(argv), ServeSettings)
    given["allow_host"] = tuple(given.get("allow_host", ()))
    return ServeSettings(**given)


def address_of(settings: ServeSettings, port: int, token: str) -> str:
    """The page's address; the token behind # is not sent by browsers."""
    name = "127.0.0.1"
    if settings.host not in LOOPBACK and settings.allow_host:
        name = settings.allow_host[0]
    elif settings.host == "::1":
        name = "[::1]"
    return f"http://{name}:{port}/#{token}"


def main(argv: Sequence[str] | None = None) -> None:
    """Serves the page until it is interrupted."""
    settings = read_settings(argv)
    from dcgan_completion.serving import server

    listener, token = server.bind(settings.host, settings.port), secrets.token_urlsafe(24)
    port = listener.getsockname()[1]
    print(address_of(settings, port, token), flush=True)
    if settings.host not in LOOPBACK:
        cli.say(
            f"--host {settings.host}: traffic is not encrypted; from another machine rather use "
            f"ssh -L {port}:127.0.0.1:{port} HOST, with the server at 127.0.0.1"
        )
    from dcgan_completion.serving.house import House

    with House(settings, listener, token) as house:
        if settings.open:
            import webbrowser

            webbrowser.open(address_of(settings, port, token))
        house.serve()
