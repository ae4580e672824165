"""Folders of images as batches whose content is a function of (seed, step)."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from utils import UserError, crop_and_resize, list_images, load_image

BATCHES_AHEAD = 4  # decoded while the networks train; bounds the memory


class ImageFolders:
    """The images below some folders, decoded as they are needed.

    Every epoch goes through all files once, in an order of its own, and drops the rest that
    does not fill a batch. The batch of a step depends on the list of files, the seed and the
    step alone. The place of a file that cannot be read is taken by the next readable one in
    that epoch's order.
    """

    def __init__(
        self,
        folders: Sequence[str],
        *,
        image_size: int,
        channels: int = 3,
        batch_size: int = 64,
        seed: int = 0,
        train_size: int | None = None,
        on_unreadable: Callable[[str], None] = lambda _message: None,
    ) -> None:
        """Lists the files; decodes none.

        Args:
          train_size: use so many of the files, drawn once by the seed; None for all.
          on_unreadable: is told, once a file, why it is skipped; called from any thread.

        Raises:
          UserError: a folder that holds no image, or fewer images than a batch.
        """
        self.files: list[str] = []
        for folder in folders:
            files = list_images(folder)
            if not files:
                raise UserError(
                    f"--dataset {folder}: holds no images (png, jpg, jpeg, webp, bmp); name the "
                    "folder of your pictures, such as the one that ./align-dlib.py wrote"
                )
            self.files += files
        if train_size is not None and train_size < len(self.files):
            chosen = np.random.default_rng([seed, 0]).permutation(len(self.files))[:train_size]
            self.files = [self.files[i] for i in sorted(chosen)]
        self.image_size, self.channels = image_size, channels
        self.batch_size, self.seed = batch_size, seed
        self._on_unreadable = on_unreadable
        self._unreadable: set[int] = set()
        self._lock = threading.Lock()
        self._check_number()
        self._order_of: tuple[int, np.ndarray] = (-1, np.empty(0))

    def _check_number(self) -> None:
        readable = len(self.files) - len(self._unreadable)
        if readable < self.batch_size:
            raise UserError(
                f"--dataset: {readable} readable images are fewer than a batch of "
                f"{self.batch_size}; add images or lower --batch-size"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass over all files."""
        return len(self.files) // self.batch_size

    def order(self, epoch: int) -> np.ndarray:
        """The order of the files in `epoch` (from 0): a permutation of their numbers."""
        if self._order_of[0] != epoch:
            generator = np.random.default_rng([self.seed, 1 + epoch])
            self._order_of = epoch, generator.permutation(len(self.files))
        return self._order_of[1]

    def _decode(self, number: int) -> np.ndarray | None:
        if number not in self._unreadable:
            try:
                image = load_image(self.files[number], self.channels)
                return crop_and_resize(image, self.image_size)
            except UserError as error:
                with self._lock:  # two threads may have read it
                    if number not in self._unreadable:
                        self._unreadable.add(number)
                        self._on_unreadable(str(error))
        self._check_number()
        return None

    def _decode_from(self, order: np.ndarray, position: int) -> np.ndarray:
        """The first readable image at or after `position` of `order`, cyclic."""
        while (image := self._decode(order[position])) is None:
            position = (position + 1) % len(order)
        return image

    def check_readable(self) -> None:
        """Looks for a batch of readable images, before anything depends on it.

        Raises:
          UserError: there are fewer.
        """
        wanted = self.batch_size
        for number in self.order(0):
            wanted -= self._decode(number) is not None
            if not wanted:
                return

    def batch(self, step: int) -> np.ndarray:
        """The images of `step` (from 0): uint8 [batch_size, S, S, C].

        Raises:
          UserError: fewer readable images than a batch are left.
        """
        epoch, index = divmod(step, self.steps_per_epoch)
        return self._batch(self.order(epoch), index)

    def _batch(self, order: np.ndarray, index: int) -> np.ndarray:
        first = index * self.batch_size
        places = range(first, first + self.batch_size)
        return np.stack([self._decode_from(order, place) for place in places])

    def batches(self, first: int, last: int) -> Iterator[np.ndarray]:
        """The batches of steps first .. last - 1, decoded ahead on all cores."""
        pending: deque[Future[np.ndarray]] = deque()
        pool = ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, BATCHES_AHEAD))
        try:
            for step in range(first, last):
                epoch, index = divmod(step, self.steps_per_epoch)
                pending.append(pool.submit(self._batch, self.order(epoch), index))
                if len(pending) > BATCHES_AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
