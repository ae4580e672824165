"""Images on disk (list, load, save, grid, GIF), atomic writes, checks of folders.

Two conversions define the value ranges of the whole project: images on disk and in memory are
uint8 in 0..255, networks see float32 in [-1, 1].
"""

from __future__ import annotations

import collections
import contextlib
import csv
import dataclasses
import errno
import glob
import hashlib
import importlib
import io
import math
import os
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

# fmt: off
# Of images in folders: the suffixes of FORMATS, but for GIF, since most GIFs, ours among them, are
# animations.
IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".jp2", ".ppm",
    ".pgm", ".pbm", ".pnm",
)
# fmt: on
# All that is decoded, whatever a file is called. Pillow knows more: for PostScript it starts
# Ghostscript.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "JPEG2000", "PPM", "TIFF")
MAX_PIXELS = 100_000_000  # of an image, unless `limit_pixels` says otherwise
_pixel_limit = MAX_PIXELS
# Pillow's own limit is lower, and at first only a warning; `open_picture` replaces it.
Image.MAX_IMAGE_PIXELS = None
# Pillow's warnings about damaged files: an error names them, or they can be read all the same.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class UserError(ValueError):
    """An error that the user can mend; its text is the final wording, in one line."""


# --- images ---------------------------------------------------------------------------------


def limit_pixels(number: int) -> None:
    """Set how many pixels an image may have to be read by this process (--max-pixels)."""
    global _pixel_limit
    _pixel_limit = number


def pixel_limit() -> int:
    """Return how many pixels an image may have to be read, as set by `limit_pixels`."""
    return _pixel_limit


