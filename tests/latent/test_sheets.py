"""Sheets, strips and animations."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_completion.latent import sheets
from dcgan_completion.latent.sheets import Cell


def images(number: int, size: int = 16, channels: int = 3) -> np.ndarray:
    """Images of one colour each."""
    values = np.linspace(10, 240, number).astype(np.uint8)
    return np.broadcast_to(values[:, None, None, None], (number, size, size, channels))


def areas(picture: np.ndarray, level: int) -> int:
    return int((picture == level).all(axis=2).sum())


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_shows_every_image_whole_and_captions_beside_them(channels: int) -> None:
    shown = images(5, channels=channels)
    levels = [int(image[0, 0, 0]) for image in shown]
    bare = sheets.sheet(sheets.wrapped([Cell(image) for image in shown], 2))
    assert bare.dtype == np.uint8
    assert [areas(bare, level) for level in levels] == 5 * [256]
    assert bare.shape == (3 * 16 + 4 * 4, 2 * 16 + 3 * 4, 3)
    cells = [Cell(image, f"number {i}\nof 5") for i, image in enumerate(shown)]
    captioned = sheets.sheet(sheets.wrapped(cells, 2), "A title that is long enough to be wrapped")
    assert all(areas(captioned, level) >= 256 for level in levels)
    assert areas(captioned, 0) > 30  # ink
    assert captioned.shape[0] > bare.shape[0] + 3 * 20
    assert captioned.shape[1] > bare.shape[1]


def test_rows_may_differ_in_length_and_have_words_alone() -> None:
    (image,) = images(1)
    picture = sheets.sheet([[Cell(caption="="), Cell(image, "a")], [Cell()], [Cell(image)] * 3])
    assert areas(picture, 10) >= 4 * 256
    name = os.fsdecode(b"\xe4 \xf0.png")
    assert sheets.sheet([[Cell(image, name)]]).shape[1] > 16


def test_a_strip_has_both_ends_or_none_twice() -> None:
    frames = images(9)
    levels = frames[:, 0, 0, 0]
    strip = sheets.strip(frames, 3, loop=False)
    assert strip.shape == (16, 48, 3)
    assert strip[0, ::16, 0].tolist() == levels[[0, 4, 8]].tolist()
    assert sheets.strip(frames, 3, loop=True)[0, ::16, 0].tolist() == levels[[0, 3, 6]].tolist()
    for loop in (False, True):
        assert sheets.strip(frames, 50, loop)[0, ::16, 0].tolist() == levels.tolist()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_animations_have_all_frames_and_never_end(kind: str, channels: int, tmp_path: Path) -> None:
    frames = images(7, channels=channels)
    sheets.save_animation(str(tmp_path / "a"), frames, kind, 120)
    assert os.listdir(tmp_path) == ["a"]
    with Image.open(tmp_path / "a") as picture:
        assert picture.format == kind
        assert (picture.n_frames, picture.size, picture.info["loop"]) == (7, (16, 16), 0)
        for i, frame in enumerate(frames):
            picture.seek(i)
            picture.load()
            assert picture.info["duration"] == 120
            shown = np.asarray(picture.convert("RGB")).astype(int)
            assert np.abs(shown - frame).max() <= (3 if kind == "GIF" else 0)
