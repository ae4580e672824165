"""GAN inversion: the z whose image G(z) is nearest to a whole face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dcgan_completion.inpaint import blending
from dcgan_completion.inpaint.search import LatentSearch
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.search import SearchSettings

SEARCHES = 64  # in one batch


def invert(
    model: DCGAN,
    images: np.ndarray,
    seed: int,
    settings: SearchSettings,
    restarts: int = 1,
    advance: Callable[[int], object] = lambda _number: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Invert whole faces: search for each with nothing missing.

    Args:
      model: its generator is inverted.
      images: uint8 [N, S, S, C].
      seed: of the starts.
      settings: how z is searched.
      restarts: searches per face, of which the one with the smallest loss is kept.
      advance: called with the number of faces done since its last call.

    Returns:
      z, float32 [N, z_dim] in [-1, 1], and the reconstructions G(z), uint8 [N, S, S, C].
    """
    batch = max(1, min(SEARCHES // restarts, len(images)))
    search = LatentSearch(model, settings, batch_size=batch, samples=restarts)
    parts = []
    for first in range(0, len(images), batch):
        some = images[first : first + batch]
        found = search.complete(some, Mask.full().expanded(*some.shape[:3]), seed)
        parts.append((found.z[:, 0, 0], blending.rounded(found.generated[:, 0])))
        advance(len(some))
    z, reconstructions = map(np.concatenate, zip(*parts, strict=True))
    return z, reconstructions
