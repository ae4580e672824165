"""The sub-commands of sample-dcgan.py, as users run them, on a tiny model."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import Run, assert_refused, contents, load_picture, load_script, save_picture
from PIL import Image

from dcgan_completion import checkpoints, latents
from dcgan_completion.latent import inversion, samples, walks
from dcgan_completion.latent.generator import Generator
from dcgan_completion.model import DCGAN
from dcgan_completion.photos.portraits import PORTRAITS
from dcgan_completion.settings.latent import COMMANDS
from dcgan_completion.utils import UserError

SCRIPT = "sample-dcgan.py"


def pictures(model: DCGAN, *numbers: int, seed: int = 0, limit: float = 1.0) -> np.ndarray:
    """G of samples of a seed, as one draw gives them, int [N, 16, 16, 3]."""
    z = limit * np.random.default_rng(seed).uniform(-1, 1, [max(numbers) + 1, model.z_dim])
    return checkpoints.generate(model, z[list(numbers)]).astype(int)


def cells(grid: np.ndarray) -> np.ndarray:
    rows, columns = grid.shape[0] // 16, grid.shape[1] // 16
    return grid.reshape(rows, 16, columns, 16, 3).swapaxes(1, 2).reshape(-1, 16, 16, 3).astype(int)


def assert_same(some: np.ndarray, others: np.ndarray) -> None:
    # Batches of another size may be summed in another order: a level, where one is rounded.
    assert some.shape == others.shape
    assert np.abs(some.astype(int) - others).max() <= 1


@pytest.fixture
def run(run_here: Run, vivid: Path, tmp_path: Path) -> Run:
    """A sub-command in an empty folder, which must succeed; gives its stdout."""

    def run_command(*words: object) -> str:
        done = run_here(*words, "--checkpoint-dir", vivid, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_command


# --- the command line ---


def test_every_sub_command_has_help_with_two_examples_that_parse(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = load_script(SCRIPT)
    for name, settings in COMMANDS.items():
        with pytest.raises(SystemExit) as caught:
            script.read_settings([name, "--help"])
        assert caught.value.code == 0
        text = capsys.readouterr().out
        for option in ("--checkpoint-dir", "--out", "--overwrite", "--traceback"):
            assert f"  {option}" in text
        assert ("  --seed SEED" in text) == (name != "describe")
        lines = text.partition("\nexamples:\n")[2].strip().splitlines()
        assert len(lines) == 2
        for line in lines:
            command, *words = shlex.split(line)
            assert (command, words[0]) == (f"./{SCRIPT}", name)
            assert type(script.read_settings(words)) is settings


def test_plain_help_lists_all(run_here: Run, tmp_path: Path) -> None:
    done = run_here("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"\n    {name}" in done.stdout
    own = run_here("--n", 4, "--help", cwd=tmp_path)
    assert own.stdout == run_here("grid", "--help", cwd=tmp_path).stdout
    assert "--individual" in own.stdout


def test_an_unknown_sub_command_is_refused_with_the_list(run_here: Run, tmp_path: Path) -> None:
    for word in ("grids", "a.png", "3", ""):
        assert_refused(run_here(word, cwd=tmp_path), "COMMAND", *COMMANDS)
    assert contents(tmp_path) == {}


def test_grid_is_meant_where_no_sub_command_is_named() -> None:
    read = load_script(SCRIPT).read_settings
    for words in ([], ["--n", "4"], ["--seed=3", "--individual", "x"], ["--traceback"]):
        assert read(words) == read(["grid", *words])


# --- samples ---


def test_a_grid_has_the_rows_and_columns_that_are_asked_for(
    run: Run, model: DCGAN, tmp_path: Path
) -> None:
    shapes = {
        ("--rows", 2, "--columns", 3): (6, 2, 3),
        ("--rows", 2, "--n", 5): (5, 2, 3),
        ("--columns", 4, "--n", 5): (5, 2, 4),
        ("--rows", 3, "--columns", 2, "--n", 5): (5, 3, 2),
        ("--n", 7): (7, 3, 3),
    }
    for words, (number, rows, columns) in shapes.items():
        told = run("grid", *words, "--out", "new/a.png", "--overwrite")
        assert f"wrote {number} samples of " in told
        grid = load_picture(tmp_path / "new" / "a.png")
        assert grid.shape == (16 * rows, 16 * columns, 3)
        assert_same(cells(grid)[:number], pictures(model, *range(number)))
        assert (cells(grid)[number:] == 255).all()


def test_a_numbered_grid_shows_the_same_pictures(run: Run, model: DCGAN, tmp_path: Path) -> None:
    run("grid", "--rows", 1, "--columns", 3, "--numbers", "--seed", 4, "--out", "a.png")
    sheet = load_picture(tmp_path / "a.png")
    assert sheet.shape[0] > 16 + 12
    shown = [sheet[4:20, left : left + 16] for left in (4, 24, 44)]
    assert_same(np.stack(shown), pictures(model, 0, 1, 2, seed=4))


def test_named_latents_and_a_range_are_drawn(run: Run, model: DCGAN, tmp_path: Path) -> None:
    run("grid", 7, "2-3", "--range", 0.5, "--out", "a.png", "--columns", 3)
    assert_same(cells(load_picture(tmp_path / "a.png")), pictures(model, 7, 2, 3, limit=0.5))
    z = np.random.default_rng(3).uniform(-1.5, 1.5, [2, model.z_dim])
    latents.write(str(tmp_path / "z.npz"), z)
    told = run("grid", "z.npz", "--out", "b.png")
    assert f"clipped {100 * (np.abs(z) > 1).mean():.2g} % of the values of z" in told
    expected = checkpoints.generate(model, np.clip(z, -1, 1)).astype(int)
    assert_same(cells(load_picture(tmp_path / "b.png")), expected)


def test_images_are_the_grids_pictures_one_by_one(run: Run, model: DCGAN, tmp_path: Path) -> None:
    run("images", "--count", 70, "--seed", 9, "--out", "each")
    run("images", "--count", 70, "--seed", 9, "--npy", "new/all.npy")
    run("grid", "--n", 70, "--seed", 9, "--individual", "alike")
    expected = pictures(model, *range(70), seed=9)
    files = [tmp_path / "each" / f"9-{i:05d}.png" for i in range(70)]
    assert_same(np.stack([load_picture(path) for path in files]), expected)
    each = contents(tmp_path / "each")
    config = json.loads(each.pop("config.json"))
    assert contents(tmp_path / "alike") == each
    assert (config["seed"], config["options"]["count"]) == (9, 70)
    array = np.load(tmp_path / "new" / "all.npy", mmap_mode="r")
    assert isinstance(array, np.memmap)
    assert array.dtype == np.uint8
    assert_same(array, expected)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["all.npy"]


def test_an_array_is_written_part_by_part(tmp_path: Path) -> None:
    parts = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    written = []

    def lazily() -> object:
        for part in parts:
            # Each part is on its way before the next one is made.
            written.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield part

    samples.write_array(str(tmp_path / "a.npy"), (12, 5), lazily())
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), parts.reshape(12, 5))

    def broken() -> object:
        yield parts[0]
        raise UserError("no more")

    with pytest.raises(UserError, match="no more"):
        samples.write_array(str(tmp_path / "b.npy"), (12, 5), broken())
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_the_best_are_those_that_the_discriminator_prefers(
    run: Run, model: DCGAN, tmp_path: Path
) -> None:
    z = np.random.default_rng(2).uniform(-1, 1, [90, model.z_dim])
    logits = model.discriminator(model.generator(tf.constant(z, tf.float32))).numpy()
    found, values = samples.most_realistic(model, 5, 90, 2, 1.0)
    np.testing.assert_allclose(values, np.sort(logits)[::-1][:5], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(logits[found], values, rtol=1e-3, atol=1e-4)
    told = run("best", "--count", 5, "--of", 90, "--seed", 2)
    assert told.split()[-5:] == list(map(str, found))
    assert load_picture(tmp_path / "best.png").shape[0] > 2 * 16


# --- walks and sweeps ---


def test_a_walk_is_written_as_strip_and_animations(run: Run, model: DCGAN, tmp_path: Path) -> None:
    told = run("walk", 3, 5, "--frames", 9, "--strip", 3, "--seed", 1)
    assert "clipped" not in told  # straight walks stay in the cube
    strip = cells(load_picture(tmp_path / "walk.png"))
    assert len(strip) == 3
    assert_same(strip[[0, 2]], pictures(model, 3, 5, seed=1))
    z = np.random.default_rng(1).uniform(-1, 1, [6, model.z_dim])
    assert_same(strip[1:2], checkpoints.generate(model, z[[3, 5]].mean(axis=0, keepdims=True)))
    for name in ("walk.gif", "walk.webp"):
        with Image.open(tmp_path / name) as picture:
            assert (picture.n_frames, picture.size) == (9, (16, 16))
            first = np.asarray(picture.convert("RGB")).astype(int)
            assert np.abs(first - strip[0]).mean() <= (12 if name.endswith("gif") else 1)


def test_a_walk_in_one_format_loops_and_is_a_function_of_its_seed(run: Run, tmp_path: Path) -> None:
    words = ("--points", 3, "--loop", "--path", "spherical", "--frames", 6)
    for name, seed in (("a.webp", 1), ("b.webp", 1), ("c.webp", 2)):
        run("walk", *words, "--seed", seed, "--out", name)
    data = [(tmp_path / name).read_bytes() for name in ("a.webp", "b.webp", "c.webp")]
    assert data[0] == data[1] != data[2]
    assert len(list(tmp_path.iterdir())) == 3


def test_the_share_of_a_spherical_walk_that_is_clipped_is_told(run: Run, tmp_path: Path) -> None:
    z = np.ones([2, 8])
    z[1, 0] = -1
    latents.write(str(tmp_path / "corners.npz"), z)
    told = run("walk", "corners.npz", "--path", "spherical", "--frames", 3, "--out", "a.png")
    # In the middle, seven of eight values are above 1, and one is 0.
    assert f"clipped {100 * 7 / 24:.2g} % of the values of z" in told


def test_a_sweep_takes_the_values_that_change_the_picture_most(
    run: Run, model: DCGAN, tmp_path: Path
) -> None:
    z = np.random.default_rng(0).uniform(-1, 1, [1, model.z_dim])[0]
    effects = []
    for i in range(model.z_dim):
        low, high = z.copy(), z.copy()
        low[i], high[i] = -1, 1
        ends = checkpoints.generate(model, np.stack([low, high])).astype(float)
        effects.append(np.abs(ends[0] - ends[1]).mean())
    np.testing.assert_allclose(walks.influence(Generator(model, ""), z), effects, atol=0.05)
    told = run("sweep", "--rows", 3, "--steps", 5)
    most = " ".join(map(str, np.argsort(effects)[::-1][:3]))
    assert f"dimensions {most} of z, those that change this image most" in told
    told = run("sweep", 0, "--dims", 6, 1, "--out", "a.png")
    assert "dimensions 6 1 of z, to a.png" in told


# --- arithmetic, inversion, description ---


def test_arithmetic_draws_its_result_amid_others(run: Run, model: DCGAN, tmp_path: Path) -> None:
    def shown(*numbers: int) -> list[int]:
        """How often each of some samples is in the sheet."""
        sheet = load_picture(tmp_path / "arithmetic.png").astype(int)
        places = np.lib.stride_tricks.sliding_window_view(sheet, (16, 16, 3))[:, :, 0]
        return [
            int((np.abs(places - picture).max(axis=(2, 3, 4)) <= 1).sum())
            for picture in pictures(model, *numbers)
        ]

    run("arithmetic", 3, "-", 4, "+", 4, "--noise", 0)
    # Nine times as the result; each sample by itself, and as the mean of one.
    assert shown(3, 4) == [9 + 2, 2 + 2]
    run("arithmetic", 3, "-", 4, "+", 4, "--overwrite")
    assert shown(3, 4) == [1 + 2, 2 + 2]


def test_inverted_faces_can_be_used_in_all_sub_commands(
    run: Run, model: DCGAN, tmp_path: Path
) -> None:
    expected = pictures(model, 1, 2, seed=6)
    for i, image in enumerate(expected.astype(np.uint8)):
        save_picture(tmp_path / "faces" / f"{i}.png", image)
    told = run("invert", "faces", "--aligned", "--out", "found.npz", "--n-iter", 150)
    with np.load(tmp_path / "found.npz") as file:
        assert file["z"].shape == (2, model.z_dim)
        assert file["names"].tolist() == ["faces/0.png", "faces/1.png"]
        assert f"mean PSNR {file['psnr'].mean():.1f} dB" in told
    assert load_picture(tmp_path / "found.png").shape[1] > 2 * 16
    run("grid", "found.npz", "--out", "again.png")
    found = cells(load_picture(tmp_path / "again.png"))
    assert np.abs(found - expected).mean() < 0.1 * 127.5
    run("walk", "found.npz", "--out", "a.gif", "--frames", 4)
    run("sweep", "found.npz:1", "--out", "b.png", "--steps", 2)
    run("arithmetic", "found.npz:0", "-", "found.npz:1", "+", "0-3", "--out", "c.png")
    run("images", "found.npz", "--out", "each")
    assert (tmp_path / "each" / "found-00001.png").exists()


def test_photos_are_aligned_as_by_the_alignment(run_any: Run, model: DCGAN, tmp_path: Path) -> None:
    save_picture(tmp_path / "photos" / "a.png", PORTRAITS["eileen_collins.png"]())
    words = ("photos", "align", "innerEyesAndBottomLip", "aligned", "--size", 16, "--workers", 1)
    done = run_any("align-dlib.py", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    photo = str(tmp_path / "photos" / "a.png")
    settings = load_script(SCRIPT).read_settings(["invert", photo])
    found = inversion.load_faces(settings, [photo], Generator(model, ""))
    assert list(found) == [photo]
    np.testing.assert_array_equal(found[photo], load_picture(tmp_path / "aligned" / "a.png"))


def test_a_photo_without_a_face_is_named(run_here: Run, vivid: Path, tmp_path: Path) -> None:
    save_picture(tmp_path / "gray.png", np.full([90, 90, 3], 128, np.uint8))
    save_picture(tmp_path / "small.png", np.full([16, 16, 3], 128, np.uint8))
    model = ("--checkpoint-dir", vivid)
    before = contents(tmp_path)
    done = run_here("invert", "gray.png", *model, cwd=tmp_path)
    assert_refused(done, "gray.png: no face is found", "--aligned")
    done = run_here("invert", "gray.png", "--aligned", *model, cwd=tmp_path)
    assert_refused(done, "gray.png: is 90x90, the model makes 16x16")
    assert contents(tmp_path) == before
    done = run_here(
        "invert", "gray.png", "small.png", "--aligned", *model, "--n-iter", 2, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "skipped: gray.png" in done.stderr
    assert (tmp_path / "inverted.npz").exists()


def test_json_on_the_terminal_is_nothing_but_json(run: Run, tmp_path: Path) -> None:
    found = json.loads(run("describe", "--json", "-"))
    run("describe", "--json", "a.json", "--out", "a.txt")
    assert json.loads((tmp_path / "a.json").read_text()) == found
    text = (tmp_path / "a.txt").read_text()
    assert run("describe") == text
    assert f"{found['networks']['generator']['parameters']:,}" in text


# --- errors ---

REFUSED = {
    "too many for the grid": (("grid", "--rows", 2, "--columns", 2, "--n", 5), ("--rows 2", "5")),
    "two numbers": (("grid", "3", "--n", 5), ("Z and --n", "leave one")),
    "numbers of single files": (("grid", "--individual", "a", "--numbers"), ("--numbers",)),
    "a grid and files": (("--out", "a.png", "--individual", "a"), ("--out", "--individual")),
    "not a png": (("--out", "a.jpg"), ("--out a.jpg", "PNG", "a.jpg.png")),
    "below a file": (("--out", "here.png/a.png"), ("--out here.png", "is a file")),
    "a file as folder": (("--individual", "here.png"), ("--individual here.png", "is a file")),
    "no sample": (("--n", 0), ("--n", "0")),
    "seed below 0": (("--seed=-1",), ("--seed", "-1")),
    "one file twice": (("images", 3, 3), ("generated/0-00003.png", "written twice")),
    "two places": (("images", "--npy", "a.npy", "--out", "b"), ("--npy and --out",)),
    "no npy": (("images", "--npy", "a.png"), ("--npy a.png", "a.png.npy")),
    "a range above 1": (("grid", "--range", 1.5), ("--range", "1 at most")),
    "a range of 0": (("grid", "--range", 0), ("--range", "above 0")),
    "more than there are": (("best", "--count", 9, "--of", 8), ("--count 9", "--of 8")),
    "a walk of one": (("walk", 3), ("at least two",)),
    "a walk of one point": (("walk", "--points", 1), ("at least two", "--points")),
    "a sweep of two": (("sweep", 3, 4), ("2 latents",)),
    "no such dimension": (("sweep", "--dims", 8), ("--dims 8", "0 to 7")),
    "two kinds of rows": (("sweep", "--dims", 1, "--rows", 2), ("--dims and --rows",)),
    "a sign at the end": (("arithmetic", 3, "-"), ("sign", "A - B + C")),
    "two signs": (("arithmetic", 3, "-", "+", 4), ("sign", "A - B + C")),
    "no file": (("walk", "none.npz"), ("none.npz: no such file",)),
    "another word": (("walk", "3", "x"), ("is not a latent's name", "FILE.npz")),
    "no data set": (("neighbours",), ("--dataset",)),
    "an empty data set": (("neighbours", "--dataset", "empty"), ("--dataset empty", "no images")),
    "no photo": (("invert", "none.jpg"), ("none.jpg",)),
    "an inversion as a picture": (("invert", "a.jpg", "--out", "a.png"), ("--out a.png", ".npz")),
    "a file there": (("best", "--out", "here.png"), ("here.png: exists", "--overwrite")),
    "a folder below a file": (("images", "--out", "here.png"), ("--out here.png", "is a file")),
    "an option of another": (("walk", "--rows", 2), ("--rows",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(
    case: str, run_here: Run, vivid: Path, tmp_path: Path
) -> None:
    words, expected = REFUSED[case]
    (tmp_path / "here.png").write_text("here first")
    (tmp_path / "empty").mkdir()
    before = contents(tmp_path)
    done = run_here(*words, "--checkpoint-dir", vivid, cwd=tmp_path)
    assert_refused(done, *expected)
    assert contents(tmp_path) == before
