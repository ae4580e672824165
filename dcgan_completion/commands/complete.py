"""Fill in the missing parts of aligned face images with a trained DCGAN.

A context encoder estimates the missing pixels; a search then finds the latent z whose image G(z)
agrees best with the known pixels and this estimate, and the hole is filled from both.

examples:
  ./complete.py ./data/your-test-data/aligned/* --outDir outputImages
  ./complete.py photo.jpg --resize --mask hole.png --samples 8
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

from dcgan_completion import cli, inputs, utils
from dcgan_completion.completion import input_images
from dcgan_completion.settings import options
from dcgan_completion.settings.completion import CompletionSettings
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SEARCHES, SearchSettings

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser: the reference's options under their own and a kebab-case spelling."""
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
    """Read the command line; of the search the options that were given.

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
    """Complete the images; return the exit status."""
    settings, given, mask = read_settings(argv)
    utils.limit_pixels(settings.max_pixels)
    paths = inputs.list_inputs(settings.images)
    utils.check_writable(settings.out_dir, "--outDir")

    cli.prepare_tensorflow()
    from dcgan_completion import checkpoints, resuming
    from dcgan_completion.completion import run
    from dcgan_completion.completion.mask_source import MaskSource
    from dcgan_completion.completion.output_folder import CompletionFolder, DirectFolder
    from dcgan_completion.devices import Precision
    from dcgan_completion.inpaint.inpainter import Inpainter

    precision = Precision.choose(settings.precision)
    path = checkpoints.select_model(settings.checkpoint_dir)
    inpainter = Inpainter(*checkpoints.load_model(path), precision.used)
    used = checkpoints.describe_choice(settings.checkpoint_dir, inpainter.prefix)
    run.check_image_size(settings.img_size, inpainter)
    search = inpainter.search_settings(given, settings.samples, mask.keeps_pixels)
    usable, errors = input_images.select_usable(paths, inpainter.image_size, settings.resize)
    names = inputs.names_of_shard(usable, settings.shard)
    source = MaskSource.of(mask, settings.seed, list(names), settings.images)
    source.check(list(names), inpainter.image_size)
    size = settings.batch_size or run.default_batch_size(settings.samples, len(names))
    settings = dataclasses.replace(
        settings, checkpoint_dir=path, img_size=inpainter.image_size, batch_size=size
    )
    searched = search.approach in SEARCHES
    out = (CompletionFolder if searched else DirectFolder)(settings.out_dir)
    encoder = inpainter.encoder_of(search)
    recorded = resuming.recorded_options(settings, search, mask, inpainter.prefix, encoder)
    with resuming.resumable_run(
        out, recorded, precision, usable, len(names), settings.overwrite
    ) as precision:
        for error in errors:
            logger.warning("skipped: %s", error)
        completer = inpainter.search(
            search, samples=settings.samples, batch_size=size, precision=precision.used
        )
        run.complete_images(completer, source, names, out, settings.out_interval, search.blend)
    gif = " and completion.gif" if searched else ""
    print(f"{len(out.done)} images completed by {used}: see {out.path}/final{gif}")
    return 1 if errors or len(out.done) < len(names) else 0
