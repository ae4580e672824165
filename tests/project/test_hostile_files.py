"""Each script over a folder of what users' folders may hold: none ends in a traceback or a hang."""

from __future__ import annotations

import csv
import faulthandler
import os
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

import hostile_files
import numpy as np
import pytest
from helpers import ROOT, TINY, Run, assert_refused, contents, load_picture
from hostile_files import Corpus

from dcgan_completion import utils
from dcgan_completion.completion import input_images
from dcgan_completion.masks import files
from dcgan_completion.utils import UserError

MODEL = ROOT / "tests" / "golden" / "checkpoint"
FACE = ROOT / "tests" / "golden" / "faces" / "face-3-00000.png"
SECONDS = 240  # after so many a script hangs, and all ends with the place where it does


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    """Ends a test that waits for a pipe: TensorFlow's C++ would not be woken by a signal."""
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("hostile") / "corpus"
    return hostile_files.make_corpus(folder, load_picture(FACE))


def as_printed(name: str) -> str:
    """A file's name as stderr has it: on one line, bytes that are no UTF-8 as an escape."""
    return " ".join(name.splitlines()).encode(errors="backslashreplace").decode()


def skipped(done: subprocess.CompletedProcess[str], corpus: Corpus) -> set[str]:
    """The files that are named as skipped, each in a line of its own."""
    known = {as_printed(n): n for n in (*corpus.sized, *corpus.bad, *corpus.doubtful)}
    lines = [part for line in done.stderr.splitlines() for part in line.split("\r")]
    found = []
    for line in lines:
        if line.startswith("skipped: "):
            text = line.removeprefix(f"skipped: {corpus.folder}{os.sep}")
            found += [known[name] for name in known if text.startswith(f"{name}: ")]
            assert text.partition(": ")[0] in known, line
    assert len(found) == len(set(found)), found
    assert "Traceback" not in done.stderr
    return set(found)


def assert_names(found: Collection[str], *wanted: Collection[str], perhaps: object = ()) -> None:
    assert set(found) - set(perhaps) == {name for names in wanted for name in names}


# --- the scripts ---


