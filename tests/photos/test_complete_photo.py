"""complete-photo.py: what it writes and keeps, what it depends on, batches, resuming, refusals."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from helpers import Run, assert_refused, contents, load_picture, load_script, save_picture
from PIL import Image

from dcgan_completion.faces.template import TEMPLATE

SCRIPT = "complete-photo.py"
LANDMARKS = np.array([[52, 38], [68, 36], [61, 62]])  # of a face in a photo of 120x90
POINTS = "52,38\n68,36\n61,62\n"
BOX = (50, 40, 20, 16)
FOLDERS = ("final", "patch")
QUICK = ("--n-iter", 2, "--precision", "float32")


def noise(random: np.random.Generator) -> np.ndarray:
    return random.integers(60, 200, [90, 120, 3], np.uint8)


def area(triangle: np.ndarray) -> float:
    return abs(np.linalg.det(triangle[1:] - triangle[0])) / 2


def in_box(shape: tuple[int, ...] = (90, 120)) -> np.ndarray:
    left, top, width, height = BOX
    hole = np.zeros(shape, bool)
    hole[top : top + height, left : left + width] = True
    return hole


@pytest.fixture
def repair(guided: Path, tmp_path: Path, run_here: Run) -> Run:
    """Repairs the photos with those paths, by the same landmarks or by what was found."""
    (tmp_path / "points.txt").write_text(POINTS)

    def run(*words: object, box: bool = True) -> subprocess.CompletedProcess[str]:
        hole = ("--box", ",".join(map(str, BOX))) if box else ()
        return run_here(*words, *hole, "--checkpoint-dir", guided, cwd=tmp_path)

    return run


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "report.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("approach", [QUICK, ("--approach", "direct")])
def test_only_the_hole_changes_and_nothing_under_it_matters(
    approach: tuple[object, ...], repair: Run, tmp_path: Path, random: np.random.Generator
) -> None:
    photo, hole = noise(random), in_box()
    width = round(16 * (area(LANDMARKS) / area(16 * TEMPLATE[[39, 42, 57]])) ** 0.5)
    results = []
    for i in range(2):
        other = photo.copy()
        other[hole] = random.integers(0, 256, [hole.sum(), 3])
        save_picture(tmp_path / f"{i}.png", other)
        words = ("--landmarks", "points.txt", "--out-dir", f"out{i}", "--patch")
        done = repair(f"{i}.png", *words, *approach)
        assert done.returncode == 0, done.stderr
        assert f"{i}: face {width} pixels wide, completed at 16" in done.stdout
        results.append([load_picture(tmp_path / f"out{i}" / d / f"{i}.png") for d in FOLDERS])
        np.testing.assert_array_equal(load_picture(tmp_path / f"{i}.png"), other)
    (one, patch), (two, _) = results
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[~hole], photo[~hole])
    assert (one[hole] != photo[hole]).mean() > 0.5
    np.testing.assert_array_equal(patch[..., 3], 255 * hole)
    np.testing.assert_array_equal(patch[hole][:, :3], one[hole])


def test_the_folder_tells_what_was_done(
    repair: Run, tmp_path: Path, random: np.random.Generator
) -> None:
    save_picture(tmp_path / "photo.png", noise(random))
    words = ("--landmarks", "points.txt", "--out-dir", "out", "--samples", 2, "--seed", 7)
    done = repair("photo.png", *words, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "1 photos repaired" in done.stdout
    out = tmp_path / "out"
    first = load_picture(out / "samples/photo/1.png")
    np.testing.assert_array_equal(first, load_picture(out / "final/photo.png"))
    assert (first != load_picture(out / "samples/photo/2.png")).any()
    assert all((out / name).is_file() for name in ("contact.png", "before-after/photo.png"))
    (row,) = rows(out)
    assert (row["found"], row["face"], row["missing"]) == ("landmarks", "1", "320")
    assert row["landmarks"] == "52,38 68,36 61,62"
    assert float(row["generated"]) + float(row["inpainted"]) == pytest.approx(1)
    config = json.loads((out / "config.json").read_text())
    assert config["photos"] == {"finished": True}
    assert (config["options"]["seed"], config["options"]["box"]) == (7, [list(BOX)])
    assert config["options"]["blend"] == "smooth"
    refused = repair("photo.png", *words, *QUICK)
    assert refused.returncode == 2
    assert "holds a finished completion of photos" in refused.stderr


def astronauts(folder: Path) -> None:
    """Three photos of one face (NASA, in the public domain), the hole of each elsewhere."""
    photo = skimage.data.astronaut()[0:260, 90:350]
    for i in range(3):
        save_picture(folder / f"photos/{i}.png", photo)
        mask = np.zeros([260, 260], np.uint8)
        mask[120 + 10 * i : 150 + 10 * i, 100:160] = 255
        save_picture(folder / f"masks/{i}.png", mask)


def test_a_run_that_was_stopped_goes_on_to_the_same_end(repair: Run, tmp_path: Path) -> None:
    astronauts(tmp_path)
    words = ("photos", "--mask", "masks", "--out-dir", "out", "--approach", "direct")
    done = repair(*words, box=False)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    whole = contents(out)
    table = (out / "report.csv").read_text().splitlines(keepends=True)
    (out / "report.csv").write_text("".join(table[:2]))  # 0.png is done
    for path in (out / "final/1.png", out / "final/2.png", out / "contact.png"):
        path.unlink()
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"photos": {"finished": False}}))
    refused = repair(*words, "--seed", 1, box=False)
    assert refused.returncode == 2
    assert "other options" in refused.stderr
    done = repair(*words, box=False)
    assert done.returncode == 0, done.stderr
    assert "resuming in out: 1 photos are done" in done.stdout
    assert "0: face" not in done.stdout
    resumed = contents(out)
    for name in ("config.json", "report.csv"):
        del whole[name], resumed[name]
    assert resumed == whole
    assert [row["output"] for row in rows(out)] == ["0.png", "1.png", "2.png"]


def test_a_bad_photo_is_named_and_the_others_go_on(repair: Run, tmp_path: Path) -> None:
    astronauts(tmp_path)
    (tmp_path / "photos/1.png").write_bytes(b"no picture")
    save_picture(tmp_path / "photos/2.png", np.full([260, 260, 3], 90, np.uint8))
    words = ("photos", "--mask", "masks", "--out-dir", "out")
    done = repair(*words, "--approach", "direct", box=False)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("skipped: ")]
    assert len(lines) == 2
    assert "photos/1.png" in lines[0]
    assert "photos/2.png: no face was found; name its landmarks with --landmarks" in lines[1]
    assert [path.name for path in (tmp_path / "out/final").iterdir()] == ["0.png"]
    # Nothing is left of which a run could be made: nothing is written.
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "photos/0.png").unlink()
    done = repair(*words, "--approach", "direct", box=False)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("(and 1 more that cannot be repaired)")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_face_that_is_left_out_of_a_hole_is_told(repair: Run, tmp_path: Path) -> None:
    astronauts(tmp_path)
    face = load_picture(tmp_path / "photos/0.png")
    save_picture(tmp_path / "two.png", np.concatenate([face, face], axis=1))
    words = ("two.png", "--box", "100,130,330,20", "--approach", "direct", "--overwrite")
    left_out = "the hole touches face 2, too: filled by diffusion, since --face leaves it out"
    for options, told in (((), False), (("--face", 1), True)):
        done = repair(*words, *options, box=False)
        assert done.returncode == 0, done.stderr
        assert (left_out in done.stdout) == told
        assert len(rows(tmp_path / "repaired")) == 2 - told


def test_a_run_that_is_stopped_says_what_is_done(
    repair: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dcgan_completion.photos.output_folder import PhotoFolder

    astronauts(tmp_path)
    finish = PhotoFolder.finish_photo

    def stop_after_one(out: PhotoFolder, *arguments: object) -> None:
        if out.done:
            raise KeyboardInterrupt
        finish(out, *arguments)

    monkeypatch.setattr(PhotoFolder, "finish_photo", stop_after_one)
    words = ("photos", "--mask", "masks", "--approach", "direct")
    stopped = "stopped: 1 of 3 photos are done; the same command resumes"
    for options, more in (((), ""), (("--overwrite",), ", without --overwrite")):
        done = repair(*words, *options, box=False)
        assert done.returncode == 130
        assert f"{stopped}{more}\n" in done.stderr


def test_folders_are_searched_for_all_kinds_of_photos(repair: Run, tmp_path: Path) -> None:
    astronauts(tmp_path)
    for i, suffix in enumerate(("tif", "ppm", "JP2")):
        for folder in ("photos", "masks"):
            path = tmp_path / f"{folder}/{i}.png"
            save_picture(path.with_suffix(f".{suffix}"), load_picture(path))
            path.unlink()
    words = ("photos", "--mask", "masks", "--out-dir", "out", "--approach", "direct")
    done = repair(*words, box=False)
    assert done.returncode == 0, done.stderr
    assert [row["output"] for row in rows(tmp_path / "out")] == ["0.png", "1.png", "2.png"]


def test_results_of_an_earlier_run_are_no_photos(repair: Run, tmp_path: Path) -> None:
    astronauts(tmp_path)
    shutil.rmtree(tmp_path / "masks")
    for i in (1, 2):
        (tmp_path / f"photos/{i}.png").unlink()
    words = ("photos", "--box", "100,120,60,30", "--approach", "direct")
    for more in ((), ("--overwrite",)):
        done = repair(*words, "--out-dir", "photos/out", *more, box=False)
        assert done.returncode == 0, done.stderr
        assert "1 photos repaired" in done.stdout
    given = repair(
        "photos/out/final/0.png", *words[1:], "--out-dir", "photos/out", "--overwrite", box=False
    )
    assert_refused_line(given.stderr, "lies in --out-dir photos/out, which is cleared")
    assert (tmp_path / "photos/out/final/0.png").exists()


def assert_refused_line(text: str, words: str) -> None:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert words in lines[0]


def test_faces_are_listed_without_a_hole_and_nothing_else_is_written(
    repair: Run, tmp_path: Path
) -> None:
    astronauts(tmp_path)
    words = ("photos/0.png", "--list-faces", "--out-dir", "out")
    done = repair(*words, box=False)
    assert (done.returncode, done.stdout) == (0, "0: 1 face, see out/faces-found/0.png\n"), (
        done.stderr
    )
    assert set(contents(tmp_path / "out")) == {"faces-found", "faces-found/0.png"}
    drawn, photo = (load_picture(tmp_path / p) for p in ("out/faces-found/0.png", "photos/0.png"))
    assert 200 < (drawn != photo).any(axis=-1).sum() < 5000
    again = repair(*words, box=False)
    assert_refused(again, "out/faces-found/0.png", "exists already", "--overwrite")
    save_picture(tmp_path / "photos/1.png", np.full([260, 260, 3], 90, np.uint8))
    more = ("photos", *words[1:], "--overwrite", "--mask", "masks")
    done = repair(*more, box=False)  # what the mask hides is looked for, too
    assert (done.returncode, done.stdout.count("1 face, see")) == (1, 2), done.stderr
    assert done.stderr.startswith("skipped: photos/1.png: no face was found")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "what is missing of the photo?"),
        (("--box", "1,1,9,9", "--landmarks", "p", "--face", "1"), "contradicts --face"),
        (("--landmarks", "p", "--list-faces"), "contradicts --list-faces"),
        (("--box", "1,1,9,9", "--lr", "1", "--approach", "hmc"), "--lr belongs to --approach"),
    ],
)
def test_contradictions_are_refused_before_anything_is_read(
    words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}|{message}"):
        load_script(SCRIPT).read_settings(["photo.jpg", *words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--box", "100,80,30,30"), "--box 100,80,30,30: reaches beyond a.png"),
        (("--box", "0,0,120,90"), "a.png: everything is missing"),
        (("--box", "1,1,9,9", "--max-pixels", 1000), "a.png"),
        (("--box", "1,1,9,9", "--landmarks", "none.txt"), "--landmarks none.txt"),
        (("--box", "1,1,9,9", "--landmarks", "line.txt"), "lie nearly on a line"),
        (
            ("--box", "1,1,9,9", "--landmarks", "points.txt"),
            "; check the coordinates in --landmarks",
        ),
        (
            ("b.png", "--box", "1,1,9,9", "--landmarks", "points.txt"),
            "locates a face in one photo, not in 2",
        ),
        (("--mask", "small.png"), "small.png: is 20x20, but a.png is 120x90"),
        (("--mask", "black.png"), "nothing in it is white"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_nothing_is_written(
    words: tuple[object, ...],
    message: str,
    repair: Run,
    tmp_path: Path,
    random: np.random.Generator,
) -> None:
    for name in ("a.png", "b.png"):
        save_picture(tmp_path / name, noise(random))
    (tmp_path / "line.txt").write_text("1,1\n20,20\n40,40\n")
    save_picture(tmp_path / "small.png", np.eye(20, dtype=bool))
    save_picture(tmp_path / "black.png", Image.new("L", (120, 90)))
    before = contents(tmp_path)
    done = repair("a.png", *words, box=False)
    assert_refused(done, message)
    assert contents(tmp_path) == before
