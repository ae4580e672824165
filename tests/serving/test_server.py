"""Who may ask the server for what, and what it refuses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, Run, assert_refused
from serving_helpers import TOKEN, Client, StubEngine, StubFinder, decoded, eventually, png, serving

from dcgan_completion.serving import http_server
from dcgan_completion.serving import store as stores
from dcgan_completion.serving.app import static_files
from dcgan_completion.serving.page_server import PageServer
from dcgan_completion.serving.store import FullError, PhotoStore

PHOTO = np.random.default_rng(1).integers(0, 256, [40, 48, 3], np.uint8)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Client, PageServer]]:
    engine, finder = StubEngine(), StubFinder()
    with serving(engine, finder, max_bytes=100_000, max_pixels=10_000) as (client, server):
        client.wait_until_ready()
        yield client, server


@pytest.fixture
def client(served: tuple[Client, PageServer]) -> Iterator[Client]:
    yield served[0]
    served[1].store._photos.clear()


# --- who may ask ---


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8080", "LOCALHOST:80"])
def test_names_of_this_machine_are_answered(host: str, client: Client) -> None:
    assert client.ask("GET", "/", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1.example.org", "localhost:80:80", "", "::1", "localhost,x"]
)
def test_other_names_are_refused(host: str, client: Client) -> None:
    status, _, answer = client.ask("GET", "/", Host=host)
    assert status == 403
    assert "--allow-host" in answer["error"]


def test_a_name_can_be_allowed() -> None:
    with serving(StubEngine(), StubFinder(), allow_host=("Photos.lan",)) as (client, _):
        assert client.ask("GET", "/", Host="photos.lan:81")[0] == 200
        assert client.ask("GET", "/", Host="lan")[0] == 403


def test_other_pages_are_refused(client: Client) -> None:
    host = f"127.0.0.1:{client.port}"
    assert client.ask("GET", "/api/model", Origin=f"http://{host}")[0] == 200
    for origin in ("null", "http://127.0.0.1:1", "http://evil.example", "http://[", ""):
        assert client.ask("GET", "/api/model", Origin=origin)[0] == 403, origin


def test_all_but_the_pages_files_needs_the_token(client: Client) -> None:
    stranger = Client(client.port, "tokem")
    assert stranger.ask("GET", "/")[0] == 200
    assert stranger.ask("GET", "/main.js")[0] == 200
    for method, path in [("GET", "/api/model"), ("POST", "/api/photos"), ("GET", "/other")]:
        status, _, answer = stranger.ask(method, path)
        assert status == 401
        assert "token" in answer["error"]


def test_only_the_pages_own_files_are_served(client: Client) -> None:
    names = {path.name for path in (ROOT / "dcgan_completion/page").iterdir()}
    assert {name.lstrip("/") or "index.html" for name in static_files()} == names
    for path in ("/../serve.py", "/%2e%2e/serve.py", "//etc/passwd", "/page/main.js", "/main.js/"):
        assert client.ask("GET", path)[0] == 404, path


def test_every_answer_has_the_headers(client: Client) -> None:
    for method, path in [("GET", "/"), ("GET", "/api/model"), ("GET", "/x"), ("PUT", "/api/model")]:
        _, headers, _ = client.ask(method, path)
        policy = headers["Content-Security-Policy"].split("; ")
        assert policy == [
            "default-src 'self'",
            "img-src 'self' blob:",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in headers


# --- what is sent ---


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("", 411),
        ("\r\nTransfer-Encoding: chunked", 411),
        ("\r\nContent-Length: -5", 400),
        ("\r\nContent-Length: 1e3", 400),
        ("\r\nContent-Length: 5\r\nContent-Length: 6", 400),
        ("\r\nContent-Length: 10", 400),  # the body is shorter
        ("\r\nContent-Length: 0", 400),
        ("\r\nContent-Length: 100001", 413),
        ("\r\nContent-Length: 5\r\nContent-Type: multipart/form-data; boundary=x", 415),
    ],
)
def test_a_body_has_its_true_length(lines: str, status: int, client: Client) -> None:
    head = f"POST /api/photos HTTP/1.1{lines}\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}"
    answer = client.raw(f"{head}\r\n\r\n12345".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b'{"error": "' in answer


def test_a_body_that_is_too_large_is_read_and_refused(client: Client) -> None:
    status, _, answer = client.ask("POST", "/api/photos", bytes(5_000_000))
    assert status == 413
    assert "--max-bytes" in answer["error"]


def test_pictures_are_checked_before_they_are_decoded(client: Client) -> None:
    large = png(np.zeros([101, 100], np.uint8))
    for body, word in [(large, "--max-pixels"), (b"not a picture", "unknown format")]:
        status, _, answer = client.ask("POST", "/api/photos", body)
        assert status == 400
        assert word in answer["error"]
    photo = client.add(png(PHOTO))
    hole = np.zeros([40, 48], np.uint8)
    hole[9:20, 9:20] = 255
    for mask, at, word in [
        (hole, "left=1", "beyond"),
        (0 * hole, "", "nothing is painted"),
        (hole | 255, "", "everything"),
        (hole, "left=-1", "left: must be"),
        (hole, "landmarks=1,2,3", "landmarks: must be 6"),
        (hole, "landmarks=1,1,2,2,nan,3", "landmarks: must be 6"),
        (hole, "samples=9", "samples: must be"),
        (hole, "approach=x", "approach: must be"),
        (hole, "seed=4294967296", "seed: must be"),
    ]:
        status, _, answer = client.ask("POST", f"{photo}/search?{at}", png(mask))
        assert status == 400, (at, answer)
        assert word in answer["error"]


def test_a_mask_file_is_read_as_complete_photo_does(client: Client) -> None:
    photo = client.add(png(PHOTO))
    layer = np.zeros([40, 48, 4], np.uint8)
    layer[5:9, 5:9] = (200, 0, 0, 255)  # red on an empty layer
    status, _, data = client.ask("POST", f"{photo}/mask", png(layer))
    assert status == 200
    np.testing.assert_array_equal(decoded(data), layer[..., 3])
    assert client.ask("POST", f"{photo}/mask", png(layer[1:]))[0] == 400


def test_silence_ends_a_connection(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server.Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        assert connection.recv(100) == b""


# --- how much at a time ---


def test_too_many_connections_get_503(client: Client) -> None:
    silent = [
        socket.create_connection(("127.0.0.1", client.port))
        for _ in range(http_server.MAX_CONNECTIONS)
    ]
    try:
        status, headers, answer = client.ask("GET", "/api/model")
        assert status == 503
        assert int(headers["Retry-After"]) > 0
        assert "connections" in answer["error"]
    finally:
        for connection in silent:
            connection.close()
    eventually(lambda: client.ask("GET", "/api/model")[0] == 200)


def test_the_number_of_photos_is_limited(client: Client) -> None:
    photos = [client.add(png(PHOTO)) for _ in range(stores.MAX_PHOTOS)]
    status, headers, answer = client.ask("POST", "/api/photos", png(PHOTO))
    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert "photos" in answer["error"]
    assert client.ask("DELETE", photos[3])[0] == 204
    assert client.add(png(PHOTO))
    status, _, answer = client.ask("GET", f"{photos[3]}/view")
    assert (status, "send it again" in answer["error"]) == (410, True)
    np.testing.assert_array_equal(decoded(client.ask("GET", f"{photos[0]}/view")[2]), PHOTO)


def test_a_photo_is_kept_for_ten_minutes_after_its_last_use() -> None:
    now = [0.0]
    store = PhotoStore(lambda: now[0])
    with store.place() as add:
        first = add(None)
    with store.place() as add:
        second = add(None)
    for now[0] in (300.0, 600.0):
        with store.using(first.id):
            pass
        store.purge()
        assert len(store) == 2
    with store.using(second.id):
        now[0] = 5000.0
        store.purge()  # the first is dropped, the second in use
        assert len(store) == 1
    now[0] = 5600.0
    store.purge()
    assert len(store) == 1
    now[0] = 5600.1
    store.purge()
    assert len(store) == 0


def test_a_place_is_reserved_while_a_photo_is_received() -> None:
    store = PhotoStore()
    places = [store.place() for _ in range(stores.MAX_PHOTOS)]
    for place in places:
        place.__enter__()
    with pytest.raises(FullError), store.place():
        pass
    places[0].__exit__(None, None, None)
    with store.place():
        pass


# --- the command ---


def test_a_taken_port_is_one_line(run_any: Run, client: Client, tmp_path: Path) -> None:
    done = run_any("serve.py", "--port", client.port, cwd=tmp_path)
    assert_refused(done, f"--port {client.port}", "in use", "another")


def test_a_missing_model_is_one_line(run_any: Run, tmp_path: Path) -> None:
    done = run_any("serve.py", "--port", 0, "--checkpoint-dir", "none", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout.startswith("http://127.0.0.1:")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "--checkpoint-dir none" in done.stderr
