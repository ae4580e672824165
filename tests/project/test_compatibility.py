"""What commit 30362c9 has left half-way goes on, and ends as that commit itself would end it.

golden/make_v0.sh has made golden/v0 by that commit's scripts: trainings, completions, repairs and
an alignment that were stopped, an evaluation and its cache, an exported model, and what the stopped
ones came to. This version is given the commands that their config.json files record.

Other processors round otherwise, and completions may have been rounded otherwise since: a picture
may be off by LEVELS. Another mask, seed, model or precision changes far more.
"""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ROOT, Run, contents, load_picture
from PIL import Image

V0 = ROOT / "tests" / "golden" / "v0"
LEVELS = 2

GoOn = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runs came to."""
    folder = tmp_path_factory.mktemp("expected")
    with tarfile.open(V0 / "expected.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All that was left, to go on with."""
    with tarfile.open(V0 / "start.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def go_on(folder: Path, run_any: Run) -> GoOn:
    """Gives the command that a JSON file of the folder records once more."""

    def run(record: str, *more: str, without: str = "") -> subprocess.CompletedProcess[str]:
        command = read_json(folder / record)["command"]
        assert without in command
        script, *arguments = shlex.split(command.replace(without, ""))
        done = run_any(script, *arguments, *more, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done

    return run


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def read_table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers_of(table: list[dict[str, str]], *columns: str) -> np.ndarray:
    """Cells as numbers, NaN where they are empty."""
    return np.array([[float(row[name] or "nan") for name in columns] for row in table])


def assert_same_picture(actual: Path, expected: Path) -> None:
    difference = load_picture(actual).astype(int) - load_picture(expected)
    assert np.abs(difference).max() <= LEVELS, actual


def assert_same_pictures(actual: Path, expected: Path) -> None:
    """All below a folder: the same names, and nearly the same pixels."""
    names = {path.relative_to(expected) for path in expected.rglob("*.png")}
    assert names == {path.relative_to(actual) for path in actual.rglob("*.png")}
    for name in names:
        assert_same_picture(actual / name, expected / name)


def assert_options_stay(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """New ones may have been added."""
    assert {name: now.get(name) for name in before} == before


# --- trainings ---


@pytest.mark.parametrize(
    ("network", "name", "last", "start"),
    [
        ("checkpoint", ".", 108, ""),
        ("checkpoint/context-encoder", "context-encoder", 108, ""),
        ("sharper/context-encoder", "sharper", 12, "--init-from checkpoint/context-encoder"),
    ],
)
def test_a_training_goes_on(
    folder: Path, expected: Path, go_on: GoOn, network: str, name: str, last: int, start: str
) -> None:
    for path in (folder / "checkpoint").glob("ckpt-*"):  # by whose discriminator it is sharpened
        shutil.copy(path, folder / "sharper")
    logs, samples = Path("logs", name), Path("samples", name)
    earlier = (folder / logs / "scalars.csv").read_text()
    before = read_json(folder / network / "config.json")
    go_on(f"{network}/config.json", without=start)

    assert (folder / logs / "scalars.csv").read_text().startswith(earlier)
    rows, wanted = (read_table(place / logs / "scalars.csv") for place in (folder, expected))
    assert list(rows[0]) == list(wanted[0])
    numbers, wanted = (numbers_of(table, *rows[0]) for table in (rows, wanted))
    np.testing.assert_array_equal(numbers[:, 0], np.arange(1, last + 1))
    np.testing.assert_allclose(numbers, wanted, rtol=1e-3, atol=1e-3)
    picture = samples / max(path.name for path in (expected / samples).glob("*.png"))
    assert_same_picture(folder / picture, expected / picture)
    assert (folder / network / f"ckpt-{last}.index").exists()
    now = read_json(folder / network / "config.json")
    assert now["data"] == before["data"]
    assert_options_stay(before["architecture"] | before["identity"], now["options"])
    before["options"]["init_from"] = None  # where it once started from
    assert_options_stay(before["options"], now["options"])


# --- completions and repairs ---


@pytest.mark.parametrize("name", ["auto", "direct", "adam", "file", "full", "lowres"])
def test_a_completion_goes_on(folder: Path, expected: Path, go_on: GoOn, name: str) -> None:
    out, wanted = (place / "completions" / name for place in (folder, expected))
    final, table = contents(out / "final"), (out / "results.csv").read_text()
    before = read_json(out / "config.json")
    assert len(final) == 2
    go_on(f"completions/{name}/config.json")

    assert final.items() <= contents(out / "final").items()
    assert_same_pictures(out / "final", wanted / "final")
    if name == "adam":
        assert_same_pictures(out / "samples", wanted / "samples")
    assert (out / "results.csv").read_text().startswith(table)
    rows, results = (read_table(place / "results.csv") for place in (out, wanted))
    losses = [] if name == "direct" else ["contextual", "perceptual", "total"]
    assert list(rows[0]) == list(results[0]) == ["input", "output", *losses]
    assert [row["output"] for row in rows] == [row["output"] for row in results]
    np.testing.assert_allclose(numbers_of(rows, *losses), numbers_of(results, *losses), rtol=1e-3)
    now = read_json(out / "config.json")
    assert now["completion"] == {"finished": True}
    assert_options_stay(before["options"], now["options"])


def test_an_exported_model_completes(folder: Path, expected: Path, run_any: Run) -> None:
    search = ("--n-iter", 8, "--out-interval", 4, "--batch-size", 2, "--precision", "float32")
    model = ("--checkpoint-dir", "exported")
    done = run_any("complete.py", "given", *model, *search, "--out-dir", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert_same_pictures(folder / "out" / "final", expected / "completions/exported/final")


def test_latents_of_a_completion_are_walked_through(
    folder: Path, expected: Path, run_any: Run
) -> None:
    z = "completions/adam/logs/z.npz"
    walk = ("walk", z, "--frames", 4, "--strip", 4, "--out", "walk.png")
    done = run_any("sample-dcgan.py", *walk, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert_same_picture(folder / "walk.png", expected / "walk.png")


def test_repairs_of_photos_go_on(folder: Path, expected: Path, go_on: GoOn) -> None:
    out, wanted = (place / "repaired" for place in (folder, expected))
    earlier, table = contents(out), (out / "report.csv").read_text()
    before = read_json(out / "config.json")
    go_on("repaired/config.json")

    now = contents(out)
    changed = {name for name, content in earlier.items() if now[name] != content}
    assert changed == {"config.json", "report.csv"}
    assert_same_pictures(out / "patch", wanted / "patch")
    with Image.open(folder / "photos" / "grace_hopper.jpg") as photo:
        kept = load_picture(folder / "photo-masks" / "grace_hopper.png") == 0
        repaired = load_picture(out / "final" / "grace_hopper.png")
        np.testing.assert_array_equal(repaired[kept], np.asarray(photo)[kept])
    assert (out / "contact.png").exists()
    assert (out / "report.csv").read_text().startswith(table)
    rows, report = (read_table(place / "report.csv") for place in (out, wanted))
    for row, other in zip(rows, report, strict=True):
        assert {**row, "seconds": ""}.keys() == other.keys()
        for name in ("photo", "output", "face", "found", "missing", "generated", "inpainted"):
            assert row[name] == other[name]
    config = read_json(out / "config.json")
    assert config["photos"] == {"finished": True}
    assert_options_stay(before["options"], config["options"])


# --- faces ---


def test_an_alignment_goes_on(folder: Path, expected: Path, run_any: Run) -> None:
    table = (folder / "aligned-report.csv").read_text()
    faces = contents(folder / "aligned")  # both: a process was ahead of the report
    assert len(read_table(folder / "aligned-report.csv")) == 1
    align = ("photos", "align", "innerEyesAndBottomLip", "aligned", "--size", 16, "--workers", 1)
    done = run_any("align-dlib.py", *align, cwd=folder)
    assert done.returncode == 0, done.stderr

    assert faces.items() <= contents(folder / "aligned").items()
    assert_same_pictures(folder / "aligned", expected / "aligned")
    assert (folder / "aligned-report.csv").read_text().startswith(table)
    rows, report = (read_table(place / "aligned-report.csv") for place in (folder, expected))
    for row, other in zip(rows, report, strict=True):
        for name in ("points", "matrix", "score"):
            numbers = [np.array(cells.pop(name).split(), float) for cells in (row, other)]
            np.testing.assert_allclose(*numbers, rtol=1e-3, atol=1e-3)
        assert row == other


# --- evaluation ---


def measured(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The metrics of an evaluation, by method and image."""
    (table,) = [path for path in folder.iterdir() if path.name in ("figures.csv", "metrics.csv")]
    return {(row["method"], row["image"]): row for row in read_table(table)}


def test_an_evaluation_is_replaced_with_the_help_of_its_cache(folder: Path, go_on: GoOn) -> None:
    before = measured(folder / "evaluation")
    cached = contents(folder / "cache")
    # What would come out otherwise tells whether it is read.
    for path in (folder / "cache" / "embeddings-1").rglob("*.npy"):
        np.save(path, np.zeros_like(np.load(path)))
    for path in (folder / "cache" / "reference").iterdir():
        stored = read_json(path)
        stored["figures"]["psnr"] = [12.5]
        path.write_text(json.dumps(stored))
    go_on("evaluation/results.json", "--overwrite")

    now = measured(folder / "evaluation")
    assert now.keys() == before.keys()
    for key, row in now.items():
        assert list(row) == list(before[key])
        columns = ("psnr", "ssim", "sharpness")
        numbers, wanted = numbers_of([row, before[key]], *columns)
        if key[0].startswith("reference"):
            assert row["psnr"] in ("12.5", "")
        elif key[0] == "auto":  # dlib's embeddings have a length of about 1.4
            assert float(row["identity"]) > 1
            np.testing.assert_allclose(numbers[0], wanted[0], atol=0.3)
        else:
            np.testing.assert_allclose(numbers, wanted, rtol=1e-2, atol=1e-2)
    assert {name for name in cached if name.startswith("reference")} == {
        name for name in contents(folder / "cache") if name.startswith("reference")
    }


def test_a_savedmodel_has_the_same_signatures(folder: Path, run_any: Run) -> None:
    done = run_any("export.py", "saved", cwd=folder)
    assert done.returncode == 0, done.stderr
    before, now = read_json(folder / "saved-config.json"), read_json(folder / "saved/config.json")
    assert now["networks"] == before["networks"]
