"""Published methods in NumPy's float64, as plainly as they are written down."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np


def adam(
    gradients: Iterable[np.ndarray] | Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float = 0.0,
    *,
    project: Callable[[np.ndarray], np.ndarray] = lambda x: x,
    eps_on_corrected: bool = True,
    memory: tuple[float, float] = (0.0, 0.0),
) -> Iterator[np.ndarray]:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1); yields x after each step.

    Args:
      gradients: one for each step; or a function of x that gives them without end.
      start: the first x, any shape; it is not yielded.
      lr, beta1, beta2, eps: alpha, beta_1, beta_2 and epsilon of the paper.
      decay: decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).
      project: what follows each step, such as a projection to a box.
      eps_on_corrected: False for TensorFlow's form, that of the last paragraph of the paper's
        section 2: epsilon is beside the root before its bias is corrected.
      memory: the first m and v of all values.
    """
    x = np.array(start, np.float64)
    m, v = (np.full(x.shape, value, np.float64) for value in memory)
    given = None if callable(gradients) else iter(gradients)
    for t in itertools.count(1):
        g = gradients(x) if given is None else next(given, None)
        if g is None:
            return
        g = np.asarray(g, np.float64)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        correction = np.sqrt(1 - beta2**t)
        epsilon = eps if eps_on_corrected else eps / correction
        step = m / (1 - beta1**t) / (np.sqrt(v) / correction + epsilon)
        x = project(x - lr * step - lr * decay * x)
        yield x


def adam_in_box(
    gradient: Callable[[np.ndarray], np.ndarray],
    z: np.ndarray,
    steps: int,
    lr: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decay: float = 0.0,
) -> list[np.ndarray]:
    """`adam` projected to [-1, 1]: all z, the first included."""
    box = functools.partial(np.clip, a_min=-1, a_max=1)
    walk = adam(gradient, z, lr, beta1, beta2, eps, decay, project=box)
    return [z, *itertools.islice(walk, steps)]


def pgd_in_box(
    gradient: Callable[[np.ndarray], np.ndarray],
    z: np.ndarray,
    steps: int,
    lr: float = 0.01,
    momentum: float = 0.9,
) -> list[np.ndarray]:
    """Projected gradient descent of the tutorial's listing: all z, the first included."""
    visited, v = [z], np.zeros_like(z)
    for _ in range(steps):
        v_prev = v.copy()
        v = momentum * v - lr * gradient(z)
        z = z + -momentum * v_prev + (1 + momentum) * v
        z = np.clip(z, -1, 1)
        visited.append(z)
    return visited
