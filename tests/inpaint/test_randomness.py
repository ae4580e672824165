"""Random numbers of a completion: what they depend on, and what they do not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dcgan_completion.randomness import Purpose, image_rng, seed_rng


@pytest.fixture
def image(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, [16, 16, 3], np.uint8)


def numbers(
    image: np.ndarray, seed: int = 0, purpose: Purpose = Purpose.START, count: int = 4
) -> list[float]:
    return image_rng(image, seed, purpose).standard_normal(count).tolist()


def test_the_same_pixels_get_the_same_numbers(image: np.ndarray) -> None:
    strided = np.repeat(image, 2, axis=0)[::2]
    assert numbers(image) == numbers(image.copy()) == numbers(strided)


def test_other_pixels_seeds_or_purposes_get_other_numbers(image: np.ndarray) -> None:
    other = image.copy()
    other[7, 7, 1] ^= 1
    drawn = [
        numbers(image),
        numbers(other),
        numbers(image, seed=1),
        numbers(image, purpose=Purpose.MASK),
        numbers(image, seed=2**32 - 1),
    ]
    assert len({value for values in drawn for value in values}) == 5 * 4


def test_seed_and_purpose_are_not_interchangeable() -> None:
    image = np.zeros((2, 2, 1), np.uint8)
    for one, other in itertools.permutations(Purpose, 2):
        assert numbers(image, seed=one, purpose=other) != numbers(image, seed=other, purpose=one)


def test_every_purpose_has_a_stream_of_its_own(image: np.ndarray) -> None:
    streams = [image_rng(image, 7, purpose).uniform(size=500) for purpose in Purpose]
    streams += [seed_rng(7, purpose).uniform(size=500) for purpose in Purpose]
    assert len(np.unique(np.concatenate(streams))) == 2 * len(Purpose) * 500
    correlation = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(500)


def test_without_an_image_the_seed_decides() -> None:
    one, again, other = (seed_rng(seed, Purpose.POOL).uniform(size=8) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.isin(one, other).any()


def test_spawned_generators_are_apart(image: np.ndarray) -> None:
    drawn = [g.uniform(size=8) for g in image_rng(image, 0, Purpose.SEARCH).spawn(3)]
    drawn.append(image_rng(image, 0, Purpose.SEARCH).uniform(size=8))
    assert len(np.unique(np.concatenate(drawn))) == 32
