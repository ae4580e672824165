"""evaluate.py as users run it: metrics against what its own contact sheets show, refusals."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Run, assert_refused, contents, run_script
from PIL import Image

from dcgan_completion.evaluation import embeddings

SCRIPT = "evaluate.py"
SIZE, SCALE = 16, 4  # pictures of 16 pixels are shown four times as large
MEANS = ["psnr", "ssim", "identity", "found"]  # metrics that are means over faces
METRICS = [*MEANS, "sharpness", "seconds"]
ENERGIES = ["gradient_energy", "original_gradient_energy"]
COLUMNS = [*METRICS, *ENERGIES]
BASELINES = ["mean-face", "telea", "navier-stokes", "biharmonic"]
METHODS = ["adam-none", "adam-poisson", "adam-smooth", *BASELINES]
QUICK = ("--approach", "adam", "--precision", "float32", "--n-iter", 3, "--limit", 5)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that all these tests share, and no user's."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "dcgan-completion"


@pytest.fixture
def folder(trained: Path, faces16: Path, tmp_path: Path) -> Path:
    """A folder with a model, and in `faces` 8 drawn faces that are called as in UTKFace."""
    shutil.copytree(trained / "checkpoint", tmp_path / "checkpoint")
    (tmp_path / "faces").mkdir()
    for i, path in enumerate(sorted(faces16.iterdir())[:8]):
        shutil.copy(path, tmp_path / "faces" / f"{10 + 5 * i}_{i % 2}_0_{i}.png")
    return tmp_path


def content_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


def metrics_of(out: Path) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """metrics.csv: by mask and method, each column [N]."""
    with open(out / "metrics.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == ["mask", "method", "image", *COLUMNS]
    paths = (out / "images.txt").read_text().splitlines()
    found: dict[tuple[str, str], list[list[float]]] = {}
    for i, (mask, method, path, *values) in enumerate(rows):
        assert path == paths[i % len(paths)]
        found.setdefault((mask, method), []).append([float(value or "nan") for value in values])
    return {key: dict(zip(COLUMNS, np.array(v).T, strict=True)) for key, v in found.items()}


def sheet_of(path: Path, columns: int, number: int, blocks: int = 1) -> np.ndarray:
    """The pictures of a contact sheet, [number, columns, 16, 16, 3]."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture)[28:]
    edge, rows = SIZE * SCALE, number // blocks
    width = columns * edge
    assert pixels.shape == (rows * edge, blocks * (width + 16) - 16, 3)
    parts = [pixels[:, b * (width + 16) :][:, :width] for b in range(blocks)]
    cells = np.concatenate(parts).reshape(number, edge, columns, edge, 3).swapaxes(1, 2)
    small = cells[:, :, ::SCALE, ::SCALE]
    np.testing.assert_array_equal(small.repeat(SCALE, axis=2).repeat(SCALE, axis=3), cells)
    return small


def assert_close(estimate: dict[str, Any], values: np.ndarray) -> None:
    finite = values[np.isfinite(values)]
    assert estimate["n"] == len(finite)
    assert estimate["mean"] == pytest.approx(finite.mean(), rel=1e-4, abs=1e-4)
    if len(finite) == 1:
        assert estimate["standard_error"] is None
    else:
        error = finite.std(ddof=1) / np.sqrt(len(finite))
        assert estimate["standard_error"] == pytest.approx(error, rel=1e-3, abs=1e-4)


def sharpness_of(completed: np.ndarray, original: np.ndarray, hole: np.ndarray) -> float:
    """Squared differences of neighbours that are both in the hole, over those of the original."""
    sums = []
    for image in (completed, original):
        gray = np.where(hole, image @ [0.299, 0.587, 0.114], np.nan)
        sums.append(sum(np.nansum(np.square(np.diff(gray, axis=axis))) for axis in (0, 1)))
    return sums[0] / sums[1]


# --- completion ---


