"""Inversion: the z whose picture G(z) is nearest to a whole face."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from dcgan_completion import cli, inputs, utils
from dcgan_completion.evaluation import face_sets, image_metrics
from dcgan_completion.faces import aligner as faces
from dcgan_completion.inpaint import blending
from dcgan_completion.inpaint.search import LatentSearch
from dcgan_completion.latent import points, samples, sheets
from dcgan_completion.latent.sheets import Cell
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.latent import InvertSettings
from dcgan_completion.settings.search import SearchSettings
from dcgan_completion.utils import UserError

SEARCHES = 64  # that go side by side
# The search of complete.py's `auto`, without its decay, which draws z to the middle.
SEARCH = {"decay": 0.0, "average": 1}


@dataclasses.dataclass(frozen=True)
class Inversion:
    """What was found for N faces.

    Attributes:
      z: float32 [N, z_dim] in [-1, 1].
      reconstructions: G(z), uint8 [N, S, S, C].
      psnr: of faces and reconstructions, in dB, float64 [N].
    """

    z: np.ndarray
    reconstructions: np.ndarray
    psnr: np.ndarray


def invert(
    model: DCGAN, images: np.ndarray, seed: int, iterations: int = 200, restarts: int = 2
) -> Inversion:
    """The z of the smallest contextual loss over whole faces, uint8 [N, S, S, C].

    A completion in which nothing is missing: the searches start at the nearest of a pool of
    generated faces, and the best of them counts.

    Args:
      model: its generator is inverted.
      images: any number of faces.
      seed: of the pool.
      iterations: of each search.
      restarts: searches for each face.
    """
    settings = SearchSettings.of("auto", samples=restarts, n_iter=iterations, **SEARCH)
    batch = max(1, min(SEARCHES // restarts, len(images)))
    search = LatentSearch(model, settings, batch_size=batch, samples=restarts)
    mask = Mask(np.zeros([*images.shape[:3], 1], bool))
    z, reconstructions = [], []
    with cli.progress_bar(total=len(images), unit="face") as bar:
        for first in range(0, len(images), batch):
            part = slice(first, first + batch)
            *_, found = search.states(images[part], mask[part], seed, interval=iterations)
            z.append(found.z[:, 0, 0])
            reconstructions.append(blending.rounded(found.generated[:, 0]))
            bar.update(len(found.z))
    generated = np.concatenate(reconstructions)
    psnr = image_metrics.psnr(images, generated, np.ones_like(mask.hole))
    return Inversion(np.concatenate(z), generated, psnr)


def load_faces(
    settings: InvertSettings, model: DCGAN, failed: list[str]
) -> tuple[list[str], np.ndarray]:
    """The faces of photos, aligned: their paths, and uint8 [N, S, S, C].

    Args:
      settings: name the photos, and say whether they are aligned.
      model: the faces are to be of its size and colours.
      failed: what is wrong with photos that cannot be used is added to it.

    Raises:
      UserError: no photo can be used.
    """
    paths = inputs.list_inputs(settings.photos)
    size, channels = model.image_size, model.channels
    aligner = None
    if not settings.aligned:
        aligner = faces.FaceAligner(settings.landmarks, size)
    found: dict[str, np.ndarray] = {}
    for path in paths:
        try:
            if aligner is None:
                (found[path],) = face_sets.load_faces([path], size, channels)
            else:
                photo = utils.load_image(path)
                found[path] = _align(path, photo, aligner, channels)
        except UserError as error:
            failed.append(str(error))
    if not found:
        more = f" (and {len(failed) - 1} more that cannot be used)" if len(failed) > 1 else ""
        raise UserError(failed[0] + more)
    return list(found), np.stack(list(found.values()))


def _align(path: str, photo: np.ndarray, aligner: faces.FaceAligner, channels: int) -> np.ndarray:
    """The largest face in a photo, uint8 [H, W, 3], as [S, S, channels]."""
    try:
        image = aligner.align(photo).image
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if image is None:
        raise UserError(f"{path}: no face is found; align it by hand, and name it with --aligned")
    if channels == 1:
        image = np.asarray(Image.fromarray(image).convert("L"))[..., np.newaxis]
    return image


def _sheet(names: Sequence[str], images: np.ndarray, found: Inversion) -> np.ndarray:
    cells = []
    for i, name in enumerate(names):
        short = name if len(name) <= 16 else f"{name[:13]}..."
        pair = utils.image_grid(np.stack([images[i], found.reconstructions[i]]), 2)
        cells.append(Cell(pair, f"{i}: {short}\n{found.psnr[i]:.1f} dB"))
    columns = max(1, int(np.sqrt(len(cells))))
    return sheets.sheet(sheets.wrapped(cells, columns))


def write_inversion(settings: InvertSettings, model: DCGAN, prefix: str) -> int:
    """Writes the latents of photos, and a sheet; tells where; returns the status."""
    failed: list[str] = []
    paths, images = load_faces(settings, model, failed)
    for message in failed:
        cli.say(f"skipped: {message}")
    found = invert(model, images, settings.seed, settings.n_iter, settings.restarts)
    samples.make_folder(settings.out)
    utils.save_image(
        settings.sheet, _sheet([os.path.basename(path) for path in paths], images, found)
    )
    points.write_latents(settings.out, found.z, names=np.array(paths), psnr=found.psnr)
    print(
        f"{len(paths)} faces inverted by {prefix}, mean PSNR {found.psnr.mean():.1f} dB: z is in "
        f"{settings.out}, reconstructions are in {settings.sheet}"
    )
    return 1 if failed else 0
