"""Finds faces in a process of its own, since dlib holds Python's lock."""

from __future__ import annotations

import collections
import functools
import threading
from collections.abc import Callable
from typing import NoReturn

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
NO_FACE = "no face was found; click its landmarks, or paint over less of it"
MAX_SEEN = 8  # photos of which what was seen without looking at a hole is kept


class _Models:
    """What finds faces, in the process, and what it has seen in the last photos as they are."""

    def __init__(self) -> None:
        self.aligner = functools.lru_cache(maxsize=2)(functools.partial(FaceAligner, LANDMARKS))
        self.aligner(64)
        self.seen: collections.OrderedDict[str, detection.Seen] = collections.OrderedDict()


def _warm_up(_models: _Models, _job: None) -> None:
    """Do nothing: the first task starts the process."""


def _find(models: _Models, job: Job) -> list[FoundFace]:
    name, size, photo, hole, landmarks = job
    aligner = models.aligner(size)
    if landmarks is not None:
        return [detection.face_at(landmarks, aligner)]
    seen = models.seen.setdefault(name, {})
    models.seen.move_to_end(name)
    if len(models.seen) > MAX_SEEN:
        models.seen.popitem(last=False)
    try:
        return detection.find_faces(aligner, photo, hole, seen)
    except UserError:
        raise UserError(NO_FACE) from None  # the page has no --landmarks


def _killed(_job: Job) -> NoReturn:
    raise UserError("out of memory while looking for faces; scale the photo down")


class FaceFinder:
    """Looks for the faces of one photo at a time."""

    def __init__(self) -> None:
        self._pool: WorkerPool[_Models] = WorkerPool(1, _Models, if_killed="")
        self._lock = threading.Lock()
        self._closing = False

    def start(self) -> None:
        """Start the process in the background."""

        def warm_up() -> None:
            with self._lock:
                list(self._pool.map(_warm_up, [None], lambda _: None))

        threading.Thread(target=warm_up, daemon=True).start()

    def close(self) -> None:
        """Wait for the process, which must not be left while it starts, but for no queue."""
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
        """Find the faces of a photo, as `detection.find_faces` and `detection.face_at` do.

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
            (found,) = self._pool.map(_find, [job], _killed)
        return found
