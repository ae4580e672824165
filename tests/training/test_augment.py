"""Augmentation: what it may change, by how much, and that it is a function of its seed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dcgan_completion.settings.training import POLICIES
from dcgan_completion.training import augment


def seed(value: int = 0) -> tf.Tensor:
    return tf.constant([value, 3], tf.int64)


@pytest.fixture
def images(random: np.random.Generator) -> np.ndarray:
    return random.uniform(-1, 1, [64, 16, 16, 3]).astype(np.float32)


def apply(policy: str, images: np.ndarray, number: int = 0) -> np.ndarray:
    return augment.differentiable([policy])(tf.constant(images), seed(number)).numpy()


def test_flip_mirrors_about_half_of_the_images_and_leaves_the_rest(images: np.ndarray) -> None:
    flipped = augment.flip(tf.constant(images), seed()).numpy()
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 < mirrored.sum() < 48  # 4 standard deviations of a fair coin


@pytest.mark.parametrize("policy", POLICIES)
def test_equal_seeds_give_equal_images_and_others_others(policy: str, images: np.ndarray) -> None:
    np.testing.assert_array_equal(apply(policy, images), apply(policy, images))
    assert (apply(policy, images) != apply(policy, images, 1)).any()


def test_no_policy_leaves_the_images_alone(images: np.ndarray) -> None:
    unchanged = augment.differentiable([])(tf.constant(images), seed())
    np.testing.assert_array_equal(unchanged, images)


def test_color_is_an_affine_map_of_each_image_within_the_papers_bounds(
    images: np.ndarray,
) -> None:
    out = apply("color", images).astype(np.float64)
    for before, after in zip(images.astype(np.float64), out, strict=True):
        gray = before.mean(axis=2, keepdims=True)
        # after = contrast * (saturation * (before - gray) + gray - mean(gray)) + mean + brightness
        columns = [(before - gray).ravel(), np.broadcast_to(gray, before.shape).ravel()]
        design = np.stack([*columns, np.ones(before.size)], axis=1)
        (both, contrast, constant), residual, *_ = np.linalg.lstsq(
            design, after.ravel(), rcond=None
        )
        assert residual < 1e-6
        assert 0.5 <= contrast <= 1.5
        assert 0 <= both / contrast <= 2
        brightness = constant - (1 - contrast) * before.mean()
        assert -0.5 - 1e-6 <= brightness <= 0.5 + 1e-6


def test_translation_shifts_by_up_to_an_eighth_and_fills_with_zeros(images: np.ndarray) -> None:
    out = apply("translation", images)
    padded = np.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]])
    shifts = []
    for i, after in enumerate(out):
        found = [
            (dy, dx)
            for dy in range(5)
            for dx in range(5)
            if np.array_equal(after, padded[i, dy : dy + 16, dx : dx + 16])
        ]
        assert len(found) == 1
        shifts += found
    assert {dy for dy, _ in shifts} == {dx for _, dx in shifts} == {0, 1, 2, 3, 4}


def test_cutout_clears_a_square_of_half_the_edge(images: np.ndarray) -> None:
    out = apply("cutout", images)
    for before, after in zip(images, out, strict=True):
        hole = (after != before).any(axis=2)
        assert (after[hole] == 0).all()
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole.sum() == len(rows) * len(columns)
        assert 4 <= len(rows) <= 8
        assert 4 <= len(columns) <= 8
    areas = (out == 0).all(axis=3).sum(axis=(1, 2))
    assert areas.max() == 64  # whole inside the image, for some


@pytest.mark.parametrize("policy", POLICIES)
def test_gradients_reach_the_images(policy: str, images: np.ndarray) -> None:
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = augment.differentiable([policy])(x, seed())
        loss = tf.reduce_sum(out**2)
    gradient = tape.gradient(loss, x).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient != 0).mean() > 0.5
