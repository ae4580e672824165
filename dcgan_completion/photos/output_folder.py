"""The output folder of repaired photos: results, comparisons, samples, layers, the report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from dcgan_completion.faces.detection import GIVEN, FoundFace
from dcgan_completion.masks.boxes import Crop
from dcgan_completion.output_folder import ResumableFolder
from dcgan_completion.photos.files import Photo, output_kind, output_suffix, write_photo
from dcgan_completion.photos.layers import layer_of, rgb_profile
from dcgan_completion.photos.task import Task, detail_of
from dcgan_completion.utils import image_grid, save_image

COMPARED = 1600  # pixels: longer edge of a photo in before-after/, at most
CELL = 320  # pixels: width of a photo before and after in the contact sheet, at most
SHEET = 100  # photos in the contact sheet, at most
SAMPLE = 512  # pixels: longer edge of a version in a sheet of samples, at most


def _face_cells(number: int, face: FoundFace) -> list[str]:
    """Describe a face in the report: the columns OF_FACE."""
    left, top, right, bottom = map(round, face.box)
    return [
        str(number),
        face.how,
        "" if face.score is None else f"{face.score:.4g}",
        "" if face.how == GIVEN else f"{left} {top} {right - left} {bottom - top}",
        " ".join(f"{x:.6g},{y:.6g}" for x, y in face.landmarks),
        " ".join(f"{value:.9g}" for value in face.matrix.ravel()),
        detail_of(face),
    ]


def _hole_cells(task: Task) -> list[str]:
    """Describe what became of a photo's hole in the report: the columns OF_HOLE."""
    missing, diffused = np.count_nonzero(task.hole), np.count_nonzero(task.diffused)
    share = diffused / missing
    return [str(missing), f"{1 - share:.4f}", f"{share:.4f}", f"{task.seconds:.2f}"]


class PhotoFolder(ResumableFolder):
    """The output folder of complete-photo.py.

    final/ has the photos, before-after/ each beside what was given, contact.png the first of these,
    report.csv a row for each face; samples/ and patch/ only on request.
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

    def finish_photo(self, task: Task, name: str, after: Photo, output_format: str) -> None:
        """Write a repaired photo, a comparison and its rows of the report: it is done.

        Args:
          task: of the photo.
          name: of the output, without extension.
          after: the repaired photo.
          output_format: of settings.photos.OUTPUT_FORMATS.
        """
        output = name + output_suffix(after, output_format)
        write_photo(after, self._place("final", output), output_kind(after, output_format))
        pair = image_grid(np.stack([_preview(photo, COMPARED) for photo in (task.photo, after)]), 2)
        compared = Photo(pair, icc=rgb_profile(after))
        write_photo(compared, self._place("before-after", f"{name}.png"), "PNG")
        rest = [*_hole_cells(task), "; ".join(task.photo.notes)]
        faces = zip(task.numbers, task.faces, strict=True)
        self._add_rows([[task.path, output, *_face_cells(*face), *rest] for face in faces])

    def write_samples(
        self, task: Task, name: str, versions: Iterable[Photo], output_format: str
    ) -> None:
        """Write versions, the best first: a file of each, and all in a sheet beside the photo."""
        cells = [_preview(task.photo, SAMPLE, task.crop)]
        for rank, photo in enumerate(versions, 1):
            output = f"{rank}{output_suffix(photo, output_format)}"
            path = self._place("samples", name, output)
            write_photo(photo, path, output_kind(photo, output_format))
            cells.append(_preview(photo, SAMPLE, task.crop))
        sheet = image_grid(np.stack(cells), len(cells))
        save_image(self._place("samples", f"{name}.png"), sheet)

    def write_patch(self, name: str, after: Photo, hole: np.ndarray) -> None:
        """Write what was filled in a hole, bool [H, W], as a layer for image editors."""
        write_photo(layer_of(after, hole), self._place("patch", f"{name}.png"), "PNG")

    def write_contact_sheet(self, names: Mapping[str, str]) -> None:
        """Write contact.png: the first SHEET of the photos that are done, before and after."""
        done, pairs = self.done, []
        for name in [name for path, name in names.items() if path in done][:SHEET]:
            with Image.open(self._place("before-after", f"{name}.png")) as pair:
                pair.thumbnail((2 * CELL, CELL), Image.Resampling.LANCZOS)
                pairs.append(np.asarray(pair))
        if pairs:
            shape = np.max([pair.shape for pair in pairs], axis=0)
            cells = np.stack([_centred(pair, shape) for pair in pairs])
            save_image(os.path.join(self.path, self.CONTACT), image_grid(cells))

    def _place(self, *names: str) -> str:
        """Make the path of a file in the folder, and the folders to it."""
        path = os.path.join(self.path, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path


def _preview(photo: Photo, longest: int, crop: Crop = (slice(None), slice(None))) -> np.ndarray:
    """Show a crop of a photo on white, uint8 [h, w, 3], scaled to at most `longest` pixels."""
    rgb = Image.fromarray(photo.as_rgb8()[crop])
    if photo.alpha is not None:
        alpha = Photo(photo.alpha[..., np.newaxis]).as_gray8()[crop]
        white = Image.new("RGB", rgb.size, "white")
        rgb = Image.composite(rgb, white, Image.fromarray(alpha[..., 0]))
    rgb.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def _centred(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Centre an image in a white one of the given shape."""
    canvas = np.full(shape, 255, np.uint8)
    top, left = (
        (whole - part) // 2 for whole, part in zip(shape[:2], image.shape[:2], strict=True)
    )
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
