"""The sub-command `invert`: photos, their latents and their reconstructions."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from dcgan_completion import cli, inputs, latents, utils
from dcgan_completion.evaluation import face_sets, image_metrics
from dcgan_completion.faces import aligner as faces
from dcgan_completion.inpaint.inversion import invert
from dcgan_completion.latent import samples, sheets
from dcgan_completion.latent.generator import Generator
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.settings.latent import InvertSettings
from dcgan_completion.settings.search import SearchSettings
from dcgan_completion.utils import UserError

# The search of complete.py's `auto`, without its decay, which draws z to the middle.
SEARCH = {"decay": 0.0, "average": 1}

logger = logging.getLogger(__name__)


def load_faces(
    settings: InvertSettings, paths: Sequence[str], generator: Generator
) -> dict[str, np.ndarray]:
    """Load or align the faces of photos, uint8 [S, S, C] each; logs photos that cannot be used.

    Args:
      settings: say whether the photos are aligned, and by which landmarks.
      paths: of the photos.
      generator: the faces are to be of its size and colours.

    Raises:
      UserError: no photo can be used.
    """
    size, channels = generator.image_size, generator.channels
    aligner = None if settings.aligned else faces.FaceAligner(settings.landmarks, size)
    found: dict[str, np.ndarray] = {}
    failed: list[str] = []
    for path in paths:
        try:
            if aligner is None:
                (found[path],) = face_sets.load_faces([path], size, channels)
            else:
                found[path] = _align(path, aligner, channels)
        except UserError as error:
            failed.append(str(error))
    if not found:
        more = f" (and {len(failed) - 1} more that cannot be used)" if len(failed) > 1 else ""
        raise UserError(failed[0] + more)
    for message in failed:
        logger.warning(f"skipped: {message}")
    return found


def _align(path: str, aligner: faces.FaceAligner, channels: int) -> np.ndarray:
    """Align the largest face in a photo: uint8 [S, S, channels]."""
    photo = utils.load_image(path)
    try:
        face = aligner.align_largest(photo)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if face is None:
        raise UserError(f"{path}: no face is found; align it by hand, and name it with --aligned")
    if channels == 1:
        return np.asarray(Image.fromarray(face.image).convert("L"))[..., np.newaxis]
    return face.image


def _sheet(
    names: Sequence[str], images: np.ndarray, reconstructions: np.ndarray, psnr: np.ndarray
) -> np.ndarray:
    cells = []
    for i, name in enumerate(names):
        short = name if len(name) <= 16 else f"{name[:13]}..."
        pair = utils.image_grid(np.stack([images[i], reconstructions[i]]), 2)
        cells.append(Cell(pair, f"{i}: {short}\n{psnr[i]:.1f} dB"))
    columns = max(1, int(np.sqrt(len(cells))))
    return sheets.sheet(sheets.wrapped(cells, columns))


def write_inversion(settings: InvertSettings, generator: Generator) -> int:
    """Write the latents of photos, and a sheet; returns the status, 1 if photos were skipped."""
    named = inputs.list_inputs(settings.photos)
    found = load_faces(settings, named, generator)
    paths, images = list(found), np.stack(list(found.values()))
    search = SearchSettings.of("auto", samples=settings.restarts, n_iter=settings.n_iter, **SEARCH)
    with cli.progress_bar(total=len(images), unit="face") as bar:
        z, reconstructions = invert(
            generator.model, images, settings.seed, search, settings.restarts, bar.update
        )
    everywhere = np.ones([*images.shape[:3], 1], bool)
    psnr = image_metrics.psnr(images, reconstructions, everywhere)
    samples.make_folder(settings.out)
    names = [os.path.basename(path) for path in paths]
    utils.save_image(settings.beside, _sheet(names, images, reconstructions, psnr))
    latents.write(settings.out, z, names=np.array(paths), psnr=psnr)
    logger.info(
        f"inverted {len(paths)} faces with {generator.prefix}, mean PSNR {psnr.mean():.1f} dB: "
        f"wrote z to {settings.out}, reconstructions to {settings.beside}"
    )
    return int(len(paths) < len(named))
