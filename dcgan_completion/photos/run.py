"""A run of complete-photo.py: its photos, and the loop over them, with batches of faces."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from dcgan_completion import cli, inputs, utils
from dcgan_completion.faces import detection
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.masks import PhotoMaskSource
from dcgan_completion.photos.output_folder import PhotoFolder
from dcgan_completion.photos.photo_inpainter import PhotoSearch
from dcgan_completion.photos.repair import repair
from dcgan_completion.photos.task import Task, TaskMaker, detail_of
from dcgan_completion.settings.photos import GRAIN, TRANSFER, PhotoSettings
from dcgan_completion.utils import UserError

BATCH = 16  # candidates of a batch without --batch-size, at most: a few photos need no padding
MAX_PIXELS = 50_000_000  # of the photos in memory at a time, unless one alone is larger
FACES = "faces-found"  # folder in the output folder for the pictures of --list-faces

logger = logging.getLogger(__name__)


def choose_photos(given: Sequence[str], out: PhotoFolder) -> list[str]:
    """List the photos, without results of an earlier run in folders that were given.

    Raises:
      UserError: as `inputs.list_inputs`, or none is left.
    """
    named = {path for path in given if not os.path.isdir(path)}
    drawn = os.path.realpath(os.path.join(out.path, FACES)) + os.sep

    def is_ours(path: str) -> bool:
        return os.path.realpath(path).startswith(drawn) or out.holds(path)

    paths = inputs.list_inputs(given)
    chosen = [path for path in paths if path in named or not is_ours(path)]
    if not chosen:
        raise UserError(
            f"{given[0]}: holds nothing but results of an earlier run in --out-dir {out.path}"
        )
    return chosen


def inputs_of(
    settings: PhotoSettings, names: Mapping[str, str], masks: PhotoMaskSource
) -> list[str]:
    """List all files that a run reads, which must not be lost."""
    files = [*names, *(masks.files or {}).values()]
    return files + ([settings.landmarks] if settings.landmarks else [])


def with_detail(settings: PhotoSettings, out: PhotoFolder) -> PhotoSettings:
    """Choose what makes faces sharp, where the command leaves it open.

    A run that an earlier version began, which knew only grain, ends as it began.

    Raises:
      UserError: as `ResumableFolder.unfinished_options`.
    """
    if settings.detail is not None:
        return settings
    earlier = out.unfinished_options(settings.overwrite)
    old = earlier is not None and "detail" not in earlier
    return dataclasses.replace(settings, detail=GRAIN if old else TRANSFER)


def default_batch_size(samples: int, photos: int) -> int:
    """Choose the number of faces in a batch, for a number of samples of each and of photos."""
    return min(max(1, BATCH // samples), photos)


def draw_faces(paths: Mapping[str, str], maker: TaskMaker, folder: str, overwrite: bool) -> int:
    """Write pictures of photos (path -> output name) with their faces; return how many failed.

    Raises:
      UserError: a picture exists already, or is one of the photos.
    """
    places = {path: os.path.join(folder, f"{name}.png") for path, name in paths.items()}
    ours = {os.path.realpath(path) for path in paths}
    for place in places.values():
        if os.path.realpath(place) in ours or (os.path.lexists(place) and not overwrite):
            raise UserError(
                f"{place}: exists already; name another --out-dir, or replace it with "
                "--overwrite, unless it is one of the photos"
            )
    failed = 0
    for path, place in places.items():
        try:
            photo, found = maker.find(path)
        except UserError as error:
            logger.warning("skipped: %s", error)
            failed += 1
            continue
        os.makedirs(folder, exist_ok=True)
        utils.save_image(place, detection.draw_faces(photo.as_rgb8(), found))
        plural = "" if len(found) == 1 else "s"
        logger.info("%s: %d face%s, see %s", paths[path], len(found), plural, place)
    return failed


class Tasks:
    """The tasks of photos that are not done yet, made as they are needed.

    Attributes:
      errors: what is wrong with photos that cannot be repaired.
    """

    def __init__(self, paths: Iterable[str], maker: TaskMaker, out: PhotoFolder) -> None:
        """Make the first task of the photos that are not done in the output folder.

        Raises:
          UserError: none of the photos can be repaired.
        """
        self.errors: list[UserError] = []
        self._tasks = self._make(paths, maker, out)
        first = next(self._tasks, None)
        if first is not None:
            self._tasks = itertools.chain([first], self._tasks)
        elif self.errors:
            others = len(self.errors) - 1
            more = f" (and {others} more that cannot be repaired)" if others else ""
            raise UserError(f"{self.errors[0]}{more}")

    def _make(self, paths: Iterable[str], maker: TaskMaker, out: PhotoFolder) -> Iterator[Task]:
        for path in paths:
            if path not in out.done:
                try:
                    yield maker.make(path)
                except UserError as error:
                    self.errors.append(error)

    def groups(self, faces: int, done: PhotoFolder) -> Iterator[list[Task]]:
        """Group tasks whose faces are completed together: so many, of MAX_PIXELS; or one task.

        Photos that are done by now are left out.
        """
        group: list[Task] = []
        for task in self._tasks:
            if task.path in done.done:
                continue
            together = [*group, task]
            if group and (
                sum(len(t.faces) for t in together) > faces
                or sum(t.mask.hole.size for t in together) > MAX_PIXELS
            ):
                yield group
                together = [task]
            group = together
        if group:
            yield group


def repair_photos(
    search: PhotoSearch,
    tasks: Tasks,
    names: Mapping[str, str],
    out: PhotoFolder,
    settings: PhotoSettings,
) -> None:
    """Repair photos (path -> output name) into an output folder; log a line about each.

    Raises:
      UserError: out of memory.
    """
    with cli.progress_bar(total=len(names), initial=len(out.done), unit="photo") as bar:
        for group in tasks.groups(search.batch_size, out):
            start = time.monotonic()
            candidates = search.candidates(group, settings.seed)
            searched = (time.monotonic() - start) / sum(map(len, candidates))
            for task, own in zip(group, candidates, strict=True):
                task = dataclasses.replace(task, seconds=task.seconds + searched * len(own))
                finish(task, own, names[task.path], out, settings, search.blend)
                bar.update()
                logger.info("%s: %s", names[task.path], describe(task))
    out.write_contact_sheet(names)


def finish(
    task: Task,
    candidates: np.ndarray,
    name: str,
    out: PhotoFolder,
    settings: PhotoSettings,
    blend: str,
) -> None:
    """Repair a photo from its faces' candidates, float32 [N, K, S, S, C], and write the results."""
    start = time.monotonic()

    def version(rank: int) -> Photo:
        return repair(task, candidates[:, rank], blend, settings.seed, settings.detail or TRANSFER)

    after = version(0)
    if settings.samples > 1:
        versions = itertools.chain([after], map(version, range(1, settings.samples)))
        out.write_samples(task, name, versions, settings.format)
    if settings.patch:
        out.write_patch(name, after, task.mask.plane)
    task = dataclasses.replace(task, seconds=task.seconds + time.monotonic() - start)
    out.finish_photo(task, name, after, settings.format)


def describe(task: Task) -> str:
    """Describe a photo's faces to the user."""
    lines = [detail_of(face) for face in task.faces]
    lines += [
        f"the hole touches face {number}, too: filled by diffusion, since --face leaves it out"
        for number in task.left_out
    ]
    return "; ".join(lines)
