"""`Candidates`: what holes may be filled from, and how a search came to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

Losses = tuple[np.ndarray, np.ndarray, np.ndarray]  # total, contextual, perceptual


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """Where the completion of N images stands: K candidates of each, unblended, the best first.

    A search makes each from A searches from different starts (`SearchSettings.average`);
    candidates, and the searches of one, are sorted by the loss that is minimised.

    Attributes:
      iteration: number of iterations done.
      images: 0..255, float32 [N, K, S, S, C]: G(z), the mean over a candidate's searches, or G(z)
        mixed with a context encoder's estimate, or that estimate.
      generated: G(z) alone, as `images`; None without a search, as are all that follow.
      z: the best latent so far of each search, [N, K, A, z_dim].
      losses: total, contextual and perceptual loss of each candidate's best search, each [N, K];
        of the known pixels alone, where the search is guided, too.
      history: the least loss among an image's searches at every iteration since the previous
        state, as the search minimises it, [iterations, N].
    """

    iteration: int
    images: np.ndarray
    generated: np.ndarray | None = None
    z: np.ndarray | None = None
    losses: Losses | None = None
    history: np.ndarray | None = None

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Join the candidates of several batches, all of a search, or all without."""

        def join(arrays: Sequence[np.ndarray | None], axis: int = 0) -> np.ndarray | None:
            return None if arrays[0] is None else np.concatenate(arrays, axis)

        losses = parts[0].losses
        if losses is not None:
            losses = tuple(map(join, zip(*(part.losses for part in parts), strict=True)))
        names = ("images", "generated", "z")
        joined = {name: join([getattr(part, name) for part in parts]) for name in names}
        history = join([part.history for part in parts], axis=1)
        return cls(parts[0].iteration, losses=losses, history=history, **joined)
