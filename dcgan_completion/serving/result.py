"""What a search has found for a photo, as pictures of it."""

from __future__ import annotations

import secrets
import threading

import numpy as np

from dcgan_completion.masks.boxes import Crop
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.layers import layer_of
from dcgan_completion.photos.repair import repair
from dcgan_completion.photos.task import Task
from dcgan_completion.serving import pictures


class Result:
    """What a search has found for a photo.

    Attributes:
      id: by which its page names it.
      task: what was completed.
      candidates: 0..255, float32 [faces, samples, S, S, C].
      seed: of the grain.
    """

    def __init__(self, task: Task, candidates: np.ndarray, seed: int) -> None:
        """Repair nothing yet."""
        self.id = secrets.token_urlsafe(12)
        self.task, self.candidates, self.seed = task, candidates, seed
        self._lock = threading.Lock()
        self._last: tuple[int, Photo] | None = None

    def photo(self, rank: int) -> Photo:
        """Repair the photo by a candidate; the best has rank 0."""
        with self._lock:
            if self._last is None or self._last[0] != rank:
                self._last = None  # never two large photos
                self._last = rank, repair(self.task, self.candidates[:, rank], "smooth", self.seed)
            return self._last[1]

    def picture(self, rank: int, kind: str) -> tuple[list[int], bytes]:
        """Draw a candidate as PNG; give its box in the photo, too: left, top, width, height.

        Args:
          rank: from 0.
          kind: `photo`, `layer`, both of the photo's size, `hole`, the layer around the hole,
            `thumbnail`, a small picture.
        """
        after, hole = self.photo(rank), self.task.mask.plane
        crop: Crop = slice(0, hole.shape[0]), slice(0, hole.shape[1])
        if kind == "photo":
            data = pictures.png(after)
        elif kind == "layer":
            data = pictures.png(layer_of(after, hole))
        elif kind == "thumbnail":
            crop, data = self.task.crop, pictures.thumbnail(after, self.task.crop)
        else:
            crop, data = pictures.hole_layer(after, hole)
        return pictures.box_of(crop), data
