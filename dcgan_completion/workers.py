"""A pool of processes, each with its own models, in which dlib works."""

from __future__ import annotations

import collections
import functools
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, TypeVar

from dcgan_completion.utils import UserError, limit_pixels, pixel_limit

MAX_FATAL = 5  # tasks in a row that kill their processes: after that it is not the tasks
PREFETCH = 32  # tasks per process that are submitted before their results are taken

Models = TypeVar("Models")
Task = TypeVar("Task")
Result = TypeVar("Result")

_models: Any = None  # of a worker process


def _start_worker(load: Callable[..., Models], arguments: tuple[Any, ...], limit: int) -> None:
    """Load the models once in each worker process."""
    import cv2

    global _models
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    limit_pixels(limit)
    cv2.setNumThreads(1)  # the processes share the cores already
    _models = load(*arguments)


def _run_task(work: Callable[[Models, Task], Result], task: Task) -> Result:
    """Do one task in a worker process, with the models that it has loaded."""
    return work(_models, task)


class WorkerPool(Generic[Models]):
    """A pool of processes, each with its own models; a context manager.

    Processes, since dlib's detector holds the GIL; spawned ones, since a fork of a process with
    threads, such as TensorFlow's, may hang. They are started with the first task.
    """

    def __init__(
        self, workers: int, load: Callable[..., Models], *arguments: Any, if_killed: str
    ) -> None:
        """Start nothing yet.

        Args:
          workers: number of processes.
          load: a function or class of a module; called once in each process with `arguments`.
          if_killed: error message if the system kills a process; names --workers.
        """
        self._workers, self._if_killed = workers, if_killed
        self._make_executor = functools.partial(
            ProcessPoolExecutor,
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(load, arguments, pixel_limit()),
        )
        self._executor = self._make_executor()

    def __enter__(self) -> WorkerPool[Models]:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the tasks that were begun; cancel the others."""
        self._executor.shutdown(cancel_futures=True)

    def map(
        self,
        work: Callable[[Models, Task], Result],
        tasks: Iterable[Task],
        if_fatal: Callable[[Task], Result] | None = None,
    ) -> Iterator[Result]:
        """Yield work(models, task) for each task, in their order.

        Args:
          work: a function of a module, called in the processes.
          tasks: are taken lazily, PREFETCH of them per process ahead of the results.
          if_fatal: makes the result of a task that kills its process twice, the second time
            alone; None: the first process that is killed ends the work.

        Raises:
          UserError: a process was killed; with `if_fatal`, MAX_FATAL tasks in a row were fatal.
        """
        pending: collections.deque[tuple[Task, Future[Result]]] = collections.deque()
        max_pending = PREFETCH * self._workers
        for task in tasks:
            pending.append((task, self._submit(work, task)))
            if len(pending) == max_pending:
                yield from self._results(work, pending, if_fatal, max_pending - 1)
        yield from self._results(work, pending, if_fatal, 0)

    def _submit(self, work: Callable[[Models, Task], Result], task: Task) -> Future[Result]:
        try:
            return self._executor.submit(_run_task, work, task)
        except BrokenProcessPool as error:  # a process was killed meanwhile
            future: Future[Result] = Future()
            future.set_exception(error)
            return future

    def _results(
        self,
        work: Callable[[Models, Task], Result],
        pending: collections.deque[tuple[Task, Future[Result]]],
        if_fatal: Callable[[Task], Result] | None,
        left: int,
    ) -> Iterator[Result]:
        """Take results from `pending` until `left` are left, or none if a process was killed.

        Which task was at fault is unknown: all that were not done are run again one by one.
        """
        broken, fatal = False, 0
        while len(pending) > (0 if broken else left):
            task, future = pending.popleft()
            if not isinstance(future.exception(), BrokenProcessPool):
                yield future.result()
                continue
            if if_fatal is None or fatal == MAX_FATAL:
                raise UserError(self._if_killed)
            if not broken:
                broken = True
                self._restart()
            again = self._submit(work, task)
            if isinstance(again.exception(), BrokenProcessPool):
                fatal += 1
                self._restart()
                yield if_fatal(task)
            else:
                fatal = 0
                yield again.result()

    def _restart(self) -> None:
        self._executor.shutdown(cancel_futures=True)
        self._executor = self._make_executor()
