"""The inputs of a completion: which files, under which names, with which pixels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from helpers import save_picture
from PIL import Image

from dcgan_completion import inputs
from dcgan_completion.completion import input_images
from dcgan_completion.utils import UserError


def gray_image(path: Path, width: int, height: int, gray: int = 100) -> str:
    return str(save_picture(path, Image.new("RGB", (width, height), (gray, gray, gray))))


def broken(path: Path) -> str:
    path.write_bytes(b"not a picture")
    return str(path)


# --- list_inputs ---


def test_files_stay_in_their_order_and_folders_become_their_images(tmp_path: Path) -> None:
    single = gray_image(tmp_path / "z.png", 4, 4)
    found = [
        gray_image(tmp_path / "folder" / name, 4, 4) for name in ("1.png", "2.jpg", "sub/3.png")
    ]
    (tmp_path / "folder/notes.txt").touch()
    assert inputs.list_inputs([single, str(tmp_path / "folder")]) == [single, *found]


def test_every_input_is_listed_once(tmp_path: Path) -> None:
    first, second = (gray_image(tmp_path / name, 4, 4) for name in ("1.png", "2.png"))
    assert inputs.list_inputs([second, str(tmp_path), first, second]) == [second, first]


def test_a_file_is_listed_whatever_its_suffix_and_even_if_missing(tmp_path: Path) -> None:
    assert inputs.list_inputs([str(tmp_path / "a.tiff")]) == [str(tmp_path / "a.tiff")]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=f"^{tmp_path}: holds no images .*\\.png.*\\.bmp"):
        inputs.list_inputs([str(tmp_path)])


# --- output_names ---


@pytest.mark.parametrize(
    "expected",
    [
        {"a/1.png": "1", "a/2.png": "2", "b/3.jpg": "3"},
        {"a/1.png": "a-1", "b/1.png": "b-1", "b/2.png": "2"},
        {"x/a/1.png": "x-a-1", "y/a/1.png": "y-a-1", "y/b/1.png": "b-1"},
        {"a/1.png": "1-png", "a/1.jpg": "1-jpg", "a/2.png": "2"},
        {"a/1.png": "a-1-png", "a/1.jpg": "1-jpg", "b/1.png": "b-1-png", "b/1.webp": "1-webp"},
        {"a/1.x.png": "1.x", "a/1.y.png": "1.y"},
        {"a/Face.png": "a-Face", "b/face.png": "b-face"},
    ],
    ids=["plain", "folder", "two folders", "extension", "both", "dots", "case"],
)
def test_names_are_as_short_as_they_can_be(tmp_path: Path, expected: dict[str, str]) -> None:
    paths = [str(tmp_path / path) for path in expected]
    names = inputs.output_names(paths)
    assert [names[path] for path in paths] == list(expected.values())


def test_relative_paths_are_named_like_absolute_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    assert inputs.output_names(["1.png", "../b/1.png"]) == {
        "1.png": "a-1",
        "../b/1.png": "b-1",
    }


HARD = [
    ["a/1.png", "b/1.png", "a-1.png"],
    ["a/b/1.png", "a-b/1.png"],
    ["a/b-1.png", "a-b/1.png", "a/b/1.png"],
    ["a/x.png", "a/./x.png", "x.png"],
    ["a/x.png", "a/X.png", "a/x.jpg", "a/x-png.bmp", "a/x-jpg.png"],
    ["A/1.png", "a/1.png", "a/1.PNG"],
    ["1", "1.png", "1-.png"],
]


@pytest.mark.parametrize("paths", HARD, ids=" ".join)
def test_names_are_unique_and_stand_in_one_folder(paths: list[str]) -> None:
    names = inputs.output_names(paths)
    assert list(names) == paths
    assert len({name.lower() for name in names.values()}) == len(paths)
    assert all(name and os.sep not in name for name in names.values())


def test_names_do_not_depend_on_the_order_of_the_inputs(random: np.random.Generator) -> None:
    paths = ["a/1.png", "b/1.png", "a/1.jpg", "c/2.png", "a/b/2.png"]
    names = inputs.output_names(paths)
    assert inputs.output_names(list(random.permutation(paths))) == names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/1.png", "y/2.png"], ["1", "2"]),
        (["a/1.png", "b/1.png", "b/2.png"], ["a-1", "b-1", "2"]),
        (["p/a/1.png", "q/a/1.png", "q/b/1.png"], ["p-a-1", "q-a-1", "b-1"]),
        (["a/1.jpg", "a/1.png"], ["1-jpg", "1-png"]),
        (["x.y/1.2.png"], ["1.2"]),
    ],
)
def test_names_get_the_shortest_distinguishing_prefix(paths: list[str], names: list[str]) -> None:
    assert list(inputs.output_names([f"/top/{path}" for path in paths]).values()) == names
    assert list(inputs.output_names(paths).values()) == names


@pytest.mark.parametrize(
    "paths",
    [
        ["/1.png", "/a/1.png", "/b/a/1.png"],
        ["/a/1.png", "/A/1.png", "/a-1.png", "/b/1.PNG"],
        ["/a/b-1.png", "/a-b/1.png", "/a/b/1.png", "/1.png", "/c/1.png"],
        ["1.png", "./1.png", "1.jpg"],
    ],
)
def test_names_are_told_apart_also_without_case(paths: list[str]) -> None:
    names = inputs.output_names(paths)
    assert list(names) == paths
    assert len({name.casefold() for name in names.values()}) == len(paths)
    assert not any("/" in name for name in names.values())


# --- select_usable ---


def test_images_of_the_models_size_are_usable(tmp_path: Path) -> None:
    paths = [gray_image(tmp_path / f"{i}.png", 16, 16) for i in range(3)]
    assert input_images.select_usable(paths, 16, False) == (paths, [])


def test_another_size_is_refused_with_both_remedies(tmp_path: Path) -> None:
    path = gray_image(tmp_path / "a.png", 20, 16)
    with pytest.raises(UserError) as caught:
        input_images.select_usable([path], 16, False)
    message = str(caught.value)
    assert message.startswith(f"{path}: is 20x16, the model completes 16x16; ")
    assert "./align-dlib.py" in message
    assert "--size 16" in message
    assert "--resize" in message
    assert "\n" not in message


def test_resize_makes_any_size_usable(tmp_path: Path) -> None:
    paths = [gray_image(tmp_path / "a.png", 20, 16), gray_image(tmp_path / "b.png", 8, 8)]
    assert input_images.select_usable(paths, 16, True) == (paths, [])


def test_unusable_files_are_noted_and_the_others_kept(tmp_path: Path) -> None:
    good = [gray_image(tmp_path / f"{i}.png", 16, 16) for i in range(2)]
    bad = [
        gray_image(tmp_path / "big.png", 32, 32),
        broken(tmp_path / "c.png"),
        str(tmp_path / "no.png"),
    ]
    paths = [bad[0], good[0], bad[1], bad[2], good[1]]
    usable, errors = input_images.select_usable(paths, 16, False)
    assert usable == good
    failed = list(map(str, errors))
    assert [message.split(": ")[0] for message in failed] == bad
    assert "is 32x32" in failed[0]
    assert "cannot be read as an image" in failed[1]
    assert failed[2].endswith("no such file")


@pytest.mark.parametrize("resize", [True, False])
def test_a_single_unusable_file_is_an_error_in_its_own_words(tmp_path: Path, resize: bool) -> None:
    path = broken(tmp_path / "a.png")
    with pytest.raises(UserError, match=f"^{path}: cannot be read as an image") as caught:
        input_images.select_usable([path], 16, resize)
    assert "more" not in str(caught.value)


def test_several_unusable_files_are_an_error_that_counts_them(tmp_path: Path) -> None:
    paths = [broken(tmp_path / f"{i}.png") for i in range(3)]
    with pytest.raises(UserError) as caught:
        input_images.select_usable(paths, 16, False)
    assert str(caught.value).startswith(f"{paths[0]}: cannot be read as an image")
    assert str(caught.value).endswith("(and 2 more that cannot be used)")


# --- load_batches ---


@pytest.mark.parametrize(("number", "sizes"), [(0, []), (4, [2, 2]), (5, [2, 2, 1]), (1, [1])])
def test_batches_hold_every_image_in_order(tmp_path: Path, number: int, sizes: list[int]) -> None:
    paths = [gray_image(tmp_path / f"{i}.png", 16, 16, gray=10 * i) for i in range(number)]
    batches = list(input_images.load_batches(paths, 16, 3, 2))
    assert [len(names) for names, _ in batches] == sizes
    assert [path for names, _ in batches for path in names] == paths
    grays = [image for _, images in batches for image in images]
    for i, image in enumerate(grays):
        assert (image.shape, image.dtype) == ((16, 16, 3), np.uint8)
        assert (image == 10 * i).all()


def test_files_that_fail_are_logged_and_do_not_shorten_batches(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = [gray_image(tmp_path / f"{i}.png", 16, 16) for i in range(3)]
    bad = [broken(tmp_path / "x.png"), str(tmp_path / "missing.png")]
    paths = [good[0], bad[0], good[1], bad[1], good[2]]
    batches = list(input_images.load_batches(paths, 16, 3, 2))
    assert [names for names, _ in batches] == [good[:2], good[2:]]
    assert [message.split(": ")[:2] for message in caplog.messages] == [
        ["skipped", path] for path in bad
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_are_cropped_to_the_centre_and_have_the_models_channels(
    tmp_path: Path, channels: int
) -> None:
    picture = Image.new("RGB", (60, 20), (0, 0, 0))
    picture.paste((90, 90, 90), (20, 0, 40, 20))
    picture.save(tmp_path / "a.png")
    [(_, images)] = input_images.load_batches([str(tmp_path / "a.png")], 16, channels, 8)
    assert images.shape == (1, 16, 16, channels)
    assert (images == 90).all()
