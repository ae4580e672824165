"""The masks of photos: options, files, transparency, boxes, squares of faces, growth."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import pytest
from helpers import save_picture

from dcgan_completion.faces.placement import hole_in_photo
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.masks import PhotoMaskSource
from dcgan_completion.settings import options
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.photos import PhotoMaskSettings
from dcgan_completion.utils import UserError

HEIGHT, WIDTH = 20, 30
PATH = "in/a.png"


def photo(dtype: type = np.uint8, alpha: np.ndarray | None = None) -> Photo:
    return Photo(np.zeros([HEIGHT, WIDTH, 3], dtype), alpha)


def drawn() -> np.ndarray:
    """What the masks miss, bool; nothing about it is symmetric."""
    missing = np.zeros([HEIGHT, WIDTH], bool)
    missing[3:7, 4:20] = True
    missing[12, 25] = True
    return missing


def levels(missing: np.ndarray) -> np.ndarray:
    return np.where(missing, 255, 0).astype(np.uint8)


def parse(*arguments: str) -> PhotoMaskSettings:
    """The settings that a command line gives."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    options.add_options(parser, PhotoMaskSettings, PhotoMaskSettings.default_text)
    args = parser.parse_args(arguments)
    return PhotoMaskSettings.of(**options.given_options(args, PhotoMaskSettings))


def mask_of(settings: PhotoMaskSettings, of: Photo | None = None) -> Mask:
    return PhotoMaskSource.of(settings, [PATH], [PATH]).mask_of(PATH, of or photo())


def refusal(settings: PhotoMaskSettings, of: Photo | None = None) -> str:
    with pytest.raises(UserError) as caught:
        mask_of(settings, of)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def distances(targets: np.ndarray) -> np.ndarray:
    """Each pixel's distance to the nearest target, by looking at all of them."""
    rows, columns = np.indices(targets.shape)
    places = np.argwhere(targets)
    return np.min([np.hypot(rows - row, columns - column) for row, column in places], axis=0)


# --- options ---


def test_boxes_may_be_given_several_times() -> None:
    settings = parse("--box", "1,2,3,4", "--box", "5,6,7,8", "--dilate", "2")
    assert settings.box == ((1, 2, 3, 4), (5, 6, 7, 8))
    assert settings.options()["box"] == ((1, 2, 3, 4), (5, 6, 7, 8))
    assert settings.options()["invert_mask"] is None
    assert settings.in_square is None


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,0,4", "-1,2,3,4", "1,2,3,x"])
def test_a_box_is_of_four_numbers(text: str) -> None:
    with pytest.raises(argparse.ArgumentError, match=r"40,60,120,80"):
        parse(f"--box={text}")


def test_masks_of_squares_are_those_of_complete() -> None:
    settings = parse("--mask-type", "center", "--center-scale", "0.3", "--dilate", "1")
    assert settings.in_square == MaskSettings.of(mask_type="center", center_scale=0.3, dilate=1)
    with pytest.raises(ValueError, match="faces"):
        mask_of(settings)
    for kind in ("full", "lowres", "file"):
        with pytest.raises(argparse.ArgumentError):
            parse("--mask-type", kind)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "what is missing of the photo?"),
        (["--dilate", "3"], "what is missing of the photo?"),
        (["--mask", "m.png", "--mask-alpha"], "--mask and --mask-alpha both say"),
        (["--box", "1,2,3,4", "--mask-type", "left"], "--box and --mask-type both say"),
        (["--mask-alpha", "--invert-mask"], "--invert-mask belongs to --mask and contradicts"),
        (["--mask", "m", "--fraction", "0.1"], "--fraction belongs to --mask-type"),
        (["--mask-type", "left", "--fraction", "0.1"], "--fraction belongs to --mask-type random"),
        (["--mask", "m.png", "--feather"], "--feather"),
        (["--mask-type", "left", "--feather"], "--feather"),
    ],
)
def test_contradictions_are_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(*arguments)
    assert words in str(caught.value)


# --- masks ---


@pytest.mark.parametrize("invert", [False, True])
def test_a_mask_of_the_photos_size_is_the_hole(invert: bool, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "m.png", levels(drawn() != invert))
    more = {"invert_mask": True} if invert else {}
    mask = mask_of(PhotoMaskSettings.of(mask=str(path), **more))
    np.testing.assert_array_equal(mask.plane, drawn())
    assert mask.ramp is None


def test_a_folder_has_a_mask_for_each_photo(tmp_path: Path) -> None:
    other = np.roll(drawn(), 5, axis=1)
    save_picture(tmp_path / "masks" / "a.png", levels(drawn()))
    save_picture(tmp_path / "masks" / "b.bmp", levels(other))
    paths = [str(tmp_path / "in" / name) for name in ("b.jpg", "a.png")]
    settings = PhotoMaskSettings.of(mask=str(tmp_path / "masks"))
    source = PhotoMaskSource.of(settings, paths, [str(tmp_path / "in" / "b.jpg"), paths[1]])
    np.testing.assert_array_equal(source.mask_of(paths[0], photo()).plane, other)
    np.testing.assert_array_equal(source.mask_of(paths[1], photo()).plane, drawn())
    with pytest.raises(UserError, match=r"no mask for .*c\.png"):
        PhotoMaskSource.of(settings, [*paths, str(tmp_path / "in" / "c.png")], paths)


