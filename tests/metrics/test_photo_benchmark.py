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
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.evaluation import image_metrics, photo_methods
from dcgan_completion.evaluation.baselines import INPAINTING, inpaint_all
from dcgan_completion.evaluation.photo_benchmark import (
    EDGE,
    KnownPhotos,
    PhotoBenchmark,
    by_located,
    measure,
)
from dcgan_completion.evaluation.photo_methods import Case, PhotoMethod, placed_method
from dcgan_completion.faces import aligner as faces
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.photos.files import Photo
from dcgan_completion.photos.holes import Hole
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


@pytest.fixture(scope="module")
def photos(portraits: Path) -> KnownPhotos:
    aligner = faces.FaceAligner("innerEyesAndBottomLip", SIZE)
    progress = RecordedProgress()
    known = KnownPhotos.read(
        [str(path) for path in sorted(portraits.iterdir())], aligner, 3, 10**6, progress
    )
    assert progress.totals() == [4]
    return known


def case_of(photos: KnownPhotos, index: int, kind: str = "mouth") -> Case:
    photo = photos.load(index)
    hole = photos.hole(index, photo, kind, seed=0)
    blank = photo.with_pixels(np.where(hole[..., np.newaxis], np.uint8(128), photo.pixels))
    return Case(index, photo, blank, Hole(hole), None, 0.5)


def benchmark(photos: KnownPhotos, *methods: PhotoMethod) -> PhotoBenchmark:
    return PhotoBenchmark(photos, methods, PlainReader(), 2, 0)


# --- photos ---


def test_photos_with_faces_are_known_and_others_left_out(photos: KnownPhotos) -> None:
    assert [Path(path).name for path in photos.paths] == ["a-collins.png", "b-hopper.png"]
    plain, damaged = photos.left_out
    assert plain.endswith("c-plain.png: no face was found")
    assert "d-damaged.png: cannot be read" in damaged
    for index in range(2):
        aligned = photos.aligner.align(photos.load(index).pixels)
        np.testing.assert_array_equal(photos.squares[index], aligned.image)
        finer = faces.FaceAligner("innerEyesAndBottomLip", EDGE)
        picture = finer.align(photos.load(index).pixels).image
        np.testing.assert_array_equal(photos.aligned[index], picture)
        np.testing.assert_array_equal(
            photos.align(index, photos.load(index).pixels), photos.aligned[index]
        )


def test_models_of_gray_images_see_gray_photos(portraits: Path) -> None:
    aligner = faces.FaceAligner("innerEyesAndBottomLip", SIZE)
    known = KnownPhotos.read([str(portraits / "b-hopper.png")], aligner, 1, 10**6)
    assert known.load(0).pixels.shape == (300, 256, 1)
    assert known.squares.shape == (1, SIZE, SIZE, 1)
    with pytest.raises(utils.UserError, match="--photos: a face was found in none of 1 photos"):
        KnownPhotos.read([str(portraits / "c-plain.png")], aligner, 1, 10**6)


# --- metrics ---


def test_metrics_are_those_of_the_whole_photo(photos: KnownPhotos) -> None:
    random = np.random.default_rng(1)
    for kind in ("eyes", "stroke"):
        case = case_of(photos, 0, kind)
        noise = random.integers(0, 256, case.original.pixels.shape, np.uint8)
        hole = case.hole.missing[..., np.newaxis]
        pixels = np.where(hole, noise, case.original.pixels)
        found = measure(case, pixels)
        whole = case.original.pixels[np.newaxis], pixels[np.newaxis], 1 - hole[np.newaxis]
        assert found["psnr"] == pytest.approx(image_metrics.psnr(*whole)[0])
        assert found["ssim"] == pytest.approx(image_metrics.ssim(*whole)[0], abs=1e-9)
        for name, image in (("gradient_energy", 1), ("original_gradient_energy", 0)):
            energy = image_metrics.gradient_energy(whole[image], whole[2])
            assert found[name] == pytest.approx(energy[0])


# --- methods ---


