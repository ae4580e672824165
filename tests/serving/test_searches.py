"""Previews, searches, their queue and their results, over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, Run, load_picture
from serving_helpers import Client, StubEngine, StubFinder, decoded, eventually, png, serving

from dcgan_completion.photos.portraits import PORTRAITS
from dcgan_completion.serving.page_server import PageServer

PHOTO = np.random.default_rng(1).integers(0, 256, [40, 48, 3], np.uint8)
HOLE = np.full([10, 12], 255, np.uint8)
AT = "left=14&top=16"
INSIDE = np.s_[16:26, 14:26]


@pytest.fixture(scope="module")
def slow() -> Iterator[tuple[Client, PageServer]]:
    """A server whose searches take 200 steps of 0.02 s."""
    with serving(StubEngine(200, 0.02), StubFinder()) as (client, server):
        client.wait_until_ready()
        yield client, server


@pytest.fixture
def quick() -> Iterator[tuple[Client, PageServer]]:
    with serving(StubEngine(4), StubFinder()) as (client, server):
        client.wait_until_ready()
        yield client, server


def test_a_search_reports_its_progress_and_gives_a_result(
    quick: tuple[Client, PageServer],
) -> None:
    client, _ = quick
    original = np.dstack([PHOTO, PHOTO[..., 0] | 1])  # partly transparent
    photo = client.add(png(original))
    events = list(client.events(f"{photo}/search?{AT}&samples=3&seed=7", png(HOLE)))
    assert [events[0]["event"], events[-1]["event"]] == ["search", "result"]
    assert events[0]["compiled"] is False
    states = [event for event in events if event["event"] == "state"]
    assert [loss for state in states for loss in state["losses"]] == [9.0, 8.0, 7.0, 6.0]
    result = events[-1]
    assert (result["iteration"], result["total"], result["samples"]) == (4, 4, 3)
    assert result["options"] == ["--samples", "3", "--seed", "7"]
    at = f"{photo}/results/{result['id']}"
    kept = np.ones([40, 48], bool)
    kept[INSIDE] = False
    for rank in range(3):
        whole = decoded(client.ask("GET", f"{at}/{rank}/photo")[2])
        np.testing.assert_array_equal(whole[kept], original[kept])
        layer = decoded(client.ask("GET", f"{at}/{rank}/layer")[2])
        np.testing.assert_array_equal(layer[..., 3] > 0, ~kept)
        np.testing.assert_array_equal(layer[~kept], whole[~kept])
        assert (layer[~kept][:, 3] == 255).all()
        _, headers, data = client.ask("GET", f"{at}/{rank}/hole")
        left, top, width, height = map(int, headers["X-Box"].split(","))
        np.testing.assert_array_equal(decoded(data), layer[top : top + height, left : left + width])
    assert client.ask("GET", f"{at}/3/photo")[0] == 404
    assert client.ask("GET", f"{photo}/results/x/0/photo")[0] == 404


def test_a_preview_comes_at_once(quick: tuple[Client, PageServer]) -> None:
    client, server = quick
    photo = client.add(png(PHOTO))
    eventually(lambda: client.ask("GET", f"{photo}/faces")[2]["faces"])
    status, _, found = client.ask("POST", f"{photo}/preview?{AT}", png(HOLE))
    assert (status, found["how"]) == (200, "estimate")
    left, top, width, height = found["box"]
    assert max(left - 14, top - 16, 26 - left - width, 26 - top - height) <= 0
    server.finder.wait.clear()  # a face that is not found yet is not waited for
    other = client.add(png(PHOTO))
    assert client.ask("POST", f"{other}/preview?{AT}", png(HOLE))[2]["how"] == "rough"
    server.finder.wait.set()


def test_landmarks_are_taken_for_the_face(quick: tuple[Client, PageServer]) -> None:
    client, _ = quick
    photo = client.add(png(PHOTO))
    path = f"{photo}/search?{AT}&landmarks=1.5,2,30,2,20,30"
    assert list(client.events(path, png(HOLE)))[-1]["options"] == [
        *("--landmarks", "landmarks.txt", "--seed", "0")
    ]
    path = f"{photo}/search?{AT}&point=3,4"
    assert list(client.events(path, png(HOLE)))[-1]["options"][:2] == ["--face", "1"]


def test_one_search_at_a_time_and_others_see_their_place(slow: tuple[Client, PageServer]) -> None:
    client, server = slow
    photos = [client.add(png(PHOTO)) for _ in range(3)]
    streams = [client.events(f"{photo}/search?{AT}", png(HOLE)) for photo in photos]
    for stream in streams:  # the first has begun, the others are behind it
        next(event for event in stream if event["event"] in ("state", "wait"))
    beats = [next(streams[2]) for _ in range(3)]
    assert {beat["place"] for beat in beats} == {2}
    streams[1].close()  # a closed tab
    assert any(event.get("place") == 1 for event in streams[2])
    assert server.engine.most_running == 1
    streams[0].close()
    assert next(event for event in streams[2] if event["event"] == "state")
    streams[2].close()
    eventually(lambda: not server.engine.running)
    for photo in photos:
        client.ask("DELETE", photo)


def test_stopping_keeps_the_best_so_far_and_closing_keeps_nothing(
    slow: tuple[Client, PageServer],
) -> None:
    client, server = slow
    photo = client.add(png(PHOTO))
    stream = client.events(f"{photo}/search?{AT}", png(HOLE))
    name = next(stream)["id"]
    next(event for event in stream if event["event"] == "state" and event["iteration"] > 2)
    assert client.ask("POST", f"/api/searches/{name}/stop")[0] == 204
    result = list(stream)[-1]
    assert result["event"] == "result"
    assert 2 < result["iteration"] < 200
    eventually(lambda: not server.engine.running)
    assert client.ask("POST", f"/api/searches/{name}/stop")[0] == 404
    # Painting again: a new search for the same photo ends the one that goes on.
    before = client.events(f"{photo}/search?{AT}", png(HOLE))
    next(event for event in before if event["event"] == "state")
    after = client.events(f"{photo}/search?{AT}", png(HOLE))
    next(event for event in after if event["event"] == "state")
    assert list(before)[-1]["event"] in ("result", "stopped")
    after.close()
    eventually(lambda: not server.engine.running)
    client.ask("DELETE", photo)


def test_a_photo_that_is_searched_is_not_dropped(slow: tuple[Client, PageServer]) -> None:
    client, server = slow
    photo = client.add(png(PHOTO))
    stream = client.events(f"{photo}/search?{AT}", png(HOLE))
    next(event for event in stream if event["event"] == "state")
    stored = server.store._photos[photo.rpartition("/")[2]]
    stored.last_use = -1e9
    server.store.purge()
    assert len(server.store) == 1
    stream.close()
    eventually(lambda: not stored.users)


def test_the_download_is_what_complete_photo_writes(
    guided: Path, run_any: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "1")  # cannot be set again once it runs
    photo = PORTRAITS["eileen_collins.png"]()[:400, :400]
    hole = np.zeros(photo.shape[:2], np.uint8)
    hole[100:150, 180:260] = 255
    (tmp_path / "photo.png").write_bytes(png(photo))
    (tmp_path / "mask.png").write_bytes(png(hole))
    with serving(checkpoint_dir=str(guided)) as (client, _):
        client.wait_until_ready()
        at = client.add((tmp_path / "photo.png").read_bytes())
        path = f"{at}/search?left=180&top=100&seed=5&samples=2"
        result = list(client.events(path, png(hole[100:150, 180:260])))[-1]
        assert result["event"] == "result", result
        found = [
            client.ask("GET", f"{at}/results/{result['id']}/{rank}/photo")[2] for rank in range(2)
        ]
        layer = client.ask("GET", f"{at}/results/{result['id']}/0/layer")[2]
    done = run_any(
        *("complete-photo.py", "photo.png", "--mask", "mask.png", "--checkpoint-dir", guided),
        *("--patch", "--out-dir", "out", *result["options"]),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert (out / "final" / "photo.png").read_bytes() == found[0]
    assert (out / "samples" / "photo" / "2.png").read_bytes() == found[1]
    assert (out / "patch" / "photo.png").read_bytes() == layer
    assert (load_picture(out / "final" / "photo.png") != photo).any()


@pytest.mark.slow
def test_an_interrupt_ends_it_cleanly(guided: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "serve.py"), "--port", "0"]
    command += ["--checkpoint-dir", str(guided)]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().strip()
        host, token = address.removeprefix("http://127.0.0.1:").split("/#")
        client = Client(int(host), token)
        client.wait_until_ready()
        photo = client.add(png(PHOTO))
        stream = client.events(
            f"{photo}/search?{AT}&n_iter=10000&landmarks=15,15,30,15,22,30", png(HOLE)
        )
        next(event for event in stream if event["event"] == "state")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors == ""
    assert os.listdir(tmp_path) == []
