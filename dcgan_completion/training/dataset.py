"""Folders of images as batches whose content is a function of (seed, step)."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dcgan_completion.utils import UserError, crop_and_resize, list_images, load_image

logger = logging.getLogger(__name__)

# Purposes of random numbers; with the seed, each gives a stream of its own.
SUBSET = 0  # which files are used
ORDER = 1  # the files' order in the first epoch; in epoch n (from 0): ORDER + n
PREFETCH = 4  # batches that are decoded while the networks train
DEFAULT_CACHE = 2**31  # bytes: 170,000 colour images of 64 pixels


class ImageFolders:
    """The images below some folders, decoded when they are needed, and cached if they all fit.

    Every epoch goes through all files once, in its own order, and drops the last ones if they do
    not fill a batch. The batch of a step depends on the list of files, the seed and the step alone.
    A file that cannot be read is replaced by the next readable one in that epoch's order; a warning
    in the log names it once.

    Attributes:
      files: paths, in the order of their folders and sorted below each.
      held_out: paths of the files left out, in the same order.
      identity: a hash of the paths relative to their folders and of the files' sizes, the same
        wherever the folders are.
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
        holdout: Collection[str] = (),
        cache_bytes: int = DEFAULT_CACHE,
    ) -> None:
        """List the files; decode none.

        Args:
          train_size: use this many of the files, drawn once by the seed; None for all.
          holdout: files to leave out, by their names or their paths below their folder.
          cache_bytes: keep the decoded images in memory if they need no more than this.

        Raises:
          UserError: a folder holds no image, there are fewer images than a batch, or no file has a
            name in `holdout`.
          ValueError: batch_size is below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}: must be 1 or more")
        self.files, self.held_out, self.identity = _list_files(folders, holdout)
        if train_size is not None and train_size < len(self.files):
            rng = np.random.default_rng([seed, SUBSET])
            chosen = rng.permutation(len(self.files))[:train_size]
            self.files = [self.files[i] for i in sorted(chosen)]
        self.image_size, self.channels = image_size, channels
        self.batch_size, self.seed = batch_size, seed
        self._unreadable: set[int] = set()
        self._lock = threading.Lock()
        self._check_number()
        self._order_of: tuple[int, np.ndarray] = (-1, np.empty(0))
        shape = (len(self.files), image_size, image_size, channels)
        self._cache: np.ndarray | None = None
        if np.prod(shape, dtype=np.int64) <= cache_bytes:
            # Not touched until an image is written to it, so that memory grows as needed.
            self._cache = np.empty(shape, np.uint8)
            self._cached = np.zeros(len(self.files), bool)

    def _check_number(self) -> None:
        readable = len(self.files) - len(self._unreadable)
        if readable < self.batch_size:
            kind = "readable images" if self._unreadable else "images"
            raise UserError(
                f"--dataset: {readable} {kind} are fewer than a batch of {self.batch_size}; add "
                "images or lower --batch-size"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass over all files."""
        return len(self.files) // self.batch_size

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of the files in `epoch` (from 0): a permutation of their indices."""
        if self._order_of[0] != epoch:
            rng = np.random.default_rng([self.seed, ORDER + epoch])
            self._order_of = epoch, rng.permutation(len(self.files))
        return self._order_of[1]

    def _load(self, path: str) -> np.ndarray:
        """Decode a file, uint8 [S, S, C]; raise UserError if it cannot be read."""
        return crop_and_resize(load_image(path, self.channels), self.image_size)

    def _unmoved(self, image: np.ndarray) -> np.ndarray:
        """Return a decoded image as it is validated on, [S, S, planes]."""
        return image

    @property
    def _planes(self) -> int:
        """Planes of an image: its channels, and what else a batch has of it."""
        return self.channels

    def _image(self, number: int) -> np.ndarray | None:
        """Return a file's pixels, from the cache if they are in it; None if it cannot be read."""
        if self._cache is not None and self._cached[number]:
            return self._cache[number]
        if number not in self._unreadable:
            try:
                image = self._load(self.files[number])
            except UserError as error:
                with self._lock:  # two threads may have read it
                    if number not in self._unreadable:
                        self._unreadable.add(number)
                        logger.warning("skipped: %s", error)
            else:
                if self._cache is not None:
                    self._cache[number] = image
                    self._cached[number] = True  # last: other threads may look
                return image
        self._check_number()
        return None

    def _image_from(self, order: np.ndarray, position: int) -> np.ndarray:
        """Return the first readable image at or after `position` of `order`, cyclically."""
        while (image := self._image(order[position])) is None:
            position = (position + 1) % len(order)
        return image

    def check_readable(self) -> None:
        """Raise UserError if fewer images than a batch can be read; decode no more than a batch."""
        wanted = self.batch_size
        for number in self.order(0):
            wanted -= self._image(number) is not None
            if not wanted:
                return

    def load_held_out(self, number: int) -> np.ndarray:
        """Load at most `number` held-out files, spread evenly over all: uint8 [N, S, S, C].

        Those that cannot be read are logged and left out.
        """
        number = min(number, len(self.held_out))
        images = []
        for i in range(number):
            try:
                path = self.held_out[i * len(self.held_out) // number]
                images.append(self._unmoved(self._load(path)))
            except UserError as error:
                logger.warning("skipped: %s", error)
        shape = [len(images), self.image_size, self.image_size, self._planes]
        return np.reshape(np.array(images, np.uint8), shape)

    def batch(self, step: int, share: slice = slice(None)) -> np.ndarray:
        """Load the images of `step` (from 0), or a share of them: uint8 [batch_size, S, S, C].

        Raises:
          UserError: fewer images than a batch can be read.
        """
        epoch, index = divmod(step, self.steps_per_epoch)
        order, first = self.order(epoch), index * self.batch_size
        places = range(first, first + self.batch_size)[share]
        return np.stack([self._image_from(order, place) for place in places])

    def batches(self, first: int, last: int, share: slice = slice(None)) -> Iterator[np.ndarray]:
        """Yield the batches of steps first .. last - 1, prefetched on all cores."""
        pending: deque[Future[np.ndarray]] = deque()
        pool = ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, PREFETCH))
        try:
            for step in range(first, last):
                pending.append(pool.submit(self.batch, step, share))
                if len(pending) > PREFETCH:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _file_size(path: str) -> int:
    """Return the bytes in a file; 0 for a broken link, which is reported when it is read."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _list_files(
    folders: Sequence[str], holdout: Collection[str]
) -> tuple[list[str], list[str], str]:
    """List the files below the folders, and those held out; hash the identity of the former."""
    files: list[str] = []
    held_out: list[str] = []
    identity, unused = hashlib.sha256(), set(holdout)
    for folder in folders:
        found = list_images(folder)
        if not found:
            raise UserError(
                f"--dataset {folder}: holds no images; name a folder of images (PNG, JPEG, WebP, "
                "BMP, TIFF, JPEG 2000, PNM), such as one that ./align-dlib.py wrote"
            )
        prefix = len(os.path.join(folder, ""))
        for path in found:
            relative = path[prefix:]
            if holdout and (names := {relative, os.path.basename(path)}.intersection(holdout)):
                unused -= names
                held_out.append(path)
                continue
            identity.update(os.fsencode(f"{relative}\0{_file_size(path)}\n"))
            files.append(path)
    if unused:
        others = f" (nor are {len(unused) - 1} other names)" if len(unused) > 1 else ""
        raise UserError(
            f"--holdout: {min(unused)} is not among the images of --dataset{others}; list one file "
            "name per line"
        )
    return files, held_out, identity.hexdigest()
