"""The WSGI application: who may ask, for what, and what is answered."""

from __future__ import annotations

import hmac
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    HTTPException,
    LengthRequired,
    NotFound,
    RequestEntityTooLarge,
    ServiceUnavailable,
    Unauthorized,
    UnsupportedMediaType,
)
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from dcgan_completion import utils
from dcgan_completion.photos.files import Photo, read_photo
from dcgan_completion.photos.holes import Hole
from dcgan_completion.photos.portraits import PORTRAITS
from dcgan_completion.serving import engine as engines
from dcgan_completion.serving import pictures
from dcgan_completion.serving.repairs import Repairs, Which
from dcgan_completion.serving.server import DISCARDED, HEADERS, RETRY_AFTER
from dcgan_completion.serving.store import FullError, StoredPhoto
from dcgan_completion.settings.search import APPROACHES
from dcgan_completion.settings.serving import ServeSettings
from dcgan_completion.utils import UserError

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "page")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HOSTS = ("localhost", "127.0.0.1", "[::1]")
BODIES = 8  # masks that are received and decoded at a time
FORGOTTEN = "the photo is not in memory any more; send it again"
RULES = (
    ("GET", "/api/model", "model"),
    ("GET", "/api/portraits/<name>", "portrait"),
    ("POST", "/api/photos", "add_photo"),
    ("DELETE", "/api/photos/<photo>", "drop_photo"),
    ("POST", "/api/photos/<photo>/alive", "keep_alive"),
    ("GET", "/api/photos/<photo>/faces", "faces"),
    ("GET", "/api/photos/<photo>/view", "view"),
    ("POST", "/api/photos/<photo>/mask", "mask"),
    ("POST", "/api/photos/<photo>/preview", "preview"),
    ("POST", "/api/photos/<photo>/search", "search"),
    ("POST", "/api/searches/<search>/stop", "stop"),
    ("GET", "/api/photos/<photo>/results/<result>/<int:rank>/<kind>", "result"),
)


def static_files(folder: str = PAGE) -> dict[str, tuple[str, bytes]]:
    """Path of a request -> type and contents of the page's files; nothing else is ever opened."""
    files = {}
    for name in sorted(os.listdir(folder)):
        kind = TYPES.get(os.path.splitext(name)[1])
        if kind is not None:
            with open(os.path.join(folder, name), "rb") as file:
                files["/" if name == "index.html" else f"/{name}"] = (kind, file.read())
    return files


class Busy(ServiceUnavailable):
    """503 with Retry-After."""

    def __init__(self, description: str) -> None:
        super().__init__(description, retry_after=RETRY_AFTER)


