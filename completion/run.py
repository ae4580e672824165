"""A run of complete.py: its images, the options that it records, and the loop over its batches."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

import cli
import utils
from completion import input_images
from completion.completer import Completer
from completion.mask_source import MaskSource
from completion.output_folder import CompletionFolder
from completion.search_settings import SearchSettings
from completion.settings import CompletionSettings, MaskSettings
from devices import Precision
from model import DCGAN
from utils import UserError

BATCH = 64  # samples of a batch without --batch-size, at most


def check_image_size(asked: int | None, model: DCGAN, prefix: str) -> None:
    """Raises UserError if --img-size is not the size of the model from the checkpoint `prefix`."""
    if asked not in (None, model.image_size):
        raise UserError(
            f"--img-size {asked} contradicts the model {prefix}, which completes "
            f"{model.image_size}x{model.image_size}; leave the option out"
        )


def names_of_shard(paths: Sequence[str], shard: tuple[int, int] | None) -> dict[str, str]:
    """The images of a shard (I, N), with output names that are unique among all of `paths`.

    Raises:
      UserError: the shard is empty.
    """
    names = input_images.completion_names(paths)
    part, parts = shard or (1, 1)
    chosen = list(names)[part - 1 :: parts]
    if not chosen:
        raise UserError(f"--shard {part}/{parts}: there are only {len(names)} images to divide")
    return {path: names[path] for path in chosen}


def default_batch_size(samples: int, images: int) -> int:
    """Images of a batch without --batch-size, from the samples of each and the images in all."""
    return min(max(1, BATCH // samples), images)


def recorded_options(
    settings: CompletionSettings, search: SearchSettings, mask: MaskSettings, checkpoint: str
) -> dict[str, Any]:
    """The options that decide on the results, as JSON gives them back, without the precision."""
    options = settings.options() | search.options() | mask.options() | {"checkpoint": checkpoint}
    del options["precision"]
    return json.loads(json.dumps(options))


def precision_options(precision: Precision) -> dict[str, str]:
    """The precision among the options of config.json."""
    return {"precision": precision.asked, "precision_used": precision.used}


def earlier_precision(
    earlier: Mapping[str, Any], options: Mapping[str, Any], precision: Precision
) -> Precision | None:
    """The precision of an unfinished run that has the same options; None if they differ.

    Precisions are the same if they were asked for by the same name (`auto` may be another one on
    another machine), or if the same one is used.

    Args:
      earlier: the run's options in config.json. An earlier version of the toolkit kept only the
        precision used; it is taken for that of `auto`.
      options: `recorded_options` of this command.
      precision: of this command.
    """
    earlier = dict(earlier)
    asked = earlier.pop("precision", "auto")
    used = earlier.pop("precision_used", None)
    before = Precision("auto", asked) if used is None else Precision(asked, used)
    if before.asked not in cli.PRECISIONS or before.used not in cli.PRECISIONS:
        return None  # not written by this program
    same = precision.asked == before.asked or precision.used == before.used
    return before if same and earlier == options else None


def complete_images(
    completer: Completer,
    source: MaskSource,
    names: Mapping[str, str],
    out: CompletionFolder,
    interval: int,
    failed: list[str],
    max_pixels: int = utils.MAX_PIXELS,
) -> int:
    """Completes images batch by batch into the output folder.

    Args:
      completer: has the model, the search and the batch size.
      source: gives the masks; its seed is the search's, too.
      names: image path -> output name.
      out: has been started or resumed; images that are done there are left out.
      interval: iterations between pictures.
      failed: what is wrong with files that cannot be read is added to it.
      max_pixels: of an image.

    Returns:
      The number of images that are completed in the folder, those of an earlier run included.

    Raises:
      UserError: memory does not suffice, or as `MaskSource.masks_of`.
    """
    model, size = completer.model, completer.batch_size
    iterations = completer.settings.n_iter
    paths = [path for path in names if path not in out.done]
    finished = len(out.done)
    total, initial = iterations * -(-len(names) // size), iterations * (finished // size)
    with cli.progress_bar(total=total, initial=initial, unit="iteration") as bar:
        batches = input_images.load_batches(
            paths, model.image_size, model.channels, size, failed, max_pixels
        )
        for number, (batch, images) in enumerate(batches, finished // size + 1):
            mask = source.masks_of(batch, images)
            out.start_batch(number, images, utils.to_uint8(mask.visible(utils.to_signed(images))))
            try:
                for state in completer.states(images, mask, source.seed, interval):
                    out.write_state(state)
                    bar.set_description(f"batch {number}, loss {state.losses[0].mean():.1f}")
                    bar.update(len(state.history))
            except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                raise UserError(
                    f"--batch-size {size}: memory does not suffice for so many images at a time; "
                    "lower it, or --samples or --average"
                ) from error
            out.finish_batch({path: names[path] for path in batch}, images, state)
            finished += len(batch)
    return finished
