"""Arithmetic on latents."""

from __future__ import annotations

import numpy as np

from dcgan_completion.latent import arithmetic


def test_arithmetic_on_a_linear_generator_is_arithmetic_on_its_images(
    random: np.random.Generator,
) -> None:
    generator = random.standard_normal([6, 40])
    a, b, c = (random.uniform(-1, 1, [number, 6]) for number in (3, 4, 1))
    result, means = arithmetic.combine([("+", a), ("-", b), ("+", c)])
    images = [(z @ generator).mean(axis=0) for z in (a, b, c)]
    np.testing.assert_allclose(result @ generator, images[0] - images[1] + images[2], atol=1e-12)
    np.testing.assert_allclose(means @ generator, images, atol=1e-12)


def test_a_lone_term_is_its_mean_with_its_sign() -> None:
    z = np.array([[1.0, 2], [3, 6]])
    np.testing.assert_array_equal(arithmetic.combine([("+", z)])[0], [2, 4])
    np.testing.assert_array_equal(arithmetic.combine([("-", z)])[0], [-2, -4])


def test_variations_surround_the_exact_result(random: np.random.Generator) -> None:
    z = random.uniform(-1, 1, 500)
    square = arithmetic.variations(z, 0.25, random)
    assert square.shape == (9, 500)
    np.testing.assert_array_equal(square[4], z)
    noise = np.delete(square, 4, axis=0) - z
    assert 0.24 < np.abs(noise).max() <= 0.25
    # The variance of uniform noise.
    np.testing.assert_allclose(noise.var(), 0.25**2 / 3, rtol=0.05)
    assert len(np.unique(noise, axis=0)) == 8
    np.testing.assert_array_equal(arithmetic.variations(z, 0, random), np.tile(z, (9, 1)))
