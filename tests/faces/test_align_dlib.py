"""align-dlib.py as users run it, on two portraits and what can be made of them."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, Run, assert_refused, load_picture, load_script, run_script, save_picture
from PIL import Image
from test_faces import (
    collins,
    difference,
    hopper,
    landmarks_of_crop,
    noise,
    resized,
    scaled,
    side_by_side,
)

from dcgan_completion import utils
from dcgan_completion.faces import folder as folders
from dcgan_completion.faces.aligner import FaceAligner, align, default_predictor
from dcgan_completion.faces.placement import affine_image
from dcgan_completion.faces.report import Row, read_report
from dcgan_completion.faces.template import TEMPLATE
from dcgan_completion.settings.alignment import LANDMARK_SETS, AlignmentSettings

SCRIPT = "align-dlib.py"
INNER, OUTER = "innerEyesAndBottomLip", "outerEyesAndNose"
SIZE = 32
HEAD = ["input", "status", "output", "faces", "points", "matrix", "score", "size", "landmarks"]
OLD_HEAD = ["input", "status", "output", "faces", "size", "landmarks"]


# --- helpers ---


def run_align(
    folder: Path, *arguments: object, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Aligns raw to aligned, in the tutorial's order of arguments."""
    words = ("raw", "align", INNER, "aligned", "--size", SIZE)
    return run_script(SCRIPT, *words, "--workers", 1, *arguments, cwd=folder, status=status)


def report_of(folder: Path, name: str = "aligned-report.csv") -> dict[str, list[str]]:
    """The report's rows by input, after a look at their form."""
    with open(folder / name, newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == HEAD
    assert all(len(row) == len(HEAD) for row in rows)
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}


