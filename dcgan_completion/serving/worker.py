"""The queue of searches, and the one thread in which the model runs."""

from __future__ import annotations

import collections
import secrets
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Protocol

import numpy as np

from dcgan_completion.utils import UserError

BUG = "the server has failed; what it printed says why"


class Engine(Protocol):
    """What the worker drives: see `engine.Engine`."""

    def prepare(self) -> Iterator[None]:
        """Loads the model; yields between its steps."""

    def search(self, task: Any, settings: Any) -> Iterator[Any]:
        """Completes a task; yields updates."""


class Search:
    """A search for what is missing of a photo, seen from the page and from the worker.

    Attributes:
      id: by which its page names it.
      task: what is to be completed.
      settings: how.
      update: the newest state; None: it has not begun.
      losses: the loss at every iteration so far.
    """

    def __init__(self, task: Any, settings: Any) -> None:
        self.id = secrets.token_urlsafe(12)
        self.task, self.settings = task, settings
        self.update: Any = None
        self.losses: list[float] = []
        self.error = ""
        self._changed = threading.Condition()
        self._number = 0
        self._over = self._stopped = False

    @property
    def over(self) -> bool:
        """Whether nothing will come any more."""
        return self._over

    @property
    def stopped(self) -> bool:
        """Whether the user has stopped it, or left."""
        return self._stopped

    def publish(self, update: Any) -> None:
        """A new state, from the worker."""
        with self._changed:
            if not self._stopped:
                self.update = update
                self.losses += np.asarray(update.losses, float).tolist()
                self._number += 1
                self._changed.notify_all()

    def finish(self, error: str = "") -> None:
        """Nothing more comes."""
        with self._changed:
            self._over, self.error = True, error if not self._stopped else self.error
            self._changed.notify_all()

    def stop(self) -> None:
        """What was found last is the result: nothing more is waited for."""
        with self._changed:
            self._stopped = self._over = True
            self._changed.notify_all()

    def wait(self, number: int, seconds: float) -> int:
        """Waits until there is a state after `number`, or all is over; the newest one's number."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number or self._over, seconds)
            return self._number


class Worker:
    """Prepares the model, then makes previews and searches, one at a time.

    A preview goes between two states of a search: its page waits for it.
    """

    def __init__(self, engine: Engine, failed: Callable[[BaseException], None]) -> None:
        """Starts nothing yet.

        Args:
          engine: what computes.
          failed: is called if the model cannot be prepared.
        """
        self._engine, self._failed = engine, failed
        self._changed = threading.Condition()
        self._searches: collections.deque[Search] = collections.deque()
        self._calls: collections.deque[tuple[Callable[[], Any], Future[Any]]] = collections.deque()
        self._current: Search | None = None
        self._closing = self._ready = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether the model is prepared."""
        return self._ready

    def start(self) -> None:
        """Begins to prepare the model."""
        self._thread.start()

    def close(self, seconds: float = 20) -> None:
        """Stops all searches and waits for the thread."""
        with self._changed:
            self._closing = True
            for search in [*self._searches, *filter(None, [self._current])]:
                search.stop()
            for _, future in self._calls:
                future.cancel()
            self._searches.clear()
            self._calls.clear()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def add(self, search: Search) -> None:
        """Puts a search at the end of the queue."""
        with self._changed:
            if self._closing:
                search.stop()
            else:
                self._searches.append(search)
                self._changed.notify_all()

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """Calls a function in the thread, before other searches."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closing:
                future.cancel()
            else:
                self._calls.append((function, future))
                self._changed.notify_all()
        return future

    def place(self, search: Search) -> int:
        """How many searches are before this one: 0, it is its turn."""
        with self._changed:
            waiting = [other for other in self._searches if not other.over]
            ahead = int(self._current is not None and self._current is not search)
            return waiting.index(search) + ahead if search in waiting else 0

    def _run(self) -> None:
        try:
            for _ in self._engine.prepare():
                if self._closing:
                    return
        except BaseException as error:
            self._failed(error)
            return
        self._ready = True
        while True:
            with self._changed:
                self._current = None
                self._changed.wait_for(lambda: self._calls or self._searches or self._closing)
                if self._closing:
                    return
                self._current = None if self._calls else self._searches.popleft()
            self._make_calls()
            if self._current is not None and not self._current.over:
                self._search(self._current)

    def _make_calls(self) -> None:
        while True:
            with self._changed:
                if not self._calls:
                    return
                function, future = self._calls.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except Exception as error:
                    future.set_exception(error)

    def _search(self, search: Search) -> None:
        try:
            states = self._engine.search(search.task, search.settings)
            for update in states:
                search.publish(update)
                if search.over or self._closing:
                    break
                self._make_calls()
            search.finish()
        except (UserError, MemoryError) as error:
            search.finish(str(error) or "memory does not suffice")
        except Exception:
            traceback.print_exc()
            search.finish(BUG)
