"""A run of complete.py: its images, the options that it records, and the loop over its batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import tensorflow as tf
import tqdm

from dcgan_completion import checkpoints, cli, runs, utils
from dcgan_completion.completion import input_images
from dcgan_completion.completion.output_folder import CompletionFolder
from dcgan_completion.devices import Precision
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.inpaint.completer import Completer, Completion
from dcgan_completion.inpaint.direct import DirectCompleter, load_encoder_for
from dcgan_completion.masks.source import MaskSource
from dcgan_completion.model import DCGAN
from dcgan_completion.output_folder import ResumableFolder
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SEARCHES, SearchSettings
from dcgan_completion.utils import UserError

BATCH = 64  # samples of a batch without --batch-size, at most


def check_image_size(asked: int | None, model: DCGAN, prefix: str) -> None:
    """Raises UserError if --img-size is not the size of the model from the checkpoint `prefix`."""
    if asked not in (None, model.image_size):
        raise UserError(
            f"--img-size {asked} contradicts the model {prefix}, which completes "
            f"{model.image_size}x{model.image_size}; leave the option out"
        )


def load_encoder(
    prefix: str, model: DCGAN, asked: Mapping[str, Any], mask: MaskSettings
) -> ContextEncoder | None:
    """The context encoder that an approach uses; None where it uses none.

    auto without one, or under masks that keep no pixels, is not guided.

    Args:
      prefix: of the model's checkpoint, in whose folder the encoder lies.
      model: the encoder must be for images like its.
      asked: the options of the search that were given.
      mask: what is missing.

    Raises:
      UserError: there is none, or nothing for it to estimate, and it was asked for; it is damaged,
        or of other images.
    """
    approach, guide = asked.get("approach", SearchSettings.approach), asked.get("guide")
    if approach not in ("auto", "direct") or guide == 0:
        return None
    flag = "--approach direct" if approach == "direct" else f"--guide {guide}" if guide else ""
    if not mask.keeps_pixels:
        if flag:
            raise UserError(
                f"{flag}: there is no hole to estimate in --mask-type {mask.mask_type}; leave one "
                "of them out"
            )
        return None
    folder = checkpoints.encoder_folder(prefix)
    if folder is None:
        if flag:
            raise UserError(
                f"{flag}: there is no context encoder beside {prefix}; train one "
                "(./train-context-encoder.py) or leave the option out"
            )
        return None
    remedy = "" if approach == "direct" else "; --guide 0 completes without it"
    return load_encoder_for(model, folder, remedy)


def choose_search(
    prefix: str, model: DCGAN, samples: int, asked: Mapping[str, Any], mask: MaskSettings
) -> tuple[SearchSettings, ContextEncoder | None, str]:
    """The settings of a search, its context encoder, and a line for the user (may be empty).

    Args:
      prefix, model, asked, mask: as for `load_encoder`.
      samples: completions of each image.

    Raises:
      UserError: as `load_encoder` and `SearchSettings.of`.
    """
    encoder, note = load_encoder(prefix, model, asked, mask), ""
    search = SearchSettings.of(samples=samples, guided=encoder is not None, **asked)
    if search.approach == "auto" and encoder is None and mask.keeps_pixels and "guide" not in asked:
        note = (
            f"no context encoder beside {prefix}: with one, completions come nearer to the truth "
            "(./train-context-encoder.py)"
        )
    return search, encoder, note


def make_completer(
    model: DCGAN,
    search: SearchSettings,
    encoder: ContextEncoder | None,
    batch_size: int,
    samples: int,
    precision: str,
) -> Completer | DirectCompleter:
    """What completes images by those settings; arguments as for `Completer`."""
    if search.approach in SEARCHES:
        return Completer(
            model,
            search,
            batch_size=batch_size,
            samples=samples,
            precision=precision,
            encoder=encoder,
        )
    return DirectCompleter(encoder, search.blend, batch_size=batch_size, precision=precision)


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


class _Options(Protocol):
    """Settings whose options are recorded in config.json."""

    def options(self) -> dict[str, Any]: ...


def recorded_options(
    settings: _Options,
    search: SearchSettings,
    mask: _Options,
    checkpoint: str,
    encoder: ContextEncoder | None = None,
) -> dict[str, Any]:
    """The options that decide on the results, as JSON gives them back, without the precision.

    The context encoder is among them by its hash.
    """
    options = settings.options() | search.options() | mask.options() | {"checkpoint": checkpoint}
    options["context_encoder"] = encoder and checkpoints.network_hash(
        encoder.architecture, encoder.e
    )
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
    # A run of an earlier version had no context encoder.
    new = {name: options.get(name) and 0.0 for name in ("guide", "mix")} | {"context_encoder": None}
    earlier = new | dict(earlier)
    asked = earlier.pop("precision", "auto")
    used = earlier.pop("precision_used", None)
    before = Precision("auto", asked) if used is None else Precision(asked, used)
    if before.asked not in options.PRECISIONS or before.used not in options.PRECISIONS:
        return None  # not written by this program
    same = precision.asked == before.asked or precision.used == before.used
    return before if same and earlier == options else None


def open_folder(
    out: ResumableFolder,
    options: dict[str, Any],
    precision: Precision,
    inputs: Sequence[str],
    overwrite: bool,
) -> tuple[Precision, dict[str, Any], str]:
    """Starts the output folder, or goes on with an unfinished run by the same options.

    Args:
      out: the folder.
      options: `recorded_options`.
      precision: of this command.
      inputs: files that must not be lost.
      overwrite: replace an earlier run.

    Returns:
      The precision of the search, the folder's config.json, and what to tell the user, line by
      line.

    Raises:
      UserError: the folder holds something that must not be lost, or some of the inputs.
    """
    earlier, note = out.unfinished_options(overwrite), ""
    if earlier is None:
        out.check_inputs(inputs)
    else:
        before = earlier_precision(earlier, options, precision)
        if before is None:
            raise out.refusal("other options")
        precision, note = before.resumed(precision.asked)
    config = runs.record(options | precision_options(precision))
    config |= {"seed": options["seed"], out.KEY: {"finished": False}}
    if earlier is None:
        out.start(config)
    else:
        out.resume(config)
        going_on = f"going on in {out.path}: {len(out.done)} {out.INPUTS} are done"
        note = "\n".join(filter(None, (going_on, note)))
    return precision, config, note


def told_when_stopped(
    out: ResumableFolder, inputs: int, overwrite: bool
) -> AbstractContextManager[None]:
    """Says on stderr what is done in the folder, of so many inputs, if the block is stopped.

    Args:
      out: the folder.
      inputs: their number, those that are done included.
      overwrite: as given to `open_folder`.
    """
    how = "the same command goes on" + (", without --overwrite" if overwrite else "")
    return cli.told_when_stopped(
        lambda: f"{len(out.done)} of {inputs} {out.INPUTS} are done; {how}"
    )


def finish_folder(out: ResumableFolder, config: Mapping[str, Any]) -> None:
    """Writes into the folder's config.json that the run has finished."""
    runs.write_config(out.path, {**config, out.KEY: {"finished": True}})


