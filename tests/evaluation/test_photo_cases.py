"""The benchmark of repairs on two portraits, and evaluate.py --photos as users run it.

The portraits are in the public domain: Grace Hopper (US Navy), Eileen Collins (NASA).
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib.cbook
import numpy as np
import pytest
import skimage.data
from helpers import Run, assert_refused, contents, load_picture, save_picture
from metrics_helpers import PlainReader, RecordedProgress
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.evaluation import image_metrics, methods, subgroups
from dcgan_completion.evaluation.baselines import INPAINTING
from dcgan_completion.evaluation.benchmark import Benchmark, measure
from dcgan_completion.evaluation.cases import Case
from dcgan_completion.evaluation.methods import Method, Pasting
from dcgan_completion.evaluation.photo_cases import EDGE, Photos, diffuse_all
from dcgan_completion.evaluation.results import MaskResult
from dcgan_completion.faces.aligner import FaceAligner
from dcgan_completion.faces.placement import affine_image
from dcgan_completion.inpaint.inpainter import Inpainter
from dcgan_completion.photos.photo_inpainter import PhotoInpainter
from dcgan_completion.photos.repair import repair
from dcgan_completion.settings.alignment import LANDMARK_SETS
from dcgan_completion.settings.evaluation import PhotoBenchmarkSettings

SCRIPT = "evaluate.py"
SIZE = 16
BASELINES = ["telea", "navier-stokes", "biharmonic"]


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two portraits, a picture without a face and a damaged file."""
    folder = tmp_path_factory.mktemp("portraits")
    hopper = Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    save_picture(folder / "b-hopper.png", hopper.resize((256, 300)))
    save_picture(folder / "a-collins.png", skimage.data.astronaut()[20:260, 100:350])
    save_picture(folder / "c-plain.png", np.full([60, 70, 3], 90, np.uint8))
    (folder / "d-damaged.png").write_text("no picture")
    return folder


def read(folder: Path, pattern: str = "*", channels: int = 3, batch: int = 2) -> Photos:
    aligner = FaceAligner("innerEyesAndBottomLip", SIZE)
    paths = [str(path) for path in sorted(folder.glob(pattern))]
    return Photos(paths, aligner, channels, batch)


@pytest.fixture
def photos(portraits: Path) -> Photos:
    return read(portraits, "[ab]-*")


def cases_of(photos: Photos, kind: str = "mouth") -> list[Case]:
    (cases,) = photos.batches(kind, 0)
    return cases


def evaluate(photos: Photos, kind: str, *methods: Method) -> MaskResult:
    return Benchmark(photos, methods, [0], PlainReader()).evaluate(kind, 2)


class Spy:
    """Leaves the blank hole, and keeps the cases that it was given."""

    names, batch = ("spy",), 1
    seeded = network = for_whole = False

    def __init__(self) -> None:
        self.seen: list[Case] = []

    def complete(
        self, cases: Sequence[Case], *_: object
    ) -> Iterator[tuple[dict[str, np.ndarray], float]]:
        for case in cases:
            self.seen.append(case)
            yield {"spy": case.visible}, 1.0


def truth(cases: Sequence[Case], _seed: int) -> np.ndarray:
    """The squares of faces as they are in the photos, at the places where they were found."""
    return np.stack(
        [
            affine_image(case.original, face.matrix, face.size).astype(np.float32)
            for case in cases
            if case.task is not None
            for face in case.task.faces
        ]
    )


TRUTH = Pasting({"truth": "smooth"}, truth, batch=2)

# --- photos ---


def test_photos_with_faces_are_known_and_others_left_out(
    portraits: Path, caplog: pytest.LogCaptureFixture
) -> None:
    aligner, progress = FaceAligner("innerEyesAndBottomLip", SIZE), RecordedProgress()
    paths = [str(path) for path in sorted(portraits.iterdir())]
    photos = Photos(paths, aligner, 3, 2, progress)
    assert progress.totals() == [4]
    assert [Path(path).name for path in photos.paths] == ["a-collins.png", "b-hopper.png"]
    plain, damaged = caplog.messages
    assert plain.endswith("c-plain.png: no face was found")
    assert "d-damaged.png: cannot be read" in damaged
    finer = FaceAligner("innerEyesAndBottomLip", EDGE)
    for index, case in enumerate(cases_of(photos)):
        np.testing.assert_array_equal(
            photos.squares[index], aligner.align_largest(case.original).image
        )
        picture = finer.align_largest(case.original).image
        np.testing.assert_array_equal(photos.aligned[index], picture)
        np.testing.assert_array_equal(photos.align(case, case.original), picture)


def test_models_of_gray_images_see_gray_photos(portraits: Path) -> None:
    photos = read(portraits, "b-*", channels=1)
    assert cases_of(photos)[0].original.shape == (300, 256, 1)
    assert photos.squares.shape == (1, SIZE, SIZE, 1)
    with pytest.raises(utils.UserError, match="--photos: a face was found in none of 1 photos"):
        read(portraits, "c-*")


