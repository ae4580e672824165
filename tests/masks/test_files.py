"""Masks that users draw: every kind of file, and which file belongs to which image."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import save_picture
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

from dcgan_completion.masks import files
from dcgan_completion.utils import UserError

SIZE = 32
Colour = tuple[int, ...]


def hole() -> np.ndarray:
    """What the drawn masks miss, bool; nothing about it is symmetric."""
    missing = np.zeros([SIZE, SIZE], bool)
    missing[4:9, 10:26] = True
    missing[20:, :7] = True
    missing[14, 30] = True
    return missing


def paint(missing: Colour, rest: Colour, mode: str) -> Image.Image:
    """The hole in one colour, the rest in another."""
    colours = np.where(hole()[..., np.newaxis], missing, rest).astype(np.uint8)
    return Image.fromarray(colours if colours.shape[-1] > 1 else colours[..., 0]).convert(mode)


def black_and_white() -> Image.Image:
    return paint((255,), (0,), "L")


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.where(hole(), 65535, 0).astype(np.uint16))


def palette(missing: int) -> Image.Image:
    """Index `missing` is white, the other one black, whatever the numbers."""
    picture = Image.fromarray(np.where(hole(), missing, 1 - missing).astype(np.uint8), "P")
    colours = [0] * 6
    colours[3 * missing : 3 * missing + 3] = [255] * 3
    picture.putpalette(colours)
    return picture


OPAQUE: dict[str, Callable[[], Image.Image]] = {
    "1 bit": lambda: paint((255,), (0,), "1"),
    "gray": black_and_white,
    "light and dark gray": lambda: paint((230,), (20,), "L"),
    "RGB": lambda: paint((255,), (0,), "RGB"),
    "palette 0": lambda: palette(0),
    "palette 1": lambda: palette(1),
    "16 bits": sixteen_bits,
    "gray and opaque": lambda: paint((255,), (0,), "LA"),
    "RGBA opaque": lambda: paint((255,), (0,), "RGBA"),
}
# The colour of the hole, of the rest, and their opacity.
TRANSPARENT: dict[str, tuple[Colour, Colour]] = {
    "white on an empty layer (GIMP)": ((255, 255, 255, 255), (0, 0, 0, 0)),
    "white on an empty white layer (PIL)": ((255, 255, 255, 255), (255, 255, 255, 0)),
    "black on an empty layer": ((0, 0, 0, 255), (0, 0, 0, 0)),
    "black on an empty white layer (PIL)": ((0, 0, 0, 255), (255, 255, 255, 0)),
    "red on an empty layer": ((255, 0, 0, 255), (0, 0, 0, 0)),
    "gray on an empty layer": ((128, 128, 128, 255), (128, 128, 128, 0)),
    "a brush that covers nine tenths": ((255, 255, 255, 230), (0, 0, 0, 0)),
}


def assert_loads(path: Path, invert: bool = False) -> None:
    mask = files.read_square(path, SIZE, invert)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, ~hole() if invert else hole())


@pytest.mark.parametrize("kind", OPAQUE)
def test_white_is_missing_in_every_kind_of_picture(kind: str, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "mask.png", OPAQUE[kind]())
    assert_loads(path)
    assert_loads(path, invert=True)


@pytest.mark.parametrize("extension", ["png", "bmp", "gif", "tif", "webp"])
def test_any_format(extension: str, tmp_path: Path) -> None:
    options = {"lossless": True} if extension == "webp" else {}
    assert_loads(save_picture(tmp_path / f"mask.{extension}", black_and_white(), **options))


@pytest.mark.parametrize("quality", [5, 30, 90])
def test_the_ringing_of_a_jpeg_is_cut_off(quality: int, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "mask.jpg", black_and_white(), quality=quality)
    levels = np.unique(np.asarray(Image.open(path)))
    assert len(levels) > 10
    wrong = files.read_square(path, SIZE) != hole()
    assert wrong.sum() <= (2 if quality == 5 else 0)


def test_a_rotated_file_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    turned = black_and_white().transpose(Image.Transpose.ROTATE_90)
    assert_loads(save_picture(tmp_path / "mask.png", turned, exif=exif))
    stroke = paint((0, 0, 0, 255), (0, 0, 0, 0), "RGBA").transpose(Image.Transpose.ROTATE_90)
    assert_loads(save_picture(tmp_path / "stroke.png", stroke, exif=exif))


# --- transparency ---


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_what_is_drawn_on_an_empty_layer_is_missing(kind: str, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "mask.png", paint(*TRANSPARENT[kind], "RGBA"))
    assert_loads(path)
    assert_loads(path, invert=True)


def test_transparent_is_black_beside_black_and_white(tmp_path: Path) -> None:
    picture = np.asarray(black_and_white().convert("RGBA")).copy()
    picture[:, 16:, 3] = 0  # the right half is erased, half the upper bar with it
    found = files.read_square(save_picture(tmp_path / "mask.png", Image.fromarray(picture)), SIZE)
    wanted = hole()
    wanted[:, 16:] = False
    np.testing.assert_array_equal(found, wanted)


def test_a_transparent_colour_of_a_palette_counts_as_transparent(tmp_path: Path) -> None:
    picture = Image.fromarray(np.where(hole(), 1, 0).astype(np.uint8), "P")
    picture.putpalette([255, 255, 255, 200, 30, 30])  # the rest white, but not to be seen
    assert_loads(save_picture(tmp_path / "mask.png", picture, transparency=0))
    assert_loads(save_picture(tmp_path / "mask.gif", picture, transparency=0))


def test_a_soft_brush_is_cut_at_half_its_opacity(tmp_path: Path) -> None:
    disc = Image.new("L", (256, 256))
    ImageDraw.Draw(disc).ellipse([60, 60, 196, 196], fill=255)
    soft = disc.filter(ImageFilter.GaussianBlur(8))
    stroke = Image.new("RGBA", disc.size, (0, 0, 0, 255))
    stroke.putalpha(soft)
    wanted = np.asarray(soft) >= 128
    for picture in (soft, stroke):
        path = save_picture(tmp_path / "mask.png", picture)
        np.testing.assert_array_equal(files.read_square(path, 256), wanted)


@pytest.mark.parametrize("colour", [(255, 255, 255, 0), (0, 0, 0, 0), (0, 0, 0, 255)])
def test_an_empty_layer_leaves_nothing_out(colour: Colour, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "mask.png", Image.new("RGBA", (SIZE, SIZE), colour))
    assert not files.read_square(path, SIZE).any()


def test_sixteen_bits_have_no_transparency(tmp_path: Path) -> None:
    assert_loads(save_picture(tmp_path / "mask.png", sixteen_bits(), transparency=65535))


# --- other sizes ---


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_larger_and_smaller_masks_are_scaled_by_the_nearest_pixel(
    factor: int, tmp_path: Path
) -> None:
    large = Image.fromarray(np.asarray(black_and_white()).repeat(factor, 0).repeat(factor, 1))
    assert_loads(save_picture(tmp_path / "large.png", large))
    small = save_picture(tmp_path / "small.png", black_and_white())
    wanted = hole().repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(files.read_square(small, SIZE * factor), wanted)


def test_scaling_takes_the_nearest_pixels_centre(
    tmp_path: Path, random: np.random.Generator
) -> None:
    missing = random.random([100, 100]) < 0.5
    path = save_picture(tmp_path / "mask.png", Image.fromarray(missing))
    nearest = np.floor((np.arange(SIZE) + 0.5) * 100 / SIZE).astype(int)
    wanted = missing[np.ix_(nearest, nearest)]
    np.testing.assert_array_equal(files.read_square(path, SIZE), wanted)


@pytest.mark.parametrize("wide", [True, False])
def test_the_margins_of_a_mask_go_as_those_of_a_photo(wide: bool, tmp_path: Path) -> None:
    picture = np.full([SIZE, SIZE + 21], 255, np.uint8)
    picture[:, 10 : 10 + SIZE] = np.asarray(black_and_white())
    if not wide:
        picture = np.full([SIZE + 21, SIZE], 255, np.uint8)
        picture[10 : 10 + SIZE] = np.asarray(black_and_white())
    assert_loads(save_picture(tmp_path / "mask.png", Image.fromarray(picture)))


# --- what is no mask ---


def assert_refused(path: Path, *words: str, invert: bool = False) -> None:
    with pytest.raises(UserError) as caught:
        files.read_square(path, SIZE, invert)
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee", "chelsea", "rocket"])
def test_a_photo_is_no_mask(name: str, tmp_path: Path) -> None:
    photo = Image.fromarray(getattr(data, name)())
    path = save_picture(tmp_path / "photo.jpg", photo)
    for invert in (False, True):
        assert_refused(path, "looks like a photo", "white where", "black", invert=invert)
    small = save_picture(tmp_path / "small.png", photo.resize((64, 64)))
    assert_refused(small, "looks like a photo")


def test_nor_is_a_photo_whose_hole_was_erased(tmp_path: Path) -> None:
    photo = np.dstack([data.astronaut(), np.full([512, 512], 255, np.uint8)])
    photo[100:300, 100:400] = 0
    assert_refused(save_picture(tmp_path / "erased.png", photo), "looks like a photo")
    photo[100:, :, 3] = 0  # four fifths
    assert_refused(save_picture(tmp_path / "erased.png", photo), "looks like a photo")


def test_noise_in_a_bad_jpeg_is_a_mask(tmp_path: Path, random: np.random.Generator) -> None:
    missing = random.random([64, 64]) < 0.2
    buffer = io.BytesIO()
    Image.fromarray(missing).convert("L").save(buffer, "JPEG", quality=10)
    path = tmp_path / "mask.jpg"
    path.write_bytes(buffer.getvalue())
    wrong = files.read_square(path, 64) != missing
    assert wrong.mean() < 0.05


def test_zeros_and_ones_saved_as_they_are(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "mask.png", Image.fromarray(hole().astype(np.uint8)))
    assert_refused(path, "nothing in it is white", "brightest level is 1 of 255")
    assert_refused(path, "nothing in it is white", invert=True)
    path = save_picture(tmp_path / "red.png", paint((255, 0, 0), (0, 0, 0), "RGB"))
    assert_refused(path, "brightest level is 76 of 255")
    path = save_picture(tmp_path / "faint.png", paint((255, 255, 255, 40), (0, 0, 0, 0), "RGBA"))
    assert_refused(path, "brightest level is 40 of 255")


def test_a_hole_of_everything_is_refused(tmp_path: Path) -> None:
    white, black = (
        save_picture(tmp_path / f"{level}.png", Image.new("L", (SIZE, SIZE), level))
        for level in (255, 0)
    )
    assert_refused(white, "everything is missing", "--invert-mask")
    assert_refused(black, "everything is missing", "leave out --invert-mask", invert=True)
    # So is one of which scaling leaves no known pixel.
    picture = Image.new("L", (10 * SIZE, 10 * SIZE), 255)
    picture.putpixel((0, 0), 0)
    assert_refused(save_picture(tmp_path / "speck.png", picture), "everything is missing")


def test_nothing_may_be_missing(tmp_path: Path) -> None:
    black = save_picture(tmp_path / "mask.png", Image.new("L", (SIZE, SIZE), 0))
    assert not files.read_square(black, SIZE).any()


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.png", "no such file")
    (tmp_path / "text.png").write_text("white")
    assert_refused(tmp_path / "text.png", "cannot be read as an image")
    cut = save_picture(tmp_path / "cut.png", Image.fromarray(data.camera()))
    cut.write_bytes(cut.read_bytes()[:5000])
    assert_refused(cut, "cannot be read as an image")


# --- which mask belongs to which image ---


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes pictures at these paths below the working folder."""
    monkeypatch.chdir(tmp_path)

    def make(*paths: str) -> None:
        for path in paths:
            save_picture(tmp_path / path, black_and_white())

    return make


