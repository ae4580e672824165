"""Pictures on disk, names, checks, exit statuses. (Conversions of files: test_dataset.py.)"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.utils import UserError

# --- lists ---


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def listed(folder: Path, **options: object) -> list[str]:
    return [os.path.relpath(path, folder) for path in utils.list_images(folder, **options)]


def test_images_below_a_folder_are_listed_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.jpg", "b/deep/er/3.jpeg", "a.webp", "10.bmp", "9.png", "b.png")
    touch(tmp_path, "notes.txt", "b/png", "c.png.txt", "d.gif")
    wanted = ["10.bmp", "9.png", "a.webp", "b/2.jpg", "b/deep/er/3.jpeg", "b.png"]
    assert sorted(listed(tmp_path)) == sorted(wanted)
    assert listed(tmp_path) == listed(tmp_path / ".")
    paths = utils.list_images(tmp_path)
    assert paths == sorted(paths)


def test_suffixes_count_in_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "1.PNG", "2.Jpg", "3.JPEG", "4.WebP", "5.bMP")
    assert listed(tmp_path) == ["1.PNG", "2.Jpg", "3.JPEG", "4.WebP", "5.bMP"]


def test_hidden_and_skipped_ones_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, ".a.png", ".git/1.png", "a/.b/2.png", "a/3.png", "out/4.png", "out/5/6.png")
    assert listed(tmp_path, skip=[str(tmp_path / "out")]) == ["a/3.png"]
    (tmp_path / "link").symlink_to(tmp_path / "out")
    assert listed(tmp_path, skip=[str(tmp_path / "link")]) == ["a/3.png"]


def test_links_are_followed_each_folder_once(tmp_path: Path) -> None:
    touch(tmp_path, "photos/a/1.png", "elsewhere/2.png")
    photos = tmp_path / "photos"
    (photos / "a" / "loop").symlink_to(photos)
    (photos / "self").symlink_to(photos / "self")
    (photos / "b").symlink_to(tmp_path / "elsewhere")
    (photos / "c").symlink_to(tmp_path / "elsewhere")
    (photos / "3.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    found = listed(photos)
    assert sorted(os.path.basename(path) for path in found) == ["1.png", "2.png", "3.png"]


def test_an_empty_or_missing_folder_has_none(tmp_path: Path) -> None:
    assert utils.list_images(tmp_path) == []
    assert utils.list_images(tmp_path / "missing") == []


# --- names ---


def test_names_are_the_first_candidates_that_nobody_else_needs() -> None:
    candidates = {
        "one": ["a", "one-a"],
        "two": ["b", "two-b"],
        "three": ["B", "three-b"],
        "four": ["c", "four-c"],
    }
    names = utils.unique_names(candidates, taken=["C", "z"])
    assert names == {"one": "a", "two": "two-b", "three": "three-b", "four": "four-c"}
    assert list(names) == list(candidates)


def test_names_go_on_to_later_candidates_if_they_must() -> None:
    candidates = {
        "one": ["x", "y", "one"],
        "two": ["x", "y", "two"],
        "three": ["y", "three"],
    }
    assert utils.unique_names(candidates, taken=()) == {
        "one": "one",
        "two": "two",
        "three": "three",
    }


def test_path_digits_tell_paths_apart() -> None:
    paths = [f"a/{i}.png" for i in range(1000)] + ["\udcff.png"]
    digits = [utils.path_digits(path) for path in paths]
    assert all(len(d) == 8 and int(d, 16) >= 0 for d in digits)
    assert len(set(digits)) == len(paths)
    # Names on disk outlive a process: not Python's hash.
    assert utils.path_digits("abc") == "ba7816bf"  # FIPS 180-2, SHA-256 of "abc"


# --- values ---


def test_signed_values_go_from_minus_one_to_one() -> None:
    levels = np.arange(256, dtype=np.uint8)
    signed = utils.to_signed(levels)
    assert signed.dtype == np.float32
    np.testing.assert_allclose(signed, np.linspace(-1, 1, 256), atol=1e-7)


def test_every_level_survives_the_way_there_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8, 1)
    back = utils.to_uint8(utils.to_signed(levels))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, levels)


def test_values_between_levels_are_rounded_and_those_beyond_are_cut() -> None:
    for level in range(255):
        for share, wanted in ((0.4, level), (0.6, level + 1)):
            assert utils.to_uint8(np.array((level + share) / 127.5 - 1)) == wanted
    assert utils.to_uint8(np.array([-1.5, -1, 1, 7])).tolist() == [0, 0, 255, 255]


# --- pictures ---


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("number", "columns", "shape"),
    [(1, None, (1, 1)), (4, None, (2, 2)), (5, None, (2, 3)), (64, None, (8, 8)), (7, 2, (4, 2))],
)
def test_a_grid_is_filled_row_by_row(
    number: int,
    columns: int | None,
    shape: tuple[int, int],
    channels: int,
    random: np.random.Generator,
) -> None:
    images = random.integers(0, 255, [number, 3, 5, channels], np.uint8)
    grid = utils.image_grid(images, columns)
    assert grid.shape == (shape[0] * 3, shape[1] * 5, channels)
    assert grid.dtype == np.uint8
    for i in range(shape[0] * shape[1]):
        row, column = divmod(i, shape[1])
        cell = grid[3 * row : 3 * row + 3, 5 * column : 5 * column + 5]
        np.testing.assert_array_equal(cell, images[i] if i < number else 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_saved_images_are_pngs_and_load_again(
    channels: int, tmp_path: Path, random: np.random.Generator
) -> None:
    image = random.integers(0, 256, [6, 4, channels], np.uint8)
    utils.save_image(tmp_path / "a", image)  # the name decides nothing
    with Image.open(tmp_path / "a") as picture:
        assert picture.format == "PNG"
        assert picture.size == (4, 6)
        np.testing.assert_array_equal(np.asarray(picture).reshape(image.shape), image)
    np.testing.assert_array_equal(utils.load_image(tmp_path / "a", channels), image)


def test_a_gif_shows_its_frames_in_order_without_end(tmp_path: Path) -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)]
    frames = []
    for i, colour in enumerate(colours):
        frames.append(tmp_path / f"{i}.png")
        utils.save_image(frames[-1], np.full([8, 12, 3], colour, np.uint8))
    utils.save_gif(tmp_path / "a.gif", frames)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.format == "GIF"
        assert gif.size == (12, 8)
        assert gif.n_frames == 4
        assert gif.info["loop"] == 0
        for i, colour in enumerate(colours):
            gif.seek(i)
            assert gif.info["duration"] == 100  # milliseconds
            shown = np.asarray(gif.convert("RGB")).reshape(-1, 3)
            assert np.abs(shown - np.array(colour, int)).max() <= 8


def test_a_gif_of_one_frame_and_of_gray_ones(tmp_path: Path) -> None:
    utils.save_image(tmp_path / "a.png", np.full([8, 8, 1], 77, np.uint8))
    utils.save_gif(tmp_path / "a.gif", [tmp_path / "a.png"])
    with Image.open(tmp_path / "a.gif") as gif:
        assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - 77).max() <= 8


def test_files_that_are_no_images_are_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an\nimage")
    (tmp_path / "empty.png").touch()
    utils.save_image(tmp_path / "whole.png", np.zeros([64, 64, 3], np.uint8))
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("text.png", "empty.png", "cut.png", "."):
        with pytest.raises(UserError, match="cannot be read as an image") as caught:
            utils.load_image(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"missing\.png: no such file"):
        utils.load_image(tmp_path / "missing.png")


# --- atomic writes ---


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for old in (False, True):
        if old:
            path.write_text("old")

        def fail() -> None:
            with utils.replacing(path) as temporary:
                Path(temporary).write_text("half")
                assert Path(temporary).parent == tmp_path  # renaming is atomic on one disk
                assert not path.exists() or path.read_text() == "old"
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert [p.name for p in tmp_path.iterdir()] == (["a.txt"] if old else [])
    assert path.read_text() == "old"


def test_a_block_that_succeeds_replaces_the_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("first", "second"):
        with utils.replacing("a.txt") as temporary:
            Path(temporary).write_text(text)
        assert Path("a.txt").read_text() == text
    assert os.listdir() == ["a.txt"]


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r".+"):
        utils.save_image(tmp_path / "a.png", np.zeros([2, 2, 5], np.uint8))
    with pytest.raises(FileNotFoundError):
        utils.save_gif(tmp_path / "a.gif", [tmp_path / "missing.png"])
    assert list(tmp_path.iterdir()) == []


def test_tables_hold_what_they_are_given(tmp_path: Path) -> None:
    rows = [["a,b", 1], ['"quoted"\nline', 2.5], ["ö \udcff", ""]]
    utils.write_csv(tmp_path / "a.csv", ["name", "value"], rows)
    with open(tmp_path / "a.csv", newline="", encoding="utf-8", errors="surrogateescape") as file:
        read = list(csv.reader(file))
    assert read == [["name", "value"], *([name, str(value)] for name, value in rows)]


# --- checks ---


def test_folders_to_read_are_checked(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    utils.check_folder(str(tmp_path), "--dataset")
    with pytest.raises(UserError, match=r"^--dataset \S+/missing: no such folder$"):
        utils.check_folder(str(tmp_path / "missing"), "--dataset")
    with pytest.raises(UserError, match=r"^--dataset \S+/file: not a folder$"):
        utils.check_folder(str(tmp_path / "file"), "--dataset")


def test_folders_to_write_are_checked_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("dangling").symlink_to("nowhere")
    for path in (".", "new", "new/deep/er", str(tmp_path), str(tmp_path / "new")):
        utils.check_writable(path, "--out")
    with pytest.raises(UserError, match=r"^--out file: is a file, not a folder"):
        utils.check_writable("file", "--out")
    for path in ("file/new", "file/new/er", "dangling/new"):
        with pytest.raises(UserError, match=rf"^--out {path}: cannot be written"):
            utils.check_writable(path, "--out")
    assert sorted(os.listdir()) == ["dangling", "file"]


# --- PNGs, such as alignment writes ---


def test_pngs_of_all_options_are_the_pixels_that_were_saved(
    tmp_path: Path, random: np.random.Generator
) -> None:
    pixels = random.integers(0, 256, [17, 23, 3], np.uint8)
    path = tmp_path / "a.png"
    for options in ({}, {"compress_level": 0}, {"optimize": True}, {"dpi": (72, 72)}):
        Image.fromarray(pixels).save(path, **options)
        np.testing.assert_array_equal(utils.load_image(path), pixels)
    Image.fromarray(pixels).save(path, transparency=tuple(int(v) for v in pixels[0, 0]))
    assert (utils.load_image(path)[0, 0] == 255).all()


def test_damage_to_a_png_is_refused_or_does_no_harm(
    tmp_path: Path, random: np.random.Generator
) -> None:
    pixels = random.integers(0, 256, [8, 8, 3], np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    whole = path.read_bytes()
    refused = []
    for place in range(8, len(whole) - 12):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read = utils.load_image(path)
        except UserError as error:
            refused.append(str(error))
        else:
            np.testing.assert_array_equal(read, pixels)
    assert all(str(path) in message for message in refused)
    # But for the length of the pixels' data and their check sum, four bytes each.
    assert len(refused) >= len(whole) - 12 - 8 - 8
    for length in range(0, len(whole) - 16, 9):  # up to the last pixel data
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"a\.png"):
            utils.load_image(path)
