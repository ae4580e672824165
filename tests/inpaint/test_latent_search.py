"""The search for z against NumPy: steps, projection, best so far, history."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import tensorflow as tf
from oracles import adam_in_box, pgd_in_box

from dcgan_completion.inpaint import latent_search

RULES = ("pgd", "adam")
CENTERS = np.array([[0.3, -0.2, 0.9], [2.0, 0.1, -0.4], [-1.5, -3.0, 0.0], [0.5, 0.5, 0.5]])
CURVATURES = np.array([1.0, 0.3, 4.0])


def quadratic(z: tf.Tensor, center: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """sum a (z - c)^2 of each row, and another loss, of which nothing depends."""
    total = tf.reduce_sum(CURVATURES * (z - center) ** 2, axis=1)
    return total, tf.reduce_max(z, axis=1)


def quadratic_of(z: np.ndarray, center: np.ndarray) -> np.ndarray:
    return (CURVATURES * (z - center) ** 2).sum(axis=1)


def quadratic_gradient(z: np.ndarray, center: np.ndarray) -> np.ndarray:
    return 2 * CURVATURES * (z - center)


BY_NUMPY = {"pgd": pgd_in_box, "adam": adam_in_box}


def starts(rows: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, [rows, 3])


def run(
    rule: latent_search.UpdateRule,
    iterations: int,
    interval: int,
    z: np.ndarray | None = None,
    center: np.ndarray = CENTERS,
) -> list[latent_search.SearchState]:
    z = starts() if z is None else z
    states = latent_search.minimise(
        quadratic, z, rule, data=(center,), iterations=iterations, interval=interval
    )
    return list(states)


def history_of(states: list[latent_search.SearchState]) -> np.ndarray:
    return np.concatenate([state.history for state in states])


# --- steps ---

OPTIONS = [
    ("pgd", {}),
    ("pgd", {"lr": 0.05, "momentum": 0.5}),
    ("pgd", {"lr": 0.3, "momentum": 0.0}),
    ("adam", {}),
    ("adam", {"lr": 0.2, "beta1": 0.5, "beta2": 0.9, "eps": 0.1}),
    ("adam", {"lr": 0.05, "beta1": 0.0, "beta2": 0.0, "eps": 1e-3}),
    ("adam", {"lr": 0.05, "decay": 2.0}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_losses_are_those_of_numpys_steps(name: str, options: dict[str, float]) -> None:
    steps = 25
    states = run(getattr(latent_search, name)(**options), iterations=steps, interval=7)
    visited = BY_NUMPY[name](lambda z: quadratic_gradient(z, CENTERS), starts(), steps, **options)
    wanted = np.stack([quadratic_of(z, CENTERS) for z in visited])
    np.testing.assert_allclose(history_of(states), wanted[:-1], rtol=1e-10)
    best = wanted.argmin(axis=0)
    np.testing.assert_allclose(states[-1].losses[0], wanted.min(axis=0), rtol=1e-10)
    best_z = np.stack(visited)[best, np.arange(len(CENTERS))]
    np.testing.assert_allclose(states[-1].z, best_z, rtol=1e-10)


def test_float32_is_kept_and_suffices() -> None:
    z, center = starts().astype(np.float32), CENTERS.astype(np.float32)
    states = list(
        latent_search.minimise(
            lambda z, c: (tf.reduce_sum((z - c) ** 2, axis=1),),
            z,
            latent_search.adam(lr=0.05),
            data=(center,),
            iterations=20,
            interval=20,
        )
    )
    assert states[-1].z.dtype == np.float32
    visited = adam_in_box(lambda z: 2 * (z - CENTERS), starts(), 20, lr=0.05)
    wanted = np.stack([((z - CENTERS) ** 2).sum(1) for z in visited])
    np.testing.assert_allclose(states[-1].history, wanted[:-1], rtol=1e-4)


# --- optima ---


@pytest.mark.parametrize("name", RULES)
def test_the_optimum_is_found_or_its_projection(name: str) -> None:
    states = run(getattr(latent_search, name)(lr=0.02), iterations=2000, interval=2000)
    # A separable function has its least value on the box at the projected optimum.
    np.testing.assert_allclose(states[-1].z, np.clip(CENTERS, -1, 1), atol=1e-3)


@pytest.mark.parametrize("name", RULES)
def test_a_linear_function_ends_in_a_corner(name: str) -> None:
    slopes = np.array([[1.0, -2.0, 0.1], [-0.5, 0.3, 4.0]])

    def linear(z: tf.Tensor, slope: tf.Tensor) -> tuple[tf.Tensor]:
        return (tf.reduce_sum(slope * z, axis=1),)

    rule = getattr(latent_search, name)(lr=0.1)
    states = latent_search.minimise(
        linear, starts(2), rule, data=(slopes,), iterations=200, interval=200
    )
    last = list(states)[-1]
    np.testing.assert_array_equal(last.z, -np.sign(slopes))
    np.testing.assert_allclose(last.losses[0], -np.abs(slopes).sum(axis=1), rtol=1e-12)


def test_the_least_on_the_box_is_scipys(random: np.random.Generator) -> None:
    # Not separable: the projected free optimum is not the least on the box.
    root = random.standard_normal([3, 3])
    matrix, center = root @ root.T + 0.1 * np.eye(3), np.array([1.6, -0.2, 1.4])

    def tilted(z: tf.Tensor) -> tuple[tf.Tensor]:
        difference = z - center
        return (tf.reduce_sum(tf.matmul(difference, matrix) * difference, axis=1),)

    rule = latent_search.pgd(lr=0.02, momentum=0.0)
    states = list(latent_search.minimise(tilted, starts(2), rule, iterations=3000, interval=3000))
    wanted = scipy.optimize.minimize(
        lambda z: (z - center) @ matrix @ (z - center),
        np.zeros(3),
        bounds=[(-1, 1)] * 3,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    assert np.abs(wanted.x - np.clip(center, -1, 1)).max() > 0.01
    np.testing.assert_allclose(states[-1].z, np.stack([wanted.x, wanted.x]), atol=1e-4)


# --- best so far ---


def test_the_best_z_is_kept_where_the_search_overshoots() -> None:
    options = {"lr": 0.6, "momentum": 0.9}
    states = run(latent_search.pgd(**options), iterations=30, interval=1)
    visited = pgd_in_box(lambda z: quadratic_gradient(z, CENTERS), starts(), 30, **options)
    losses = np.stack([quadratic_of(z, CENTERS) for z in visited])
    # It does overshoot, and its last z is not the best.
    assert (np.diff(losses, axis=0) > 0).any(axis=0).all()
    assert (losses[-1] > losses.min(axis=0)).any()
    for state in states:
        # The z after the last update is looked at only in the next iteration, or at the end.
        known = (
            losses[: state.iteration + (state.iteration == 30)] if state.iteration else losses[:1]
        )
        best = known.argmin(axis=0)
        np.testing.assert_allclose(state.losses[0], known.min(axis=0), rtol=1e-9)
        best_z = np.stack(visited)[best, np.arange(len(CENTERS))]
        np.testing.assert_allclose(state.z, best_z, rtol=1e-9)
        # The other losses are those of the same z.
        np.testing.assert_allclose(state.losses[1], best_z.max(axis=1), rtol=1e-9)


def test_a_step_to_nowhere_is_not_the_best() -> None:
    def broken(z: tf.Tensor) -> tuple[tf.Tensor]:
        loss = tf.reduce_sum(z, axis=1)
        return (tf.where(loss < -1, tf.constant(np.nan, loss.dtype), loss),)

    start = np.array([[0.5, 0.5, 0.5]])
    rule = latent_search.pgd(lr=0.3, momentum=0.0)
    states = list(latent_search.minimise(broken, start, rule, iterations=6, interval=6))
    # 1.5, 0.6, -0.3, then beyond -1.
    np.testing.assert_allclose(states[-1].losses[0], [-0.3], atol=1e-12)
    np.testing.assert_allclose(states[-1].z, [[-0.1, -0.1, -0.1]], atol=1e-12)


# --- states ---


@pytest.mark.parametrize(
    ("iterations", "interval", "at"),
    [
        (10, 3, [0, 3, 6, 9, 10]),
        (10, 5, [0, 5, 10]),
        (10, 50, [0, 10]),
        (1, 1, [0, 1]),
    ],
)
def test_states_come_at_the_interval_and_at_the_end(
    iterations: int, interval: int, at: list[int]
) -> None:
    states = run(latent_search.adam(), iterations, interval)
    assert [state.iteration for state in states] == at
    assert [len(state.history) for state in states] == [0, *np.diff(at)]
    assert all(state.history.shape[1:] == (4,) for state in states)
    assert all(state.z.shape == (4, 3) for state in states)


def test_the_first_state_is_the_start() -> None:
    first = run(latent_search.adam(), 2, 1)[0]
    np.testing.assert_array_equal(first.z, starts())
    np.testing.assert_allclose(first.losses[0], quadratic_of(starts(), CENTERS), rtol=1e-12)
    np.testing.assert_allclose(first.losses[1], starts().max(axis=1), rtol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_the_interval_changes_nothing(name: str) -> None:
    rule = getattr(latent_search, name)(lr=0.2)
    whole = run(rule, 20, 20)
    for interval in (1, 3, 7, 100):
        parts = run(rule, 20, interval)
        np.testing.assert_array_equal(history_of(parts), history_of(whole))
        np.testing.assert_array_equal(parts[-1].z, whole[-1].z)
        np.testing.assert_array_equal(parts[-1].losses, whole[-1].losses)


@pytest.mark.parametrize("name", RULES)
def test_a_row_does_not_depend_on_its_neighbours(name: str) -> None:
    rule = getattr(latent_search, name)(lr=0.1)
    together = run(rule, 15, 15)[-1]
    for row in range(4):
        # The same row among others, at another place.
        others = starts(seed=9)
        others[3 - row] = starts()[row]
        centers = CENTERS[::-1]
        alone = run(rule, 15, 15, z=others, center=centers)[-1]
        np.testing.assert_array_equal(alone.z[3 - row], together.z[row])
        np.testing.assert_array_equal(alone.history[:, 3 - row], together.history[:, row])


def test_the_start_is_not_changed() -> None:
    z = starts()
    run(latent_search.pgd(lr=0.1), 5, 5, z=z)
    np.testing.assert_array_equal(z, starts())


# --- Hamiltonian Monte Carlo ---


def rngs(rows: int = 4, seed: int = 0) -> list[np.random.Generator]:
    return np.random.default_rng(seed).spawn(rows)


def sample(
    rule: latent_search.HamiltonianMonteCarlo, z: np.ndarray, center: np.ndarray, iterations: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """All z of a chain for each row, [iterations, N, d], and the best z after each iteration."""
    data = tf.constant(center)

    def evaluate(z: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(z)
            losses = quadratic(z, data)
        return losses, tape.gradient(losses[0], z)

    @tf.function
    def iterate(
        state: latent_search.LoopState, i: tf.Tensor, noise: tf.Tensor
    ) -> latent_search.LoopState:
        return rule.iterate(evaluate, state, i, noise)[0]

    z = tf.constant(z)
    state = latent_search.LoopState(z, (), (z, quadratic(z, data)))
    visited, bests = [], []
    random = np.random.default_rng(5)
    for i in range(iterations):
        noise = random.standard_normal([z.shape[0], rule.draws(z.shape[1])])
        state = iterate(state, tf.constant(i), tf.constant(noise))
        visited.append(state.z.numpy())
        bests.append(state.best[0].numpy())
    return np.stack(visited), bests


def test_hmc_samples_the_truncated_gaussian() -> None:
    # exp(-beta a (z - c)^2) in the box: some of its means lie outside, so that walls matter.
    rule = latent_search.HamiltonianMonteCarlo(beta=1.5, eps=0.25, steps=6)
    rows = 400
    center = np.repeat(CENTERS[1:2], rows, axis=0)
    chain, _ = sample(rule, starts(rows), center, iterations=120)
    chain = chain[20:]
    assert np.abs(chain).max() <= 1
    for k in range(3):
        deviation = 1 / np.sqrt(2 * rule.beta * CURVATURES[k])
        low, high = ((side - CENTERS[1, k]) / deviation for side in (-1, 1))
        exact = scipy.stats.truncnorm(low, high, loc=CENTERS[1, k], scale=deviation)
        values = chain[:, :, k]
        # Standard errors from the rows, which are independent chains.
        for power in (1, 2, 4):
            means = (values**power).mean(axis=0)
            error = means.std(ddof=1) / np.sqrt(rows)
            assert abs(means.mean() - exact.moment(power)) < 4.5 * error
        # Next to the walls, where clipping would pile up samples.
        for low_edge, high_edge in ((-1, -0.95), (0.95, 1)):
            share = ((values >= low_edge) & (values <= high_edge)).mean(axis=0)
            error = share.std(ddof=1) / np.sqrt(rows) + 1e-4
            expected = exact.cdf(high_edge) - exact.cdf(low_edge)
            assert abs(share.mean() - expected) < 4.5 * error


def test_hmc_rejects_what_a_coarse_step_gets_wrong() -> None:
    # Leapfrog steps of 1.5 / frequency keep to a wrong energy: without the test of Metropolis the
    # deviation would be 1 / sqrt(1 - 1.5^2 / 4) = 1.5 times too large.
    beta = 60
    frequency = np.sqrt(2 * beta * CURVATURES[2])
    rule = latent_search.HamiltonianMonteCarlo(beta=beta, eps=1.5 / frequency, steps=3)
    rows = 300
    chain, _ = sample(rule, 0.02 * starts(rows), np.zeros([rows, 3]), iterations=80)
    deviation = 1 / np.sqrt(2 * beta * CURVATURES[2])
    assert chain[30:, :, 2].std() == pytest.approx(deviation, rel=0.1)


def test_hmc_turns_at_the_walls() -> None:
    z = tf.constant([[0.5, 1.25, -1.5, 3.5, -4.75, 1.0]], tf.float64)
    p = tf.constant([[1.0, 2.0, -3.0, 4.0, -5.0, 6.0]], tf.float64)
    folded, momentum = latent_search._reflect(z, p)
    np.testing.assert_allclose(folded, [[0.5, 0.75, -0.5, -0.5, -0.75, 1.0]])
    np.testing.assert_allclose(momentum, [[1, -2, 3, 4, -5, 6]])


def test_hmc_keeps_the_best_z_it_has_seen() -> None:
    rule = latent_search.HamiltonianMonteCarlo(beta=1, eps=0.2, steps=10)
    chain, bests = sample(rule, starts(), CENTERS, iterations=30)
    losses = np.stack([quadratic_of(z, CENTERS) for z in chain])
    best = np.stack([quadratic_of(z, CENTERS) for z in bests])
    assert (np.diff(best, axis=0) <= 0).all()
    assert (best[-1] <= losses.min(axis=0)).all()


def hmc_states(
    interval: int, rows: slice = slice(None), anneal: float = 1.1, iterations: int = 12
) -> list[latent_search.SearchState]:
    rule = latent_search.HamiltonianMonteCarlo(beta=0.5, eps=0.1, steps=8, anneal=anneal)
    return list(
        latent_search.minimise(
            quadratic,
            starts()[rows],
            rule,
            data=(CENTERS[rows],),
            iterations=iterations,
            interval=interval,
            rngs=rngs()[rows],
        )
    )


def test_hmc_finds_the_optimum_as_it_cools() -> None:
    last = hmc_states(80, iterations=80)[-1]
    optimum = quadratic_of(np.clip(CENTERS, -1, 1), CENTERS)
    np.testing.assert_allclose(last.losses[0], optimum, atol=0.05)
    assert last.history.shape == (80, 4)
    warm = hmc_states(80, iterations=80, anneal=0.9)[-1].history  # warmer and warmer
    assert warm[-20:].mean() > last.history[-20:].mean() + 0.1


def test_hmcs_interval_and_neighbours_change_nothing() -> None:
    once, parts = hmc_states(12), hmc_states(5)
    np.testing.assert_array_equal(history_of(once), history_of(parts))
    np.testing.assert_array_equal(once[-1].z, parts[-1].z)
    np.testing.assert_allclose(hmc_states(12, slice(2, 3))[-1].z, once[-1].z[2:3], rtol=1e-12)


def test_hmc_needs_a_generator_for_each_row() -> None:
    rule = latent_search.HamiltonianMonteCarlo()
    for given in (None, rngs(3)):
        found = latent_search.minimise(
            quadratic, starts(), rule, data=(CENTERS,), iterations=1, interval=1, rngs=given
        )
        with pytest.raises(ValueError, match="an rng for every row"):
            list(found)


# --- a linear generator, whose latents are known ---

LINEAR = np.random.default_rng(8).normal(size=[3, 40])
LATENTS = np.random.default_rng(9).uniform(-0.9, 0.9, [5, 3])


def linear_loss(z: tf.Tensor, images: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor]:
    """The contextual loss of G(z) = z A: of the known values, as the completion's is."""
    return (tf.reduce_sum(weights * tf.abs(tf.linalg.matmul(z, LINEAR) - images), axis=1),)