def test_inpainting_a_crop_is_inpainting_the_photo(photos: KnownPhotos) -> None:
    case = case_of(photos, 1)
    images, known = case.blank.pixels[np.newaxis], ~case.hole.missing[np.newaxis, ..., np.newaxis]
    mask = Mask(known.astype(np.float32))
    methods = photo_methods.inpainting_methods()
    assert [method.name for method in methods] == BASELINES
    for method in methods:
        ((pixels, seconds),) = method.repair([case])
        whole = inpaint_all(INPAINTING[method.name], images, mask)[0]
        assert np.abs(pixels.astype(int) - whole).max() <= 1
        assert seconds > 0


def test_methods_get_blank_holes_and_change_nothing_else(photos: KnownPhotos) -> None:
    seen: list[Case] = []

    def spy(cases: Sequence[Case]) -> Iterator[tuple[np.ndarray, float]]:
        seen.extend(cases)
        return iter([(case.blank.pixels, 1.0) for case in cases])

    truth = placed_method("truth", lambda cases: _truth(photos, cases), "smooth", seed=0)
    inpainting = photo_methods.inpainting_methods()[0]
    changed: list[np.ndarray] = []

    def watched(cases: Sequence[Case]) -> Iterator[tuple[np.ndarray, float]]:
        for case, (pixels, seconds) in zip(cases, truth.repair(cases), strict=True):
            outside = ~case.hole.missing
            np.testing.assert_array_equal(pixels[outside], case.original.pixels[outside])
            changed.append((pixels != case.blank.pixels).any(axis=-1))
            yield pixels, seconds

    bench = benchmark(photos, PhotoMethod("spy", spy), PhotoMethod("truth", watched), inpainting)
    result = bench.evaluate_hole("mouth", 2)
    assert [case.index for case in seen] == [0, 1]
    for case, there in zip(seen, changed, strict=True):
        hole = case.hole.missing
        assert (case.blank.pixels[hole] == 128).all()
        np.testing.assert_array_equal(case.blank.pixels[~hole], case.original.pixels[~hole])
        assert (there & hole).sum() > 0.9 * hole.sum()
        # The task knows no more, and its face is where the largest face was before.
        np.testing.assert_array_equal(case.task.photo.pixels, case.blank.pixels)
        (face,) = case.task.faces
        away = np.abs(face.landmarks - photos.points[case.index][photos.aligner.indices])
        assert away.max() < 12
        assert result.located[case.index].away == pytest.approx(np.sqrt((away**2).sum() / 3))
    assert result.metrics["spy"]["seconds"].tolist() == [1.0, 1.0]
    assert [face.found for face in result.located] == [True, True]
    assert [face.missing for face in result.located] == [c.hole.missing.sum() for c in seen]
    # What is nearly the truth is better than what knows nothing of it, and that than a blank.
    worst, middle, best = (result.metrics[n]["psnr"].mean() for n in ("spy", "telea", "truth"))
    assert worst < middle < best
    for name, picture in result.completed.items():
        distance = np.abs(picture.mean(axis=(1, 2, 3)) - photos.aligned.mean(axis=(1, 2, 3))) / 255
        identity = result.metrics[name]["identity"]
        np.testing.assert_allclose(identity, distance * np.sqrt(128), atol=1e-6)
    assert by_located(result) == []


def _truth(photos: KnownPhotos, cases: Sequence[Case]) -> np.ndarray:
    """The square of a face as it is in the photo, at the place where it was found."""
    return np.stack(
        [
            faces.affine_image(case.original.pixels, face.matrix, face.size).astype(np.float32)
            for case in cases
            for face in case.task.faces
        ]
    )


