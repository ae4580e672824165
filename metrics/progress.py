"""Progress of an evaluation's stages: the protocols of its bars, and a silent bar."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from metrics.embeddings import FaceEmbeddings, FaceReader


class Bar(Protocol):
    """The progress of one stage, such as tqdm shows it."""

    def update(self, n: int) -> object:
        """`n` more are done."""


class Progress(Protocol):
    """Opens the bar of a stage, which is closed with the stage."""

    def __call__(self, *, total: int, desc: str) -> contextlib.AbstractContextManager[Bar]:
        """`total`: images that the stage takes; `desc`: what it does."""


class _SilentBar:
    def update(self, n: int) -> None:
        pass


def silent(*, total: int, desc: str) -> contextlib.AbstractContextManager[Bar]:
    """Shows nothing."""
    del total, desc
    return contextlib.nullcontext(_SilentBar())


def describe(
    reader: FaceReader, images: np.ndarray, progress: Progress, desc: str, *, keep: bool = True
) -> FaceEmbeddings:
    """What dlib says of images, uint8 [N, S, S, C], as one stage; `keep` as in FaceReader."""
    with progress(total=len(images), desc=desc) as bar:
        return reader.describe(images, keep=keep, advance=bar.update)
