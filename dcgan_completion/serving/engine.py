"""What the worker computes: previews and searches, by an `Inpainter`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dcgan_completion import cli
from dcgan_completion.settings.search import APPROACHES, SEARCHES, SearchSettings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.inpaint.estimator import Estimator
    from dcgan_completion.inpaint.inpainter import Inpainter
    from dcgan_completion.inpaint.search import LatentSearch
    from dcgan_completion.photos.task import Task

STATES = 10  # of a search, about: each takes as long as an iteration or two
MAX_INTERVAL = 10  # iterations between two states
MAX_SAMPLES, MAX_ITERATIONS = 8, 10_000


@dataclasses.dataclass(frozen=True)
class SearchRequest:
    """How the page asks for a photo to be completed: by options of complete-photo.py."""

    samples: int = 1
    seed: int = 0
    approach: str = "auto"
    n_iter: int | None = None  # the approach's own number


@dataclasses.dataclass(frozen=True, eq=False)
class SearchUpdate:
    """Where a search stands.

    Attributes:
      iteration: of all faces together.
      total: number of iterations.
      losses: at the iterations since the last update.
      candidates: of the faces' squares, 0..255, float32 [N, samples, S, S, C].
    """

    iteration: int
    total: int
    losses: list[float]
    candidates: np.ndarray


class Engine:
    """Loads a model and completes with it; its methods are for one thread.

    Attributes:
      image_size, channels: of the model; 0 until it is loaded.
      guided: whether there is a context encoder.
      approaches: those that the model has, with their numbers of iterations; 1: no search.
    """

    def __init__(self, checkpoint_dir: str | None) -> None:
        """Load nothing yet."""
        self.image_size = self.channels = 0
        self.guided = False
        self.approaches: dict[str, int] = {}
        self._path = checkpoint_dir
        self._inpainter: Inpainter
        self._recent: list[tuple[str, int]] = []  # searches that the inpainter still keeps

    def settings_of(self, request: SearchRequest) -> SearchSettings:
        """Resolve the settings of a search; for any thread.

        Raises:
          UserError: they contradict each other, or the model.
        """
        options = {"approach": request.approach, "n_iter": request.n_iter}
        return self._inpainter.search_settings(options, request.samples)

    def has_compiled(self, request: SearchRequest) -> bool:
        """Tell whether such a search can begin at once; for any thread."""
        return (request.approach, request.samples) in self._recent

    def prepare(self) -> Iterator[None]:
        """Load the model, and compile what a search by the defaults needs; yield between steps.

        Raises:
          UserError: there is no such model, or it is damaged.
        """
        cli.prepare_tensorflow()
        from dcgan_completion import checkpoints
        from dcgan_completion.devices import Precision
        from dcgan_completion.inpaint.inpainter import Inpainter
        from dcgan_completion.masks.mask import Mask

        yield
        model, prefix = checkpoints.load_model(checkpoints.select_model(self._path))
        yield
        self._inpainter = Inpainter(model, prefix, Precision.choose("auto").used)
        self.guided, self.channels = self._inpainter.encoder() is not None, model.channels
        self.image_size = size = model.image_size  # last: others wait for it
        yield
        squares = np.zeros([1, size, size, model.channels], np.uint8)
        hole = np.zeros([1, size, size, 1], bool)
        hole[:, size // 4 : size // 2] = True
        if self.guided:
            self._search(SearchRequest(approach="direct")).complete(squares, Mask(hole), 0)
            yield
        search = self._search(SearchRequest())
        for state in search.states(squares, Mask(hole), 0, _interval(search.iterations)):
            yield
            if state.iteration:
                break  # all is compiled
        self.approaches = {
            name: self.settings_of(SearchRequest(approach=name)).n_iter if name in SEARCHES else 1
            for name in APPROACHES
            if name != "direct" or self.guided
        }

    def preview(self, task: Task) -> np.ndarray:
        """Estimate a task's faces by the context encoder, float32 [N, 1, S, S, C] in 0..255."""
        search = self._search(SearchRequest(approach="direct"))
        return search.complete(task.squares, task.square_mask, 0).images

    def search(self, task: Task, request: SearchRequest) -> Iterator[SearchUpdate]:
        """Complete the faces of a task, one after the other; yield as it goes on.

        Raises:
          UserError: out of memory.
        """
        import tensorflow as tf

        from dcgan_completion.inpaint.candidates import Searched

        search, faces = self._search(request), len(task.faces)
        total = search.iterations
        candidates = np.full([faces, 1, *task.squares.shape[1:]], 127.5, np.float32)
        try:
            candidates = self.preview(task) if self.guided else candidates
            candidates = np.repeat(candidates, request.samples, axis=1)
            for i in range(faces):
                own = task.squares[i : i + 1], task.square_mask[i : i + 1]
                for state in search.states(*own, request.seed, _interval(total)):
                    candidates = candidates.copy()
                    candidates[i] = state.images[0]
                    searched = isinstance(state, Searched)
                    losses = state.history[:, 0].tolist() if searched else []
                    iteration = i * total + state.iteration
                    yield SearchUpdate(iteration, faces * total, losses, candidates)
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise UserError("out of memory; ask for fewer candidates") from error

    def _search(self, request: SearchRequest) -> LatentSearch | Estimator:
        """Make a search for one face at a time."""
        from dcgan_completion.inpaint.inpainter import MAX_SEARCHES

        key = request.approach, request.samples
        self._recent = [*(one for one in self._recent if one != key), key][-MAX_SEARCHES:]
        settings = self.settings_of(request)
        return self._inpainter.search(settings, samples=request.samples, batch_size=1)


def _interval(iterations: int) -> int:
    """Choose the number of iterations between two states."""
    return min(max(1, iterations // STATES), MAX_INTERVAL)
