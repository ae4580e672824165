"""Progress of an evaluation's stages: protocols of bars, a silent bar, describing as a stage."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from dcgan_completion.evaluation.embeddings import FaceEmbeddings, FaceReader


class Bar(Protocol):
    """The progress of one stage, such as tqdm shows it."""

    def update(self, n: int) -> object:
        """Advance by `n` images."""


class Progress(Protocol):
    """Opens the bar of a stage; a context manager that closes it."""

    def __call__(self, *, total: int, desc: str) -> contextlib.AbstractContextManager[Bar]:
        """Open it for `total` images; `desc` names the stage."""
        ...


class _SilentBar:
    def update(self, n: int) -> None:
        pass


def silent(*, total: int, desc: str) -> contextlib.AbstractContextManager[Bar]:
    """Show nothing."""
    del total, desc
    return contextlib.nullcontext(_SilentBar())


def describe(
    reader: FaceReader, images: np.ndarray, progress: Progress, desc: str, *, keep: bool = True
) -> FaceEmbeddings:
    """Run `FaceReader.describe` on images, uint8 [N, S, S, C], as a stage named `desc`."""
    with progress(total=len(images), desc=desc) as bar:
        return reader.describe(images, keep=keep, advance=bar.update)
