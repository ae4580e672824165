"""How latents are named, drawn and kept."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgan_completion import latents
from dcgan_completion.latents import Name, Word
from dcgan_completion.utils import UserError


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 12))
def test_parts_of_a_seeds_samples_are_those_of_one_draw(seed: int, count: int, z_dim: int) -> None:
    whole = np.random.default_rng(seed).uniform(-1, 1, [count, z_dim])
    batches = list(latents.batches(latents.samples(count), seed, z_dim))
    np.testing.assert_array_equal(np.concatenate(batches), whole)
    assert max(map(len, batches)) <= latents.BATCH
    np.testing.assert_array_equal(latents.draw(seed, count - 1, 1, z_dim), whole[-1:])


def test_the_range_scales_samples() -> None:
    z = latents.draw(3, 5, 100, 7, 0.25)
    np.testing.assert_array_equal(z, latents.draw(3, 5, 100, 7) / 4)
    assert 0.24 < np.abs(z).max() <= 0.25


def test_words_name_numbers_ranges_and_files() -> None:
    assert latents.word("3") == Word("", 3, 3)
    assert latents.word("3-7") == Word("", 3, 7)
    assert latents.word("a b.npz") == Word("a b.npz", 0, None)
    assert latents.word("../a:1/b.npz:2") == Word("../a:1/b.npz", 2, 2)
    assert latents.word("b.npz:2-3") == Word("b.npz", 2, 3)


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "7-3", "3-", "1.5", "a.npz:", "a.npz:x", "a.npz2", ".npz", "1000000"]
)
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a latent's name"):
        latents.word(text)


def test_named_latents_come_in_the_order_of_their_names(
    tmp_path: Path, random: np.random.Generator
) -> None:
    stored = random.uniform(-1, 1, [4, 5]).astype(np.float32)
    path = str(tmp_path / "found.npz")
    latents.write(path, stored, psnr=np.arange(4))
    assert os.listdir(tmp_path) == ["found.npz"]
    words = [latents.word(text) for text in ("7", f"{path}:2-3", "2-4", path, "7")]
    names = latents.expand(words)
    assert names[:3] == [Name("", 7), Name(path, 2), Name(path, 3)]
    assert list(map(str, names[:3])) == ["7", "found:2", "found:3"]
    drawn = np.random.default_rng(1).uniform(-1, 1, [8, 5])
    expected = [drawn[7], stored[2], stored[3], *drawn[2:5], *stored, drawn[7]]
    np.testing.assert_array_equal(latents.named(names, 1, 5), expected)
    with pytest.raises(UserError, match=r"found\.npz: its latents have 5 dimensions"):
        latents.named(names, 1, 6)
    with pytest.raises(UserError, match=r"found\.npz:4: the file has 4 latents; the last one is 3"):
        latents.expand([latents.word(f"{path}:1-4")])


def damaged(tmp_path: Path) -> dict[str, Path]:
    """Files that hold no latents."""
    good = tmp_path / "good.npz"
    latents.write(str(good), np.zeros([2, 3]))
    arrays = {
        "no z": {"x": np.zeros([2, 3])},
        "flat": {"z": np.zeros(3)},
        "empty": {"z": np.zeros([0, 3])},
        "not finite": {"z": np.full([2, 3], np.nan)},
        "text": {"z": np.array([["a"]])},
        "objects": {"z": np.array([[{}]], object)},
    }
    paths = {name: tmp_path / f"{name}.npz" for name in (*arrays, "cut", "junk", "pipe", "gone")}
    for name, content in arrays.items():
        np.savez(paths[name], **content)
    paths["cut"].write_bytes(good.read_bytes()[:-60])
    paths["junk"].write_bytes(b"\x93NUMPY junk")
    os.mkfifo(paths["pipe"])
    return paths


def test_files_without_latents_are_refused(tmp_path: Path) -> None:
    for path in damaged(tmp_path).values():
        with pytest.raises(UserError) as caught:
            latents.read(str(path))
        assert str(caught.value).startswith(f"{path}: ")
        assert len(str(caught.value).splitlines()) == 1


def test_the_share_that_is_clipped_is_told() -> None:
    z, share = latents.clip(np.array([[0.5, -1.0], [1.5, -3.0]]))
    np.testing.assert_array_equal(z, [[0.5, -1.0], [1.0, -1.0]])
    assert share == 0.5
