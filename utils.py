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
from PIL import Image, ImageOps, UnidentifiedImageError

# fmt: off
# Of the files that folders are searched for: all that FORMATS are called, but for GIF, since those
# are animations for the most part, our own among them.
IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".jp2", ".ppm",
    ".pgm", ".pbm", ".pnm",
)
# fmt: on
# All that is decoded, whatever a file is called. Pillow knows more, among it PostScript, for which
# it starts Ghostscript.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "JPEG2000", "PPM", "TIFF")
MAX_PIXELS = 100_000_000  # of an image, unless `limit_pixels` says otherwise
_pixel_limit = MAX_PIXELS
# Pillow's own limit is lower, and a warning at first: `open_picture` has one in its place.
Image.MAX_IMAGE_PIXELS = None
# What Pillow says of damaged files: they are named by an error, or can be read all the same.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class UserError(ValueError):
    """Something the user can mend; its text is the final wording, one line."""


# --- images ---------------------------------------------------------------------------------


def limit_pixels(number: int) -> None:
    """Sets how many pixels an image may have to be read by this process (--max-pixels)."""
    global _pixel_limit
    _pixel_limit = number


def pixel_limit() -> int:
    """How many pixels an image may have to be read: MAX_PIXELS, or as `limit_pixels` has set it."""
    return _pixel_limit


def list_images(folder: str | os.PathLike[str], skip: Iterable[str] = ()) -> list[str]:
    """Paths of the images below `folder`, sorted by their path relative to it.

    Links to folders are followed, each real folder once; hidden files and folders and the
    folders in `skip` are left out. What has an image's name may be anything, such
    as a pipe, and a folder that cannot be listed is in the list itself: who reads them says so.
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
    """The file names in a text file, one a line.

    Raises:
      UserError: there is no such file, or it holds none; names `flag`.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            names = {line.strip() for line in file if line.strip()}
    except OSError as error:
        raise UserError(
            f"{flag} {path}: {error.strerror}; name a text file with a file name a line"
        ) from None
    if not names:
        raise UserError(f"{flag} {path}: lists no files; write one file name a line")
    return names


def unique_names(candidates: Mapping[str, Sequence[str]], taken: Iterable[str]) -> dict[str, str]:
    """A name of its own for every key: the first of its candidates that no other key needs.

    Keys that would share a name all go on to their next candidate; the last one must be
    unique. Names that differ only in case count as the same, since some file systems hold
    only one of them. No name in `taken` is given out.
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
    """Eight hexadecimal digits that stand for a path where its name does not suffice."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]


def check_regular(path: str | os.PathLike[str], as_what: str = "") -> None:
    """Raises UserError if `path` is no regular file, through links; nothing is opened.

    To open a named pipe would be to wait for ever, and to open a device may do anything. The
    message says that it cannot be read, `as_what` it cannot.
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
        reason = "a link that leads nowhere"
    except OSError as error:
        reason = "a link in a circle" if error.errno == errno.ELOOP else error.strerror
    else:
        if kind == stat.S_IFREG:
            return
        reason = f"{kinds.get(kind, 'something else')}, not a file"
    raise UserError(f"{path}: cannot be read{as_what} ({reason})")


def check_name(path: str, reader: str) -> None:
    """Raises UserError for a path whose bytes are no UTF-8, which `reader` cannot open."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: {reader} reads paths in UTF-8 alone; rename it") from None


def open_text(path: str | os.PathLike[str], errors: str = "strict") -> IO[str]:
    """Opens a text or CSV file that an earlier run wrote, UTF-8, line ends as they are.

    Raises:
      UserError: it is no regular file, or there is no permission to read it.
    """
    check_regular(path)
    try:
        return open(path, newline="", encoding="utf-8", errors=errors)
    except PermissionError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


@dataclasses.dataclass(frozen=True, eq=False)
class HeldFile:
    """A file that is in memory alone; stands where the path of a picture is asked for.

    Attributes:
      name: what errors call it.
      data: its contents.
    """

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name


