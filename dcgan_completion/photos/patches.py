"""Patches of a face's own skin, hair and brows, for a hole in it.

Nodes lie on a lattice over the hole. Each takes the fine detail of a known place whose coarse
appearance is that of the estimate at the node; neighbours that take from places side by side are
preferred, and try each other's, as in PatchMatch (Barnes et al. 2009, "PatchMatch: a randomized
correspondence algorithm for structural image editing", ACM TOG 28(3)), but without chance.
"""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

from dcgan_completion.octaves import luma_of
from dcgan_completion.photos.face_grid import (
    EDGE,
    PER_UNIT,
    FaceGrid,
    blur,
    in_units,
    inverse_of,
    look_up,
    transform,
)
from dcgan_completion.photos.mirror import Mirror

# Units: the Gaussian; what it leaves is compared, what it takes away is transferred. With 1 PSNR
# was 0.1 dB lower (16 photos), and the corners of mouths were darker: they got bits of nostrils.
SPLIT = 0.75
STEP = 2 * PER_UNIT  # pixels of the grid between nodes; half a patch
TAPS = np.arange(-STEP, STEP + 1, PER_UNIT)  # pixels: rows and columns of a patch to compare at
MEAN_WEIGHT = 0.5  # of a patch's mean colour, where 1 is that of its other colours
DISTANCE = 0.25  # levels of difference that a unit of distance weighs
CALM = 0.1  # by which the energy of a source's detail adds to its cost: no hair on cheeks
MAX_SOURCES = 6000  # of the face, and of its mirror image
REGION = (-8.5, 71.5), (-18.0, 70.0)  # units, in u and v: where sources may lie
MIRROR_TRUST = 0.3  # with which the mirror image is a source, too
CANDIDATES = 10  # sources that a node begins with
SWEEPS = 3  # over all nodes, black ones and white ones in turn
COHERENCE = 0.25  # weight of the mismatch of two patches where they overlap
SHARPNESS = 3  # power of the tents by which patches overlap: less of both is less blurred

_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))  # (y, x) on the lattice
_INSIDE = 2 * STEP  # pixels from the grid's border that no patch reaches


