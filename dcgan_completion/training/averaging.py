"""The exponential moving average of a network's weights over the training steps."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf


def averaged_copies(variables: Mapping[str, tf.Variable]) -> dict[str, tf.Variable]:
    """Where averages begin: copies of variables, in the scope of the strategy they were made in."""
    return {
        name: tf.Variable(tf.identity(v), trainable=False, aggregation=tf.VariableAggregation.MEAN)
        for name, v in variables.items()
    }


def move_averages(
    averaged: Mapping[str, tf.Variable],
    variables: Mapping[str, tf.Variable],
    step: tf.Tensor,
    decay: float,
) -> None:
    """Moves the averages of trainable variables towards them, by name.

    Args:
      averaged, variables: of the same names; what is not trained is left alone.
      step: number of steps done before this one. At first an average moves faster, so that the
        initial weights are soon forgotten.
      decay: share of itself that an average keeps in a step.
    """
    step = tf.cast(step, tf.float32)
    decay = tf.minimum(decay, (1 + step) / (10 + step))
    for name, variable in variables.items():
        if variable.trainable:
            averaged[name].assign_sub((1 - decay) * (averaged[name] - variable))
