"""One training step: what it moves, and whereto."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf

from dcgan_completion.model import DCGAN
from dcgan_completion.settings.training import Rules
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.training.loop import train
from dcgan_completion.training.trainer import DCGANTrainer, SaturationMonitor
from dcgan_completion.utils import UserError

TINY_MODEL = {"image_size": 16, "z_dim": 6, "gf_dim": 3, "df_dim": 4}
BATCH = 5


def make_trainer(**options: object) -> DCGANTrainer:
    return DCGANTrainer(DCGAN(**TINY_MODEL), Rules(batch_size=BATCH, **options))


@pytest.fixture
def images(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, [BATCH, 16, 16, 3], np.uint8)


def copies(variables: list[tf.Variable]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def same(before: list[np.ndarray], variables: list[tf.Variable]) -> list[bool]:
    pairs = zip(before, variables, strict=True)
    return [np.array_equal(old, new.numpy()) for old, new in pairs]


def test_the_defaults_are_the_references() -> None:
    trainer = make_trainer()
    for optimizer in (trainer.d_optimizer, trainer.g_optimizer):
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert float(optimizer.learning_rate) == pytest.approx(2e-4)
        assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.5, 0.999, 1e-8)
    assert trainer.d_optimizer is not trainer.g_optimizer
    assert trainer.rules.g_updates == 2


# --- noise ---


def noise(step: int, seed: int = 0) -> np.ndarray:
    return make_trainer(seed=seed).noise(tf.constant(step, tf.int64)).numpy()


def test_noise_is_a_function_of_seed_and_step() -> None:
    trainer = make_trainer(seed=3)
    z = trainer.noise(tf.constant(7, tf.int64)).numpy()
    assert z.shape == (BATCH, 6)
    np.testing.assert_array_equal(z, noise(7, seed=3))
    for other in (noise(8, seed=3), noise(7, seed=4), noise(3, seed=7)):
        assert not np.isin(z, other).any()


def test_noise_is_uniform_from_minus_one_to_one() -> None:
    trainer = DCGANTrainer(DCGAN(**TINY_MODEL | {"z_dim": 100}), Rules(batch_size=100))
    z = np.sort(trainer.noise(tf.constant(0, tf.int64)).numpy().ravel())
    assert -1 <= z[0] < -0.999
    assert 0.999 < z[-1] < 1
    # Kolmogorov and Smirnov: a distance above 1.95 / sqrt(N) has a probability of 0.1 %.
    distribution = (np.arange(z.size) + 0.5) / z.size
    assert np.abs((z + 1) / 2 - distribution).max() < 1.95 / np.sqrt(z.size)


# --- what a step moves ---


@pytest.mark.parametrize("which", ["d", "g"])
def test_an_update_moves_all_of_one_network_and_nothing_of_the_other(
    which: str, images: np.ndarray
) -> None:
    trainer = make_trainer()
    nets = {"d": trainer.model.discriminator_variables, "g": trainer.model.generator_variables}
    before = {name: copies(variables) for name, variables in nets.items()}
    frozen = trainer.g_optimizer if which == "d" else trainer.d_optimizer
    frozen.learning_rate = 0.0
    trainer.train_step(images)
    for name, variables in nets.items():
        assert set(same(before[name], variables)) == {name != which}


@pytest.mark.parametrize("g_updates", [1, 3])
def test_statistics_move_twice_in_d_and_at_each_forward_pass_in_g(
    g_updates: int, images: np.ndarray
) -> None:
    trainer = make_trainer(g_updates=g_updates)
    model = trainer.model
    # Each move leaves nine tenths of what was, and the batches' own statistics are small: what
    # is left of a large value tells the number of moves.
    large = 1e6
    for variable in model.generator_statistics + model.discriminator_statistics:
        variable.assign(tf.fill(variable.shape, large))
    for step in (1, 2):
        trainer.train_step(images)
        for variable in model.discriminator_statistics:
            np.testing.assert_allclose(variable, large * 0.9 ** (2 * step), rtol=1e-4)
        for variable in model.generator_statistics:
            np.testing.assert_allclose(variable, large * 0.9 ** (g_updates * step), rtol=1e-4)
    assert int(trainer.step) == 2
    assert int(trainer.d_optimizer.iterations) == 2
    assert int(trainer.g_optimizer.iterations) == 2 * g_updates


# --- where a step leads ---

SLOTS = {"momentum": 0.01, "velocity": 0.05**2}


def warm(optimizer: keras.optimizers.Optimizer) -> None:
    """Sets Adam's averages as if it had run for a while.

    A first step moves every weight by the sign of its gradient, however small: rounding would
    decide on it.
    """
    touched = 0
    for variable in optimizer.variables:
        for name, value in SLOTS.items():
            if variable.path.endswith(name):
                variable.assign(np.full(variable.shape, value, np.float32))
                touched += 1
    assert touched == len(optimizer.variables) - 2  # all but iteration and learning rate


def spread(model: DCGAN, random: np.random.Generator) -> None:
    """Weights of a size that gives every layer a gradient worth comparing."""
    for variable in model.generator_variables + model.discriminator_variables:
        variable.assign(variable + random.normal(0, 0.2, variable.shape))


def copy_of(model: DCGAN) -> DCGAN:
    other = DCGAN(**model.architecture)
    for mine, theirs in ((other.g, model.g), (other.d, model.d)):
        for name, variable in mine.items():
            variable.assign(theirs[name])
    return other


def cross_entropy(logits: tf.Tensor, label: float) -> tf.Tensor:
    labels = tf.fill(logits.shape, label)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))


class Descent:
    """Variables that go down a loss by NumPy's Adam."""

    def __init__(self, variables: list[tf.Variable], rate: float) -> None:
        self.variables, self.rate = variables, rate
        self.starts = copies(variables)
        self.gradients: list[list[np.ndarray]] = []

    def step(self, loss_of: Callable[[], tf.Tensor]) -> float:
        with tf.GradientTape() as tape:
            loss = loss_of()
        self.gradients.append([g.numpy() for g in tape.gradient(loss, self.variables)])
        of_each = zip(*self.gradients, strict=True)
        for variable, start, gradients in zip(self.variables, self.starts, of_each, strict=True):
            *_, value = oracles.adam(
                gradients,
                start,
                self.rate,
                0.5,
                0.999,
                1e-8,
                eps_on_corrected=False,
                memory=(SLOTS["momentum"], SLOTS["velocity"]),
            )
            variable.assign(value)
        return float(loss)


