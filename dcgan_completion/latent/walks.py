"""Walks and sweeps: images along paths through the latent space.

Latents are float64 [N, z_dim].
"""

from __future__ import annotations

import itertools
import logging
import os

import numpy as np

from dcgan_completion import utils
from dcgan_completion.latent import samples, sheets
from dcgan_completion.latent.generator import Generator
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.settings.latent import STRIP, SweepSettings, WalkSettings
from dcgan_completion.utils import UserError

SPHERICAL = "spherical"
CHORDS = 512  # by which the length of a spherical segment is measured

logger = logging.getLogger(__name__)


def segment(a: np.ndarray, b: np.ndarray, t: np.ndarray, path: str) -> np.ndarray:
    """Interpolate from a to b, [z_dim] each, at times t [N] in 0..1: [N, z_dim].

    Straight: (1 - t) a + t b. Spherical: the direction turns by equal angles (slerp, Shoemake 1985,
    "Animating rotation with quaternion curves"; for latents White 2016, arXiv:1609.04468), and
    the norm is interpolated linearly, since it varies in a cube. Where a and b lie on a line
    through 0, there is no plane to turn in, and the segment is straight.
    """
    t = np.asarray(t, np.float64)[:, np.newaxis]
    if path == SPHERICAL:
        norms = np.linalg.norm(a), np.linalg.norm(b)
        if min(norms) > 0:
            directions = a / norms[0], b / norms[1]
            angle = np.arccos(np.clip(np.dot(*directions), -1, 1))
            if np.sin(angle) > 1e-6:
                turned = np.sin((1 - t) * angle) * directions[0] + np.sin(t * angle) * directions[1]
                return turned / np.sin(angle) * ((1 - t) * norms[0] + t * norms[1])
    return (1 - t) * a + t * b


def segment_length(a: np.ndarray, b: np.ndarray, path: str) -> float:
    """Measure the length of a segment from a to b, [z_dim] each."""
    chords = CHORDS if path == SPHERICAL else 1
    ends = segment(a, b, np.linspace(0, 1, chords + 1), path)
    return float(np.linalg.norm(np.diff(ends, axis=0), axis=1).sum())


def walk(points: np.ndarray, frames: int, path: str = "straight", loop: bool = False) -> np.ndarray:
    """Walk through points [N, z_dim] in their order, at constant speed: [frames, z_dim].

    The time for a segment is proportional to its length. In a straight walk, frames are at equal
    distances; within a spherical segment, at equal angles.

    Args:
      points: at least two.
      frames: of the whole walk. Without `loop`, the first and the last one are the first and the
        last point.
      path: straight or spherical, as in `segment`.
      loop: return to the first point; the first frame follows the last one.
    """
    ends = np.concatenate([points, points[:1]]) if loop else np.asarray(points)
    lengths = [segment_length(a, b, path) for a, b in itertools.pairwise(ends)]
    times = np.concatenate([[0], np.cumsum(lengths)])
    at = np.linspace(0, times[-1], frames, endpoint=not loop)
    # The segment that each frame lies in; the last one has its own end, too.
    numbers = np.searchsorted(times[1:-1], at, side="right")
    z = np.empty([frames, ends.shape[1]])
    for i, length in enumerate(lengths):
        inside = numbers == i
        t = (at[inside] - times[i]) / length if length else np.zeros(inside.sum())
        z[inside] = segment(ends[i], ends[i + 1], np.clip(t, 0, 1), path)
    return z


def draw_walk(settings: WalkSettings, generator: Generator) -> None:
    """Write a walk as a strip and as animations."""
    names = settings.names()
    ends = samples.latents_of(settings, generator, names)
    way = walk(ends, settings.frames, settings.path, settings.loop)
    frames = generator.images(samples.clipped(way), return_type="numpy")
    files = settings.outputs()["--out"]
    samples.make_folder(files[0])
    for path in files:
        suffix = os.path.splitext(path)[1].lower()
        if suffix == STRIP:
            utils.save_image(path, sheets.strip(frames, settings.strip, settings.loop))
        else:
            sheets.save_animation(path, frames, suffix[1:].upper(), settings.delay)
    through = ", ".join(map(str, names))
    logger.info(
        f"wrote a walk of {generator.prefix} through {through}, {len(frames)} frames, to "
        f"{', '.join(files)}"
    )


def influence(generator: Generator, z: np.ndarray) -> np.ndarray:
    """Measure how much each dimension of a latent, [z_dim], changes its image: [z_dim].

    The mean absolute difference of pixels, in levels of 0..255, between -1 and 1 in one dimension,
    all others as they are.
    """
    ends = []
    for end in (-1, 1):
        changed = np.repeat(z[np.newaxis], len(z), axis=0)
        np.fill_diagonal(changed, end)
        ends.append(generator.images(changed, return_type="numpy").astype(np.float32))
    return np.abs(ends[1] - ends[0]).mean(axis=(1, 2, 3))


def draw_sweep(settings: SweepSettings, generator: Generator) -> None:
    """Write a sheet with a row for each dimension of z."""
    (name,) = settings.names()
    (z,) = samples.latents_of(settings, generator, [name])
    dims, chosen = settings.dims, ""
    if not dims:
        effects = influence(generator, z)
        dims = np.argsort(-effects, kind="stable")[: settings.rows or 8].tolist()
        chosen = ", those that change this image most"
    if max(dims) >= generator.z_dim:
        raise UserError(
            f"--dims {max(dims)}: the model's z has dimensions 0 to {generator.z_dim - 1}; name "
            "some of them"
        )
    values = np.linspace(-1, 1, settings.steps)
    rows = [[Cell(), *(Cell(caption=f"{value:.2g}") for value in values)]]
    for dim in dims:
        changed = np.repeat(z[np.newaxis], len(values), axis=0)
        changed[:, dim] = values
        images = generator.images(changed, return_type="numpy")
        rows.append([Cell(caption=f"z[{dim}]"), *map(Cell, images)])
    samples.make_folder(settings.out)
    title = f"Sample {name}: single values of z from -1 to 1"
    utils.save_image(settings.out, sheets.sheet(rows, title))
    logger.info(
        f"wrote a sweep of {generator.prefix} over dimensions {' '.join(map(str, dims))} of z"
        f"{chosen}, to {settings.out}"
    )
