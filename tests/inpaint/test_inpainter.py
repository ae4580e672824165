"""`Inpainter`, as a notebook calls it: what it takes, what it refuses, and that commands agree."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from helpers import Run, load_picture
from PIL import Image

from dcgan_completion import Inpainter, Mask, utils
from dcgan_completion.inpaint import arrays, blending
from dcgan_completion.masks import files

SIZE = 16
QUICK = {"n_iter": 4, "average": 1}


@pytest.fixture(scope="module")
def folder(faces16: Path) -> Path:
    return faces16


@pytest.fixture(scope="module")
def images(faces16: Path) -> np.ndarray:
    return np.stack([utils.load_image(path) for path in sorted(faces16.iterdir())[:3]])


@pytest.fixture(scope="module")
def hole() -> np.ndarray:
    hole = np.zeros([SIZE, SIZE], bool)
    hole[4:11, 3:9] = True
    return hole


@pytest.fixture(scope="module")
def inpainter(guided: Path) -> Inpainter:
    return Inpainter.from_pretrained(str(guided), precision="float32")


# --- what it gives ---


def test_a_call_gives_pictures_candidates_and_losses(
    inpainter: Inpainter, images: np.ndarray, hole: np.ndarray
) -> None:
    result = inpainter(images, hole, samples=2, **QUICK)
    assert [picture.size for picture in result.images] == [(SIZE, SIZE)] * 3
    assert [len(row) for row in result.samples] == [2] * 3
    assert result.images[1] is result.samples[1][0]
    assert result.candidates.shape == (3, 2, SIZE, SIZE, 3)
    assert result.candidates.dtype == np.float32
    assert 0 <= result.candidates.min() < result.candidates.max() <= 1
    assert result.losses.shape == (3, 2)
    found = np.stack(list(map(np.asarray, result.images)))
    np.testing.assert_array_equal(found[:, ~hole], images[:, ~hole])
    mask = Mask(np.stack([hole] * 3)[..., np.newaxis])
    wanted = blending.fill(images, mask, 255 * result.candidates[:, 0], "smooth")
    assert np.abs(found.astype(int) - wanted).max() <= 1  # 255 * (x / 255) may round otherwise


@pytest.mark.parametrize("approach", ["auto", "direct"])
def test_the_command_gives_the_same_bit_for_bit(
    approach: str,
    inpainter: Inpainter,
    guided: Path,
    folder: Path,
    images: np.ndarray,
    hole: np.ndarray,
    run_any: Run,
    tmp_path: Path,
) -> None:
    Image.fromarray(np.uint8(255 * hole)).save(tmp_path / "hole.png")
    names = sorted(path.name for path in folder.iterdir())[:3]
    search = ("--n-iter", 4) if approach == "auto" else ()
    done = run_any(
        "complete.py",
        *(folder / name for name in names),
        *("--approach", approach, *search, "--checkpoint-dir", guided, "--mask", "hole.png"),
        *("--seed", 5, "--precision", "float32", "--out-dir", "out"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    options = {"n_iter": 4} if approach == "auto" else {}
    found = inpainter(
        images, hole, approach=approach, seed=5, return_type="numpy", **options
    ).images
    finals = [load_picture(tmp_path / "out" / "final" / f"{Path(n).stem}.png") for n in names]
    np.testing.assert_array_equal(found, finals)


def test_results_do_not_depend_on_the_batches(
    inpainter: Inpainter, images: np.ndarray, hole: np.ndarray
) -> None:
    whole, parts = (
        inpainter(images, hole, batch_size=size, return_type="numpy", **QUICK) for size in (3, 2)
    )
    assert np.abs(whole.images.astype(int) - parts.images).max() <= 1
    np.testing.assert_allclose(whole.losses, parts.losses, rtol=1e-4)


def test_a_callback_sees_every_ten_iterations_and_can_stop(
    inpainter: Inpainter, images: np.ndarray, hole: np.ndarray
) -> None:
    seen, pictures_seen = [], []

    def note(step: int, losses: np.ndarray, pictures: np.ndarray, stop_at: int) -> bool:
        assert losses.shape == (3, 1)
        assert (pictures.shape, pictures.dtype) == ((3, SIZE, SIZE, 3), np.uint8)
        seen.append(step)
        pictures_seen.append(pictures)
        return step == stop_at

    options = {"n_iter": 25, "return_type": "numpy"}
    whole = inpainter(images, hole, callback=functools.partial(note, stop_at=-1), **options)
    assert seen == [0, 10, 20, 25]
    seen.clear()
    stopped = inpainter(images, hole, callback=functools.partial(note, stop_at=10), **options)
    assert seen == [0, 10]
    np.testing.assert_array_equal(stopped.images, pictures_seen[-1])
    assert (stopped.images != whole.images).any()


def test_searches_that_differ_in_length_alone_are_compiled_once(
    inpainter: Inpainter, images: np.ndarray, hole: np.ndarray
) -> None:
    settings = [inpainter.search_settings({"n_iter": n}) for n in (3, 5)]
    one, other = (inpainter.search(s, batch_size=2) for s in settings)
    assert (one.iterations, other.iterations) == (3, 5)
    assert one._losses is other._losses
    assert one._pools is inpainter.search(settings[0], samples=2)._pools


def test_the_shipped_model_is_the_default_whatever_lies_in_checkpoint(
    vivid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoint").symlink_to(vivid)
    monkeypatch.chdir(tmp_path)
    inpainter = Inpainter.from_pretrained()
    assert inpainter.image_size == 64
    assert Path(inpainter.prefix).parent.name == "pretrained"


# --- what it takes ---


def as_given(kind: str, images: np.ndarray) -> object:
    return {
        "uint8": images,
        "float": images.astype(np.float64) / 255,
        "PIL": [Image.fromarray(image) for image in images],
        "arrays": list(images),
    }[kind]


@pytest.mark.parametrize("kind", ["float", "PIL", "arrays"])
def test_images_of_all_kinds_are_the_same(kind: str, images: np.ndarray) -> None:
    np.testing.assert_array_equal(arrays.read_images(as_given(kind, images), SIZE, 3), images)


def test_one_image_may_come_alone(images: np.ndarray) -> None:
    for one in (images[0], Image.fromarray(images[0]), Image.fromarray(images[0]).convert("RGBA")):
        np.testing.assert_array_equal(arrays.read_images(one, SIZE, 3), images[:1])
    gray = np.asarray(Image.fromarray(images[0]).convert("L"))
    np.testing.assert_array_equal(arrays.read_images(gray, SIZE, 1), gray[np.newaxis, ..., None])


MASKS = {
    "bool": lambda hole: hole,
    "0 and 1": lambda hole: np.uint8(hole),
    "0 and 255": lambda hole: np.uint8(255 * hole),
    "gray": lambda hole: np.where(hole, 200, 40).astype(np.uint8),
    "float": lambda hole: hole.astype(np.float32),
    "last axis": lambda hole: hole[..., np.newaxis],
    "PIL": lambda hole: Image.fromarray(hole),
    "PIL in colour": lambda hole: Image.fromarray(np.uint8(255 * hole)).convert("RGB"),
    "one each": lambda hole: np.stack([hole] * 3),
    "one each, PIL": lambda hole: [Image.fromarray(hole)] * 3,
    "Mask": lambda hole: Mask.of_plane(hole),
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_of_all_kinds_are_the_same(kind: str, hole: np.ndarray) -> None:
    mask = arrays.read_masks(MASKS[kind](hole), 3, SIZE)
    assert (mask.block, mask.keeps_pixels) == (1, True)
    np.testing.assert_array_equal(mask.hole, np.stack([hole] * 3)[..., np.newaxis])


def as_layer(hole: np.ndarray, colour: tuple[int, int, int]) -> Image.Image:
    """A hole that is painted on an empty layer."""
    pixels = np.zeros([*hole.shape, 4], np.uint8)
    pixels[hole] = *colour, 255
    return Image.fromarray(pixels)


TRANSPARENT = {
    "black on nothing": lambda hole: as_layer(hole, (0, 0, 0)),
    "red on nothing": lambda hole: as_layer(hole, (255, 0, 0)),
    "gray and alpha": lambda hole: as_layer(hole, (0, 0, 0)).convert("LA"),
    "a palette": lambda hole: as_palette(hole),
    "nothing in white": lambda hole: Image.fromarray(
        np.dstack([np.full([*hole.shape, 3], 255, np.uint8), np.uint8(255 * hole)])
    ),
}


def as_palette(hole: np.ndarray) -> Image.Image:
    """White where nothing is seen, black where the hole is."""
    picture = Image.fromarray(np.uint8(hole)).convert("P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    picture.info["transparency"] = 0
    return picture


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparent_pil_masks_are_read_as_their_files(
    kind: str, hole: np.ndarray, tmp_path: Path
) -> None:
    picture = TRANSPARENT[kind](hole)
    picture.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(files.read_hole(tmp_path / "mask.png"), hole)
    np.testing.assert_array_equal(arrays.read_hole("mask", picture), hole)
    for given in (picture, [picture] * 3):
        mask = arrays.read_masks(given, 3, SIZE)
        np.testing.assert_array_equal(mask.hole, np.stack([hole] * 3)[..., np.newaxis])


@pytest.mark.parametrize("mask", [Mask.full(), Mask.lowres()])
def test_what_no_picture_of_a_mask_can_say(
    mask: Mask, inpainter: Inpainter, images: np.ndarray
) -> None:
    result = inpainter(images, mask, return_type="numpy", **QUICK)
    wanted = np.rint(255 * result.candidates[:, 0])
    assert np.abs(result.images - wanted).max() <= 1


# --- what it refuses ---

IMAGES, HOLE = np.zeros([2, SIZE, SIZE, 3], np.uint8), np.eye(SIZE, dtype=bool)
WRONG = {
    "size": ((IMAGES[:, :8], HOLE), {}, r"^images: .*16, 16, 3"),
    "channels": ((IMAGES[..., :1], HOLE), {}, "^images: "),
    "no images": ((IMAGES[:0], HOLE), {}, "^images: "),
    "type": ((IMAGES.astype(int), HOLE), {}, "^images: are int64"),
    "range": ((IMAGES + 1.5, HOLE), {}, r"^images: floats must be in 0\.\.1"),
    "not finite": ((IMAGES + np.nan, HOLE), {}, r"^images: floats must be in 0\.\.1"),
    "path": (("photo.jpg", HOLE), {}, "^images: is str"),
    "mask's size": ((IMAGES, HOLE[:8]), {}, "^masks: .*16, 16"),
    "mask's number": ((IMAGES, np.stack([HOLE] * 3)), {}, "^masks: "),
    "mask's range": ((IMAGES, HOLE * 2.0), {}, r"^masks: floats must be in 0\.\.1"),
    "mask's type": ((IMAGES, HOLE * 300), {}, "^masks: int64"),
    "all white": ((IMAGES, HOLE | True), {}, "^masks: everything is missing"),
    "other Mask": ((IMAGES, Mask.of_plane(HOLE[:8, :8])), {}, "^masks: are .*16, 16"),
    "approach": ((IMAGES, HOLE), {"approach": "best"}, "^approach='best'"),
    "blend": ((IMAGES, HOLE), {"blend": "soft"}, "^blend='soft'"),
    "return_type": ((IMAGES, HOLE), {"return_type": "tensor"}, "^return_type='tensor'"),
    "option": ((IMAGES, HOLE), {"iterations": 3}, "^iterations: "),
    "of another approach": ((IMAGES, HOLE), {"momentum": 0.5}, "^momentum belongs to approach pgd"),
    "samples": ((IMAGES, HOLE), {"samples": 0}, "^samples=0"),
    "several of direct": ((IMAGES, HOLE), {"approach": "direct", "samples": 2}, "^samples 2"),
    "n_iter": ((IMAGES, HOLE), {"n_iter": -1}, "^n_iter=-1"),
    "nothing to estimate": ((IMAGES, Mask.full()), {"approach": "direct"}, "^approach direct"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_name_the_argument(case: str, inpainter: Inpainter) -> None:
    arguments, options, message = WRONG[case]
    with pytest.raises(ValueError, match=message) as caught:
        inpainter(*arguments, **options)
    assert "--" not in str(caught.value)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{tmp_path}: holds no checkpoint"):
        Inpainter.from_pretrained(str(tmp_path))
