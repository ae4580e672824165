"""A trainer that is no DCGAN's: one number learns the mean of the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_completion.training.logs import LoggedScalars
from dcgan_completion.utils import to_signed

TOY_SCALARS = LoggedScalars(
    group="toy",
    charts={"loss": ("training images", "error"), "held_out": ("held-out images", "error")},
    losses={"loss": "training images", "held_out": "held-out images"},
)


class ToyMonitor:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.seen = []

    def check(self, step: int, values: Mapping[str, float], last_good: str | None) -> None:
        self.seen.append((step, dict(values), last_good))


class ToyTrainer:
    """Gradient descent on (mean - pictures)^2; its held-out error comes every third step."""

    def __init__(self) -> None:
        self.strategy = tf.distribute.get_strategy()
        self.step = tf.Variable(0, dtype=tf.int64)
        self.mean = tf.Variable(0.0)
        self.statistic = tf.Variable(0.0)
        self.scalars, self.monitor = TOY_SCALARS, ToyMonitor()
        self.rates: list[float] = []
        self.estimates: list[int] = []

    def set_learning_rates(self, share: float = 1.0) -> None:
        self.rates.append(share)

    def draw_inputs(self, step: int, places: range) -> tuple[np.ndarray, ...]:
        return (np.full([len(places)], step),)

    def evaluate(self) -> dict[str, tf.Tensor]:
        return {}

    def train_step(
        self, images: np.ndarray, steps: np.ndarray
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        assert steps.tolist() == [int(self.step)] * len(images)
        error = self.mean - float(to_signed(images).mean())
        self.mean.assign_sub(0.5 * self.rates[-1] * error)
        self.step.assign_add(1)
        scalars = {"loss": error**2}
        if int(self.step) % 3 == 0:
            scalars["held_out"] = 2 * error**2
        return scalars, {"pixels": tf.constant(images.ravel(), tf.float32)}

    def estimate_statistics(self, batches: int) -> None:
        self.estimates.append(batches)
        self.statistic.assign(self.mean)

    def sample_pictures(self) -> np.ndarray:
        return np.full([4, 16, 16, 3], round(float(self.statistic) * 127.5 + 127.5), np.uint8)

    def checkpoint_contents(self) -> dict[str, Any]:
        return {"mean": self.mean, "statistic": self.statistic, "step": self.step}

    def graph(self) -> tf.Graph:
        function = tf.function(lambda: self.mean + 0.0, autograph=False)
        return function.get_concrete_function().graph
