"""Time the page as its users do: to the page, a ready model, a preview, the finished picture.

On an idle server, over HTTP as the page asks; a photo of up to 12 megapixels with a face in it.
With --clients many pages ask at once, each with a photo of a megapixel; reports how they end, and
the memory of the server's processes together, which needs /proc.

examples:
  python -m benchmarks.page
  python -m benchmarks.page --clients 100
  python -m benchmarks.page --photo photo.jpg --checkpoint-dir checkpoint
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import http.client
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dcgan_completion import cli
from dcgan_completion.settings import options

GOALS = {"command to page": 1, "to a ready model": 10, "stroke to preview": 0.3, "finished": 3}
MAX_MEMORY = 3.0  # GiB: the goal for memory
LARGE, SMALL = 3464, 1000  # pixels: edge of a photo of 12 megapixels, and of one


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.page")
    parser.add_argument("--checkpoint-dir", metavar="DIR", help="folder of the model")
    parser.add_argument(
        "--photo", metavar="FILE", help="with a face; a portrait scaled to 12 megapixels without it"
    )
    parser.add_argument(
        "--runs", type=options.positive_int, default=3, help="of preview and search"
    )
    parser.add_argument(
        "--clients", type=options.positive_int, metavar="N", help="let so many pages ask at once"
    )
    return parser


class RefusedError(Exception):
    """A response with a status of 300 or more."""


class Server:
    """A server of its own, and requests to it."""

    def __init__(self, checkpoint_dir: str | None) -> None:
        command = [sys.executable, str(Path(__file__).parents[1] / "serve.py"), "--port", "0"]
        command += ["--checkpoint-dir", checkpoint_dir] if checkpoint_dir else []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip()
        self.host, self.token = address.removeprefix("http://").split("/#")

    def send(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.host, timeout=600)
        connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"})
        response = connection.getresponse()
        if response.status >= 300:
            again = response.headers["Retry-After"]
            raise RefusedError(f"{response.status}, Retry-After {again}: {response.read()[:200]}")
        return response

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        return json.loads(self.send(method, path, body).read())


def make_photo(path: str | None, edge: int = LARGE) -> bytes:
    """Read the photo's file; without one, make a portrait of that many pixels squared."""
    if path is not None:
        return Path(path).read_bytes()
    from PIL import Image

    from dcgan_completion.photos.portraits import PORTRAITS

    picture = Image.fromarray(PORTRAITS["eileen_collins.png"]())
    file = io.BytesIO()
    picture.resize((edge, edge), Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
    return file.getvalue()


def stroke(corners: list[list[float]]) -> tuple[bytes, int, int]:
    """Draw a mask over the middle of a face, as PNG; return its place, too."""
    import numpy as np
    from PIL import Image

    points = np.array(corners)
    edge, middle = int(np.ptp(points[:, 0]) / 4), points.mean(axis=0).astype(int)
    file = io.BytesIO()
    Image.new("L", (2 * edge, edge), 255).save(file, "PNG")
    return file.getvalue(), int(middle[0]) - edge, int(middle[1]) - edge // 2


def measure(server: Server, photo: bytes, runs: int) -> dict[str, list[float]]:
    """Time previews after a stroke, and finished pictures after Enter, in seconds."""
    at = "/api/photos/" + server.ask("POST", "/api/photos", photo)["id"]
    faces = server.ask("GET", f"{at}/faces")["faces"]
    assert faces, "no face is found in the photo; name another one"
    mask, left, top = stroke(faces[0]["corners"])
    found: dict[str, list[float]] = {"stroke to preview": [], "finished": []}
    for run in range(runs):
        where = f"left={left + run}&top={top}"  # another hole each time
        start = time.perf_counter()
        how = server.ask("POST", f"{at}/preview?{where}", mask)["how"]
        found["stroke to preview"].append(time.perf_counter() - start)
        assert how == "estimate", "the model has no context encoder"
        start = time.perf_counter()
        events = server.send("POST", f"{at}/search?{where}", mask).read()
        result = json.loads(events.strip().split(b"data: ")[-1])
        server.send("GET", f"{at}/results/{result['id']}/0/hole").read()
        found["finished"].append(time.perf_counter() - start)
    return found


def children_of(pid: int) -> list[int]:
    """List a process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started = task.read_text().split()
        except OSError:  # it has ended meanwhile
            continue
        found += [one for child in started for one in children_of(int(child))]
    return found


def memory(pid: int) -> float:
    """Sum the GiB of a process and its descendants; shared pages count for each."""
    pages = 0
    for one in children_of(pid):
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


class Watch:
    """The peak memory of a process tree; a context manager."""

    def __init__(self, pid: int) -> None:
        self.peak, self._pid, self._over = 0.0, pid, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self.peak = max(self.peak, memory(self._pid))


def visit(server: Server, photo: bytes, mask: tuple[bytes, int, int]) -> str:
    """Act as a client; return how it ends: with a picture, or with an error."""
    at, (data, left, top) = "", mask
    try:
        at = "/api/photos/" + server.ask("POST", "/api/photos", photo)["id"]
        events = server.send("POST", f"{at}/search?left={left}&top={top}", data).read()
        last = json.loads(events.strip().split(b"data: ")[-1])
        picture = server.send("GET", f"{at}/results/{last['id']}/0/photo").read()
        return "a picture" if picture.startswith(b"\x89PNG") else "no picture"
    except RefusedError as error:
        return str(error)
    finally:
        if at:
            server.send("DELETE", at).read()


def crowd(server: Server, clients: int) -> None:
    """Print how clients that come at once end, and the memory that they take."""
    photo = make_photo(None, SMALL)
    at = "/api/photos/" + server.ask("POST", "/api/photos", photo)["id"]
    mask = stroke(server.ask("GET", f"{at}/faces")["faces"][0]["corners"])
    server.send("DELETE", at).read()
    time.sleep(1)  # what is dropped goes twice a second
    idle = memory(server.process.pid)
    pool = concurrent.futures.ThreadPoolExecutor(clients)
    with Watch(server.process.pid) as watch, pool:
        visits = [pool.submit(visit, server, photo, mask) for _ in range(clients)]
        ends = collections.Counter(one.result() for one in visits)
    for end, count in sorted(ends.items()):
        print(f"{count} clients: {end}")
    time.sleep(1)
    print(f"one more afterwards: {visit(server, photo, mask)}")
    print(f"memory: {idle:.2f} GiB before, {watch.peak:.2f} at the peak (goal: {MAX_MEMORY})")


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    photo = make_photo(args.photo)
    start = time.perf_counter()
    server = Server(args.checkpoint_dir)
    try:
        server.send("GET", "/").read()
        found = {"command to page": [time.perf_counter() - start]}
        while not server.ask("GET", "/api/model")["ready"]:
            time.sleep(0.05)
        found["to a ready model"] = [time.perf_counter() - start]
        if args.clients:
            return crowd(server, args.clients)
        found |= measure(server, photo, args.runs)
    finally:
        server.process.terminate()
        server.process.wait()
    print("| what | seconds | goal |")
    print("| --- | --- | --- |")
    for name, seconds in found.items():
        print(f"| {name} | {', '.join(f'{s:.2f}' for s in seconds)} | {GOALS[name]} |")
    return None


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
