"""Filling holes: Poisson blending against a dense solve, written pixel by pixel, and harmonic
functions; composites and feathered pixels against their definitions.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse.linalg

from dcgan_completion.inpaint import blending
from dcgan_completion.masks import drawing
from dcgan_completion.masks.mask import Mask


def dense(image: np.ndarray, hole: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Perez et al.'s equation 7 for one image in float64, an equation a pixel.

    In the hole the differences to the neighbours in the image add up to those of `generated`; a
    known pixel is itself.
    """
    height, width, channels = image.shape
    matrix = np.eye(height * width)
    right = image.reshape(-1, channels).astype(np.float64)
    for y, x in np.ndindex(height, width):
        if not hole[y, x, 0]:
            continue
        row = y * width + x
        matrix[row], right[row] = 0, 0
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < height and 0 <= u < width:
                matrix[row, row] += 1
                matrix[row, v * width + u] -= 1
                right[row] += generated[y, x].astype(np.float64) - generated[v, u]
    return np.linalg.solve(matrix, right).reshape(image.shape)


def least_squares(
    image: np.ndarray, hole: np.ndarray, generated: np.ndarray, smoothness: float
) -> np.ndarray:
    """One image with the smallest energy in float64, a row for each term of it."""
    height, width, _ = image.shape
    difference = image.astype(np.float64) - generated
    rows = []
    for y, x in np.ndindex(height, width):
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        around = [(v, u) for v, u in around if 0 <= v < height and 0 <= u < width]
        bend = np.zeros([height, width])
        for v, u in around:
            bend[v, u] += smoothness
            bend[y, x] -= smoothness
            if (v, u) > (y, x):
                stretch = np.zeros([height, width])
                stretch[v, u], stretch[y, x] = 1, -1
                rows.append(stretch)
        rows.append(bend)
    hole = hole[..., 0]
    terms = np.stack(rows)
    added = np.linalg.lstsq(terms[:, hole], -terms[:, ~hole] @ difference[~hole])[0]
    result = image.astype(np.float64)
    result[hole] = generated[hole] + added
    return result


def two_holes(size: int) -> np.ndarray:
    hole = np.zeros([size, size, 1], bool)
    hole[2:5, 3:9] = True
    hole[5, 8] = True
    hole[9:, :4] = True  # in a corner
    hole[7, 11] = True  # a single pixel
    return hole


def drawn(mask_type: str, size: int, **options: object) -> np.ndarray:
    """A hole, bool [size, size, 1]."""
    return drawing.draw(mask_type, size, **options)[..., np.newaxis]


def hole_of(name: str, random: np.random.Generator) -> np.ndarray:
    if name == "two holes":
        return two_holes(16)
    fraction = 0.8 if name == "random 80 %" else 0.2
    return drawn(name.split()[0], 16, fraction=fraction, rng=random)


CASES = ("center", "two holes", "left", "top", "pattern", "grid", "random", "random 80 %")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_blending_solves_the_equations(
    case: str, channels: int, random: np.random.Generator
) -> None:
    hole = hole_of(case, random)
    images, generated = random.uniform(-0.1, 0.1, [2, 2, 16, 16, channels])
    found = blending.poisson_blend(images, hole, generated)
    for image, made, result in zip(images, generated, found, strict=True):
        np.testing.assert_allclose(result, dense(image, hole, made), rtol=0, atol=1e-12)
    known = np.broadcast_to(~hole, images.shape)
    np.testing.assert_array_equal(found[known], images[known])
    assert np.abs(found - generated)[~known].mean() > 0.005


