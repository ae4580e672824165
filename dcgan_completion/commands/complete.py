"""Fill in the missing parts of aligned face images with a trained DCGAN.

Searches the latent z whose picture G(z) agrees best with what is known of an image, then takes the
missing pixels from it.

examples:
  ./complete.py ./data/your-test-data/aligned/* --outDir outputImages
  ./complete.py photo.jpg --resize --mask hole.png --samples 8
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from dcgan_completion import cli, utils
from dcgan_completion.completion import input_images
from dcgan_completion.settings import options
from dcgan_completion.settings.completion import CompletionSettings
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SEARCHES, SearchSettings


def build_parser() -> argparse.ArgumentParser:
    """The command line: the reference's options under their own and a kebab-case spelling."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="images, or folders of them")
    of_search, of_hole = ("samples", "seed", "precision"), ("blend",)

    def add(group: argparse._ActionsContainer, settings: Any, names: Sequence[str]) -> None:
        options.add_options(group, settings, settings.default_text, names)

    def all_but(settings: type, names: Sequence[str]) -> list[str]:
        return [f.name for f in options.option_fields(settings) if f.name not in names]

    add(parser, CompletionSettings, all_but(CompletionSettings, of_search))
    search, hole = parser.add_argument_group("search"), parser.add_argument_group("hole")
    add(search, SearchSettings, all_but(SearchSettings, of_hole))
    add(search, CompletionSettings, of_search)
    add(hole, MaskSettings, all_but(MaskSettings, ()))
    add(hole, SearchSettings, of_hole)
    return parser


def read_settings(
    argv: Sequence[str] | None,
) -> tuple[CompletionSettings, dict[str, Any], MaskSettings]:
    """What the command line says; of the search the options that were given.

    Its other settings depend on whether the model has a context encoder.

    Raises:
      UserError: options contradict each other.
    """
    args = build_parser().parse_args(argv)
    given = options.given_options(args, CompletionSettings)
    search = options.given_options(args, SearchSettings)
    approach = SearchSettings.of(samples=given.get("samples", 1), **search).approach
    mask = MaskSettings.of(**options.given_options(args, MaskSettings))
    return CompletionSettings.of(approach, args.images, **given), search, mask


def main(argv: Sequence[str] | None = None) -> int:
    """Completes the images; returns the exit status."""
    settings, asked, mask = read_settings(argv)
    utils.limit_pixels(settings.max_pixels)
    paths = input_images.list_inputs(settings.images)
    utils.check_writable(settings.out_dir, "--outDir")

    cli.prepare_tensorflow()
    from dcgan_completion import checkpoints
    from dcgan_completion.completion import run as completion_run
    from dcgan_completion.completion.output_folder import CompletionFolder, DirectFolder
    from dcgan_completion.devices import Precision
    from dcgan_completion.masks.source import MaskSource

    precision = Precision.choose(settings.precision)
    path, note = checkpoints.select_model(settings.checkpoint_dir)
    if note:
        print(note)
    model, prefix = checkpoints.load_model(path)
    made_by = checkpoints.describe_choice(settings.checkpoint_dir, prefix)
    completion_run.check_image_size(settings.img_size, model, prefix)
    search, encoder, note = completion_run.choose_search(
        prefix, model, settings.samples, asked, mask
    )
    failed: list[str] = []
    images = input_images.select_usable(paths, model.image_size, settings.resize, failed)
    names = completion_run.names_of_shard(images, settings.shard)
    source = MaskSource.of(mask, settings.seed, list(names), settings.images)
    source.check(list(names), model.image_size)
    size = settings.batch_size or completion_run.default_batch_size(settings.samples, len(names))
    settings = dataclasses.replace(
        settings, checkpoint_dir=path, img_size=model.image_size, batch_size=size
    )
    searched = search.approach in SEARCHES
    out = (CompletionFolder if searched else DirectFolder)(settings.out_dir)
    options = completion_run.recorded_options(settings, search, mask, prefix, encoder)
    precision, config, more = completion_run.open_folder(
        out, options, precision, images, settings.overwrite
    )
    for line in filter(None, (more, note)):
        print(line)
    completer = completion_run.make_completer(
        model, search, encoder, size, settings.samples, precision.used
    )
    for message in failed:
        cli.say(f"skipped: {message}")
    unreadable: list[str] = []
    with completion_run.told_when_stopped(out, len(names), settings.overwrite):
        done = completion_run.complete_images(
            completer, source, names, out, settings.out_interval, unreadable
        )
    for message in unreadable:
        cli.say(f"skipped: {message}")
    completion_run.finish_folder(out, config)
    gif = " and completion.gif" if searched else ""
    print(f"{done} images completed by {made_by}: see {out.path}/final{gif}")
    return 1 if failed or unreadable else 0
