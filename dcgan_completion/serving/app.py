"""The WSGI application: who may ask, for what, and what is answered."""

from __future__ import annotations

import contextlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from werkzeug import exceptions
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from dcgan_completion import utils
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photos.files import Photo, read_photo
from dcgan_completion.photos.portraits import PORTRAITS
from dcgan_completion.serving import pictures
from dcgan_completion.serving.engine import MAX_ITERATIONS, MAX_SAMPLES, SearchRequest
from dcgan_completion.serving.http_server import HEADERS, MAX_DISCARDED, RETRY_AFTER
from dcgan_completion.serving.repairs import Event, FaceChoice, Repairs
from dcgan_completion.serving.store import FullError, StoredPhoto
from dcgan_completion.settings.search import APPROACHES
from dcgan_completion.settings.serving import ServeSettings
from dcgan_completion.utils import UserError

PAGE = Path(__file__).parents[1] / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HOSTS = ("localhost", "127.0.0.1", "[::1]")
MAX_MASKS = 8  # that are received and decoded at a time
MASK_TIMEOUT = 10  # seconds that one waits for its turn


def static_files() -> dict[str, tuple[str, bytes]]:
    """Read the page's files: path of a request -> type and contents. No other file is served."""
    paths = [path for path in PAGE.iterdir() if path.suffix in TYPES]
    files = {f"/{path.name}": (TYPES[path.suffix], path.read_bytes()) for path in paths}
    return {"/": files.pop("/index.html"), **files}


