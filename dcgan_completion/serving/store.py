"""The photos that pages have sent: in memory alone, a few at a time, and not for long."""

from __future__ import annotations

import collections
import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from dcgan_completion.photos.files import Photo

LIVE = 8  # photos at a time
KEPT = 600.0  # seconds after the last sign of life of its page
HOLES = 3  # of which the faces are remembered


class StoredPhoto:
    """A photo, and what has been found out about it.

    Attributes:
      id: by which its page names it; cannot be guessed.
      photo: as it was read.
      faces: key of a hole -> its faces in the photo, as a Future; the last HOLES.
      result: of the last search, if there is one.
      search: that goes on, if there is one.
      seen: when its page last asked for it.
      users: requests that need it now; it is not dropped meanwhile.
      dropped: its page does not need it any more.
    """

    def __init__(self, photo: Photo, now: float) -> None:
        self.id = secrets.token_urlsafe(12)
        self.photo = photo
        self.faces: collections.OrderedDict[str, Future[Any]] = collections.OrderedDict()
        self.lock = threading.RLock()
        self.result: Any = None
        self.search: Any = None
        self.seen = now
        self.users = 0
        self.dropped = False


class FullError(Exception):
    """There are LIVE photos already."""


class PhotoStore:
    """Up to LIVE photos; those that nobody has asked for in KEPT seconds are dropped."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._photos: dict[str, StoredPhoto] = {}
        self._reserved = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._photos)

    @contextlib.contextmanager
    def place(self) -> Iterator[Callable[[Photo], StoredPhoto]]:
        """Keeps a place while a photo is received; gives what puts it there.

        Raises:
          FullError: there is none.
        """
        self.purge()
        with self._lock:
            if len(self._photos) + self._reserved >= LIVE:
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
        """A photo, which is not dropped meanwhile.

        Raises:
          KeyError: it is not there, or not any more.
        """
        with self._lock:
            stored = self._photos[name]
            stored.users += 1
        try:
            yield stored
        finally:
            with self._lock:
                stored.users -= 1
                stored.seen = self._clock()

    def purge(self) -> None:
        """Forgets the photos that nobody asks for any more."""
        with self._lock:
            oldest = self._clock() - KEPT
            for name, stored in list(self._photos.items()):
                if not stored.users and (stored.dropped or stored.seen < oldest):
                    del self._photos[name]
