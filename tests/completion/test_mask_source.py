"""Where masks come from: drawn from seed and image, or read from each image's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import save_picture

from dcgan_completion.completion import mask_source
from dcgan_completion.completion.mask_source import MaskSource
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.utils import UserError

SIZE = 16
PATHS = ["in/a.png", "in/b.png"]


@pytest.fixture
def images(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, [2, SIZE, SIZE, 3], np.uint8)


@pytest.fixture
def holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What is missing of two images by masks/a.png and masks/b.png, bool [2, S, S]."""
    monkeypatch.chdir(tmp_path)
    missing = np.zeros([2, SIZE, SIZE], bool)
    missing[0, 3:7, 2:9] = missing[1, 10:, 12:] = True
    for hole, path in zip(missing, PATHS, strict=True):
        save_picture(Path("masks", Path(path).name), np.uint8(255 * hole))
        save_picture(Path(path), np.zeros([SIZE, SIZE, 3], np.uint8))
    return missing


def test_masks_that_are_drawn(images: np.ndarray) -> None:
    settings = MaskSettings("random")
    source = MaskSource.of(settings, 3, PATHS, ["in"])
    mask = source.masks_of(PATHS, images)
    np.testing.assert_array_equal(mask.hole, mask_source.draw_masks(settings, images, 3).hole)
    assert (source.masks_of(PATHS[1:], images[1:]).hole == mask.hole[1:]).all()
    other = MaskSource.of(settings, 4, PATHS, ["in"]).masks_of(PATHS, images)
    assert (other.hole != mask.hole).any()


def test_masks_of_files(holes: np.ndarray, images: np.ndarray) -> None:
    source = MaskSource.of(MaskSettings.of(mask="masks"), 0, PATHS, ["in"])
    source.check(PATHS, SIZE)
    mask = source.masks_of(PATHS[::-1], images)
    np.testing.assert_array_equal(mask.hole[..., 0], holes[::-1])
    assert (mask.block, mask.keeps_pixels, mask.ramp) == (1, True, None)
    one = MaskSource.of(MaskSettings.of(mask="masks/a.png"), 0, PATHS, ["in"])
    np.testing.assert_array_equal(one.masks_of(PATHS, images).hole[1, ..., 0], holes[0])


def test_masks_of_files_may_be_inverted_and_grown(holes: np.ndarray, images: np.ndarray) -> None:
    settings = MaskSettings.of(mask="masks", invert_mask=True)
    mask = MaskSource.of(settings, 0, PATHS, ["in"]).masks_of(PATHS, images)
    np.testing.assert_array_equal(~mask.hole[..., 0], holes)
    settings = MaskSettings.of(mask="masks", dilate=1, feather=True)
    mask = MaskSource.of(settings, 0, PATHS, ["in"]).masks_of(PATHS, images)
    for hole, grown, ramp in zip(holes, mask.hole[..., 0], mask.ramp[..., 0], strict=True):
        padded = np.pad(hole, 1)  # a disc of radius 1 is a pixel and its four neighbours
        near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
        np.testing.assert_array_equal(grown, hole | near)
        assert ((ramp > 0) & (ramp < 1))[near & ~hole].all()


def test_every_image_needs_a_mask(holes: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"--mask masks: no mask for in/c\.png"):
        MaskSource.of(MaskSettings.of(mask="masks"), 0, [*PATHS, "in/c.png"], ["in"])


def test_a_file_that_is_no_mask_is_found_before_it_is_needed(holes: np.ndarray) -> None:
    source = MaskSource.of(MaskSettings.of(mask="masks"), 0, PATHS, ["in"])
    Path("masks/b.png").write_text("no picture")
    with pytest.raises(UserError, match=r"masks/b\.png: cannot be read as an image"):
        source.check(PATHS, SIZE)
    source.check(PATHS[:1], SIZE)


@pytest.mark.parametrize("kind", ["drawn", "file"])
def test_something_must_be_known(kind: str, holes: np.ndarray, images: np.ndarray) -> None:
    options = {"mask": "masks"} if kind == "file" else {}
    source = MaskSource.of(MaskSettings.of(dilate=SIZE, **options), 0, PATHS, ["in"])
    wanted = r"^in/a\.png: nothing of it is known under this mask; lower --dilate or --fraction$"
    with pytest.raises(UserError, match=wanted):
        source.masks_of(PATHS, images)
    with pytest.raises(UserError, match=wanted):
        source.check(PATHS, SIZE)
