"""`PhotoInpainter`: fills in what is missing of the faces in photos of any size."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dcgan_completion.inpaint import arrays
from dcgan_completion.inpaint.inpainter import BATCH, Inpainter
from dcgan_completion.photos.files import Photo, photo_of, read_photo, save_photo
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.options import naming_arguments
from dcgan_completion.settings.photos import ALL, LANDMARKS, NONE, TRANSFER, PhotoSettings
from dcgan_completion.settings.search import SearchSettings
from dcgan_completion.utils import UserError

if TYPE_CHECKING:
    from dcgan_completion.faces.aligner import FaceAligner
    from dcgan_completion.inpaint.estimator import Estimator
    from dcgan_completion.inpaint.head_estimator import HeadEstimator
    from dcgan_completion.inpaint.search import LatentSearch
    from dcgan_completion.masks.mask import Mask
    from dcgan_completion.photo_encoder import PhotoEncoder
    from dcgan_completion.photos.task import Task

HEAD_APPROACHES = ("auto", "direct")  # those that a photo encoder serves
Picture = str | os.PathLike[str] | Image.Image | np.ndarray  # a file, or its pixels


class PhotoSearch:
    """A search that gives candidates for the faces of several photos at a time.

    Attributes:
      blend: how they are blended at the photos' resolution; see `blending.fill`.
      batch_size: faces of a batch.
    """

    def __init__(self, search: LatentSearch | Estimator | HeadEstimator, blend: str) -> None:
        """Take a search, as `Inpainter.search` makes it, or what draws heads."""
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
      photos: its versions, the best first, at the photo's own size and depth.
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the best version as complete-photo.py does: all bits, transparency, profile, EXIF.

        Args:
          path: its extension names the format: .png, .jpg, .webp, .tif, .bmp or .ppm.

        Raises:
          ValueError: there is no such format, or it does not hold 16 bits or transparency.
        """
        save_photo(self.photos[0], path)


class PhotoInpainter:
    """Repairs photos with an `Inpainter`: faces are completed, and pasted back in place.

    Example:
      >>> import numpy as np
      >>> from dcgan_completion.photos.photo_inpainter import PhotoInpainter
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
        """Take the inpainter that completes the faces."""
        self.inpainter = inpainter

    @classmethod
    def from_pretrained(cls, path: str | None = None, *, precision: str = "auto") -> PhotoInpainter:
        """Load a model; arguments and errors as `Inpainter.from_pretrained`."""
        return cls(Inpainter.from_pretrained(path, precision=precision))

    def head_encoder(self, options: Mapping[str, Any]) -> PhotoEncoder | None:
        """Load the photo encoder that a search by some options uses; None if it uses none.

        Where the model has one, it serves `auto` and `direct`, unless other options ask for the
        latent search that they belong to.
        """
        approach = options.get("approach", SearchSettings.approach)
        plain = approach == "direct" or not set(options) - {"approach", "blend"}
        return self.inpainter.photo_encoder() if approach in HEAD_APPROACHES and plain else None

    def settings(self, options: Mapping[str, Any], samples: int = 1) -> SearchSettings:
        """Resolve options of `SearchSettings`; errors as `Inpainter.search_settings`."""
        if self.head_encoder(options) is None:
            return self.inpainter.search_settings(options, samples)
        return SearchSettings.of(**{**options, "approach": "direct"})

    def search(
        self,
        options: Mapping[str, Any],
        samples: int = 1,
        batch_size: int = BATCH,
        precision: str | None = None,
    ) -> PhotoSearch:
        """Make a search by options of `SearchSettings`; arguments as for `Inpainter.search`."""
        settings, encoder = self.settings(options, samples), self.head_encoder(options)
        inpainter = self.inpainter
        search: LatentSearch | Estimator | HeadEstimator
        if encoder is None:
            sizes = {"samples": samples, "batch_size": batch_size}
            search = inpainter.search(settings, **sizes, precision=precision)
        else:
            from dcgan_completion.inpaint.head_estimator import HeadEstimator

            precision = precision or inpainter.precision
            search = HeadEstimator(
                encoder, samples=samples, batch_size=batch_size, precision=precision
            )
        return PhotoSearch(search, settings.blend)

    @functools.cached_property
    def _aligner(self) -> FaceAligner:
        from dcgan_completion.faces.aligner import FaceAligner

        return FaceAligner(LANDMARKS, self.inpainter.image_size)

    def __call__(
        self,
        photo: Picture,
        mask: Picture,
        *,
        approach: str = "auto",
        samples: int = 1,
        blend: str | None = None,
        seed: int = 0,
        face: str | int = ALL,
        landmarks: str | os.PathLike[str] | Sequence[Sequence[float]] | np.ndarray | None = None,
        detail: str = TRANSFER,
        grain: bool = True,
        dilate: int = 0,
        feather: bool = False,
        **options: Any,
    ) -> RepairedPhoto:
        """Repair a photo, as complete-photo.py does, bit for bit.

        Args:
          photo: a file, a PIL image (of at most 8 bits per colour), or an array, uint8 or uint16,
            [H, W] or [H, W, C]: gray or RGB, and alpha.
          mask: a file, a PIL image, or an array [H, W], of the photo's size when upright: white,
            1 or True = hole.
          approach, samples, blend, seed, options: as for `Inpainter`.
          face: all, largest, or the number of a face, from left to right (`draw_faces`).
          landmarks: where the face of the photo is, as for --landmarks: a file, or (x, y), [3, 2].
          detail: what makes faces sharp that are larger in the photo than the model's images.
            transfer: the fine detail of their known part, and noise like that of the photo for all
            else; grain: only that noise; none: nothing.
          grain: False is the same as `detail="none"`.
          dilate: pixels by which the hole grows.
          feather: blend gradually over the pixels that `dilate` adds.

        Raises:
          ValueError: names the argument that is wrong, or says that no face was found.
        """
        from dcgan_completion.photos.repair import repair
        from dcgan_completion.photos.task import TaskMaker

        asked = {"approach": approach, "blend": blend} | options
        asked = {name: value for name, value in asked.items() if value is not None}
        if not grain and detail not in (TRANSFER, NONE):
            raise ValueError(f"grain: False contradicts detail={detail!r}; leave it out")
        detail = detail if grain else NONE
        own = {"samples": samples, "seed": seed, "face": str(face), "detail": detail}
        growth = {n: value for n, value in (("dilate", dilate), ("feather", feather)) if value}
        for given, settings in (
            (asked, SearchSettings),
            (own, PhotoSettings),
            (growth, MaskSettings),
        ):
            arrays.check_options(given, settings)
        points = as_landmarks(landmarks)
        if points is not None and face != ALL:
            raise ValueError("landmarks: says where the face is and contradicts face; give one")
        with naming_arguments():
            MaskSettings.of(**growth)
            search = self.search(asked, samples, batch_size=1)
            name, read = as_photo(photo)
            task = TaskMaker(
                PhotoSettings(("photo",), **own),
                None,
                self._aligner,
                self.inpainter.channels,
                landmarks=points,
                hint="draw_faces() shows the faces, landmarks says where another one is",
                head_size=head_size_of(self.head_encoder(asked)),
            ).make_of(name, read, as_mask(mask, read, dilate, feather))
            (found,) = search.candidates([task], seed)
        versions = [repair(task, found[:, k], search.blend, seed, detail) for k in range(samples)]
        return RepairedPhoto(versions, task)

    def draw_faces(self, photo: Picture, mask: Picture | None = None) -> Image.Image:
        """Draw the faces of a photo with their numbers, as --list-faces does.

        Args:
          photo, mask: as for a call; a mask helps to find what it hides.

        Raises:
          ValueError: as a call.
        """
        from dcgan_completion.faces import detection

        name, read = as_photo(photo)
        hole = None if mask is None else as_mask(mask, read).plane
        with naming_arguments():
            try:
                found = detection.find_faces(self._aligner, read.as_rgb8(), hole)
            except UserError as error:
                raise UserError(f"{name}: {error}") from None
        return Image.fromarray(detection.draw_faces(read.as_rgb8(), found))


def head_size_of(encoder: PhotoEncoder | None) -> int | None:
    """Return the edge of the heads' squares that an encoder sees; None without one."""
    return None if encoder is None else encoder.image_size


