"""Repair photos: fill in what is missing of the faces in them, at the photos' own size.

Finds the faces, completes each as complete.py does, and puts what was missing back in its place.
Nothing but the hole changes, and the photos themselves stay as they are.

examples:
  ./complete-photo.py photo.jpg --mask hole.png --out-dir repaired
  ./complete-photo.py my-photos --mask my-masks --samples 4 --patch
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dcgan_completion import cli, utils
from dcgan_completion.photos.holes import SOURCES, HoleSettings
from dcgan_completion.settings import options
from dcgan_completion.settings.photos import LANDMARKS, PhotoSettings
from dcgan_completion.settings.search import SearchSettings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.photos.output_folder import PhotoFolder

OF_SEARCH = ("samples", "seed", "precision", "batch_size")
OF_FACE = ("face", "list_faces", "landmarks")
OF_HOLE = ("blend", "no_grain")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="photos, or folders of them")
    grouped = (*OF_SEARCH, *OF_FACE, *OF_HOLE)

    def add(group: argparse._ActionsContainer, settings: Any, names: Sequence[str]) -> None:
        options.add_options(group, settings, settings.default_text, names)

    def others(settings: type) -> list[str]:
        return [f.name for f in options.option_fields(settings) if f.name not in grouped]

    add(parser, PhotoSettings, others(PhotoSettings))
    titles = ("what is missing", "faces", "search")
    hole, face, search = (parser.add_argument_group(title) for title in titles)
    add(hole, HoleSettings, others(HoleSettings))
    add(hole, SearchSettings, OF_HOLE)
    add(hole, PhotoSettings, OF_HOLE)
    add(face, PhotoSettings, OF_FACE)
    add(search, SearchSettings, others(SearchSettings))
    add(search, PhotoSettings, OF_SEARCH)
    return parser


def read_settings(
    argv: Sequence[str] | None,
) -> tuple[PhotoSettings, dict[str, Any], HoleSettings | None]:
    """What the command line says; of the search the options that were given.

    Its other settings depend on whether the model has a context encoder. There is no hole if
    faces are only to be listed and none was given.

    Raises:
      UserError: options contradict each other, or nothing says what is missing.
    """
    args = build_parser().parse_args(argv)
    settings = PhotoSettings.of(args.photos, **options.given_options(args, PhotoSettings))
    search, hole = (options.given_options(args, of) for of in (SearchSettings, HoleSettings))
    SearchSettings.of(samples=settings.samples, **search)
    if settings.list_faces and not any(name in hole for name in SOURCES):
        return settings, search, None
    return settings, search, HoleSettings.of(**hole)


def list_faces(
    settings: PhotoSettings, hole: HoleSettings | None, names: dict[str, str], out: PhotoFolder
) -> int:
    """Draws the faces of the photos; returns the exit status."""
    from dcgan_completion.faces.aligner import FaceAligner
    from dcgan_completion.photos import run
    from dcgan_completion.photos.holes import HoleSource
    from dcgan_completion.photos.repair import TaskMaker

    holes = None
    if hole is not None and hole.in_square is None:
        holes = HoleSource.of(hole, list(names), settings.photos)
    maker = TaskMaker(settings, holes, FaceAligner(LANDMARKS, 64))
    folder, failed = os.path.join(out.path, run.FACES), []
    for line in run.draw_faces(names, maker, folder, settings.overwrite, failed):
        print(line)
    return run.tell_failed(failed)


def repair(
    settings: PhotoSettings,
    asked: dict[str, Any],
    hole: HoleSettings,
    names: dict[str, str],
    out: PhotoFolder,
) -> int:
    """Repairs the photos by a model; returns the exit status."""
    from dcgan_completion import checkpoints
    from dcgan_completion.completion import run as completion_run
    from dcgan_completion.devices import Precision
    from dcgan_completion.faces.aligner import FaceAligner
    from dcgan_completion.photos import run
    from dcgan_completion.photos.holes import HoleSource
    from dcgan_completion.photos.repair import TaskMaker
    from dcgan_completion.settings.masks import MaskSettings

    holes = HoleSource.of(hole, list(names), settings.photos)
    precision = Precision.choose(settings.precision)
    path, licence = checkpoints.select_model(settings.checkpoint_dir)
    if licence:
        print(licence)
    model, prefix = checkpoints.load_model(path)
    made_by = checkpoints.describe_choice(settings.checkpoint_dir, prefix)
    masks = hole.in_square or MaskSettings()  # all that a search asks of them: pixels are kept
    samples = settings.samples
    search, encoder, note = completion_run.choose_search(prefix, model, samples, asked, masks)
    size = settings.batch_size or run.default_batch_size(samples, len(names))
    settings = dataclasses.replace(settings, checkpoint_dir=path, batch_size=size)
    maker = TaskMaker(settings, holes, FaceAligner(LANDMARKS, model.image_size), model.channels)

    failed: list[str] = []
    tasks = run.need_one(run.make_tasks(names, maker, out, failed), failed)
    options = completion_run.recorded_options(settings, search, hole, prefix, encoder)
    inputs = run.inputs_of(settings, names, holes)
    precision, config, going_on = completion_run.open_folder(
        out, options, precision, inputs, settings.overwrite
    )
    for line in filter(None, (going_on, note)):
        print(line)
    # What is generated goes back into the photo as it is, and is blended there.
    unblended = dataclasses.replace(search, blend="none")
    completer = completion_run.make_completer(
        model, unblended, encoder, size, samples, precision.used
    )
    with completion_run.told_when_stopped(out, len(names), settings.overwrite):
        for line in run.repair_photos(completer, tasks, names, out, settings, search.blend):
            cli.tell(line)
    completion_run.finish_folder(out, config)
    print(f"{len(out.done)} photos repaired by {made_by}: see {out.path}/final")
    return run.tell_failed(failed)


def main(argv: Sequence[str] | None = None) -> int:
    """Repairs the photos; returns the exit status."""
    settings, asked, hole = read_settings(argv)
    utils.limit_pixels(settings.max_pixels)
    utils.check_writable(settings.out_dir, "--out-dir")

    cli.prepare_tensorflow()
    from dcgan_completion.completion import run as completion_run
    from dcgan_completion.photos import run
    from dcgan_completion.photos.output_folder import PhotoFolder

    out = PhotoFolder(settings.out_dir)
    paths = run.choose_photos(settings.photos, out)
    names = completion_run.names_of_shard(paths, settings.shard)
    if settings.landmarks is not None and len(names) > 1:
        raise UserError(f"--landmarks: is of one photo, and there are {len(names)}; name one")
    if settings.list_faces:
        return list_faces(settings, hole, names, out)
    return repair(settings, asked, hole, names, out)
