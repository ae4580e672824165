"""The HTTP server: its socket, its threads, and the limits of what clients may do to it."""

from __future__ import annotations

import errno
import io
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from dcgan_completion.utils import UserError

CONNECTIONS = 64  # at a time
REFUSED = 64  # connections that are told so at a time; more are only closed
SILENCE = 30  # seconds
DISCARDED = 10**9  # bytes of a body that is too large
RETRY_AFTER = 5  # seconds
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
      UserError: the port is taken, or the address is not one of this machine.
    """
    try:
        *_, (family, kind, _, _, address) = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind)
    except (OSError, UnicodeError):
        raise UserError(f"--host {host}: is no address of this machine; name one") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2 * CONNECTIONS)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"--port {port}: is taken by another program; choose another one, or 0 for one "
                "that is free"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise UserError(
                f"--port {port}: may not be used ({error.strerror}); choose one above 1023"
            ) from None
        raise UserError(f"--host {host}: {error.strerror}; name an address of this one") from None
    return listener


class _Limited(io.RawIOBase):
    """What a connection sends, up to a number of bytes: it seems to end there."""

    def __init__(self, raw: io.RawIOBase, limit: int) -> None:
        self._raw, self._left = raw, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        view = memoryview(buffer)[: max(self._left, 0)]
        count = self._raw.readinto(view) if len(view) else 0
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class Handler(WSGIRequestHandler):
    """Reads a request; nothing about it is logged, but for what is a bug of ours."""

    timeout = SILENCE
    server: Server
    server_version = "dcgan-serve"
    sys_version = ""

    def setup(self) -> None:
        """Limits how much is read."""
        super().setup()
        raw = self.connection.makefile("rb", buffering=0)
        self.rfile = io.BufferedReader(_Limited(raw, DISCARDED + self.server.max_bytes))

    def make_environ(self) -> dict[str, Any]:
        """As Werkzeug, but refuses what would be read in two ways."""
        lengths = self.headers.get_all("Content-Length") or []
        try:
            if len(lengths) > 1:
                raise ValueError("several Content-Length")
            return super().make_environ()
        except ValueError:
            self.send_error(400)
            raise ConnectionAbortedError from None

    def send_error(
        self, code: int, message: str | None = None, _explain: str | None = None
    ) -> None:
        """A response to what is no HTTP request, in JSON."""
        text = message or self.responses.get(code, ("Bad Request",))[0]
        self.close_connection = True
        self.wfile.write(response(code, f"this is no request that can be read: {text}"))

    def version_string(self) -> str:
        """What the header Server says."""
        return self.server_version

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Writes nothing: paths and names are the users' own."""

    def log_error(self, format: str, *args: Any) -> None:
        """Writes nothing: what clients do wrong is told to them."""


def response(code: int, error: str) -> bytes:
    """A whole response that says what is wrong, for a connection that no application sees."""
    body = json.dumps({"error": error}).encode()
    lines = [f"HTTP/1.1 {code} Error", "Content-Type: application/json", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    lines += [f"Content-Length: {len(body)}"]
    lines += [f"Retry-After: {RETRY_AFTER}"] if code == 503 else []
    return "\r\n".join([*lines, "", ""]).encode() + body


class Server(ThreadedWSGIServer):
    """A thread for each connection, up to CONNECTIONS of them; the others get 503."""

    daemon_threads = True

    def __init__(
        self,
        listener: socket.socket,
        app: Callable[..., Any],
        max_bytes: int,
        every: Callable[[], None],
    ) -> None:
        """Takes over the socket.

        Args:
          listener: as `bind` gives it.
          app: the WSGI application.
          max_bytes: of a body.
          every: is called about twice a second.
        """
        host, port = listener.getsockname()[:2]
        self.max_bytes, self._every = max_bytes, every
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self._refusing = threading.BoundedSemaphore(REFUSED)
        super().__init__(host, port, app, Handler, fd=listener.fileno())
        listener.close()

    def serve_forever(self, poll_interval: float = 0.25) -> None:
        """Serves until `shutdown`, or an interrupt, which Werkzeug's own would swallow."""
        socketserver.BaseServer.serve_forever(self, poll_interval)

    def service_actions(self) -> None:
        """What is done now and then."""
        self._every()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serves a connection in a thread of its own, or refuses it."""
        if self._free.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except BaseException:
                self._free.release()
                raise
        elif self._refusing.acquire(blocking=False):
            threading.Thread(target=self._refuse, args=(request,), daemon=True).start()
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def _refuse(self, connection: socket.socket) -> None:
        """Tells a client to come back; reads on for a while, else it would see a reset alone."""
        try:
            connection.settimeout(1)
            connection.sendall(response(503, "too many connections; try again in a few seconds"))
            connection.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline and connection.recv(1 << 16):
                pass
        except OSError:
            pass
        finally:
            self.shutdown_request(connection)
            self._refusing.release()