def test_the_metrics_are_those_of_the_pictures(folder: Path, cache: Path) -> None:
    words = ["faces", "--mask-type", "center", "random", *QUICK]
    words += ["--blend", "none", "poisson", "smooth"]
    done = run_script(SCRIPT, *words, "--out", "new/out", cwd=folder)
    out = folder / "new" / "out"
    assert set(contents(out)) == {
        "results.json",
        "results.md",
        "metrics.csv",
        "images.txt",
        "contact-center.png",
        "contact-random.png",
    }
    assert done.stdout == (out / "results.md").read_text()
    # Five of eight: 0, 1.6, 3.2, 4.8, 6.4.
    chosen = (out / "images.txt").read_text().splitlines()
    listed = sorted(str(path.relative_to(folder)) for path in (folder / "faces").iterdir())
    assert chosen == [listed[i] for i in (0, 1, 3, 4, 6)]
    metrics = metrics_of(out)
    assert list(metrics) == [(mask, method) for mask in ("center", "random") for method in METHODS]
    for mask_type in ("center", "random"):
        pictures = sheet_of(out / f"contact-{mask_type}.png", 2 + len(METHODS), 5)
        before, masked = pictures[:, 0].astype(int), pictures[:, 1]
        originals = [np.asarray(Image.open(folder / path)) for path in chosen]
        np.testing.assert_array_equal(before, originals)
        hole = (masked == 128).all(axis=-1)
        if mask_type == "center":
            assert hole.sum() == 5 * 64
            assert hole[:, 4:12, 4:12].all()
        for place, method in enumerate(METHODS, 2):
            completed = pictures[:, place].astype(int)
            np.testing.assert_array_equal(completed[~hole], before[~hole])
            squares = np.square((completed - before) / 255)
            psnr = [-10 * np.log10(s[h].mean()) for s, h in zip(squares, hole, strict=True)]
            np.testing.assert_allclose(metrics[mask_type, method]["psnr"], psnr, rtol=1e-4)
            sharp = [sharpness_of(*of) for of in zip(completed, before, hole, strict=True)]
            np.testing.assert_allclose(metrics[mask_type, method]["sharpness"], sharp, rtol=1e-4)
    assert list((cache / embeddings.CHIP_VERSION).rglob("*.npy"))