def plain_step(
    model: DCGAN, images: np.ndarray, z: tf.Tensor, g_updates: int, rate: float
) -> dict[str, float]:
    """The step in its simplest form: every update generates its images anew."""
    real = tf.constant(images / 127.5 - 1, tf.float32)
    d_descent = Descent(model.discriminator_variables, rate)
    g_descent = Descent(model.generator_variables, rate)
    logits = {}

    def d_loss() -> tf.Tensor:
        fake = model.generator(z, training=True, momentum=None)
        logits["real"] = model.discriminator(real, training=True)
        logits["fake"] = model.discriminator(fake, training=True)
        return cross_entropy(logits["real"], 1.0) + cross_entropy(logits["fake"], 0.0)

    def g_loss() -> tf.Tensor:
        fake = model.generator(z, training=True)
        return cross_entropy(model.discriminator(fake, training=True, momentum=None), 1.0)

    scalars = {"d_loss": d_descent.step(d_loss)}
    for _ in range(g_updates):
        scalars["g_loss"] = g_descent.step(g_loss)
    scalars["d_loss_real"] = float(cross_entropy(logits["real"], 1.0))
    scalars["d_loss_fake"] = float(cross_entropy(logits["fake"], 0.0))
    scalars["d_real"] = float(np.mean(1 / (1 + np.exp(-logits["real"].numpy()))))
    scalars["d_fake"] = float(np.mean(1 / (1 + np.exp(-logits["fake"].numpy()))))
    return scalars


