"""The latent search: update rules on the box [-1, 1]^d, and the loop that keeps the best z.

Knows a loss function, not a DCGAN: any function from z [N, d] to losses, one per row.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

Memory = tuple[tf.Tensor, ...]
# z [N, d] and data, each [N, ...] -> losses, each [N]; the first is minimised
LossFunction = Callable[..., tuple[tf.Tensor, ...]]
# z [N, d] -> losses, each [N], and the gradient of the first one, [N, d]
Evaluate = Callable[[tf.Tensor], tuple[tuple[tf.Tensor, ...], tf.Tensor]]
# the best z of each row so far, [N, d], and its losses
Best = tuple[tf.Tensor, tuple[tf.Tensor, ...]]
# z [N, d], its gradient, the rule's memory, iteration from 0 -> next z, next memory
Update = Callable[[tf.Tensor, tf.Tensor, Memory, tf.Tensor], tuple[tf.Tensor, Memory]]


class LoopState(NamedTuple):
    """What goes from one iteration to the next.

    Attributes:
      z: where the search is, [N, d].
      memory: what the update rule carries along.
      best: the best z so far and its losses.
    """

    z: tf.Tensor
    memory: Memory
    best: Best


@dataclasses.dataclass(frozen=True)
class UpdateRule:
    """A way to take steps on z, by one gradient an iteration.

    Attributes:
      update: one step, not yet projected to the box.
      memories: number of tensors of z's shape that it carries along, zeros at the start.
    """

    update: Update
    memories: int

    def draws(self, _d: int) -> int:
        """Count the normal random numbers that an iteration needs for a row of z, d values."""
        return 0

    def iterate(
        self, evaluate: Evaluate, state: LoopState, iteration: tf.Tensor, _noise: tf.Tensor
    ) -> tuple[LoopState, tf.Tensor]:
        """Run one iteration; return the next state, and the first loss at the z of this one."""
        z, memory, best = state
        losses, gradient = evaluate(z)
        best = _keep_best(z, losses, best)
        z, memory = self.update(z, gradient, memory, iteration)
        return LoopState(tf.clip_by_value(z, -1, 1), memory, best), losses[0]


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
    lr: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decay: float = 0.0,
) -> UpdateRule:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1), the reference's default.

    With decoupled weight decay on z, as in AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101):
    each step also multiplies z by 1 - lr * decay. Values of z without a gradient go to 0,
    the middle of the box.
    """

    def update(
        z: tf.Tensor, gradient: tf.Tensor, memory: Memory, iteration: tf.Tensor
    ) -> tuple[tf.Tensor, Memory]:
        m, v = memory
        t = tf.cast(iteration + 1, z.dtype)
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * tf.square(gradient)
        m_hat = m / (1 - tf.pow(tf.constant(beta1, z.dtype), t))
        v_hat = v / (1 - tf.pow(tf.constant(beta2, z.dtype), t))
        return (1 - lr * decay) * z - lr * m_hat / (tf.sqrt(v_hat) + eps), (m, v)

    return UpdateRule(update, memories=2)


