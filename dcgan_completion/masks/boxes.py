"""Bounding boxes: rows and columns of an image."""

from __future__ import annotations

import numpy as np

Crop = tuple[slice, slice]  # rows and columns


def clipped(low: np.ndarray, high: np.ndarray, shape: tuple[int, ...]) -> Crop:
    """Find the pixels from `low` to `high`, each (x, y) and inclusive, of an image of (H, W)."""
    first = np.clip(np.floor(low), 0, shape[1::-1]).astype(int)
    last = np.clip(np.ceil(high) + 1, first, shape[1::-1]).astype(int)
    return slice(first[1], last[1]), slice(first[0], last[0])


def grown(crop: Crop, margin: int, shape: tuple[int, ...]) -> Crop:
    """Grow a crop by a margin in pixels within an image of shape (H, W)."""
    rows, columns = (
        slice(max(part.start - margin, 0), min(part.stop + margin, edge))
        for part, edge in zip(crop, shape[:2], strict=True)
    )
    return rows, columns


def union(one: Crop, other: Crop) -> Crop:
    """Find the smallest rows and columns that hold two crops."""
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return rows, columns


def common(one: Crop, other: Crop) -> Crop:
    """Find the rows and columns of two crops that overlap."""
    rows, columns = (
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return rows, columns


def relative(crop: Crop, outer: Crop) -> Crop:
    """Count a crop's rows and columns from the beginning of another one that holds it."""
    rows, columns = (
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(crop, outer, strict=True)
    )
    return rows, columns


def within(crop: Crop, outer: Crop) -> Crop:
    """Count a crop's rows and columns, of another one, as that one's are: undo `relative`."""
    rows, columns = (
        slice(b.start + a.start, b.start + a.stop) for a, b in zip(crop, outer, strict=True)
    )
    return rows, columns


def bounding_box(hole: np.ndarray, margin: int = 0) -> Crop:
    """Find the bounding box of a hole, bool [H, W], with a margin; empty without a hole.

    A photo is large: what depends on a hole's surroundings is computed in them alone.
    """
    if not hole.any():
        return slice(0, 0), slice(0, 0)
    rows, columns = (
        slice(int(line[0]), int(line[-1]) + 1)
        for line in (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    )
    return grown((rows, columns), margin, hole.shape)