@pytest.mark.parametrize("smoothness", [0.5, 4])
@pytest.mark.parametrize("case", CASES)
def test_smooth_blending_has_the_smallest_energy(
    case: str, smoothness: float, random: np.random.Generator
) -> None:
    hole = hole_of(case, random)
    images, generated = random.uniform(-0.02, 0.02, [2, 1, 16, 16, 3])
    found = blending.poisson_blend(images, hole, generated, smoothness)[0]
    best = least_squares(images[0], hole, generated[0], smoothness)
    assert np.abs(best).max() < 1
    np.testing.assert_allclose(found, best, rtol=0, atol=1e-11)
    known = np.broadcast_to(~hole, found.shape)
    np.testing.assert_array_equal(found[known], images[0][known])


def test_very_smooth_blending_restores_cubic_polynomials() -> None:
    """The biharmonic functions, of which no difference scheme of second order loses anything."""
    size = 32
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    images = (0.4 * x**3 - 0.3 * x * y**2 + 0.2 * y**2)[np.newaxis, ..., np.newaxis]
    hole = drawn("center", size)
    bent, stretched = (
        blending.poisson_blend(images, hole, np.zeros_like(images), smoothness)
        for smoothness in (1e4, 0)
    )
    np.testing.assert_allclose(bent, images, rtol=0, atol=1e-5)
    assert np.abs(stretched - images).max() > 0.02


@pytest.mark.parametrize("case", CASES)
def test_fills_are_rounded_and_clipped_once(case: str, random: np.random.Generator) -> None:
    hole = hole_of(case, random)
    images = random.integers(0, 256, [2, 16, 16, 3], np.uint8)
    candidates = random.uniform(0, 255, images.shape).astype(np.float32)
    mask = Mask(np.stack([hole] * 2))
    found = blending.fill(images, mask, candidates, "poisson")
    assert found.dtype == np.uint8
    exact = np.stack([dense(i, hole, g) for i, g in zip(images, candidates, strict=True)])
    assert exact.min() < -1 or exact.max() > 256
    # At a half the last bit of the solution decides.
    assert np.abs(found - np.clip(exact, 0, 255)).max() <= 0.5 + 1e-4
    known = np.broadcast_to(~hole, images.shape)
    np.testing.assert_array_equal(found[known], images[known])


HARMONIC = {
    "ramp": lambda y, x: 0.3 + 0.4 * x - 0.5 * y,
    "saddle": lambda y, x: 0.5 * (x**2 - y**2),
    "product": lambda y, x: 0.9 * x * y,
}


@pytest.mark.parametrize("smoothness", [0, 3])
@pytest.mark.parametrize("function", HARMONIC)
@pytest.mark.parametrize("missing", ["center", "two holes"])
def test_harmonic_functions_are_restored(function: str, missing: str, smoothness: float) -> None:
    size = 32
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    images = HARMONIC[function](y, x)[np.newaxis, ..., np.newaxis]
    hole = drawn("center", size)
    if missing == "two holes":
        hole = two_holes(size)
        hole[9:, :4] = False  # at the image's border these functions have a flux
    generated = np.full_like(images, 0.7)
    found = blending.poisson_blend(images, hole, generated, smoothness)
    np.testing.assert_allclose(found, images, rtol=0, atol=1e-13)


def test_no_flux_crosses_the_images_border() -> None:
    """cosh(k x) cos(k' y) has none at the top, left and bottom; its rates fit the grid's lines."""
    size, mode = 32, 2
    y = np.arange(size) + 0.5
    across = np.cos(np.pi * mode * y / size)
    rate = np.arccosh(2 - np.cos(np.pi * mode / size))
    along = np.cosh(rate * y)
    images = (across[:, np.newaxis] * along / along.max())[np.newaxis, ..., np.newaxis]
    hole = drawn("left", size)
    found = blending.poisson_blend(images, hole, np.zeros_like(images))
    np.testing.assert_allclose(found, images, rtol=0, atol=1e-13)


def test_a_generated_image_that_fits_stays_as_it_is(random: np.random.Generator) -> None:
    """With the photo's gradients the hole is the photo again, whatever the brightness."""
    images = random.integers(40, 200, [3, 16, 16, 3], np.uint8)
    for case in CASES:
        hole = hole_of(case, random)
        found = blending.poisson_blend(images, hole, images + np.uint8(37))
        np.testing.assert_allclose(found, images, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [4, 16])
