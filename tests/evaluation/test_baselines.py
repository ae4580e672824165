"""Inpainting and the mean face where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from dcgan_completion.evaluation import baselines
from dcgan_completion.masks import drawing

SIZE = 24


def ramp(channels: int = 3) -> np.ndarray:
    """Brighter by 8 levels a pixel to the right, and by 2 downwards."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    plane = (2 * rows + 8 * columns).astype(np.uint8)
    return np.stack([plane] * channels, axis=-1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("method", baselines.INPAINTING)
def test_inpainting_continues_what_is_around(method: str, channels: int) -> None:
    hole = drawing.center(SIZE)
    # A plane is biharmonic: exact to rounding. The others know no slope; OpenCV's Telea rounds as
    # it goes.
    for image, most in (
        (ramp(channels), 1 if method == "biharmonic" else 48),
        (np.full([SIZE, SIZE, channels], 77, np.uint8), 2),
    ):
        filled = baselines.INPAINTING[method](image, hole)
        assert (filled.shape, filled.dtype) == (image.shape, np.uint8)
        np.testing.assert_array_equal(filled[~hole], image[~hole])
        assert np.abs(filled.astype(int) - image).max() <= most


@pytest.mark.parametrize("kind", ["left", "random", "grid"])
def test_what_is_in_the_hole_does_not_matter(kind: str) -> None:
    image, hole = ramp(), drawing.draw(kind, SIZE, rng=np.random.default_rng(0))
    other = np.where(hole[..., np.newaxis], 255 - image, image)
    for inpaint in baselines.INPAINTING.values():
        np.testing.assert_array_equal(inpaint(image, hole), inpaint(other, hole))


def test_the_mean_face_leaves_the_face_itself_out() -> None:
    images = np.stack([np.full([4, 4, 3], level, np.uint8) for level in (0, 30, 90)])
    others = baselines.MeanFace(images).without(images[1:])
    assert others.reshape(2, -1).tolist() == [[45] * 48, [15] * 48]
