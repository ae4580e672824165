"""Processes side by side, each with models of its own, in which dlib works."""

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

FATAL = 5  # tasks in a row that kill their processes: then it is not the tasks
AHEAD = 32  # tasks for each process that are handed out before their results are asked for

Models = TypeVar("Models")
Task = TypeVar("Task")
Result = TypeVar("Result")

_models: Any = None  # of a worker process


def _start_worker(load: Callable[..., Models], arguments: tuple[Any, ...], limit: int) -> None:
    """Loads the models once in each worker process."""
    import cv2

    global _models
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    limit_pixels(limit)
    cv2.setNumThreads(1)  # the processes share the cores already
    _models = load(*arguments)


def _run_task(work: Callable[[Models, Task], Result], task: Task) -> Result:
    """Does one task in a worker process, with the models that it has loaded."""
    return work(_models, task)


class WorkerPool(Generic[Models]):
    """Processes side by side, each with models of its own; a context manager.

    Processes, since dlib's detector holds Python's lock; spawned ones, since a fork of a process
    with threads, such as TensorFlow's, may hang. They are started with the first task.
    """

    def __init__(
        self, workers: int, load: Callable[..., Models], *arguments: Any, if_killed: str
    ) -> None:
        """Starts nothing yet.

        Args:
          workers: number of processes.
          load: a function or class of a module; called once in each process with `arguments`.
          if_killed: the message where the system kills a process; names --workers.
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
        """Waits for the tasks that were begun; cancels the others."""
        self._executor.shutdown(cancel_futures=True)

    def map(
        self,
        work: Callable[[Models, Task], Result],
        tasks: Iterable[Task],
        if_fatal: Callable[[Task], Result] | None = None,
    ) -> Iterator[Result]:
        """Yields work(models, task) for each task, in their order.

        Args:
          work: a function of a module, called in the processes.
          tasks: are taken as results are, but for AHEAD of them for each process.
          if_fatal: the result of a task that kills its process, tried once more, alone; None
            ends the work with the first process that is killed.

        Raises:
          UserError: a process was killed; with `if_fatal`, FATAL tasks in a row were fatal.
        """
        pending: collections.deque[tuple[Task, Future[Result]]] = collections.deque()
        most = AHEAD * self._workers
        for task in tasks:
            pending.append((task, self._submit(work, task)))
            if len(pending) == most:
                yield from self._results(work, pending, if_fatal, most - 1)
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
        """Takes results from `pending` until `left` are left, or none if a process was killed.

        Whose fault that was is not known: all tasks that were not done go on one by one.
        """
        broken, fatal = False, 0
        while len(pending) > (0 if broken else left):
            task, future = pending.popleft()
            if not isinstance(future.exception(), BrokenProcessPool):
                yield future.result()
                continue
            if if_fatal is None or fatal == FATAL:
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