# --- metrics ---


@pytest.mark.parametrize("kind", ["eyes", "stroke"])
def test_metrics_are_those_of_the_whole_photo(photos: Photos, kind: str) -> None:
    case, hole = cases_of(photos, kind)[0], cases_of(photos, kind)[0].mask.hole
    noise = np.random.default_rng(1).integers(0, 256, case.original.shape, np.uint8)
    pixels = np.where(hole[0], noise, case.original)
    found = measure(case, pixels)
    whole = case.original[np.newaxis], pixels[np.newaxis], hole
    assert found["psnr"] == pytest.approx(image_metrics.psnr(*whole)[0])
    assert found["ssim"] == pytest.approx(image_metrics.ssim(*whole)[0], abs=1e-9)
    for name, image in (("gradient_energy", 1), ("original_gradient_energy", 0)):
        assert found[name] == pytest.approx(image_metrics.gradient_energy(whole[image], hole)[0])


# --- methods ---


def test_inpainting_a_crop_is_inpainting_the_photo(photos: Photos) -> None:
    case = cases_of(photos)[1]
    for method in methods.inpainting_methods():
        ((completed, seconds),) = method.complete([case], 0, photos.paste)
        whole = INPAINTING[method.name](case.visible, case.mask.plane)
        assert np.abs(completed[method.name].astype(int) - whole).max() <= 1
        assert seconds > 0


def test_methods_get_blank_holes_and_change_nothing_else(photos: Photos) -> None:
    spy = Spy()
    telea, *_ = methods.inpainting_methods()
    result = evaluate(photos, "mouth", spy, TRUTH, telea)
    assert [case.index for case in spy.seen] == [0, 1]
    for case, (completed, _) in zip(
        spy.seen, TRUTH.complete(spy.seen, 0, photos.paste), strict=True
    ):
        hole = case.mask.plane
        assert (case.visible[hole] == 128).all()
        np.testing.assert_array_equal(case.visible[~hole], case.original[~hole])
        np.testing.assert_array_equal(completed["truth"][~hole], case.original[~hole])
        changed = (completed["truth"] != case.visible).any(axis=-1)
        assert changed.sum() > 0.9 * hole.sum()
        # The task knows no more, and its face is where the largest face was before.
        np.testing.assert_array_equal(case.task.photo.pixels, case.visible)
        (face,) = case.task.faces
        indices = list(LANDMARK_SETS["innerEyesAndBottomLip"])
        away = np.abs(face.landmarks - photos.points[case.index][indices])
        assert away.max() < 12
        assert result.located[case.index].away == pytest.approx(np.sqrt((away**2).sum() / 3))
    assert result.metrics["spy"]["seconds"].tolist() == [1.0, 1.0]
    assert [face.found for face in result.located] == [True, True]
    assert [face.missing for face in result.located] == [c.mask.hole.sum() for c in spy.seen]
    # What is nearly the truth is better than what knows nothing of it, and that than a blank.
    worst, middle, best = (result.metrics[n]["psnr"].mean() for n in ("spy", "telea", "truth"))
    assert worst < middle < best
    for name, picture in result.completed.items():
        distance = np.abs(picture.mean(axis=(1, 2, 3)) - photos.aligned.mean(axis=(1, 2, 3))) / 255
        identity = result.metrics[name]["identity"]
        np.testing.assert_allclose(identity, distance * np.sqrt(128), atol=1e-6)
    assert subgroups.by_located(result.found) == []


