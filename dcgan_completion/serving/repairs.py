"""A photo's repair as the page sees it: faces, previews, a search's events, its results."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Any

import numpy as np

from dcgan_completion.faces import detection
from dcgan_completion.faces.detection import FoundFace
from dcgan_completion.inpaint.seams import crop_around
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.holes import Hole
from dcgan_completion.photos.repair import Task, check_colours, make_task, repair, width_of
from dcgan_completion.serving import pictures
from dcgan_completion.serving.engine import Engine, Request
from dcgan_completion.serving.finder import FaceFinder
from dcgan_completion.serving.store import HOLES, PhotoStore, StoredPhoto
from dcgan_completion.serving.worker import Search, Worker
from dcgan_completion.settings.photos import ALL
from dcgan_completion.utils import UserError

BEAT = 0.3  # seconds between two signs of life, at most
PATIENCE = 60  # seconds for a preview

UNTOUCHED = (
    "none of the faces found is painted over; paint over one, or place its landmarks (under More)"
)
UNTOUCHED_FACE = "the face that is chosen is not painted over; paint over it, or choose another one"

Event = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Which:
    """The face to complete.

    Attributes:
      point: (x, y) in the photo: the face nearest to it; None: all faces that the hole touches.
      landmarks: (x, y) of the three that alignment uses, [3, 2], in place of a face to find.
    """

    point: tuple[float, float] | None = None
    landmarks: np.ndarray | None = None

    def choose(
        self, found: Sequence[FoundFace], hole: Hole
    ) -> tuple[list[int], list[FoundFace], list[str]]:
        """Numbers and faces among those found, and complete-photo.py's options for them.

        Raises:
          UserError: the hole touches none of them.
        """
        face, options = ALL, []
        if self.landmarks is not None:
            options = ["--landmarks", "landmarks.txt"]
        elif self.point is not None:
            away = [np.linalg.norm(f.corners.mean(axis=0) - self.point) for f in found]
            face = str(int(np.argmin(away)) + 1)
            options = ["--face", face]
        try:
            chosen = detection.choose_faces(found, hole.missing, face)
        except UserError:
            raise UserError(UNTOUCHED if face == ALL else UNTOUCHED_FACE) from None
        return [found.index(one) + 1 for one in chosen], chosen, options


class Result:
    """What a search has found for a photo.

    Attributes:
      id: by which its page names it.
      task: what was completed.
      generated: float32 [faces, samples, S, S, C].
      seed: of the grain.
    """

    def __init__(self, task: Task, generated: np.ndarray, seed: int) -> None:
        self.id = secrets.token_urlsafe(12)
        self.task, self.generated, self.seed = task, generated, seed
        self._lock = threading.Lock()
        self._last: tuple[int, Photo] | None = None

    def photo(self, rank: int) -> Photo:
        """The photo repaired by a candidate, from 0, the best, on."""
        with self._lock:
            if self._last is None or self._last[0] != rank:
                self._last = None
                generated = self.generated[:, rank]
                self._last = rank, repair(self.task, generated, "smooth", self.seed)
            return self._last[1]

    def picture(self, rank: int, kind: str) -> tuple[Sequence[int], bytes]:
        """A candidate as PNG, and its place in the photo: left, top, width, height.

        Args:
          rank: from 0.
          kind: `photo`, `layer`, both of the photo's size, `hole`, the layer around the hole,
            `thumbnail`, a small picture.
        """
        after, missing = self.photo(rank), self.task.hole.missing
        whole = slice(0, missing.shape[0]), slice(0, missing.shape[1])
        if kind == "photo":
            return pictures.box_of(whole), pictures.png(after)
        if kind == "layer":
            return pictures.box_of(whole), pictures.png(pictures.layer_of(after, missing))
        if kind == "thumbnail":
            return pictures.box_of(self.task.crop), pictures.thumbnail(after, self.task.crop)
        crop, data = pictures.hole_layer(after, missing)
        return pictures.box_of(crop), data


def in_background(function: Callable[[], Any]) -> Future[Any]:
    """Calls a function in a thread of its own."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


