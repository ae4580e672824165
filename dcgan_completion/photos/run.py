"""A run of complete-photo.py: its photos, and the loop over them, several faces at a time."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from dcgan_completion import cli, utils
from dcgan_completion.completion import input_images
from dcgan_completion.faces import detection
from dcgan_completion.faces.detection import FoundFace
from dcgan_completion.inpaint.completer import Completer, Completion
from dcgan_completion.inpaint.direct import DirectCompleter
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.holes import HoleSource
from dcgan_completion.photos.output_folder import FaceReport, HoleReport, PhotoFolder
from dcgan_completion.photos.repair import Task, TaskMaker, repair, width_of
from dcgan_completion.settings.photos import PhotoSettings
from dcgan_completion.utils import UserError

BATCH = 16  # samples of a batch without --batch-size, at most: few photos need not be padded to it
HELD_PIXELS = 50_000_000  # of the photos that are in memory at a time, but for one alone
FACES = "faces-found"  # in the output folder: for the pictures of --list-faces


def choose_photos(given: Sequence[str], out: PhotoFolder) -> list[str]:
    """Paths of the photos, without those in folders that an earlier run has written itself.

    Raises:
      UserError: as `input_images.list_inputs`, or none is left.
    """
    named = {path for path in given if not os.path.isdir(path)}
    drawn = os.path.realpath(os.path.join(out.path, FACES)) + os.sep

    def is_ours(path: str) -> bool:
        return os.path.realpath(path).startswith(drawn) or out.holds(path)

    paths = input_images.list_inputs(given)
    chosen = [path for path in paths if path in named or not is_ours(path)]
    if not chosen:
        raise UserError(
            f"{given[0]}: holds nothing but results of an earlier run in --out-dir {out.path}"
        )
    return chosen


def inputs_of(settings: PhotoSettings, names: Mapping[str, str], holes: HoleSource) -> list[str]:
    """Paths of all files that a run reads, which must not be lost."""
    files = [*names, *(holes.files or {}).values()]
    return files + ([settings.landmarks] if settings.landmarks else [])


def default_batch_size(samples: int, photos: int) -> int:
    """Faces of a batch without --batch-size, from the samples of each and the photos in all."""
    return min(max(1, BATCH // samples), photos)


def draw_faces(
    paths: Mapping[str, str], maker: TaskMaker, folder: str, overwrite: bool, failed: list[str]
) -> Iterator[str]:
    """Writes pictures of photos with the faces found in them; yields a line about each.

    Args:
      paths: of the photos -> output name without extension.
      maker: finds the faces.
      folder: for the pictures.
      overwrite: replace what is there.
      failed: what is wrong with photos is added to it.

    Raises:
      UserError: a picture is there, or is one of the photos.
    """
    places = {path: os.path.join(folder, f"{name}.png") for path, name in paths.items()}
    ours = {os.path.realpath(path) for path in paths}
    for place in places.values():
        if os.path.realpath(place) in ours or (os.path.lexists(place) and not overwrite):
            raise UserError(
                f"{place}: is there; name another --out-dir, or replace it with "
                "--overwrite, unless it is one of the photos"
            )
    for path, place in places.items():
        try:
            photo, found = maker.find(path)
        except UserError as error:
            failed.append(str(error))
            continue
        os.makedirs(folder, exist_ok=True)
        utils.save_image(place, detection.draw_faces(photo.as_rgb8(), found))
        plural = "" if len(found) == 1 else "s"
        yield f"{paths[path]}: {len(found)} face{plural}, see {place}"


def make_tasks(
    paths: Iterable[str], maker: TaskMaker, out: PhotoFolder, failed: list[str]
) -> Iterator[Task]:
    """The tasks of photos that are not done yet; what is wrong with others is added to `failed`."""
    for path in paths:
        if path not in out.done:
            try:
                task = maker.make(path)
            except UserError as error:
                failed.append(str(error))
            else:
                yield task


def need_one(tasks: Iterator[Task], failed: Sequence[str]) -> Iterator[Task]:
    """The same tasks, once it is certain that there is one.

    Raises:
      UserError: there is none, since none of the photos can be repaired.
    """
    first = next(tasks, None)
    if first is not None:
        return itertools.chain([first], tasks)
    more = f" (and {len(failed) - 1} more that cannot be repaired)" if len(failed) > 1 else ""
    raise UserError(failed[0] + more)


def groups_of(tasks: Iterator[Task], faces: int) -> Iterator[list[Task]]:
    """Tasks whose faces are completed together: of as many faces, and HELD_PIXELS, or one alone."""
    group: list[Task] = []
    for task in tasks:
        together = [*group, task]
        if group and (
            sum(len(t.faces) for t in together) > faces
            or sum(t.hole.missing.size for t in together) > HELD_PIXELS
        ):
            yield group
            together = [task]
        group = together
    if group:
        yield group


def generate(
    completer: Completer | DirectCompleter, group: Sequence[Task], seed: int
) -> np.ndarray:
    """What the holes of all faces are filled from, 0..255, float32 [N, samples, S, S, C].

    As it was generated: it is blended at the photos' resolution.
    """
    squares = np.concatenate([task.squares for task in group])
    mask = Mask(np.concatenate([task.known for task in group]))
    try:
        if isinstance(completer, DirectCompleter):
            return estimated(completer, squares, mask)
        return generated_by(completer.complete(squares, mask, seed))
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise UserError(
            f"--batch-size {completer.batch_size}: memory does not suffice for so many faces at a "
            "time; lower it, or --samples or --average"
        ) from error


def estimated(completer: DirectCompleter, squares: np.ndarray, mask: Mask) -> np.ndarray:
    """A context encoder's estimates as `generate` gives them."""
    return completer.source(squares, mask)[:, np.newaxis]


