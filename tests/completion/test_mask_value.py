"""`Mask`: what is known, kept and seen of a batch's images, and drawing the masks of a batch."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from dcgan_completion.masks import mask as masks
from dcgan_completion.masks import source as mask_source
from dcgan_completion.masks.mask import Mask
from dcgan_completion.settings.masks import MaskSettings

SIZE = 16


def averages(images: np.ndarray, block: int) -> np.ndarray:
    """Each square's average in place of its pixels, in float64."""
    result = np.empty(images.shape)
    for image, out in zip(images.astype(np.float64), result, strict=True):
        for top, left in product(*(range(0, length, block) for length in image.shape[:2])):
            square = np.s_[top : top + block, left : left + block]
            out[square] = image[square].sum(axis=(0, 1)) / block**2
    return result


def mask_of(mask_type: str, number: int, random: np.random.Generator, size: int = SIZE) -> Mask:
    known = [masks.make_mask(mask_type, size, random=random) for _ in range(number)]
    return Mask.of_type(mask_type, known)


def assert_equal(found: Mask, wanted: Mask) -> None:
    np.testing.assert_array_equal(found.known, wanted.known)
    assert (found.block, found.keeps_pixels) == (wanted.block, wanted.keeps_pixels)
    assert (found.ramp is None) == (wanted.ramp is None)
    if wanted.ramp is not None:
        np.testing.assert_array_equal(found.ramp, wanted.ramp)


# --- of a type ---


def test_only_lowres_knows_blocks_and_two_types_keep_no_pixel(random: np.random.Generator) -> None:
    found = {mask_type: mask_of(mask_type, 2, random) for mask_type in masks.MASK_TYPES}
    blocks = {mask_type: mask.block for mask_type, mask in found.items()}
    assert blocks == dict.fromkeys(masks.MASK_TYPES, 1) | {"lowres": 8}
    whole = {mask_type for mask_type, mask in found.items() if not mask.keeps_pixels}
    assert whole == {"full", "lowres"}
    assert all(mask.ramp is None and len(mask) == 2 for mask in found.values())


def test_a_file_s_mask_is_of_pixels_that_are_kept(random: np.random.Generator) -> None:
    known = list((random.random([3, SIZE, SIZE, 1]) < 0.5).astype(np.float32))
    mask = Mask.of_type("file", known)
    assert (mask.block, mask.keeps_pixels, mask.ramp) == (1, True, None)
    np.testing.assert_array_equal(mask.known, known)


@pytest.mark.parametrize("which", [slice(1, 3), slice(0, 0), slice(3, None), slice(None, None, 2)])
def test_a_slice_has_the_same_images_of_all(which: slice, random: np.random.Generator) -> None:
    mask = mask_of("random", 5, random).grown(1, feather=True)
    part = mask[which]
    assert_equal(part, Mask(mask.known[which], 1, True, mask.ramp[which]))
    assert len(part) == len(range(5)[which])
    blocks = mask_of("lowres", 5, random)
    assert_equal(blocks[which], Mask(blocks.known[which], 8, keeps_pixels=False))


# --- what is kept ---


@pytest.mark.parametrize("mask_type", masks.MASK_TYPES)
def test_kept_are_known_pixels_or_none(mask_type: str, random: np.random.Generator) -> None:
    mask = mask_of(mask_type, 2, random)
    assert mask.kept.shape == (2, SIZE, SIZE, 1)
    assert mask.kept.dtype == np.float32
    if mask_type in ("full", "lowres"):
        assert not mask.kept.any()
    else:
        np.testing.assert_array_equal(mask.kept, mask.known)


# --- grown ---


def test_a_grown_hole_holds_all_pixels_that_are_near(random: np.random.Generator) -> None:
    known = (random.random([2, SIZE, SIZE, 1]) > 0.03).astype(np.float32)
    mask = Mask(known)
    grown = mask.grown(2)
    for before, after in zip(known[..., 0], grown.known[..., 0], strict=True):
        holes = np.argwhere(before == 0)
        for y, x in np.ndindex(SIZE, SIZE):
            near = (((holes - (y, x)) ** 2).sum(axis=1) <= 4).any()
            assert after[y, x] == (not near)
    assert grown.ramp is None
    np.testing.assert_array_equal(mask.known, known)  # a value: it does not change


def test_a_feathered_hole_has_a_ramp_in_what_was_added(random: np.random.Generator) -> None:
    mask = mask_of("center", 2, random)
    grown = mask.grown(3, feather=True)
    assert grown.ramp.shape == grown.known.shape
    added = (mask.known == 1) & (grown.known == 0)
    assert added.any()
    assert ((grown.ramp > 0) & (grown.ramp < 1))[added].all()
    assert (grown.ramp[mask.known == 0] == 1).all()
    assert (grown.ramp[grown.known == 1] == 0).all()


# --- what is seen and known ---


@pytest.mark.parametrize("mask_type", [t for t in masks.MASK_TYPES if t != "lowres"])
def test_missing_pixels_are_seen_gray(mask_type: str, random: np.random.Generator) -> None:
    images = random.uniform(-1, 1, [2, SIZE, SIZE, 3]).astype(np.float32)
    mask = mask_of(mask_type, 2, random)
    seen = mask.visible(images)
    known = np.broadcast_to(mask.known == 1, images.shape)
    np.testing.assert_array_equal(seen[known], images[known])
    assert (seen[~known] == 0).all()