def contents_and_times(folder: Path) -> dict[str, tuple[bytes, int] | None]:
    """All that is below a folder with its time of change; None for folders."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="session")
def crops() -> dict[str, np.ndarray]:
    portraits = {"hopper": hopper(), "collins": collins()}
    return {name: align(photo, size=SIZE)[0][0] for name, photo in portraits.items()}


def person_in(crop: np.ndarray, crops: dict[str, np.ndarray]) -> str:
    assert crop.shape == (SIZE, SIZE, 3)
    return min(crops, key=lambda name: difference(crop, crops[name]))


# --- names ---


def aligned_names(*inputs: str, taken: tuple[str, ...] = ()) -> list[str]:
    names = folders.aligned_names(inputs, taken)
    assert list(names) == list(inputs)
    return list(names.values())


def test_a_name_is_the_path_with_hyphens_and_the_extension_where_it_is_needed() -> None:
    paths = ("a/1.jpg", "a/b/2.png", "3.jpeg", "d.e/4.x.webp", "a b/ö,.bmp")
    wanted = ["a-1.png", "a-b-2.png", "3.png", "d.e-4.x.png", "a b-ö,.png"]
    assert aligned_names(*paths) == wanted
    names = aligned_names("a/1.jpg", "a/1.png", "b/1.jpg")
    assert names == ["a-1-jpg.png", "a-1-png.png", "b-1.png"]
    assert aligned_names("a-1.png", "a/1.jpg") == ["a-1-png.png", "a-1-jpg.png"]
    names = aligned_names("a/1.jpg", "2.jpg", taken=("A-1.png", "2-jpg.png"))
    assert names == ["a-1-jpg.png", "2.png"]


@pytest.mark.parametrize(
    "paths",
    [
        ("a-1.jpg", "a/1.jpg"),
        ("a/b-c.jpg", "a-b/c.jpg", "a/b/c.jpg"),
        ("1.jpg", "1.JPG"),
        ("A/1.jpg", "a/1.jpg", "a/2.jpg", "A/2.png"),
        ("1.jpg", "1.png", "1-jpg.png", "1-png.jpg"),
        ("a/1.jpg", "a/1.png", "a-1.jpg", "a-1.png", "a-1-jpg.jpg"),
    ],
)
def test_names_that_clash_are_told_apart_also_without_case(paths: tuple[str, ...]) -> None:
    names = aligned_names(*paths)
    assert len({name.casefold() for name in names}) == len(paths)
    assert all(name.endswith(".png") and "/" not in name for name in names)
    # In whatever order the paths come.
    assert aligned_names(*reversed(paths)) == names[::-1]


def test_few_that_clash_among_many_are_told_apart_as_all_together() -> None:
    paths = [f"f{i % 7}/{i}.jpg" for i in range(300)]
    paths += ["f1/8.png", "F2/9.JPG", "f3-10.jpg", "f3-10-jpg.png", "new/1.webp"]
    taken = ["f4-11.png", "F5-12-JPG.png", "other.png"]
    candidates = {path: folders.candidates_of(path) for path in paths}
    assert folders.aligned_names(paths, taken) == utils.unique_names(candidates, taken)
    assert folders.aligned_names([]) == {}


# --- what is done already ---


def settings_of(folder: Path, **changes: object) -> AlignmentSettings:
    values = {"photos": "raw", "output": str(folder / "aligned"), "landmarks": INNER, "size": SIZE}
    return AlignmentSettings(**values | changes)


def row_of(path: str, status: str, output: str, number: int) -> Row:
    return Row(path, status, output, number, "", "", "", SIZE, INNER)


@pytest.mark.parametrize("skip_multi", [False, True])
def test_what_an_earlier_run_has_done_is_not_done_again(skip_multi: bool, tmp_path: Path) -> None:
    (tmp_path / "aligned").mkdir()
    (tmp_path / "aligned" / "here.png").touch()
    rows = [
        row_of("here.jpg", "aligned", "here.png", 1),
        row_of("lost.jpg", "aligned", "its-own-name.png", 1),
        row_of("none.jpg", "no face", "", 0),
        row_of("two.jpg", "several faces", "", 2),
        row_of("bad.jpg", "unreadable", "", 0),
    ]
    earlier = {row.input: row for row in rows}
    settings = settings_of(tmp_path, skip_multi=skip_multi)
    found = folders.missing_outputs([*earlier, "here.webp", "new.jpg"], earlier, settings)
    expected = {
        "lost.jpg": "its-own-name.png",
        "two.jpg": "two.png",
        "bad.jpg": "bad.png",
        "here.webp": "here-webp.png",  # here.png is taken
        "new.jpg": "new.png",
    }
    if skip_multi:
        del expected["two.jpg"]
    assert found == expected


@pytest.mark.parametrize("output", ["aligned", "aligned/", "aligned//"])
def test_the_report_lies_beside_the_output_folder_and_is_summed_up(
    output: str, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, output=output)
    rows = [row_of(str(i), "aligned", f"{i}.png", 1) for i in range(3)]
    assert folders.summary_of([*rows, row_of("4", "unreadable", "", 0)], 2, settings) == (
        "4 photos: 3 aligned, 0 no face, 0 several faces, 1 unreadable (2 done earlier); "
        f"faces are in {output}, see aligned-report.csv"
    )


# --- a folder of all sorts ---

# input -> status, faces, whose face; the output's name where it is known
PHOTOS = {
    "a/1.jpg": ("aligned", 1, "hopper", "a-1-jpg.png"),
    "a/1.png": ("aligned", 1, "collins", "a-1-png.png"),
    "a/2.png": ("aligned", 1, "hopper", None),
    "a-2.png": ("aligned", 1, "collins", None),
    "b/deep/c, ö.webp": ("aligned", 1, "hopper", "b-deep-c, ö.png"),
    "b/gray.BMP": ("aligned", 1, "hopper", "b-gray.png"),
    "noise.png": ("no face", 0, None, ""),
    "two.png": ("several faces", 2, None, ""),
    "bad.jpg": ("unreadable", 0, None, ""),
}


def write_photos(raw: Path) -> None:
    save_picture(raw / "a" / "1.jpg", hopper())
    save_picture(raw / "a" / "1.png", collins())
    save_picture(raw / "a" / "2.png", hopper())
    save_picture(raw / "a-2.png", collins())
    save_picture(raw / "b" / "deep" / "c, ö.webp", hopper())
    save_picture(raw / "b" / "gray.BMP", np.asarray(Image.fromarray(hopper()).convert("L")))
    save_picture(raw / "noise.png", noise())
    save_picture(raw / "two.png", side_by_side(hopper(), scaled(collins(), 0.7)))
    (raw / "bad.jpg").write_text("not an image")
    save_picture(raw / ".hidden.png", hopper())
    (raw / "notes.txt").write_text("not a photo")


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    """A folder of all sorts of photos, aligned by two processes."""
    folder = tmp_path_factory.mktemp("all sorts")
    write_photos(folder / "raw")
    return folder, run_align(folder, "--skipMulti", "--workers", 2)


@pytest.fixture
def copy(aligned: tuple[Path, object], tmp_path: Path) -> Path:
    return Path(shutil.copytree(aligned[0], tmp_path / "copy"))


def test_the_report_has_a_row_for_every_photo(aligned: tuple[Path, object]) -> None:
    rows = report_of(aligned[0])
    assert set(rows) == set(PHOTOS)
    for path, (status, number, _, name) in PHOTOS.items():
        assert rows[path][0] == status, path
        assert [rows[path][2], *rows[path][-2:]] == [str(number), str(SIZE), INNER], path
        assert all(rows[path][3:6]) == any(rows[path][3:6]) == (status == "aligned")
        if name is not None:
            assert rows[path][1] == name


def test_the_faces_are_in_one_flat_folder(
    aligned: tuple[Path, object], crops: dict[str, np.ndarray]
) -> None:
    rows = report_of(aligned[0])
    outputs = {rows[path][1] for path in PHOTOS if rows[path][0] == "aligned"}
    assert {path.name for path in (aligned[0] / "aligned").iterdir()} == outputs
    assert {path.name for path in aligned[0].iterdir()} == {"raw", "aligned", "aligned-report.csv"}
    for path, (_, _, person, _) in PHOTOS.items():
        if person:
            crop = load_picture(aligned[0] / "aligned" / rows[path][1])
            assert person_in(crop, crops) == person, path


def test_the_summary_counts_each_status(aligned: tuple[Path, object]) -> None:
    done = aligned[1]
    assert "9 photos: 6 aligned, 1 no face, 1 several faces, 1 unreadable" in done.stdout
    assert "aligned-report.csv" in done.stdout
    (problem,) = [line for line in done.stderr.splitlines() if "bad.jpg" in line]
    assert problem.startswith("skipped: ")
    assert "cannot be read" in problem


# --- again ---


def test_a_second_run_does_nothing_anew(copy: Path) -> None:
    before = contents_and_times(copy / "aligned")
    report = (copy / "aligned-report.csv").read_bytes()
    done = run_align(copy, "--skipMulti")
    assert contents_and_times(copy / "aligned") == before
    assert (copy / "aligned-report.csv").read_bytes() == report
    assert "9 photos" in done.stdout
    assert "8 done earlier" in done.stdout  # the unreadable one might have been mended


def test_new_mended_and_lost_ones_are_done_and_all_else_is_not(
    copy: Path, crops: dict[str, np.ndarray]
) -> None:
    before, earlier = contents_and_times(copy / "aligned"), report_of(copy)
    lost = copy / "aligned" / "a-1-jpg.png"
    lost.unlink()
    save_picture(copy / "raw" / "bad.jpg", hopper())
    save_picture(copy / "raw" / "new" / "3.png", collins())
    save_picture(copy / "raw" / "b-gray.png", collins())  # its name is taken by b/gray.BMP
    run_align(copy)  # without --skipMulti: the photo with two faces is done now
    after, rows = contents_and_times(copy / "aligned"), report_of(copy)
    assert set(rows) == {*PHOTOS, "new/3.png", "b-gray.png"}
    done = {"bad.jpg", "new/3.png", "b-gray.png", "two.png"}
    assert all(rows[path] == row for path, row in earlier.items() if path not in done)
    assert {path for path, row in rows.items() if row[0] == "aligned"} == set(rows) - {"noise.png"}
    assert {row[1] for row in rows.values() if row[1]} == set(after)
    for name in before:
        if name != lost.name:
            assert after[name] == before[name], name
    for path, person in {"a/1.jpg": "hopper", "b-gray.png": "collins", "two.png": "hopper"}.items():
        assert person_in(load_picture(copy / "aligned" / rows[path][1]), crops) == person, path
    assert rows["two.png"][2] == "2"


def test_a_report_cut_short_by_a_crash_is_completed(copy: Path) -> None:
    report = copy / "aligned-report.csv"
    whole = report.read_bytes()
    # In the middle of the third row from the end; its photo's output was written already.
    lines = whole.splitlines(keepends=True)
    report.write_bytes(b"".join(lines[:-3]) + lines[-3][:10])
    run_align(copy, "--skipMulti")
    assert report.read_bytes() == whole


def test_a_row_is_understood_wherever_it_was_cut(tmp_path: Path) -> None:
    head = ",".join(HEAD).encode() + b"\r\n"
    placed = "1 2 3 4 5 6,0.1 0.2 0.3 0.4 0.5 0.6,1.25"
    first = f"a/1.jpg,aligned,a-1.png,1,{placed},{SIZE},{INNER}\r\n".encode()
    second = f"b/2.jpg,aligned,b-2.png,1,{placed},{SIZE},{INNER}".encode()
    report = tmp_path / "report.csv"
    unreadable = []
    for cut in range(len(second) + 1):
        report.write_bytes(head + first + second[:cut])
        try:
            rows = read_report(str(report), SIZE, INNER)
        except utils.UserError:
            unreadable.append(second[:cut])
            continue
        assert set(rows) == {"a/1.jpg"} | ({"b/2.jpg"} if cut == len(second) else set())
    assert unreadable == []


def test_the_report_says_where_each_face_was(aligned: tuple[Path, object]) -> None:
    rows = report_of(aligned[0])
    for path in ("a/1.png", "b/deep/c, ö.webp"):
        points, matrix, score = rows[path][3:6]
        x, y = np.array(points.split(), float).reshape(3, 2).T
        matrix = np.array(matrix.split(), float).reshape(2, 3)
        template = SIZE * TEMPLATE[list(LANDMARK_SETS[INNER])]
        np.testing.assert_allclose((matrix @ [x, y, np.ones(3)]).T, template, atol=1e-3)
        photo = utils.load_image(aligned[0] / "raw" / path)
        again = affine_image(photo, matrix, SIZE)
        crop = load_picture(aligned[0] / "aligned" / rows[path][1])
        assert difference(again, crop) < 0.1
        assert 0 < float(score) < 4


def test_an_old_report_is_read_and_goes_on(copy: Path) -> None:
    report, before = copy / "aligned-report.csv", contents_and_times(copy / "aligned")
    rows = report_of(copy)
    with open(report, "w", newline="", encoding="utf-8") as file:
        lines = [[path, *row[:3], *row[-2:]] for path, row in rows.items()]
        csv.writer(file).writerows([OLD_HEAD, *lines])
    save_picture(copy / "raw" / "new.png", hopper())
    assert "8 done earlier" in run_align(copy, "--skipMulti").stdout
    after = report_of(copy)
    assert after.pop("new.png")[3:6] != ["", "", ""]
    assert after == {path: [*row[:3], "", "", "", *row[-2:]] for path, row in rows.items()}
    found = contents_and_times(copy / "aligned")
    assert {name: found[name] for name in before} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_where_it_stopped(number: signal.Signals, tmp_path: Path) -> None:
    for i in range(64):
        save_picture(tmp_path / "raw" / f"{i:03d}.png", hopper())
    words = [SCRIPT, "raw", "align", INNER, "aligned", "--size", str(SIZE), "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / words[0]), *words[1:]],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    report = tmp_path / "aligned-report.csv"
    try:
        deadline = time.monotonic() + 120
        while not report.exists() or report.read_bytes().count(b"\n") < 3:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, number)  # as a terminal does: to the workers, too
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert output == ""
    assert "Traceback" not in errors
    first = contents_and_times(tmp_path / "aligned")
    done = report_of(tmp_path)
    assert 0 < len(done) < 64
    assert not [name for name in first if not name.endswith(".png")]
    run_align(tmp_path)
    assert set(report_of(tmp_path)) == {f"{i:03d}.png" for i in range(64)}
    after = contents_and_times(tmp_path / "aligned")
    assert len(after) == 64
    for row in done.values():
        assert after[row[1]] == first[row[1]]


# --- landmark sets, sizes, predictors ---


def test_another_landmark_set_size_and_predictor(tmp_path: Path) -> None:
    # The outputs lie below the photos, and are not taken for photos by a second run.
    save_picture(tmp_path / "raw" / "1.jpg", hopper())
    save_picture(tmp_path / "raw" / "sub" / "2.png", collins())
    predictor = tmp_path / "predictor.dat"
    shutil.copy(default_predictor(), predictor)
    options = ("--size", 96, "--dlib-face-predictor", predictor, "--workers", 1)
    for _ in range(2):
        run_script(SCRIPT, "raw", "align", OUTER, "raw/out/", *options, cwd=tmp_path)
        assert set(report_of(tmp_path / "raw", "out-report.csv")) == {"1.jpg", "sub/2.png"}
    aligner = FaceAligner(OUTER, 96)
    indices = list(LANDMARK_SETS[OUTER])
    for name in ("1.png", "sub-2.png"):
        crop = load_picture(tmp_path / "raw" / "out" / name)
        assert crop.shape == (96, 96, 3)
        found = landmarks_of_crop(aligner, crop)[indices]
        np.testing.assert_allclose(found, TEMPLATE[indices], atol=0.05)


def test_options_have_the_tutorials_and_another_spelling() -> None:
    read = load_script(SCRIPT).read_settings
    words = ["raw", "align", INNER, "out"]
    settings = read(words)
    assert settings == AlignmentSettings("raw", "out", INNER, size=64, workers=os.cpu_count())
    assert (settings.skip_multi, settings.dlib_face_predictor) == (False, None)
    for flag in ("--skipMulti", "--skip-multi"):
        assert read([*words, flag]).skip_multi is True
    for flag in ("--dlibFacePredictor", "--dlib-face-predictor"):
        assert read([flag, "a.dat", *words]).dlib_face_predictor == "a.dat"


def test_a_folder_without_faces_says_so(tmp_path: Path, run_here: Run) -> None:
    save_picture(tmp_path / "raw" / "1.png", np.full([64, 64, 3], 90, np.uint8))
    done = run_here("raw", "align", INNER, "aligned", "--workers", 1, cwd=tmp_path)
    assert "1 photos: 0 aligned, 1 no face" in done.stdout
    assert "no face was aligned, see aligned-report.csv" in done.stdout
    assert "faces are in" not in done.stdout


# --- errors ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a photo and things that get in the way."""
    save_picture(tmp_path / "raw" / "1.png", resized(hopper(), 128, 150))
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    (tmp_path / "empty" / "notes.txt").write_text("no photo")
    (tmp_path / "file").write_text("a file, as long as it is\n" * 9)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.png").write_text("precious")
    (tmp_path / "other-report.csv").write_text("name,grade\nme,1\n")
    return tmp_path


