"""Pictures of many pictures, with captions; strips and animations. Knows no network.

Images are uint8 [H, W, C], C 1 or 3; sheets are uint8 [H, W, 3].
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dcgan_completion import utils

FONT = 12  # pixels: height of captions
GAP = 4  # pixels between cells
INK = (0, 0, 0)
CHARACTER = 6  # pixels: about the width of a character


class Cell(NamedTuple):
    """A place in a sheet.

    Attributes:
      image: uint8 [H, W, C]; None: the caption alone, in the middle.
      caption: below the image, lines separated by newlines.
    """

    image: np.ndarray | None = None
    caption: str = ""


class _Laid(NamedTuple):
    """A cell with the size of its image and that of its caption, in pixels."""

    cell: Cell
    image: tuple[int, int]
    text: tuple[int, int]


def sheet(rows: Sequence[Sequence[Cell]], title: str = "") -> np.ndarray:
    """Rows of cells, centred in columns that are as wide as their widest cell.

    Args:
      rows: need not be equally long.
      title: above them, wrapped to their width.
    """
    font = ImageFont.load_default(FONT)
    laid = [[_lay(cell, font) for cell in row] for row in rows]
    widths = [
        max(max(row[i].image[0], row[i].text[0]) for row in laid if i < len(row))
        for i in range(max(map(len, laid)))
    ]
    width = sum(widths) + GAP * (len(widths) + 1)
    heading = "\n".join(textwrap.wrap(_plain(title), max(width // CHARACTER, 20)))
    title_width, title_height = _size(heading, font)
    width = max(width, title_width + 2 * GAP)
    tops = [title_height + 2 * GAP if heading else GAP]
    for row in laid:
        tops.append(tops[-1] + max(part.image[1] + part.text[1] for part in row) + GAP)
    picture = Image.new("RGB", (width, tops[-1]), "white")
    drawing = ImageDraw.Draw(picture)
    if heading:
        drawing.multiline_text((GAP, GAP), heading, INK, font)
    for top, bottom, row in zip(tops, tops[1:], laid, strict=False):
        left = GAP
        for column, part in zip(widths, row, strict=False):
            _draw(picture, drawing, font, part, (left, top, column, bottom - GAP - top))
            left += column + GAP
    return np.asarray(picture)


def _plain(text: str) -> str:
    """A text as far as the font has its characters."""
    return text.encode("ascii", "replace").decode()


def _size(text: str, font: ImageFont.FreeTypeFont) -> tuple[int, int]:
    """Width and height of a text in pixels, (0, 0) of an empty one."""
    if not text:
        return 0, 0
    canvas = ImageDraw.Draw(Image.new("L", (1, 1)))
    _, _, right, bottom = canvas.multiline_textbbox((0, 0), text, font)
    return int(np.ceil(right)), int(np.ceil(bottom)) + 2


def _lay(cell: Cell, font: ImageFont.FreeTypeFont) -> _Laid:
    cell = cell._replace(caption=_plain(cell.caption))
    image = (0, 0) if cell.image is None else (cell.image.shape[1], cell.image.shape[0])
    return _Laid(cell, image, _size(cell.caption, font))


def _draw(
    picture: Image.Image,
    drawing: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont,
    part: _Laid,
    box: tuple[int, int, int, int],
) -> None:
    """Draws a cell into a box: left, top, width, height."""
    left, top, width, height = box
    if part.cell.image is None:
        top += (height - part.text[1]) // 2
    else:
        pixels = np.ascontiguousarray(np.broadcast_to(part.cell.image, (*part.image[::-1], 3)))
        picture.paste(Image.fromarray(pixels), (left + (width - part.image[0]) // 2, top))
    place = left + (width - part.text[0]) // 2, top + part.image[1]
    drawing.multiline_text(place, part.cell.caption, INK, font, align="center")


def wrapped(cells: Sequence[Cell], columns: int) -> list[list[Cell]]:
    """Cells in rows of `columns`."""
    return [list(cells[i : i + columns]) for i in range(0, len(cells), columns)]


def strip(frames: Sequence[np.ndarray], number: int, loop: bool) -> np.ndarray:
    """Evenly spaced frames side by side, as one image [H, W, C].

    Args:
      frames: in their order.
      number: of frames to show, at most.
      loop: whether the first frame follows the last one; else both are shown.
    """
    number = min(number, len(frames))
    places = np.linspace(0, len(frames) - (not loop), number, endpoint=not loop)
    shown = np.stack([frames[i] for i in np.rint(places).astype(int)])
    return utils.image_grid(shown, columns=number)


def save_animation(path: str, frames: Sequence[np.ndarray], kind: str, delay: int) -> None:
    """Writes frames as an endless animation, in an atomic write.

    Args:
      path: of the file.
      frames: uint8 [H, W, C] each.
      kind: GIF or WEBP; WebP is lossless.
      delay: milliseconds that a frame stays; GIF knows hundredths of a second.
    """
    pictures = [
        Image.fromarray(np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3))))
        for frame in frames
    ]
    more = {"lossless": True} if kind == "WEBP" else {"optimize": True}
    with utils.replacing(path) as temporary:
        pictures[0].save(
            temporary,
            format=kind,
            save_all=True,
            append_images=pictures[1:],
            duration=delay,
            loop=0,
            **more,
        )
