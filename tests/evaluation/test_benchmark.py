"""The benchmark of aligned faces with methods whose completions are known, and without dlib."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from metrics_helpers import PlainReader, RecordedProgress

from dcgan_completion import checkpoints
from dcgan_completion.evaluation import cases as evaluation_cases
from dcgan_completion.evaluation import face_sets, methods, reference
from dcgan_completion.evaluation.benchmark import Benchmark, measure
from dcgan_completion.evaluation.cases import Case, Faces
from dcgan_completion.evaluation.linear_estimate import LinearEstimate
from dcgan_completion.evaluation.methods import Method, Paste
from dcgan_completion.evaluation.results import MEASURED
from dcgan_completion.inpaint import blending
from dcgan_completion.inpaint.inpainter import Inpainter
from dcgan_completion.masks.mask import Mask
from dcgan_completion.settings.evaluation import BenchmarkSettings
from dcgan_completion.utils import UserError

SIZE, NUMBER = 16, 5
INPAINTING = ["telea", "navier-stokes", "biharmonic"]


@pytest.fixture
def images(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 200, [NUMBER, SIZE, SIZE, 3], np.uint8)


@pytest.fixture(scope="module")
def inpainter(guided: Path) -> Inpainter:
    return Inpainter.from_pretrained(str(guided), precision="float32")


class Brighter:
    """Takes two at a time, and adds a level for each seed plus one; twice so much by `more`."""

    names, batch = ("some", "more"), 2
    seeded = network = for_whole = True

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def complete(
        self, cases: Sequence[Case], seed: int, _paste: Paste
    ) -> Iterator[tuple[dict[str, np.ndarray], float]]:
        assert len(cases) <= 2
        self.calls.append((seed, len(cases)))
        for case in cases:
            brighter = case.mask.filled[0] * (seed + 1)
            yield {n: (case.original + brighter * k).astype(np.uint8) for n, k in self.by()}, 2.0

    @classmethod
    def by(cls) -> Iterator[tuple[str, int]]:
        return zip(cls.names, (1, 2), strict=True)


def simple_methods(images: np.ndarray) -> list[Method]:
    return [methods.mean_face_method(images, "none"), *methods.inpainting_methods()]


def db(level: float) -> float:
    """PSNR of a hole that is off by so many levels everywhere."""
    return 20 * np.log10(255 / level)


def test_metrics_are_means_over_seeds(images: np.ndarray) -> None:
    brighter = Brighter()
    trials = Benchmark(Faces(images), [brighter, *simple_methods(images)], [0, 1], PlainReader())
    result = trials.evaluate("left", shown=3)
    assert brighter.calls == [(0, 2), (0, 2), (0, 1), (1, 2), (1, 2), (1, 1)]
    assert (result.mask_type, result.located) == ("left", [])
    assert list(result.metrics) == ["some", "more", "mean-face", *INPAINTING]
    assert all(tuple(values) == MEASURED for values in result.metrics.values())
    some, more = result.metrics["some"], result.metrics["more"]
    np.testing.assert_allclose(some["psnr"], (db(1) + db(2)) / 2)
    np.testing.assert_allclose(more["psnr"], (db(2) + db(4)) / 2)
    # A hole that is brighter as a whole is as sharp as it was.
    np.testing.assert_allclose(some["gradient_energy"], some["original_gradient_energy"])
    # Half of the pixels by 1 or 2 levels: 128 equal numbers, each off by so much.
    np.testing.assert_allclose(some["identity"], np.sqrt(128) * 0.75 / 255, rtol=1e-6)
    # The first image of each batch has its time; of the first batch, in which TensorFlow compiles,
    # that of the second seed.
    np.testing.assert_array_equal(some["seconds"], [2, np.nan, 2, np.nan, 2])
    assert np.isfinite(result.metrics["telea"]["seconds"]).all()
    # What is shown is of the first seed.
    np.testing.assert_array_equal(result.completed["some"][:, :, :8], images[:3, :, :8] + 1)
    assert all(pixels.shape == images[:3].shape for pixels in result.completed.values())
    np.testing.assert_array_equal(result.masked[:, :, 8:], images[:3, :, 8:])
    assert (result.masked[:, :, :8] == 128).all()


def test_only_what_a_seed_does_not_change_is_measured_once_and_cached(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_cases, "BATCH", 3)
    reader, recorded, brighter = PlainReader(), RecordedProgress(), Brighter()
    methods_ = [brighter, *simple_methods(images)]
    trials = Benchmark(Faces(images), methods_, [3, 4], reader, recorded)
    assert reader.kept == [True]
    trials.evaluate("center", 1)  # the same mask for both seeds
    assert brighter.calls == [(3, 2), (3, 1), (3, 2), (4, 2), (4, 1), (4, 2)]
    assert reader.kept[1:] == ([False] * 2 + [True] * 4) * 2 + [False] * 4
    # A stage to describe the faces, and one for each seed.
    assert recorded.totals() == [NUMBER, NUMBER * 5, NUMBER]
    reader.kept.clear()
    trials.evaluate("random", 1)  # another one for each
    assert len(reader.kept) == 2 * 2 * 6


def test_masks_without_a_kept_pixel_are_filled_by_no_inpainting(images: np.ndarray) -> None:
    trials = Benchmark(Faces(images), [Brighter(), *simple_methods(images)], [0], PlainReader())
    for kind in ("full", "lowres"):
        result = trials.evaluate(kind, 1)
        assert list(result.metrics) == ["some", "more", "mean-face"]
        np.testing.assert_allclose(result.metrics["some"]["psnr"], db(1))
        others = np.rint((images.sum(axis=0, dtype=int) - images[0]) / (NUMBER - 1))
        np.testing.assert_array_equal(result.completed["mean-face"][0], others)


def test_the_first_batch_tells_the_time_where_it_is_the_only_one(images: np.ndarray) -> None:
    trials = Benchmark(Faces(images[:2]), [Brighter()], [0], PlainReader())
    for _ in range(2):  # nothing is compiled for a second mask
        seconds = trials.evaluate("left", 1).metrics["some"]["seconds"]
        np.testing.assert_array_equal(seconds, [2, np.nan])
    trials = Benchmark(Faces(images), [Brighter()], [0], PlainReader())
    seconds = [trials.evaluate(kind, 1).metrics["some"]["seconds"] for kind in ("left", "top")]
    np.testing.assert_array_equal(
        seconds, [[np.nan, np.nan, 2, np.nan, 2], [2, np.nan, 2, np.nan, 2]]
    )


def test_random_masks_have_the_share_that_is_asked_for(images: np.ndarray) -> None:
    for fraction, share in ((None, 0.2), (0.7, 0.7)):
        (cases,) = Faces(images, fraction).batches("random", 0)
        assert np.mean([case.mask.hole for case in cases]) == pytest.approx(share, abs=0.03)


def test_an_exact_completion(images: np.ndarray) -> None:
    (cases,) = Faces(images).batches("center", 0)
    measured = measure(cases[1], images[1])
    assert (measured["psnr"], measured["ssim"]) == (np.inf, 1)
    assert measured["gradient_energy"] == measured["original_gradient_energy"]


@pytest.mark.parametrize(("number", "chosen"), [(1, [0]), (3, [0, 2, 4]), (7, list(range(7)))])
def test_faces_are_thinned_out_evenly(number: int, chosen: list[int]) -> None:
    assert face_sets.evenly_spaced(range(7), number) == chosen
    assert face_sets.evenly_spaced(range(7), None) == list(range(7))
    assert face_sets.evenly_spaced(range(7), 99) == list(range(7))


# --- methods ---


def complete(method: Method, faces: Faces, kind: str = "center") -> dict[str, np.ndarray]:
    (cases,) = faces.batches(kind, 0)
    found = [completed for completed, _ in method.complete(cases, 0, faces.paste)]
    return {name: np.stack([one[name] for one in found]) for name in method.names}


def test_the_linear_estimate_is_blended_as_our_own(images: np.ndarray) -> None:
    estimate = LinearEstimate.fit(lambda: [images[2:]])
    method = methods.linear_method(estimate, 2)
    (cases,) = Faces(images[:2]).batches("center", 0)
    mask = Mask(np.concatenate([case.mask.hole for case in cases]))
    expected = blending.fill(images[:2], mask, estimate.estimate(images[:2], mask), "smooth")
    np.testing.assert_array_equal(complete(method, Faces(images[:2]))["linear"], expected)
    assert (method.batch, method.seeded, method.for_whole) == (2, False, False)


def asked_for(folder: Path, *approaches: str, **given: object) -> BenchmarkSettings:
    return BenchmarkSettings.of(str(folder), approach=list(approaches), n_iter=2, **given)


@pytest.mark.parametrize("kind", ["center", "full"])
def test_methods_complete_as_the_api(
    inpainter: Inpainter, images: np.ndarray, tmp_path: Path, kind: str
) -> None:
    faces = Faces(images[:2])
    (cases,) = faces.batches(kind, 0)
    mask = Mask.full() if kind == "full" else np.stack([case.mask.plane for case in cases])
    asked = asked_for(tmp_path, "auto", "auto-unguided", "adam", "direct")
    for method in methods.model_methods(asked, inpainter, 2, guided=True):
        (name,) = method.names
        if kind == "full" and not method.for_whole:
            assert name == "direct"
            continue
        options = {} if name == "direct" else {"n_iter": 2}
        if name == "auto-unguided":
            options["guide"] = 0
        wanted = inpainter(
            images[:2],
            mask,
            approach=name.removesuffix("-unguided"),
            return_type="numpy",
            **options,
        )
        np.testing.assert_array_equal(complete(method, faces, kind)[name], wanted.images)


def test_blends_share_a_search(inpainter: Inpainter, images: np.ndarray, tmp_path: Path) -> None:
    asked = asked_for(
        tmp_path, "adam", "direct", blend=["none", "poisson"], baseline=["direct-none"]
    )
    adam, direct = methods.model_methods(asked, inpainter, 2, guided=True)
    assert (adam.names, adam.seeded) == (("adam-none", "adam-poisson"), True)
    assert (direct.names, direct.seeded) == (("direct-none", "direct-poisson"), False)
    faces = Faces(images[:2])
    for method in (adam, direct):
        none, poisson = complete(method, faces).values()
        assert (none != poisson).any()
        np.testing.assert_array_equal(none[:, :4], images[:2, :4])
    (own,) = methods.model_methods(asked_for(tmp_path, "adam"), inpainter, 2, guided=True)
    np.testing.assert_array_equal(complete(own, faces)["adam"], complete(adam, faces)["adam-none"])


def test_without_an_encoder_auto_is_unguided_and_direct_is_refused(
    vivid: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = Inpainter.from_pretrained(str(vivid), precision="float32")
    caplog.set_level("INFO", "dcgan_completion")
    (method,) = methods.model_methods(asked_for(tmp_path, "auto"), alone, 2, guided=False)
    assert method.names == ("auto",)
    assert caplog.messages == []  # results go to stdout, too
    with pytest.raises(UserError, match=r"--approach direct: there is no context encoder beside"):
        methods.model_methods(asked_for(tmp_path, "direct"), alone, 2, guided=False)


def test_baselines_are_known_by_name(inpainter: Inpainter, tmp_path: Path) -> None:
    known = ["mean-face", *INPAINTING, "adam"]
    methods.model_methods(asked_for(tmp_path, "adam", baseline=known), inpainter, 2, True)
    asked = asked_for(tmp_path, "adam", baseline=["telea", "luck"])
    with pytest.raises(UserError, match=r"--baseline luck: .*mean-face, telea.* adam"):
        methods.model_methods(asked, inpainter, 2, True)


# --- the reference ---


def test_a_model_is_known_by_its_weights_alone(trained: Path) -> None:
    path = str(trained / "checkpoint")
    model, again = (checkpoints.load_model(path)[0] for _ in range(2))
    hashes = [checkpoints.network_hash(m.architecture, m.g, m.d) for m in (model, again)]
    assert hashes[0] == hashes[1]
    again.d["linear_bias"].assign_add([0.5])
    assert checkpoints.network_hash(again.architecture, again.g, again.d) != hashes[0]


def test_the_reference_is_measured_once_for_each_seed(
    inpainter: Inpainter, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []

    def stub(_inpainter: Inpainter, name: str, *_: object, **_options: object) -> Brighter:
        method = Brighter()
        method.names, method.calls = (name, "more"), calls
        method.by = lambda: ((name, 1), ("more", 2))
        return method

    monkeypatch.setattr(methods, "search_method", stub)
    reader, recorded, cache = PlainReader(), RecordedProgress(), tmp_path / "reference"

    def measured(seed: int, images: np.ndarray = images) -> dict[str, dict[str, np.ndarray]]:
        return reference.measure_reference(inpainter, images, seed, str(tmp_path), reader, recorded)

    first = measured(1)
    assert recorded.totals() == [2] * 4
    assert calls == [(1, 2), (1, 2)]
    assert list(first) == ["reference-adam", "reference-pgd"]
    psnr = first["reference-adam"]["psnr"]  # of the first and the fifth face
    np.testing.assert_allclose(psnr, [db(2), np.nan, np.nan, np.nan, db(2)])
    for path in cache.iterdir():  # as until 1.0
        path.write_text(path.read_text().replace('"metrics"', '"figures"'))
    for name, values in measured(1).items():
        for metric in MEASURED:
            np.testing.assert_array_equal(values[metric], first[name][metric])
    assert len(calls) == 2
    measured(2)
    measured(1, images[::-1])
    assert len(calls) == 6
    damaged = next(cache.iterdir())
    damaged.write_text("{")  # measured anew
    for seed in (1, 2):
        measured(seed)
    measured(1, images[::-1])
    assert len(calls) == 7
    assert set(json.loads(damaged.read_text())["metrics"]) == set(MEASURED)