def test_of_lowres_the_averages_are_seen(random: np.random.Generator) -> None:
    images = random.uniform(-1, 1, [2, 32, 32, 3]).astype(np.float32)
    seen = mask_of("lowres", 2, random, size=32).visible(images)
    np.testing.assert_allclose(seen, averages(images, 8), rtol=0, atol=1e-6)


@pytest.mark.parametrize("mask_type", masks.MASK_TYPES)
def test_known_values_tell_nothing_of_the_rest(mask_type: str, random: np.random.Generator) -> None:
    images, others = random.integers(0, 256, [2, 2, SIZE, SIZE, 3], np.uint8)
    mask = mask_of(mask_type, 2, random)
    values = mask.known_values(images)
    assert values.shape == images.shape
    if mask_type == "lowres":
        np.testing.assert_allclose(values, averages(images, 8), rtol=1e-6)
        turned = images.reshape(2, 2, 8, 2, 8, 3)[:, :, ::-1].reshape(images.shape)
        np.testing.assert_array_equal(mask.known_values(turned), values)
        return
    known = np.broadcast_to(mask.known == 1, images.shape)
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values[known], images[known])
    assert not values[~known].any()
    changed = np.where(known, images, others)
    np.testing.assert_array_equal(mask.known_values(changed), values)


# --- a batch by its settings ---


def test_a_batch_is_grown_as_asked_for(random: np.random.Generator) -> None:
    known = [masks.make_mask("random", SIZE, random=random) for _ in range(2)]
    plain = Mask.of_type("file", known)
    settings = {"mask_type": "file", "mask": "x.png"}
    for options, wanted in (
        ({}, plain),
        ({"dilate": 2}, plain.grown(2)),
        ({"dilate": 1, "feather": True}, plain.grown(1, feather=True)),
    ):
        assert_equal(mask_source.batch_mask(MaskSettings.of(**settings, **options), known), wanted)


@pytest.mark.parametrize("mask_type", masks.MASK_TYPES)
def test_drawn_masks_are_of_their_type(mask_type: str, random: np.random.Generator) -> None:
    images = random.integers(0, 256, [3, SIZE, SIZE, 3], np.uint8)
    mask = mask_source.draw_masks(MaskSettings(mask_type), images, seed=0)
    assert_equal(mask, Mask.of_type(mask_type, list(mask.known)))
    if mask_type not in masks.RANDOM_TYPES:
        wanted = np.stack([masks.make_mask(mask_type, SIZE)] * 3)
        np.testing.assert_array_equal(mask.known, wanted)
    elif mask_type == "half":
        sides = [masks.make_mask(side, SIZE).tobytes() for side in masks.HALVES]
        assert all(known.tobytes() in sides for known in mask.known)
    else:
        missing = {"random": 0.2, "pattern": 0.25}[mask_type]
        deviation = np.sqrt(missing * (1 - missing) / SIZE**2)
        assert np.abs((mask.known == 0).mean(axis=(1, 2, 3)) - missing).max() < 5 * deviation


def test_settings_decide_on_the_drawn_masks(random: np.random.Generator) -> None:
    images = random.integers(0, 256, [3, 64, 64, 1], np.uint8)
    small = mask_source.draw_masks(MaskSettings(center_scale=0.4), images, seed=0)
    assert (small.known == 0).sum() == 3 * 13**2  # from 25.6 to 38.4
    most = mask_source.draw_masks(MaskSettings("random", fraction=0.8), images, seed=0)
    assert (most.known == 0).mean() == pytest.approx(0.8, abs=5 * np.sqrt(0.16 / 3 / 64**2))
    grown = mask_source.draw_masks(MaskSettings(dilate=3, feather=True), images, seed=0)
    assert_equal(
        grown, mask_source.draw_masks(MaskSettings(), images, seed=0).grown(3, feather=True)
    )


@pytest.mark.parametrize("mask_type", ["random", "pattern"])
def test_random_masks_depend_on_seed_and_image_alone(
    mask_type: str, random: np.random.Generator
) -> None:
    settings = MaskSettings(mask_type)
    images = random.integers(0, 256, [4, SIZE, SIZE, 3], np.uint8)
    known = mask_source.draw_masks(settings, images, seed=5).known
    order = [2, 0, 3]
    elsewhere = mask_source.draw_masks(settings, images[order], seed=5).known
    np.testing.assert_array_equal(elsewhere, known[order])
    assert len({one.tobytes() for one in known}) == 4
    other = mask_source.draw_masks(settings, images, seed=6).known
    assert (other != known).any(axis=(1, 2, 3)).all()


def test_only_known_types_are_drawn() -> None:
    images = np.zeros([1, SIZE, SIZE, 3], np.uint8)
    with pytest.raises(ValueError, match="mask type 'file' is not one of"):
        mask_source.draw_masks(MaskSettings("file", mask="x.png"), images, seed=0)
