"""The images that complete.py is given: checked, and read in batches."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence

import numpy as np

from dcgan_completion import utils
from dcgan_completion.utils import UserError

logger = logging.getLogger(__name__)


def check_image(path: str, size: int, resize: bool) -> None:
    """Raise UserError if a file is no image, too large, or not of the model's size.

    Only its head is read.
    """
    with utils.open_picture(path) as picture:
        width, height = picture.size
    if (width, height) != (size, size) and not resize:
        raise UserError(
            f"{path}: is {width}x{height}, the model completes {size}x{size}; align photos of "
            f"faces (./align-dlib.py FOLDER align innerEyesAndBottomLip ALIGNED --size {size}), or "
            "crop and scale with --resize"
        )


def load_batches(
    paths: Sequence[str], size: int, channels: int, batch_size: int
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield paths and images, uint8 [N, size, size, channels], N at most `batch_size`.

    Files that cannot be read are logged and left out.
    """

    def readable() -> Iterator[tuple[str, np.ndarray]]:
        for path in paths:
            try:
                image = utils.load_image(path, channels)
            except UserError as error:
                logger.warning("skipped: %s", error)
            else:
                yield path, utils.crop_and_resize(image, size)

    images = readable()
    while batch := list(itertools.islice(images, batch_size)):
        yield [path for path, _ in batch], np.stack([image for _, image in batch])


def select_usable(
    paths: Sequence[str], size: int, resize: bool
) -> tuple[list[str], list[UserError]]:
    """Select the images that can be completed; returns what is wrong with the others, too.

    Raises:
      UserError: none of them can.
    """
    usable, errors = [], []
    for path in paths:
        try:
            check_image(path, size, resize)
            usable.append(path)
        except UserError as error:
            errors.append(error)
    if not usable:
        more = f" (and {len(errors) - 1} more that cannot be used)" if len(errors) > 1 else ""
        raise UserError(f"{errors[0]}{more}")
    return usable, errors
