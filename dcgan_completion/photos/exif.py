"""EXIF: a picture's orientation, and what a repaired photo keeps of the data."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image

# How an array of pixels is turned upright, by EXIF orientation: whether it is transposed first,
# then which axes are reversed.
_UPRIGHT = {
    2: (False, (1,)),
    3: (False, (0, 1)),
    4: (False, (0,)),
    5: (True, ()),
    6: (True, (1,)),
    7: (True, (0, 1)),
    8: (True, (0,)),
}
# What is kept of EXIF. Thumbnails, maker's notes, XMP, Photoshop's resources and other private tags
# may hold the old picture, and TIFF keeps its layout there: what is not listed is left out.
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


def orientation_of(picture: Image.Image) -> int:
    """Read the orientation in its EXIF or XMP data; 1, upright, where it makes no sense."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow raises anything on damaged EXIF data
        return 1
    return orientation if orientation in _UPRIGHT else 1


def upright(samples: np.ndarray, orientation: int) -> np.ndarray:
    """Turn samples, [H, W, C], upright."""
    transposed, reversed_axes = _UPRIGHT.get(orientation, (False, ()))
    return np.flip(samples.swapaxes(0, 1) if transposed else samples, reversed_axes)


def kept_exif(picture: Image.Image, width: int, height: int) -> tuple[bytes | None, bool]:
    """Collect the data to keep, for a photo that is upright; and whether all could be read."""
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
