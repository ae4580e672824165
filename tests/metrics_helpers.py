"""What tests of the metrics share: a progress that remembers, a reader of faces without dlib."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import numpy as np

from dcgan_completion.evaluation.embeddings import EMBEDDING, FaceEmbeddings


class RecordedBar:
    """A bar that adds up what it is told, and knows whether it was closed."""

    def __init__(self, total: int, desc: str) -> None:
        self.total, self.desc, self.done, self.closed = total, desc, 0, False

    def update(self, n: int) -> None:
        assert not self.closed
        self.done += n

    def __enter__(self) -> RecordedBar:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.closed = True


class RecordedProgress:
    """A factory of bars that remembers them."""

    def __init__(self) -> None:
        self.bars: list[RecordedBar] = []

    def __call__(self, *, total: int, desc: str) -> RecordedBar:
        assert all(bar.closed for bar in self.bars), "one stage at a time"
        self.bars.append(RecordedBar(total, desc))
        return self.bars[-1]

    def totals(self) -> list[int]:
        """The stages' totals, all of which were reached and closed."""
        for bar in self.bars:
            assert (bar.done, bar.closed) == (bar.total, True), bar.desc
        return [bar.total for bar in self.bars]


class PlainReader:
    """Describes a face by its mean colour, in all 128 numbers; finds one where that is bright."""

    def __init__(self) -> None:
        self.kept: list[bool] = []

    def describe(
        self,
        images: np.ndarray,
        *,
        keep: bool = True,
        advance: Callable[[int], object] = lambda _number: None,
    ) -> FaceEmbeddings:
        self.kept.append(keep)
        for _ in images:
            advance(1)
        mean = images.reshape(len(images), -1).mean(axis=1) / 255
        return FaceEmbeddings(np.repeat(mean[:, np.newaxis], EMBEDDING, axis=1), mean > 0.5)