class Repairs:
    """Repairs the photos of a store by the model of an engine."""

    def __init__(
        self, store: PhotoStore, engine: Engine, worker: Worker, finder: FaceFinder
    ) -> None:
        self.store, self.engine, self.worker, self.finder = store, engine, worker, finder
        self._searches: dict[str, Search] = {}

    def faces(
        self, stored: StoredPhoto, hole: Hole | None = None, which: Which | None = None
    ) -> Future[list[FoundFace]]:
        """The faces of a photo, looked for once, in the background.

        Args:
          stored: the photo.
          hole: what is missing of it; None: the photo as it is.
          which: has the landmarks, if they are given.
        """
        landmarks = None if which is None else which.landmarks
        missing = None if hole is None or landmarks is not None else hole.missing
        key = _key_of(missing, landmarks)

        def wanted() -> bool:
            with stored.lock:
                return key in stored.faces

        def find() -> list[FoundFace]:
            while not self.engine.image_size:
                time.sleep(0.05)
            return self.finder.find(
                stored.id,
                self.engine.image_size,
                stored.photo.as_rgb8(),
                missing,
                landmarks,
                wanted,
            )

        with stored.lock:
            if key in stored.faces:
                stored.faces.move_to_end(key)
            else:
                stored.faces[key] = in_background(find)
            for old in [name for name in stored.faces if name][:-HOLES]:
                del stored.faces[old]
            return stored.faces[key]

    def preview(self, stored: StoredPhoto, hole: Hole, which: Which) -> Event:
        """A hole filled at once: by the context encoder, or else by OpenCV's inpainting.

        By the faces that are known already; those under the hole are looked for afterwards.
        """
        event = self._quick_preview(stored, hole, which)
        self.faces(stored, hole, which)
        return event

    def _quick_preview(self, stored: StoredPhoto, hole: Hole, which: Which) -> Event:
        task = self._quick_task(stored, hole, which)
        if task is None or not (self.worker.ready and self.engine.guided):
            crop, data = pictures.inpainted(stored.photo, hole)
            return {"how": "inpainting", **_picture(pictures.box_of(crop), data)}
        call = self.worker.call(lambda: self.engine.preview(task))
        generated = call.result(PATIENCE)[:, 0]
        data = pictures.live(pictures.reduced(task), generated, 0)
        return {"how": "estimate", **_picture(pictures.box_of(task.crop), data)}

    def _quick_task(self, stored: StoredPhoto, hole: Hole, which: Which) -> Task | None:
        found = self.faces(stored, None, which)
        if which.landmarks is None and (not found.done() or found.exception()):
            return None
        try:
            numbers, chosen, _ = which.choose(found.result(PATIENCE), hole)
            return self._task(stored, hole, numbers, chosen)
        except UserError:
            return None

    def _task(
        self, stored: StoredPhoto, hole: Hole, numbers: list[int], faces: list[FoundFace]
    ) -> Task:
        check_colours("the photo", stored.photo, self.engine.channels)
        return make_task("the photo", stored.photo, hole, (numbers, faces), self.engine.channels)

    def stop(self, name: str) -> None:
        """Ends a search with what it has found.

        Raises:
          KeyError: there is no such search any more.
        """
        self._searches[name].stop()

    def events(
        self, stored: StoredPhoto, hole: Hole, which: Which, request: Request
    ) -> Iterator[Event]:
        """A search from its beginning to its result; ends with whoever follows it.

        One at least every BEAT seconds, each with the key `event`: search (its id), faces (they
        are looked for), wait (its place in the queue), state (a picture), then result, stopped
        (nothing was found yet) or error. An earlier search for the same photo ends.
        """
        search = Search(None, request)
        with stored.lock:
            if stored.search is not None:
                stored.search.stop()
            stored.search = search
        self._searches[search.id] = search
        try:
            with self.store.using(stored.id):
                compiled = self.engine.has_compiled(request)
                yield {"event": "search", "id": search.id, "compiled": compiled}
                yield from self._follow(stored, hole, which, search)
        except KeyError:
            yield {"event": "error", "error": "the photo is forgotten", "forgotten": True}
        except UserError as error:
            yield {"event": "error", "error": str(error)}
        finally:
            search.stop()
            del self._searches[search.id]
            with stored.lock:
                if stored.search is search:
                    stored.search = None

    def _follow(
        self, stored: StoredPhoto, hole: Hole, which: Which, search: Search
    ) -> Iterator[Event]:
        found = self.faces(stored, hole, which)
        while not (search.over or found.done()):
            wait([found], BEAT)
            yield {"event": "faces"}
        if not search.over:
            numbers, chosen, options = which.choose(found.result(), hole)
            search.task = self._task(stored, hole, numbers, chosen)
            yield from self._states(search, pictures.reduced(search.task))
        if search.error:
            yield {"event": "error", "error": search.error}
        elif search.update is None:
            yield {"event": "stopped"}
        else:
            yield self._finish(stored, search, options)

    def _states(self, search: Search, small: Task) -> Iterator[Event]:
        box = pictures.box_of(search.task.crop)
        self.worker.add(search)
        number = told = 0
        while not search.over:
            newest = search.wait(number, BEAT)
            if newest == number:
                ready, place = self.worker.ready, self.worker.place(search)
                yield {"event": "wait", "place": place, "ready": ready}
                continue
            number, update = newest, search.update
            data = pictures.live(small, update.generated[:, 0], search.settings.seed)
            losses, told = search.losses[told:], len(search.losses)
            yield {
                "event": "state",
                "iteration": update.iteration,
                "total": update.total,
                "losses": losses,
                **_picture(box, data),
            }

    def _finish(self, stored: StoredPhoto, search: Search, options: list[str]) -> Event:
        task, update, request = search.task, search.update, search.settings
        stored.result = Result(task, update.generated, request.seed)
        inpainted = np.count_nonzero(task.inpainted) / np.count_nonzero(task.missing)
        arguments = {
            "samples": request.samples if request.samples > 1 else None,
            "seed": request.seed,
            "approach": request.approach if request.approach != "auto" else None,
            "n-iter": request.n_iter,
        }
        given = [(f"--{k}", str(v)) for k, v in arguments.items() if v is not None]
        return {
            "event": "result",
            "id": stored.result.id,
            "samples": update.generated.shape[1],
            "iteration": update.iteration,
            "total": update.total,
            "faces": [{"width": width_of(face), "size": face.size} for face in task.faces],
            "inpainted": inpainted,
            "options": [*options, *(word for pair in given for word in pair)],
        }


def _key_of(missing: np.ndarray | None, landmarks: np.ndarray | None) -> str:
    """By which faces are remembered: of a hole, bool [H, W], or of landmarks; empty: of neither."""
    if landmarks is not None:
        return f"landmarks {landmarks.tolist()}"
    if missing is None:
        return ""
    crop = crop_around(missing)
    return f"hole {crop} {hashlib.sha256(missing[crop].tobytes()).hexdigest()}"


def _picture(box: Sequence[int], data: bytes) -> Event:
    return {"box": list(box), "picture": base64.b64encode(data).decode()}