@dataclasses.dataclass(frozen=True, eq=False)
class Patches:
    """Where on a face the nodes of a hole take their detail from.

    Attributes:
      layer: of the nodes, 0: the face itself, 1: its mirror image, -1: there is no node, int
        [n, n].
      moved: (x, y) from a node to its source in the grid, float32 [n, n, 2].
    """

    layer: np.ndarray
    moved: np.ndarray

    def rest(
        self, grid: FaceGrid, mirror: Mirror, low: np.ndarray, x: np.ndarray, y: np.ndarray
    ) -> np.ndarray:
        """Put the detail of the sources together at some places of the photo.

        Args:
          grid: of the face.
          mirror: of the same.
          low: of the face, as `low_of`.
          x, y: of the places, float32 [h, w].

        Returns:
          levels of 255, float32 [h, w, C]; 0 where there is no node.
        """
        gx, gy = (plane / np.float32(STEP) for plane in transform(grid.matrix, x, y))
        column, row = (np.floor(plane).astype(np.int32) for plane in (gx, gy))
        there = self.layer >= 0
        total = np.zeros([*x.shape, grid.image.shape[-1]], np.float32)
        weights = np.zeros([*x.shape, 1], np.float32)
        for down in (0, 1):
            for right in (0, 1):
                i, j = (
                    np.clip(index + one, 0, len(self.layer) - 1)
                    for index, one in ((row, down), (column, right))
                )
                away = np.abs(gx - np.float32(j)), np.abs(gy - np.float32(i))
                tent = np.maximum((1 - away[0]) * (1 - away[1]), 0)
                weight = (tent**SHARPNESS * there[i, j])[..., np.newaxis]
                places = self._sources(grid, mirror, (i, j), x, y)
                total += weight * grid.rest_at(*places, low)
                weights += weight
        total /= np.maximum(weights, np.float32(1e-6))
        return total

    def _sources(
        self,
        grid: FaceGrid,
        mirror: Mirror,
        node: tuple[np.ndarray, np.ndarray],
        x: np.ndarray,
        y: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find where the photo has the detail of places (x, y), each [h, w], by their `node`s."""
        back = inverse_of(grid.matrix)
        shift = self.moved @ back[:, :2].T.astype(np.float32)
        # Whole pixels of the photo: what is not sampled between pixels is not blurred.
        steps = np.rint(shift)[node]
        direct = x + steps[..., 0], y + steps[..., 1]
        turned = self.layer[node] == 1
        if not turned.any():
            return direct
        moved = self.moved[node]
        gx, gy = transform(grid.matrix, x, y)
        maps = np.dstack([mirror.x, mirror.y])
        there = look_up(maps, gx + moved[..., 0], gy + moved[..., 1], cv2.INTER_LINEAR)
        mirrored = transform(back, there[..., 0], there[..., 1])
        px, py = (np.where(turned, m, d) for m, d in zip(mirrored, direct, strict=True))
        return px, py


def low_of(image: np.ndarray) -> np.ndarray:
    """Blur an image of the grid, so that what is left is compared: float32 [EDGE, EDGE, C]."""
    return blur(image, PER_UNIT * SPLIT)


def find_patches(grid: FaceGrid, mirror: Mirror, low: np.ndarray, needed: np.ndarray) -> Patches:
    """Find sources for the nodes of a hole.

    Args:
      grid: of the face.
      mirror: of the same.
      low: of the face, as `low_of`.
      needed: where in the grid detail is needed, bool [EDGE, EDGE].
    """
    images = np.stack([grid.image, mirror.image])
    lows = np.stack([low, low_of(mirror.image)])
    search = _Search(images, lows, _usable(grid, mirror))
    near = cv2.dilate(needed.astype(np.uint8), np.ones([2 * STEP - 1] * 2, np.uint8))
    lattice = near[::STEP, ::STEP] > 0
    count = -(-_INSIDE // STEP)
    lattice[:count] = lattice[-count:] = lattice[:, :count] = lattice[:, -count:] = False
    layer = np.full(lattice.shape, -1)
    moved = np.zeros([*lattice.shape, 2], np.float32)
    if lattice.any() and search.usable.any():
        nodes = np.argwhere(lattice)
        found = search.run(lattice, nodes)
        places = np.stack(np.unravel_index(found, search.usable.shape), axis=-1)
        layer[lattice] = places[:, 0]
        moved[lattice] = (places[:, 1:] - STEP * nodes)[:, ::-1]
    return Patches(layer, moved)


def _usable(grid: FaceGrid, mirror: Mirror) -> np.ndarray:
    """Find the middles of patches that may be sources, bool [2, EDGE, EDGE]."""
    window = np.ones([2 * STEP + 1] * 2, np.uint8)
    trusted = mirror.known & (mirror.trust > MIRROR_TRUST)
    whole = [
        cv2.erode(plane.astype(np.uint8), window, borderValue=0) > 0
        for plane in (grid.known, mirror.known)
    ]
    usable = np.stack([whole[0], whole[1] & trusted])
    u, v = in_units()
    (left, right), (top, bottom) = REGION
    usable &= (u > left) & (u < right) & (v > top) & (v < bottom)
    inside = np.zeros_like(usable)
    inside[:, _INSIDE:-_INSIDE, _INSIDE:-_INSIDE] = True
    return usable & inside


class _Search:
    """The search for sources. A place is an index into the flattened [2, EDGE, EDGE].

    Attributes:
      usable: which places may be sources, bool [2, EDGE, EDGE].
    """

    def __init__(self, images: np.ndarray, lows: np.ndarray, usable: np.ndarray) -> None:
        """Take the face and its mirror image, float32 [2, EDGE, EDGE, C], and low-passes."""
        self.usable = usable
        rest = images - lows
        box = (2 * STEP + 1, 2 * STEP + 1)
        energy = np.stack([cv2.blur(np.square(r).mean(axis=-1), box) for r in rest])
        self._energy, self._low = energy.ravel(), lows.reshape(-1, lows.shape[-1])
        self._rest = np.stack([luma_of(r) for r in rest]).ravel()
        self._taps = (TAPS[:, np.newaxis] * EDGE + TAPS).ravel()

    def run(self, lattice: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Find the sources of nodes, (y, x) [N, 2] where the lattice, bool [n, n], is True: [N]."""
        own = STEP * (nodes[:, 0] * EDGE + nodes[:, 1])
        wanted = self._features(own, np.zeros(len(own)))
        sources = np.concatenate([self._thinned(layer) for layer in (0, 1)])
        offered = self._features(sources, CALM * self._energy[sources])
        count = min(CANDIDATES, len(sources))
        costs, indices = cv2.batchDistance(
            wanted, offered, cv2.CV_32F, normType=cv2.NORM_L2SQR, K=count
        )
        candidates = sources[np.asarray(indices, np.intp)]
        number = np.full(np.add(lattice.shape, 2), -1)
        number[1:-1, 1:-1][lattice] = np.arange(len(nodes))
        beside = np.stack([number[tuple((nodes + 1 + d).T)] for d in _NEIGHBOURS], axis=1)
        current = candidates[:, 0].copy()
        for _ in range(SWEEPS):
            for colour in (0, 1):
                some = np.flatnonzero(nodes.sum(axis=1) % 2 == colour)
                if len(some):
                    own_costs = candidates[some], costs[some]
                    current[some] = self._best(wanted[some], own_costs, current, beside[some])
        return current

    def _thinned(self, layer: int) -> np.ndarray:
        """List the sources of a layer, MAX_SOURCES at most, on a grid: indices [n]."""
        usable = self.usable[layer]
        stride = max(1, math.ceil(math.sqrt(np.count_nonzero(usable) / MAX_SOURCES)))
        thinned = np.zeros_like(usable)
        thinned[::stride, ::stride] = usable[::stride, ::stride]
        return np.flatnonzero(thinned) + layer * usable.size

    def _features(self, places: np.ndarray, extra: np.ndarray) -> np.ndarray:
        """Describe places, [...]: squared distances are costs; `extra` adds to the cost, [...]."""
        colours = self._low[places[..., np.newaxis] + self._taps]
        colours -= (1 - MEAN_WEIGHT) * colours.mean(axis=-2, keepdims=True)
        colours = colours.reshape(*places.shape, -1)
        y, x = np.divmod(places % EDGE**2, EDGE)
        position = np.stack([x, y], axis=-1) * (DISTANCE / PER_UNIT)
        parts = [colours / math.sqrt(colours.shape[-1]), position, np.sqrt(extra)[..., np.newaxis]]
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    def _best(
        self,
        wanted: np.ndarray,
        own: tuple[np.ndarray, np.ndarray],
        current: np.ndarray,
        beside: np.ndarray,
    ) -> np.ndarray:
        """Choose the best source of some nodes while the others keep theirs.

        Args:
          wanted: their features, [n, F].
          own: their first candidates and the costs of those, [n, K] each.
          current: sources of all nodes, [N].
          beside: their neighbours' numbers, -1 where there is none, [n, 4].
        """
        candidates, costs = own
        there = beside >= 0
        others = current[beside]
        shifts = STEP * np.array([dy * EDGE + dx for dy, dx in _NEIGHBOURS])
        moved = others - shifts
        # A patch that leaves the grid is unusable: `usable` keeps away from its border by more.
        allowed = there & self.usable.ravel()[moved]
        moved = np.where(allowed, moved, candidates[:, :1])
        features = self._features(moved, CALM * self._energy[moved])
        more = np.square(features - wanted[:, np.newaxis]).sum(axis=-1)
        candidates = np.concatenate([candidates, moved], axis=1)
        costs = np.concatenate([costs, np.where(allowed, more, np.inf)], axis=1)
        for k, (dy, dx) in enumerate(_NEIGHBOURS):
            overlap = _overlap(dy, dx)
            theirs = self._rest[others[:, k, np.newaxis] + overlap - shifts[k]]
            ours = self._rest[candidates[..., np.newaxis] + overlap]
            mismatch = np.square(ours - theirs[:, np.newaxis]).mean(axis=-1)
            costs += COHERENCE * mismatch * there[:, k, np.newaxis]
        return candidates[np.arange(len(candidates)), costs.argmin(axis=1)]


def _overlap(dy: int, dx: int) -> np.ndarray:
    """List the pixels of a patch that its neighbour has, too: what to add to its place, [n]."""
    y, x = np.meshgrid(*2 * [np.arange(-STEP, STEP + 1)], indexing="ij")
    both = (np.abs(y - STEP * dy) <= STEP) & (np.abs(x - STEP * dx) <= STEP)
    return (y * EDGE + x)[both]
