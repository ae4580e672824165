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

MAX_CONNECTIONS = 64  # at a time
MAX_REFUSED = 64  # connections that get a 503 at a time; more are only closed
TIMEOUT = 30  # seconds of silence
MAX_DISCARDED = 10**9  # bytes of a body that is too large, read so that the client sees the answer
RETRY_AFTER = 5  # seconds
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def bind(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Raises:
      UserError: the port is in use, or the address is not one of this machine.
    """
    try:
        *_, (family, kind, _, _, address) = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind)
    except (OSError, UnicodeError):
        raise UserError(f"--host {host}: is not an address of this machine; choose one") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2 * MAX_CONNECTIONS)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"--port {port}: is already in use; choose another one, or 0 for any free one"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise UserError(
                f"--port {port}: cannot be opened ({error.strerror}); choose one above 1023"
            ) from None
        raise UserError(
            f"--host {host}: {error.strerror}; choose an address of this machine"
        ) from None
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
    """Reads a request; nothing about it is logged, but a bug of ours."""

    timeout = TIMEOUT
    server: LimitedServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        """Limit how much is read."""
        super().setup()
        raw = self.connection.makefile("rb", buffering=0)
        self.rfile = io.BufferedReader(_Limited(raw, MAX_DISCARDED + self.server.max_bytes))

    def make_environ(self) -> dict[str, Any]:
        """Do as Werkzeug does, but refuse what could be read in two ways."""
        lengths = self.headers.get_all("Content-Length") or []
        try:
            if len(lengths) > 1:
                raise ValueError("several Content-Length")
            return super().make_environ()
        except ValueError:
            self.send_error(400)
            raise ConnectionAbortedError from None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no HTTP request, in JSON."""
        text = message or explain or self.responses.get(code, ("Bad Request",))[0]
        self.close_connection = True
        self.wfile.write(response(code, f"malformed request: {text}"))

    def version_string(self) -> str:
        """Name the server in its header."""
        return "dcgan-serve"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: paths and names are the users' own."""

    def log_error(self, format: str, *args: Any) -> None:
        """Log nothing: clients are told what they do wrong."""


def response(code: int, error: str) -> bytes:
    """Make a whole response with an error, for a connection that no application sees."""
    body = json.dumps({"error": error}).encode()
    lines = [f"HTTP/1.1 {code} Error", "Content-Type: application/json", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    lines += [f"Content-Length: {len(body)}"]
    lines += [f"Retry-After: {RETRY_AFTER}"] if code == 503 else []
    return "\r\n".join([*lines, "", ""]).encode() + body


class LimitedServer(ThreadedWSGIServer):
    """A thread for each connection, up to MAX_CONNECTIONS of them; the others get 503."""

    daemon_threads = True

    def __init__(
        self,
        listener: socket.socket,
        app: Callable[..., Any],
        max_bytes: int,
        every: Callable[[], None],
    ) -> None:
        """Take over the socket.

        Args:
          listener: as `bind` gives it.
          app: the WSGI application.
          max_bytes: of a body.
          every: is called about twice a second.
        """
        host, port = listener.getsockname()[:2]
        self.max_bytes, self._every = max_bytes, every
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._refusing = threading.BoundedSemaphore(MAX_REFUSED)
        super().__init__(host, port, app, Handler, fd=listener.fileno())
        listener.close()

    def serve_forever(self, poll_interval: float = 0.25) -> None:
        """Serve until `shutdown`, or an interrupt, which Werkzeug's own would swallow."""
        socketserver.BaseServer.serve_forever(self, poll_interval)

    def service_actions(self) -> None:
        """Do what is done now and then."""
        self._every()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, or refuse it."""
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
        """Serve a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def _refuse(self, connection: socket.socket) -> None:
        """Answer 503; read on for a while, since the client would see a mere reset otherwise."""
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
