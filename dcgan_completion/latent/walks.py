"""Walks through the latent space, as points on a path. Knows no network.

Latents are float64 [N, z_dim].
"""

from __future__ import annotations

import itertools

import numpy as np

SPHERICAL = "spherical"
PARTS = 512  # chords by which the length of a spherical segment is measured


def segment(a: np.ndarray, b: np.ndarray, t: np.ndarray, path: str) -> np.ndarray:
    """Points on the way from a to b, [z_dim] each, at times t [N] in 0..1: [N, z_dim].

    Straight: (1 - t) a + t b. Spherical: the direction turns by equal angles (Shoemake 1985,
    "Animating rotation with quaternion curves"; for latents White 2016, arXiv:1609.04468), and
    the length is interpolated, since vectors of a cube are not of one length. Where a and b lie on
    a line through 0, there is no plane to turn in, and the way is straight.
    """
    t = np.asarray(t, np.float64)[:, np.newaxis]
    if path == SPHERICAL:
        lengths = np.linalg.norm(a), np.linalg.norm(b)
        if min(lengths) > 0:
            directions = a / lengths[0], b / lengths[1]
            angle = np.arccos(np.clip(np.dot(*directions), -1, 1))
            if np.sin(angle) > 1e-6:
                turned = np.sin((1 - t) * angle) * directions[0] + np.sin(t * angle) * directions[1]
                return turned / np.sin(angle) * ((1 - t) * lengths[0] + t * lengths[1])
    return (1 - t) * a + t * b


def segment_length(a: np.ndarray, b: np.ndarray, path: str) -> float:
    """The length of the way from a to b, [z_dim] each."""
    parts = PARTS if path == SPHERICAL else 1
    way = segment(a, b, np.linspace(0, 1, parts + 1), path)
    return float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())


def walk(points: np.ndarray, frames: int, path: str = "straight", loop: bool = False) -> np.ndarray:
    """A walk through points [N, z_dim] in their order, at a constant speed: [frames, z_dim].

    Each segment takes as much time as it is long: straight walks have frames at equal distances.
    Within a spherical segment frames are at equal angles.

    Args:
      points: two at least.
      frames: of the whole walk. Without `loop`, the first and the last one are the first and the
        last point.
      path: straight or spherical, as in `segment`.
      loop: back to the first point: its frame, the first, comes next after the last one.
    """
    ends = np.concatenate([points, points[:1]]) if loop else np.asarray(points)
    lengths = [segment_length(a, b, path) for a, b in itertools.pairwise(ends)]
    times = np.concatenate([[0], np.cumsum(lengths)])
    at = np.linspace(0, times[-1], frames, endpoint=not loop)
    # The segment that each frame lies in; the last one has its own end, too.
    numbers = np.searchsorted(times[1:-1], at, side="right")
    way = np.empty([frames, ends.shape[1]])
    for i, length in enumerate(lengths):
        here = numbers == i
        t = (at[here] - times[i]) / length if length else np.zeros(here.sum())
        way[here] = segment(ends[i], ends[i + 1], np.clip(t, 0, 1), path)
    return way