def as_photo(photo: Picture) -> tuple[str, Photo]:
    """Read a photo from a file, a PIL image or an array; return what errors call it, too.

    Raises:
      ValueError: it cannot be read, or has another type or shape.
    """
    if isinstance(photo, str | os.PathLike):
        with naming_arguments():
            return os.fspath(photo), read_photo(os.fspath(photo))
    if isinstance(photo, Image.Image):
        return "photo", photo_of(photo)
    if not isinstance(photo, np.ndarray):
        raise ValueError(f"photo: is {type(photo).__name__}; give a file, a PIL image or an array")
    try:
        return "photo", Photo.of_samples(photo[..., np.newaxis] if photo.ndim == 2 else photo)
    except (ValueError, IndexError):
        raise ValueError(
            f"photo: is {photo.dtype} {list(photo.shape)}; give uint8 or uint16, [H, W] or "
            "[H, W, 1 to 4]"
        ) from None


def as_landmarks(landmarks: Any) -> np.ndarray | None:
    """Read landmarks from a file or an array, float64 [3, 2]; None if none are given.

    Raises:
      ValueError: they are something else.
    """
    if landmarks is None:
        return None
    if isinstance(landmarks, str | os.PathLike):
        from dcgan_completion.faces import detection

        with naming_arguments():
            return detection.read_landmarks(os.fspath(landmarks))
    try:
        points = np.asarray(landmarks, np.float64)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.shape != (3, 2) or not np.isfinite(points).all():
        raise ValueError("landmarks: is not a file or three points (x, y), in pixels of the photo")
    return points


def as_mask(mask: Picture, photo: Photo, dilate: int = 0, feather: bool = False) -> Mask:
    """Read the mask of a photo from a file, a PIL image or an array, and grow its hole.

    Raises:
      ValueError: it cannot be read, is of another size, or all or nothing is missing.
    """
    from dcgan_completion.masks import files
    from dcgan_completion.masks.mask import Mask

    if isinstance(mask, str | os.PathLike):
        with naming_arguments():
            hole = files.read_hole(os.fspath(mask))
    else:
        hole = arrays.read_hole("mask", mask)
    height, width = photo.pixels.shape[:2]
    if hole.shape != (height, width):
        raise ValueError(
            f"mask: is {list(hole.shape)}, but the photo [{height}, {width}] when upright"
        )
    if not hole.any():
        raise ValueError("mask: nothing is missing; white, 1 or True is the hole")
    found = Mask.of_plane(hole)
    found = found.grown(dilate, feather) if dilate else found
    if found.hole.all():
        remedy = "white, 1 or True is the hole" if hole.all() else "lower dilate"
        raise ValueError(f"mask: everything is missing, so nothing is known; {remedy}")
    return found