def test_where_no_face_is_found_diffusion_counts(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_of = photos._maker.make_of

    def only_hopper(path: str, *of: object) -> object:
        if "hopper" in path:
            return make_of(path, *of)
        raise utils.UserError("no face was found")

    monkeypatch.setattr(photos._maker, "make_of", only_hopper)
    result = evaluate(photos, "eyes", TRUTH)
    assert result.found.tolist() == [0, 1]
    assert result.located[0].how == ""
    (grouping,) = subgroups.by_located(result.found)
    assert {k: list(v) for k, v in grouping.members.items()} == {"yes": [1], "no": [0]}
    case = cases_of(photos, "eyes")[0]
    filled = diffuse_all(case)
    np.testing.assert_array_equal(filled[~case.mask.plane], case.original[~case.mask.plane])
    np.testing.assert_array_equal(result.completed["truth"][0], photos.align(case, filled))
    assert result.metrics["truth"]["psnr"][0] == pytest.approx(measure(case, filled)["psnr"])
    ((_, seconds),) = TRUTH.complete([case], 0, photos.paste)
    assert seconds > case.seconds > 0


def test_a_hole_that_leaves_everything_is_not_measured(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_hole = photos.draw_hole
    monkeypatch.setattr(photos, "draw_hole", lambda index, *of: draw_hole(index, *of) & (index > 0))
    result = evaluate(photos, "eyes", *methods.inpainting_methods()[:1])
    for values in result.metrics["telea"].values():
        assert np.isnan(values).tolist() == [True, False]
    assert result.located[0].found is None


def test_the_mean_face_and_the_models_are_pasted_back_alike(
    photos: Photos, portraits: Path, guided: Path
) -> None:
    asked = PhotoBenchmarkSettings.of(photos=str(portraits), n_iter=2, average=1)
    inpainter = Inpainter.from_pretrained(str(guided), precision="float32")
    ours = methods.model_methods(asked, inpainter, 1, guided=True)
    assert [method.names for method in ours] == [("auto",), ("direct",)]
    for method, options in zip(ours, ({"n_iter": 2, "average": 1}, {}), strict=True):
        (name,) = method.names
        search = PhotoInpainter(inpainter).search({"approach": name} | options, batch_size=1)
        for case in cases_of(photos, "nose"):
            ((completed, _),) = method.complete([case], 0, photos.paste)
            (found,) = search.candidates([case.task], 0)
            wanted = repair(case.task, found[:, 0], search.blend, seed=0, detail="none")
            np.testing.assert_array_equal(completed[name], wanted.pixels)
    # The mean of the other of two faces is that face.
    other = Pasting(
        {"other": "smooth"},
        lambda cases, _seed: np.float32(photos.squares[[1 - case.index for case in cases]]),
    )
    mean_face = methods.mean_face_method(photos.squares, "smooth")
    result = evaluate(photos, "nose", mean_face, other)
    np.testing.assert_array_equal(result.completed["mean-face"], result.completed["other"])


# --- the command ---


def test_photos_are_evaluated(
    guided: Path, faces16: Path, portraits: Path, tmp_path: Path, run_here: Run
) -> None:
    words = ["--photos", portraits, "--checkpoint-dir", guided, "--n-iter", 2, "--average", 2]
    words += ["--cache", "cache", "--workers", 1, "--hole", "mouth", "half", "--out", "out"]
    words += ["--linear", faces16]
    done = run_here(*words, "--baseline", "biharmonic", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "c-plain.png: no face was found" in done.stderr
    out, names = tmp_path / "out", ["auto", "direct", "linear", "mean-face", *BASELINES]
    assert set(contents(out)) == {
        *("results.json", "results.md", "metrics.csv", "photos.csv", "images.txt"),
        *("contact-mouth.png", "contact-half.png"),
    }
    assert done.stdout == (out / "results.md").read_text()
    content = json.loads((out / "results.json").read_text())
    assert (content["images"], content["left_out"], content["finished"]) == (2, 2, True)
    assert content["linear_faces"] == 40
    assert [block["mask"] for block in content["masks"]] == ["mouth", "half"]
    for block in content["masks"]:
        assert list(block["methods"]) == names
        assert list(block["differences"]) == ["biharmonic"]
        assert block["located"]["n"] == 2
    assert "In 100.0 ± 0.0 % of the photos the face was found" in done.stdout
    with open(out / "photos.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["mask"], Path(row["image"]).name[0]) for row in rows] == [
        *[("mouth", "a"), ("mouth", "b")],
        *[("half", "a"), ("half", "b")],
    ]
    with open(out / "metrics.csv", newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2 * 2 * len(names)
    assert load_picture(out / "contact-mouth.png").shape == (28 + 2 * EDGE, 9 * EDGE, 3)
    assert content["options"]["context_encoder"] is not None


REFUSED = {
    "no such photo": (("--every", 9, "--offset", 8), ("--every 9", "none")),
    "no others": (("--every", 1, "--others"), ("--every 1", "none")),
    "luck": (("--baseline", "luck"), ("--baseline luck", "telea", "auto")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_refused_before_anything_is_written(
    case: str, vivid: Path, portraits: Path, tmp_path: Path, run_here: Run
) -> None:
    shutil.copy(portraits / "c-plain.png", tmp_path)
    before = contents(tmp_path)
    options, words = REFUSED[case]
    done = run_here("--photos", ".", *options, "--checkpoint-dir", vivid, cwd=tmp_path)
    assert_refused(done, *words)
    assert contents(tmp_path) == before


def test_photos_without_faces_are_refused_before_anything_is_written(
    vivid: Path, portraits: Path, tmp_path: Path, run_here: Run
) -> None:
    shutil.copy(portraits / "c-plain.png", tmp_path)
    before = contents(tmp_path)
    done = run_here("--photos", ".", "--checkpoint-dir", vivid, "--cache", "cache", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a face was found in none of 1 photos" in done.stderr.splitlines()[-1]  # behind a bar
    assert contents(tmp_path) == before
