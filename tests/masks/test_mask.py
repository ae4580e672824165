"""`Mask`: what is known, kept and seen of a batch's images, and drawing the masks of a batch."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from dcgan_completion.completion import mask_source
from dcgan_completion.masks import drawing
from dcgan_completion.masks import mask as masks
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
    holes = [drawing.draw(mask_type, size, rng=random) for _ in range(number)]
    return Mask.of_type(mask_type, holes)


def assert_equal(found: Mask, wanted: Mask) -> None:
    np.testing.assert_array_equal(found.hole, wanted.hole)
    assert (found.block, found.keeps_pixels) == (wanted.block, wanted.keeps_pixels)
    assert (found.ramp is None) == (wanted.ramp is None)
    if wanted.ramp is not None:
        np.testing.assert_array_equal(found.ramp, wanted.ramp)


# --- of a type ---


def test_only_lowres_knows_blocks_and_two_types_keep_no_pixel(random: np.random.Generator) -> None:
    found = {mask_type: mask_of(mask_type, 2, random) for mask_type in drawing.MASK_TYPES}
    blocks = {mask_type: mask.block for mask_type, mask in found.items()}
    assert blocks == dict.fromkeys(drawing.MASK_TYPES, 1) | {"lowres": 8}
    whole = {mask_type for mask_type, mask in found.items() if not mask.keeps_pixels}
    assert whole == {"full", "lowres"}
    assert all(mask.ramp is None and len(mask) == 2 for mask in found.values())


def test_a_file_s_mask_is_of_pixels_that_are_kept(random: np.random.Generator) -> None:
    holes = list(random.random([3, SIZE, SIZE]) < 0.5)
    mask = Mask.of_type("file", holes)
    assert (mask.block, mask.keeps_pixels, mask.ramp) == (1, True, None)
    np.testing.assert_array_equal(mask.hole[..., 0], holes)


@pytest.mark.parametrize("which", [slice(1, 3), slice(0, 0), slice(3, None), slice(None, None, 2)])
def test_a_slice_has_the_same_images_of_all(which: slice, random: np.random.Generator) -> None:
    mask = mask_of("random", 5, random).grown(1, feather=True)
    part = mask[which]
    assert_equal(part, Mask(mask.hole[which], 1, True, mask.ramp[which]))
    assert len(part) == len(range(5)[which])
    blocks = mask_of("lowres", 5, random)
    assert_equal(blocks[which], Mask(blocks.hole[which], 8, keeps_pixels=False))


# --- what is filled ---


@pytest.mark.parametrize("mask_type", drawing.MASK_TYPES)
def test_holes_are_filled_or_all(mask_type: str, random: np.random.Generator) -> None:
    mask = mask_of(mask_type, 2, random)
    assert mask.filled.shape == (2, SIZE, SIZE, 1)
    assert mask.filled.dtype == bool
    if mask_type in ("full", "lowres"):
        assert mask.filled.all()
    else:
        np.testing.assert_array_equal(mask.filled, mask.hole)


def test_masks_for_images_of_any_size_are_expanded(random: np.random.Generator) -> None:
    for mask, mask_type in ((Mask.full(), "full"), (Mask.lowres(), "lowres")):
        assert_equal(mask.expanded(3, SIZE, SIZE), mask_of(mask_type, 3, random))
    one = Mask.of_plane(drawing.center(SIZE))
    assert_equal(one.expanded(3, SIZE, SIZE), mask_of("center", 3, random))
    with pytest.raises(ValueError, match="broadcast"):
        one.expanded(3, 2 * SIZE, SIZE)


def test_a_photo_s_mask_is_a_plane(random: np.random.Generator) -> None:
    hole, ramp = random.random([2, 7, 9]) < 0.5
    mask = Mask.of_plane(hole, ramp.astype(np.float32))
    assert mask.hole.shape == mask.ramp.shape == (1, 7, 9, 1)
    np.testing.assert_array_equal(mask.plane, hole)
    np.testing.assert_array_equal(mask.ramp_plane, ramp)
    assert Mask.of_plane(hole).ramp_plane is None


# --- grown ---


def distances(targets: np.ndarray) -> np.ndarray:
    """The distance of every pixel of [H, W] to the next target, by trying all."""
    places = np.argwhere(targets)
    result = np.full(targets.shape, np.inf)
    for y, x in np.ndindex(targets.shape):
        for place in places:
            result[y, x] = min(result[y, x], np.hypot(*(place - (y, x))))
    return result


def random_holes(number: int, size: int, random: np.random.Generator) -> np.ndarray:
    """Holes of a few pixels each, the first without any, bool [N, S, S]."""
    result = np.zeros([number, size, size], bool)
    for i, hole in enumerate(result):
        hole[tuple(random.integers(0, size, [2, i]))] = True
    return result


@pytest.mark.parametrize("pixels", [0, 1, 2, 3, 5])
def test_grown_holes_are_discs(pixels: int, random: np.random.Generator) -> None:
    holes = random_holes(5, 17, random)
    mask = Mask(holes[..., np.newaxis])
    grown = mask.grown(pixels)
    wanted = np.stack([distances(hole) <= pixels for hole in holes])
    np.testing.assert_array_equal(grown.hole[..., 0], wanted)
    assert grown.ramp is None
    np.testing.assert_array_equal(mask.hole[..., 0], holes)  # a value: it does not change
    assert pixels == 0 or (grown.hole & ~mask.hole)[1:].any(axis=(1, 2, 3)).all()


def test_feather_ramps_follow_the_distances(random: np.random.Generator) -> None:
    mask = Mask(random_holes(4, 17, random)[..., np.newaxis])
    grown = mask.grown(4, feather=True)
    assert grown.ramp.dtype == np.float32
    assert grown.ramp.shape == mask.hole.shape
    for hole, larger, ramp in zip(
        mask.hole[..., 0], grown.hole[..., 0], grown.ramp[..., 0], strict=True
    ):
        assert (ramp[~larger] == 0).all()
        assert (ramp[hole] == 1).all()
        ring = larger & ~hole
        assert ((ramp > 0) & (ramp < 1))[ring].all()
        photo, inside = distances(~larger)[ring], distances(hole)[ring]
        np.testing.assert_allclose(ramp[ring], photo / (photo + inside), rtol=1e-6)


def test_the_ramp_rises_steadily_into_the_hole() -> None:
    center = drawing.center(32)
    ramp = masks.feather_ramp(center, masks.dilate(center, 3))[16]
    np.testing.assert_allclose(ramp[4:9], [0, 0.25, 0.5, 0.75, 1], rtol=1e-6)
    assert (np.diff(ramp[:16]) >= 0).all()
    assert (np.diff(ramp[16:]) <= 0).all()
    left = drawing.half(32, "left")  # no ramp at the image's border
    ramp = masks.feather_ramp(left, masks.dilate(left, 3))[5]
    np.testing.assert_allclose(ramp[14:21], [1, 1, 0.75, 0.5, 0.25, 0, 0], rtol=1e-6)


def test_feather_ramp_without_a_ring() -> None:
    center, none = drawing.center(16), np.zeros([16, 16], bool)
    np.testing.assert_array_equal(masks.feather_ramp(center, center), center)
    np.testing.assert_array_equal(masks.feather_ramp(none, none), none)
    # Everything goes missing: nothing is left to which a ramp could lead.
    np.testing.assert_array_equal(masks.feather_ramp(center, ~none), ~none)
    with pytest.raises(ValueError, match="grown hole"):
        masks.feather_ramp(center, none)


def test_nearness_falls_with_the_distance_to_what_is_known() -> None:
    hole = np.ones([3, 16, 16, 1], bool)
    hole[0, 3, 4] = False
    hole[1, :, :8] = False
    near = masks.nearness(hole, 2.0)
    assert near.dtype == np.float32
    rows, columns = np.indices([16, 16])
    far = np.maximum(np.hypot(rows - 3, columns - 4) - 1, 0)
    np.testing.assert_allclose(near[0, ..., 0], np.exp(-((far / 2) ** 2)), rtol=1e-5)
    np.testing.assert_array_equal(near[1, :, :9], 1)
    np.testing.assert_allclose(near[1, 0, 10, 0], np.exp(-1))  # three pixels from a known one
    np.testing.assert_array_equal(near[2], 0)


# --- what is seen and known ---


@pytest.mark.parametrize("mask_type", [t for t in drawing.MASK_TYPES if t != "lowres"])
def test_missing_pixels_are_seen_gray(mask_type: str, random: np.random.Generator) -> None:
    images = random.integers(0, 256, [2, SIZE, SIZE, 3], np.uint8)
    mask = mask_of(mask_type, 2, random)
    seen = mask.visible(images)
    assert seen.dtype == np.uint8
    np.testing.assert_array_equal(seen, np.where(mask.hole, 128, images))


def test_of_lowres_the_averages_are_seen(random: np.random.Generator) -> None:
    images = random.integers(0, 256, [2, 32, 32, 3], np.uint8)
    seen = mask_of("lowres", 2, random, size=32).visible(images)
    assert np.abs(seen - averages(images, 8)).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("block", [1, 2, 8, 16])
def test_block_averages(block: int, channels: int, random: np.random.Generator) -> None:
    images = random.uniform(-1, 1, [3, 32, 16, channels])
    wanted = averages(images, block)
    np.testing.assert_allclose(masks.block_average(images, block), wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("mask_type", drawing.MASK_TYPES)
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
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, np.where(mask.hole, 0, images))
    changed = np.where(mask.hole, others, images)
    np.testing.assert_array_equal(mask.known_values(changed), values)


# --- a batch by its settings ---


def test_a_batch_is_grown_as_asked_for(random: np.random.Generator) -> None:
    holes = [drawing.draw("random", SIZE, rng=random) for _ in range(2)]
    plain = Mask.of_type("file", holes)
    settings = {"mask_type": "file", "mask": "x.png"}
    for options, wanted in (
        ({}, plain),
        ({"dilate": 2}, plain.grown(2)),
        ({"dilate": 1, "feather": True}, plain.grown(1, feather=True)),
    ):
        assert_equal(mask_source.batch_mask(MaskSettings.of(**settings, **options), holes), wanted)


@pytest.mark.parametrize("mask_type", drawing.MASK_TYPES)
def test_drawn_masks_are_of_their_type(mask_type: str, random: np.random.Generator) -> None:
    images = random.integers(0, 256, [3, SIZE, SIZE, 3], np.uint8)
    mask = mask_source.draw_masks(MaskSettings(mask_type), images, seed=0)
    assert_equal(mask, Mask.of_type(mask_type, list(mask.hole[..., 0])))
    if mask_type not in drawing.RANDOM_TYPES:
        wanted = np.stack([drawing.draw(mask_type, SIZE)] * 3)
        np.testing.assert_array_equal(mask.hole[..., 0], wanted)
    elif mask_type == "half":
        sides = [drawing.draw(side, SIZE).tobytes() for side in drawing.HALVES]
        assert all(hole.tobytes() in sides for hole in mask.hole)
    else:
        missing = {"random": 0.2, "pattern": 0.25}[mask_type]
        deviation = np.sqrt(missing * (1 - missing) / SIZE**2)
        assert np.abs(mask.hole.mean(axis=(1, 2, 3)) - missing).max() < 5 * deviation


def test_settings_decide_on_the_drawn_masks(random: np.random.Generator) -> None:
    images = random.integers(0, 256, [3, 64, 64, 1], np.uint8)
    small = mask_source.draw_masks(MaskSettings(center_scale=0.4), images, seed=0)
    assert small.hole.sum() == 3 * 13**2  # from 25.6 to 38.4
    most = mask_source.draw_masks(MaskSettings("random", fraction=0.8), images, seed=0)
    assert most.hole.mean() == pytest.approx(0.8, abs=5 * np.sqrt(0.16 / 3 / 64**2))
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
    known = mask_source.draw_masks(settings, images, seed=5).hole
    order = [2, 0, 3]
    elsewhere = mask_source.draw_masks(settings, images[order], seed=5).hole
    np.testing.assert_array_equal(elsewhere, known[order])
    assert len({one.tobytes() for one in known}) == 4
    other = mask_source.draw_masks(settings, images, seed=6).hole
    assert (other != known).any(axis=(1, 2, 3)).all()


def test_only_known_types_are_drawn() -> None:
    images = np.zeros([1, SIZE, SIZE, 3], np.uint8)
    with pytest.raises(ValueError, match="mask type 'file' is not one of"):
        mask_source.draw_masks(MaskSettings("file", mask="x.png"), images, seed=0)
