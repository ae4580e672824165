"""Finds faces in a process of its own: dlib holds Python's lock meanwhile."""

from __future__ import annotations

import collections
import functools
import threading
from collections.abc import Callable

import numpy as np

from dcgan_completion.faces import detection
from dcgan_completion.faces.aligner import FaceAligner
from dcgan_completion.faces.detection import FoundFace
from dcgan_completion.settings.photos import LANDMARKS
from dcgan_completion.utils import UserError
from dcgan_completion.workers import WorkerPool

# The photo's name; the edge of the aligned square; the photo, uint8 [H, W, 3]; its hole, bool
# [H, W]; landmarks [3, 2].
Job = tuple[str, int, np.ndarray, np.ndarray | None, np.ndarray | None]
NONE = "no face was found; click its landmarks, or paint over less of it"
SEEN = 8  # photos of which the faces are remembered that were found without looking at a hole


class _Models:
    """What finds faces, in the process, and what it has found in the last photos as they are."""

    def __init__(self) -> None:
        self.aligner = functools.lru_cache(maxsize=2)(functools.partial(FaceAligner, LANDMARKS))
        self.aligner(64)
        self._seen: collections.OrderedDict[str, detection.Seen]
        self._seen = collections.OrderedDict()

    def seen(self, name: str) -> detection.Seen:
        """For `detection.find_faces`."""
        self._seen.setdefault(name, {})
        self._seen.move_to_end(name)
        while len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        return self._seen[name]


def _warm(_models: _Models, _job: None) -> None:
    """Nothing: the process is started by it."""


def _find(models: _Models, job: Job) -> list[FoundFace] | str:
    """The faces from left to right, or what is wrong."""
    name, size, photo, hole, landmarks = job
    try:
        if landmarks is not None:
            return [detection.face_at(landmarks, models.aligner(size))]
        return detection.find_faces(models.aligner(size), photo, hole, models.seen(name))
    except UserError as error:
        return str(error)


class FaceFinder:
    """Looks for the faces of one photo at a time."""

    def __init__(self) -> None:
        self._pool: WorkerPool[_Models] = WorkerPool(1, _Models, if_killed="")
        self._lock = threading.Lock()
        self._closing = False

    def start(self) -> None:
        """Starts the process in the background."""

        def warm() -> None:
            with self._lock:
                list(self._pool.map(_warm, [None], lambda _: None))

        threading.Thread(target=warm, daemon=True).start()

    def close(self) -> None:
        """Waits for the process, which must not be left while it starts, but for no queue."""
        self._closing = True
        with self._lock:
            self._pool.__exit__()

    def find(
        self,
        name: str,
        size: int,
        photo: np.ndarray,
        hole: np.ndarray | None = None,
        landmarks: np.ndarray | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> list[FoundFace]:
        """The faces of a photo, as `detection.find_faces` and `detection.face_at` give them.

        Args:
          name: of the photo.
          size: edge of the aligned square.
          photo: uint8 [H, W, 3].
          hole: bool [H, W].
          landmarks: (x, y) of a face, [3, 2]; None: faces are looked for.
          wanted: is asked, before it begins, whether the faces are still needed.

        Raises:
          UserError: there is none, or the landmarks lie on a line.
        """
        with self._lock:
            if self._closing or not wanted():
                raise UserError("no longer needed")
            job = (name, size, photo, hole, landmarks)
            killed = "memory does not suffice for this photo; scale it down"
            (found,) = self._pool.map(_find, [job], lambda _: killed)
        if isinstance(found, str):
            raise UserError(NONE if found.startswith("no face was found") else found)
        return found
