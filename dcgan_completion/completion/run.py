"""A run of complete.py: the loop over the batches of its images."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from dcgan_completion import cli
from dcgan_completion.completion import input_images
from dcgan_completion.completion.mask_source import MaskSource
from dcgan_completion.completion.output_folder import CompletionFolder
from dcgan_completion.inpaint import blending
from dcgan_completion.inpaint.candidates import Candidates, Searched
from dcgan_completion.inpaint.estimator import Estimator
from dcgan_completion.inpaint.inpainter import BATCH, Inpainter
from dcgan_completion.inpaint.search import LatentSearch
from dcgan_completion.utils import UserError


def check_image_size(asked: int | None, inpainter: Inpainter) -> None:
    """Raise UserError if --img-size is not the size of the model's images."""
    size = inpainter.image_size
    if asked not in (None, size):
        raise UserError(
            f"--img-size {asked} contradicts the model {inpainter.prefix}, which completes "
            f"{size}x{size}; leave the option out"
        )


def default_batch_size(samples: int, images: int) -> int:
    """Choose the images of a batch from the samples of each and the number of images."""
    return min(max(1, BATCH // samples), images)


def complete_images(
    search: LatentSearch | Estimator,
    source: MaskSource,
    names: Mapping[str, str],
    out: CompletionFolder,
    interval: int,
    blend: str,
) -> None:
    """Complete images batch by batch into the output folder.

    Args:
      search: has the batch size, and gives candidates.
      source: gives the masks; its seed is the search's, too.
      names: image path -> output name.
      out: has been started or resumed; images that are done there are left out.
      interval: iterations between pictures.
      blend: of BLENDS.

    Raises:
      UserError: out of memory, or as `MaskSource.masks_of`.
    """
    size, iterations = search.batch_size, search.iterations
    finished = len(out.done)
    paths = [path for path in names if path not in out.done]
    total, initial = iterations * -(-len(names) // size), iterations * (finished // size)
    unit = "iteration" if out.STATES else "batch"
    with cli.progress_bar(total=total, initial=initial, unit=unit) as bar:
        batches = input_images.load_batches(paths, search.image_size, search.channels, size)
        for number, (batch, images) in enumerate(batches, finished // size + 1):
            mask = source.masks_of(batch, images)
            out.start_batch(number, images, mask.visible(images))
            own = {path: names[path] for path in batch}
            with out_of_memory(size):
                states = search.states(images, mask, source.seed, interval)
                filled = ((s, blending.fill_all(images, mask, s.images, blend)) for s in states)
                written = _write_states(filled, out, bar, f"batch {number}")
                state, completed = collections.deque(written, maxlen=1).pop()
            out.finish_batch(own, images, state, completed)


def _write_states(
    states: Iterable[tuple[Candidates, np.ndarray]], out: CompletionFolder, bar: tqdm, batch: str
) -> Iterator[tuple[Candidates, np.ndarray]]:
    """Write a batch's states and their completions, and show progress; yield them on."""
    for state, completed in states:
        if isinstance(state, Searched):
            out.write_state(state, completed)
            bar.set_description(f"{batch}, loss {state.losses[0][:, 0].mean():.1f}")
            bar.update(len(state.history))
        else:
            bar.update(1)
        yield state, completed


@contextlib.contextmanager
def out_of_memory(batch_size: int) -> Iterator[None]:
    """Turn a lack of memory in the block into a UserError."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise UserError(
            f"--batch-size {batch_size}: out of memory; lower it, or --samples or --average"
        ) from error