def test_masks_that_do_not_fit_are_named(tmp_path: Path) -> None:
    everything, nothing = np.ones([HEIGHT, WIDTH], bool), np.zeros([HEIGHT, WIDTH], bool)
    gradient = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
    for picture, more, words in (
        (levels(drawn().T), {}, f"is 20x30, but {PATH} is 30x20 when upright"),
        (levels(nothing), {}, f"nothing in it is white, so nothing of {PATH} is missing"),
        (levels(everything), {}, "everything is missing, so nothing is known; if white is"),
        (levels(everything), {"invert_mask": True}, "nothing in it is black"),
        (levels(nothing), {"invert_mask": True}, "nothing is known; leave out --invert-mask"),
        (gradient, {}, "looks like a photo, not a mask"),
    ):
        path = save_picture(tmp_path / "m.png", picture)
        message = refusal(PhotoMaskSettings.of(mask=str(path), **more))
        assert message.startswith(f"--mask {path}: ")
        assert words in message
    with pytest.raises(UserError, match="no such file or folder"):
        mask_of(PhotoMaskSettings.of(mask="missing.png"))


# --- transparency and boxes ---


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparent_pixels_are_missing(dtype: type) -> None:
    peak = np.iinfo(dtype).max
    alpha = np.full([HEIGHT, WIDTH], peak, dtype)
    alpha[drawn()] = 0
    alpha[0, :4] = peak // 2, peak // 2 + 1, peak - 1, 1  # below a half is missing
    wanted = drawn()
    wanted[0, [0, 3]] = True
    settings = PhotoMaskSettings.of(mask_alpha=True)
    np.testing.assert_array_equal(mask_of(settings, photo(dtype, alpha)).plane, wanted)


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (None, "has no transparency"),
        (255, "none of its pixels is"),
        (0, "all of it is transparent"),
    ],
)
def test_transparency_that_says_nothing_is_named(level: int | None, words: str) -> None:
    alpha = None if level is None else np.full([HEIGHT, WIDTH], level, np.uint8)
    message = refusal(PhotoMaskSettings.of(mask_alpha=True), photo(alpha=alpha))
    assert message.startswith(f"{PATH}: ")
    assert words in message


def test_boxes_are_missing() -> None:
    mask = mask_of(PhotoMaskSettings.of(box=[(0, 0, 2, 3), (28, 10, 2, 10)]))
    wanted = np.zeros([HEIGHT, WIDTH], bool)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            wanted[y, x] = (x < 2 and y < 3) or (x >= 28 and y >= 10)
    np.testing.assert_array_equal(mask.plane, wanted)


@pytest.mark.parametrize("box", [(29, 0, 2, 3), (0, 18, 2, 3), (40, 40, 1, 1)])
def test_a_box_outside_is_named(box: tuple[int, int, int, int]) -> None:
    message = refusal(PhotoMaskSettings.of(box=[(0, 0, 1, 1), box]))
    assert message.startswith(f"--box {','.join(map(str, box))}: reaches beyond {PATH}, which is")
    assert "30x20" in message


def test_a_box_of_everything_is_named() -> None:
    assert "nothing is known" in refusal(PhotoMaskSettings.of(box=[(0, 0, WIDTH, HEIGHT)]))
    assert "nothing is known" in refusal(PhotoMaskSettings.of(box=[(9, 9, 9, 9)], dilate=30))


# --- growth ---


def test_settings_grow_the_hole() -> None:
    mask = mask_of(PhotoMaskSettings.of(box=[(5, 5, 2, 2)], dilate=2, feather=True))
    inner = np.zeros([HEIGHT, WIDTH], bool)
    inner[5:7, 5:7] = True
    np.testing.assert_array_equal(mask.plane, distances(inner) <= 2)
    assert mask.ramp is not None


# --- squares of faces ---


@pytest.mark.parametrize("degrees", [0, 30, -45, 160])
@pytest.mark.parametrize("scale", [0.4, 1, 2.7])
@pytest.mark.parametrize("centre", [(15.13, 10.29), (1.13, 19.29), (60, 60)])
def test_a_hole_in_a_square_lies_where_the_matrix_says(
    degrees: float, scale: float, centre: tuple[float, float], random: np.random.Generator
) -> None:
    size = 8
    missing = random.random([size, size]) < 0.5
    cosine, sine = (scale * f(math.radians(degrees)) for f in (math.cos, math.sin))
    turn = np.array([[cosine, -sine], [sine, cosine * 0.8]])
    matrix = np.hstack([turn, ((size - 1) / 2 - turn @ centre)[:, np.newaxis]])
    wanted = np.zeros([HEIGHT, WIDTH], bool)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            column, row = np.floor(matrix @ [x, y, 1] + 0.5).astype(int)
            if 0 <= column < size and 0 <= row < size:
                wanted[y, x] = missing[row, column]
    found = hole_in_photo(missing, matrix, (HEIGHT, WIDTH))
    np.testing.assert_array_equal(found, wanted)