def list_images(folder: str | os.PathLike[str], skip: Iterable[str] = ()) -> list[str]:
    """List the paths of the images below `folder`, sorted by their path relative to it.

    Links to folders are followed, each real folder once; hidden files and folders and the
    folders in `skip` are left out. The list may hold things that only have an image's name, such
    as pipes, and folders that cannot be listed: reading them raises the error.
    """
    root = os.fspath(folder)
    seen = {os.path.realpath(s) for s in skip}
    found: list[str] = []

    def note(error: OSError) -> None:
        if isinstance(error, PermissionError):
            found.append(error.filename)

    for base, folders, names in os.walk(root, onerror=note, followlinks=True):
        real = os.path.realpath(base)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found += [
            os.path.join(base, name)
            for name in names
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def read_names(path: str, flag: str) -> set[str]:
    """Read the file names in a text file, one per line.

    Raises:
      UserError: there is no such file, or it holds none; names `flag`.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            names = {line.strip() for line in file if line.strip()}
    except OSError as error:
        raise UserError(
            f"{flag} {path}: {error.strerror}; give a text file with one file name per line"
        ) from None
    if not names:
        raise UserError(f"{flag} {path}: lists no files; write one file name per line")
    return names


def unique_names(candidates: Mapping[str, Sequence[str]], taken: Iterable[str]) -> dict[str, str]:
    """Give each key a unique name: the first of its candidates that no other key needs.

    Keys that would share a name all move on to their next candidate; the last one must be
    unique. Names that differ only in case count as the same, since some file systems hold
    only one of them. No name in `taken` is used.
    """
    taken_names = {name.casefold() for name in taken}
    level = dict.fromkeys(candidates, 0)
    while True:
        claims = collections.defaultdict(list)
        for key, names in candidates.items():
            claims[names[level[key]].casefold()].append(key)
        clashing = [
            key
            for name, keys in claims.items()
            if len(keys) > 1 or name in taken_names
            for key in keys
            if level[key] + 1 < len(candidates[key])
        ]
        if not clashing:
            return {key: names[level[key]] for key, names in candidates.items()}
        for key in clashing:
            level[key] += 1


def path_digits(path: str) -> str:
    """Hash a path to eight hexadecimal digits, for where its name is not unique."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]


def check_regular(path: str | os.PathLike[str], as_what: str = "") -> None:
    """Raise UserError if `path`, with links followed, is not a regular file; open nothing.

    Opening a named pipe would wait forever, and opening a device may do anything. The message says
    that it cannot be read, plus `as_what`, such as " as an image".
    """
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except FileNotFoundError:
        if not os.path.islink(path):
            raise UserError(f"{path}: no such file") from None
        reason = "a broken link"
    except OSError as error:
        reason = "a circular link" if error.errno == errno.ELOOP else error.strerror
    else:
        if kind == stat.S_IFREG:
            return
        reason = f"{kinds.get(kind, 'something else')}, not a file"
    raise UserError(f"{path}: cannot be read{as_what} ({reason})")


def check_name(path: str, reader: str) -> None:
    """Raise UserError for a path that is not UTF-8, which `reader` cannot open."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: {reader} reads only paths in UTF-8; rename it") from None


def open_text(path: str | os.PathLike[str], errors: str = "strict") -> IO[str]:
    """Open a text or CSV file that an earlier run wrote, in UTF-8, with its own line ends.

    Raises:
      UserError: it is not a regular file, or there is no permission to read it.
    """
    check_regular(path)
    try:
        return open(path, newline="", encoding="utf-8", errors=errors)
    except PermissionError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


@dataclasses.dataclass(frozen=True, eq=False)
class MemoryFile:
    """A file in memory, in place of the path of a picture; errors call it `name`."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name


@contextlib.contextmanager
def open_picture(path: str | os.PathLike[str] | MemoryFile) -> Iterator[ImageFile.ImageFile]:
    """Open a picture, as all pictures are opened: read its header, decode no pixel yet.

    Raises:
      UserError: `path` is not a regular file, not of FORMATS, or of more than `pixel_limit` pixels;
        or the block fails, as decoding a damaged picture does.
    """
    in_memory = isinstance(path, MemoryFile)
    if not in_memory:
        check_regular(path, " as an image")
    try:
        # Not by its path: Pillow maps such files into memory, a rotated TIFF with width and height
        # exchanged.
        with (
            io.BytesIO(path.data) if in_memory else open(path, "rb") as file,
            Image.open(file, formats=FORMATS) as picture,
        ):
            width, height = picture.size
            if width * height > _pixel_limit:
                raise UserError(
                    f"{path}: is {width}x{height}, more than {_pixel_limit} pixels; scale it down, "
                    "or raise --max-pixels"
                )
            yield picture
    except UserError:
        raise
    except UnidentifiedImageError:  # its own text names the path a second time
        raise UserError(f"{path}: cannot be read as an image (unknown format)") from None
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as an image ({reason})") from None
    except Exception as error:  # Pillow's plugins raise anything on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be read as an image ({reason})") from None


def _is_plain_png(picture: ImageFile.ImageFile) -> bool:
    """Return whether it is a PNG of three 8-bit channels alone, such as alignment writes."""
    return picture.format == "PNG" and not picture.info and picture.tile[0].args == "RGB"


def _decode_plain_png(picture: ImageFile.ImageFile) -> np.ndarray:
    """Decode its pixels by OpenCV: faster than Pillow, and without the GIL.

    OpenCV reads damaged files without an error; Pillow checks their checksums first.
    """
    import cv2  # only here: --help must not wait for it

    assert picture.fp is not None  # it is open
    picture.fp.seek(0)
    data = np.frombuffer(picture.fp.read(), np.uint8)
    picture.verify()
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError("its pixel data are damaged")
    return image


def load_image(path: str | os.PathLike[str] | MemoryFile, channels: int = 3) -> np.ndarray:
    """Load the image at `path` as uint8 [H, W, channels], upright.

    Gray, palette, 16-bit, CMYK and EXIF-rotated files are converted; transparent pixels become
    white; of an animation the first frame is taken.

    Raises:
      UserError: the file cannot be read as an image, as `open_picture`.
    """
    with open_picture(path) as picture:
        if channels == 3 and _is_plain_png(picture):
            return _decode_plain_png(picture)
        return picture_pixels(picture, channels)


def picture_pixels(picture: Image.Image, channels: int = 3) -> np.ndarray:
    """Convert a picture of any kind to uint8 [H, W, channels], as `load_image` does."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits a pixel: Pillow's own conversion clips
        scaled = np.asarray(picture, np.float64) / 257
        picture = Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    image = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return image.reshape(*image.shape[:2], channels)


def crop_and_resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resize the central square of an image, uint8 [H, W, C], to [size, size, C] unaliased."""
    height, width, channels = image.shape
    if height == width == size:
        return image
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = image[top : top + edge, left : left + edge]
    picture = Image.fromarray(square[..., 0] if channels == 1 else square)
    resized = picture.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(resized).reshape(size, size, channels)


def to_signed(image: Any) -> Any:
    """Convert uint8 in 0..255 -> float32 in [-1, 1], any shape; a tensor must be float32."""
    values = image.astype(np.float32) if isinstance(image, np.ndarray) else image
    return values / 127.5 - 1


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Convert float in [-1, 1] -> uint8 in 0..255, rounded; the inverse of `to_signed`."""
    return np.clip(np.rint((np.asarray(image, np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def image_grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Arrange images uint8 [N, H, W, C] in rows, as one image uint8 [H', W', C].

    `columns` defaults to the smallest square that holds them; unused cells are white.
    """
    number, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(number))
    rows = math.ceil(number / columns)
    cells = np.full((rows * columns, height, width, channels), 255, np.uint8)
    cells[:number] = images
    grid = cells.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, channels)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """Write atomically: yield a temporary name beside `path`, renamed to it on success.

    If the block fails, the temporary file is removed and `path` stays unchanged.
    """
    path = os.fspath(path)
    temporary = os.path.join(
        os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}.partial"
    )
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def remove_partial(folder: str) -> None:
    """Remove the temporary files that a killed process left in a folder; see `replacing`."""
    for path in glob.glob(os.path.join(glob.escape(folder), ".*.partial")):
        os.remove(path)


