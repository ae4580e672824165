"""A photo's repair as the page sees it: faces, previews, a search's events, its results."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Any

import numpy as np

from dcgan_completion.faces import detection
from dcgan_completion.faces.detection import FoundFace
from dcgan_completion.masks.boxes import Crop, bounding_box
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photos.task import Task, check_colours, make_task, width_of
from dcgan_completion.serving import pictures
from dcgan_completion.serving.engine import Engine, SearchRequest, SearchUpdate
from dcgan_completion.serving.finder import FaceFinder
from dcgan_completion.serving.result import Result
from dcgan_completion.serving.store import PhotoStore, StoredPhoto
from dcgan_completion.serving.worker import End, Search, Worker
from dcgan_completion.settings.photos import ALL
from dcgan_completion.utils import UserError

MAX_SILENCE = 0.3  # seconds between two events
PREVIEW_TIMEOUT = 60  # seconds
MAX_HOLES = 3  # of a photo, of which the faces are kept

NO_FACE_PAINTED = (
    "no detected face is painted over; paint over part of one, or mark a face by hand (under More)"
)
CHOSEN_NOT_PAINTED = (
    "the chosen face is not painted over; paint over part of it, or choose another face"
)

Event = dict[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class FaceChoice:
    """The face to complete.

    Attributes:
      point: (x, y) in the photo: the face nearest to it; None: all faces that the hole touches.
      landmarks: (x, y) of the three that alignment uses, [3, 2], in place of a face to find.
    """

    point: tuple[float, float] | None = None
    landmarks: np.ndarray | None = None

    def choose(
        self, found: Sequence[FoundFace], mask: Mask
    ) -> tuple[list[int], list[FoundFace], list[str]]:
        """Choose among the faces found: numbers, faces, and complete-photo.py's options for them.

        Raises:
          UserError: the hole touches none of them.
        """
        face, options = ALL, []
        if self.landmarks is not None:
            options = ["--landmarks", "landmarks.txt"]
        elif self.point is not None:
            distances = [np.linalg.norm(f.corners.mean(axis=0) - self.point) for f in found]
            face = str(int(np.argmin(distances)) + 1)
            options = ["--face", face]
        try:
            chosen = detection.choose_faces(found, mask.plane, face)
        except UserError:
            raise UserError(NO_FACE_PAINTED if face == ALL else CHOSEN_NOT_PAINTED) from None
        return [found.index(one) + 1 for one in chosen], chosen, options


def in_background(function: Callable[[], Any]) -> Future[Any]:
    """Call a function in a thread of its own, which no exit waits for."""
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
        self, stored: StoredPhoto, mask: Mask | None = None, choice: FaceChoice | None = None
    ) -> Future[list[FoundFace]]:
        """Look for the faces of a photo, once, in the background.

        Args:
          stored: the photo.
          mask: what is missing of it; None: the photo as it is.
          choice: has the landmarks, if they are given.
        """
        landmarks = None if choice is None else choice.landmarks
        hole = None if mask is None or landmarks is not None else mask.plane
        key = _key_of(hole, landmarks)

        def wanted() -> bool:
            with stored.lock:
                return key in stored.faces

        def find() -> list[FoundFace]:
            while not self.engine.image_size:
                time.sleep(0.05)
            size, pixels = self.engine.image_size, stored.photo.as_rgb8()
            return self.finder.find(stored.id, size, pixels, hole, landmarks, wanted)

        with stored.lock:
            if key in stored.faces:
                stored.faces.move_to_end(key)
            else:
                stored.faces[key] = in_background(find)
            for old in [name for name in stored.faces if name][:-MAX_HOLES]:
                del stored.faces[old]
            return stored.faces[key]

    def preview(self, stored: StoredPhoto, mask: Mask, choice: FaceChoice) -> Event:
        """Fill a hole at once: by the context encoder's estimate, or else roughly.

        By the faces that are known already; those under the hole are looked for afterwards.
        """
        task = self._task_by_known_faces(stored, mask, choice)
        if task is None or not (self.worker.ready and self.engine.guided):
            how, (crop, data) = "rough", pictures.rough_fill(stored.photo, mask)
        else:
            call = self.worker.call(lambda: self.engine.preview(task))
            candidates = call.result(PREVIEW_TIMEOUT)[:, 0]
            how, crop = "estimate", task.crop
            data = pictures.live(pictures.reduced(task), candidates, 0)
        self.faces(stored, mask, choice)
        return {"how": how, **_picture(crop, data)}

    def _task_by_known_faces(
        self, stored: StoredPhoto, mask: Mask, choice: FaceChoice
    ) -> Task | None:
        found = self.faces(stored, None, choice)
        if choice.landmarks is None and (not found.done() or found.exception()):
            return None
        try:
            numbers, chosen, _ = choice.choose(found.result(PREVIEW_TIMEOUT), mask)
            return self._task(stored, mask, numbers, chosen)
        except UserError:
            return None

    def _task(
        self, stored: StoredPhoto, mask: Mask, numbers: list[int], faces: list[FoundFace]
    ) -> Task:
        channels = self.engine.channels
        check_colours("the photo", stored.photo, channels)
        return make_task("the photo", stored.photo, mask, (numbers, faces), channels)

    def stop(self, name: str) -> None:
        """End a search with what it has found.

        Raises:
          KeyError: there is no such search any more.
        """
        self._searches[name].stop()

    def events(
        self, stored: StoredPhoto, mask: Mask, choice: FaceChoice, request: SearchRequest
    ) -> Generator[Event, None, None]:
        """Yield a search's events; it ends with whoever follows it.

        One at least every MAX_SILENCE seconds, each with the key `event`: search (its id), faces
        (they are looked for), wait (its place in the queue), state (a picture), then result,
        stopped (nothing was found yet) or error. An earlier search for the same photo ends.
        """
        search = Search(request)
        with stored.lock:
            if stored.search is not None:
                stored.search.stop()
            stored.search = search
        self._searches[search.id] = search
        try:
            with self.store.using(stored.id):
                compiled = self.engine.has_compiled(request)
                yield {"event": "search", "id": search.id, "compiled": compiled}
                yield from self._follow(stored, mask, choice, search)
        except KeyError:
            yield {"event": "error", "error": "the photo is no longer in memory; send it again"}
        except UserError as error:
            yield {"event": "error", "error": str(error)}
        finally:
            search.stop()
            del self._searches[search.id]
            with stored.lock:
                if stored.search is search:
                    stored.search = None

    def _follow(
        self, stored: StoredPhoto, mask: Mask, choice: FaceChoice, search: Search
    ) -> Iterator[Event]:
        found = self.faces(stored, mask, choice)
        while not (search.stopped or found.done()):
            wait([found], MAX_SILENCE)
            yield {"event": "faces"}
        if search.stopped:
            yield {"event": "stopped"}
            return
        numbers, chosen, options = choice.choose(found.result(), mask)
        search.task = task = self._task(stored, mask, numbers, chosen)
        update = yield from self._states(search, task)
        if update is None:
            yield {"event": "stopped"}
            return
        stored.result = result = Result(task, update.candidates, search.request.seed)
        yield {
            "event": "result",
            "id": result.id,
            "samples": update.candidates.shape[1],
            "iteration": update.iteration,
            "total": update.total,
            "faces": [{"width": width_of(face), "size": face.size} for face in task.faces],
            "diffused": np.count_nonzero(task.diffused) / np.count_nonzero(task.hole),
            "options": [*options, *_options_of(search.request)],
        }

    def _states(self, search: Search, task: Task) -> Generator[Event, None, SearchUpdate | None]:
        """Yield the events of a search; return its last update, None if there was none.

        Raises:
          UserError: the search failed.
        """
        small, last = pictures.reduced(task), None
        self.worker.add(search)
        while True:
            news = search.news(MAX_SILENCE)
            updates = [one for one in news if isinstance(one, SearchUpdate)]
            if updates:
                last = updates[-1]
                data = pictures.live(small, last.candidates[:, 0], search.request.seed)
                yield {
                    "event": "state",
                    "iteration": last.iteration,
                    "total": last.total,
                    "losses": [loss for update in updates for loss in update.losses],
                    **_picture(task.crop, data),
                }
            for end in news:
                if isinstance(end, End):
                    if end.error and not search.stopped:
                        raise UserError(end.error)
                    return last
            if not news:
                ready, place = self.worker.ready, self.worker.place(search)
                yield {"event": "wait", "place": place, "ready": ready}


def _options_of(request: SearchRequest) -> list[str]:
    """Give complete-photo.py's options for the same search."""
    values = {
        "--samples": request.samples if request.samples > 1 else None,
        "--seed": request.seed,
        "--approach": request.approach if request.approach != "auto" else None,
        "--n-iter": request.n_iter,
    }
    given = [(flag, str(value)) for flag, value in values.items() if value is not None]
    return [word for pair in given for word in pair]


def _key_of(hole: np.ndarray | None, landmarks: np.ndarray | None) -> str:
    """Name what faces are kept by: a hole, bool [H, W], or landmarks; empty: neither."""
    if landmarks is not None:
        return f"landmarks {landmarks.tolist()}"
    if hole is None:
        return ""
    crop = bounding_box(hole)
    return f"hole {crop} {hashlib.sha256(hole[crop].tobytes()).hexdigest()}"


def _picture(crop: Crop, data: bytes) -> Event:
    return {"box": pictures.box_of(crop), "picture": base64.b64encode(data).decode()}
