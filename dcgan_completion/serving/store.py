"""The photos that pages have sent: in memory alone, a few at a time, and not for long."""

from __future__ import annotations

import collections
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcgan_completion.faces.detection import FoundFace
    from dcgan_completion.photos.files import Photo
    from dcgan_completion.serving.result import Result
    from dcgan_completion.serving.worker import Search

MAX_PHOTOS = 8  # at a time
KEEP_SECONDS = 600.0  # after the last request about a photo


class StoredPhoto:
    """A photo, and what has been found out about it.

    Attributes:
      id: by which its page names it; cannot be guessed.
      photo: as it was read.
      faces: key of a hole -> its faces in the photo, as a Future.
      lock: of `faces` and `search`.
      result: of the last search, if there is one.
      search: the one that is running, if any.
      last_use: when its page last asked for it.
      users: requests that need it now; it is not dropped meanwhile.
      dropped: its page does not need it any more.
    """

    def __init__(self, photo: Photo, now: float) -> None:
        """Name a photo that was sent at that time."""
        self.id = secrets.token_urlsafe(12)
        self.photo = photo
        self.faces: collections.OrderedDict[str, Future[list[FoundFace]]]
        self.faces = collections.OrderedDict()
        self.lock = threading.RLock()
        self.result: Result | None = None
        self.search: Search | None = None
        self.last_use = now
        self.users = 0
        self.dropped = False


class FullError(Exception):
    """There are MAX_PHOTOS already."""


class PhotoStore:
    """Up to MAX_PHOTOS; those that nobody has asked for in KEEP_SECONDS are dropped."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._photos: dict[str, StoredPhoto] = {}
        self._reserved = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._photos)

    @contextlib.contextmanager
    def place(self) -> Iterator[Callable[[Photo], StoredPhoto]]:
        """Reserve a place while a photo is received; give what puts it into the store.

        Raises:
          FullError: there is none.
        """
        self.purge()
        with self._lock:
            if len(self._photos) + self._reserved >= MAX_PHOTOS:
                raise FullError
            self._reserved += 1
        try:
            yield self._add
        finally:
            with self._lock:
                self._reserved -= 1

    def _add(self, photo: Photo) -> StoredPhoto:
        stored = StoredPhoto(photo, self._clock())
        with self._lock:
            self._photos[stored.id] = stored
        return stored

    @contextlib.contextmanager
    def using(self, name: str) -> Iterator[StoredPhoto]:
        """Give a photo, which is not dropped meanwhile.

        Raises:
          KeyError: there is no such photo, or not any more.
        """
        with self._lock:
            stored = self._photos[name]
            stored.users += 1
        try:
            yield stored
        finally:
            with self._lock:
                stored.users -= 1
                stored.last_use = self._clock()

    def purge(self) -> None:
        """Drop the photos that nobody asks for any more."""
        with self._lock:
            oldest = self._clock() - KEEP_SECONDS
            for name, stored in list(self._photos.items()):
                if not stored.users and (stored.dropped or stored.last_use < oldest):
                    del self._photos[name]