@pytest.mark.parametrize(
    ("rule", "iterations"),
    [
        (latent_search.pgd(lr=2e-5), 4000),
        (latent_search.adam(lr=0.02), 1500),
        (latent_search.HamiltonianMonteCarlo(beta=1, eps=0.01, steps=20, anneal=1.05), 250),
    ],
    ids=["pgd", "adam", "hmc"],
)
def test_a_linear_generators_latents_are_found(rule: latent_search.Rule, iterations: int) -> None:
    images = LATENTS @ LINEAR
    # A third of the values is missing; what is there instead must not matter.
    weights = (np.random.default_rng(10).uniform(size=images.shape) < 0.67).astype(float)
    images = np.where(weights > 0, images, 99)
    *_, last = latent_search.minimise(
        linear_loss,
        starts(5),
        rule,
        data=(images, weights),
        iterations=iterations,
        interval=iterations,
        rngs=rngs(5),
    )
    np.testing.assert_allclose(last.z, LATENTS, atol=0.02)


# --- the best of a pool ---


@pytest.mark.parametrize("part", [3, 7, 100])
def test_nearest_is_what_a_look_at_all_finds(part: int, random: np.random.Generator) -> None:
    pool, targets = random.uniform(-1, 1, [20, 6]), random.uniform(-1, 1, [4, 6])
    weights = random.uniform(0, 1, [4, 6]) * (random.uniform(size=[4, 6]) < 0.7)
    apart = np.array(
        [[sum(w * (t - p) ** 2) for p in pool] for t, w in zip(targets, weights, strict=True)]
    )
    found = latent_search.nearest(
        tf.constant(pool, tf.float32), targets, weights, count=5, part=part
    )
    np.testing.assert_array_equal(found, apart.argsort(axis=1)[:, :5])
