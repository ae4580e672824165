"""`Candidates`: what holes may be filled from; `Searched`: also how a search came to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

Losses = tuple[np.ndarray, np.ndarray, np.ndarray]  # total, contextual, perceptual


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """Where the completion of N images stands: K candidates of each, unblended, the best first.

    Attributes:
      iteration: number of iterations done.
      images: 0..255, float32 [N, K, S, S, C]: G(z), the mean over a candidate's searches, or G(z)
        mixed with a context encoder's estimate, or that estimate.
    """

    iteration: int
    images: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Searched(Candidates):
    """Where a search stands.

    It makes each candidate from A searches from different starts (`SearchSettings.average`);
    candidates, and the searches of one, are sorted by the loss that is minimised.

    Attributes:
      generated: G(z) alone, as `images`.
      z: the best latent so far of each search, [N, K, A, z_dim].
      losses: total, contextual and perceptual loss of each candidate's best search, each [N, K];
        of the known pixels alone, where the search is guided, too.
      history: the least loss among an image's searches at every iteration since the previous
        state, as the search minimises it, [iterations, N].
    """

    generated: np.ndarray
    z: np.ndarray
    losses: Losses
    history: np.ndarray


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Join the candidates of several batches: as of a search if all are."""
    searched = [part for part in parts if isinstance(part, Searched)]
    if len(searched) == len(parts):
        return joined_searches(searched)
    return Candidates(parts[0].iteration, np.concatenate([part.images for part in parts]))


def joined_searches(parts: Sequence[Searched]) -> Searched:
    """Join the states of a search for several batches."""
    total, contextual, perceptual = (
        np.concatenate(losses) for losses in zip(*(part.losses for part in parts), strict=True)
    )
    return Searched(
        parts[0].iteration,
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.generated for part in parts]),
        np.concatenate([part.z for part in parts]),
        (total, contextual, perceptual),
        np.concatenate([part.history for part in parts], axis=1),
    )