def test_one_file_is_for_all(tree: Callable[..., None]) -> None:
    tree("mask.png", "a/1.png", "2.jpg")
    images = ["a/1.png", "2.jpg"]
    found = files.masks_for("mask.png", images, ["a", "2.jpg"])
    assert found == {"a/1.png": "mask.png", "2.jpg": "mask.png"}


def test_a_folder_holds_one_per_stem(tree: Callable[..., None]) -> None:
    tree("in/1.jpg", "in/2.png", "in/2.jpg", "masks/1.png", "masks/2.bmp", "masks/3.png")
    images = ["in/2.jpg", "in/1.jpg", "in/2.png"]
    wanted = dict(zip(images, ["masks/2.bmp", "masks/1.png", "masks/2.bmp"], strict=True))
    for given in (["in"], images, ["in/", *images], [str(Path("in").absolute())]):
        found = files.masks_for("masks", images, given)
        assert found == wanted
        assert list(found) == images


@pytest.mark.parametrize(
    "given", [["in"], ["in/a", "in/b", "in/1.jpg"], ["in/a", "in/b/../b", "in"]]
)
def test_a_mask_folder_mirrors_the_inputs(given: list[str], tree: Callable[..., None]) -> None:
    stems = ["1", "a/1", "b/1", "b/c/1"]
    images = [f"in/{stem}.jpg" for stem in stems]
    tree(*images, *(f"masks/{stem}.png" for stem in stems))
    found = files.masks_for("masks", images, given)
    assert found == {f"in/{stem}.jpg": f"masks/{stem}.png" for stem in stems}


