"""`PhotoInpainter`: equal to complete-photo.py bit for bit, what it takes, and what it refuses."""

from __future__ import annotations

import doctest
import functools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from helpers import Run, save_picture
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.photos import photo_inpainter
from dcgan_completion.photos.files import Photo, read_photo, write_photo
from dcgan_completion.photos.photo_inpainter import PhotoInpainter

SCRIPT = "complete-photo.py"
POINTS = [[52, 38], [68, 36], [61, 62]]  # landmarks of a face in a photo of 120x90


def collins() -> np.ndarray:
    """Eileen Collins (NASA, in the public domain)."""
    return skimage.data.astronaut()[0:260, 90:350].copy()


def hole_of(shape: tuple[int, ...] = (90, 120)) -> np.ndarray:
    hole = np.zeros(shape[:2], bool)
    rows, columns = (slice(edge * 4 // 9, edge * 5 // 8) for edge in hole.shape)
    hole[rows, columns] = True
    return hole


@pytest.fixture
def noise(random: np.random.Generator) -> np.ndarray:
    return random.integers(60, 200, [90, 120, 3], np.uint8)


@pytest.fixture(scope="module")
def tiny(guided: Path) -> Callable[..., photo_inpainter.RepairedPhoto]:
    """Repairs a photo by a tiny model; a face lies where POINTS say."""
    inpainter = PhotoInpainter.from_pretrained(str(guided), precision="float32")
    return functools.partial(inpainter, landmarks=POINTS, approach="direct")


def assert_same(photo: Photo, path: Path) -> None:
    written = read_photo(str(path))
    np.testing.assert_array_equal(photo.pixels, written.pixels)
    assert photo.pixels.dtype == written.pixels.dtype
    if photo.alpha is not None:
        np.testing.assert_array_equal(photo.alpha, written.alpha)


def test_the_shipped_model_s_estimate_is_the_command_s(tmp_path: Path, run_here: Run) -> None:
    photo, mask = collins(), 255 * hole_of((260, 260)).astype(np.uint8)
    for name, picture in (("photo.png", photo), ("hole.png", mask)):
        save_picture(tmp_path / name, picture)
    inpainter = PhotoInpainter.from_pretrained(precision="float32")
    words = ("--mask", "hole.png", "--approach", "direct", "--precision", "float32")
    for seed, options, given in (
        (0, (), {}),
        (3, ("--dilate", 4, "--feather", "--blend", "poisson"), {"dilate": 4, "feather": True}),
    ):
        given |= {"blend": "poisson"} if given else {}
        more = (*options, "--seed", seed, "--out-dir", f"out{seed}")
        done = run_here("photo.png", *words, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        repaired = inpainter(photo, mask, approach="direct", seed=seed, **given)
        assert_same(repaired.photos[0], tmp_path / f"out{seed}/final/photo.png")
        assert (np.asarray(repaired.image) != photo).any(axis=-1).sum() > 1000
        repaired.save(tmp_path / "saved.png")
        expected = (tmp_path / f"out{seed}/final/photo.png").read_bytes()
        assert (tmp_path / "saved.png").read_bytes() == expected


def test_a_search_s_versions_are_the_command_s(
    tiny: Callable, guided: Path, tmp_path: Path, run_here: Run, noise: np.ndarray
) -> None:
    save_picture(tmp_path / "photo.png", noise)
    save_picture(tmp_path / "hole.png", hole_of())
    (tmp_path / "points.txt").write_text("".join(f"{x},{y}\n" for x, y in POINTS))
    words = ("--landmarks", "points.txt", "--samples", 2, "--n-iter", 3, "--no-grain")
    model = ("--checkpoint-dir", guided, "--precision", "float32", "--mask", "hole.png")
    done = run_here("photo.png", *words, *model, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    options = {"approach": "auto", "samples": 2, "n_iter": 3, "grain": False}
    for landmarks in (POINTS, tmp_path / "points.txt"):
        paths = tmp_path / "photo.png", str(tmp_path / "hole.png")
        repaired = tiny(*paths, landmarks=landmarks, **options)
        for rank, photo in enumerate(repaired.photos, 1):
            assert_same(photo, tmp_path / f"repaired/samples/photo/{rank}.png")
    first, second = map(np.asarray, repaired.samples)
    assert (first != second).any()


def test_detail_is_the_command_s_option(tiny: Callable, noise: np.ndarray) -> None:
    hole = hole_of()
    transferred, grained, plain = (
        np.asarray(tiny(noise, hole, detail=how).image) for how in ("transfer", "grain", "none")
    )
    np.testing.assert_array_equal(tiny(noise, hole).image, transferred)
    np.testing.assert_array_equal(tiny(noise, hole, grain=False).image, plain)
    assert all((one != plain)[hole].any() for one in (transferred, grained))
    assert (transferred != grained)[hole].any()
    with pytest.raises(ValueError, match=r"^detail='more': is none of transfer, grain, none"):
        tiny(noise, hole, detail="more")
    with pytest.raises(ValueError, match=r"^grain: False contradicts detail='grain'"):
        tiny(noise, hole, detail="grain", grain=False)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_all_depths_and_transparency_are_kept(
    dtype: type, channels: int, tiny: Callable, tmp_path: Path, random: np.random.Generator
) -> None:
    peak, hole = np.iinfo(dtype).max, hole_of()
    samples = random.integers(peak // 4, peak // 2, [90, 120, channels], dtype)
    write_photo(Photo.of_samples(samples), str(tmp_path / "a.png"), "PNG")
    before = samples.copy()
    repaired = tiny(samples[..., 0] if channels == 1 else samples, hole)
    np.testing.assert_array_equal(samples, before)
    (photo,) = repaired.photos
    assert (photo.pixels.dtype, repaired.image.size) == (dtype, (120, 90))
    colours = channels - 1 + channels % 2
    np.testing.assert_array_equal(photo.pixels[~hole], samples[~hole][:, :colours])
    assert (photo.pixels != samples[..., :colours])[hole].any()
    if channels in (2, 4):
        np.testing.assert_array_equal(photo.alpha, np.where(hole, peak, samples[..., -1]))
    repaired.save(tmp_path / "b.png")
    assert_same(photo, tmp_path / "b.png")
    # The same, from a file, and from a picture where Pillow has it in all its depth.
    assert_same(tiny(tmp_path / "a.png", hole).photos[0], tmp_path / "b.png")
    if dtype is np.uint8 or channels == 1:
        with Image.open(tmp_path / "a.png") as picture:
            assert_same(tiny(picture, hole).photos[0], tmp_path / "b.png")


def test_masks_of_all_kinds_are_the_same_hole(
    tiny: Callable, tmp_path: Path, noise: np.ndarray
) -> None:
    hole = hole_of()
    wanted = np.asarray(tiny(noise, hole).image)
    path = save_picture(tmp_path / "hole.png", hole)
    white = 255 * hole.astype(np.uint8)
    for mask in (hole.astype(np.uint8), white, hole.astype(float), Image.fromarray(white), path):
        np.testing.assert_array_equal(np.asarray(tiny(noise, mask).image), wanted)


def test_a_picture_is_turned_upright(tiny: Callable, tmp_path: Path, noise: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right brings it upright
    path = save_picture(tmp_path / "a.png", np.rot90(noise).copy(), exif=exif)
    wanted = np.asarray(tiny(noise, hole_of()).image)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(tiny(picture, hole_of()).image), wanted)


def test_faces_are_drawn_chosen_and_named() -> None:
    two = np.concatenate([collins(), collins()], axis=1)
    mask = np.zeros(two.shape[:2], np.uint8)
    mask[130:150, 100:430] = 1
    inpainter = PhotoInpainter.from_pretrained()
    drawn = np.asarray(inpainter.draw_faces(two))
    assert 200 < (drawn != two).any(axis=-1).sum() < 10_000
    repaired = inpainter(two, mask, approach="direct", face=2)
    assert (repaired.task.numbers, repaired.task.left_out) == ((2,), (1,))
    assert inpainter(two, mask, approach="direct").task.numbers == (1, 2)
    for given, words in (
        ({"face": 3}, "face 3: the photo's faces are numbered from 1 to 2; draw_faces() shows"),
        ({"mask": np.roll(mask, 110, axis=0)}, "the hole touches none of the 2 faces found; draw"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)) as caught:
            inpainter(two, **{"mask": mask, "approach": "direct"} | given)
        assert "--" not in str(caught.value)
    with pytest.raises(ValueError, match="photo: no face was found; name its landmarks with landm"):
        inpainter.draw_faces(np.full([90, 120, 3], 90, np.uint8), hole_of())


REFUSED = {
    "photo's type": ({"photo": 3}, "photo: is int; give a file, a PIL image or an array"),
    "floats": ({"photo": np.zeros([90, 120, 3])}, "photo: is float64 [90, 120, 3]; give uint8"),
    "flat": ({"photo": np.zeros(9, np.uint8)}, "photo: is uint8 [9]; give uint8 or uint16"),
    "missing photo": ({"photo": "missing.png"}, "missing.png: no such file"),
    "PIL's floats": ({"photo": Image.new("F", (120, 90))}, "photo: pixels of the kind F"),
    "mask's size": ({"mask": hole_of((80, 120))}, "mask: is [80, 120], but the photo [90, 120]"),
    "mask's shape": ({"mask": np.zeros([2, 90, 120], bool)}, "mask: is (2, 90, 120); give one"),
    "mask's type": ({"mask": None}, "mask: is NoneType"),
    "mask's range": ({"mask": np.full([90, 120], 2.0)}, "mask: floats must be in 0..1"),
    "missing mask": ({"mask": "missing.png"}, "missing.png: no such file"),
    "all white": ({"mask": np.ones([90, 120])}, "mask: everything is missing, so nothing is known"),
    "all black": ({"mask": np.zeros([90, 120])}, "mask: nothing is missing; white, 1 or True"),
    "dilated": ({"dilate": 200}, "mask: everything is missing, so nothing is known; lower dilate"),
    "dilate": ({"dilate": -1}, "dilate=-1: '-1' is not a whole number"),
    "feather": (
        {"feather": True},
        "feather: ramps inside the pixels that dilate adds; give dilate",
    ),
    "no switch": ({"feather": 3}, "feather=3: is none of True, False"),
    "samples": ({"samples": 0}, "samples=0: '0' is not a whole number above 0"),
    "seed": ({"seed": 0.5}, "seed=0.5: '0.5' is not a whole number"),
    "face": (
        {"landmarks": None, "face": "left"},
        "face='left': 'left' is not all, largest or the number",
    ),
    "both": ({"face": 1}, "landmarks: says where the face is and contradicts face"),
    "points": ({"landmarks": [[1, 2], [3, 4]]}, "landmarks: is not a file or three points"),
    "no points": ({"landmarks": [["a", 2], [3, 4], [5, 6]]}, "landmarks: is not a file or three"),
    "line": ({"landmarks": [[1, 1], [20, 20], [40, 40]]}, "landmarks: the three landmarks lie"),
    "far": ({"landmarks": np.add(POINTS, 500)}, "check the coordinates in landmarks"),
    "no file": ({"landmarks": "missing.txt"}, "landmarks missing.txt: no such file"),
    "blend": ({"blend": "soft"}, "blend='soft': is none of none, poisson, smooth"),
    "option": ({"n_itr": 3}, "n_itr: is no argument of a completion"),
    "other approach's": ({"lr": 1.0}, "lr belongs to approach"),
    "samples of one": ({"samples": 2}, "samples 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_names_the_argument(
    case: str, tiny: Callable, noise: np.ndarray
) -> None:
    arguments, words = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(words)):
        tiny(**{"photo": noise, "mask": hole_of()} | arguments)


def test_results_are_not_saved_where_they_would_be_lost(
    tiny: Callable, tmp_path: Path, noise: np.ndarray
) -> None:
    alpha = np.full([90, 120, 1], 200, np.uint8)
    plain = tiny(noise, hole_of())
    for photo, name, words in (
        (plain, "a.gif", "does not end in one of .png, .jpg"),
        (plain, "a", "does not end in one of"),
        (tiny(noise.astype(np.uint16), hole_of()), "a.tif", "only PNG holds 16 bits"),
        (tiny(np.dstack([noise, alpha]), hole_of()), "a.jpg", "JPEG does not hold transparency"),
    ):
        with pytest.raises(ValueError, match=words):
            photo.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    for suffix, kind in ((".JPEG", "JPEG"), (".webp", "WEBP"), (".tiff", "TIFF"), (".bmp", "BMP")):
        plain.save(tmp_path / f"a{suffix}")
        again = read_photo(str(tmp_path / f"a{suffix}"))
        assert again.kind == kind
        away = np.abs(again.pixels.astype(int) - plain.photos[0].pixels)
        assert away.max() <= (40 if kind == "JPEG" else 0)


def test_the_example_is_true() -> None:
    runner = doctest.DocTestRunner()
    found = doctest.DocTestFinder(recurse=False).find(PhotoInpainter, "PhotoInpainter", globs={})
    assert [runner.run(test) for test in found] == [doctest.TestResults(0, 8)]


def test_too_many_pixels_name_what_sets_the_limit(tmp_path: Path, noise: np.ndarray) -> None:
    Image.fromarray(noise).save(tmp_path / "a.png")
    photo = photo_inpainter.as_photo(noise)[1]
    utils.limit_pixels(100)
    for read in (photo_inpainter.as_photo, lambda path: photo_inpainter.as_mask(path, photo)):
        with pytest.raises(
            utils.UserError, match=r"a\.png: .* \(dcgan_completion\.utils\.limit_pixels\)$"
        ):
            read(str(tmp_path / "a.png"))
