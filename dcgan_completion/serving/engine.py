"""What the worker computes: the model, its completers, previews and searches."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dcgan_completion import cli
from dcgan_completion.settings.search import APPROACHES, SEARCHES, SearchSettings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.inpaint.completer import Completer
    from dcgan_completion.inpaint.direct import DirectCompleter
    from dcgan_completion.photos.repair import Task

COMPLETERS = 3  # that are kept: each has compiled functions, and a pool of generated faces
STATES = 10  # of a search, about: each takes as long as an iteration or two
LONGEST = 10  # iterations between two states
MOST_SAMPLES, MOST_ITERATIONS = 8, 10_000


@dataclasses.dataclass(frozen=True)
class Request:
    """How a photo is to be completed.

    Attributes:
      samples: candidates.
      seed: of all that is random.
      approach: of APPROACHES.
      n_iter: iterations; None: the approach's own number.
    """

    samples: int = 1
    seed: int = 0
    approach: str = "auto"
    n_iter: int | None = None


@dataclasses.dataclass(frozen=True)
class Update:
    """Where a search stands.

    Attributes:
      iteration: of all faces together.
      total: number of iterations.
      losses: at the iterations since the last update.
      generated: of the faces' squares, 0..255, float32 [N, samples, S, S, C].
    """

    iteration: int
    total: int
    losses: np.ndarray
    generated: np.ndarray


class Engine:
    """Loads a model and completes by it; all its methods but the properties are for one thread."""

    def __init__(self, checkpoint_dir: str | None) -> None:
        """Loads nothing yet."""
        self._path = checkpoint_dir
        self._completers: collections.OrderedDict[Any, Any] = collections.OrderedDict()
        self._compiled: set[Any] = set()
        self._model: Any = None
        self._encoder: Any = None
        self.image_size = self.channels = 0
        self.note = ""

    @property
    def guided(self) -> bool:
        """Whether there is a context encoder."""
        return self._encoder is not None

    def approaches(self) -> dict[str, int]:
        """The approaches that the model has, with their numbers of iterations; 1: no search."""
        return {
            name: self.settings_of(Request(approach=name)).n_iter if name in SEARCHES else 1
            for name in APPROACHES
            if name != "direct" or self.guided
        }

    def settings_of(self, request: Request) -> SearchSettings:
        """The settings of a search.

        Raises:
          UserError: they contradict each other, or the model.
        """
        if request.approach == "direct" and not self.guided:
            raise UserError("--approach direct: the model has no context encoder")
        guided = request.approach == "auto" and self.guided
        return SearchSettings.of(request.approach, request.samples, guided, n_iter=request.n_iter)

    def has_compiled(self, request: Request) -> bool:
        """Whether such a search can begin at once."""
        return self._key(request) in self._compiled

    def prepare(self) -> Iterator[None]:
        """Loads the model, and compiles what a search by the defaults needs; yields between.

        Raises:
          UserError: there is no such model, or it is damaged.
        """
        cli.prepare_tensorflow()
        from dcgan_completion import checkpoints
        from dcgan_completion.devices import Precision
        from dcgan_completion.inpaint.direct import load_encoder_for

        yield
        path, self.note = checkpoints.select_model(self._path)
        model, prefix = checkpoints.load_model(path)
        yield
        if folder := checkpoints.encoder_folder(prefix):
            self._encoder = load_encoder_for(model, folder)
        self._precision = Precision.choose("auto").used
        self._model, self.channels = model, model.channels
        self.image_size = model.image_size  # last: others wait for it
        squares = np.zeros([1, model.image_size, model.image_size, model.channels], np.uint8)
        known = np.ones([*squares.shape[:3], 1], np.float32)
        known[:, squares.shape[1] // 4 : squares.shape[1] // 2] = 0
        yield
        self._estimate(squares, known)
        yield
        for iteration, *_ in self._states(squares, known, Request()):
            yield
            if iteration:
                break  # all is compiled
        self._compiled.add(self._key(Request()))

    def preview(self, task: Task) -> np.ndarray | None:
        """The context encoder's estimate of a task's faces, if there is one."""
        return self._estimate(task.squares, task.known)

    def search(self, task: Task, request: Request) -> Iterator[Update]:
        """Completes the faces of a task, one after the other; yields as it goes on.

        Raises:
          UserError: memory does not suffice.
        """
        import tensorflow as tf

        first = self._estimate(task.squares, task.known)
        if first is None:
            first = np.full([len(task.squares), 1, *task.squares.shape[1:]], 127.5, np.float32)
        generated = np.repeat(first, request.samples, axis=1)
        faces = len(task.squares)
        try:
            for i in range(faces):
                part = slice(i, i + 1)
                for iteration, total, losses, found in self._states(
                    task.squares[part], task.known[part], request
                ):
                    generated = generated.copy()
                    generated[part] = found
                    yield Update(i * total + iteration, faces * total, losses, generated)
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise UserError(
                "memory does not suffice for this search; ask for fewer candidates"
            ) from error
        self._compiled.add(self._key(request))

    def _key(self, request: Request) -> Any:
        return request.approach, request.samples

    def _completer(self, request: Request) -> Completer | DirectCompleter:
        """As complete-photo.py makes it; the last COMPLETERS are kept."""
        key, settings = self._key(request), self.settings_of(request)
        if key not in self._completers:
            self._completers[key] = self._make_completer(request, settings)
            while len(self._completers) > COMPLETERS:
                self._compiled.discard(self._completers.popitem(last=False)[0])
        self._completers.move_to_end(key)
        completer = self._completers[key]
        if request.approach in SEARCHES and completer.settings.n_iter != settings.n_iter:
            return completer.with_iterations(settings.n_iter)
        return completer

    def _make_completer(
        self, request: Request, settings: SearchSettings
    ) -> Completer | DirectCompleter:
        from dcgan_completion.completion import run as completion_run

        # What is generated goes back into the photo as it is, and is blended there.
        search = dataclasses.replace(settings, blend="none")
        encoder = self._encoder if request.approach in ("auto", "direct") else None
        place = 1, request.samples, self._precision
        completer = completion_run.make_completer(self._model, search, encoder, *place)
        others = (one for (name, _), one in self._completers.items() if name == request.approach)
        if request.approach in SEARCHES and (other := next(others, None)):
            completer.share_pool(other)
        return completer

    def _estimate(self, squares: np.ndarray, known: np.ndarray) -> np.ndarray | None:
        from dcgan_completion.masks.mask import Mask
        from dcgan_completion.photos import run

        if not self.guided:
            return None
        direct = self._completer(Request(approach="direct"))
        return run.estimated(direct, squares, Mask(known))

    def _states(
        self, squares: np.ndarray, known: np.ndarray, request: Request
    ) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        """Iteration, their number, losses since the last state, and what was generated."""
        from dcgan_completion.masks.mask import Mask
        from dcgan_completion.photos import run

        completer, mask = self._completer(request), Mask(known)
        if request.approach not in SEARCHES:
            yield 1, 1, np.empty(0), run.estimated(completer, squares, mask)
            return
        total = completer.settings.n_iter
        interval = min(max(1, total // STATES), LONGEST)
        for state in completer.states(squares, mask, request.seed, interval):
            yield state.iteration, total, state.history[:, 0], run.generated_by(state)