@dataclasses.dataclass(frozen=True)
class HamiltonianMonteCarlo:
    """Hamiltonian Monte Carlo in the box: samples z from a density ~ exp(-beta loss(z)).

    Duane et al. 1987; Neal 2011 (arXiv:1206.1901), with the leapfrog of his section 2.3 and, for
    the walls, the reflections of his section 5.1: a position that would leave the box is
    reflected, and its momentum reversed. Clipping, as in the reference, would pile up samples at
    the walls.

    Attributes:
      beta: inverse temperature of the first iteration.
      eps: size of a leapfrog step, a time.
      steps: leapfrog steps per iteration, each with one gradient; one more gradient starts them.
      anneal: beta is multiplied by it after each iteration.
    """

    beta: float = 0.2
    eps: float = 0.001
    steps: int = 100
    anneal: float = 1.0

    memories = 0  # as in `UpdateRule`

    def draws(self, d: int) -> int:
        """Count the momentum of each value, and one number that decides on the proposal."""
        return d + 1

    def iterate(
        self, evaluate: Evaluate, state: LoopState, iteration: tf.Tensor, noise: tf.Tensor
    ) -> tuple[LoopState, tf.Tensor]:
        """Make one proposal, accepted or not; return as `UpdateRule.iterate`."""
        z, memory, best = state
        momentum = noise[:, :-1]
        threshold = tf.math.erfc(-noise[:, -1] / math.sqrt(2)) / 2  # uniform in 0..1
        beta = self.beta * tf.pow(tf.constant(self.anneal, z.dtype), tf.cast(iteration, z.dtype))
        losses, gradient = evaluate(z)
        best = _keep_best(z, losses, best)

        def leapfrog(
            step: tf.Tensor,
            at: tf.Tensor,
            p: tf.Tensor,
            force: tf.Tensor,
            _loss: tf.Tensor,
            best: Best,
        ) -> tuple[tf.Tensor, ...]:
            p = p - self.eps / 2 * beta * force
            at, p = _reflect(at + self.eps * p, p)
            values, force = evaluate(at)
            best = _keep_best(at, values, best)
            return step + 1, at, p - self.eps / 2 * beta * force, force, values[0], best

        _, proposal, p, _, loss, best = tf.while_loop(
            lambda step, *_: step < self.steps,
            leapfrog,
            (tf.constant(0), z, momentum, gradient, losses[0], best),
            parallel_iterations=1,
        )
        energy = beta * losses[0] + tf.reduce_sum(momentum**2, 1) / 2
        accepted = threshold < tf.exp(energy - beta * loss - tf.reduce_sum(p**2, 1) / 2)
        z = tf.where(accepted[:, tf.newaxis], proposal, z)
        return LoopState(z, memory, best), losses[0]


