"""A corpus of what a user's folder may hold, good and bad, made from a small face."""

from __future__ import annotations

import dataclasses
import io
import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
OTHER_ENCODING = b"umlaut-\xe4.png"  # Latin-1: no UTF-8


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A folder, by what its files are to a program that reads images.

    Attributes:
      folder: holds all of them.
      good: names of images of the face's size.
      sized: names of images of another size.
      bad: names of what is no image, or none that may be read.
      doubtful: names of images with flipped bits: some can still be read.
    """

    folder: Path
    good: tuple[str, ...]
    sized: tuple[str, ...]
    bad: tuple[str, ...]
    doubtful: tuple[str, ...]

    def paths(self, names: tuple[str, ...]) -> list[str]:
        """The paths of some of its files."""
        return [os.path.join(self.folder, name) for name in names]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose head claims a size; its data are those of one black pixel."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0\0\0\0")
    return PNG_HEAD + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """A picture as the bytes of a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def good_images(face: Image.Image) -> dict[str, bytes]:
    """Images of the face's size in all the forms that are read."""
    array = np.asarray(face)
    gray = array.mean(axis=2)
    frames = {"save_all": True, "append_images": [face.rotate(90)]}
    files = {
        "plain.png": encoded(face, "PNG"),
        "plain.jpg": encoded(face, "JPEG"),
        "plain.webp": encoded(face, "WEBP"),
        "plain.bmp": encoded(face, "BMP"),
        "a png called.jpg": encoded(face, "PNG"),
        "a jpeg called.png": encoded(face, "JPEG"),
        "sixteen-bits.png": encoded(Image.fromarray((257 * gray).astype(np.uint16)), "PNG"),
        "a float tiff called.png": encoded(Image.fromarray(gray.astype(np.float32)), "TIFF"),
        "cmyk.jpg": encoded(face.convert("CMYK"), "JPEG"),
        "palette.png": encoded(face.quantize(8), "PNG", transparency=0),
        "alpha.png": encoded(face.convert("RGBA"), "PNG"),
        "gray.png": encoded(face.convert("L"), "PNG"),
        "one-bit.png": encoded(face.convert("1"), "PNG"),
        "animated.webp": encoded(face, "WEBP", **frames),
        "animated.png": encoded(face, "PNG", **frames),
        "a gif called.png": encoded(face, "GIF", **frames),
        "-dash.png": encoded(face, "PNG"),
        "--out.png": encoded(face, "PNG"),
        "line\nbreak.png": encoded(face, "PNG"),
        "späce ☺ %s {0}.png": encoded(face, "PNG"),
        os.fsdecode(OTHER_ENCODING): encoded(face, "PNG"),
    }
    for orientation in (*range(1, 9), 77):
        exif = Image.Exif()
        exif[274] = orientation
        files[f"turned-{orientation}.jpg"] = encoded(face, "JPEG", exif=exif)
    return files


def sized_images() -> dict[str, bytes]:
    """Images of extreme sizes that are small enough."""
    return {
        f"{width}x{height}.png": encoded(Image.new("RGB", (width, height), "gray"), "PNG")
        for width, height in ((1, 1), (30000, 2), (3, 500))
    }


def bad_images(face: Image.Image) -> dict[str, bytes]:
    """What has the name of an image, and is damaged, none, or none that may be decoded."""
    canvas = struct.pack("<I", 2**24 - 1)[:3] + struct.pack("<I", 200)[:3]  # less one
    webp = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    files = {
        "empty.png": b"",
        "text.png": b"no image\n",
        "bad line\nbreak.png": b"no image\n",
        "zeros.jpg": bytes(1000),
        "huge.png": png_of_size(60_000, 60_000),
        "long.png": png_of_size(2**31 - 1, 1),
        "nothing.png": png_of_size(0, 0),
        "huge.webp": b"RIFF" + struct.pack("<I", len(webp)) + webp,
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\nshowpage\n",
        "icon.png": encoded(face, "ICO", sizes=[face.size]),
    }
    for name, data in (("png", encoded(face, "PNG")), ("jpg", encoded(face, "JPEG"))):
        for tenth in range(1, 10):
            files[f"cut-{tenth}.{name}"] = data[: len(data) * tenth // 10]
    return files


def flipped_images(face: Image.Image, random: np.random.Generator) -> dict[str, bytes]:
    """Images with four bits flipped."""
    files = {}
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"):
        for number in range(4):
            data = bytearray(encoded(face, kind))
            for place in random.integers(len(data), size=4):
                data[place] ^= 1 << int(random.integers(8))
            files[f"flipped-{kind}-{number}.png"] = bytes(data)
    return files


def make_no_files(folder: Path) -> list[str]:
    """Makes what has the name of an image and is no file; returns the names."""
    os.mkfifo(folder / "pipe.png")
    (folder / "dangling.png").symlink_to(folder / "nowhere")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "link to pipe.png").symlink_to(folder / "pipe.png")
    here = os.getcwd()
    os.chdir(folder)  # a socket's path may have but some hundred characters
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket.png")
    finally:
        os.chdir(here)
    names = ["pipe.png", "dangling.png", "loop.png", "device.png", "link to pipe.png", "socket.png"]
    if os.geteuid() != 0:  # who may read all
        (folder / "forbidden.png").write_bytes(b"")
        (folder / "forbidden.png").chmod(0)
        names.append("forbidden.png")
    return names


def make_corpus(folder: Path, face: np.ndarray) -> Corpus:
    """Makes the corpus in a new folder from a face, uint8 [S, S, 3]."""
    folder.mkdir()
    picture = Image.fromarray(face)
    files = {
        "good": good_images(picture),
        "sized": sized_images(),
        "bad": bad_images(picture),
        "doubtful": flipped_images(picture, np.random.default_rng(0)),
    }
    for own in files.values():
        for name, data in own.items():
            (folder / name).write_bytes(data)
    (folder / "a folder.png").mkdir()  # searched, as any folder
    (folder / "a folder.png" / "in it.png").write_bytes(encoded(picture, "PNG"))
    (folder / "circle").symlink_to(folder)
    names = {kind: tuple(own) for kind, own in files.items()}
    names["good"] += ("a folder.png/in it.png",)
    names["bad"] += tuple(make_no_files(folder))
    return Corpus(folder, **names)
