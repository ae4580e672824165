"""The pool of worker processes: order, loading, cancelling, processes that are killed."""

from __future__ import annotations

import multiprocessing
import operator
import os
import signal
import time

import cv2
import pytest

from dcgan_completion import workers
from dcgan_completion.utils import UserError


def test_a_pool_gives_results_in_the_order_of_tasks() -> None:
    squares = {i: i * i for i in range(200)}
    tasks = [*range(200)] * 2
    with workers.WorkerPool(2, dict, squares, if_killed="") as pool:
        assert list(pool.map(operator.getitem, tasks)) == [i * i for i in tasks]
        assert list(pool.map(operator.getitem, [3])) == [9]
        assert list(pool.map(operator.getitem, [])) == []


def test_a_worker_loads_its_models_once() -> None:
    with workers.WorkerPool(1, time.time_ns, if_killed="") as pool:
        assert len(set(pool.map(operator.add, [0] * 20))) == 1


@pytest.mark.parametrize(
    ("load", "arguments", "expected"),
    [(signal.getsignal, (signal.SIGINT,), signal.SIG_IGN), (cv2.getNumThreads, (), 1)],
)
def test_workers_leave_ctrl_c_to_the_parent_and_use_one_thread(load, arguments, expected) -> None:
    with workers.WorkerPool(1, load, *arguments, if_killed="") as pool:
        assert list(pool.map(operator.eq, [expected])) == [True]


def test_tasks_are_taken_as_results_are_and_the_rest_is_cancelled() -> None:
    taken = []
    with workers.WorkerPool(1, dict, {1: 1}, if_killed="") as pool:
        results = pool.map(operator.getitem, (taken.append(1) or 1 for _ in range(10**9)))
        assert [next(results) for _ in range(5)] == [1] * 5
    assert len(taken) <= workers.PREFETCH + 5
    assert multiprocessing.active_children() == []


def test_an_error_of_a_task_is_raised_where_its_result_is_asked_for() -> None:
    with workers.WorkerPool(1, dict, {1: 1}, if_killed="") as pool:
        results = pool.map(operator.getitem, [1, 2])
        assert next(results) == 1
        with pytest.raises(KeyError):
            next(results)


def test_a_task_that_kills_its_process_is_tried_alone_and_left_out() -> None:
    # os.kill(own process, 0) does nothing.
    tasks = [0] * 10 + [signal.SIGKILL] + [0] * 100 + [signal.SIGKILL]
    with workers.WorkerPool(2, os.getpid, if_killed="") as pool:
        found = list(pool.map(os.kill, tasks, lambda task: f"lost {task:d}"))
        assert found == ["lost 9" if task else None for task in tasks]
        assert list(pool.map(os.kill, [0])) == [None]
        with pytest.raises(ProcessLookupError):  # no process has such a number
            list(pool.map(_kill_another, [0, 2**22 + 1, 0], lambda task: "lost"))


def _kill_another(_: int, task: int) -> None:
    if task:
        os.kill(task, 0)


@pytest.mark.parametrize("if_fatal", [None, str])
def test_a_pool_whose_processes_are_killed_again_and_again_gives_up(if_fatal) -> None:
    with workers.WorkerPool(1, os.getpid, if_killed="use fewer --workers") as pool:
        results = pool.map(os.kill, [0, *[signal.SIGKILL] * 9], if_fatal)
        found = []
        with pytest.raises(UserError, match="use fewer --workers"):
            found.extend(next(results) for _ in range(10))
    assert multiprocessing.active_children() == []