def test_a_training_skips_and_names_what_cannot_be_read(
    corpus: Corpus, run_any: Run, tmp_path: Path
) -> None:
    # An epoch leaves out what does not fill a batch, each another rest.
    arguments = ("--dataset", corpus.folder, *TINY, "--epoch", 3)
    done = run_any("train-dcgan.py", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_names(skipped(done, corpus), corpus.bad, perhaps=corpus.doubtful)
    limited = ("--max-pixels", 16 * 16, "--checkpoint-dir", "few", "--sample-dir", "s", "--log-dir")
    done = run_any("train-dcgan.py", *arguments, *limited, "l", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    large = set(corpus.sized) - {"1x1.png"}
    assert_names(skipped(done, corpus), corpus.bad, large, perhaps=corpus.doubtful)
    assert "3x500.png: is 3x500, more than 256 pixels; scale it down, or raise --max" in done.stderr


QUICK = ("--approach", "adam", "--precision", "float32", "--nIter", 1)


def test_a_completion_skips_and_names_what_cannot_be_read(
    corpus: Corpus, run_any: Run, tmp_path: Path
) -> None:
    arguments = (corpus.folder, "--checkpoint-dir", MODEL, *QUICK)
    done = run_any("complete.py", *arguments, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert_names(skipped(done, corpus), corpus.bad, corpus.sized, perhaps=corpus.doubtful)
    rows = list(csv.reader((tmp_path / "completions" / "results.csv").open(errors="ignore")))[1:]
    assert len(rows) >= len(corpus.good)
    assert len(rows) == len(list((tmp_path / "completions" / "final").iterdir()))
    done = run_any("complete.py", *arguments, "--resize", "--outDir", "resized", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert_names(skipped(done, corpus), corpus.bad, perhaps=corpus.doubtful)


def test_an_alignment_skips_and_names_what_cannot_be_read(
    corpus: Corpus, run_any: Run, tmp_path: Path
) -> None:
    options = ("--workers", 1, "--size", 16)
    words = (corpus.folder, "align", "outerEyesAndNose", "aligned")
    done = run_any("align-dlib.py", *words, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    unreadable = skipped(done, corpus)
    assert_names(unreadable, corpus.bad, perhaps=corpus.doubtful)
    report = (tmp_path / "aligned-report.csv").open(
        newline="", encoding="utf-8", errors="surrogateescape"
    )
    status = {row[0]: row[1] for row in csv.reader(report)}
    del status["input"]
    all_names = (*corpus.good, *corpus.sized, *corpus.bad, *corpus.doubtful)
    assert_names(status, all_names)
    assert {name for name in status if status[name] == "unreadable"} == unreadable


@pytest.mark.parametrize("task", [(), ("--generator", "--real")], ids=["faces", "generator"])
def test_an_evaluation_is_refused(
    task: tuple[str, ...], corpus: Corpus, run_any: Run, tmp_path: Path
) -> None:
    options = ("--checkpoint-dir", MODEL, "--cache", tmp_path / "cache", "--workers", 1)
    done = run_any("evaluate.py", *task, corpus.folder, *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("evaluate.py: error: ")
    names = (*corpus.bad, *corpus.sized, *corpus.doubtful)
    assert any(f"{corpus.folder}/{as_printed(name)}: " in last for name in names)
    assert contents(tmp_path) == {}


def test_a_file_that_is_named_itself_is_refused_in_one_line(
    corpus: Corpus, run_any: Run, tmp_path: Path
) -> None:
    for name in ("pipe.png", "dangling.png", "loop.png", "device.png", "huge.png"):
        path = corpus.folder / name
        done = run_any("complete.py", path, "--checkpoint-dir", MODEL, cwd=tmp_path)
        assert_refused(done, str(path))
        good = corpus.folder / "plain.png"
        done = run_any("complete.py", good, "--mask", path, "--checkpoint-dir", MODEL, cwd=tmp_path)
        assert_refused(done, str(path))
    assert contents(tmp_path) == {}


def test_pipes_in_place_of_a_models_files_are_refused(run_any: Run, tmp_path: Path) -> None:
    model = tmp_path / "checkpoint"
    for name in ("config.json", "checkpoint", "ckpt-600.data-00000-of-00001", "SHA256SUMS"):
        model.mkdir()
        for path in MODEL.iterdir():
            (model / path.name).symlink_to(path)
        (model / name).unlink(missing_ok=True)
        os.mkfifo(model / name)
        for script, *arguments in (("sample-dcgan.py",), ("train-dcgan.py", "--dataset", model)):
            if (script, name) != ("train-dcgan.py", "SHA256SUMS"):
                done = run_any(script, *arguments, cwd=tmp_path)
                assert_refused(done, f"checkpoint/{name}: cannot be read (a named pipe")
        for path in model.iterdir():
            path.unlink()
        model.rmdir()


def test_a_landmark_model_that_is_a_pipe_is_refused(run_any: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dat")
    words = (FACE.parent, "align", "outerEyesAndNose", "aligned", "--dlibFacePredictor", "pipe.dat")
    assert_refused(run_any("align-dlib.py", *words, cwd=tmp_path), "pipe.dat", "a named pipe")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.dat"]


def test_folders_whose_names_are_no_utf8_are_written_or_refused(
    run_any: Run, tmp_path: Path
) -> None:
    name = os.fsdecode(b"\xe4")
    model = ("--checkpoint-dir", MODEL)
    for script, *arguments in (
        ("sample-dcgan.py", *model, "--out", f"{name}/a.png"),
        ("complete.py", FACE, *model, *QUICK, "--outDir", f"{name}/completed"),
        ("align-dlib.py", FACE.parent, "align", "outerEyesAndNose", f"{name}/aligned"),
    ):
        done = run_any(script, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert r"\udce4/" in done.stdout
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == [
        "a.png",
        "aligned",
        "aligned-report.csv",
        "completed",
    ]
    data = ("--dataset", FACE.parent, *TINY)
    encoder = ("--dataset", FACE.parent, "--image-size", 16)
    (tmp_path / name / "a.dat").write_bytes(b"")
    align = ("align-dlib.py", FACE.parent, "align", "outerEyesAndNose", "b")
    before = contents(tmp_path)
    for script, *arguments in (
        ("train-dcgan.py", *data, "--checkpoint-dir", f"{name}/model"),
        ("train-dcgan.py", *data, "--log-dir", f"{name}/logs"),
        ("train-context-encoder.py", *encoder, "--checkpoint-dir", f"{name}/model"),
        ("train-context-encoder.py", *encoder, "--log-dir", f"{name}/logs"),
        ("sample-dcgan.py", "--checkpoint-dir", f"{name}/model"),
        ("export.py", "--checkpoint-dir", MODEL, f"{name}/model"),
        (*align, "--dlib-face-predictor", f"{name}/a.dat"),
    ):
        done = run_any(script, *arguments, cwd=tmp_path)
        assert_refused(done, "reads only paths in UTF-8; rename it")
    assert contents(tmp_path) == before


# --- the readers ---

KINDS = {
    "pipe.png": "a named pipe, not a file",
    "link to pipe.png": "a named pipe, not a file",
    "socket.png": "a socket, not a file",
    "device.png": "a device, not a file",
    "a folder.png": "a folder, not a file",
    "dangling.png": "a broken link",
    "loop.png": "a circular link",
    "postscript.png": "unknown format",
    "icon.png": "unknown format",
    "empty.png": "unknown format",
}


def test_all_readers_say_what_a_file_is(corpus: Corpus) -> None:
    for name, what in KINDS.items():
        path = str(corpus.folder / name)
        for read in (
            utils.load_image,
            lambda path: files.read_square(path, 16),
            lambda path: input_images.check_image(path, 16, True),
        ):
            with pytest.raises(UserError) as caught:
                read(path)
            assert str(caught.value) == f"{path}: cannot be read as an image ({what})"


def test_good_files_are_read_whatever_they_are_called(corpus: Corpus) -> None:
    face = load_picture(FACE).astype(int)
    for name in corpus.good:
        image = utils.load_image(corpus.folder / name)
        assert image.shape == (16, 16, 3), name
        turned = name.startswith("turned") and name not in ("turned-1.jpg", "turned-77.jpg")
        if not turned and name not in ("palette.png", "one-bit.png"):
            gray = np.ptp(image, axis=2).max() == 0
            wanted = face.mean(axis=2, keepdims=True) if gray else face
            assert np.abs(image - wanted).mean() < 25, name  # JPEG, GIF and another gray


def test_the_limit_of_pixels_is_met_exactly(tmp_path: Path) -> None:
    for width, height in ((10, 10), (20, 5), (101, 1)):
        path = tmp_path / f"{width}x{height}.png"
        utils.save_image(path, np.zeros([height, width, 3], np.uint8))
        utils.limit_pixels(width * height)
        assert utils.load_image(path).shape == (height, width, 3)
        utils.limit_pixels(width * height - 1)
        with pytest.raises(UserError, match=rf"is {width}x{height}, more than \d+ pixels"):
            utils.load_image(path)


def test_no_pixel_of_a_too_large_image_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(hostile_files.png_of_size(10_000, 10_001))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UserError, match="is 10000x10001, more than 100000000 pixels"):
        utils.load_image(path)


def test_a_photo_may_have_more_pixels_than_pillow_would_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(hostile_files.png_of_size(20_000, 20_000))
    utils.limit_pixels(400_000_000)
    with utils.open_picture(path) as picture:
        assert picture.size == (20_000, 20_000)


def test_folders_without_permission_are_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every folder and file: as root this would prove nothing")
    (tmp_path / "closed").mkdir(mode=0)
    assert utils.list_images(tmp_path) == [str(tmp_path / "closed")]
    (tmp_path / "closed.png").write_bytes(b"")
    (tmp_path / "closed.png").chmod(0)
    with pytest.raises(UserError, match=r"closed\.png: cannot be read .*Permission denied"):
        utils.load_image(tmp_path / "closed.png")
