"""What is under a hole stays unknown: it changes nothing, bit for bit, in any approach."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dcgan_completion import utils
from dcgan_completion.completion import mask_source
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.inpaint.candidates import Searched
from dcgan_completion.inpaint.estimator import Estimator
from dcgan_completion.inpaint.search import LatentSearch
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SEARCHES, SearchSettings

CASES = (*SEARCHES, "guided auto")
FIXED = ("center", "left", "right", "top", "bottom", "grid")
SMALL = {
    "auto": {"pool": 32, "average": 2},
    "guided auto": {"pool": 32, "average": 2, "guide": 1.0},
    "hmc": {"hmc_l": 3, "hmc_eps": 0.05},
}


@pytest.fixture(scope="module")
def images(faces16: Path) -> np.ndarray:
    return np.stack([utils.load_image(path) for path in sorted(faces16.iterdir())[:2]])


@pytest.fixture(scope="module")
def completer_of(model: DCGAN, encoder: ContextEncoder) -> Callable[[str], LatentSearch]:
    @functools.cache
    def make(case: str) -> LatentSearch:
        options = {"n_iter": 4, "lam": 0.1} | SMALL.get(case, {})
        search = SearchSettings.of(case.removeprefix("guided "), **options)
        return LatentSearch(model, search, batch_size=2, samples=2, encoder=encoder)

    return make


def under_the_hole(images: np.ndarray, mask: Mask) -> np.ndarray:
    """The images with other pixels where they are missing."""
    noise = np.random.default_rng(1).integers(0, 256, images.shape, np.uint8)
    other = np.where(mask.hole, noise, images)
    assert (other != images).any(axis=(1, 2, 3)).all()
    return other


def assert_same(one: Searched, other: Searched) -> None:
    for name in ("z", "losses", "generated", "images", "history"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("mask_type", FIXED)
@pytest.mark.parametrize("approach", CASES)
def test_missing_pixels_change_nothing(
    approach: str, mask_type: str, completer_of: Callable[[str], LatentSearch], images: np.ndarray
) -> None:
    mask = mask_source.draw_masks(MaskSettings(mask_type), images, seed=0)
    hidden = under_the_hole(images, mask)
    one, other = (completer_of(approach).complete(given, mask, 3) for given in (images, hidden))
    assert_same(one, other)
    # Known pixels do change the search: it could not find the hole otherwise.
    shown = np.where(mask.hole, images, 255 - images)
    assert (completer_of(approach).complete(shown, mask, 3).z != one.z).any()


@pytest.mark.parametrize("approach", CASES)
def test_nor_do_they_under_a_feathered_hole(
    approach: str, completer_of: Callable[[str], LatentSearch], images: np.ndarray
) -> None:
    hole = mask_source.draw_masks(MaskSettings(), images, seed=0)
    # The photo is known in the ring that a grown hole adds: only there it is mixed with G(z).
    hidden = under_the_hole(images, hole)
    mask = hole.grown(2, feather=True)
    one, other = (completer_of(approach).complete(given, mask, 3) for given in (images, hidden))
    assert_same(one, other)


@pytest.mark.parametrize("approach", CASES)
def test_of_lowres_only_the_averages_are_known(
    approach: str, completer_of: Callable[[str], LatentSearch], images: np.ndarray
) -> None:
    mask = mask_source.draw_masks(MaskSettings("lowres"), images, seed=0)
    turned = images.reshape(2, 2, 8, 2, 8, 3)[:, :, ::-1].reshape(images.shape)
    assert (turned != images).any()
    one, other = (completer_of(approach).complete(given, mask, 3) for given in (images, turned))
    assert_same(one, other)


@pytest.mark.parametrize("mask_type", FIXED)
def test_an_estimate_knows_no_missing_pixel(
    mask_type: str, encoder: ContextEncoder, images: np.ndarray
) -> None:
    mask = mask_source.draw_masks(MaskSettings(mask_type), images, seed=0)
    completer = Estimator(encoder, batch_size=2)
    hidden = under_the_hole(images, mask)
    one, other = (completer.complete(given, mask).images[:, 0] for given in (images, hidden))
    np.testing.assert_array_equal(one, other)
    shown = np.where(mask.hole, images, 255 - images)
    changed = completer.complete(shown, mask).images[:, 0]
    assert ((changed != one) & mask.hole).any()