def test_without_known_pixels_the_result_is_generated(
    size: int, random: np.random.Generator
) -> None:
    images, generated = random.integers(0, 256, [2, 3, size, size, 3], np.uint8)
    hole = np.ones([3, size, size, 1], bool)
    hole[1, 0, 0] = False  # one pixel decides the brightness of all
    hole[2] = False
    found = blending.poisson_blend(images, hole, generated)
    np.testing.assert_array_equal(found[0], generated[0])
    np.testing.assert_array_equal(found[2], images[2])
    shifted = generated[1].astype(int) + (images[1, 0, 0].astype(int) - generated[1, 0, 0])
    np.testing.assert_allclose(found[1], shifted, rtol=0, atol=1e-9)


def test_equal_masks_share_a_factorisation(
    random: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, generated = random.integers(0, 256, [2, 6, 16, 16, 3], np.uint8)
    center = drawn("center", 16)
    kinds = [center, np.roll(center, 3, axis=1), two_holes(16)]  # the second misses as many
    hole = np.stack([kinds[i] for i in (0, 1, 0, 2, 1, 0)])
    alone = [
        blending.poisson_blend(images[i : i + 1], hole[i], generated[i : i + 1])[0]
        for i in range(6)
    ]
    factorise, calls = scipy.sparse.linalg.splu, []

    def count(*args: object, **options: object) -> object:
        calls.append(args)
        return factorise(*args, **options)

    monkeypatch.setattr(scipy.sparse.linalg, "splu", count)
    together = blending.poisson_blend(images, hole, generated)
    assert len(calls) == 3
    np.testing.assert_array_equal(together, alone)
    one = blending.poisson_blend(images, kinds[0], generated)
    assert len(calls) == 4
    np.testing.assert_array_equal(one[[0, 2, 5]], together[[0, 2, 5]])


def test_the_arguments_stay_as_they_are(random: np.random.Generator) -> None:
    images, generated = random.integers(0, 256, [2, 2, 16, 16, 3], np.uint8)
    hole = drawn("center", 16)
    copies = [a.copy() for a in (images, hole, generated)]
    blending.poisson_blend(images, hole, generated)
    for array, copy in zip((images, hole, generated), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_arguments_that_do_not_fit() -> None:
    images, hole = np.zeros([2, 16, 16, 3], np.uint8), drawn("center", 16)
    with pytest.raises(ValueError, match=r"candidates are \(1, 16, 16, 3\), the images \(2,"):
        blending.poisson_blend(images, hole, images[:1])
    for wrong in (drawn("lowres", 16), np.stack([hole] * 3), hole[..., 0]):
        with pytest.raises(ValueError, match="does not fit"):
            blending.poisson_blend(images, wrong, images)


# --- fill ---


def mask_of(mask_type: str, size: int = 16, number: int = 2, **options: object) -> Mask:
    return Mask.of_type(mask_type, [drawing.draw(mask_type, size, **options)] * number)


@pytest.mark.parametrize("mask_type", drawing.MASK_TYPES)
def test_known_pixels_stay_and_holes_are_filled(
    mask_type: str, random: np.random.Generator
) -> None:
    images, generated = random.integers(0, 256, [2, 2, 16, 16, 3], np.uint8)
    mask = mask_of(mask_type, rng=random)
    result = blending.fill(images, mask, generated.astype(np.float32))
    kept = np.broadcast_to(~mask.hole, images.shape) if mask.keeps_pixels else False
    np.testing.assert_array_equal(result, np.where(kept, images, generated))


def test_every_candidate_is_filled_by_itself(random: np.random.Generator) -> None:
    images = random.integers(0, 256, [2, 16, 16, 3], np.uint8)
    candidates = random.uniform(0, 255, [2, 3, 16, 16, 3])
    mask = mask_of("center")
    found = blending.fill_all(images, mask, candidates, "smooth")
    for k in range(3):
        wanted = blending.fill(images, mask, candidates[:, k], "smooth")
        np.testing.assert_array_equal(found[:, k], wanted)


@pytest.mark.parametrize("mask_type", ["full", "lowres"])
@pytest.mark.parametrize("blend", ["poisson", "smooth"])
def test_these_masks_are_not_blended(
    mask_type: str, blend: str, random: np.random.Generator
) -> None:
    images, generated = random.integers(0, 256, [2, 2, 16, 16, 3], np.uint8)
    mask = mask_of(mask_type)
    plain = blending.fill(images, mask, generated)
    blended = blending.fill(images, mask, generated, blend)
    np.testing.assert_array_equal(plain, blended)
    np.testing.assert_array_equal(plain, generated)


@pytest.mark.parametrize("size", [16, 64])
def test_how_smooth_a_hole_is_filled_goes_with_the_images_size(
    size: int, random: np.random.Generator
) -> None:
    photos, generated = random.integers(0, 256, [2, 2, size, size, 3], np.uint8)
    mask = mask_of("center", size)
    for blend, smoothness in (("poisson", 0), ("smooth", size / 32)):
        filled = blending.fill(photos, mask, generated, blend)
        expected = blending.poisson_blend(photos, mask.hole, generated, smoothness)
        np.testing.assert_array_equal(filled, np.clip(np.rint(expected), 0, 255))


@pytest.mark.parametrize("blend", ["none", "poisson", "smooth"])
def test_a_feathered_hole_is_filled_and_then_mixed(blend: str, random: np.random.Generator) -> None:
    photos, generated = random.integers(0, 256, [2, 2, 16, 16, 3], np.uint8)
    hard = mask_of("left").grown(2)
    soft = mask_of("left").grown(2, feather=True)
    filled = blending.fill(photos, hard, generated, blend)
    mixed = blending.fill(photos, soft, generated, blend)
    # Column 8 is 1 from the hole and 2 from the photo, column 9 the other way round.
    for column, share in ((7, 1), (8, 2 / 3), (9, 1 / 3), (10, 0)):
        wanted = (1 - share) * photos[:, :, column] + share * filled[:, :, column]
        # Mixed before rounding: what is filled differs by a half.
        assert np.abs(mixed[:, :, column] - wanted).max() <= 0.5 + 0.5 * share + 1e-4


# --- mixing ---


def test_a_mix_has_the_coarse_part_of_one_and_the_detail_of_the_other() -> None:
    random = np.random.default_rng(0)
    smooth = np.linspace(60, 180, 32)[:, np.newaxis, np.newaxis] * np.ones([1, 32, 3])
    checks = np.where(np.indices([32, 32]).sum(axis=0) % 2, 20, -20)[..., np.newaxis]
    generated = np.float32(smooth + checks)[np.newaxis]
    # Another level and another fine pattern: the level is taken over, the pattern is not.
    estimate = smooth + 30 + 2 * random.choice([-1, 1]) * np.roll(checks, 1, axis=0)
    mixed = blending.mix(generated, estimate, 3)
    assert np.abs(mixed - (generated + 30)).max() <= 2
    np.testing.assert_allclose(blending.mix(generated, estimate, 0)[0], estimate, atol=1e-3)


def test_mixes_are_made_image_by_image() -> None:
    generated = np.random.default_rng(0).uniform(0, 255, [2, 3, 16, 16, 3]).astype(np.float32)
    estimate = np.stack([np.full([16, 16, 3], level, np.float32) for level in (0, 300)])
    mixed = blending.mix(generated, estimate[:, np.newaxis], 2)
    assert mixed.shape == generated.shape
    for i in range(2):
        for k in range(3):
            np.testing.assert_array_equal(
                mixed[i, k], blending.mix(generated[i, k], estimate[i], 2)
            )
    assert mixed[0].mean() < generated[0].mean() < mixed[1].mean()


def test_near_known_pixels_a_mix_is_the_estimate() -> None:
    random = np.random.default_rng(0)
    generated = random.uniform(0, 255, [16, 16, 3]).astype(np.float32)
    estimate = random.uniform(0, 255, [16, 16, 3])
    near = np.zeros([16, 16, 1])
    near[:, 8:], near[:, 12:] = 0.5, 1
    mixed = blending.mix(generated, estimate, 2, near)
    far = blending.mix(generated, estimate, 2)
    np.testing.assert_allclose(mixed[:, :8], far[:, :8], atol=1e-4)
    np.testing.assert_allclose(mixed[:, 8:12], (far + estimate)[:, 8:12] / 2, atol=1e-3)
    np.testing.assert_allclose(mixed[:, 12:], estimate[:, 12:], atol=1e-3)


# --- softening ---


def test_estimates_are_smoothed_at_known_pixels_and_beside_them(
    random: np.random.Generator,
) -> None:
    size, sigma = 12, 0.9
    estimates = random.uniform(-1, 1, [2, size, size, 3])
    hole = np.zeros([2, size, size, 1], bool)
    hole[0, 2:11, 2:11] = hole[1, :, :7] = True
    found = blending.soften(estimates, hole)
    # The definition, pixel by pixel: weights of a Gaussian over the image, mirrored at its edges.
    places = np.arange(-4, size + 4)
    mirrored = np.abs(places + 0.5)
    mirrored = np.floor(np.minimum(mirrored, 2 * size - mirrored)).astype(int)
    for n in range(2):
        at = np.argwhere(~hole[n, ..., 0])
        for y in range(size):
            for x in range(size):
                distance = np.sqrt(np.square(at - [y, x]).sum(axis=1)).min()
                near = np.exp(-np.square(max(distance - 1, 0)))
                rows, columns = (np.exp(-np.square((places - p) / sigma) / 2) for p in (y, x))
                rows[np.abs(places - y) > 4] = columns[np.abs(places - x) > 4] = 0
                weights = np.outer(rows, columns) / (rows.sum() * columns.sum())
                mean = np.tensordot(weights, estimates[n][np.ix_(mirrored, mirrored)], 2)
                wanted = near * mean + (1 - near) * estimates[n, y, x]
                np.testing.assert_allclose(found[n, y, x], wanted, atol=1e-6)


def test_far_from_known_pixels_an_estimate_stays(random: np.random.Generator) -> None:
    estimates = random.uniform(-1, 1, [1, 32, 32, 1]).astype(np.float32)
    hole = drawn("left", 32)[np.newaxis]
    found = blending.soften(estimates, hole)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, :, :8], estimates[:, :, :8])
    level = np.full_like(estimates, 0.25)
    np.testing.assert_allclose(blending.soften(level, hole), level, atol=1e-7)


def test_softened_the_known_pixels_detail_is_continued_into_the_hole() -> None:
    """What softening is for: an estimate that has the detail where it was known, and lacks it
    where it was not."""
    rows, columns = np.indices([32, 32])
    level, wave = 120 + columns, 25 * np.sin(rows / 2.5)
    photo = np.uint8(np.rint(level + wave))[np.newaxis, :, :, np.newaxis]
    hole = (columns % 2 == 1)[np.newaxis, :, :, np.newaxis]
    estimate = np.where(~hole, photo, level[np.newaxis, :, :, np.newaxis]) / 127.5 - 1

    def error(estimates: np.ndarray) -> float:
        filled = blending.fill(photo, Mask(hole), 127.5 * (estimates + 1), "smooth")
        return np.abs(filled.astype(int) - photo).mean()

    assert error(blending.soften(estimate, hole)) < error(estimate) / 1.5
