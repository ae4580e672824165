"""Samples: in a grid, one by one or as one array, and those that the discriminator prefers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from dcgan_completion import checkpoints, cli, runs, utils
from dcgan_completion.latent import points, sheets
from dcgan_completion.latent.points import Name
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.commands import NamedSettings
from dcgan_completion.settings.samples import BestSettings, GridSettings, ImagesSettings


def clipped(z: np.ndarray) -> np.ndarray:
    """Latents clipped to the cube that the model knows; tells the share that was outside."""
    inside, share = points.clip(z)
    _tell_share(share)
    return inside


def _tell_share(share: float) -> None:
    if share:
        cli.tell(f"{100 * share:.2g} % of the values of z were outside [-1, 1], and are clipped")


def latents_of(settings: NamedSettings, model: DCGAN, names: Sequence[Name]) -> np.ndarray:
    """The latents that a sub-command names, clipped; raises UserError as `points.latents`."""
    return clipped(points.latents(names, settings.seed, model.z_dim, settings.range))


def generated(settings: NamedSettings, model: DCGAN, names: Sequence[Name]) -> Iterator[np.ndarray]:
    """Pictures of named latents, clipped, uint8 [n, S, S, C] at a time: memory does not grow.

    Tells the share that was outside in the end.
    """
    outside = 0.0
    for z in points.batches(names, settings.seed, model.z_dim, settings.range):
        inside, share = points.clip(z)
        outside += share * len(z)
        yield checkpoints.generate(model, inside)
    _tell_share(outside / len(names))


def make_folder(path: str) -> None:
    """Makes the folder of a file."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)


def draw_grid(settings: GridSettings, model: DCGAN, prefix: str) -> int:
    """Writes a grid, or its pictures one by one; returns the status."""
    names = settings.names()
    if settings.individual:
        _write_files(settings, model, names, settings.files_in(settings.individual))
        print(f"{len(names)} pictures by {prefix} are in {settings.individual}")
        return 0
    images = checkpoints.generate(model, latents_of(settings, model, names))
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
    print(f"{len(names)} pictures by {prefix} are in {settings.out}")
    return 0


def _write_files(
    settings: NamedSettings, model: DCGAN, names: Sequence[Name], paths: Sequence[str]
) -> None:
    """Writes a PNG for each latent."""
    make_folder(paths[0])
    remaining = iter(paths)
    with cli.progress_bar(total=len(paths), unit="picture") as bar:
        for images in generated(settings, model, names):
            for image in images:
                utils.save_image(next(remaining), image)
            bar.update(len(images))


def write_images(settings: ImagesSettings, model: DCGAN, prefix: str) -> int:
    """Writes pictures one by one, or all as one array; returns the status."""
    names = settings.names()
    if settings.npy:
        make_folder(settings.npy)
        shape = (len(names), model.image_size, model.image_size, model.channels)
        write_array(settings.npy, shape, generated(settings, model, names))
    else:
        runs.read_config(settings.out)  # another program's is not replaced
        os.makedirs(settings.out, exist_ok=True)
        config = runs.record(settings.options() | {"checkpoint": prefix})
        runs.write_config(settings.out, config | {"seed": settings.seed})
        _write_files(settings, model, names, settings.files_in(settings.out))
    print(f"{len(names)} pictures by {prefix} are in {settings.npy or settings.out}")
    return 0


def write_array(path: str, shape: tuple[int, ...], parts: Iterator[np.ndarray]) -> None:
    """Writes an array uint8 of that shape as a .npy file, part by part, in an atomic write.

    In plain writes: into a file that is mapped into memory, a full disk would end the process.
    """
    head = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with (
        utils.replacing(path) as temporary,
        open(temporary, "wb") as file,
        cli.progress_bar(total=shape[0], unit="picture") as bar,
    ):
        np.lib.format.write_array_header_1_0(file, head)
        for part in parts:
            file.write(part.tobytes())
            bar.update(len(part))


@tf.function(reduce_retracing=True, autograph=False)
def _logits(model: DCGAN, z: tf.Tensor) -> tf.Tensor:
    return model.discriminator(model.generator(z))


def most_real(
    model: DCGAN, count: int, number: int, seed: int, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """The samples that the discriminator takes most for real, the best first.

    Args:
      model: its discriminator chooses.
      count: of samples to choose.
      number: of samples to choose from, the seed's first ones.
      seed, limit: as for `points.draw`.

    Returns:
      The samples' numbers, int [count], and the discriminator's logits of them.
    """
    logits = [
        _logits(model, tf.constant(z, tf.float32)).numpy()
        for z in points.batches(points.samples(number), seed, model.z_dim, limit)
    ]
    values = np.concatenate(logits)
    best = np.argsort(-values, kind="stable")[:count]
    return best, values[best]


def draw_best(settings: BestSettings, model: DCGAN, prefix: str) -> int:
    """Writes a sheet of the samples that D prefers; returns the status."""
    numbers, logits = most_real(model, settings.count, settings.of, settings.seed, settings.range)
    names = [Name("", int(number)) for number in numbers]
    z = points.latents(names, settings.seed, model.z_dim, settings.range)
    cells = [
        Cell(image, f"{name}\nlogit {logit:.1f}")
        for image, name, logit in zip(checkpoints.generate(model, z), names, logits, strict=True)
    ]
    title = (
        f"Selected, not typical: the {len(names)} of {settings.of} samples of seed "
        f"{settings.seed} that the discriminator takes most for real."
    )
    make_folder(settings.out)
    columns = int(np.ceil(np.sqrt(len(cells))))
    utils.save_image(settings.out, sheets.sheet(sheets.wrapped(cells, columns), title))
    print(
        f"the {len(names)} of {settings.of} samples that the discriminator of {prefix} takes most "
        f"for real are in {settings.out}: {' '.join(map(str, names))}"
    )
    return 0
