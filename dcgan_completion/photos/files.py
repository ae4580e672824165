"""`Photo`: a photo's pixels, upright, and what else is kept of it; reading and writing it."""

from __future__ import annotations

import dataclasses
import io
import os
from typing import IO, Any

import numpy as np
from PIL import Image, ImageCms

from dcgan_completion import utils
from dcgan_completion.photos.exif import kept_exif, orientation_of, upright
from dcgan_completion.photos.png16 import write_png16
from dcgan_completion.utils import UserError

# The kinds of files that --format same writes, for 8 bits. The others become PNG: GIF has only
# palettes, and with JPEG 2000 Pillow writes neither ICC profile nor EXIF.
SUFFIXES = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "PPM": ".ppm",
}
# Re-encoding loses what it must (JPEG), and nothing more.
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 1},  # four times as fast, a fifth larger
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}
WITH_METADATA = ("PNG", "JPEG", "WEBP", "TIFF")
WITH_ALPHA = ("PNG", "WEBP", "TIFF")

# Every 16-bit value as 8 bits: divided by 257, rounded.
_TO_8_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A photo, upright, with what a repair must keep.

    Attributes:
      pixels: uint8 or uint16 [H, W, C], C = 1 (gray) or 3 (RGB), as they are in the file.
      alpha: opacity, [H, W] of the pixels' type; None: all is opaque.
      icc: the ICC profile of the pixels; None: there is none.
      exif: the EXIF data without what may hold the old picture; None: there are none.
      kind: Pillow's name of the file's format, such as JPEG.
      notes: what was converted, for the report.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    kind: str = "PNG"
    notes: tuple[str, ...] = ()

    @classmethod
    def of_samples(cls, samples: np.ndarray, **more: Any) -> Photo:
        """Make a photo of samples, [H, W, C]: gray or colour; the last of 2 or 4 is alpha.

        Args:
          samples: uint8 or uint16.
          more: the other attributes.
        """
        colours = {2: 1, 4: 3}.get(samples.shape[2], samples.shape[2])
        alpha = samples[..., colours].copy() if samples.shape[2] > colours else None
        return cls(np.ascontiguousarray(samples[..., :colours]), alpha, **more)

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        if kind not in (np.uint8, np.uint16) or len(shape) != 3 or shape[2] not in (1, 3):
            raise ValueError(f"pixels of a photo cannot be {kind} {list(shape)}")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (shape[:2], kind):
            raise ValueError("alpha must have the shape and type of the pixels")

    @property
    def peak(self) -> int:
        """The level of white and of full opacity: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    def as_rgb8(self) -> np.ndarray:
        """Convert it to what detection and model see, uint8 [H, W, 3], without transparency."""
        pixels = self._as_8_bits()
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels

    def as_gray8(self) -> np.ndarray:
        """Convert it to what a model of one channel sees, uint8 [H, W, 1]: luma of ITU-R BT.601."""
        pixels = self._as_8_bits()
        if pixels.shape[2] == 1:
            return pixels
        return np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]

    def _as_8_bits(self) -> np.ndarray:
        return self.pixels if self.peak == 255 else _TO_8_BITS[self.pixels]

    def with_pixels(self, pixels: np.ndarray, alpha: np.ndarray | None = None) -> Photo:
        """Replace the pixels; the photo's own alpha stays if none is given."""
        alpha = self.alpha if alpha is None else alpha
        return dataclasses.replace(self, pixels=pixels, alpha=alpha)

    def filled(
        self,
        values: np.ndarray,
        hole: np.ndarray,
        crop: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> Photo:
        """Replace the pixels in a hole, opaque there; all else stays the same, bit for bit.

        Args:
          values: float [h, w, C] of the crop, 0..peak; they are rounded, and clipped to that range.
          hole: bool [H, W], within the crop.
          crop: rows and columns.
        """
        pixels, inside = self.pixels.copy(), hole[crop]
        new = np.clip(np.rint(values[inside]), 0, self.peak)
        pixels[crop][inside] = new.astype(pixels.dtype)
        if self.alpha is None:
            return self.with_pixels(pixels)
        alpha = np.where(hole, self.alpha.dtype.type(self.peak), self.alpha)
        return self.with_pixels(pixels, alpha)


def output_kind(photo: Photo, output_format: str) -> str:
    """Choose the format in which a photo is written, by Pillow's name, for --format.

    Sixteen bits, and kinds of files that lose something else, always become PNG.
    """
    kept = output_format == "same" and photo.peak == 255 and photo.kind in SUFFIXES
    return photo.kind if kept else "PNG"


def output_suffix(photo: Photo, output_format: str) -> str:
    """Choose the extension of a photo's result, such as .png, for --format."""
    return SUFFIXES[output_kind(photo, output_format)]


# --- reading --------------------------------------------------------------------------------


def read_photo(path: str | utils.MemoryFile) -> Photo:
    """Read the photo in a file, with its values as they are where a `Photo` can hold them.

    Gray and colour of 8 and 16 bits, with or without transparency, stay as they are; all else is
    converted, and named in the notes: palettes, CMYK (by its profile), YCbCr, single bits. Of the
    pictures of an MPO, such as a photo with its depth map, the first is taken.

    Raises:
      UserError: the file cannot be read as an image (`utils.open_picture`), is an animation, or has
        pixels that would lose values: of 32 bits, or of 16 in a file that OpenCV cannot read.
    """
    with utils.open_picture(path) as picture:
        return photo_of(picture, path, in_file=True)


def photo_of(
    picture: Image.Image, path: str | utils.MemoryFile = "photo", in_file: bool = False
) -> Photo:
    """Make a photo of a picture that Pillow has opened, as `read_photo`.

    Args:
      picture: Pillow reduces its colours of 16 bits to 8.
      path: of its file, or what errors call it.
      in_file: read colours of 16 bits from the file.

    Raises:
      UserError: as `read_photo`.
    """
    kind, count = picture.format or "", getattr(picture, "n_frames", 1)
    notes = []
    if kind == "MPO":  # JPEG, and more pictures after it
        kind = "JPEG"
        notes.append(f"the first of {count} pictures in the file")
    elif count > 1:
        raise UserError(
            f"{path}: holds {count} pictures, an animation or several pages; save the one to "
            "repair as a file of its own"
        )
    icc = picture.info.get("icc_profile") or None
    if in_file and _is_deep_colour(picture, path):
        samples, note = _decode_deep(picture, path), None
    else:
        samples, note = _decode(picture, path, icc)
    icc = None if picture.mode == "CMYK" else icc
    # Pillow turns TIFF upright itself, and then knows no orientation.
    samples = upright(samples, orientation_of(picture))
    exif, whole = kept_exif(picture, samples.shape[1], samples.shape[0])
    notes += [note] if note else []
    notes += [] if whole else ["its EXIF data are damaged and left out"]
    return Photo.of_samples(samples, icc=icc, exif=exif, kind=kind, notes=tuple(notes))


def _unreadable(path: str | utils.MemoryFile, what: str) -> UserError:
    return UserError(
        f"{path}: {what} cannot be read without a loss; save it as PNG of 8 or 16 bits a channel"
    )


def _arguments(picture: Image.Image) -> tuple[Any, ...]:
    """Return what Pillow decodes the file by, the mode of its pixels first, such as RGB;16B."""
    tiles = getattr(picture, "tile", None)
    arguments = tiles[0].args if tiles else ""
    return (arguments or ("",)) if isinstance(arguments, tuple) else (str(arguments or ""),)


def _is_deep_colour(picture: Image.Image, path: str | utils.MemoryFile) -> bool:
    """Return whether it has colours of more than 8 bits, which Pillow reduces when it is loaded."""
    if picture.mode.startswith("I"):  # gray: Pillow keeps it
        return False
    if picture.format == "PPM":
        deepest = (*_arguments(picture), 255)[1]
        if 255 < deepest < 65535:
            raise _unreadable(path, f"a PPM file with values to {deepest}")
        return deepest > 255
    if picture.format == "JPEG2000":  # Pillow does not say: OpenCV has to decode it
        pixels = _imdecode(path)
        return pixels is not None and pixels.dtype != np.uint8
    return ";16" in str(_arguments(picture)[0])


def _imdecode(path: str | utils.MemoryFile) -> np.ndarray | None:
    """Decode a file by OpenCV, neither rotated nor converted, BGR or BGRA."""
    import cv2  # only here: command lines are built without it

    in_memory = isinstance(path, utils.MemoryFile)
    data = np.frombuffer(path.data, np.uint8) if in_memory else np.fromfile(path, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def _decode_deep(picture: Image.Image, path: str | utils.MemoryFile) -> np.ndarray:
    """Decode colours of 16 bits, [H, W, 3 or 4], or gray with alpha, [H, W, 2], uint16."""
    gray = str(_arguments(picture)[0]).startswith("LA")
    kind, mode, opaque = picture.format, picture.mode, not picture.has_transparency_data
    rotated_tiff = kind == "TIFF" and orientation_of(picture) != 1  # OpenCV fails, or rotates it
    if kind not in ("PNG", "TIFF", "PPM") or mode not in ("RGB", "RGBA") or rotated_tiff:
        raise _unreadable(path, f"16-bit colour in such a {kind} file")
    picture.load()  # OpenCV reads damaged files without an error
    pixels = _imdecode(path)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise _unreadable(path, "its 16-bit colour")
    if gray:
        return pixels[..., [0, 3]]
    return pixels[..., [2, 1, 0] if opaque else [2, 1, 0, 3]]


def _decode(
    picture: Image.Image, path: str | utils.MemoryFile, icc: bytes | None
) -> tuple[np.ndarray, str | None]:
    """Pixels as they are stored, [H, W, 1 to 4], alpha last, and what was converted."""
    picture.load()
    mode = picture.mode
    if mode.startswith("I"):
        return _gray16(picture, path), None
    if mode == "CMYK":
        return _cmyk_to_srgb(picture, icc)
    if mode not in ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "RGBX", "YCbCr", "La", "RGBa"):
        raise _unreadable(path, f"pixels of the kind {mode}")
    note = {
        "1": "single bits became gray",
        "P": "its palette became RGB",
        "PA": "its palette became RGB",
        "YCbCr": "YCbCr became RGB",
    }.get(mode)
    wanted = "L" if mode in ("1", "L", "LA", "La") else "RGB"
    if picture.has_transparency_data or mode in ("La", "RGBa"):
        wanted += "A"
    pixels = np.asarray(picture if mode == wanted else picture.convert(wanted))
    return pixels.reshape(*pixels.shape[:2], -1), note


def _gray16(picture: Image.Image, path: str | utils.MemoryFile) -> np.ndarray:
    """Decode gray of 16 bits, uint16 [H, W, 1], or [H, W, 2] where one level is transparent."""
    values = np.asarray(picture)
    if values.dtype.itemsize > 2 and (picture.format != "PPM" or values.max() > 65535):
        raise _unreadable(path, "gray of 32 bits")
    gray = values.astype(np.uint16)
    level = picture.info.get("transparency")
    if not isinstance(level, int):
        return gray[..., np.newaxis]
    return np.stack([gray, np.where(gray == level, 0, 65535).astype(np.uint16)], axis=2)


def _cmyk_to_srgb(picture: Image.Image, icc: bytes | None) -> tuple[np.ndarray, str]:
    """Convert CMYK to sRGB, uint8 [H, W, 3], by its profile if it has a good one; and note it."""
    if not icc:
        return np.asarray(picture.convert("RGB")), "CMYK without a profile became RGB by rule"
    try:
        converted = ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return np.asarray(picture.convert("RGB")), "CMYK became RGB by rule: its profile is damaged"
    return np.asarray(converted), "CMYK became sRGB by its profile"


# --- writing --------------------------------------------------------------------------------


def write_photo(photo: Photo, path: str, kind: str) -> None:
    """Write a photo as `encode_photo` into a file of any extension, atomically."""
    with utils.replacing(path) as temporary, open(temporary, "wb") as file:
        encode_photo(photo, file, kind)


def save_photo(photo: Photo, path: str | os.PathLike[str]) -> None:
    """Write a photo in the format that the file's extension names, as `write_photo`.

    Raises:
      ValueError: there is no such format, or it does not hold all of the photo.
    """
    path = os.fspath(path)
    kinds = {suffix: kind for kind, suffix in SUFFIXES.items()} | {".jpeg": "JPEG", ".tiff": "TIFF"}
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in kinds:
        raise ValueError(f"path={path!r}: does not end in one of {', '.join(kinds)}")
    kind = kinds[suffix]
    if photo.alpha is not None and kind not in WITH_ALPHA:
        raise ValueError(f"path={path!r}: {kind} does not hold transparency; save it as .png")
    if photo.peak > 255 and kind != "PNG":
        raise ValueError(f"path={path!r}: only PNG holds 16 bits here; save it as .png")
    write_photo(photo, path, kind)


def encode_photo(photo: Photo, file: IO[bytes], kind: str) -> None:
    """Write a photo with its ICC profile and EXIF data into an open file.

    Args:
      kind: of SUFFIXES; all but JPEG keep every value.

    Raises:
      ValueError: the photo has 16 bits, and `kind` is not PNG.
    """
    samples = photo.pixels
    if photo.alpha is not None:
        samples = np.dstack([samples, photo.alpha])
    metadata = {"icc_profile": photo.icc, "exif": photo.exif} if kind in WITH_METADATA else {}
    metadata = {name: data for name, data in metadata.items() if data}
    if photo.peak == 255:
        picture = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
        picture.save(file, format=kind, **SAVE_OPTIONS.get(kind, {}), **metadata)
    elif kind == "PNG":
        write_png16(file, samples, metadata)
    else:
        raise ValueError(f"{kind} does not hold 16 bits")
