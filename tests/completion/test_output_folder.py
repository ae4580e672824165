"""The output folder of a completion: what a batch leaves there, and what may be replaced."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from completion_helpers import COLUMNS, history_of, rows_of
from helpers import contents, load_picture, save_picture
from PIL import Image

from dcgan_completion.completion.output_folder import CompletionFolder
from dcgan_completion.inpaint.candidates import Searched
from dcgan_completion.utils import UserError

SIZE = 8
OPTIONS = {"lr": 0.5, "images": ["a.png"]}
UNFINISHED = {"options": OPTIONS, "completion": {"finished": False}}
FINISHED = UNFINISHED | {"completion": {"finished": True}}
NAMES = {"in/a.png": "a", "in/b, 2.png": "b, 2"}


@pytest.fixture
def out(tmp_path: Path) -> CompletionFolder:
    return CompletionFolder(str(tmp_path / "out"))


def candidates(
    iteration: int, count: int, random: np.random.Generator, samples: int = 1, average: int = 1
) -> Searched:
    """A state of a search with made-up numbers, three iterations after the one before."""
    pictures = random.integers(0, 256, [2, count, samples, SIZE, SIZE, 3]).astype(np.float32)
    losses = np.sort(random.uniform(10, 20, [3, count, samples]), axis=2).astype(np.float32)
    return Searched(
        iteration,
        *pictures,
        random.uniform(-1, 1, [count, samples, average, 5]).astype(np.float32),
        tuple(losses),
        random.uniform(10, 20, [3 if iteration else 0, count]),
    )


def write_batch(
    out: CompletionFolder,
    number: int,
    names: dict[str, str],
    random: np.random.Generator,
    **options: int,
) -> tuple[np.ndarray, np.ndarray, list[Searched]]:
    """One batch of three states; returns the images, what is known of them, and the states."""
    before, masked = random.integers(0, 256, [2, len(names), SIZE, SIZE, 3], np.uint8)
    states = [candidates(i, len(names), random, **options) for i in (0, 3, 6)]
    out.start_batch(number, before, masked)
    for state in states:
        out.write_state(state, np.uint8(state.images))
    out.finish_batch(names, before, states[-1], np.uint8(states[-1].images))
    return before, masked, states


def text_of(values: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


# --- batches ---


def test_a_batch_leaves_its_pictures_losses_and_latents(
    out: CompletionFolder, tmp_path: Path, random: np.random.Generator
) -> None:
    out.start(UNFINISHED)
    before, masked, states = write_batch(out, 1, NAMES, random)
    folder = tmp_path / "out"
    side_by_side = [np.concatenate(images, axis=1) for images in (before, masked)]
    for name, picture in zip(("before.png", "masked.png"), side_by_side, strict=True):
        np.testing.assert_array_equal(load_picture(folder / name), picture)
    for state in states:
        name = f"{state.iteration:04d}.png"
        for kind, images in (("hats_imgs", state.generated), ("completed", state.images)):
            grid = np.concatenate(images[:, 0], axis=1)
            np.testing.assert_array_equal(load_picture(folder / kind / name), grid)
    with Image.open(folder / "completion.gif") as gif:
        assert gif.n_frames == 3
    names, history = history_of(folder)
    assert names == list(NAMES.values())
    wanted = np.concatenate([state.history for state in states])
    np.testing.assert_array_equal(history, [text_of(row) for row in wanted])
    last = states[-1]
    with np.load(folder / "logs" / "z.npz") as arrays:
        assert sorted(arrays) == ["inputs", "names", "z"]
        np.testing.assert_array_equal(arrays["z"], last.z[:, 0, 0])
        assert arrays["names"].tolist() == list(NAMES.values())
        assert arrays["inputs"].tolist() == list(NAMES)
    for i, name in enumerate(NAMES.values()):
        np.testing.assert_array_equal(
            load_picture(folder / "final" / f"{name}.png"), last.images[i, 0]
        )
    total, contextual, perceptual = (text_of(loss[:, 0]) for loss in last.losses)
    for i, row in enumerate(rows_of(folder)):
        assert row[:2] == [list(NAMES)[i], f"{list(NAMES.values())[i]}.png"]
        assert [float(x) for x in row[2:]] == [contextual[i], perceptual[i], total[i]]
    assert not (folder / "samples").exists()
    assert not [name for name in contents(folder) if name.endswith(".partial")]


def test_later_batches_have_folders_and_share_the_results(
    out: CompletionFolder, tmp_path: Path, random: np.random.Generator
) -> None:
    out.start(UNFINISHED)
    write_batch(out, 1, NAMES, random)
    write_batch(out, 2, {"in/c.png": "c"}, random)
    folder = tmp_path / "out"
    first = {p.name for p in folder.iterdir()} - {"final", "results.csv", "config.json"}
    assert first - {"batch-0002"} == {p.name for p in (folder / "batch-0002").iterdir()}
    assert history_of(folder / "batch-0002")[0] == ["c"]
    assert [row[0] for row in rows_of(folder)] == [*NAMES, "in/c.png"]
    assert sorted(os.listdir(folder / "final")) == ["a.png", "b, 2.png", "c.png"]
    assert out.done == {*NAMES, "in/c.png"}


def test_samples_are_pictures_of_their_own_and_a_sheet(
    out: CompletionFolder, tmp_path: Path, random: np.random.Generator
) -> None:
    out.start(UNFINISHED)
    before, masked, states = write_batch(out, 1, NAMES, random, samples=3, average=2)
    folder, last = tmp_path / "out", states[-1]
    for i, name in enumerate(NAMES.values()):
        samples = last.images[i]
        own = folder / "samples" / name
        assert sorted(os.listdir(own)) == ["1.png", "2.png", "3.png"]
        for rank, sample in enumerate(samples, 1):
            np.testing.assert_array_equal(load_picture(own / f"{rank}.png"), sample)
        sheet = np.concatenate([before[i], masked[i], *samples], axis=1)
        np.testing.assert_array_equal(load_picture(folder / "samples" / f"{name}.png"), sheet)
        np.testing.assert_array_equal(load_picture(folder / "final" / f"{name}.png"), samples[0])
    with np.load(folder / "logs" / "z.npz") as arrays:
        np.testing.assert_array_equal(arrays["samples_z"], last.z)  # [N, K, A, z_dim]
        np.testing.assert_array_equal(arrays["z"], last.z[:, 0])
        np.testing.assert_array_equal(arrays["samples_losses"], last.losses[0])


# --- start and resume ---


def test_start_clears_what_a_completion_wrote_and_no_more(
    out: CompletionFolder, tmp_path: Path, random: np.random.Generator
) -> None:
    out.start(UNFINISHED)
    write_batch(out, 1, NAMES, random, samples=2)
    write_batch(out, 2, {"in/c.png": "c"}, random)
    folder = tmp_path / "out"
    (folder / "notes.txt").write_text("precious")
    (folder / "batch-2").mkdir()
    assert len(out.existing()) == 10
    again = CompletionFolder(out.path)
    again.start(FINISHED)
    assert set(contents(folder)) == {"notes.txt", "batch-2", "final", "config.json"}
    config = json.loads((folder / "config.json").read_text())
    assert config == {"program": "dcgan-completion"} | FINISHED
    assert again.done == set()


def test_resume_goes_on_with_the_results_that_are_there(
    out: CompletionFolder, tmp_path: Path, random: np.random.Generator
) -> None:
    out.start(UNFINISHED)
    write_batch(out, 1, NAMES, random)
    folder = tmp_path / "out"
    before = contents(folder)
    again = CompletionFolder(out.path)
    again.resume(UNFINISHED | {"command": "again"})
    assert again.done == set(NAMES)
    after = contents(folder)
    assert json.loads(after.pop("config.json"))["command"] == "again"
    assert after == {name: data for name, data in before.items() if name != "config.json"}
    rows = rows_of(folder)
    write_batch(again, 2, {"in/c.png": "c"}, random)
    assert rows_of(folder)[:2] == rows
    assert len(rows_of(folder)) == 3


def test_a_run_that_was_stopped_in_its_first_batch_is_resumed(out: CompletionFolder) -> None:
    out.start(UNFINISHED)
    again = CompletionFolder(out.path)
    again.resume(UNFINISHED)
    assert again.done == set()


def test_results_of_any_name_are_read_again(
    out: CompletionFolder, tmp_path: Path, random: np.random.Generator
) -> None:
    out.start(UNFINISHED)
    names = {os.fsdecode(b"in/\xff.png"): "x", 'in/"q", n\n.png': "y"}
    write_batch(out, 1, names, random)
    again = CompletionFolder(out.path)
    again.resume(UNFINISHED)
    assert again.done == set(names)
    with open(tmp_path / "out" / "results.csv", newline="", errors="surrogateescape") as file:
        head, *_ = csv.reader(file)
    assert head == COLUMNS


# --- what is there ---


def test_a_new_folder_has_no_options(out: CompletionFolder, tmp_path: Path) -> None:
    assert out.unfinished_options() is None
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    assert out.unfinished_options() is None


def test_an_unfinished_completion_has_its_options(out: CompletionFolder) -> None:
    out.start(UNFINISHED)
    assert out.unfinished_options() == OPTIONS
    assert out.unfinished_options(overwrite=True) is None


def test_a_finished_completion_is_kept_unless_it_is_overwritten(out: CompletionFolder) -> None:
    out.start(FINISHED)
    with pytest.raises(UserError) as caught:
        out.unfinished_options()
    assert str(caught.value) == (
        f"--outDir {out.path}: holds a finished completion; choose another folder, or replace it "
        "with --overwrite"
    )
    assert out.unfinished_options(overwrite=True) is None


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_others_wrote_is_never_replaced(
    overwrite: bool, out: CompletionFolder, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    (folder / "final").mkdir(parents=True)
    for config, words in (
        (None, f"--outDir {out.path}: {out.path}/final is not of a completion; choose another"),
        (
            {"program": "dcgan-completion", "options": {}},
            "is the folder of a model or of another command; choose",
        ),
        ({"program": "other"}, "another program wrote it"),
    ):
        if config is not None:
            (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(UserError) as caught:
            out.unfinished_options(overwrite)
        assert words in str(caught.value)


def test_inputs_in_what_is_cleared_are_refused(
    out: CompletionFolder, tmp_path: Path, random: np.random.Generator
) -> None:
    out.start(UNFINISHED)
    write_batch(out, 1, NAMES, random)
    outside, beside = tmp_path / "a.png", tmp_path / "out" / "mine.png"
    for path in (outside, beside):
        save_picture(path, np.zeros([SIZE, SIZE, 3], np.uint8))
    out.check_inputs([str(outside), str(beside)])
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "out" / "final" / "a.png")
    for lost in (f"{out.path}/before.png", f"{out.path}/final/a.png", str(link)):
        with pytest.raises(UserError) as caught:
            out.check_inputs([str(outside), lost])
        assert str(caught.value) == (
            f"{lost}: lies in --outDir {out.path}, which is cleared; copy it first"
        )
