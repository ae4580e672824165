"""Random numbers of a completion: from the seed and what an image shows, not from its place."""

from __future__ import annotations

import enum
import hashlib

import numpy as np


class Purpose(enum.IntEnum):
    """What random numbers are for: each purpose has a stream of its own."""

    START = 0  # where a search begins
    MASK = 1  # what a random mask leaves out
    SEARCH = 2  # what the search draws on its way
    POOL = 3  # the latents among which a search's start is chosen
    GRAIN = 4  # the noise of what is put into a photo
    NOISE = 5  # what the candidates of a photo encoder differ by
    VARIATION = 16  # the noise around the result of latent arithmetic


def image_rng(image: np.ndarray, seed: int, purpose: Purpose) -> np.random.Generator:
    """Make an rng that depends on the seed, the purpose and an image's values alone."""
    digest = hashlib.sha256(image.tobytes()).digest()
    return np.random.default_rng([seed, purpose, *np.frombuffer(digest, np.uint32).tolist()])


def seed_rng(seed: int, purpose: Purpose) -> np.random.Generator:
    """Make an rng that depends on the seed and the purpose alone."""
    return np.random.default_rng([seed, purpose])
