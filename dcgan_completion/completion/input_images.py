"""The images that a completion is given: their paths, the names of their results, their pixels."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence

import numpy as np

from dcgan_completion import utils
from dcgan_completion.utils import UserError


def list_inputs(images: Sequence[str]) -> list[str]:
    """Paths of the inputs: files as given, folders as the images below them, each once.

    Raises:
      UserError: a folder holds no image.
    """
    paths: dict[str, None] = {}
    for path in images:
        if os.path.isdir(path):
            found = utils.list_images(path)
            if not found:
                raise UserError(f"{path}: holds no images ({', '.join(utils.IMAGE_SUFFIXES)})")
            paths.update(dict.fromkeys(found))
        else:
            paths[path] = None
    return list(paths)


def completion_names(paths: Sequence[str]) -> dict[str, str]:
    """An output name without extension for every input: its own, with a folder where needed.

    a/1.png and b/1.png become a-1 and b-1; 1.jpg and 1.png of one folder keep their extension.
    """
    extensions: dict[str, int] = {}
    for path in paths:
        stem = os.path.splitext(os.path.abspath(path))[0]
        extensions[stem] = extensions.get(stem, 0) + 1
    candidates = {}
    for path in paths:
        stem, extension = os.path.splitext(os.path.abspath(path))
        *folders, name = stem.strip(os.sep).split(os.sep)
        if extensions[stem] > 1:
            name = f"{name}-{extension[1:]}"
        prefixes = ["-".join([*folders[i:], name]) for i in range(len(folders), -1, -1)]
        candidates[path] = [*prefixes, f"{prefixes[-1]}-{utils.path_digits(path)}"]
    return utils.unique_names(candidates, taken=())


def check_image(path: str, size: int, resize: bool) -> None:
    """Raises UserError if a file is no image, too large, or not of the model's size.

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
    paths: Sequence[str],
    size: int,
    channels: int,
    batch_size: int,
    failed: list[str],
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yields paths and images, uint8 [N, size, size, channels], N at most `batch_size`.

    What is wrong with files that cannot be read is added to `failed`.
    """

    def readable() -> Iterator[tuple[str, np.ndarray]]:
        for path in paths:
            try:
                image = utils.load_image(path, channels)
            except UserError as error:
                failed.append(str(error))
            else:
                yield path, utils.crop_and_resize(image, size)

    images = readable()
    while batch := list(itertools.islice(images, batch_size)):
        yield [path for path, _ in batch], np.stack([image for _, image in batch])


def select_usable(
    paths: Sequence[str],
    size: int,
    resize: bool,
    failed: list[str],
) -> list[str]:
    """The images that can be completed; what is wrong with the others is added to `failed`.

    Raises:
      UserError: none of them can.
    """
    good = []
    for path in paths:
        try:
            check_image(path, size, resize)
            good.append(path)
        except UserError as error:
            failed.append(str(error))
    if good or len(failed) == 1:
        if not good:
            raise UserError(failed[0])
        return good
    more = f" (and {len(failed) - 1} more that cannot be used)"
    raise UserError(failed[0] + more)