def test_means_errors_and_differences_are_over_faces(folder: Path, run_here: Run) -> None:
    words = ["faces", "--seed", 0, 1, 0, "--baseline", "mean-face", *QUICK, "--json"]
    done = run_here(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    out = folder / "evaluation"
    content = content_of(out)
    assert json.loads(done.stdout) == content
    assert (content["images"], content["seeds"], content["finished"]) == (5, [0, 1], True)
    assert content["options"]["checkpoint"].startswith("checkpoint/ckpt-")
    (block,) = content["masks"]
    metrics = metrics_of(out)
    assert list(block["methods"]) == ["adam", *BASELINES]
    for method, estimates in block["methods"].items():
        values = metrics["center", method]
        for name in (*MEANS, "seconds"):
            assert_close(estimates[name], values[name])
        above, below = (values[name] for name in ENERGIES)
        assert estimates["sharpness"]["mean"] == pytest.approx(above.sum() / below.sum(), rel=1e-4)
        np.testing.assert_allclose(values["sharpness"], above / below, rtol=1e-4)
    assert list(block["differences"]) == ["mean-face"]
    base = metrics["center", "mean-face"]
    for method, estimates in block["differences"]["mean-face"].items():
        assert list(estimates) == [*MEANS, "sharpness"]
        for name in MEANS:
            assert_close(estimates[name], metrics["center", method][name] - base[name])


def test_seeds_are_averaged_image_by_image(folder: Path, run_here: Run) -> None:
    several = {}
    for seeds in ((0,), (1,), (0, 1)):
        out = f"out{len(several)}"
        words = ["faces", "--mask-type", "random", "--seed", *seeds, "--out", out]
        done = run_here(*words, *QUICK, cwd=folder)
        assert done.returncode == 0, done.stderr
        several[seeds] = metrics_of(folder / out)
    for key, both in several[0, 1].items():
        for name in (*MEANS, *ENERGIES):
            mean = (several[0,][key][name] + several[1,][key][name]) / 2
            np.testing.assert_allclose(both[name], mean, rtol=1e-3, atol=1e-4)
    first, second = (several[seed,]["random", "telea"]["psnr"] for seed in (0, 1))
    assert not np.allclose(first, second)  # other masks


def test_masks_that_leave_no_pixel_are_measured_as_a_whole(folder: Path, run_here: Run) -> None:
    done = run_here("faces", "--mask-type", "full", "lowres", *QUICK, cwd=folder)
    assert done.returncode == 0, done.stderr
    out = folder / "evaluation"
    for mask_type in ("full", "lowres"):
        pictures = sheet_of(out / f"contact-{mask_type}.png", 4, 5).astype(int)
        for place, method in ((2, "adam"), (3, "mean-face")):
            squares = np.square((pictures[:, place] - pictures[:, 0]) / 255)
            psnr = -10 * np.log10(squares.mean(axis=(1, 2, 3)))
            np.testing.assert_allclose(metrics_of(out)[mask_type, method]["psnr"], psnr, rtol=1e-4)
    assert content_of(out)["masks"][0]["differences"] == {}  # no telea


def test_the_linear_estimate_stands_beside_the_others(
    folder: Path, faces16: Path, run_here: Run
) -> None:
    # The faces to complete are the first eight of those, under other names.
    names = "".join(f"{path.name}\n" for path in sorted(faces16.iterdir())[:8])
    (folder / "holdout.txt").write_text(names)
    words = ["faces", "--linear", faces16, "--holdout", "holdout.txt", "--cache", "kept", *QUICK]
    done = run_here(*words, "--baseline", "linear", "adam", "linear", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    content, metrics = content_of(folder / "evaluation"), metrics_of(folder / "evaluation")
    assert content["linear_faces"] == 32
    assert content["options"]["baseline"] == ["linear", "adam"]
    (block,) = content["masks"]
    assert list(block["methods"]) == ["adam", "linear", *BASELINES]
    assert list(block["differences"]) == ["linear", "adam"]
    difference = metrics["center", "adam"]["psnr"] - metrics["center", "linear"]["psnr"]
    assert_close(block["differences"]["linear"]["adam"]["psnr"], difference)
    # Drawn faces have few properties, which the known pixels tell.
    better = metrics["center", "linear"]["psnr"] - metrics["center", "mean-face"]["psnr"]
    assert better.mean() > 3
    (stored,) = (folder / "kept" / "linear").iterdir()
    written = stored.stat().st_mtime_ns
    done = run_here(*words, "--mask-type", "full", "center", "--overwrite", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert stored.stat().st_mtime_ns == written
    again = metrics_of(folder / "evaluation")
    assert ("full", "linear") not in again
    for name in (*MEANS, *ENERGIES):
        np.testing.assert_array_equal(
            again["center", "linear"][name], metrics["center", "linear"][name]
        )


def test_groups_have_their_own_metrics(folder: Path, run_here: Run) -> None:
    pattern = r"^(?P<age>\d+)_(?P<gender>\d)_"
    words = ["faces", "--groups", pattern, "--group-bins", "age=10,30", "--n-iter", 3]
    done = run_here(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    (block,) = content_of(folder / "evaluation")["masks"]
    metrics = metrics_of(folder / "evaluation")["center", "telea"]
    assert list(block["groups"]) == ["age", "gender"]
    ages = block["groups"]["age"]["values"]
    assert {age: group["n"] for age, group in ages.items()} == {
        "10 to below 30": 4,
        "30 and more": 4,
    }
    assert_close(ages["30 and more"]["methods"]["telea"]["psnr"], metrics["psnr"][4:])
    women = block["groups"]["gender"]["values"]["1"]["methods"]["telea"]["psnr"]
    assert_close(women, metrics["psnr"][1::2])
    assert "By age:" in done.stdout
    assert "| 30 and more " in done.stdout


def test_the_reference_runs_once(folder: Path, run_here: Run, cache: Path) -> None:
    words = ["faces", "--n-iter", 3, "--reference", "--overwrite"]
    done = run_here(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    metrics = metrics_of(folder / "evaluation")
    names = ["reference-adam", "reference-pgd"]
    for name in names:
        measured = np.isfinite(metrics["center", name]["psnr"])
        assert measured.tolist() == [True, False, False, False] * 2
    (block,) = content_of(folder / "evaluation")["masks"]
    assert list(block["differences"]) == ["telea", *names]
    difference = metrics["center", "auto"]["psnr"] - metrics["center", names[0]]["psnr"]
    assert_close(block["differences"][names[0]]["auto"]["psnr"], difference)
    stored = {path: path.stat().st_mtime_ns for path in (cache / "reference").iterdir()}
    assert len(stored) == 2
    done = run_here(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert stored == {path: path.stat().st_mtime_ns for path in (cache / "reference").iterdir()}
    again = metrics_of(folder / "evaluation")
    for name in names:
        np.testing.assert_array_equal(
            again["center", name]["psnr"], metrics["center", name]["psnr"]
        )
    run_here(*words, "--seed", 1, cwd=folder)
    assert len(list((cache / "reference").iterdir())) == 4


def test_results_are_replaced_only_on_request(folder: Path, run_here: Run) -> None:
    words = ["faces", "--n-iter", 2, "--average", 2, "--limit", 1]
    assert run_here(*words, "--mask-type", "left", cwd=folder).returncode == 0
    before = contents(folder)
    done = run_here(*words, cwd=folder)
    assert_refused(done, "--out evaluation", "holds an evaluation", "--overwrite")
    assert contents(folder) == before
    assert run_here(*words, "--overwrite", cwd=folder).returncode == 0
    left = set(contents(folder / "evaluation"))
    assert "contact-center.png" in left
    assert "contact-left.png" not in left


# --- generator ---


@pytest.fixture
def sets(folder: Path, faces16: Path) -> Iterator[Path]:
    """Real faces in two folders, and a list of those of them that are held out."""
    for name, part in (("one", slice(0, 20)), ("two", slice(20, 40))):
        (folder / name).mkdir()
        for path in sorted(faces16.iterdir())[part]:
            shutil.copy(path, folder / name)
    names = sorted(path.name for path in faces16.iterdir())
    (folder / "holdout.txt").write_text("\n".join(names[5:9] + names[30:34]) + "\n")
    return folder


def test_a_generator_is_scored(sets: Path, run_here: Run) -> None:
    words = ["--generator", "--real", "one", "two", "--holdout", "holdout.txt", "--samples", 12]
    done = run_here(*words, "--inversion", 3, "--training", "one", "two", cwd=sets)
    assert done.returncode == 0, done.stderr
    out = sets / "evaluation"
    assert done.stdout == (out / "results.md").read_text()
    listed = (out / "images.txt").read_text().splitlines()
    assert [Path(path).name for path in listed] == (sets / "holdout.txt").read_text().split()
    found = content_of(out)["generator"]
    assert content_of(out)["training_faces"] == 40 - 8
    assert found["frechet"]["n"] == 12
    assert found["diversity_real"]["n"] == 8
    # A model of ten steps draws one gray face, unlike all real ones.
    assert found["frechet"]["mean"] > found["frechet_real_halves"]["mean"]
    assert found["diversity_ratio"]["mean"] < 0.9
    assert found["inversion_psnr"]["n"] == 3
    pictures = sheet_of(out / "contact-inversion.png", 2, 3).astype(int)
    squares = np.square((pictures[:, 0] - pictures[:, 1]) / 255).mean(axis=(1, 2, 3))
    assert_close(found["inversion_psnr"], -10 * np.log10(squares))
    pictures = sheet_of(out / "contact-nearest-held-out.png", 3, 8, blocks=2).astype(float)
    squares = np.square((pictures[:, 0] - pictures[:, 1]) / 255).mean(axis=(1, 2, 3))
    assert_close(found["nearest_pixels_real"], np.sqrt(squares))
    training = [
        np.asarray(Image.open(path))
        for path in [*(sets / "one").iterdir(), *(sets / "two").iterdir()]
        if path.name not in (sets / "holdout.txt").read_text().split()
    ]
    differences = pictures[:, :1] - np.array(training)[np.newaxis]
    nearest = np.sqrt(np.square(differences / 255).mean(axis=(2, 3, 4))).min(axis=1)
    assert_close(found["nearest_pixels_real"], nearest)


# --- errors ---

REFUSED = {
    "nothing": ((), ("FOLDER", "--generator")),
    "both": (("faces", "--generator"), ("FOLDER", "--generator")),
    "no folder": (("missing",), ("missing", "no such folder")),
    "a file": (("file",), ("file", "not a folder")),
    "no images": (("empty",), ("empty", "holds no images")),
    "another size": (("large",), ("large/1.png", "20x20", "16x16", "--size 16")),
    "no picture": (("damaged",), ("damaged/1.png", "cannot be read")),
    "unknown mask": (("faces", "--mask-type", "round"), ("round", "center")),
    "no model": (("faces", "--checkpoint-dir", "empty"), ("empty", "no checkpoint")),
    "no encoder": (("faces", "--approach", "direct"), ("--approach direct", "encoder")),
    "below a file": (("faces", "--out", "file/out"), ("--out file/out", "cannot be written")),
    "others' files": (("faces", "--out", "large"), ("--out large", "choose another")),
    "cache in a file": (("faces", "--cache", "file"), ("--cache file", "not a folder")),
    "no baseline": (("faces", "--baseline", "telea", "luck"), ("--baseline luck", "telea", "auto")),
    "linear of the same files": (
        ("faces", "--limit", 3, "--linear", "faces"),
        ("--linear", "faces/face", "is a face to complete", "--holdout"),
    ),
    "no match": (("faces", "--groups", "(x)y"), ("--groups (x)y", "matches no file name")),
    "fraction of center": (("faces", "--fraction", 0.5), ("--fraction", "random")),
    "samples of faces": (("faces", "--samples", 5), ("--samples", "--generator")),
    "mask of a generator": (
        ("--generator", "--real", "faces", "--mask-type", "left"),
        ("--mask-type", "FOLDER", "--generator"),
    ),
    "nothing real": (("--generator",), ("--generator", "--real DIR")),
    "too few": (("--generator", "--real", "large"), ("--real large", "too few")),
    "list of others": (
        ("--generator", "--real", "faces", "--holdout", "file"),
        ("--real faces", "--holdout"),
    ),
}


@pytest.fixture(scope="module")
def mistakes(trained: Path, faces16: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    shutil.copytree(trained / "checkpoint", folder / "checkpoint")
    shutil.copytree(faces16, folder / "faces")
    for name in ("empty", "large", "damaged"):
        (folder / name).mkdir()
    (folder / "file").write_text("here first")
    Image.new("RGB", (20, 20)).save(folder / "large" / "1.png")
    (folder / "damaged" / "1.png").write_text("no picture")
    return folder


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_refused_before_anything_is_written(
    case: str, mistakes: Path, run_here: Run
) -> None:
    options, words = REFUSED[case]
    before = contents(mistakes)
    assert_refused(run_here(*options, cwd=mistakes), *words)
    assert contents(mistakes) == before


@pytest.mark.parametrize(
    ("name", "words"), [("large", "large/1.png: is 20x20"), ("damaged", "1.png: cannot be read")]
)
def test_a_face_that_cannot_be_fitted_is_named_before_anything_is_written(
    name: str, words: str, mistakes: Path, run_here: Run
) -> None:
    before = contents(mistakes)
    done = run_here("faces", "--limit", 1, "--linear", name, cwd=mistakes)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr.splitlines()[-1]  # behind a bar
    assert contents(mistakes) == before