@pytest.mark.parametrize("g_updates", [1, 2])
def test_a_step_is_the_plain_one(
    g_updates: int, images: np.ndarray, random: np.random.Generator
) -> None:
    rate = 0.01  # large, so that the order of the updates shows
    trainer = make_trainer(g_updates=g_updates, learning_rate=rate, seed=5)
    spread(trainer.model, random)
    warm(trainer.d_optimizer)
    warm(trainer.g_optimizer)
    plain = copy_of(trainer.model)
    z = trainer.noise(tf.constant(0, tf.int64))
    expected = plain_step(plain, images, z, g_updates, rate)
    first = copy_of(trainer.model)

    scalars, histograms = trainer.train_step(images)
    for net, plain_net, first_net in (
        (trainer.model.g, plain.g, first.g),
        (trainer.model.d, plain.d, first.d),
    ):
        for name, variable in net.items():
            moved = np.abs(variable.numpy() - first_net[name].numpy()).max()
            assert moved > 1e-4, name
            np.testing.assert_allclose(
                variable, plain_net[name], rtol=1e-5, atol=1e-3 * moved, err_msg=name
            )
    assert set(scalars) == set(expected)
    for name, value in expected.items():
        assert float(scalars[name]) == pytest.approx(value, rel=1e-4), name

    assert {name: tuple(v.shape) for name, v in histograms.items()} == {
        "D(x)": (BATCH,),
        "D(G(z))": (BATCH,),
        "z": (6 * BATCH,),
    }
    np.testing.assert_array_equal(histograms["z"], z.numpy().ravel())
    assert np.mean(histograms["D(x)"]) == pytest.approx(expected["d_real"], rel=1e-4)
    assert np.mean(histograms["D(G(z))"]) == pytest.approx(expected["d_fake"], rel=1e-4)


def test_every_step_has_noise_of_its_own(images: np.ndarray) -> None:
    trainer = make_trainer(seed=2)
    for step in range(2):
        _, histograms = trainer.train_step(images)
        np.testing.assert_array_equal(histograms["z"], noise(step, seed=2).ravel())


# --- the loop ---


