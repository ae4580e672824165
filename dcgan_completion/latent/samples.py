"""Samples: in a grid, as files, as one array, and those that the discriminator prefers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from dcgan_completion import cli, latents, runs, utils
from dcgan_completion.latent import sheets
from dcgan_completion.latent.generator import Generator
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.latents import Name
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.commands import NamedSettings
from dcgan_completion.settings.latent import BestSettings, GridSettings, ImagesSettings

logger = logging.getLogger(__name__)


def clipped(z: np.ndarray) -> np.ndarray:
    """Clip latents to the cube that the model knows; logs the share that was outside."""
    inside, share = latents.clip(z)
    _log_share(share)
    return inside


def _log_share(share: float) -> None:
    if share:
        logger.info(f"clipped {100 * share:.2g} % of the values of z, which were outside [-1, 1]")


def latents_of(settings: NamedSettings, generator: Generator, names: Sequence[Name]) -> np.ndarray:
    """Draw or read the latents of a sub-command, clipped; raises UserError as `latents.named`."""
    return clipped(latents.named(names, settings.seed, generator.z_dim, settings.range))


def image_batches(
    settings: NamedSettings, generator: Generator, names: Sequence[Name]
) -> Iterator[np.ndarray]:
    """Yield the images of a sub-command's latents, clipped, uint8 [n, S, S, C] at a time.

    Logs the share that was outside in the end.
    """
    outside = 0.0
    for z in latents.batches(names, settings.seed, generator.z_dim, settings.range):
        inside, share = latents.clip(z)
        outside += share * len(z)
        yield generator.images(inside, return_type="numpy")
    _log_share(outside / len(names))


def make_folder(path: str) -> None:
    """Make the folder of a file."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)


def draw_grid(settings: GridSettings, generator: Generator) -> None:
    """Write a grid, or its images one by one."""
    names = settings.names()
    if settings.individual:
        _write_files(settings, generator, names, settings.files_in(settings.individual))
    else:
        images = np.concatenate(list(image_batches(settings, generator, names)))
        make_folder(settings.out)
        columns = settings.columns
        if settings.rows and not columns:
            columns = -(-len(names) // settings.rows)
        if settings.numbers:
            columns = columns or int(np.ceil(np.sqrt(len(names))))
            cells = [Cell(image, str(name)) for image, name in zip(images, names, strict=True)]
            picture = sheets.sheet(sheets.wrapped(cells, columns))
        else:
            picture = utils.image_grid(images, columns)
        utils.save_image(settings.out, picture)
    _log_written(names, generator, settings.individual or settings.out)


def _log_written(names: Sequence[Name], generator: Generator, path: str) -> None:
    logger.info(f"wrote {len(names)} samples of {generator.prefix} to {path}")


def _write_files(
    settings: NamedSettings, generator: Generator, names: Sequence[Name], paths: Sequence[str]
) -> None:
    """Write a PNG for each latent."""
    make_folder(paths[0])
    remaining = iter(paths)
    with cli.progress_bar(total=len(paths), unit="image") as bar:
        for images in image_batches(settings, generator, names):
            for image in images:
                utils.save_image(next(remaining), image)
            bar.update(len(images))


def write_images(settings: ImagesSettings, generator: Generator) -> None:
    """Write images one by one, or all as one array."""
    names = settings.names()
    if settings.npy:
        make_folder(settings.npy)
        shape = (len(names), generator.image_size, generator.image_size, generator.channels)
        write_array(settings.npy, shape, image_batches(settings, generator, names))
    else:
        runs.read_config(settings.out)  # another program's is not replaced
        os.makedirs(settings.out, exist_ok=True)
        config = runs.record(settings.options() | {"checkpoint": generator.prefix})
        runs.write_config(settings.out, config | {"seed": settings.seed})
        _write_files(settings, generator, names, settings.files_in(settings.out))
    _log_written(names, generator, settings.npy or settings.out)


def write_array(path: str, shape: tuple[int, ...], parts: Iterator[np.ndarray]) -> None:
    """Write a uint8 array of that shape as a .npy file, part by part, in an atomic write.

    By plain writes: if the file were mapped into memory, a full disk would kill the process.
    """
    head = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with (
        utils.replacing(path) as temporary,
        open(temporary, "wb") as file,
        cli.progress_bar(total=shape[0], unit="image") as bar,
    ):
        np.lib.format.write_array_header_1_0(file, head)
        for part in parts:
            file.write(part.tobytes())
            bar.update(len(part))


@tf.function(reduce_retracing=True, autograph=False)
def _logits(model: DCGAN, z: tf.Tensor) -> tf.Tensor:
    return model.discriminator(model.generator(z))


def most_realistic(
    model: DCGAN, count: int, number: int, seed: int, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the samples with the highest logits of the discriminator, the best first.

    Args:
      model: its discriminator chooses.
      count: samples to choose.
      number: samples to choose from, the seed's first ones.
      seed, limit: as for `latents.draw`.

    Returns:
      The samples' numbers, int [count], and the discriminator's logits of them.
    """
    logits = [
        _logits(model, tf.constant(z, tf.float32)).numpy()
        for z in latents.batches(latents.samples(number), seed, model.z_dim, limit)
    ]
    values = np.concatenate(logits)
    best = np.argsort(-values, kind="stable")[:count]
    return best, values[best]


def draw_best(settings: BestSettings, generator: Generator) -> None:
    """Write a sheet of the samples that the discriminator prefers."""
    count, of, seed, limit = settings.count, settings.of, settings.seed, settings.range
    numbers, logits = most_realistic(generator.model, count, of, seed, limit)
    names = [Name("", int(number)) for number in numbers]
    z = latents.named(names, seed, generator.z_dim, limit)
    images = generator.images(z, return_type="numpy")
    cells = [
        Cell(image, f"{name}\nlogit {logit:.1f}")
        for image, name, logit in zip(images, names, logits, strict=True)
    ]
    title = (
        f"Selected, not typical: the {count} of {of} samples of seed {seed} that the "
        "discriminator takes most for real."
    )
    make_folder(settings.out)
    columns = int(np.ceil(np.sqrt(len(cells))))
    utils.save_image(settings.out, sheets.sheet(sheets.wrapped(cells, columns), title))
    logger.info(
        f"wrote the {count} of {of} samples that the discriminator of {generator.prefix} rates "
        f"most realistic to {settings.out}: {' '.join(map(str, names))}"
    )
