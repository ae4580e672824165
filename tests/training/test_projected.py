"""The photo encoder's discriminators and their losses."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dcgan_completion.training import features, projected
from dcgan_completion.training.projected import Verdict


class ToyFeatures(tf.Module):
    """Maps of the right sizes and channels, made of the picture itself."""

    def __call__(self, images: tf.Tensor) -> list[tf.Tensor]:
        maps = []
        for factor, channels in zip((4, 8, 16, 32), features.CHANNELS, strict=True):
            small = tf.nn.avg_pool2d(images, factor, factor, "VALID")
            maps.append(tf.tile(small, [1, 1, 1, -(-channels // 3)])[..., :channels])
        return maps


def pictures(seed: int, number: int = 2, size: int = 32) -> tuple[tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, [number, size, size, 3]).astype(np.float32)
    marks = np.zeros([number, size, size, 2], np.float32)
    marks[:, 4:8, 4:8, 0] = 1
    marks[..., 1] = 1
    return tf.constant(images), tf.constant(marks)


def verdict(logits: list[float], weight: list[float]) -> Verdict:
    shape = [len(logits), 1, 1]
    return Verdict(
        tf.reshape(tf.constant(logits), shape), tf.reshape(tf.constant(weight), shape), []
    )


def test_the_hinge_loss_is_that_of_the_paper_over_the_cells_that_count() -> None:
    real = [verdict([0.5, 2.0], [0.0, 0.0])]
    fake = [verdict([0.5, -3.0, 9.0], [1.0, 1.0, 0.0])]
    # Real: (1 - 0.5) / 2; fake: (1 + 0.5 + 0) / 2, and the last cell does not count.
    assert float(projected.discriminator_loss(real, fake)) == pytest.approx(0.25 + 0.75)
    assert float(projected.generator_loss(fake)) == pytest.approx(1.25)


def test_without_any_cell_that_counts_the_loss_is_finite() -> None:
    none = [verdict([1.0], [0.0])]
    assert float(projected.generator_loss(none)) == 0
    assert np.isfinite(float(projected.discriminator_loss(none, none)))


def test_kernels_are_divided_by_their_largest_singular_value() -> None:
    judge = projected.PatchDiscriminator(32, 3, seed=4)
    for _ in range(150):
        kernels = judge.normalised(True)
    for name, kernel in kernels.items():
        matrix = kernel.numpy().reshape(-1, kernel.shape[3])
        assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, rel=0.02), name


def test_without_update_the_estimate_of_the_singular_value_stays() -> None:
    judge = projected.PatchDiscriminator(32, 3, seed=4)
    before = {name: u.numpy() for name, u in judge.u.items()}
    judge.normalised(False)
    for name, u in judge.u.items():
        np.testing.assert_array_equal(before[name], u.numpy())


def test_patches_away_from_the_hole_do_not_count() -> None:
    judge = projected.PatchDiscriminator(32, 3, seed=0)
    images, marks = pictures(0)
    (said,) = judge.judge(images, marks, judge.normalised(True))
    assert said.logits.shape == (2, 16, 16)
    expected = np.zeros([16, 16])
    expected[2:4, 2:4] = 1  # pixels 4 to 7
    np.testing.assert_array_equal(said.weight[0], expected)


def test_four_discriminators_judge_maps_the_coarse_ones_everywhere() -> None:
    judge = projected.ProjectedDiscriminators(ToyFeatures(), 128, seed=0)
    images, marks = pictures(1)
    maps = judge.features(images)
    assert [one.shape[1] for one in maps] == [32, 16, 8, 4]
    said = judge.judge(maps, marks, judge.normalised(True))
    assert [one.logits.shape[1] for one in said] == [8, 8, 8, 4]
    shares = [float(tf.reduce_mean(one.weight)) for one in said]
    assert shares[0] == pytest.approx(1 / 64)
    assert shares[1] == pytest.approx(1 / 64)
    assert shares[2:] == [1, 1]


def test_the_mixing_of_features_is_fixed_and_the_rest_is_trained() -> None:
    judge = projected.ProjectedDiscriminators(ToyFeatures(), 128, seed=0)
    names = {name.split("_")[1] for name in judge.d}
    assert names == {"first", "second", "logit"}
    other = projected.ProjectedDiscriminators(ToyFeatures(), 128, seed=0)
    for one, two in zip(judge._mixing, other._mixing, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


def test_distance_of_features_counts_where_they_see_the_hole() -> None:
    rng = np.random.default_rng(2)
    real = rng.uniform(1, 2, [1, 8, 8, 4]).astype(np.float32)
    fake = real.copy()
    fake[0, 7, 7] += 5  # away from the hole
    _, marks = pictures(0, 1)
    assert float(projected.map_distance([fake], [real], marks)) == 0
    fake[0, 1, 1, 2] += 0.5
    expected = 0.5 / (real[..., 2].mean() + 1e-2) / 4
    assert float(projected.map_distance([fake], [real], marks)) == pytest.approx(expected, rel=1e-5)


def test_training_tells_real_from_completed_pictures() -> None:
    """A few steps on pictures whose holes are plainly wrong."""
    import keras

    judge = projected.PatchDiscriminator(32, 3, seed=1)
    images, marks = pictures(3, 4)
    wrong = tf.where(marks[..., :1] > 0, tf.ones_like(images), images)
    optimizer = keras.optimizers.Adam(1e-3)
    losses = []
    for _ in range(15):
        with tf.GradientTape() as tape:
            kernels = judge.normalised(True)
            real, fake = (judge.judge(some, marks, kernels) for some in (images, wrong))
            loss = projected.discriminator_loss(real, fake)
        variables = judge.discriminator_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(loss))
    assert losses[-1] < losses[0] - 0.1
