"""Contact sheets with captions; strips and animations. Knows no network.

Images are uint8 [H, W, C], C 1 or 3; sheets are uint8 [H, W, 3].
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcgan_completion import utils

FONT = 12  # pixels: size of the captions' font
GAP = 4  # pixels between cells
INK = (0, 0, 0)
CHARACTER = 6  # pixels: about the width of a character

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class Cell(NamedTuple):
    """An image in a sheet, its caption, or both.

    Attributes:
      image: uint8 [H, W, C]; None: the caption alone, in the middle.
      caption: below the image, lines separated by newlines.
    """

    image: np.ndarray | None = None
    caption: str = ""


def sheet(rows: Sequence[Sequence[Cell]], title: str = "") -> np.ndarray:
    """Draw rows of cells, centred in columns that are as wide as their widest cell.

    Args:
      rows: of any lengths.
      title: above them, wrapped to their width.
    """
    font = ImageFont.load_default(FONT)
    laid = [[_measure(cell, font) for cell in row] for row in rows]
    widths = [
        max(max(row[i].image[0], row[i].text[0]) for row in laid if i < len(row))
        for i in range(max(map(len, laid)))
    ]
    heights = [max(part.image[1] + part.text[1] for part in row) for row in laid]
    width = sum(widths) + GAP * (len(widths) + 1)
    heading = "\n".join(textwrap.wrap(_plain(title), max(width // CHARACTER, 20)))
    title_width, title_height = _text_size(heading, font)
    top = title_height + 2 * GAP if heading else GAP
    size = max(width, title_width + 2 * GAP), top + sum(heights) + GAP * len(heights)
    picture = Image.new("RGB", size, "white")
    drawing = ImageDraw.Draw(picture)
    drawing.multiline_text((GAP, GAP), heading, INK, font)
    for row, row_height in zip(laid, heights, strict=True):
        left = GAP
        for column, part in zip(widths, row, strict=False):
            down = part.image[1] or (row_height - part.text[1]) // 2
            if part.cell.image is not None:
                place = left + (column - part.image[0]) // 2, top
                picture.paste(_in_colour(part.cell.image), place)
            place = left + (column - part.text[0]) // 2, top + down
            drawing.multiline_text(place, _plain(part.cell.caption), INK, font, align="center")
            left += column + GAP
        top += row_height + GAP
    return np.asarray(picture)


class _Measured(NamedTuple):
    """A cell with width and height of its image and of its caption, in pixels."""

    cell: Cell
    image: tuple[int, int]
    text: tuple[int, int]


def _measure(cell: Cell, font: Font) -> _Measured:
    image = (0, 0) if cell.image is None else cell.image.shape[1::-1]
    return _Measured(cell, image, _text_size(_plain(cell.caption), font))


def _plain(text: str) -> str:
    """Replace the characters that the font lacks."""
    return text.encode("ascii", "replace").decode()


def _text_size(text: str, font: Font) -> tuple[int, int]:
    """Measure width and height of a text in pixels, (0, 0) of an empty one."""
    if not text:
        return 0, 0
    canvas = ImageDraw.Draw(Image.new("L", (1, 1)))
    _, _, right, bottom = canvas.multiline_textbbox((0, 0), text, font)
    return int(np.ceil(right)), int(np.ceil(bottom)) + 2


def _in_colour(image: np.ndarray) -> Image.Image:
    """Make a picture of colours of an image, uint8 [H, W, C]."""
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3))))


def wrapped(cells: Sequence[Cell], columns: int) -> list[list[Cell]]:
    """Split cells into rows of `columns`."""
    return [list(cells[i : i + columns]) for i in range(0, len(cells), columns)]


def strip(frames: Sequence[np.ndarray], number: int, loop: bool) -> np.ndarray:
    """Put evenly spaced frames side by side, as one image [H, W, C].

    Args:
      frames: in their order.
      number: frames to show, at most.
      loop: whether the first frame follows the last one; else both are shown.
    """
    number = min(number, len(frames))
    places = np.linspace(0, len(frames) - (not loop), number, endpoint=not loop)
    shown = np.stack([frames[i] for i in np.rint(places).astype(int)])
    return utils.image_grid(shown, columns=number)


def save_animation(path: str, frames: Sequence[np.ndarray], kind: str, delay: int) -> None:
    """Write frames as an endless animation, in an atomic write.

    Args:
      path: of the file.
      frames: uint8 [H, W, C] each.
      kind: GIF or WEBP; WebP is lossless.
      delay: duration of a frame in milliseconds; GIF rounds it to hundredths of a second.
    """
    pictures = list(map(_in_colour, frames))
    options = {"lossless": True} if kind == "WEBP" else {"optimize": True}
    with utils.replacing(path) as temporary:
        pictures[0].save(
            temporary,
            format=kind,
            save_all=True,
            append_images=pictures[1:],
            duration=delay,
            loop=0,
            **options,
        )