REFUSED = {
    "missing input": (("missing", INNER, "out"), ("missing", "no such folder")),
    "file as input": (("file", INNER, "out"), ("inputDir file", "not a folder")),
    "no photos": (("empty", INNER, "out"), ("inputDir empty", "no images", ".jpg")),
    "below a file": (("raw", INNER, "file/out"), ("outputDir file/out", "cannot")),
    "file as output": (("raw", INNER, "file"), ("outputDir file", "not a folder")),
    "input as output": (("raw", INNER, "raw/"), ("outputDir raw/", "is inputDir")),
    "foreign files": (("raw", INNER, "full"), ("outputDir full", "no report full-report.csv")),
    "foreign report": (("raw", INNER, "other"), ("other-report.csv", "not a report")),
    "another word": (("raw", INNER, "out", "crop"), ("crop",)),
    "another set": (("raw", "nose", "out"), ("nose", INNER, OUTER)),
    "no size": (("raw", INNER, "out", "--size", 0), ("--size", "'0'")),
    "no workers": (("raw", INNER, "out", "--workers", 0), ("--workers", "'0'")),
    "no output": (("raw", INNER), ("outputDir",)),
    "abbreviated": (("raw", INNER, "out", "--skip"), ("--skip",)),
    "text as predictor": (
        ("raw", INNER, "out", "--dlibFacePredictor", "file"),
        ("file: not a landmark model", "shape_predictor_68_face_landmarks.dat"),
    ),
    "missing predictor": (
        ("raw", INNER, "out", "--dlibFacePredictor", "missing.dat"),
        ("missing.dat: not a landmark model",),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    case: str, folder: Path, run_here: Run
) -> None:
    (photos, *arguments), words = REFUSED[case]
    before = contents_and_times(folder)
    assert_refused(run_here(photos, "align", *arguments, cwd=folder), *words)
    assert contents_and_times(folder) == before


def test_heads_are_written_around_the_faces(copy: Path, tmp_path: Path, run_here: Run) -> None:
    """As wide as two and a half faces; what the photo does not show is transparent."""
    out = tmp_path / "heads"
    command = copy / "raw", "align", INNER, out, "--size", 16, "--workers", 1
    result = run_here(*command, "--heads", "--skipMulti", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    pictures = sorted(out.glob("*.png"))
    assert len(pictures) == len(list((copy / "aligned").glob("*.png")))
    for path in pictures:
        with Image.open(path) as picture:
            head = np.asarray(picture)
        assert head.shape == (40, 40, 4)
        assert head[20, 20, 3] == 255
        assert set(np.unique(head[..., 3])) <= {0, 255}
    refused = run_here(*command, cwd=tmp_path)
    assert refused.returncode == 2
    assert "holds heads, not faces; choose another folder" in refused.stderr


def test_another_size_or_set_is_refused(copy: Path) -> None:
    before = contents_and_times(copy)
    done = run_align(copy, "--size", 48, status=2)
    assert_refused(done, "aligned-report.csv", f"--size {SIZE}", "--size 48")
    words = ("raw", "align", OUTER, "aligned", "--size", SIZE)
    done = run_script(SCRIPT, *words, cwd=copy, status=2)
    assert_refused(done, "aligned-report.csv", INNER, OUTER)
    assert contents_and_times(copy) == before
