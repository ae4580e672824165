"""Batches of image folders: which files, in which order, converted how."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from helpers import save_picture
from PIL import Image

from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.utils import UserError

SIZE = 16


def write_numbers(folder: Path, numbers: range) -> Path:
    """Gray images whose brightness is their number; the file names tell it as well."""
    for number in numbers:
        save_picture(folder / f"{number:03d}.png", np.full([SIZE, SIZE, 3], number, np.uint8))
    return folder


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    return write_numbers(tmp_path / "numbered", range(10))


def images_of(*folders: Path, **options: object) -> ImageFolders:
    options = {"image_size": SIZE, "batch_size": 3} | options
    return ImageFolders([str(folder) for folder in folders], **options)


def numbers_in(batch: np.ndarray) -> list[int]:
    assert batch.dtype == np.uint8
    assert (batch == batch[:, :1, :1, :1]).all()
    return batch[:, 0, 0, 0].tolist()


# --- order ---


def test_a_batch_is_a_function_of_seed_and_step(numbered: Path) -> None:
    whole = [numbers_in(batch) for batch in images_of(numbered).batches(0, 12)]
    assert len(whole) == 12
    again = [numbers_in(batch) for batch in images_of(numbered).batches(5, 12)]
    assert again == whole[5:]
    dataset = images_of(numbered)
    assert [numbers_in(dataset.batch(step)) for step in (11, 0, 7)] == [
        whole[step] for step in (11, 0, 7)
    ]
    other = [numbers_in(batch) for batch in images_of(numbered, seed=1).batches(0, 12)]
    assert other != whole
    assert list(images_of(numbered).batches(4, 4)) == []


def test_an_epoch_visits_each_file_once_and_drops_the_rest(numbered: Path) -> None:
    dataset = images_of(numbered)
    assert dataset.steps_per_epoch == 3
    batches = [numbers_in(batch) for batch in dataset.batches(0, 24)]
    epochs = [list(chain(*batches[i : i + 3])) for i in range(0, 24, 3)]
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == 9
        assert set(epoch) <= set(range(10))
    assert len({tuple(epoch) for epoch in epochs}) == 8
    # The one left out is not always the same.
    assert {number for epoch in epochs for number in epoch} == set(range(10))


def test_the_first_image_of_the_epochs_is_any_of_all(numbered: Path) -> None:
    dataset = images_of(numbered)
    firsts = Counter(int(dataset.order(epoch)[0]) for epoch in range(1000))
    # 100 each, within five standard deviations
    assert set(firsts) == set(range(10))
    assert all(abs(number - 100) < 5 * np.sqrt(90) for number in firsts.values())


# --- which files ---


def names(dataset: ImageFolders) -> list[str]:
    return sorted(os.path.basename(path) for path in dataset.files)


def test_trees_several_folders_and_links_are_searched(tmp_path: Path) -> None:
    picture = np.zeros([SIZE, SIZE, 3], np.uint8)
    first, second, linked = tmp_path / "first", tmp_path / "second", tmp_path / "linked"
    for path in ("1.png", "deep/er/2.jpg", "deep/3.JPEG", "4.webp", "5.bmp"):
        save_picture(first / path, picture)
    save_picture(second / "6.png", picture)
    save_picture(linked / "7.png", picture)
    (first / "link").symlink_to(linked)
    (first / "around").symlink_to(first)  # searched once, not for ever
    (second / "8.png").symlink_to(linked / "7.png")
    (first / "notes.txt").write_text("no image")
    save_picture(first / "animation.gif", picture)
    expected = ["1.png", "2.jpg", "3.JPEG", "4.webp", "5.bmp", "6.png", "7.png", "8.png"]
    dataset = images_of(first, second)
    assert names(dataset) == expected
    assert dataset.batch(0).shape == (3, SIZE, SIZE, 3)


def test_train_size_draws_by_the_seed(numbered: Path) -> None:
    chosen = images_of(numbered, train_size=6)
    assert len(set(chosen.files)) == 6
    assert chosen.steps_per_epoch == 2
    assert chosen.files == images_of(numbered, train_size=6).files
    assert any(chosen.files != images_of(numbered, train_size=6, seed=s).files for s in (1, 2, 3))
    # Not the first ones: a folder sorted by person would lack the last persons.
    assert names(chosen) != [f"{i:03d}.png" for i in range(6)]
    assert len(images_of(numbered, train_size=100).files) == 10
    seen = Counter(chain(*(numbers_in(batch) for batch in chosen.batches(0, 10))))
    assert seen == {int(Path(path).stem): 5 for path in chosen.files}


# --- unreadable files ---


def test_the_next_readable_one_takes_an_unreadable_ones_place(
    numbered: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [numbered / f"{number:03d}.png" for number in (2, 3, 7)]
    paths[0].write_text("no image")
    paths[1].write_bytes(paths[1].read_bytes()[:60])  # cut short
    paths[2].write_bytes(b"")
    dataset = images_of(numbered)
    batches = [numbers_in(batch) for batch in dataset.batches(0, 18)]

    for step, batch in enumerate(batches):
        order = [int(Path(dataset.files[i]).stem) for i in dataset.order(step // 3)]
        expected = []
        for place in range(step % 3 * 3, step % 3 * 3 + 3):
            following = (order[place:] + order[:place])[:4]
            expected.append(next(n for n in following if n not in (2, 3, 7)))
        assert batch == expected
    assert len(caplog.messages) == 3
    for path in paths:
        assert sum(m.startswith(f"skipped: {path}: ") for m in caplog.messages) == 1
    # The same, whatever was found out before.
    assert numbers_in(images_of(numbered).batch(17)) == batches[17]
    # Some batch above had to reach beyond the end of its epoch's order.
    ends = [int(Path(dataset.files[dataset.order(epoch)[-1]]).stem) for epoch in range(100)]
    epoch = next(e for e, number in enumerate(ends) if number in (2, 3, 7))
    whole = images_of(numbered, batch_size=1)
    first = next(i for i in whole.order(epoch) if i not in (2, 3, 7))
    assert numbers_in(whole.batch(10 * epoch + 9)) == [first]


def test_too_few_readable_images_are_refused_each_time(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.png").write_text("no image")
    dataset = images_of(tmp_path, batch_size=2)
    for _ in range(4):
        with pytest.raises(UserError, match="fewer than a batch of 2"):
            dataset.batch(0)


# --- conversions ---


def only(path: Path, channels: int = 3) -> np.ndarray:
    """The one image of a folder, as the networks get it."""
    dataset = images_of(path.parent, batch_size=1, channels=channels)
    assert dataset.files == [str(path)]
    image = dataset.batch(0)[0]
    assert image.dtype == np.uint8
    assert image.shape == (SIZE, SIZE, channels)
    return image


def noise(random: np.random.Generator, height: int, width: int, channels: int = 3) -> np.ndarray:
    return random.integers(0, 256, [height, width, channels], np.uint8)


def test_an_image_of_the_right_size_stays_as_it_is(
    tmp_path: Path, random: np.random.Generator
) -> None:
    picture = noise(random, SIZE, SIZE)
    np.testing.assert_array_equal(only(save_picture(tmp_path / "a.png", picture)), picture)


def test_the_central_square_is_cropped(tmp_path: Path, random: np.random.Generator) -> None:
    wide, high = noise(random, SIZE, 32), noise(random, 26, SIZE)
    path = save_picture(tmp_path / "wide" / "a.png", wide)
    np.testing.assert_array_equal(only(path), wide[:, 8:24])
    path = save_picture(tmp_path / "high" / "a.png", high)
    np.testing.assert_array_equal(only(path), high[5:21])


def test_large_images_shrink_without_aliasing(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:64, :64]
    board = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)
    shrunk = only(save_picture(tmp_path / "board" / "a.png", np.dstack(3 * [board])))
    assert np.abs(shrunk[2:-2, 2:-2].astype(int) - 127).max() <= 6
    # A ramp stays one: nothing is shifted.
    ramp = only(
        save_picture(tmp_path / "ramp" / "a.png", np.dstack(3 * [(columns * 4).astype(np.uint8)]))
    )
    expected = 4 * (4 * np.arange(SIZE) + 1.5)
    assert np.abs(ramp[8, 2:-2, 0] - expected[2:-2]).max() <= 1


def test_small_images_grow(tmp_path: Path) -> None:
    picture = np.zeros([4, 6, 3], np.uint8)
    picture[:, 3:] = 200
    image = only(save_picture(tmp_path / "a.png", picture))
    assert (image[:, :5] <= 30).all()  # Lanczos rings by a tenth
    assert (np.abs(image[:, 11:].astype(int) - 200) <= 30).all()


def test_gray_becomes_three_equal_channels(tmp_path: Path, random: np.random.Generator) -> None:
    gray = noise(random, SIZE, SIZE, 1)[..., 0]
    np.testing.assert_array_equal(
        only(save_picture(tmp_path / "a.png", gray)), np.repeat(gray[..., np.newaxis], 3, 2)
    )


def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, SIZE * SIZE).reshape(SIZE, SIZE)
    image = only(save_picture(tmp_path / "a.png", values.astype(np.uint16)))
    expected = values[..., np.newaxis] / 65535 * 255
    assert np.abs(image - expected).max() <= 1


def test_palette_becomes_its_colours(tmp_path: Path, random: np.random.Generator) -> None:
    palette = noise(random, 1, 8)[0]
    indices = random.integers(0, 8, [SIZE, SIZE], np.uint8)
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette(palette.tobytes())
    picture.putdata(indices.ravel().tolist())
    np.testing.assert_array_equal(
        only(save_picture(tmp_path / "p" / "a.png", picture)), palette[indices]
    )
    path = save_picture(tmp_path / "transparent" / "a.png", picture, transparency=3)
    palette[3] = 255
    np.testing.assert_array_equal(only(path), palette[indices])


def test_transparent_pixels_show_white(tmp_path: Path, random: np.random.Generator) -> None:
    colours = noise(random, SIZE, SIZE, 4)
    colours[0, :, 3], colours[1, :, 3] = 0, 255
    weight = colours[..., 3:] / 255
    expected = weight * colours[..., :3] + (1 - weight) * 255
    image = only(save_picture(tmp_path / "rgba" / "a.png", colours))
    assert np.abs(image - expected).max() <= 1
    assert (image[0] == 255).all()
    np.testing.assert_array_equal(image[1], colours[1, :, :3])

    with_alpha = Image.fromarray(colours[..., [0, 3]], "LA")
    image = only(save_picture(tmp_path / "la" / "a.png", with_alpha))
    assert np.abs(image - expected[..., :1]).max() <= 1


# Cyan, magenta, yellow and black ink, and what is seen of each.
INKS = {
    (0, 0, 0, 0): (255, 255, 255),
    (255, 0, 0, 0): (0, 255, 255),
    (0, 255, 0, 0): (255, 0, 255),
    (0, 0, 255, 0): (255, 255, 0),
    (0, 0, 0, 255): (0, 0, 0),
    (0, 0, 0, 128): (127, 127, 127),
}


@pytest.mark.parametrize("ink", INKS)
def test_cmyk_becomes_what_is_seen(ink: tuple[int, ...], tmp_path: Path) -> None:
    picture = Image.new("CMYK", (SIZE, SIZE), ink)
    image = only(save_picture(tmp_path / "a.jpg", picture, quality=95))
    assert np.abs(image.astype(int) - INKS[ink]).max() <= 4


# How the stored picture must be turned to be upright, by EXIF's Orientation (tag 274).
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_rotated_images_are_turned_upright(
    orientation: int, tmp_path: Path, random: np.random.Generator
) -> None:
    stored = noise(random, SIZE, 20)
    exif = Image.Exif()
    exif[274] = orientation
    upright = TURNS[orientation](stored)
    height, width = upright.shape[:2]
    top, left = (height - SIZE) // 2, (width - SIZE) // 2
    image = only(save_picture(tmp_path / "a.png", stored, exif=exif))
    np.testing.assert_array_equal(image, upright[top : top + SIZE, left : left + SIZE])


def test_one_channel_is_the_luma(tmp_path: Path, random: np.random.Generator) -> None:
    picture = noise(random, SIZE, SIZE)
    image = only(save_picture(tmp_path / "a.png", picture), channels=1)
    luma = picture @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert np.abs(image[..., 0] - luma).max() <= 1


def test_one_channel_also_of_other_sizes(tmp_path: Path) -> None:
    image = only(save_picture(tmp_path / "a.png", np.full([50, 70, 3], 99, np.uint8)), channels=1)
    assert (image == 99).all()


# --- holding out, remembering, recognising ---


def test_held_out_files_are_left_out(faces16: Path) -> None:
    names = [path.name for path in sorted(faces16.iterdir())[:5]]
    data = ImageFolders([str(faces16)], image_size=16, batch_size=4, holdout=names)
    assert len(data.files) == 35
    assert not set(names) & {Path(file).name for file in data.files}
    with pytest.raises(UserError, match=r"nobody\.png"):
        ImageFolders([str(faces16)], image_size=16, batch_size=4, holdout=["nobody.png"])


def test_batches_are_the_same_from_memory_and_from_disk(faces16: Path) -> None:
    kept = ImageFolders([str(faces16)], image_size=16, batch_size=8)
    streamed = ImageFolders([str(faces16)], image_size=16, batch_size=8, cache_bytes=0)
    for one, other in zip(kept.batches(0, 15), streamed.batches(0, 15), strict=True):
        np.testing.assert_array_equal(one, other)


def test_images_in_memory_need_no_files(faces16: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    shutil.copytree(faces16, folder)
    data = ImageFolders([str(folder)], image_size=16, batch_size=8)
    first = list(data.batches(0, 5))
    shutil.rmtree(folder)
    again = list(data.batches(5, 10))
    assert sorted(x.tobytes() for b in first for x in b) == sorted(
        x.tobytes() for b in again for x in b
    )


def test_a_share_of_a_batch_is_that_part_of_it(faces16: Path) -> None:
    data = ImageFolders([str(faces16)], image_size=16, batch_size=8)
    whole, part = data.batch(7), data.batch(7, slice(4, 8))
    np.testing.assert_array_equal(part, whole[4:])


def test_identity_is_of_names_and_sizes_not_of_the_place(faces16: Path, tmp_path: Path) -> None:
    def identity(folder: Path, **options: object) -> str:
        return ImageFolders([str(folder)], image_size=16, batch_size=4, **options).identity

    moved = tmp_path / "moved"
    shutil.copytree(faces16, moved)
    assert identity(moved) == identity(faces16)
    (moved / "face-0-00001.png").write_bytes(b"longer or shorter")
    assert identity(moved) != identity(faces16)
    assert identity(faces16, holdout=["face-0-00002.png"]) != identity(faces16)