def test_an_only_sub_folder_is_mirrored_too(tree: Callable[..., None]) -> None:
    tree("in/a/1.jpg", "masks/a/1.png", "masks/1.png")
    assert files.masks_for("masks", ["in/a/1.jpg"], ["in"])["in/a/1.jpg"] == "masks/a/1.png"
    assert files.masks_for("masks", ["in/a/1.jpg"], ["in/a"])["in/a/1.jpg"] == "masks/1.png"


def test_a_flat_mask_folder_serves_names_that_are_unique(tree: Callable[..., None]) -> None:
    tree("in/a/1.jpg", "in/b/2.jpg", "masks/1.png", "masks/2.png")
    images = ["in/a/1.jpg", "in/b/2.jpg"]
    found = files.masks_for("masks", images, ["in"])
    assert found == {"in/a/1.jpg": "masks/1.png", "in/b/2.jpg": "masks/2.png"}
    # With two of that name it would be the mask of both.
    tree("in/b/1.jpg")
    with pytest.raises(UserError, match=r"no mask for in/a/1\.jpg and 1 more images; .* a/1\.png"):
        files.masks_for("masks", [*images, "in/b/1.jpg"], ["in"])


def test_images_without_a_mask_are_counted(tree: Callable[..., None]) -> None:
    tree(*(f"in/{i}.jpg" for i in range(5)), "masks/1.png")
    images = [f"in/{i}.jpg" for i in range(5)]
    with pytest.raises(UserError) as caught:
        files.masks_for("masks", images, ["in"])
    wanted = "--mask masks: no mask for in/0.jpg and 3 more images; it should be 0.png"
    assert str(caught.value).startswith(wanted)
    with pytest.raises(UserError, match=r"no mask for in/0\.jpg; it should"):
        files.masks_for("masks", images[:2], ["in"])


def test_other_errors_of_mask_folders(tree: Callable[..., None]) -> None:
    tree("1.jpg", "masks/1.png", "masks/1.bmp")
    with pytest.raises(UserError, match=r"two masks for 1\.jpg: masks/1\.bmp and masks/1\.png"):
        files.masks_for("masks", ["1.jpg"], ["1.jpg"])
    with pytest.raises(UserError, match="--mask nowhere: no such file or folder"):
        files.masks_for("nowhere", ["1.jpg"], ["1.jpg"])
