"""Walks and sweeps of a model: pictures on a way through the latent space."""

from __future__ import annotations

import os

import numpy as np

from dcgan_completion import checkpoints, utils
from dcgan_completion.latent import samples, sheets, walks
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.latent import GIF, STRIP, SweepSettings, WalkSettings
from dcgan_completion.utils import UserError


def draw_walk(settings: WalkSettings, model: DCGAN, prefix: str) -> int:
    """Writes a walk as a strip and as animations; returns the status."""
    names = settings.names()
    ends = samples.latents_of(settings, model, names)
    way = walks.walk(ends, settings.frames, settings.path, settings.loop)
    frames = checkpoints.generate(model, samples.clipped(way))
    files = settings.outputs()["--out"]
    samples.make_folder(files[0])
    for path in files:
        suffix = os.path.splitext(path)[1].lower()
        if suffix == STRIP:
            utils.save_image(path, sheets.strip(frames, settings.strip, settings.loop))
        else:
            kind = "GIF" if suffix == GIF else "WEBP"
            sheets.save_animation(path, frames, kind, settings.delay)
    through = ", ".join(map(str, names))
    print(f"{len(frames)} frames by {prefix}, a walk through {through}, are in {', '.join(files)}")
    return 0


def influence(model: DCGAN, z: np.ndarray) -> np.ndarray:
    """How much each value of a latent, [z_dim], changes its picture: [z_dim].

    The mean absolute difference of pixels, in levels of 0..255, between the value at -1 and at 1,
    all others as they are.
    """
    ends = []
    for end in (-1, 1):
        changed = np.repeat(z[np.newaxis], len(z), axis=0)
        np.fill_diagonal(changed, end)
        ends.append(checkpoints.generate(model, changed).astype(np.float32))
    return np.abs(ends[1] - ends[0]).mean(axis=(1, 2, 3))


def draw_sweep(settings: SweepSettings, model: DCGAN, prefix: str) -> int:
    """Writes a sheet with a row for each value of z; returns the status."""
    (name,) = settings.names()
    (z,) = samples.latents_of(settings, model, [name])
    dims, chosen = settings.dims, ""
    if not dims:
        dims = np.argsort(-influence(model, z), kind="stable")[: settings.rows or 8].tolist()
        chosen = ", those that change this picture most"
    if max(dims) >= model.z_dim:
        raise UserError(
            f"--dims {max(dims)}: the model's z has {model.z_dim} values, from 0 to "
            f"{model.z_dim - 1}"
        )
    values = np.linspace(-1, 1, settings.steps)
    rows = [[Cell(), *(Cell(caption=f"{value:.2g}") for value in values)]]
    for dim in dims:
        changed = np.repeat(z[np.newaxis], len(values), axis=0)
        changed[:, dim] = values
        images = checkpoints.generate(model, changed)
        rows.append([Cell(caption=f"z[{dim}]"), *map(Cell, images)])
    samples.make_folder(settings.out)
    title = f"Sample {name}: single values of z from -1 to 1"
    utils.save_image(settings.out, sheets.sheet(rows, title))
    which = " ".join(map(str, dims))
    print(f"values {which} of z{chosen}, by {prefix}, are in {settings.out}")
    return 0
