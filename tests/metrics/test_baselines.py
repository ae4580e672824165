"""Inpainting and the mean face where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion.evaluation import baselines
from dcgan_completion.masks import mask as masks
from dcgan_completion.masks.mask import Mask

SIZE = 24


def ramp(channels: int = 3) -> np.ndarray:
    """Brighter by 8 levels a pixel to the right, and by 2 downwards."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    plane = (2 * rows + 8 * columns).astype(np.uint8)
    return np.stack([plane] * channels, axis=-1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("method", baselines.INPAINTING)
def test_inpainting_continues_what_is_around(method: str, channels: int) -> None:
    images = np.stack([ramp(channels), np.full([SIZE, SIZE, channels], 77, np.uint8)])
    mask = Mask.of_type("center", [masks.make_mask("center", SIZE)] * 2)
    filled = baselines.inpaint_all(baselines.INPAINTING[method], images, mask)
    assert filled.shape == images.shape
    assert filled.dtype == np.uint8
    known = np.broadcast_to(mask.known > 0, images.shape)
    np.testing.assert_array_equal(filled[known], images[known])
    difference = np.abs(filled.astype(int) - images)
    assert difference[1].max() <= 2  # OpenCV's Telea rounds as it goes
    # A plane is biharmonic: exact to rounding. The others know no slope.
    assert difference[0].max() <= (1 if method == "biharmonic" else 48)


def test_what_is_in_the_hole_does_not_matter() -> None:
    images = np.stack([ramp()] * 3)
    random = np.random.default_rng(0)
    types = ("left", "random", "grid")
    mask = Mask(np.stack([masks.make_mask(kind, SIZE, random=random) for kind in types]))
    other = np.where(mask.known > 0, images, 255 - images)
    for inpaint in baselines.INPAINTING.values():
        np.testing.assert_array_equal(
            baselines.inpaint_all(inpaint, images, mask),
            baselines.inpaint_all(inpaint, other, mask),
        )


def test_the_mean_face_leaves_the_face_itself_out() -> None:
    images = np.stack([np.full([4, 4, 3], level, np.uint8) for level in (0, 30, 90)])
    left = Mask.of_type("left", [masks.make_mask("left", 4)] * 2)
    filled = baselines.MeanFace(images).complete(images[1:], left)
    assert filled[:, :, :2].reshape(2, -1).tolist() == [[45] * 24, [15] * 24]
    np.testing.assert_array_equal(filled[:, :, 2:], images[1:, :, 2:])
    full = Mask.of_type("full", [masks.make_mask("full", 4)])
    whole = baselines.MeanFace(images).complete(images[:1], full)
    assert (whole == 60).all()
