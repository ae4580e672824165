"""`PhotoInpainter`: fills in what is missing of the faces in photos of any size."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dcgan_completion.inpaint import arrays
from dcgan_completion.inpaint.inpainter import BATCH, Inpainter, naming_arguments
from dcgan_completion.photos.files import Photo, read_photo
from dcgan_completion.settings.photos import LANDMARKS, PhotoSettings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.inpaint.estimator import Estimator
    from dcgan_completion.inpaint.search import LatentSearch
    from dcgan_completion.masks.mask import Mask
    from dcgan_completion.photos.task import Task


class PhotoSearch:
    """A search that gives candidates for the faces of several photos at a time.

    Attributes:
      blend: how they are blended at the photos' resolution; see `blending.fill`.
      batch_size: faces of a batch.
    """

    def __init__(self, search: LatentSearch | Estimator, blend: str) -> None:
        """Take a search, as `Inpainter.search` makes it."""
        self.blend, self.batch_size, self._search = blend, search.batch_size, search

    def candidates(self, tasks: Sequence[Task], seed: int) -> list[np.ndarray]:
        """Search for candidates of all faces, for each task 0..255, float32 [N, K, S, S, C].

        Raises:
          UserError: out of memory.
        """
        import tensorflow as tf

        from dcgan_completion.masks.mask import Mask

        squares = np.concatenate([task.squares for task in tasks])
        mask = Mask(np.concatenate([task.square_mask.hole for task in tasks]))
        try:
            found = self._search.complete(squares, mask, seed).images
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise UserError(
                f"--batch-size {self.batch_size}: out of memory; lower it, or --samples or "
                "--average"
            ) from error
        return np.split(found, np.cumsum([len(task.faces) for task in tasks])[:-1])


@dataclasses.dataclass(frozen=True, eq=False)
class RepairedPhoto:
    """A repaired photo.

    Attributes:
      photos: the versions of it, the best first, at its own size and depth; write one with
        `photos.files.write_photo`.
      task: what was missing, and which faces were completed.
    """

    photos: list[Photo]
    task: Task

    @property
    def image(self) -> Image.Image:
        """The best version, as a PIL image of 8 bits."""
        return self.samples[0]

    @property
    def samples(self) -> list[Image.Image]:
        """All versions, as PIL images of 8 bits."""
        return [Image.fromarray(photo.as_rgb8()) for photo in self.photos]


class PhotoInpainter:
    """Repairs photos with an `Inpainter`: faces are completed, and pasted back in place.

    Example:
      >>> import numpy as np
      >>> from dcgan_completion import PhotoInpainter
      >>> from dcgan_completion.photos.portraits import eileen_collins
      >>> photo = eileen_collins()
      >>> mask = np.zeros(photo.shape[:2], bool)
      >>> mask[125:165, 195:255] = True  # True is the hole
      >>> repaired = PhotoInpainter.from_pretrained()(photo, mask, approach="direct")
      >>> repaired.image.size
      (512, 512)

    Attributes:
      inpainter: completes the faces.
    """

    def __init__(self, inpainter: Inpainter) -> None:
        """Take what completes the faces."""
        self.inpainter = inpainter

    @classmethod
    def from_pretrained(cls, path: str | None = None, *, precision: str = "auto") -> PhotoInpainter:
        """Load a model; arguments and errors as `Inpainter.from_pretrained`."""
        return cls(Inpainter.from_pretrained(path, precision=precision))

    def search(
        self, options: dict[str, Any], samples: int = 1, batch_size: int = BATCH
    ) -> PhotoSearch:
        """Make a search by options of `SearchSettings`; errors as `Inpainter.search_settings`."""
        settings = self.inpainter.search_settings(options, samples)
        search = self.inpainter.search(settings, samples=samples, batch_size=batch_size)
        return PhotoSearch(search, settings.blend)

    def __call__(
        self,
        photo: str | os.PathLike[str] | Image.Image | np.ndarray,
        mask: str | os.PathLike[str] | Image.Image | np.ndarray,
        *,
        approach: str = "auto",
        samples: int = 1,
        blend: str | None = None,
        seed: int = 0,
        face: str | int = "all",
        landmarks: str | None = None,
        grain: bool = True,
        dilate: int = 0,
        feather: bool = False,
        **options: Any,
    ) -> RepairedPhoto:
        """Repair a photo, as complete-photo.py does, bit for bit.

        Args:
          photo: a file, a PIL image, or an array, uint8 or uint16 [H, W, 3] or [H, W].
          mask: a file, a PIL image, or an array [H, W], of the photo's size when upright: white,
            1 or True = hole.
          approach, samples, blend, seed, options: as for `Inpainter`.
          face: all, largest, or the number of a face, from left to right.
          landmarks: a file with the face's landmarks, as for --landmarks.
          grain: add noise as in the known part of the photo.
          dilate: pixels by which the hole grows.
          feather: blend gradually over the pixels that `dilate` adds.

        Raises:
          ValueError: names the argument that is wrong, or says that no face was found.
        """
        from dcgan_completion.faces.aligner import FaceAligner
        from dcgan_completion.photos.repair import repair
        from dcgan_completion.photos.task import TaskMaker, check_colours

        with naming_arguments():
            asked = {"approach": approach, "blend": blend} | options
            asked = {name: value for name, value in asked.items() if value is not None}
            arrays.check_options(asked)
            settings = PhotoSettings.of(["photo"], face=str(face), landmarks=landmarks, seed=seed)
            search = self.search(asked, samples, batch_size=1)
            name = str(photo) if isinstance(photo, str | os.PathLike) else "photo"
            read = as_photo(photo)
            check_colours(name, read, self.inpainter.channels)
            hole = as_mask(mask, read)
            hole = hole.grown(dilate, feather) if dilate else hole
            aligner = FaceAligner(LANDMARKS, self.inpainter.image_size)
            task = TaskMaker(settings, None, aligner, self.inpainter.channels).make_of(
                name, read, hole
            )
            (found,) = search.candidates([task], seed)
        versions = [
            repair(task, found[:, k], search.blend, seed, with_grain=grain) for k in range(samples)
        ]
        return RepairedPhoto(versions, task)


def as_photo(photo: str | os.PathLike[str] | Image.Image | np.ndarray) -> Photo:
    """Read a photo from a file, a PIL image or an array.

    Raises:
      ValueError: it cannot be read, or has another type or shape.
    """
    if isinstance(photo, str | os.PathLike):
        return read_photo(os.fspath(photo))
    if isinstance(photo, Image.Image):
        photo = arrays.as_array("photo", photo if photo.mode == "L" else photo.convert("RGB"))
    if not isinstance(photo, np.ndarray):
        raise ValueError(f"photo: is {type(photo).__name__}; give a file, a PIL image or an array")
    pixels = photo[..., np.newaxis] if photo.ndim == 2 else photo
    try:
        return Photo(np.ascontiguousarray(pixels))
    except ValueError as error:
        raise ValueError(f"photo: {error}") from None


def as_mask(mask: str | os.PathLike[str] | Image.Image | np.ndarray, photo: Photo) -> Mask:
    """Read the mask of a photo from a file, a PIL image or an array.

    Raises:
      ValueError: it cannot be read, is of another size, or all or nothing is missing.
    """
    from dcgan_completion.masks import files
    from dcgan_completion.masks.mask import Mask

    if isinstance(mask, str | os.PathLike):
        hole = files.read_hole(os.fspath(mask))
    else:
        hole = arrays.read_hole("mask", mask)
    shape = photo.pixels.shape[:2]
    if hole.shape != shape:
        raise ValueError(f"mask: is {hole.shape}, the photo {shape} when upright")
    if hole.all() or not hole.any():
        raise ValueError(
            f"mask: {'everything' if hole.all() else 'nothing'} is missing; white, 1 or True is "
            "the hole"
        )
    return Mask.of_plane(hole)
