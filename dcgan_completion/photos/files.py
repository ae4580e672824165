"""`Photo`: a photo's pixels upright with all else that is kept; how it is read and written."""

from __future__ import annotations

import dataclasses
import io
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageCms

from dcgan_completion import utils
from dcgan_completion.photos.png16 import write_png16
from dcgan_completion.utils import UserError

# The kinds of files that --format same writes, for 8 bits. The others are written as PNG: GIF has
# only palettes, and with JPEG 2000 Pillow writes neither ICC profile nor EXIF.
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

# How an array of pixels is brought upright, by EXIF orientation: transposed first, then which of
# the axes are reversed.
_UPRIGHT = {
    2: (False, (1,)),
    3: (False, (0, 1)),
    4: (False, (0,)),
    5: (True, ()),
    6: (True, (1,)),
    7: (True, (0, 1)),
    8: (True, (0,)),
}
# What is kept of EXIF. Thumbnails, maker's notes, XMP and Photoshop's resources may hold the old
# picture, other private tags too, and TIFF has its layout there: what is not listed is left out.
_IFD0 = {
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Orientation,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.WhitePoint,
    ExifTags.Base.PrimaryChromaticities,
    ExifTags.Base.Copyright,
    ExifTags.Base.Rating,
    ExifTags.Base.RatingPercent,
    *range(ExifTags.Base.XPTitle, ExifTags.Base.XPSubject + 1),
}
# Exposure and sensitivity, then the tags that are EXIF's own.
_EXIF_IFD = {
    ExifTags.Base.ExposureTime,
    ExifTags.Base.FNumber,
    *range(ExifTags.Base.ExposureProgram, ExifTags.Base.ISOSpeedLatitudezzz + 1),
    *range(ExifTags.Base.ExifVersion, ExifTags.Base.Gamma + 1),
} - {ExifTags.Base.MakerNote, ExifTags.IFD.Interop}

