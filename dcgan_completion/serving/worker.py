"""The queue of searches, and the one thread in which the model runs."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import queue
import secrets
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.photos.task import Task
    from dcgan_completion.serving.engine import Engine, SearchRequest, SearchUpdate


@dataclasses.dataclass(frozen=True)
class End:
    """The end of a search, with what went wrong, if anything did."""

    error: str = ""


class Search:
    """A search for what is missing of a photo, seen from the page and from the worker.

    Attributes:
      id: by which its page names it.
      request: how the page asks for it.
      task: what is to be completed; None until the faces are known.
      stopped: whether its page has stopped or left it: no more is computed.
    """

    def __init__(self, request: SearchRequest) -> None:
        self.id = secrets.token_urlsafe(12)
        self.request = request
        self.task: Task | None = None
        self.stopped = False
        self._news: queue.SimpleQueue[SearchUpdate | End] = queue.SimpleQueue()

    def publish(self, news: SearchUpdate | End) -> None:
        """Hand something to whoever follows the search."""
        self._news.put(news)

    def stop(self) -> None:
        """Stop it: the last update is the result."""
        self.stopped = True
        self.publish(End())

    def news(self, seconds: float) -> list[SearchUpdate | End]:
        """Take what was published since the last call; wait that long if there is nothing."""
        found: list[SearchUpdate | End] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._news.get(timeout=seconds))
            while True:
                found.append(self._news.get_nowait())
        return found


class Worker:
    """Prepares the model, then makes previews and searches, one at a time.

    A preview goes between two states of a search: its page waits for it.

    Attributes:
      ready: whether the model is prepared.
    """

    def __init__(self, engine: Engine, failed: Callable[[BaseException], None]) -> None:
        """Start nothing yet.

        Args:
          engine: what computes.
          failed: is called if the model cannot be prepared.
        """
        self.ready = False
        self._engine, self._failed = engine, failed
        self._changed = threading.Condition()
        self._searches: collections.deque[Search] = collections.deque()
        self._calls: collections.deque[tuple[Callable[[], Any], Future[Any]]] = collections.deque()
        self._current: Search | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def start(self) -> None:
        """Begin to prepare the model."""
        self._thread.start()

    def close(self, seconds: float = 20) -> None:
        """Stop all searches and wait for the thread."""
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
        """Put a search at the end of the queue."""
        with self._changed:
            if self._closing:
                search.stop()
            else:
                self._searches.append(search)
                self._changed.notify_all()

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """Call a function in the thread, before other searches."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closing:
                future.cancel()
            else:
                self._calls.append((function, future))
                self._changed.notify_all()
        return future

    def place(self, search: Search) -> int:
        """Count the searches before this one; 0: it is its turn."""
        with self._changed:
            waiting = [other for other in self._searches if not other.stopped]
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
        self.ready = True
        while True:
            with self._changed:
                self._current = None
                self._changed.wait_for(lambda: self._calls or self._searches or self._closing)
                if self._closing:
                    return
                self._current = None if self._calls else self._searches.popleft()
            self._make_calls()
            if self._current is not None and not self._current.stopped:
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
        assert search.task is not None  # it is queued with it
        end = End()
        try:
            for update in self._engine.search(search.task, search.request):
                search.publish(update)
                if search.stopped or self._closing:
                    break
                self._make_calls()
        except UserError as error:
            end = End(str(error))
        except Exception:
            traceback.print_exc()
            end = End("internal error; the server's output has the details")
        search.publish(end)
