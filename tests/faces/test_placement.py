"""Sampled and pasted back: synthetic grids through known maps, at all scales and angles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_completion.faces import placement

SIZE = 64


def map_of(
    degrees: float, scale: float, centre: tuple[float, float], *, shear: float = 0, mirror=False
) -> np.ndarray:
    """From a photo to the square; `scale` pixels of the photo are one of the square's."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1, shear], [0, 1]]) @ np.diag([-1 if mirror else 1, 1]) / scale
    middle = np.full(2, (SIZE - 1) / 2)
    return np.column_stack([linear, middle - linear @ np.array(centre)])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def inverse(matrix: np.ndarray) -> np.ndarray:
    return np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]


def blobs(points: np.ndarray, shape: tuple[int, int], radius: float) -> np.ndarray:
    """A soft spot at each point, in a channel of its own: float32 [H, W, N]."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    squares = [(x - px) ** 2 + (y - py) ** 2 for px, py in points]
    return np.float32(np.stack([np.exp(-s / (2 * radius**2)) for s in squares], axis=-1))


def centroids(image: np.ndarray) -> np.ndarray:
    """(x, y) of each channel's brightness, [N, 2]."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weights = image.reshape(-1, image.shape[-1]) / image.sum(axis=(0, 1))
    return np.stack([x.ravel() @ weights, y.ravel() @ weights], axis=1)


GRID = np.array([[23.0, 21], [43, 23], [22, 41], [44, 42]])
MAPS = {
    "as it is": (0, 1, 0, False),
    "smaller": (20, 0.3, 0, False),
    "a little smaller": (-45, 0.7, 0, False),
    "turned": (45, 1.3, 0, False),
    "larger": (-30, 3.7, 0, False),
    "largest": (10, 8, 0, False),
    "mirrored": (15, 2.5, 0, True),
    "sheared": (-20, 4, 0.4, False),
    "sheared and smaller": (30, 0.5, 0.3, True),
}


@pytest.fixture(params=MAPS)
def matrix(request: pytest.FixtureRequest) -> np.ndarray:
    degrees, scale, shear, mirror = MAPS[request.param]
    centre = (SIZE * scale * 0.9 + 20.3, SIZE * scale * 0.85 + 18.6)
    return map_of(degrees, scale, centre, shear=shear, mirror=mirror)


def photo_shape(matrix: np.ndarray) -> tuple[int, int]:
    edge = int(SIZE * placement.scale_of(matrix) * 1.8) + 40
    return edge, edge + 7


def test_a_grid_comes_back_to_where_it_was(matrix: np.ndarray) -> None:
    # In the photo's pixels, or the square's where those are coarser: errors under 0.1.
    height, width = photo_shape(matrix)
    scale = placement.scale_of(matrix)
    points = apply(inverse(matrix), GRID)
    square = placement.sample(blobs(points, (height, width), 1.5 * max(scale, 1)), matrix, SIZE)
    result = placement.paste_back(square, matrix, (slice(0, height), slice(0, width)))
    assert np.abs(centroids(square) - GRID).max() < 0.1 * max(1, 1 / scale)
    # Beyond the square its edge is repeated, and so is what a spot has there.
    at = apply(matrix, np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1))
    result *= ((at > -0.5) & (at < SIZE - 0.5)).all(axis=-1, keepdims=True)
    assert np.abs(centroids(result) - points).max() < 0.1 * max(scale, 1)


def test_what_is_smooth_comes_back_as_it_was(matrix: np.ndarray) -> None:
    height, width = photo_shape(matrix)
    y, x = np.mgrid[:height, :width]
    u, v = np.moveaxis(apply(matrix, np.stack([x, y], axis=-1)), -1, 0)
    photo = np.float32(128 + 60 * np.sin(u / 8) * np.cos(v / 9 + 1))[..., np.newaxis]
    result = placement.paste_back(
        placement.sample(photo, matrix, SIZE), matrix, (slice(0, height), slice(0, width))
    )
    # Pixels of half a square's pixel's error would differ by 4 levels, and pixels of the photo
    # average where it is coarser.
    inside = (np.minimum(u, v) > 4) & (np.maximum(u, v) < SIZE - 5)
    assert inside.sum() > 100
    assert np.abs(result - photo)[inside].max() < 2.5


def test_a_crop_comes_back_as_a_part_of_the_whole(matrix: np.ndarray) -> None:
    height, width = photo_shape(matrix)
    square = np.random.default_rng(0).uniform(0, 255, [SIZE, SIZE, 2])
    whole = placement.paste_back(square, matrix, (slice(0, height), slice(0, width)))
    part = placement.paste_back(square, matrix, (slice(11, 47), slice(5, 30)))
    np.testing.assert_allclose(part, whole[11:47, 5:30], atol=1e-2)


