"""Photos on disk: what is kept of every kind of file, what is converted, what is refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import save_picture
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

from dcgan_completion import utils
from dcgan_completion.photos.files import Photo, output_kind, output_suffix, read_photo, write_photo
from dcgan_completion.utils import UserError

HEIGHT, WIDTH = 11, 7
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SECRET = b"THE-OLD-PICTURE"  # that no result may hold
KINDS = [(dtype, channels) for dtype in (np.uint8, np.uint16) for channels in (1, 2, 3, 4)]


def noise(random: np.random.Generator, dtype: type, channels: int) -> np.ndarray:
    """Every bit at random, [HEIGHT, WIDTH, channels]."""
    return random.integers(0, np.iinfo(dtype).max + 1, [HEIGHT, WIDTH, channels], dtype)


def photo_of(samples: np.ndarray, **more: object) -> Photo:
    """A photo of samples whose last channel is alpha if they are 2 or 4."""
    colours = {1: 1, 2: 1, 3: 3, 4: 3}[samples.shape[2]]
    alpha = samples[..., -1] if samples.shape[2] > colours else None
    return Photo(samples[..., :colours], alpha, **more)


def assert_same(one: Photo, other: Photo) -> None:
    assert one.pixels.dtype == other.pixels.dtype
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None:
        np.testing.assert_array_equal(one.alpha, other.alpha)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_photo(str(path))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


# --- values ---


@pytest.mark.parametrize(("dtype", "channels"), KINDS)
def test_values_come_back_as_they_were(
    dtype: type, channels: int, tmp_path: Path, random: np.random.Generator
) -> None:
    photo = photo_of(noise(random, dtype, channels), icc=SRGB, exif=exif_of(photo_tags()))
    path = str(tmp_path / "a.png")
    write_photo(photo, path, "PNG")
    again = read_photo(path)
    assert_same(again, photo)
    assert (again.icc, again.exif, again.kind, again.notes) == (SRGB, photo.exif, "PNG", ())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_other_programs_read_16_bits_as_they_were_written(
    channels: int, tmp_path: Path, random: np.random.Generator
) -> None:
    samples = noise(random, np.uint16, channels)
    path = tmp_path / "a.png"
    write_photo(photo_of(samples, icc=SRGB), str(path), "PNG")
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)  # gray with alpha as BGRA
    order = {1: [0], 2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    np.testing.assert_array_equal(read.reshape(HEIGHT, WIDTH, -1)[..., order], samples)
    with Image.open(path) as picture:
        picture.load()  # its checksums are right
        assert picture.info["icc_profile"] == SRGB


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        *((f"a.{suffix}", channels) for suffix in ("png", "tiff") for channels in (1, 3, 4)),
        ("a.pgm", 1),
        ("a.ppm", 3),
    ],
)
def test_16_bits_of_other_programs_are_read(
    name: str, channels: int, tmp_path: Path, random: np.random.Generator
) -> None:
    samples = noise(random, np.uint16, channels)
    path = str(tmp_path / name)
    cv2.imwrite(path, samples[..., [2, 1, 0, 3][:channels] if channels > 1 else [0]])
    assert_same(read_photo(path), photo_of(samples))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_colour_may_be_the_transparent_one(
    dtype: type, channels: int, tmp_path: Path, random: np.random.Generator
) -> None:
    samples = noise(random, dtype, channels)
    clear = samples[4, 2]
    path = tmp_path / "a.png"
    write_photo(Photo(samples), str(path), "PNG")
    chunk = io.BytesIO()
    PngImagePlugin.putchunk(chunk, b"tRNS", clear.astype(">u2").tobytes())
    data = path.read_bytes()
    path.write_bytes(data[:33] + chunk.getvalue() + data[33:])  # after signature and IHDR
    photo = read_photo(str(path))
    np.testing.assert_array_equal(photo.pixels, samples)
    wanted = np.where((samples == clear).all(axis=2), 0, photo.peak)
    np.testing.assert_array_equal(photo.alpha, wanted)


# --- what detection and the model see ---


def test_8_bits_are_the_nearest_ones() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    photo = Photo(levels)
    nearest = np.rint(levels.astype(np.float64) / 257)
    np.testing.assert_array_equal(photo.as_gray8(), nearest)
    np.testing.assert_array_equal(photo.as_rgb8(), np.broadcast_to(nearest, [256, 256, 3]))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_is_the_luma(dtype: type, random: np.random.Generator) -> None:
    photo = Photo(noise(random, dtype, 3))
    levels = photo.pixels.astype(np.float64) * 255 / photo.peak
    assert photo.as_gray8().shape == (HEIGHT, WIDTH, 1)
    luma = levels @ [0.299, 0.587, 0.114]
    assert np.abs(photo.as_gray8()[..., 0] - luma).max() < 1.01


def test_a_photo_is_of_known_types_and_shapes() -> None:
    with pytest.raises(ValueError, match="float32"):
        Photo(np.zeros([4, 4, 3], np.float32))
    with pytest.raises(ValueError, match=r"\[4, 4, 2\]"):
        Photo(np.zeros([4, 4, 2], np.uint8))
    with pytest.raises(ValueError, match="alpha"):
        Photo(np.zeros([4, 4, 3], np.uint16), np.zeros([4, 4], np.uint8))


@pytest.mark.parametrize(("dtype", "channels"), KINDS)
def test_only_the_hole_is_filled(dtype: type, channels: int, random: np.random.Generator) -> None:
    photo = photo_of(noise(random, dtype, channels), icc=b"profile", notes=("note",))
    before = photo_of(np.dstack([photo.pixels]).copy())
    hole = random.random([HEIGHT, WIDTH]) < 0.3
    values = random.uniform(-0.2, 1.2, photo.pixels.shape) * photo.peak
    filled = photo.filled(values, hole)
    np.testing.assert_array_equal(photo.pixels, before.pixels)  # the photo itself stays
    np.testing.assert_array_equal(filled.pixels[~hole], photo.pixels[~hole])
    wanted = np.rint(np.minimum(np.maximum(values, 0), photo.peak))
    np.testing.assert_array_equal(filled.pixels[hole], wanted[hole])
    assert filled.pixels.dtype == dtype
    assert (filled.icc, filled.notes) == (b"profile", ("note",))
    if photo.alpha is not None:
        assert (filled.alpha[hole] == photo.peak).all()
        np.testing.assert_array_equal(filled.alpha[~hole], photo.alpha[~hole])


# --- orientation and metadata ---


def photo_tags() -> dict[int, object]:
    """Tags that are kept, those of the EXIF and GPS IFDs in dictionaries."""
    return {
        ExifTags.Base.Make: "A camera's maker",
        ExifTags.Base.XResolution: 72.0,
        ExifTags.Base.Copyright: "somebody",
        ExifTags.IFD.Exif: {
            ExifTags.Base.ExposureTime: 0.25,
            ExifTags.Base.ExposureBiasValue: -0.5,
            ExifTags.Base.DateTimeOriginal: "2020:02:29 12:00:00",
            ExifTags.Base.UserComment: b"ASCII\0\0\0hello",
        },
        ExifTags.IFD.GPSInfo: {1: "N", 2: (50.0, 10.0, 2.5)},
    }


def exif_of(tags: dict[int, object]) -> bytes:
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    return exif.tobytes()


def with_thumbnail(exif: bytes, thumbnail: bytes) -> bytes:
    """EXIF data (big-endian, as Pillow makes them, or little) with a second IFD."""
    head, tiff = exif[:6], bytearray(exif[6:])
    order = "<" if tiff[:2] == b"II" else ">"
    (entries,) = struct.unpack_from(order + "H", tiff, 8)
    struct.pack_into(order + "I", tiff, 10 + 12 * entries, len(tiff))
    start = len(tiff) + 2 + 2 * 12 + 4
    tiff += struct.pack(order + "H", 2)
    tiff += struct.pack(order + "HHII", 0x0201, 4, 1, start)
    tiff += struct.pack(order + "HHII", 0x0202, 4, 1, len(thumbnail))
    return head + bytes(tiff) + b"\0\0\0\0" + thumbnail


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_upright(orientation: int, dtype: type, tmp_path: Path) -> None:
    stored = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    tags = photo_tags()
    tags[ExifTags.Base.Orientation] = orientation
    tags[ExifTags.IFD.Exif] |= {ExifTags.Base.ExifImageWidth: WIDTH}
    tags[ExifTags.IFD.Exif] |= {ExifTags.Base.ExifImageHeight: HEIGHT}
    picture = Image.fromarray(stored)
    picture.getexif()[ExifTags.Base.Orientation] = orientation
    wanted = np.asarray(ImageOps.exif_transpose(picture))
    path = str(tmp_path / "a.png")
    scale = 257 if dtype is np.uint16 else 1
    write_photo(Photo(stored.astype(dtype) * dtype(scale), exif=exif_of(tags)), path, "PNG")
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.pixels, wanted.astype(dtype) * dtype(scale))
    kept = Image.Exif()
    kept.load(photo.exif)
    assert kept[ExifTags.Base.Orientation] == 1
    size = kept.get_ifd(ExifTags.IFD.Exif)
    assert size[ExifTags.Base.ExifImageWidth] == wanted.shape[1]
    assert size[ExifTags.Base.ExifImageHeight] == wanted.shape[0]


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_rotated_tiff_is_rotated_once(orientation: int, tmp_path: Path) -> None:
    stored = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    exif = exif_of({ExifTags.Base.Orientation: orientation})
    path = save_picture(tmp_path / "a.tif", stored, exif=exif)
    turns = {1: 0, 3: 2, 6: -1}[orientation]
    np.testing.assert_array_equal(read_photo(str(path)).pixels[..., 0], np.rot90(stored, turns))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_is_kept_without_what_may_hold_the_old_picture(
    kind: str, tmp_path: Path, random: np.random.Generator
) -> None:
    tags, private = photo_tags(), photo_tags()
    private[700] = private[34377] = private[50740] = SECRET  # XMP, Photoshop's, Adobe's own
    private[ExifTags.IFD.Exif] |= {ExifTags.Base.MakerNote: SECRET, 0xA999: SECRET}
    exif = exif_of(private)
    exif = exif if kind == "TIFF" else with_thumbnail(exif, SECRET)  # Pillow writes none there
    path = tmp_path / "a"
    more = {"xmp": SECRET} if kind in ("JPEG", "WEBP") else {}
    Image.fromarray(noise(random, np.uint8, 3)).save(
        path, kind, exif=exif, icc_profile=SRGB, **more
    )
    assert SECRET in path.read_bytes()
    if kind != "TIFF":
        with Image.open(path) as picture:  # the thumbnail is where programs look for it
            assert picture.getexif().get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(SECRET)
    photo = read_photo(str(path))
    assert photo.notes == ()
    for output_format in ("png", "same"):
        result = tmp_path / f"result{output_suffix(photo, output_format)}"
        write_photo(photo, str(result), output_kind(photo, output_format))
        assert SECRET not in result.read_bytes()
        again = read_photo(str(result))
        assert again.icc == SRGB
        kept = Image.Exif()
        kept.load(again.exif)
        for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            assert kept.get_ifd(ifd) == tags[ifd]
        own = {tag for tag in tags if tag not in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)}
        assert {tag: kept[tag] for tag in own} == {tag: tags[tag] for tag in own}
        assert not kept.get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("data", [b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0zz"])
def test_damaged_exif_does_not_lose_the_photo(
    data: bytes, tmp_path: Path, random: np.random.Generator
) -> None:
    samples = noise(random, np.uint8, 3)
    path = save_picture(tmp_path / "a.png", samples, exif=data)
    photo = read_photo(str(path))
    np.testing.assert_array_equal(photo.pixels, samples)
    write_photo(photo, str(tmp_path / "b.png"), "PNG")
    np.testing.assert_array_equal(read_photo(str(tmp_path / "b.png")).pixels, samples)


# --- conversions ---


def test_palettes_become_rgb(tmp_path: Path, random: np.random.Generator) -> None:
    colours = random.integers(0, 256, [5, 3], np.uint8)
    which = random.integers(0, 5, [HEIGHT, WIDTH], np.uint8)
    picture = Image.fromarray(which, "P")
    picture.putpalette(colours.tobytes())
    for name, options in (("a.png", {}), ("b.png", {"transparency": 3}), ("c.gif", {})):
        photo = read_photo(str(save_picture(tmp_path / name, picture, **options)))
        np.testing.assert_array_equal(photo.pixels, colours[which])
        assert photo.notes == ("its palette became RGB",)
        if options:
            np.testing.assert_array_equal(photo.alpha, np.where(which == 3, 0, 255))
        else:
            assert photo.alpha is None


def test_single_bits_become_gray(tmp_path: Path, random: np.random.Generator) -> None:
    bits = random.random([HEIGHT, WIDTH]) < 0.5
    photo = read_photo(str(save_picture(tmp_path / "a.png", Image.fromarray(bits))))
    np.testing.assert_array_equal(photo.pixels[..., 0], np.where(bits, 255, 0))
    assert photo.notes == ("single bits became gray",)


def cmyk_profile() -> bytes:
    """An ICC profile of CMYK, made up: cyan alone gives a gray of L* 50, no ink white, all black.

    Version 2 with a table of 8 bits (lut8Type): Lab at the 16 corners of CMYK, cyan slowest.
    """
    ramp = bytes(range(256))
    lab = [(255, 128, 128)] * 16
    for corner in range(8, 16):  # with cyan
        lab[corner] = (128, 128, 128)
    lab[15] = (0, 128, 128)
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    table = b"mft1\0\0\0\0\4\3\2\0" + identity + 4 * ramp
    table += b"".join(bytes(values) for values in lab) + 3 * ramp
    table += bytes(-len(table) % 4)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)  # D50
    tags, body = b"", b""
    for name, data in ((b"A2B0", table), (b"wtpt", white)):
        tags += name + struct.pack(">II", 128 + 4 + 2 * 12 + len(body), len(data))
        body += data
    size = 128 + 4 + len(tags) + len(body)
    head = struct.pack(">I", size) + b"lcms\2\x40\0\0prtrCMYKLab " + bytes(12) + b"acsp"
    head += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", 2) + tags + body


def test_cmyk_becomes_srgb_by_its_profile(tmp_path: Path) -> None:
    luminance = ((100 * 128 / 255 + 16) / 116) ** 3  # CIE 1976 L*, then the curve of sRGB
    gray = 255 * (1.055 * luminance ** (1 / 2.4) - 0.055)
    for ink, level in (((0, 0, 0, 0), 255), ((255, 0, 0, 0), gray), ((255,) * 4, 0)):
        picture = Image.new("CMYK", (16, 16), ink)
        for suffix, exact in (("tif", 1.5), ("jpg", 3)):
            path = save_picture(tmp_path / f"a.{suffix}", picture, icc_profile=cmyk_profile())
            photo = read_photo(str(path))
            assert photo.pixels.shape == (16, 16, 3)
            assert np.abs(photo.pixels - level).max() < exact, (ink, suffix)
            assert photo.icc is None  # it is sRGB now
            assert photo.notes == ("CMYK became sRGB by its profile",)


@pytest.mark.parametrize("icc", [None, SRGB, b"damaged" * 30])
def test_cmyk_without_a_profile_for_it_becomes_rgb_by_rule(
    icc: bytes | None, tmp_path: Path
) -> None:
    picture = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    photo = read_photo(str(save_picture(tmp_path / "a.tif", picture, icc_profile=icc)))
    np.testing.assert_array_equal(photo.pixels, np.broadcast_to([255, 0, 0], [16, 16, 3]))
    assert photo.icc is None
    assert "by rule" in photo.notes[0]


def test_the_first_picture_of_an_mpo_is_the_photo(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    path = tmp_path / "a.jpg"
    pictures[0].save(path, "MPO", save_all=True, append_images=pictures[1:])
    photo = read_photo(str(path))
    assert (photo.pixels[..., 0] > 240).all()
    assert (photo.kind, output_suffix(photo, "same")) == ("JPEG", ".jpg")
    assert photo.notes == ("the first of 2 pictures in the file",)


# --- refused ---


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_animations_are_refused(suffix: str, tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    path = save_picture(
        tmp_path / f"a.{suffix}", pictures[0], save_all=True, append_images=pictures[1:]
    )
    assert "holds 2 pictures" in refusal(path)


def test_what_would_lose_values_is_refused(tmp_path: Path, random: np.random.Generator) -> None:
    deep = random.integers(0, 65536, [64, 64, 3], np.uint16)
    for name, mode, words in (
        ("a.tif", "F", "pixels of the kind F"),
        ("b.tif", "I", "gray of 32 bits"),
        ("c.tif", "LAB", "pixels of the kind LAB"),
    ):
        assert words in refusal(save_picture(tmp_path / name, Image.new(mode, (16, 16))))
    cv2.imwrite(str(tmp_path / "d.jp2"), deep)
    assert "16-bit colour" in refusal(tmp_path / "d.jp2")
    (tmp_path / "e.ppm").write_bytes(b"P6 16 16 1023\n" + bytes(16 * 16 * 6))
    assert "values to 1023" in refusal(tmp_path / "e.ppm")


def test_a_rotated_tiff_of_16_bit_colour_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"  # one strip of 16x16 pixels, after the IFD
    entries = [
        (256, 3, 16), (257, 3, 16), (258, 3, 16), (259, 3, 1), (262, 3, 2), (273, 4, 200),
        (274, 3, 6), (277, 3, 3), (278, 3, 16), (279, 4, 16 * 16 * 6),
    ]  # fmt: skip
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        count, value = (3, 190) if tag == 258 else (1, value)
        data += struct.pack("<HHII", tag, kind, count, value)
    data = (data + bytes(4)).ljust(190, b"\0") + struct.pack("<3H", 16, 16, 16)
    path.write_bytes(data.ljust(200, b"\0") + bytes(16 * 16 * 6))
    assert "16-bit colour in such a TIFF" in refusal(path)


def test_damaged_and_large_files_are_named(tmp_path: Path, random: np.random.Generator) -> None:
    path = tmp_path / "a.png"
    write_photo(photo_of(noise(random, np.uint16, 3)), str(path), "PNG")
    utils.limit_pixels(76)
    assert "more than 76 pixels" in refusal(path)
    utils.limit_pixels(77)
    assert read_photo(str(path)).pixels.size == 77 * 3
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert "cannot be read as an image" in refusal(path)
    assert "no such file" in refusal(tmp_path / "b.png")


# --- the format of results ---


def test_results_are_png_unless_the_same_kind_can_hold_them(random: np.random.Generator) -> None:
    deep, plain = (photo_of(noise(random, dtype, 3)) for dtype in (np.uint16, np.uint8))
    suffixes = {"JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "PPM": ".ppm"}
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "JPEG2000"):
        photo = Photo(plain.pixels, kind=kind)
        assert output_suffix(photo, "png") == ".png"
        assert output_suffix(photo, "same") == suffixes.get(kind, ".png")
        assert output_suffix(Photo(deep.pixels, kind=kind), "same") == ".png"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "PPM"])
def test_the_same_kind_of_file_keeps_every_value(
    kind: str, tmp_path: Path, random: np.random.Generator
) -> None:
    photo = Photo(noise(random, np.uint8, 3), kind=kind)
    path = str(tmp_path / f"a{output_suffix(photo, 'same')}")
    write_photo(photo, path, output_kind(photo, "same"))
    again = read_photo(path)
    assert_same(again, photo)
    assert again.kind == kind


def test_16_bits_are_not_written_where_they_would_be_lost(tmp_path: Path) -> None:
    photo = Photo(np.zeros([4, 4, 3], np.uint16))
    with pytest.raises(ValueError, match="16 bits"):
        write_photo(photo, str(tmp_path / "a.jpg"), "JPEG")
    assert list(tmp_path.iterdir()) == []