def generated_by(completion: Completion) -> np.ndarray:
    """What a search has made of the squares, as `generate` gives it."""
    return completion.samples_source.astype(np.float32)


def repair_photos(
    completer: Completer | DirectCompleter,
    tasks: Iterator[Task],
    names: Mapping[str, str],
    out: PhotoFolder,
    settings: PhotoSettings,
    blend: str,
) -> Iterator[str]:
    """Repairs photos into the output folder; yields a line about each.

    Args:
      completer: has the batch size, and what completes.
      tasks: of the photos; those that are done in `out` by now are left out.
      names: path -> output name.
      out: has been started or resumed.
      settings: of the photos.
      blend: of BLENDS; see `blending.fill`.

    Raises:
      UserError: memory does not suffice.
    """
    new = (task for task in tasks if task.path not in out.done)
    with cli.progress_bar(total=len(names), initial=len(out.done), unit="photo") as bar:
        for group in groups_of(new, completer.batch_size):
            start = time.monotonic()
            generated = generate(completer, group, settings.seed)
            searched = (time.monotonic() - start) / len(generated)
            for task in group:
                own, generated = np.split(generated, [len(task.faces)])
                task = dataclasses.replace(task, seconds=task.seconds + searched * len(own))
                finish(task, own, names[task.path], out, settings, blend)
                bar.update()
                yield f"{names[task.path]}: {describe(task)}"
    out.write_contact_sheet(names)


def finish(
    task: Task,
    generated: np.ndarray,
    name: str,
    out: PhotoFolder,
    settings: PhotoSettings,
    blend: str,
) -> None:
    """Places what was generated for a photo back, and writes all that there is about it.

    Args:
      task: of the photo.
      generated: of its faces, as `generate` gives it.
      name: of the output.
      out, settings, blend: as for `repair_photos`.
    """
    start = time.monotonic()

    def version(rank: int) -> Photo:
        grain = not settings.no_grain
        return repair(task, generated[:, rank], blend, settings.seed, with_grain=grain)

    after = version(0)
    if settings.samples > 1:
        versions = itertools.chain([after], map(version, range(1, settings.samples)))
        out.write_samples(name, task.photo, versions, settings.format, task.crop)
    if settings.patch:
        out.write_patch(name, after, task.hole.missing)
    faces = [
        face_report(number, face) for number, face in zip(task.numbers, task.faces, strict=True)
    ]
    missing, inpainted = (int(np.count_nonzero(a)) for a in (task.missing, task.inpainted))
    share, seconds = inpainted / missing, task.seconds + time.monotonic() - start
    hole = HoleReport(missing, 1 - share, share, seconds)
    out.finish_photo((task.path, name), task.photo, after, settings.format, faces, hole)


def face_report(number: int, face: FoundFace) -> FaceReport:
    """What the report says of a face with that number."""
    left, top, right, bottom = map(round, face.box)
    box = None if face.how == detection.GIVEN else (left, top, right - left, bottom - top)
    place = face.landmarks, face.matrix, width_of(face), face.size
    return FaceReport(number, face.how, face.score, box, *place)


def describe(task: Task) -> str:
    """What the user is told of a photo's faces."""
    told = [f"face {width_of(face)} pixels wide, completed at {face.size}" for face in task.faces]
    told += [
        f"the hole touches face {number}, too: inpainted there, since --face leaves it out"
        for number in task.left_out
    ]
    return "; ".join(told)


def tell_failed(failed: Sequence[str]) -> int:
    """Names what is wrong with photos on stderr; returns the exit status."""
    for message in failed:
        cli.say(f"skipped: {message}")
    return 1 if failed else 0