# Every 16-bit value as 8 bits: divided by 257, rounded.
_TO_8_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """A photo, upright, with what must come through a repair.

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

    def __post_init__(self) -> None:
        shape, kind = self.pixels.shape, self.pixels.dtype
        if kind not in (np.uint8, np.uint16) or len(shape) != 3 or shape[2] not in (1, 3):
            raise ValueError(f"pixels of a photo cannot be {kind} {list(shape)}")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (shape[:2], kind):
            raise ValueError("alpha has not the shape and type of the pixels")

    @property
    def peak(self) -> int:
        """The level of white and of full opacity: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    def as_rgb8(self) -> np.ndarray:
        """The photo as detection and model see it, uint8 [H, W, 3]; transparency is left out."""
        pixels = self._as_8_bits()
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels

    def as_gray8(self) -> np.ndarray:
        """The photo as a model of one channel sees it, uint8 [H, W, 1], luma of ITU-R BT.601."""
        pixels = self._as_8_bits()
        if pixels.shape[2] == 1:
            return pixels
        return np.asarray(Image.fromarray(pixels).convert("L"))[..., np.newaxis]

    def _as_8_bits(self) -> np.ndarray:
        return self.pixels if self.peak == 255 else _TO_8_BITS[self.pixels]

    def with_pixels(self, pixels: np.ndarray, alpha: np.ndarray | None = None) -> Photo:
        """The same photo with other pixels; its own alpha stays if none is given."""
        alpha = self.alpha if alpha is None else alpha
        return dataclasses.replace(self, pixels=pixels, alpha=alpha)

    def filled(
        self,
        values: np.ndarray,
        hole: np.ndarray,
        crop: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> Photo:
        """The photo with new pixels in a hole, opaque there, and bit for bit the same elsewhere.

        Args:
          values: float [h, w, C] of the crop, 0..peak; are rounded, and clipped to that range.
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
    """Pillow's name of the format in which a photo is written, for --format.

    Sixteen bits, and kinds of files that lose something else, become PNG, whatever is asked for.
    """
    kept = output_format == "same" and photo.peak == 255 and photo.kind in SUFFIXES
    return photo.kind if kept else "PNG"


def output_suffix(photo: Photo, output_format: str) -> str:
    """The extension of a photo's result, such as .png, for --format."""
    return SUFFIXES[output_kind(photo, output_format)]


# --- reading --------------------------------------------------------------------------------


def read_photo(path: str | utils.HeldFile) -> Photo:
    """The photo in a file, with its values as they are where a `Photo` can hold them.

    Gray and colour of 8 and 16 bits, with or without transparency, stay as they are; all else is
    converted, and named in the notes: palettes, CMYK (by its profile), YCbCr, single bits. Of the
    pictures of an MPO, such as a photo with its depth map, the first is taken.

    Raises:
      UserError: the file cannot be read as an image (`utils.open_picture`), is an animation, or has
        pixels that would lose values: of 32 bits, or of 16 in a file that OpenCV cannot read.
    """
    with utils.open_picture(path) as picture:
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
        if _is_deep_colour(picture, path):
            samples, note = _decode_deep(picture, path), None
        else:
            samples, note = _decode(picture, path, icc)
        icc = None if picture.mode == "CMYK" else icc
        # Pillow brings TIFF upright itself, and knows nothing of an orientation then.
        samples = _upright(samples, _orientation(picture))
        exif, whole = _kept_exif(picture, samples.shape[1], samples.shape[0])
        notes += [note] if note else []
        notes += [] if whole else ["its EXIF data are damaged and left out"]
    samples = np.ascontiguousarray(samples)
    colours = samples.shape[2] - 1 + samples.shape[2] % 2
    alpha = samples[..., colours].copy() if samples.shape[2] > colours else None
    return Photo(np.ascontiguousarray(samples[..., :colours]), alpha, icc, exif, kind, tuple(notes))


def _unreadable(path: str, what: str) -> UserError:
    return UserError(
        f"{path}: {what} cannot be read without a loss; save it as PNG of 8 or 16 bits a channel"
    )


def _raw_mode(picture: Image.Image) -> str:
    """How the file has its pixels, in Pillow's terms, such as RGB;16B; empty if it does not say."""
    arguments = picture.tile[0].args if picture.tile else ""
    return arguments if isinstance(arguments, str) else str((arguments or ("",))[0])


def _is_deep_colour(picture: Image.Image, path: str) -> bool:
    """Whether its colours have more than 8 bits, which Pillow would reduce; before it is loaded."""
    if picture.mode.startswith("I"):  # gray: Pillow keeps it
        return False
    if picture.format == "PPM":
        arguments = picture.tile[0].args
        deepest = arguments[1] if isinstance(arguments, tuple) and len(arguments) > 1 else 255
        if 255 < deepest < 65535:
            raise _unreadable(path, f"a PPM file with values to {deepest}")
        return deepest > 255
    if picture.format == "JPEG2000":  # Pillow does not tell: OpenCV has to decode it
        pixels = _imdecode(path)
        return pixels is not None and pixels.dtype != np.uint8
    return ";16" in _raw_mode(picture)


def _imdecode(path: str | utils.HeldFile) -> np.ndarray | None:
    """The pixels that OpenCV finds in a file, neither rotated nor converted, BGR or BGRA."""
    import cv2  # only here: command lines are built without it

    held = isinstance(path, utils.HeldFile)
    data = np.frombuffer(path.data, np.uint8) if held else np.fromfile(path, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def _decode_deep(picture: Image.Image, path: str) -> np.ndarray:
    """Colours of 16 bits, [H, W, 3 or 4], or gray with alpha, [H, W, 2], uint16, as stored."""
    gray = _raw_mode(picture).startswith("LA")
    kind, mode, opaque = picture.format, picture.mode, not picture.has_transparency_data
    rotated_tiff = kind == "TIFF" and _orientation(picture) != 1  # OpenCV fails, or rotates it
    if kind not in ("PNG", "TIFF", "PPM") or mode not in ("RGB", "RGBA") or rotated_tiff:
        raise _unreadable(path, f"16-bit colour in such a {kind} file")
    picture.load()  # OpenCV reads damaged files without a word
    pixels = _imdecode(path)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise _unreadable(path, "its 16-bit colour")
    if gray:
        return pixels[..., [0, 3]]
    return pixels[..., [2, 1, 0] if opaque else [2, 1, 0, 3]]


def _decode(picture: Image.Image, path: str, icc: bytes | None) -> tuple[np.ndarray, str | None]:
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


def _gray16(picture: Image.Image, path: str) -> np.ndarray:
    """Gray of 16 bits, uint16 [H, W, 1], or [H, W, 2] where one level is transparent."""
    values = np.asarray(picture)
    if values.dtype.itemsize > 2 and (picture.format != "PPM" or values.max() > 65535):
        raise _unreadable(path, "gray of 32 bits")
    gray = values.astype(np.uint16)
    level = picture.info.get("transparency")
    if not isinstance(level, int):
        return gray[..., np.newaxis]
    return np.stack([gray, np.where(gray == level, 0, 65535).astype(np.uint16)], axis=2)


def _cmyk_to_srgb(picture: Image.Image, icc: bytes | None) -> tuple[np.ndarray, str]:
    """CMYK as sRGB, uint8 [H, W, 3], by its profile if there is a good one, and what was done."""
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


def _orientation(picture: Image.Image) -> int:
    """Its EXIF orientation, or that of its XMP; 1, upright, if neither says anything sensible."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow raises anything on damaged EXIF data
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _upright(samples: np.ndarray, orientation: int) -> np.ndarray:
    transposed, reversed_axes = _UPRIGHT.get(orientation, (False, ()))
    return np.flip(samples.swapaxes(0, 1) if transposed else samples, reversed_axes)


def _kept_exif(picture: Image.Image, width: int, height: int) -> tuple[bytes | None, bool]:
    """What is kept of EXIF, for a photo that is upright now, and whether the data were whole."""
    kept = Image.Exif()
    try:
        exif = picture.getexif()
        own = {tag: exif[tag] for tag in exif if tag in _IFD0}
        for ifd, tags in ((ExifTags.IFD.Exif, _EXIF_IFD), (ExifTags.IFD.GPSInfo, range(32))):
            own[ifd] = {tag: value for tag, value in exif.get_ifd(ifd).items() if tag in tags}
        sizes = {ExifTags.Base.ExifImageWidth: width, ExifTags.Base.ExifImageHeight: height}
        pixels = own[ExifTags.IFD.Exif]
        pixels |= {tag: value for tag, value in sizes.items() if tag in pixels}
        if ExifTags.Base.Orientation in own:
            own[ExifTags.Base.Orientation] = 1
        for tag, value in own.items():
            if value != {}:
                kept[tag] = value
        return (kept.tobytes() if len(kept) else None), True
    except Exception:  # Pillow raises anything on damaged EXIF data
        return None, False


# --- writing --------------------------------------------------------------------------------


def write_photo(photo: Photo, path: str, kind: str) -> None:
    """Writes a photo with its ICC profile and EXIF data, in an atomic write.

    Args:
      photo: of 8 or 16 bits.
      path: of the file, whatever its name says.
      kind: as for `encode_photo`.

    Raises:
      ValueError: as `encode_photo`.
    """
    with utils.replacing(path) as temporary, open(temporary, "wb") as file:
        encode_photo(photo, file, kind)


def encode_photo(photo: Photo, file: IO[bytes], kind: str) -> None:
    """Writes a photo with its ICC profile and EXIF data into an open file.

    Args:
      photo: of 8 or 16 bits.
      file: of bytes.
      kind: `output_kind` of the photo; all but JPEG keep every value.

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
