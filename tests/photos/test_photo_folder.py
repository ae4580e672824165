"""The output folder of repaired photos: results, report, resuming, what may be replaced."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import contents, load_picture

from dcgan_completion.faces.detection import GIVEN, FoundFace
from dcgan_completion.masks.mask import Mask
from dcgan_completion.photos.files import Photo, read_photo
from dcgan_completion.photos.output_folder import PhotoFolder
from dcgan_completion.photos.task import Task
from dcgan_completion.utils import UserError

HEIGHT, WIDTH = 24, 32
UNFINISHED = {"options": {"seed": 1}, "photos": {"finished": False}}
POINTS = np.array([[1.5, 2], [3, 4], [5, 6.25]])
MATRIX = np.array([[64 / 412, 0, 2], [0, 64 / 412, -4]])
FACES = (
    FoundFace((1.2, 1.9, 30.6, 42.1), POINTS, MATRIX, 64, 1.25, "as it is"),
    FoundFace((0, 0, 9, 9), POINTS, MATRIX, 64, None, GIVEN),
)


def task_of(photo: Photo, path: str = "in/a.png") -> Task:
    """A task of two faces with a hole of 100 pixels, a quarter of them filled by diffusion."""
    hole = np.zeros(photo.pixels.shape[:2], bool)
    hole[2:12, 5:15] = True
    crop = slice(2, 12), slice(5, 25)
    diffused = hole[crop] & (np.arange(10) % 4 == 0)[:, np.newaxis]
    diffused[8, :5] = False
    squares = np.zeros([2, 64, 64, 3], np.uint8)
    square_mask = Mask(np.zeros([2, 64, 64, 1], bool))
    mask, owner = Mask.of_plane(hole), np.zeros([10, 20], np.int16)
    numbers = (1, 2)
    return Task(path, photo, mask, numbers, FACES, squares, square_mask, crop, owner, diffused, 1.5)


@pytest.fixture
def out(tmp_path: Path) -> PhotoFolder:
    folder = PhotoFolder(str(tmp_path / "out"))
    folder.start(UNFINISHED)
    return folder


def noise(random: np.random.Generator, dtype: type = np.uint8, channels: int = 3) -> np.ndarray:
    return random.integers(0, np.iinfo(dtype).max + 1, [HEIGHT, WIDTH, channels], dtype)


def finish(
    out: PhotoFolder, path: str, random: np.random.Generator, output_format: str = "png"
) -> tuple[Photo, Photo]:
    """One photo of two faces; returns it before and after."""
    before = Photo(noise(random), notes=("its palette became RGB", "another"))
    after = before.with_pixels(noise(random))
    name = os.path.splitext(os.path.basename(path))[0]
    out.finish_photo(task_of(before, path), name, after, output_format)
    return before, after


def report(out: PhotoFolder) -> list[dict[str, str]]:
    with open(Path(out.path) / "report.csv", newline="") as file:
        return list(csv.DictReader(file))


# --- a photo ---


def test_a_photo_leaves_its_result_a_comparison_and_a_row_for_each_face(
    out: PhotoFolder, random: np.random.Generator
) -> None:
    before, after = finish(out, "in/a.jpg", random)
    folder = Path(out.path)
    np.testing.assert_array_equal(load_picture(folder / "final" / "a.png"), after.pixels)
    pair = np.concatenate([before.pixels, after.pixels], axis=1)
    np.testing.assert_array_equal(load_picture(folder / "before-after" / "a.png"), pair)
    first, second = report(out)
    assert list(first) == list(PhotoFolder.COLUMNS)
    assert first == {
        "photo": "in/a.jpg",
        "output": "a.png",
        "face": "1",
        "found": "as it is",
        "score": "1.25",
        "box": "1 2 30 40",
        "landmarks": "1.5,2 3,4 5,6.25",
        "matrix": first["matrix"],
        "detail": "face 412 pixels wide, completed at 64",
        "missing": "100",
        "generated": "0.7500",
        "inpainted": "0.2500",
        "seconds": "1.50",
        "notes": "its palette became RGB; another",
    }
    matrix = np.array(first["matrix"].split(), float).reshape(2, 3)
    np.testing.assert_allclose(matrix, MATRIX, rtol=1e-8)
    assert [second[name] for name in ("face", "found", "score", "box")] == ["2", GIVEN, "", ""]
    assert out.done == {"in/a.jpg"}
    assert not [name for name in contents(folder) if name.endswith(".partial")]


def test_the_same_kind_of_file_is_written_on_request(
    out: PhotoFolder, random: np.random.Generator
) -> None:
    photo = Photo(noise(random), kind="WEBP", icc=None)
    out.finish_photo(task_of(photo, "in/a.webp"), "a", photo, "same")
    assert report(out)[0]["output"] == "a.webp"
    again = read_photo(str(Path(out.path) / "final" / "a.webp"))
    assert again.kind == "WEBP"
    np.testing.assert_array_equal(again.pixels, photo.pixels)


def test_comparisons_are_small_and_show_transparent_pixels_white(
    out: PhotoFolder, random: np.random.Generator
) -> None:
    pixels = np.zeros([1000, 2000, 1], np.uint16)
    before = Photo(pixels, np.zeros([1000, 2000], np.uint16))
    after = before.filled(pixels.astype(float), np.ones([1000, 2000], bool))
    out.finish_photo(task_of(before), "a", after, "png")
    pair = load_picture(Path(out.path) / "before-after" / "a.png")
    assert pair.shape == (800, 3200, 3)
    assert (pair[:, :1600] == 255).all()
    assert (pair[:, 1600:] == 0).all()


def test_versions_have_files_and_a_sheet_of_what_matters(
    out: PhotoFolder, random: np.random.Generator
) -> None:
    before, *versions = (Photo(noise(random)) for _ in range(4))
    task = task_of(before)
    out.write_samples(task, "a", versions, "png")
    folder = Path(out.path) / "samples"
    assert sorted(os.listdir(folder / "a")) == ["1.png", "2.png", "3.png"]
    for rank, photo in enumerate(versions, 1):
        np.testing.assert_array_equal(load_picture(folder / "a" / f"{rank}.png"), photo.pixels)
    sheet = np.concatenate([photo.pixels[task.crop] for photo in (before, *versions)], axis=1)
    np.testing.assert_array_equal(load_picture(folder / "a.png"), sheet)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_patch_over_the_photo_is_the_result(
    dtype: type, channels: int, out: PhotoFolder, random: np.random.Generator
) -> None:
    before = Photo(noise(random, dtype, channels), icc=b"a profile" * 20)
    hole = random.random([HEIGHT, WIDTH]) < 0.3
    after = before.filled(noise(random, dtype, channels).astype(float), hole)
    out.write_patch("a", after, hole)
    layer = read_photo(str(Path(out.path) / "patch" / "a.png"))
    assert layer.pixels.shape == (HEIGHT, WIDTH, 3)
    assert layer.pixels.dtype == dtype
    assert set(np.unique(layer.alpha)) == {0, layer.peak}
    assert (layer.pixels[layer.alpha == 0] == 0).all()
    shown = np.where(layer.alpha[..., np.newaxis] > 0, layer.pixels, before.pixels)
    np.testing.assert_array_equal(shown, np.broadcast_to(after.pixels, shown.shape))
    assert layer.icc == (before.icc if channels == 3 else None)


def test_the_contact_sheet_has_the_photos_that_are_done(
    out: PhotoFolder, random: np.random.Generator
) -> None:
    names = {"in/a.png": "a", "in/b.png": "b", "in/c.png": "c"}
    out.write_contact_sheet(names)
    assert not (Path(out.path) / "contact.png").exists()
    pairs = {}
    for path in ("in/c.png", "in/a.png"):
        pairs[path] = np.concatenate([p.pixels for p in finish(out, path, random)], axis=1)
    out.write_contact_sheet(names)
    sheet = np.concatenate([pairs["in/a.png"], pairs["in/c.png"]], axis=1)
    np.testing.assert_array_equal(load_picture(Path(out.path) / "contact.png"), sheet)


def test_the_contact_sheet_holds_photos_of_all_shapes(out: PhotoFolder) -> None:
    for name, shape in (("wide", (40, 3000, 3)), ("high", (3000, 40, 3))):
        black = Photo(np.zeros(shape, np.uint8))
        out.finish_photo(task_of(black, name), name, black, "png")
    out.write_contact_sheet({"wide": "wide", "high": "high"})
    height, width, _ = load_picture(Path(out.path) / "contact.png").shape
    assert height <= 320
    assert width <= 2 * 640


# --- start and resume ---


def test_a_run_goes_on_after_the_last_photo(out: PhotoFolder, random: np.random.Generator) -> None:
    finish(out, "in/a.png", random)
    again = PhotoFolder(out.path)
    assert again.unfinished_options() == {"seed": 1}
    again.resume(UNFINISHED)
    assert again.done == {"in/a.png"}
    rows = report(out)
    finish(again, "in/b.png", random)
    assert report(out)[:2] == rows
    assert again.done == {"in/a.png", "in/b.png"}
    assert len(report(out)) == 4
    path = Path(out.path) / "report.csv"
    path.write_text(path.read_text().replace("0.7500", "x"))
    with pytest.raises(UserError, match=r"--out-dir .*: holds a damaged report\.csv"):
        PhotoFolder(out.path).resume(UNFINISHED)


def test_only_what_the_command_wrote_is_cleared(
    out: PhotoFolder, random: np.random.Generator
) -> None:
    before, after = finish(out, "in/a.png", random)
    out.write_patch("a", after, np.ones([HEIGHT, WIDTH], bool))
    out.write_samples(task_of(before), "a", [after], "png")
    out.write_contact_sheet({"in/a.png": "a"})
    folder = Path(out.path)
    (folder / "mine.txt").write_text("precious")
    assert len(out.existing()) == 6
    out.check_inputs([str(folder / "mine.txt")])
    for name in ("final/a.png", "before-after/a.png"):
        with pytest.raises(UserError, match=r"lies in --out-dir .*, which is cleared"):
            out.check_inputs([str(folder / name)])
    again = PhotoFolder(out.path)
    again.start(UNFINISHED)
    assert set(contents(folder)) == {"mine.txt", "final", "config.json"}
    assert again.done == set()


def test_finished_runs_and_folders_of_others_are_kept(tmp_path: Path) -> None:
    out = PhotoFolder(str(tmp_path / "out"))
    out.start(UNFINISHED | {"photos": {"finished": True}})
    with pytest.raises(UserError, match=r"holds a finished completion of photos; .*--overwrite"):
        out.unfinished_options()
    assert out.unfinished_options(overwrite=True) is None
    out.start({"options": {}, "completion": {"finished": False}})  # of complete.py
    for overwrite in (False, True):
        with pytest.raises(UserError, match="of another command"):
            out.unfinished_options(overwrite)
