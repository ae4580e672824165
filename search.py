"""Finding z: update rules on the box [-1, 1]^d, and the loop that keeps the best z so far.

Knows a loss function, not a DCGAN: any function from z [N, d] to losses, one per row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

# z [N, d], its gradient, the rule's memory, iteration from 0 -> next z, next memory
Memory = tuple[tf.Tensor, ...]
Update = Callable[[tf.Tensor, tf.Tensor, Memory, tf.Tensor], tuple[tf.Tensor, Memory]]
# z [N, d] and data, each [N, ...] -> losses, each [N]; the first is minimised
LossFunction = Callable[..., tuple[tf.Tensor, ...]]


@dataclasses.dataclass(frozen=True)
class UpdateRule:
    """A way to take steps on z.

    Attributes:
      update: one step, not yet projected to the box.
      memories: how many tensors of z's shape it carries along, zeros at the start.
    """

    update: Update
    memories: int


def pgd(lr: float = 0.01, momentum: float = 0.9) -> UpdateRule:
    """Gradient descent with Nesterov momentum, as in the tutorial's listing.

    v' = momentum v - lr g;  z' = z - momentum v + (1 + momentum) v'
    """

    def update(
        z: tf.Tensor, gradient: tf.Tensor, memory: Memory, _iteration: tf.Tensor
    ) -> tuple[tf.Tensor, Memory]:
        (v,) = memory
        v_next = momentum * v - lr * gradient
        return z - momentum * v + (1 + momentum) * v_next, (v_next,)

    return UpdateRule(update, memories=1)


def adam(
    lr: float = 0.01, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> UpdateRule:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1), the reference's default."""

    def update(
        z: tf.Tensor, gradient: tf.Tensor, memory: Memory, iteration: tf.Tensor
    ) -> tuple[tf.Tensor, Memory]:
        m, v = memory
        t = tf.cast(iteration + 1, z.dtype)
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * tf.square(gradient)
        m_hat = m / (1 - tf.pow(tf.constant(beta1, z.dtype), t))
        v_hat = v / (1 - tf.pow(tf.constant(beta2, z.dtype), t))
        return z - lr * m_hat / (tf.sqrt(v_hat) + eps), (m, v)

    return UpdateRule(update, memories=2)


@dataclasses.dataclass(frozen=True)
class SearchState:
    """Where a search stands.

    Attributes:
      iteration: number of updates done.
      z: the best so far of each row, [N, d].
      losses: at `z`, each [N], as the loss function returns them.
      history: the first loss at every iteration since the previous state, [iterations, N].
    """

    iteration: int
    z: np.ndarray
    losses: tuple[np.ndarray, ...]
    history: np.ndarray


@tf.function(reduce_retracing=True)
def _evaluate(
    loss_function: LossFunction, z: tf.Tensor, data: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, ...]:
    return loss_function(z, *data)


def _keep_best(
    z: tf.Tensor,
    losses: tuple[tf.Tensor, ...],
    best_z: tf.Tensor,
    best_losses: tuple[tf.Tensor, ...],
) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
    """Row by row the z of the lower first loss, with all its losses."""
    better = losses[0] < best_losses[0]
    best_losses = tuple(
        tf.where(better, new, old) for new, old in zip(losses, best_losses, strict=True)
    )
    return tf.where(better[:, tf.newaxis], z, best_z), best_losses


@tf.function(reduce_retracing=True)
def _iterate(
    loss_function: LossFunction,
    data: tuple[tf.Tensor, ...],
    rule: UpdateRule,
    start: tf.Tensor,
    number: tf.Tensor,
    z: tf.Tensor,
    memory: Memory,
    best_z: tf.Tensor,
    best_losses: tuple[tf.Tensor, ...],
) -> tuple[tf.Tensor, Memory, tf.Tensor, tuple[tf.Tensor, ...], tf.Tensor]:
    """`number` iterations in one compiled loop, from iteration `start` on."""
    history = tf.TensorArray(z.dtype, size=number, element_shape=[z.shape[0]])
    for i in tf.range(number):
        with tf.GradientTape() as tape:
            tape.watch(z)
            losses = loss_function(z, *data)
        gradient = tape.gradient(losses[0], z)
        best_z, best_losses = _keep_best(z, losses, best_z, best_losses)
        history = history.write(i, losses[0])
        z, memory = rule.update(z, gradient, memory, start + i)
        z = tf.clip_by_value(z, -1, 1)
    return z, memory, best_z, best_losses, history.stack()


def complete(
    loss_function: LossFunction,
    z: np.ndarray,
    rule: UpdateRule,
    *,
    data: tuple[np.ndarray, ...] = (),
    iterations: int,
    interval: int,
) -> Iterator[SearchState]:
    """Minimises a loss over z, each row by itself, projecting to [-1, 1] after every update.

    Args:
      loss_function: z [N, d] and the data -> losses, each [N]; the first one is minimised. A
        row's losses depend on that row of z and of the data alone. Use the same function
        object for every search: it is compiled once for each.
      z: where to start, [N, d].
      rule: `pgd(...)` or `adam(...)`.
      data: further arguments of the loss function, such as images, each [N, ...].
      iterations: updates in all.
      interval: updates between two states.

    Yields:
      The state at the start (iteration 0), then after every `interval` iterations and at the
      end. The best z of a state is that of the lowest loss among all z up to it; the z after
      an update is looked at in the next iteration, or at the end.
    """
    z = tf.convert_to_tensor(z)
    data = tuple(tf.convert_to_tensor(x) for x in data)
    memory = tuple(tf.zeros_like(z) for _ in range(rule.memories))
    best_z, best_losses = z, _evaluate(loss_function, z, data)
    yield _state(0, best_z, best_losses, np.empty([0, z.shape[0]]))
    for start in range(0, iterations, interval):
        number = min(interval, iterations - start)
        z, memory, best_z, best_losses, history = _iterate(
            loss_function,
            data,
            rule,
            tf.constant(start),
            tf.constant(number),
            z,
            memory,
            best_z,
            best_losses,
        )
        if start + number == iterations:
            losses = _evaluate(loss_function, z, data)
            best_z, best_losses = _keep_best(z, losses, best_z, best_losses)
        yield _state(start + number, best_z, best_losses, history.numpy())


def _state(
    iteration: int, z: tf.Tensor, losses: tuple[tf.Tensor, ...], history: np.ndarray
) -> SearchState:
    return SearchState(iteration, z.numpy(), tuple(x.numpy() for x in losses), history)