def test_training_goes_on_from_its_step_to_the_last(faces16: Path) -> None:
    trainer = make_trainer()
    dataset = ImageFolders([str(faces16)], image_size=16, batch_size=BATCH)
    assert dataset.steps_per_epoch == 8
    steps = [(r.step, r.epoch) for r in train(trainer, dataset, 7)]
    assert steps == [(i, 1) for i in range(1, 8)]
    results = list(train(trainer, dataset, 10))
    assert [(r.step, r.epoch) for r in results] == [(8, 1), (9, 2), (10, 2)]
    assert int(trainer.step) == 10
    assert list(train(trainer, dataset, 10)) == []

    # In one go it leads to the same place: the batches and z's depend on the step alone.
    other = make_trainer()
    whole = list(train(other, dataset, 10))
    for one, two in zip(results, whole[7:], strict=True):
        for name, scalar in one.scalars.items():
            assert float(scalar) == pytest.approx(float(two.scalars[name]), rel=1e-5), name
    for mine, theirs in zip(other.model.g.values(), trainer.model.g.values(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("start", [0, 9])
def test_learning_rates_fall_over_the_last_epochs(start: int, faces16: Path) -> None:
    trainer = make_trainer(learning_rate=0.003, d_learning_rate=0.006)
    dataset = ImageFolders([str(faces16)], image_size=16, batch_size=BATCH)
    list(train(trainer, dataset, start, 0.5))  # a shorter run, whose rates fell, too
    rates = []
    for result in train(trainer, dataset, 16, 0.5):
        rates.append(float(trainer.g_optimizer.learning_rate))
        assert float(trainer.d_optimizer.learning_rate) == pytest.approx(2 * rates[-1])
        assert result.step == start + len(rates)
    # Epochs have 8 steps: full until 4 before the end, then 4/4, 3/4, 2/4, 1/4.
    expected = [0.003] * 12 + [0.003, 0.00225, 0.0015, 0.00075]
    assert rates == pytest.approx(expected[start:])


# --- the EMA ---


def test_the_average_is_exponential_with_a_fast_start(images: np.ndarray) -> None:
    trainer = make_trainer(average_decay=0.25)
    name = "conv1_kernel"
    expected = trainer.model.g[name].numpy().astype(np.float64)
    for step in range(6):
        trainer.train_step(images)
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * trainer.model.g[name].numpy()
    np.testing.assert_allclose(trainer.ema[name], expected, rtol=1e-5, atol=1e-7)


def test_without_decay_the_average_is_the_generator(images: np.ndarray) -> None:
    trainer = make_trainer(average_decay=0.0)
    trainer.train_step(images)
    for name, variable in trainer.model.g.items():
        if variable.trainable:
            np.testing.assert_allclose(trainer.ema[name], variable, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("batches", [0, -1])
def test_statistics_of_no_batches_are_refused(images: np.ndarray, batches: int) -> None:
    trainer = make_trainer()
    trainer.train_step(images)
    before = copies(list(trainer.ema.values()))
    with pytest.raises(ValueError, match=f"batches={batches}: must be 1 or more"):
        trainer.estimate_statistics(batches)
    assert all(same(before, list(trainer.ema.values())))


def test_estimated_statistics_are_means_over_batches(images: np.ndarray) -> None:
    trainer = make_trainer(average_decay=0.5)
    trainer.train_step(images)
    before = copies(trainer.model.generator_statistics)
    trainer.estimate_statistics(400)
    assert all(same(before, trainer.model.generator_statistics))  # G's own are left alone
    # Of the first layer, in closed form: z is uniform, so a linear unit has variance |w|^2 / 3.
    weight = trainer.ema["linear_weight"].numpy().astype(np.float64)
    bias = trainer.ema["linear_bias"].numpy().astype(np.float64)
    width = trainer.ema["bn0_mean"].shape[0]
    means = bias.reshape(16, width)
    variance = (weight**2).sum(axis=0).reshape(16, width) / 3
    expected = variance.mean(axis=0) + means.var(axis=0)
    np.testing.assert_allclose(trainer.ema["bn0_variance"], expected, rtol=0.1)
    np.testing.assert_allclose(
        trainer.ema["bn0_mean"], means.mean(axis=0), atol=0.1 * np.sqrt(expected.max())
    )
    first = copies(list(trainer.ema.values()))
    trainer.estimate_statistics(400)  # a function of seed and step
    assert all(same(first, list(trainer.ema.values())))


# --- rules ---


@pytest.mark.parametrize(
    "rule", [{"flip": True}, {"diffaugment": ["cutout"]}, {"label_smoothing": 0.1}]
)
def test_rules_change_what_d_learns(rule: dict[str, object], images: np.ndarray) -> None:
    plain, changed = make_trainer(), make_trainer(**rule)
    one, _ = plain.train_step(images)
    other, _ = changed.train_step(images)
    assert float(one["d_loss_real"]) != float(other["d_loss_real"])


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    for bad in (np.nan, np.inf):
        with pytest.raises(UserError, match=r"step 7.*ckpt-5"):
            SaturationMonitor().check(7, {"d_loss": 1.0, "g_loss": bad}, "checkpoint/ckpt-5")


@pytest.mark.parametrize(
    ("losses", "warnings"), [(1000 * [0.001], 1), ([0.001] * 150 + [1.0] + [0.001] * 150, 0)]
)
def test_a_saturated_discriminator_gives_one_warning(
    losses: list[float], warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = SaturationMonitor()
    for step, loss in enumerate(losses):
        monitor.check(step, {"d_loss": loss, "g_loss": 9.0}, None)
    assert len(caplog.messages) == warnings
    for warning in caplog.messages:
        assert "discriminator is saturated" in warning
        assert "--diffaugment" in warning


# --- misuse as a library ---


@pytest.mark.parametrize(
    "wrong",
    [
        {"g_updates": 0},
        {"batch_size": 0},
        {"diffaugment": ["blur"]},
        {"diffaugment": "color,cutout"},
        {"average_decay": 1.0},
        {"label_smoothing": -0.1},
    ],
)
def test_rules_refuse_what_their_options_refuse(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(
        ValueError, match=f"^{name} .*: not a value that --{name}".replace("_", ".")
    ):
        Rules(**wrong)


def test_a_batch_of_another_size_is_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=f"4 images, and batch_size is {BATCH}"):
        make_trainer().train_step(images[:4])
