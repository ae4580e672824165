"""Folders of heads: how they are drawn, moved and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_completion.training import head_dataset
from dcgan_completion.training.head_dataset import HeadFolders
from dcgan_completion.utils import UserError

SIZE, STORED = 16, 40


def head(colour: int, blank: int = 0) -> np.ndarray:
    """A head of one colour of which the first columns were not seen."""
    picture = np.full([STORED, STORED, 4], colour, np.uint8)
    picture[..., 3] = 255
    picture[:, :blank] = 0
    return picture


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for name, colours in (("a", range(40, 45)), ("b", range(200, 202))):
        (tmp_path / name).mkdir()
        for colour in colours:
            Image.fromarray(head(colour)).save(tmp_path / name / f"{colour}.png")
    return [str(tmp_path / name) for name in "ab"]


def open_folders(folders: list[str], **options: object) -> HeadFolders:
    return HeadFolders(folders, **{"image_size": SIZE, "batch_size": 4} | options)


def test_a_batch_depends_on_seed_and_step_alone(folders: list[str]) -> None:
    first = open_folders(folders, seed=3).batch(5)
    assert first.shape == (4, SIZE, SIZE, 4)
    np.testing.assert_array_equal(first, open_folders(folders, seed=3).batch(5))
    np.testing.assert_array_equal(first[1:3], open_folders(folders, seed=3).batch(5, slice(1, 3)))
    for other in (open_folders(folders, seed=4).batch(5), open_folders(folders, seed=3).batch(6)):
        assert (first != other).any()


def test_prefetched_batches_are_the_same(folders: list[str]) -> None:
    data = open_folders(folders)
    for step, batch in zip(range(2, 9), data.batches(2, 9), strict=True):
        np.testing.assert_array_equal(batch, data.batch(step))


def test_folders_count_by_their_proportions(folders: list[str], monkeypatch) -> None:
    monkeypatch.setattr(head_dataset, "LIGHT", 0.0)  # so that colours tell the folders
    data = open_folders(folders, proportions=[1, 3], batch_size=6)
    drawn = np.concatenate([data.batch(step)[:, 8, 8, 0] for step in range(100)])
    # Binomial: 600 draws of probability 3/4; four standard deviations are 0.07.
    assert (drawn > 100).mean() == pytest.approx(0.75, abs=0.07)
    equal = open_folders(folders, batch_size=6)
    drawn = np.concatenate([equal.batch(step)[:, 8, 8, 0] for step in range(100)])
    assert (drawn > 100).mean() == pytest.approx(0.5, abs=0.09)


def test_proportions_must_fit_the_folders(folders: list[str]) -> None:
    with pytest.raises(UserError, match="--proportions: 3 numbers for 2 folders"):
        open_folders(folders, proportions=[1, 2, 3])


def test_unmoved_it_is_the_middle_of_what_is_stored(folders: list[str]) -> None:
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, [STORED, STORED, 4], np.uint8)
    stored[..., 3] = 255
    placed = head_dataset.place_head(stored, SIZE, np.eye(2), np.zeros(2))
    # The middle 32 of 40 pixels, two by two.
    middle = stored[4:36, 4:36, :3].reshape(SIZE, 2, SIZE, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(placed[..., :3], middle, atol=0.51)
    assert (placed[..., 3] == 255).all()


def test_what_was_not_seen_stays_blank(monkeypatch) -> None:
    placed = head_dataset.place_head(head(90, blank=11), SIZE, np.eye(2), np.zeros(2))
    # Columns 0 to 10 of 40: of the middle 32 the first 7, so that 4 of 16 are not wholly seen.
    assert (placed[:, :4] == 0).all()
    np.testing.assert_array_equal(placed[:, 4:], np.full([SIZE, 12, 4], [90, 90, 90, 255]))


def test_a_shift_is_a_share_of_the_width() -> None:
    still, moved = (
        head_dataset.place_head(head(90, blank=11), SIZE, np.eye(2), np.array([share, 0]))
        for share in (0, 2 / SIZE)
    )
    np.testing.assert_array_equal(moved[:, 2:], still[:, :-2])


def test_heads_are_turned_scaled_and_mirrored() -> None:
    """The moments of what is drawn are those that the constants say."""
    stored = head(120)
    stored[:, : STORED // 2, :3] = 30  # the left half is dark
    left = []
    for i in range(200):
        moved = head_dataset.jitter(stored, SIZE, np.random.default_rng(i))
        left.append(moved[:, :4, :3].mean() < moved[:, -4:, :3].mean())
    assert np.mean(left) == pytest.approx(0.5, abs=0.15)


def test_held_out_heads_are_left_alone(folders: list[str]) -> None:
    data = open_folders(folders, holdout=["41.png", "201.png"])
    heads = data.load_held_out(8)
    assert sorted(heads[:, 3, 3, 0].tolist()) == [41, 201]
    assert len(data.files) == 5


def test_a_held_out_file_that_is_no_head_is_left_out(folders: list[str], caplog) -> None:
    Image.fromarray(head(40)[..., :3]).save(Path(folders[0]) / "plain.png")
    data = open_folders(folders, holdout=["41.png", "plain.png"])
    heads = data.load_held_out(8)
    assert heads.shape == (1, SIZE, SIZE, 4)
    assert "plain.png: is not a head" in caplog.text


def test_a_file_that_is_no_head_is_named(folders: list[str], caplog) -> None:
    Image.fromarray(head(40)[..., :3]).save(Path(folders[0]) / "plain.png")
    data = open_folders(folders)
    for step in range(30):
        data.batch(step)
    assert "plain.png: is not a head (RGBA, a square of 16 pixels or more)" in caplog.text
