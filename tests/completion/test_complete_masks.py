"""The masks of complete.py, drawn and from files, and how the hole is filled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from completion_helpers import (
    SIZE,
    assert_losses,
    block_means,
    cells,
    finals_of,
    levels,
    signed,
    z_of,
)
from helpers import Run, load_picture, save_picture

from dcgan_completion.model import DCGAN

pytest_plugins = ["completion_fixtures"]


def center(y: int, x: int) -> bool:
    return not (4 <= y < 12 and 4 <= x < 12)


def small_center(y: int, x: int) -> bool:
    return not (6 <= y < 9 and 6 <= x < 9)  # 16 * 0.4 = 6.4 and 16 * 0.6 = 9.6


# What is known of row y and column x.
MASKS: dict[str, tuple[tuple[object, ...], Callable[[int, int], bool]]] = {
    "center": (("--maskType", "center"), center),
    "centerScale": (("--centerScale", 0.4), small_center),
    "left": (("--maskType", "left"), lambda y, x: x >= 8),
    "grid": (("--maskType", "grid"), lambda y, x: y % 4 == 0 and x % 4 == 0),
    "full": (("--maskType", "full"), lambda y, x: True),
}


@pytest.mark.parametrize(
    ("case", "approach"), [*((case, "adam") for case in MASKS), ("left", "pgd"), ("full", "pgd")]
)
def test_masks_decide_what_is_known(
    case: str, approach: str, complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    options, definition = MASKS[case]
    images, out = complete_noise(*options, "--approach", approach)
    known = np.array([[definition(y, x) for x in range(SIZE)] for y in range(SIZE)])
    masked, finals = cells(load_picture(out / "masked.png")), finals_of(out)
    np.testing.assert_array_equal(masked[:, known], images[:, known])
    assert (masked[:, ~known] == 128).all()
    z = z_of(out)
    assert np.abs(z).max() <= 1
    generated = levels(model.generator(tf.constant(z)))
    hole = np.ones_like(known) if case == "full" else ~known
    np.testing.assert_array_equal(finals[:, ~hole], images[:, ~hole])
    assert np.abs(finals - generated)[:, hole].max() <= 1
    assert_losses(out, model, images, known[np.newaxis, ..., np.newaxis])


def test_random_masks_miss_a_fifth_and_derive_from_seed_and_pixels(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    missing = {}
    for seed in (0, 1):
        options = ("--maskType", "random", "--blend", "none", "--weighted", 0, "--average", 1)
        images, out = complete_noise(*options, "--seed", seed, "--overwrite")
        masked, finals = cells(load_picture(out / "masked.png")), finals_of(out)
        missing[seed] = (masked == 128).all(axis=-1)  # noise is never that gray
        known = ~missing[seed]
        np.testing.assert_array_equal(masked[known], images[known])
        np.testing.assert_array_equal(finals[known], images[known])
        generated = levels(model.generator(tf.constant(z_of(out))))
        assert np.abs(finals - generated)[~known].max() <= 1
        assert_losses(out, model, images, known[..., np.newaxis])
        deviation = np.sqrt(0.2 * 0.8 / SIZE**2)
        assert np.abs(missing[seed].mean(axis=(1, 2)) - 0.2).max() < 5 * deviation
        assert (missing[seed][0] != missing[seed][1]).any()
    assert (missing[0] != missing[1]).any(axis=(1, 2)).all()


def test_lowres_knows_the_averages_of_blocks(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], model: DCGAN
) -> None:
    images, out = complete_noise("--maskType", "lowres", "--average", 1)
    means = block_means(signed(images), 8)
    seen = levels(means.repeat(8, axis=1).repeat(8, axis=2))
    assert np.abs(cells(load_picture(out / "masked.png")) - seen).max() <= 1
    generated = levels(model.generator(tf.constant(z_of(out))))
    assert np.abs(finals_of(out) - generated).max() <= 1
    assert_losses(out, model, images, np.ones([1, 1, 1, 1]), edge=8)


@pytest.mark.parametrize("kind", ["one for all", "one for each"])
def test_mask_files_say_what_is_missing(
    kind: str, complete_noise: Callable[..., tuple[np.ndarray, Path]], tmp_path: Path
) -> None:
    hole = np.zeros([2, SIZE, SIZE], bool)
    hole[0, 3:7, 2:9] = hole[0, 10:, 12:] = True
    if kind == "one for all":
        save_picture(tmp_path / "mask.png", np.uint8(255 * hole[0].repeat(2, 0).repeat(2, 1)))
        hole[1], options = hole[0], ("--mask", "mask.png")
    else:
        hole[1, :, 5:6] = True
        for i in range(2):
            save_picture(tmp_path / "masks" / f"{i}.png", np.uint8(255 * ~hole[i]))
        options = ("--mask", "masks", "--invert-mask")
    images, out = complete_noise(*options)
    masked, finals = cells(load_picture(out / "masked.png")), finals_of(out)
    np.testing.assert_array_equal(masked[~hole], images[~hole])
    assert (masked[hole] == 128).all()
    np.testing.assert_array_equal(finals[~hole], images[~hole])
    assert (finals[hole] != images[hole]).any()


def test_dilate_grows_the_hole_and_feather_goes_over_inside(
    complete_noise: Callable[..., tuple[np.ndarray, Path]], tmp_path: Path
) -> None:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    hole = (abs(rows - 7.5) < 2) & (abs(columns - 7.5) < 2)
    save_picture(tmp_path / "mask.png", np.uint8(255 * hole))
    near = ((rows[..., None] - rows[hole]) ** 2 + (columns[..., None] - columns[hole]) ** 2).min(-1)
    grown = near <= 9
    options = ("--mask", "mask.png", "--dilate", 3, "--blend", "none", "--approach", "adam")
    images, out = complete_noise(*options)
    plain = finals_of(out)
    np.testing.assert_array_equal(plain[:, ~grown], images[:, ~grown])
    added = grown & ~hole
    assert (plain[:, added] != images[:, added]).any(axis=-1).all()  # noise is never G's
    complete_noise(*options, "--feather", "--overwrite")
    soft = finals_of(out)
    np.testing.assert_array_equal(soft[:, ~grown], images[:, ~grown])
    np.testing.assert_array_equal(soft[:, hole], plain[:, hole])
    low, high = np.minimum(images, plain), np.maximum(images, plain)
    assert ((soft >= low) & (soft <= high))[:, added].all()
    assert (soft[:, added] != images[:, added]).any()
    assert (soft[:, added] != plain[:, added]).any()


def test_blending_keeps_what_is_known_and_leaves_no_step(
    vivid: Path, tmp_path: Path, run_complete: Run
) -> None:
    smooth = np.zeros([SIZE, SIZE, 3], np.uint8) + np.uint8(np.linspace(40, 200, SIZE))[:, None]
    save_picture(tmp_path / "smooth.png", smooth)
    steps = {}
    for blend in ("none", "poisson", "smooth"):
        options = ("--blend", blend, "--outDir", blend, "--nIter", 3)
        done = run_complete("smooth.png", "--checkpointDir", vivid, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        final = load_picture(tmp_path / blend / "final" / "smooth.png").astype(int)
        inside = np.zeros([SIZE, SIZE], bool)
        inside[4:12, 4:12] = True
        np.testing.assert_array_equal(final[~inside], smooth[~inside])
        steps[blend] = np.abs(final[4:12, 4] - final[4:12, 3]).mean()
    assert max(steps["poisson"], steps["smooth"]) < 0.75 * steps["none"]
