"""A server in the tests' process, with a model and a face finder that are stand-ins."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.faces.detection import FoundFace
from dcgan_completion.serving import http_server
from dcgan_completion.serving.engine import SearchRequest, SearchUpdate
from dcgan_completion.serving.page_server import PageServer
from dcgan_completion.settings.serving import ServeSettings
from dcgan_completion.utils import UserError

TOKEN = "token"
SIZE = 16


class StubEngine:
    """Fills every hole with a level that grows with the iterations, each of which takes a while."""

    image_size, channels, guided = SIZE, 3, True

    def __init__(self, iterations: int = 4, seconds: float = 0.0) -> None:
        self.iterations, self.seconds = iterations, seconds
        self.running = self.most_running = 0
        self.approaches = {"auto": iterations}

    def prepare(self) -> Iterator[None]:
        yield

    def settings_of(self, request: SearchRequest) -> None:
        if request.approach == "direct":
            raise UserError("no encoder")

    def has_compiled(self, request: SearchRequest) -> bool:
        return request.samples == 1

    def preview(self, task: Any) -> np.ndarray:
        return self._levels(task, 1, 50)

    def search(self, task: Any, request: SearchRequest) -> Iterator[SearchUpdate]:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            for i in range(self.iterations + 1):
                levels = self._levels(task, request.samples, 100 + i)
                yield SearchUpdate(i, self.iterations, [10.0 - i] * (i > 0), levels)
                time.sleep(self.seconds)
        finally:
            self.running -= 1

    @staticmethod
    def _levels(task: Any, samples: int, level: int) -> np.ndarray:
        ranks = level + 20 * np.arange(samples, dtype=np.float32)
        shape = [len(task.faces), samples, SIZE, SIZE, 3]
        return np.broadcast_to(ranks[:, None, None, None], shape).copy()


class StubFinder:
    """Takes the whole photo for a face."""

    def __init__(self) -> None:
        self.wait = threading.Event()
        self.wait.set()

    def start(self) -> None: ...

    def close(self) -> None:
        self.wait.set()

    def find(
        self,
        name: str,
        size: int,
        photo: np.ndarray,
        hole: np.ndarray | None = None,
        landmarks: np.ndarray | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> list[FoundFace]:
        self.wait.wait(30)
        height, width = photo.shape[:2]
        scale = size / min(height, width)
        matrix = np.array([[scale, 0, scale / 2 - 0.5], [0, scale, scale / 2 - 0.5]])
        points = np.zeros([3, 2]) if landmarks is None else landmarks
        return [FoundFace((0, 0, width, height), points, matrix, size, 1.0, "as it is")]


class Client:
    """Asks a server, as its page does."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self.port, self.token = port, token

    def raw(self, data: bytes) -> bytes:
        """What comes back for bytes that are sent as they are, until the server closes."""
        parts = []
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection,
            contextlib.suppress(ConnectionError),
        ):
            connection.sendall(data)
            with contextlib.suppress(OSError):  # the server may have closed by now
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                parts.append(part)
        return b"".join(parts)

    def send(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        own = {"Authorization": f"Bearer {self.token}"}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, own)
        return connection.getresponse()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """Status, headers, and the body: what JSON says, or bytes."""
        response = self.send(method, path, body, **headers)
        data = response.read()
        if response.headers.get_content_type() == "application/json":
            data = json.loads(data)
        return response.status, response.headers, data

    def add(self, photo: bytes) -> str:
        status, _, found = self.ask("POST", "/api/photos", photo)
        assert status == 201, found
        return f"/api/photos/{found['id']}"

    def events(self, path: str, mask: bytes) -> Iterator[dict[str, Any]]:
        """The events of a search; the connection closes with the iterator."""
        response = self.send("POST", path, mask)
        try:
            assert response.status == 200, response.read()
            for line in response:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            response.close()

    def wait_until_ready(self) -> None:
        eventually(lambda: self.ask("GET", "/api/model")[2]["ready"])


def eventually(look: Callable[[], Any], seconds: float = 60) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def serving(
    engine: Any = None, finder: Any = None, **settings: Any
) -> Iterator[tuple[Client, PageServer]]:
    """A server in threads of this process."""
    limit = utils.pixel_limit()
    listener = http_server.bind("127.0.0.1", 0)
    server = PageServer(ServeSettings(**settings), listener, TOKEN, engine, finder)
    with server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield Client(server.http.server_address[1]), server
        finally:
            server.http.shutdown()
            thread.join()
            utils.limit_pixels(limit)


def png(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))
