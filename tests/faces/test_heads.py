"""The square around a head: where it lies, and what of it a photo shows."""

from __future__ import annotations

import numpy as np

from dcgan_completion.faces import heads
from dcgan_completion.faces.placement import square_corners


def rotation(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def test_it_is_twice_as_wide_around_the_same_middle() -> None:
    matrix = rotation(0.3, 0.7, (5.0, -8.0))
    face = square_corners(matrix, 64)
    for size in (32, 64, 128):
        head = square_corners(heads.head_matrix(matrix, 64, size), size)
        np.testing.assert_allclose(head.mean(axis=0), face.mean(axis=0), atol=1e-9)
        middle = face.mean(axis=0)
        np.testing.assert_allclose(head - middle, 2 * (face - middle), atol=1e-9)


def test_seen_pixels_are_those_whose_corners_lie_in_the_photo() -> None:
    size, shape = 24, (37, 29)
    matrix = rotation(-0.4, 0.6, (3.0, 9.0))
    seen = heads.seen_part(matrix, size, shape)
    inverse = np.linalg.inv(matrix[:, :2])
    for row in range(size):
        for column in range(size):
            corners = np.array([[column + a, row + b] for a in (-0.5, 0.5) for b in (-0.5, 0.5)])
            x, y = ((corners - matrix[:, 2]) @ inverse.T).T
            inside = x.min() >= -0.5 and x.max() <= 28.5 and y.min() >= -0.5 and y.max() <= 36.5
            assert seen[row, column] == inside
    assert 0 < seen.mean() < 1


def test_a_stored_head_shows_the_photo_and_is_blank_beyond_it() -> None:
    y, x = np.mgrid[:90, :70]
    photo = np.stack([x + 100, y + 100, 255 - x - y], axis=2).astype(np.uint8)
    matrix = np.array([[1.0, 0, -20], [0, 1.0, -30]])  # a face of 32 pixels at (20, 30)
    head = heads.stored_head(photo, matrix, 32)
    assert head.shape == (80, 80, 4)
    # The middle of the face stays in the middle: pixel (40, 40) is the photo's (36, 46).
    np.testing.assert_array_equal(head[40, 40], [*photo[46, 36], 255])
    left = 40 - 36  # the photo begins there
    assert (head[:, :left] == 0).all()
    assert (head[:, left, 3] == 255).any()
    np.testing.assert_array_equal(head[20:60, left : left + 50, :3], photo[26:66, :50])
