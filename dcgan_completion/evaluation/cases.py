"""Cases: images with holes, to be completed; `Faces` makes those of aligned faces.

`photo_cases.Photos` makes those of photos. A benchmark takes either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dcgan_completion.completion import mask_source
from dcgan_completion.evaluation.results import LocatedFace
from dcgan_completion.inpaint import blending
from dcgan_completion.masks.boxes import Crop
from dcgan_completion.masks.mask import Mask
from dcgan_completion.settings.masks import MaskSettings

if TYPE_CHECKING:
    from dcgan_completion.photos.task import Task

BATCH = 64  # aligned faces that are completed together, at most
EVERYWHERE = slice(None), slice(None)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """An image with a hole, to be completed.

    Attributes:
      index: number of the image.
      original: uint8 [H, W, C].
      visible: what is known of it, its hole gray, uint8 [H, W, C].
      mask: of the image.
      squares: of the faces that a model completes, uint8 [n, S, S, C].
      square_mask: of the squares.
      crop: rows and columns with all that bears on the hole.
      task: of repairing a photo; None: it is an aligned face, or no face was found.
      located: what became of the search for a photo's face; None: it is an aligned face.
      seconds: that it took to find the squares.
    """

    index: int
    original: np.ndarray
    visible: np.ndarray
    mask: Mask
    squares: np.ndarray
    square_mask: Mask
    crop: Crop = EVERYWHERE
    task: Task | None = None
    located: LocatedFace | None = None
    seconds: float = 0.0


def squares_of(cases: Sequence[Case]) -> tuple[np.ndarray, Mask]:
    """Join the squares of cases, uint8 [n, S, S, C], and their masks."""
    holes = np.concatenate([case.square_mask.hole for case in cases])
    mask = dataclasses.replace(cases[0].square_mask, hole=holes)
    return np.concatenate([case.squares for case in cases]), mask


class Images(Protocol):
    """Images of which cases are made.

    Attributes:
      squares: their faces as a model sees them, uint8 [N, S, S, C].
      aligned: the same as they are described, uint8 [N, E, E, C].
      photos: whether they are photos: their faces are searched for, and each is timed by itself.
    """

    squares: np.ndarray
    aligned: np.ndarray
    photos: bool

    def __len__(self) -> int: ...

    def batches(self, kind: str, seed: int) -> Iterator[list[Case]]:
        """Make the cases under a kind of hole; yield those that are completed together."""
        ...

    def paste(
        self, cases: Sequence[Case], candidates: np.ndarray, blend: str
    ) -> Iterator[np.ndarray]:
        """Yield each case with its hole filled, uint8 [H, W, C], from candidates for all squares.

        Args:
          cases: of a batch.
          candidates: 0..255, float32 [n, S, S, C].
          blend: of BLENDS.
        """
        ...

    def align(self, case: Case, pixels: np.ndarray, /) -> np.ndarray:
        """Align the face in a version of a case, uint8 [H, W, C], as it is described."""
        ...


class Faces:
    """Aligned faces; see `Images`."""

    photos = False

    def __init__(self, images: np.ndarray, fraction: float | None = None) -> None:
        """Take faces, uint8 [N, S, S, C], and the share of random masks (None: their default)."""
        self.squares = self.aligned = images
        self._random = {} if fraction is None else {"fraction": fraction}

    def __len__(self) -> int:
        return len(self.squares)

    def batches(self, kind: str, seed: int) -> Iterator[list[Case]]:
        """Make the cases under a type of mask; see `Images`."""
        settings = MaskSettings.of(mask_type=kind, **(self._random if kind == "random" else {}))
        for first in range(0, len(self), BATCH):
            images = self.squares[first : first + BATCH]
            mask = mask_source.draw_masks(settings, images, seed)
            visible = mask.visible(images)
            yield [
                Case(
                    first + i,
                    image,
                    visible[i],
                    mask[i : i + 1],
                    image[np.newaxis],
                    mask[i : i + 1],
                )
                for i, image in enumerate(images)
            ]

    @staticmethod
    def paste(cases: Sequence[Case], candidates: np.ndarray, blend: str) -> Iterator[np.ndarray]:
        """Fill all holes together; see `Images`."""
        yield from blending.fill(*squares_of(cases), candidates, blend)

    @staticmethod
    def align(_case: Case, pixels: np.ndarray) -> np.ndarray:
        """Take a face as it is."""
        return pixels
