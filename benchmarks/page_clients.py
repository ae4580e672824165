#!/usr/bin/env python3
"""Let many pages ask a server at once, each with a photo of a megapixel; measure its memory.

Each client sends its photo, paints over the face, searches and fetches the result, or is told to
come back later (503). Needs /proc, for the memory of the server's processes together.

examples:
  python benchmarks/page_clients.py
  python benchmarks/page_clients.py --clients 20 --checkpoint-dir checkpoint
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import http.client
import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cli
from page import Server, make_photo, stroke

EDGE = 1000  # pixels of the photo
GOAL = 3.0  # GiB
PAUSE = 0.05  # seconds between two looks at the memory


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--checkpoint-dir", metavar="DIR", help="folder of the model")
    parser.add_argument("--clients", type=cli.positive_int, default=100, help="at once")
    return parser


def children_of(pid: int) -> list[int]:
    """A process and all that it has started, and those, ..."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started = task.read_text().split()
        except OSError:  # it has ended meanwhile
            continue
        found += [one for child in started for one in children_of(int(child))]
    return found


def memory(pid: int) -> float:
    """GiB that a process and its children hold; what they share counts for each."""
    pages = 0
    for one in children_of(pid):
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


class Watch:
    """The most memory that a process tree has held; a context manager."""

    def __init__(self, pid: int) -> None:
        self.most, self._pid, self._over = 0.0, pid, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(PAUSE):
            self.most = max(self.most, memory(self._pid))


def visit(server: Server, photo: bytes, mask: tuple[bytes, int, int]) -> str:
    """What becomes of a client: a picture, or the status that it was refused with."""
    at, picture, (data, left, top) = "", b"", mask
    try:
        at = "/api/photos/" + json.loads(answer(server, "POST", "/api/photos", photo))["id"]
        events = answer(server, "POST", f"{at}/search?left={left}&top={top}", data)
        last = json.loads(events.strip().split(b"data: ")[-1])
        if last["event"] != "result":
            return f"event {last}"
        picture = answer(server, "GET", f"{at}/results/{last['id']}/0/photo")
        return "picture" if picture.startswith(b"\x89PNG") else "no picture"
    except RefusedError as error:
        return str(error)
    finally:
        if at:
            server.send("DELETE", at).read()


class RefusedError(Exception):
    """A status that is no success."""


def answer(server: Server, method: str, path: str, body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection(server.host, timeout=600)
    connection.request(method, path, body, {"Authorization": f"Bearer {server.token}"})
    response = connection.getresponse()
    data = response.read()
    if response.status >= 300:
        raise RefusedError(f"{response.status}, Retry-After {response.headers['Retry-After']}")
    return data


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    photo = make_photo(None, EDGE)
    server = Server(args.checkpoint_dir)
    try:
        while not server.ask("GET", "/api/model")["ready"]:
            time.sleep(0.1)
        at = "/api/photos/" + server.ask("POST", "/api/photos", photo)["id"]
        mask = stroke(server.ask("GET", f"{at}/faces")["faces"][0]["corners"])
        server.send("DELETE", at).read()
        idle = memory(server.process.pid)
        pool = concurrent.futures.ThreadPoolExecutor(args.clients)
        with Watch(server.process.pid) as watch, pool:
            visits = [pool.submit(visit, server, photo, mask) for _ in range(args.clients)]
            ends = collections.Counter(one.result() for one in visits)
        time.sleep(1)  # what is dropped is dropped twice a second
        ends_alone = visit(server, photo, mask)
        after = memory(server.process.pid)
    finally:
        server.process.terminate()
        server.process.wait()
    for end, count in sorted(ends.items()):
        print(f"{count} clients: {end}")
    print(f"one more client afterwards: {ends_alone}")
    print(f"memory: {idle:.2f} GiB idle, {watch.most:.2f} at the most (goal: {GOAL})")
    print(f"        {after:.2f} afterwards")


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