class App:
    """Answers requests; `wsgi` is the application."""

    def __init__(self, settings: ServeSettings, token: str, repairs: Repairs) -> None:
        """Reads the page's files.

        Args:
          settings: of the server.
          token: that all but the page's files needs.
          repairs: what repairs the photos.
        """
        self._settings, self._token, self._repairs = settings, token, repairs
        self._store = repairs.store
        self._static = static_files()
        self._hosts = {*HOSTS, *(name.lower() for name in settings.allow_host)}
        self._bodies = threading.BoundedSemaphore(BODIES)
        rules = [
            Rule(path, methods=[method], endpoint=name, strict_slashes=False)
            for method, path, name in RULES
        ]
        self._rules = Map(rules, merge_slashes=False)

    def wsgi(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """The application."""
        request = Request(environ)
        try:
            response = self._respond(request)
        except HTTPException as error:
            response = _json({"error": error.description}, error.code or 500)
            for name, value in error.get_headers(environ):
                if name in ("Retry-After", "Allow"):
                    response.headers[name] = value
        except UserError as error:
            response = _json({"error": str(error)}, 400)
        except FullError:
            busy = Busy("the server holds as many photos as it can; try again in a few seconds")
            response = _json({"error": busy.description}, 503)
            response.headers["Retry-After"] = str(RETRY_AFTER)
        except MemoryError:
            response = _json({"error": "memory does not suffice for this picture"}, 400)
        response.headers.extend(HEADERS)
        return response(environ, start)

    # --- who may ask ---

    def _respond(self, request: Request) -> Response:
        self._check_origin(request.environ)
        static = self._static.get(request.path)
        if static is not None and request.method in ("GET", "HEAD"):
            return Response(static[1], content_type=static[0])
        self._check_token(request.environ)
        try:
            name, values = self._rules.bind_to_environ(request.environ).match()
        except NotFound:
            raise NotFound("there is nothing at this address") from None
        handle = getattr(self, f"_{name}")
        if "photo" not in values:
            return handle(request, **values)
        try:
            with self._store.using(values.pop("photo")) as stored:
                return handle(request, stored, **values)
        except KeyError:
            raise NotFound(FORGOTTEN) from None

    def _check_origin(self, environ: Mapping[str, Any]) -> None:
        host = environ.get("HTTP_HOST", "").lower()
        name = re.sub(r":[0-9]*\Z", "", host)
        if name not in self._hosts:
            raise Forbidden(
                "the server is not to be reached by this name; use the address that it has "
                "printed, or start it with --allow-host NAME"
            )
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None:
            try:
                same = urlsplit(origin).netloc.lower() == host
            except ValueError:
                same = False
            if not same:
                raise Forbidden("requests of other pages are not answered")

    def _check_token(self, environ: Mapping[str, Any]) -> None:
        given = environ.get("HTTP_AUTHORIZATION", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise Unauthorized(
                "the token is missing or that of another run; open the address that the server "
                "has printed, with all that follows its #"
            )

    # --- what is sent ---

    def _body(self, request: Request) -> bytes:
        """A raw body, whose length is checked before any of it is read."""
        length = request.environ.get("CONTENT_LENGTH")
        if length is None or request.environ.get("HTTP_TRANSFER_ENCODING"):
            raise LengthRequired("a body needs a Content-Length")
        if not re.fullmatch("[0-9]{1,18}", length):
            raise BadRequest("Content-Length is not a whole number from 0")
        limit = self._settings.max_bytes
        if int(length) > limit:
            left = min(int(length), DISCARDED)
            while left and (part := request.environ["wsgi.input"].read(min(left, 1 << 20))):
                left -= len(part)
            raise RequestEntityTooLarge(
                f"{int(length)} bytes are more than {limit}; send a smaller file, or start the "
                "server with a higher --max-bytes"
            )
        if request.mimetype in ("multipart/form-data", "application/x-www-form-urlencoded"):
            raise UnsupportedMediaType("send the picture itself, not a form")
        data = request.environ["wsgi.input"].read(int(length))
        if len(data) < int(length):
            raise BadRequest("the body ended too early; send it again")
        if not data:
            raise BadRequest("the body is empty; send a picture")
        return data

    def _painted(self, request: Request, stored: StoredPhoto) -> Hole:
        """The hole that is sent: a part of the photo's size, at `left` and `top`."""
        left, top = (_number(request, name, 0, 10**6, 0) for name in ("left", "top"))
        with self._receiving():
            return pictures.read_hole(self._body(request), stored.photo, left, top)

    def _receiving(self) -> _Held:
        if not self._bodies.acquire(timeout=10):
            raise Busy("too many masks at a time; try again in a few seconds")
        return _Held(self._bodies)

    # --- what is asked for ---

    def _model(self, _request: Request) -> Response:
        engine, ready = self._repairs.engine, self._repairs.worker.ready
        return _json(
            {
                "ready": ready,
                "encoder": ready and engine.guided,
                "approaches": engine.approaches() if ready else {},
                "most_samples": engines.MOST_SAMPLES,
                "most_iterations": engines.MOST_ITERATIONS,
                "max_bytes": self._settings.max_bytes,
                "max_pixels": self._settings.max_pixels,
                "portraits": sorted(PORTRAITS),
                "checkpoint_dir": self._settings.checkpoint_dir,
            }
        )

    def _portrait(self, _request: Request, name: str) -> Response:
        if name not in PORTRAITS:
            raise NotFound("there is no such portrait")
        return _png(pictures.png(Photo(PORTRAITS[name]())))

    def _add_photo(self, request: Request) -> Response:
        with self._store.place() as add:
            file = utils.HeldFile("the photo", self._body(request))
            stored = add(read_photo(file))
        self._repairs.faces(stored)
        height, width = stored.photo.pixels.shape[:2]
        notes = list(stored.photo.notes)
        return _json({"id": stored.id, "width": width, "height": height, "notes": notes}, 201)

    def _drop_photo(self, _request: Request, stored: StoredPhoto) -> Response:
        if stored.search is not None:
            stored.search.stop()
        stored.dropped = True
        return Response(status=204)

    def _keep_alive(self, _request: Request, _stored: StoredPhoto) -> Response:
        return Response(status=204)

    def _faces(self, _request: Request, stored: StoredPhoto) -> Response:
        try:
            found = self._repairs.faces(stored).result()
        except UserError as error:
            return _json({"faces": [], "error": str(error)})
        return _json({"faces": [{"corners": face.corners.tolist()} for face in found]})

    def _view(self, _request: Request, stored: StoredPhoto) -> Response:
        return _png(pictures.view(stored.photo))

    def _mask(self, request: Request, stored: StoredPhoto) -> Response:
        with self._receiving():
            data = self._body(request)
            return _png(pictures.drawn_mask(data, stored.photo))

    def _preview(self, request: Request, stored: StoredPhoto) -> Response:
        which = _which(request)
        return _json(self._repairs.preview(stored, self._painted(request, stored), which))

    def _search(self, request: Request, stored: StoredPhoto) -> Response:
        approach = request.args.get("approach", "auto")
        if approach not in APPROACHES:
            raise BadRequest(f"approach: is not one of {', '.join(APPROACHES)}")
        iterations = _number(request, "n_iter", 1, engines.MOST_ITERATIONS, None)
        asked = engines.Request(
            _number(request, "samples", 1, engines.MOST_SAMPLES, 1),
            _number(request, "seed", 0, 2**32 - 1, 0),
            approach,
            iterations,
        )
        if self._repairs.worker.ready:
            self._repairs.engine.settings_of(asked)
        which, hole = _which(request), self._painted(request, stored)
        events = self._repairs.events(stored, hole, which, asked)
        return Response(_lines(events), content_type="text/event-stream")

    def _stop(self, _request: Request, search: str) -> Response:
        try:
            self._repairs.stop(search)
        except KeyError:
            raise NotFound("there is no such search any more") from None
        return Response(status=204)

    def _result(
        self, _request: Request, stored: StoredPhoto, result: str, rank: int, kind: str
    ) -> Response:
        found = stored.result
        known = found is not None and found.id == result and rank < found.generated.shape[1]
        if not known or kind not in ("photo", "layer", "hole", "thumbnail"):
            raise NotFound("there is no such result any more; complete the photo again")
        box, data = found.picture(rank, kind)
        response = _png(data)
        response.headers["X-Box"] = ",".join(map(str, box))
        return response


class _Held:
    """Releases a semaphore that was acquired."""

    def __init__(self, semaphore: threading.BoundedSemaphore) -> None:
        self._semaphore = semaphore

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._semaphore.release()


def _json(values: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(values), status=status, content_type="application/json")


def _png(data: bytes) -> Response:
    return Response(data, content_type="image/png")


def _lines(events: Iterator[Mapping[str, Any]]) -> Iterator[bytes]:
    """Events as an event stream, to be read by fetch; it ends with its reader."""
    try:
        for event in events:
            yield f"data: {json.dumps(event)}\n\n".encode()
    finally:
        events.close()


def _number(request: Request, name: str, low: int, high: int, default: int | None) -> int | None:
    """A whole number in the address.

    Raises:
      BadRequest: it is none, or out of range.
    """
    text = request.args.get(name)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,10}", text) or not low <= int(text) <= high:
        raise BadRequest(f"{name}: is not a whole number from {low} to {high}")
    return int(text)


def _which(request: Request) -> Which:
    """The face that is asked for."""
    landmarks = _points(request, "landmarks", 3)
    point = _points(request, "point", 1)
    return Which(None if point is None else tuple(point[0].tolist()), landmarks)


def _points(request: Request, name: str, count: int) -> np.ndarray | None:
    """Points x,y,x,y,... in the address, float64 [count, 2]; None: they are not given.

    Raises:
      BadRequest: they are not so many numbers.
    """
    text = request.args.get(name)
    if text is None:
        return None
    number = r"-?[0-9]{1,7}(\.[0-9]{1,20})?"
    if not re.fullmatch(f"{number}(,{number}){{{2 * count - 1}}}", text):
        raise BadRequest(f"{name}: is not {2 * count} numbers in pixels, between commas")
    return np.array(text.split(","), float).reshape(count, 2)
