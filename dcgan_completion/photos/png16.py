"""PNG files of 16 bits per channel, which no library here writes in all their kinds."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import IO

import numpy as np
from PIL import PngImagePlugin


def write_png16(file: IO[bytes], samples: np.ndarray, metadata: Mapping[str, bytes]) -> None:
    """Write uint16 [H, W, 1 to 4] as a PNG: ISO/IEC 15948.

    Pillow has no colour of 16 bits, and OpenCV no gray with alpha. Rows have the filter Up, the
    difference to the row above.

    Args:
      file: open for writing.
      samples: gray, gray and alpha, colour, or colour and alpha.
      metadata: `icc_profile` and `exif`, if there are any.
    """
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    lines = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.full([height, 1 + lines.shape[1]], 2, np.uint8)  # each begins with its filter
    filtered[0, 1:] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
    file.write(b"\x89PNG\r\n\x1a\n")
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    PngImagePlugin.putchunk(file, b"IHDR", head)
    if icc := metadata.get("icc_profile"):
        PngImagePlugin.putchunk(file, b"iCCP", b"ICC Profile\0\0", zlib.compress(icc))
    if exif := metadata.get("exif"):
        PngImagePlugin.putchunk(file, b"eXIf", exif.removeprefix(b"Exif\0\0"))
    PngImagePlugin.putchunk(file, b"IDAT", zlib.compress(filtered.tobytes(), 1))
    PngImagePlugin.putchunk(file, b"IEND", b"")
