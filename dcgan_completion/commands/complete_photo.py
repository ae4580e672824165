"""Repair photos: fill in what is missing of the faces in them, at full resolution.

Finds the faces, completes each as complete.py does, and pastes the result back into the hole.
Nothing outside the hole changes (except that --format same encodes a JPEG again), and the photos
themselves are never overwritten.

examples:
  ./complete-photo.py photo.jpg --mask hole.png --out-dir repaired
  ./complete-photo.py my-photos --mask my-masks --samples 4 --patch
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dcgan_completion import cli, inputs, utils
from dcgan_completion.settings import options
from dcgan_completion.settings.photos import (
    LANDMARKS,
    SOURCES,
    PhotoMaskSettings,
    PhotoSettings,
)
from dcgan_completion.settings.search import SearchSettings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.photos.output_folder import PhotoFolder

logger = logging.getLogger(__name__)

OF_SEARCH = ("samples", "seed", "precision", "batch_size")
OF_FACE = ("face", "list_faces", "landmarks")
OF_HOLE = ("blend", "detail", "no_grain")


def build_parser() -> argparse.ArgumentParser:
    """Build the command line."""
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
    add(hole, PhotoMaskSettings, others(PhotoMaskSettings))
    add(hole, SearchSettings, OF_HOLE)
    add(hole, PhotoSettings, OF_HOLE)
    add(face, PhotoSettings, OF_FACE)
    add(search, SearchSettings, others(SearchSettings))
    add(search, PhotoSettings, OF_SEARCH)
    return parser


def read_settings(
    argv: Sequence[str] | None,
) -> tuple[PhotoSettings, dict[str, Any], PhotoMaskSettings | None]:
    """Read the settings; of the search only the options that were given.

    Its defaults depend on whether the model has a context encoder. The mask is None if faces are
    only to be listed and none was given.

    Raises:
      UserError: options contradict each other, or nothing says what is missing.
    """
    args = build_parser().parse_args(argv)
    settings = PhotoSettings.of(args.photos, **options.given_options(args, PhotoSettings))
    search, hole = (options.given_options(args, of) for of in (SearchSettings, PhotoMaskSettings))
    # Whether `direct` makes several samples depends on the model.
    checked = 1 if search.get("approach") == "direct" else settings.samples
    SearchSettings.of(samples=checked, **search)
    if settings.list_faces and not any(name in hole for name in SOURCES):
        return settings, search, None
    return settings, search, PhotoMaskSettings.of(**hole)


def list_faces(
    settings: PhotoSettings,
    mask: PhotoMaskSettings | None,
    names: dict[str, str],
    out: PhotoFolder,
) -> int:
    """Draw the faces of the photos; return the exit status."""
    from dcgan_completion.faces.aligner import FaceAligner
    from dcgan_completion.photos import run
    from dcgan_completion.photos.masks import PhotoMaskSource
    from dcgan_completion.photos.task import TaskMaker

    masks = None
    if mask is not None and mask.in_square is None:
        masks = PhotoMaskSource.of(mask, list(names), settings.photos)
    maker = TaskMaker(settings, masks, FaceAligner(LANDMARKS, 64))
    folder = os.path.join(out.path, run.FACES)
    return 1 if run.draw_faces(names, maker, folder, settings.overwrite) else 0


def repair(
    settings: PhotoSettings,
    given: dict[str, Any],
    mask: PhotoMaskSettings,
    names: dict[str, str],
    out: PhotoFolder,
) -> int:
    """Repair the photos by a model; return the exit status."""
    from dcgan_completion import checkpoints, resuming
    from dcgan_completion.devices import Precision
    from dcgan_completion.faces.aligner import FaceAligner
    from dcgan_completion.inpaint.inpainter import Inpainter
    from dcgan_completion.photos import run
    from dcgan_completion.photos.masks import PhotoMaskSource
    from dcgan_completion.photos.photo_inpainter import PhotoInpainter, head_size_of
    from dcgan_completion.photos.task import TaskMaker

    settings = run.with_detail(settings, out)
    masks = PhotoMaskSource.of(mask, list(names), settings.photos)
    precision = Precision.choose(settings.precision)
    path = checkpoints.select_model(settings.checkpoint_dir)
    inpainter = Inpainter(*checkpoints.load_model(path), precision.used)
    used = checkpoints.describe_choice(settings.checkpoint_dir, inpainter.prefix)
    samples = settings.samples
    photo_inpainter = PhotoInpainter(inpainter)
    search, heads = photo_inpainter.settings(given, samples), photo_inpainter.head_encoder(given)
    size = settings.batch_size or run.default_batch_size(samples, len(names))
    settings = dataclasses.replace(settings, checkpoint_dir=path, batch_size=size)
    aligner = FaceAligner(LANDMARKS, inpainter.image_size)
    maker = TaskMaker(settings, masks, aligner, inpainter.channels, head_size=head_size_of(heads))
    tasks = run.Tasks(names, maker, out)
    encoder = inpainter.encoder_of(search) if heads is None else None
    recorded = resuming.recorded_options(settings, search, mask, inpainter.prefix, encoder, heads)
    files = run.inputs_of(settings, names, masks)
    with resuming.resumable_run(
        out, recorded, precision, files, len(names), settings.overwrite
    ) as precision:
        found = photo_inpainter.search(given, samples, size, precision.used)
        run.repair_photos(found, tasks, names, out, settings)
    print(f"{len(out.done)} photos repaired by {used}: see {out.path}/final")
    for error in tasks.errors:
        logger.warning("skipped: %s", error)
    return 1 if tasks.errors else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Repair the photos; return the exit status."""
    settings, given, mask = read_settings(argv)
    utils.limit_pixels(settings.max_pixels)
    utils.check_writable(settings.out_dir, "--out-dir")

    cli.prepare_tensorflow()
    from dcgan_completion.photos import run
    from dcgan_completion.photos.output_folder import PhotoFolder

    out = PhotoFolder(settings.out_dir)
    paths = run.choose_photos(settings.photos, out)
    names = inputs.names_of_shard(paths, settings.shard)
    if settings.landmarks is not None and len(names) > 1:
        raise UserError(f"--landmarks: locates a face in one photo, not in {len(names)}; name one")
    if settings.list_faces or mask is None:
        return list_faces(settings, mask, names, out)
    return repair(settings, given, mask, names, out)