def _reflect(z: tf.Tensor, momentum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Reflect z into [-1, 1], and reverse the momentum after an odd number of reflections."""
    unfolded = tf.math.floormod(z + 1, 4)
    inside = unfolded <= 2
    return tf.where(inside, unfolded - 1, 3 - unfolded), tf.where(inside, momentum, -momentum)


Rule = UpdateRule | HamiltonianMonteCarlo


@dataclasses.dataclass(frozen=True)
class SearchState:
    """Where a search stands.

    Attributes:
      iteration: number of iterations done.
      z: the best so far of each row, [N, d].
      losses: at `z`, each [N], as the loss function returns them.
      history: the first loss at every iteration since the previous state, [iterations, N].
    """

    iteration: int
    z: np.ndarray
    losses: tuple[np.ndarray, ...]
    history: np.ndarray


# All without AutoGraph, which would read the source again when a function is first called.
@tf.function(reduce_retracing=True, autograph=False)
def _evaluate(
    loss_function: LossFunction, z: tf.Tensor, data: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, ...]:
    return loss_function(z, *data)


def _keep_best(z: tf.Tensor, losses: tuple[tf.Tensor, ...], best: Best) -> Best:
    """Keep, row by row, the z of the lower first loss, with all its losses."""
    best_z, best_losses = best
    better = losses[0] < best_losses[0]
    best_losses = tuple(
        tf.where(better, new, old) for new, old in zip(losses, best_losses, strict=True)
    )
    return tf.where(better[:, tf.newaxis], z, best_z), best_losses


@tf.function(reduce_retracing=True, autograph=False)
def _iterate(
    loss_function: LossFunction,
    data: tuple[tf.Tensor, ...],
    rule: Rule,
    start: tf.Tensor,
    noise: tf.Tensor,
    state: LoopState,
) -> tuple[LoopState, tf.Tensor]:
    """Run an iteration for each row of `noise`, from number `start` on, in one compiled loop.

    Returns:
      The state after them, and the first loss at each of them, [iterations, N].
    """

    def evaluate(z: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            losses = loss_function(z, *data)
        return losses, tape.gradient(losses[0], z)

    def body(
        i: tf.Tensor, state: LoopState, history: tf.TensorArray
    ) -> tuple[tf.Tensor, LoopState, tf.TensorArray]:
        state, loss = rule.iterate(evaluate, state, start + i, noise[i])
        return i + 1, state, history.write(i, loss)

    number = tf.shape(noise)[0]
    history = tf.TensorArray(noise.dtype, size=number, element_shape=[state.z.shape[0]])
    _, state, history = tf.while_loop(
        lambda i, *_: i < number,
        body,
        (tf.constant(0), state, history),
        parallel_iterations=1,
    )
    return state, history.stack()


def minimise(
    loss_function: LossFunction,
    z: np.ndarray,
    rule: Rule,
    *,
    data: tuple[np.ndarray, ...] = (),
    iterations: int,
    interval: int,
    rngs: Sequence[np.random.Generator] | None = None,
) -> Iterator[SearchState]:
    """Minimise a loss over z, each row by itself, within [-1, 1].

    Args:
      loss_function: z [N, d] and the data -> losses, each [N]; the first one is minimised. A
        row's losses depend on that row of z and of the data alone. Use the same function
        object for every search: it is compiled once for each.
      z: where to start, [N, d].
      rule: `pgd(...)`, `adam(...)` or `HamiltonianMonteCarlo(...)`; the same object for every
        search, as the loss function.
      data: further arguments of the loss function, such as images, each [N, ...].
      iterations: number of iterations in all.
      interval: iterations between two states.
      rngs: an rng for each row, for rules that draw (`draws`).

    Yields:
      The state at the start (iteration 0), then after every `interval` iterations and at the
      end. The best z of a state has the lowest loss of all z so far; the z after an update is
      evaluated in the next iteration, or at the end.

    Raises:
      ValueError: the rule needs rngs, and there is not one for each row.
    """
    z = tf.convert_to_tensor(z)
    data = tuple(tf.convert_to_tensor(x) for x in data)
    memory = tuple(tf.zeros_like(z) for _ in range(rule.memories))
    state = LoopState(z, memory, (z, _evaluate(loss_function, z, data)))
    yield _search_state(0, state.best, np.empty([0, z.shape[0]]))
    for start in range(0, iterations, interval):
        number = min(interval, iterations - start)
        noise = _draw_noise(rngs, [number, z.shape[0], rule.draws(z.shape[1])], z.dtype)
        state, history = _iterate(loss_function, data, rule, tf.constant(start), noise, state)
        if start + number == iterations:
            last = _keep_best(state.z, _evaluate(loss_function, state.z, data), state.best)
            state = state._replace(best=last)
        yield _search_state(start + number, state.best, history.numpy())


def _draw_noise(
    rngs: Sequence[np.random.Generator] | None, shape: Sequence[int], dtype: Any
) -> tf.Tensor:
    """Draw normal random numbers, [iterations, rows, count], each row from its own rng."""
    number, rows, count = shape
    if count == 0:
        return tf.zeros([number, rows, 0], dtype)
    if rngs is None or len(rngs) != rows:
        raise ValueError("this rule needs an rng for every row")
    return tf.constant(np.stack([r.standard_normal([number, count]) for r in rngs], 1), dtype)


def _search_state(iteration: int, best: Best, history: np.ndarray) -> SearchState:
    z, losses = best
    return SearchState(iteration, z.numpy(), tuple(x.numpy() for x in losses), history)


@tf.function(reduce_retracing=True, autograph=False)
def _distances(pool: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Compute weighted squared distances, [N, M], less the squared targets, equal for all rows."""
    values = tf.cast(pool, tf.float32)
    cross = tf.linalg.matmul(weights * targets, values, transpose_b=True)
    return tf.linalg.matmul(weights, values**2, transpose_b=True) - 2 * cross


def nearest(
    pool: tf.Tensor, targets: np.ndarray, weights: np.ndarray, count: int = 1, part: int = 1024
) -> np.ndarray:
    """Find the rows of a pool that are nearest to each target, by weighted squared differences.

    Args:
      pool: [M, P], of any type of number.
      targets: [N, P].
      weights: how much each value counts, [N, P].
      count: number of rows to find for each target.
      part: rows of the pool that are compared in one call; a matter of memory.

    Returns:
      The rows' numbers, [N, count], nearest first.
    """
    targets, weights = (tf.constant(x, tf.float32) for x in (targets, weights))
    distances = np.concatenate(
        [
            _distances(pool[first : first + part], targets, weights).numpy()
            for first in range(0, pool.shape[0], part)
        ],
        axis=1,
    )
    return np.argsort(distances, axis=1, kind="stable")[:, :count]