def save_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write uint8 [H, W, C] as a PNG, atomically."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", compress_level=1)  # twice as fast, a fifth larger


def save_gif(path: str | os.PathLike[str], frames: Iterable[str | os.PathLike[str]]) -> None:
    """Write the images at `frames` as an endless animation, a tenth of a second each."""
    pictures = (Image.open(frame).convert("RGB") for frame in frames)
    first = next(pictures)
    with replacing(path) as temporary:
        first.save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=pictures,
            duration=100,  # milliseconds
            loop=0,
        )


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file atomically."""
    with (
        replacing(path) as temporary,
        # surrogateescape: file names that are not UTF-8 stay unchanged
        open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        file.write(text)


def write_csv(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write a table with a header line as CSV, atomically."""
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    write_text(path, text.getvalue())


# --- checks ---------------------------------------------------------------------------------


def check_folder(path: str, flag: str) -> None:
    """Raise UserError if `path`, named by `flag`, is not a folder that can be read."""
    if not os.path.exists(path):
        raise UserError(f"{flag} {path}: no such folder")
    if not os.path.isdir(path):
        raise UserError(f"{flag} {path}: not a folder")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UserError(f"{flag} {path}: no permission to read it")


def check_writable(path: str, flag: str) -> None:
    """Raise UserError if the folder `path`, named by `flag`, can neither be written nor made.

    It tries to write a temporary file: permissions alone would allow /proc, too.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise UserError(f"{flag} {path}: is a file, not a folder; choose another place")
    ancestor = Path(path).absolute()
    while not os.path.lexists(ancestor):
        ancestor = ancestor.parent
    try:
        with tempfile.TemporaryFile(dir=ancestor):
            pass
    except OSError:
        raise UserError(
            f"{flag} {path}: cannot be written ({ancestor}); choose another place"
        ) from None


if __name__ == "utils":  # imported by its short name, in a checkout: hand over the package's module
    sys.modules[__name__] = importlib.import_module("dcgan_completion.utils")