def test_where_no_face_is_found_inpainting_counts(
    photos: KnownPhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = placed_method("truth", lambda cases: _truth(photos, cases), "smooth", seed=0)
    bench = benchmark(photos, truth)
    make_of = bench._maker.make_of

    def only_hopper(path: str, photo: Photo, hole: Hole) -> object:
        if "hopper" in path:
            return make_of(path, photo, hole)
        raise utils.UserError("no face was found")

    monkeypatch.setattr(bench._maker, "make_of", only_hopper)
    result = bench.evaluate_hole("eyes", 1)
    assert result.found.tolist() == [0, 1]
    assert result.located[0].how == ""
    (grouping,) = by_located(result)
    assert {name: list(which) for name, which in grouping.members.items()} == {
        "yes": [1],
        "no": [0],
    }
    case = case_of(photos, 0, "eyes")
    inpainted = photo_methods.inpaint(case.blank, case.hole).pixels
    np.testing.assert_array_equal(result.completed["truth"][0], photos.align(0, inpainted))
    assert result.metrics["truth"]["psnr"][0] == pytest.approx(measure(case, inpainted)["psnr"])
    ((_, seconds),) = truth.repair([case])
    assert seconds > case.seconds


def test_a_hole_that_leaves_everything_is_not_measured(
    photos: KnownPhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    hole = KnownPhotos.hole

    def none_of_the_first(self: KnownPhotos, index: int, *of: object) -> np.ndarray:
        return hole(self, index, *of) & (index > 0)

    monkeypatch.setattr(KnownPhotos, "hole", none_of_the_first)
    bench = benchmark(photos, *photo_methods.inpainting_methods()[:1])
    result = bench.evaluate_hole("eyes", 2)
    for values in result.metrics["telea"].values():
        assert np.isnan(values).tolist() == [True, False]
    assert result.located[0].found is None


def test_the_mean_face_and_the_models_are_placed_back_alike(
    photos: KnownPhotos, portraits: Path, model: DCGAN, encoder: ContextEncoder
) -> None:
    asked = PhotoBenchmarkSettings.of(photos=str(portraits), n_iter=2, average=1)
    ours = photo_methods.prepare(asked, model, encoder, 2, "float32")
    assert [method.name for method in ours] == ["auto", "direct"]
    unguided = photo_methods.prepare(asked, model, None, 2, "float32")
    assert [method.name for method in unguided] == ["auto"]
    simple = photo_methods.simple_methods(photos.squares, None, 0)
    assert [method.name for method in simple] == ["mean-face"]
    # The mean of the other of two faces is that face.
    other = placed_method(
        "other", lambda cases: np.float32(photos.squares[[1 - c.index for c in cases]]), "smooth", 0
    )
    bench = benchmark(photos, *ours, *simple, other)
    result = bench.evaluate_hole("nose", 2)
    np.testing.assert_array_equal(result.completed["mean-face"], result.completed["other"])
    for name in ("auto", "direct"):
        assert np.isfinite(result.metrics[name]["psnr"]).all()
        assert not np.array_equal(result.completed[name], result.completed["other"])
    assert photo_methods.simple_methods(photos.squares[:1], None, 0) == []


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
        *("results.json", "results.md", "figures.csv", "photos.csv", "images.txt"),
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
    assert "the face was found in 100.0" in done.stdout
    with open(out / "photos.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["mask"], Path(row["image"]).name[0]) for row in rows] == [
        *[("mouth", "a"), ("mouth", "b")],
        *[("half", "a"), ("half", "b")],
    ]
    with open(out / "figures.csv", newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2 * 2 * len(names)
    assert load_picture(out / "contact-mouth.png").shape == (28 + 2 * EDGE, 9 * EDGE, 3)
    before = contents(tmp_path)
    done = run_here(*words, cwd=tmp_path)
    assert_refused(done, "--out out", "holds an evaluation", "--overwrite")
    assert contents(tmp_path) == before


REFUSED = {
    "nowhere": (("--photos", "gone"), ("--photos gone", "no such folder")),
    "nothing": (("--photos", "empty"), ("empty", "holds no images")),
    "no such photo": (("--photos", "plain", "--every", 9, "--offset", 8), ("--every 9", "none")),
    "no others": (("--photos", "plain", "--every", 1, "--others"), ("--every 1", "none")),
    "luck": (("--photos", "plain", "--baseline", "luck"), ("--baseline luck", "telea", "auto")),
    "direct": (("--photos", "plain", "--approach", "direct"), ("--approach direct", "encoder")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_refused_before_anything_is_written(
    case: str, vivid: Path, portraits: Path, tmp_path: Path, run_here: Run
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "plain").mkdir()
    shutil.copy(portraits / "c-plain.png", tmp_path / "plain")
    before = contents(tmp_path)
    options, words = REFUSED[case]
    done = run_here(*options, "--checkpoint-dir", vivid, cwd=tmp_path)
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