def test_the_same_place_and_size_is_the_identity() -> None:
    square = np.random.default_rng(0).uniform(0, 255, [SIZE, SIZE, 3]).astype(np.float32)
    matrix = np.array([[1.0, 0, -7], [0, 1, -5]])
    photo = np.pad(square, ((5, 9), (7, 3), (0, 0)))
    np.testing.assert_allclose(placement.sample(photo, matrix, SIZE), square, atol=1e-4)
    crop = (slice(5, 5 + SIZE), slice(7, 7 + SIZE))
    np.testing.assert_allclose(placement.paste_back(square, matrix, crop), square, atol=1e-3)


def test_a_photo_of_half_the_size_gets_averages() -> None:
    square = np.random.default_rng(0).uniform(0, 255, [SIZE, SIZE, 1])
    matrix = np.array([[2.0, 0, 0.5], [0, 2, 0.5]])  # a pixel covers 2x2 of the square's
    result = placement.paste_back(square, matrix, (slice(0, 32), slice(0, 32)))
    # By the cubic spline through the pixels, integrated over half a pixel to each side of two.
    means = square[..., 0].reshape(32, 2, 32, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(result[..., 0], means, atol=0.5)


def test_a_sample_is_what_alignment_does_unrounded() -> None:
    photo = np.random.default_rng(0).integers(0, 256, [300, 240, 3], np.uint8)
    for degrees, scale, centre in ((10, 2.4, (150, 130)), (-5, 0.8, (20, 280)), (0, 5, (60, 80))):
        matrix = map_of(degrees, scale, centre)
        wanted = placement.affine_image(photo, matrix, SIZE)
        assert np.abs(placement.sample(photo, matrix, SIZE) - wanted).max() <= 1.01


def test_the_square_lies_where_the_matrix_says() -> None:
    matrix = map_of(0, 2, (100, 80))
    corners = placement.square_corners(matrix, SIZE)
    np.testing.assert_allclose(corners, [[36, 16], [164, 16], [164, 144], [36, 144]])
    assert placement.scale_of(matrix) == pytest.approx(2)
    assert placement.smoothing_length(map_of(20, 5, (50, 50)), SIZE) == pytest.approx(2)
    assert placement.smoothing_length(map_of(20, 0.5, (50, 50)), SIZE) == 1


# --- holes ---


@settings(deadline=None, max_examples=30)
@given(
    degrees=st.floats(-60, 60),
    scale=st.floats(0.3, 6),
    x=st.floats(-20, 120),
    y=st.floats(-20, 100),
    mirror=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_known_pixels_of_the_square_see_nothing_of_the_hole(
    degrees: float, scale: float, x: float, y: float, mirror: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    photo = random.integers(0, 256, [80, 100, 3], np.uint8)
    hole = np.zeros([80, 100], bool)
    for _ in range(4):
        top, left = random.integers(0, 80), random.integers(0, 100)
        hole[top : top + random.integers(1, 20), left : left + random.integers(1, 20)] = True
    other = np.where(hole[..., np.newaxis], random.integers(0, 256, photo.shape), photo)
    matrix = map_of(degrees, scale, (x, y), mirror=mirror)
    missing = placement.hole_in_face(hole, matrix, SIZE)
    squares = [placement.sample(p.astype(np.uint8), matrix, SIZE) for p in (photo, other)]
    np.testing.assert_array_equal(squares[0][~missing], squares[1][~missing])


def test_a_hole_in_the_square_is_where_the_matrix_brings_it() -> None:
    matrix = map_of(0, 4, (140, 150))
    hole = np.zeros([300, 300], bool)
    assert not placement.hole_in_face(hole, matrix, SIZE).any()
    hole[150, 140] = True  # one pixel of sixteen
    (at,) = np.argwhere(placement.hole_in_face(hole, matrix, SIZE))[:, ::-1][:1]
    assert np.abs(at - apply(matrix, np.array([140, 150]))).max() <= 1
    assert 1 <= placement.hole_in_face(hole, matrix, SIZE).sum() <= 4
    # What lies outside the photo is as its edge.
    hole[:] = False
    hole[0] = True
    missing = placement.hole_in_face(hole, map_of(0, 4, (140, 20)), SIZE)
    assert missing[:25].all()
    assert not missing[30:].any()


def test_scratches_are_told_from_holes() -> None:
    matrix = map_of(30, 4, (100, 100))  # narrow is below eight pixels of the photo
    hole = np.zeros([200, 200], bool)
    hole[20:26, :] = True
    hole[60:120, 60:120] = True
    hole[80:84, 120:180] = True
    hole[190:] = True  # goes on beyond the photo, and so does what touches only its border
    hole[140:200, :3] = True
    found = placement.narrow(hole, matrix)
    assert found[20:26].all()
    assert found[80:84, 126:180].all()
    assert not found[64:116, 64:116].any()
    assert not found[192:, 10:].any()
    assert not found[150:180, :3].any()
    assert not (found & ~hole).any()
    assert not placement.narrow(hole, map_of(0, 0.5, (100, 100))).any()
