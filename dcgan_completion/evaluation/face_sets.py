"""Sets of faces on disk, real ones and training faces: listed, kept apart, loaded."""

from __future__ import annotations

import collections
import hashlib
import os
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from dcgan_completion import utils
from dcgan_completion.utils import UserError

MIN_REAL = 4  # real faces, for a Frechet distance with an error


class FaceSets(NamedTuple):
    """Paths of the faces that a generator is scored by.

    Attributes:
      real: faces that it was not trained on.
      training: those that it was trained on; may be empty.
    """

    real: list[str]
    training: list[str]


def evenly_spaced(items: Sequence[Any], number: int | None) -> list[Any]:
    """Choose `number` of the items in equal steps from the first one on; all if there are fewer."""
    if number is None or number >= len(items):
        return list(items)
    return [items[i * len(items) // number] for i in range(number)]


def load_faces(paths: Sequence[str], size: int, channels: int) -> np.ndarray:
    """Load images of the model's size, uint8 [N, size, size, channels].

    Raises:
      UserError: a file is no image, too large to be read, or of another size.
    """
    images = np.empty([len(paths), size, size, channels], np.uint8)
    for place, path in zip(images, paths, strict=True):
        image = utils.load_image(path, channels)
        if image.shape != place.shape:
            height, width = image.shape[:2]
            raise UserError(
                f"{path}: is {width}x{height}, the model makes {size}x{size}; align photos of "
                f"faces (./align-dlib.py FOLDER align innerEyesAndBottomLip ALIGNED --size {size})"
            )
        place[:] = image
    return images


def list_faces(folders: Sequence[str], flag: str, only: Set[str], without: Set[str]) -> list[str]:
    """List the images below some folders, each file once.

    Args:
      folders: in the order of the result.
      flag: the option that names them.
      only: files to take, by their names or their paths below their folder; empty for all.
      without: files to leave out, by the same or by their real paths.

    Raises:
      UserError: a folder cannot be read, or no image is left.
    """
    paths: dict[str, str] = {}  # by real path
    for folder in folders:
        utils.check_folder(folder, flag)
        for path in utils.list_images(folder):
            real = os.path.realpath(path)
            names = {os.path.relpath(path, folder), os.path.basename(path)}
            if (not only or names & only) and not (names | {real}) & without:
                paths.setdefault(real, path)
    if not paths:
        which = (
            " that --holdout lists"
            if only
            else " besides those that are held out"
            if without
            else ""
        )
        raise UserError(f"{flag} {folders[0]}: holds no images{which}")
    return list(paths.values())


def list_completed(folder: str, limit: int | None, out: str) -> list[str]:
    """List the faces to complete below a folder, all or `limit` evenly spaced ones.

    None is below `out`, the folder of the results.

    Raises:
      UserError: there is none.
    """
    paths = utils.list_images(folder, skip=[os.path.realpath(out)])
    if not paths:
        raise UserError(f"{folder}: holds no images ({', '.join(utils.IMAGE_SUFFIXES)})")
    return evenly_spaced(paths, limit)


def list_sets(real: Sequence[str], training: Sequence[str], holdout: str | None) -> FaceSets:
    """List real faces to compare with, and those that a model was trained on.

    Args:
      real, training: folders.
      holdout: path of a list of file names. Only real faces that it names are taken; faces that it
        names, and real faces, are not taken for training faces.

    Raises:
      UserError: as `list_faces` and `utils.read_names`, or fewer than 4 real faces.
    """
    names = utils.read_names(holdout, "--holdout") if holdout else set()
    paths = list_faces(real, "--real", names, set())
    if len(paths) < MIN_REAL:
        raise UserError(f"--real {real[0]}: {len(paths)} faces are too few to compare with")
    if not training:
        return FaceSets(paths, [])
    held_out = names | {os.path.realpath(path) for path in paths}
    return FaceSets(paths, list_faces(training, "--training", set(), held_out))


def list_linear(folders: Sequence[str], holdout: str | None, completed: Sequence[str]) -> list[str]:
    """List the faces that the linear estimate is fitted to.

    Args:
      folders: in the order of the result.
      holdout: path of a list of file names, which are left out.
      completed: faces that are evaluated.

    Raises:
      UserError: as `list_faces` and `utils.read_names`, or a face is among those that are
        completed: the same file, or one of the same content.
    """
    names = utils.read_names(holdout, "--holdout") if holdout else set()
    paths = list_faces(folders, "--linear", set(), names)
    real = {os.path.realpath(path): path for path in completed}
    by_size: dict[int, dict[bytes, str]] = collections.defaultdict(dict)
    for path in completed:
        by_size[os.path.getsize(path)][_digest(path)] = path
    for path in paths:
        utils.check_regular(path)
        twin = real.get(os.path.realpath(path))
        if not twin and (alike := by_size.get(os.path.getsize(path))):
            twin = alike.get(_digest(path))
        if twin:
            raise UserError(
                f"--linear: {path} is a face to complete ({twin}), which the estimate must not "
                "know; list its name in --holdout FILE, or take it out of the folder"
            )
    return paths


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