@contextlib.contextmanager
def open_picture(path: str | os.PathLike[str] | HeldFile) -> Iterator[Image.Image]:
    """The one way in which pictures are opened: their head is read, no pixel is decoded yet.

    Raises:
      UserError: `path` is no regular file, none of FORMATS, of more than `pixel_limit` pixels, or
        whatever the block does with the picture fails, as decoding a damaged one does.
    """
    held = isinstance(path, HeldFile)
    if not held:
        check_regular(path, " as an image")
    try:
        # Not by its path: Pillow maps such files into memory, a rotated TIFF with width and height
        # exchanged.
        with (
            io.BytesIO(path.data) if held else open(path, "rb") as file,
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


def _is_plain_png(picture: Image.Image) -> bool:
    """Whether it is a PNG of three 8-bit channels and no more, such as alignment writes."""
    return picture.format == "PNG" and not picture.info and picture.tile[0].args == "RGB"


def _decode_plain_png(picture: Image.Image) -> np.ndarray:
    """Its pixels by OpenCV: faster than Pillow, and without Python's lock, so that threads share.

    OpenCV reads damaged files without a word; Pillow looks at their checksums first.
    """
    import cv2  # only here: most scripts' --help must not wait for it

    picture.fp.seek(0)
    data = np.frombuffer(picture.fp.read(), np.uint8)
    picture.verify()
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError("its pixel data are damaged")
    return image


def load_image(path: str | os.PathLike[str] | HeldFile, channels: int = 3) -> np.ndarray:
    """The image at `path` as uint8 [H, W, channels], upright.

    Gray, palette, 16-bit, CMYK and EXIF-rotated files are converted; transparent pixels show
    white; of an animation the first picture is taken.

    Raises:
      UserError: the file cannot be read as an image, as `open_picture`.
    """
    with open_picture(path) as picture:
        if channels == 3 and _is_plain_png(picture):
            return _decode_plain_png(picture)
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
    """The central square of an image, uint8 [H, W, C], scaled to [size, size, C] unaliased."""
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
    """uint8 in 0..255 -> float32 in [-1, 1], any shape.

    Of an array; or of a tensor of TensorFlow's that is float32 already, inside a graph.
    """
    values = image.astype(np.float32) if isinstance(image, np.ndarray) else image
    return values / 127.5 - 1


def to_uint8(image: np.ndarray) -> np.ndarray:
    """float in [-1, 1] -> uint8 in 0..255, rounded; the inverse of `to_signed`."""
    return np.clip(np.rint((np.asarray(image, np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def image_grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Images uint8 [N, H, W, C] side by side in rows, as one image uint8 [H', W', C].

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
    """Atomic write: a temporary name beside `path`, renamed to it if the block succeeds.

    If the block fails, the temporary file is removed and `path` stays as it was.
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
    """Removes the temporary files that a killed process left in a folder; see `replacing`."""
    for path in glob.glob(os.path.join(glob.escape(folder), ".*.partial")):
        os.remove(path)


def save_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes uint8 [H, W, C] as a PNG, in an atomic write."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", compress_level=1)  # twice as fast, a fifth larger


def save_gif(path: str | os.PathLike[str], frames: Iterable[str | os.PathLike[str]]) -> None:
    """Writes the images at `frames` as an endless animation, a tenth of a second each."""
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
    """Writes a text file in an atomic write."""
    with (
        replacing(path) as temporary,
        # surrogateescape: file names that are not UTF-8 go through unchanged
        open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        file.write(text)


def write_csv(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Writes a table with a head line as CSV, in an atomic write."""
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    write_text(path, text.getvalue())


# --- checks ---------------------------------------------------------------------------------


def check_folder(path: str, flag: str) -> None:
    """Raises UserError if `path`, named by `flag`, is not a folder that can be read."""
    if not os.path.exists(path):
        raise UserError(f"{flag} {path}: no such folder")
    if not os.path.isdir(path):
        raise UserError(f"{flag} {path}: not a folder")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UserError(f"{flag} {path}: no permission to read it")


def check_writable(path: str, flag: str) -> None:
    """Raises UserError if the folder `path`, named by `flag`, can neither be written nor made.

    It is tried, with a file that is gone again: of /proc, permissions alone say it can be.
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
