"""Requests that no browser sends, and more clients than there is room for."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from serving_helpers import TOKEN, Client, StubEngine, StubFinder, png, serving

MASK = png(np.full([8, 8], 255, np.uint8))
PICTURE = png(np.zeros([30, 30, 3], np.uint8))
PATHS = (
    *("/", "/main.js", "/api/model", "/api/photos", "/api/photos/x", "/api/photos/x/search"),
    *("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2fserve.py", "/%00", "/%ff%fe", "//x"),
    *("/page/../serve.py", "http://[::1", "http://x/api/model", "*", "", "/" + 5000 * "a"),
    *("/api/portraits/../../x", "/api/photos/x/results/x/-1/photo", "/api/searches/x/stop"),
    *("/api/photos/x/results/x/99999999999999999999/photo", "/" + 70_000 * "b", "/a b c", "/\t"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW", "get", "", "G\0T")
HEADERS = (
    *("Content-Length: -1", "Content-Length: 99999999999999999999999", "Content-Length: 10"),
    *("Content-Length: x", "Content-Length: 5", "Content-Length: ", "Content-Length: \u0661"),
    *("Content-Length: 3000000", "Transfer-Encoding: chunked", "Transfer-Encoding: x"),
    *("Content-Type: multipart/form-data", "Content-Type: \0", "Expect: 100-continue"),
    *("Origin: null", "Origin: http://[", "Host: evil.example", "Host: ", "Host: localhost:1"),
    *("Authorization: Basic eA==", "Authorization: Bearer \xff", "Authorization: Bearer"),
    *("X: " + 70_000 * "c", "no colon", ": empty", " folded", "X\0: y", "Range: bytes=0-1"),
    *("Cookie: a=b", "Connection: keep-alive", "Upgrade: websocket", "Content-Encoding: gzip"),
)
BODIES = (b"", b"12345", PICTURE, PICTURE[:60], MASK, b"0\r\n\r\n", b"zz\r\n", bytes(20_000))


def request(random: np.random.Generator) -> bytes:
    """A request of parts that may be wrong, most of them with the token."""

    def pick(values: tuple[str, ...]) -> str:
        return values[random.integers(len(values))]

    lines = [f"{pick(METHODS)} {pick(PATHS)} {pick(('HTTP/1.1', 'HTTP/1.0', 'HTTP/9', '', 'x'))}"]
    if random.random() < 0.9:
        lines.append("Host: localhost")
    if random.random() < 0.8:
        lines.append(f"Authorization: Bearer {TOKEN}")
    lines += [pick(HEADERS) for _ in range(random.integers(4))]
    if random.random() < 0.02:
        lines += [f"X-{i}: y" for i in range(200)]
    end = pick(("\r\n\r\n", "\r\n\r\n", "\r\n\r\n", "\n\n", "\r\n", ""))
    data = "\r\n".join(lines).encode("utf-8", "replace") + end.encode()
    return data + BODIES[random.integers(len(BODIES))]


def photo_request(photo: str, random: np.random.Generator) -> bytes:
    """A request about a photo that is there, with a query or a body that may be wrong."""
    words = ("left", "top", "samples", "seed", "approach", "n_iter", "point", "landmarks", "x")
    values = ("-1", "0", "1", "99999999999", "nan", "1e9", "", "%00", "1,2", "1,2,3,4,5,6", "auto")
    query = "&".join(
        f"{words[random.integers(len(words))]}={values[random.integers(len(values))]}"
        for _ in range(random.integers(4))
    )
    verb = ("search", "preview", "mask", "faces", "view", "alive")[random.integers(6)]
    body = BODIES[random.integers(len(BODIES))]
    length = len(body) + random.choice([0, 0, 0, -1, 1])
    head = f"{('GET', 'POST')[random.integers(2)]} {photo}/{verb}?{query} HTTP/1.1\r\n"
    head += f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def client() -> Iterator[Client]:
    engine = StubEngine(2)
    with serving(engine, StubFinder(), max_bytes=2_000_000, max_pixels=100_000) as (client, _):
        client.wait_until_ready()
        yield client


@pytest.mark.parametrize("count", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_no_request_breaks_the_server(
    count: int,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    photo = client.add(PICTURE)
    capfd.readouterr()
    requests = []
    for seed in range(count):
        random = np.random.default_rng(seed)
        requests.append(photo_request(photo, random) if seed % 3 == 0 else request(random))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client.raw, requests))
    statuses = [int(found[1]) for a in answers if (found := re.match(rb"HTTP/\S+ (\d+)", a))]
    assert len(statuses) > count / 2  # others were no requests at all
    assert {s for s in statuses if s >= 500} <= {503, 505}
    assert capfd.readouterr() == ("", "")
    assert os.listdir(tmp_path) == []
    assert client.ask("GET", f"{photo}/faces")[0] == 200


@pytest.mark.slow
def test_a_hundred_clients_get_a_picture_or_503() -> None:
    random = np.random.default_rng(0)
    body = png(random.integers(0, 256, [1000, 1000, 3], np.uint8), compress_level=1)
    with serving(StubEngine(10, 0.01), StubFinder()) as (client, server):
        client.wait_until_ready()

        def visit(number: int) -> int:
            status, headers, found = client.ask("POST", "/api/photos", body)
            if status == 503:
                assert int(headers["Retry-After"]) > 0
                return 503
            assert status == 201, found
            at = f"/api/photos/{found['id']}"
            time.sleep(0.01 * (number % 7))
            response = client.send("POST", f"{at}/search?left=400&top=400", MASK)
            if response.status == 503:  # more than 64 connections
                return 503
            result = json.loads(response.read().strip().split(b"data: ")[-1])
            assert result["event"] == "result", result
            status, _, data = client.ask("GET", f"{at}/results/{result['id']}/0/photo")
            assert status == 503 or data.startswith(b"\x89PNG")
            return status

        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            statuses = list(pool.map(visit, range(100)))
        assert set(statuses) == {200, 503}
        server.store._photos.clear()
        assert visit(0) == 200