def complete_images(
    completer: Completer | DirectCompleter,
    source: MaskSource,
    names: Mapping[str, str],
    out: CompletionFolder,
    interval: int,
    failed: list[str],
) -> int:
    """Completes images batch by batch into the output folder.

    Args:
      completer: has the batch size, and what completes.
      source: gives the masks; its seed is the search's, too.
      names: image path -> output name.
      out: has been started or resumed; images that are done there are left out.
      interval: iterations between pictures.
      failed: what is wrong with files that cannot be read is added to it.

    Returns:
      The number of images that are completed in the folder, those of an earlier run included.

    Raises:
      UserError: memory does not suffice, or as `MaskSource.masks_of`.
    """
    size, searched = completer.batch_size, isinstance(completer, Completer)
    iterations = completer.settings.n_iter if searched else 1
    paths = [path for path in names if path not in out.done]
    finished = len(out.done)
    total, initial = iterations * -(-len(names) // size), iterations * (finished // size)
    unit = "iteration" if searched else "batch"
    with cli.progress_bar(total=total, initial=initial, unit=unit) as bar:
        batches = input_images.load_batches(
            paths, completer.image_size, completer.channels, size, failed
        )
        for number, (batch, images) in enumerate(batches, finished // size + 1):
            mask = source.masks_of(batch, images)
            out.start_batch(number, images, utils.to_uint8(mask.visible(utils.to_signed(images))))
            own = {path: names[path] for path in batch}
            try:
                if searched:
                    states = completer.states(images, mask, source.seed, interval)
                    out.finish_batch(own, images, _follow(states, out, number, bar))
                else:
                    out.finish_images(own, completer.complete(images, mask))
                    bar.update()
            except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                raise UserError(
                    f"--batch-size {size}: memory does not suffice for so many images at a time; "
                    "lower it, or --samples or --average"
                ) from error
            finished += len(batch)
    return finished


def _follow(
    states: Iterator[Completion], out: CompletionFolder, number: int, bar: tqdm.tqdm
) -> Completion:
    """Writes the states of a batch's search, shows its loss, and returns the last one."""
    for state in states:
        out.write_state(state)
        bar.set_description(f"batch {number}, loss {state.losses[0].mean():.1f}")
        bar.update(len(state.history))
    return state