class App:
    """Answers requests; `wsgi` is the application."""

    def __init__(self, settings: ServeSettings, token: str, repairs: Repairs) -> None:
        """Read the page's files.

        Args:
          settings: of the server.
          token: that all but the page's files needs.
          repairs: what repairs the photos.
        """
        self._settings, self._token, self._repairs = settings, token, repairs
        self._store = repairs.store
        self._static = static_files()
        self._hosts = {*HOSTS, *(name.lower() for name in settings.allow_host)}
        self._masks = threading.BoundedSemaphore(MAX_MASKS)
        result = "/results/<result>/<int:rank>/<kind>"
        of_photo = {
            "GET": {"/faces": self._faces, "/view": self._view, result: self._result},
            "POST": {
                "/alive": self._keep_alive,
                "/mask": self._redraw_mask,
                "/preview": self._preview,
                "/search": self._search,
            },
            "DELETE": {"": self._drop_photo},
        }
        rules = [
            Rule("/api/model", methods=["GET"], endpoint=self._model),
            Rule("/api/portraits/<name>", methods=["GET"], endpoint=self._portrait),
            Rule("/api/photos", methods=["POST"], endpoint=self._add_photo),
            Rule("/api/searches/<search>/stop", methods=["POST"], endpoint=self._stop),
        ]
        for method, handlers in of_photo.items():
            for path, handler in handlers.items():
                path = f"/api/photos/<photo>{path}"
                rules.append(Rule(path, methods=[method], endpoint=handler))
        self._rules = Map(rules, strict_slashes=False, merge_slashes=False)

    def wsgi(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request; what is wrong with it is said in JSON."""
        try:
            response = self._respond(Request(environ))
        except exceptions.HTTPException as error:
            response = _json({"error": error.description}, error.code or 500)
            headers = dict(error.get_headers(environ))
            kept = {name: headers[name] for name in ("Retry-After", "Allow") if name in headers}
            response.headers.extend(kept)
        except UserError as error:
            response = _json({"error": str(error)}, 400)
        except MemoryError:
            response = _json({"error": "out of memory; send a smaller picture"}, 400)
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
            handle, found = self._rules.bind_to_environ(request.environ).match()
        except exceptions.NotFound:
            raise exceptions.NotFound("nothing is served at this address") from None
        values = dict(found)
        if "photo" not in values:
            return handle(request, **values)
        try:
            with self._store.using(values.pop("photo")) as stored:
                return handle(request, stored, **values)
        except KeyError:
            raise exceptions.Gone("the photo is no longer in memory; send it again") from None

    def _check_origin(self, environ: Mapping[str, Any]) -> None:
        host = environ.get("HTTP_HOST", "").lower()
        if re.sub(r":[0-9]*\Z", "", host) not in self._hosts:
            raise exceptions.Forbidden(
                "the server does not answer to this host name; use the address that it printed, "
                "or start it with --allow-host NAME"
            )
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None:
            try:
                same = urlsplit(origin).netloc.lower() == host
            except ValueError:
                same = False
            if not same:
                raise exceptions.Forbidden("requests from other sites are refused")

    def _check_token(self, environ: Mapping[str, Any]) -> None:
        given = environ.get("HTTP_AUTHORIZATION", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise exceptions.Unauthorized(
                "the token is missing, or from an earlier run; open the whole address that the "
                "server printed, with the part after #"
            )

    # --- what is sent ---

    def _body(self, request: Request) -> bytes:
        """Read a raw body, whose length is checked first."""
        length = request.environ.get("CONTENT_LENGTH")
        if length is None or request.environ.get("HTTP_TRANSFER_ENCODING"):
            raise exceptions.LengthRequired("a request with a body needs a Content-Length")
        if not re.fullmatch("[0-9]{1,18}", length):
            raise exceptions.BadRequest("Content-Length: must be a whole number from 0")
        stream, limit = request.environ["wsgi.input"], self._settings.max_bytes
        if int(length) > limit:
            left = min(int(length), MAX_DISCARDED)
            while left and (part := stream.read(min(left, 1 << 20))):
                left -= len(part)
            raise exceptions.RequestEntityTooLarge(
                f"{int(length)} bytes are more than {limit}; send a smaller file, or start the "
                "server with a higher --max-bytes"
            )
        if request.mimetype in ("multipart/form-data", "application/x-www-form-urlencoded"):
            raise exceptions.UnsupportedMediaType("send the picture itself, not a form")
        data = stream.read(int(length))
        if len(data) < int(length):
            raise exceptions.BadRequest("the upload is incomplete; send it again")
        if not data:
            raise exceptions.BadRequest("the request has no body; send a picture")
        return data

    def _painted(self, request: Request, stored: StoredPhoto) -> Mask:
        """Read the mask that is sent: a part of the photo's size, at `left` and `top`."""
        left, top = (_number(request, name, 0, 10**6) or 0 for name in ("left", "top"))
        with self._receiving_mask():
            return pictures.read_mask(self._body(request), stored.photo, left, top)

    @contextlib.contextmanager
    def _receiving_mask(self) -> Iterator[None]:
        if not self._masks.acquire(timeout=MASK_TIMEOUT):
            raise _busy("too many masks at a time; try again in a few seconds")
        try:
            yield
        finally:
            self._masks.release()

    # --- what is asked for ---

    def _model(self, _request: Request) -> Response:
        engine, ready = self._repairs.engine, self._repairs.worker.ready
        return _json(
            {
                "ready": ready,
                "encoder": ready and engine.guided,
                "approaches": engine.approaches,
                "max_samples": MAX_SAMPLES,
                "max_iterations": MAX_ITERATIONS,
                "max_bytes": self._settings.max_bytes,
                "portraits": sorted(PORTRAITS),
                "checkpoint_dir": self._settings.checkpoint_dir,
            }
        )

    def _portrait(self, _request: Request, name: str) -> Response:
        if name not in PORTRAITS:
            raise exceptions.NotFound("there is no such portrait")
        return _png(pictures.png(Photo(PORTRAITS[name]())))

    def _add_photo(self, request: Request) -> Response:
        try:
            with self._store.place() as add:
                stored = add(read_photo(utils.MemoryFile("the photo", self._body(request))))
        except FullError:
            raise _busy(
                "the server holds as many photos as it can; try again in a few seconds"
            ) from None
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

    def _redraw_mask(self, request: Request, stored: StoredPhoto) -> Response:
        with self._receiving_mask():
            return _png(pictures.redrawn_mask(self._body(request), stored.photo))

    def _preview(self, request: Request, stored: StoredPhoto) -> Response:
        choice, mask = _choice(request), self._painted(request, stored)
        return _json(self._repairs.preview(stored, mask, choice))

    def _search(self, request: Request, stored: StoredPhoto) -> Response:
        approach = request.args.get("approach", "auto")
        if approach not in APPROACHES:
            raise exceptions.BadRequest(f"approach: must be one of {', '.join(APPROACHES)}")
        asked = SearchRequest(
            _number(request, "samples", 1, MAX_SAMPLES) or 1,
            _number(request, "seed", 0, 2**32 - 1) or 0,
            approach,
            _number(request, "n_iter", 1, MAX_ITERATIONS),
        )
        if self._repairs.worker.ready:
            self._repairs.engine.settings_of(asked)  # what is wrong is said at once
        choice, mask = _choice(request), self._painted(request, stored)
        events = self._repairs.events(stored, mask, choice, asked)
        return Response(_event_stream(events), content_type="text/event-stream")

    def _stop(self, _request: Request, search: str) -> Response:
        try:
            self._repairs.stop(search)
        except KeyError:
            raise exceptions.NotFound("this search has ended") from None
        return Response(status=204)

    def _result(
        self, _request: Request, stored: StoredPhoto, result: str, rank: int, kind: str
    ) -> Response:
        found = stored.result
        if (
            found is None
            or found.id != result
            or rank >= found.candidates.shape[1]
            or kind not in ("photo", "layer", "hole", "thumbnail")
        ):
            raise exceptions.NotFound(
                "this result is no longer in memory; complete the photo again"
            )
        box, data = found.picture(rank, kind)
        response = _png(data)
        response.headers["X-Box"] = ",".join(map(str, box))
        return response


def _busy(description: str) -> exceptions.ServiceUnavailable:
    return exceptions.ServiceUnavailable(description, retry_after=RETRY_AFTER)


def _json(values: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(values), status=status, content_type="application/json")


def _png(data: bytes) -> Response:
    return Response(data, content_type="image/png")


def _event_stream(events: Generator[Event, None, None]) -> Iterator[bytes]:
    """Encode events as an event stream, to be read by fetch; it ends with its reader."""
    with contextlib.closing(events):
        for event in events:
            yield f"data: {json.dumps(event)}\n\n".encode()


# --- what the address says ---


def _number(request: Request, name: str, low: int, high: int) -> int | None:
    """Read a whole number; None: it is not given.

    Raises:
      BadRequest: it is none, or out of range.
    """
    text = request.args.get(name)
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,10}", text) or not low <= int(text) <= high:
        raise exceptions.BadRequest(f"{name}: must be a whole number from {low} to {high}")
    return int(text)


def _choice(request: Request) -> FaceChoice:
    """Read the face that is asked for."""
    landmarks, point = (_points(request, *of) for of in (("landmarks", 3), ("point", 1)))
    return FaceChoice(None if point is None else tuple(point[0].tolist()), landmarks)


def _points(request: Request, name: str, count: int) -> np.ndarray | None:
    """Read points x,y,x,y,..., float64 [count, 2]; None: they are not given.

    Raises:
      BadRequest: they are not so many numbers.
    """
    text = request.args.get(name)
    if text is None:
        return None
    number = r"-?[0-9]{1,7}(\.[0-9]{1,20})?"
    if not re.fullmatch(f"{number}(,{number}){{{2 * count - 1}}}", text):
        raise exceptions.BadRequest(
            f"{name}: must be {2 * count} numbers in pixels, separated by commas"
        )
    return np.array(text.split(","), float).reshape(count, 2)
