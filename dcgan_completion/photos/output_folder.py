"""The output folder of repaired photos: results, comparisons, candidates, layers, the report."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from dcgan_completion.output_folder import ResumableFolder
from dcgan_completion.photos.files import Photo, output_kind, output_suffix, write_photo
from dcgan_completion.photos.layers import layer_of, rgb_profile
from dcgan_completion.utils import image_grid, save_image

COMPARED = 1600  # pixels: longer edge of a photo in before-after/, at most
CELL = 320  # pixels: width of a photo before and after in the contact sheet, at most
SHEET = 100  # photos in the contact sheet, at most
SAMPLE = 512  # pixels: longer edge of a candidate in a sheet of samples, at most


@dataclasses.dataclass(frozen=True)
class FaceReport:
    """Where a face was found that was completed.

    Attributes:
      number: from 1, left to right in the photo.
      how: which way found it.
      score: of the detector; None: it was not the detector that found the face.
      box: left, top, width, height in pixels; None: the landmarks were given.
      landmarks: (x, y) in pixels of those that alignment uses, [3, 2].
      matrix: from pixels of the photo to those of the square, affine, [2, 3].
      width: of the face in pixels of the photo.
      size: edge of the square in which it was completed.
    """

    number: int
    how: str
    score: float | None
    box: tuple[int, int, int, int] | None
    landmarks: np.ndarray
    matrix: np.ndarray
    width: int
    size: int

    def cells(self) -> list[str]:
        """What the report's columns say of it, as text."""
        return [
            str(self.number),
            self.how,
            "" if self.score is None else f"{self.score:.4g}",
            "" if self.box is None else " ".join(map(str, self.box)),
            " ".join(f"{x:.6g},{y:.6g}" for x, y in self.landmarks),
            " ".join(f"{value:.9g}" for value in self.matrix.ravel()),
            f"face {self.width} pixels wide, completed at {self.size}",
        ]


@dataclasses.dataclass(frozen=True)
class HoleReport:
    """What became of a photo's hole.

    Attributes:
      missing: pixels of the hole.
      generated: share of them that the model filled, 0 to 1.
      inpainted: share of them that were inpainted.
      seconds: that the photo took.
    """

    missing: int
    generated: float
    inpainted: float
    seconds: float

    def cells(self) -> list[str]:
        """What the report's columns say of it, as text."""
        shares = (f"{self.generated:.4f}", f"{self.inpainted:.4f}")
        return [str(self.missing), *shares, f"{self.seconds:.2f}"]


class PhotoFolder(ResumableFolder):
    """The output folder of complete-photo.py.

    final/ has the photos, before-after/ each beside what was given, contact.png the first of these,
    report.csv a row for each face; samples/ and patch/ are there on request.
    """

    FLAG = "--out-dir"
    WHAT = "completion of photos"
    INPUTS = KEY = "photos"
    TABLE = "report.csv"
    OF_FACE = ("face", "found", "score", "box", "landmarks", "matrix", "detail")
    OF_HOLE = ("missing", "generated", "inpainted", "seconds")
    COLUMNS = ("photo", "output", *OF_FACE, *OF_HOLE, "notes")
    NUMBERS = ("face", *OF_HOLE)
    CONTACT = "contact.png"
    RESULTS = (TABLE, "final", "before-after", "samples", "patch", CONTACT)

    def finish_photo(
        self,
        names: tuple[str, str],
        before: Photo,
        after: Photo,
        output_format: str,
        faces: Sequence[FaceReport],
        hole: HoleReport,
    ) -> None:
        """Writes a repaired photo and its rows of the report: it is done.

        Args:
          names: path of the photo, and its output name without extension.
          before: the photo as it was read.
          after: the repaired one.
          output_format: of settings.photos.OUTPUT_FORMATS.
          faces: those that were completed.
          hole: what became of it.
        """
        path, name = names
        output = name + output_suffix(after, output_format)
        write_photo(after, self._place("final", output), output_kind(after, output_format))
        pair = image_grid(np.stack([_shown(photo, COMPARED) for photo in (before, after)]), 2)
        compared = Photo(pair, icc=rgb_profile(after))
        write_photo(compared, self._place("before-after", f"{name}.png"), "PNG")
        notes = "; ".join(before.notes)
        self._add_rows([[path, output, *face.cells(), *hole.cells(), notes] for face in faces])

    def write_samples(
        self,
        name: str,
        before: Photo,
        candidates: Iterable[Photo],
        output_format: str,
        region: tuple[slice, slice],
    ) -> None:
        """Writes candidates, the best first: a file of each, and all in a sheet beside the photo.

        Args:
          name: output name of the photo without extension.
          before: the photo as it was read.
          candidates: repaired photos; of an iterator one at a time is in memory.
          output_format: of settings.photos.OUTPUT_FORMATS.
          region: rows and columns that the sheet shows.
        """
        cells = [_shown(before, SAMPLE, region)]
        for rank, photo in enumerate(candidates, 1):
            output = f"{rank}{output_suffix(photo, output_format)}"
            path = self._place("samples", name, output)
            write_photo(photo, path, output_kind(photo, output_format))
            cells.append(_shown(photo, SAMPLE, region))
        sheet = image_grid(np.stack(cells), len(cells))
        save_image(self._place("samples", f"{name}.png"), sheet)

    def write_patch(self, name: str, after: Photo, hole: np.ndarray) -> None:
        """Writes what was filled as a layer for an image editor: RGBA of the photo's size.

        Args:
          name: output name of the photo without extension.
          after: the repaired photo.
          hole: bool [H, W]; all else is transparent, and holds nothing.
        """
        write_photo(layer_of(after, hole), self._place("patch", f"{name}.png"), "PNG")

    def write_contact_sheet(self, names: Mapping[str, str]) -> None:
        """Writes contact.png: the first SHEET photos that are done, before and after.

        Args:
          names: path of a photo -> output name without extension.
        """
        done = self.done
        pairs = []
        for name in [name for path, name in names.items() if path in done][:SHEET]:
            with Image.open(self._place("before-after", f"{name}.png")) as pair:
                pair.thumbnail((2 * CELL, CELL), Image.Resampling.LANCZOS)
                pairs.append(np.asarray(pair))
        if pairs:
            shape = np.max([pair.shape for pair in pairs], axis=0)
            cells = np.stack([_centred(pair, shape) for pair in pairs])
            save_image(os.path.join(self.path, self.CONTACT), image_grid(cells))

    def _place(self, *names: str) -> str:
        """The path of a file in the folder; its folder is made."""
        path = os.path.join(self.path, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path


def _shown(
    photo: Photo, longest: int, region: tuple[slice, slice] = (slice(None), slice(None))
) -> np.ndarray:
    """A region of a photo on white, uint8 [h, w, 3], scaled down to `longest` pixels if larger."""
    rgb = Image.fromarray(photo.as_rgb8()[region])
    if photo.alpha is not None:
        alpha = Photo(photo.alpha[..., np.newaxis]).as_gray8()[region]
        white = Image.new("RGB", rgb.size, "white")
        rgb = Image.composite(rgb, white, Image.fromarray(alpha[..., 0]))
    rgb.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def _centred(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """An image in the middle of a white one of the given shape."""
    canvas = np.full(shape, 255, np.uint8)
    top, left = (
        (whole - part) // 2 for whole, part in zip(shape[:2], image.shape[:2], strict=True)
    )
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
