"""The benchmark with methods whose completions are known, and readers without dlib."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from metrics_helpers import PlainReader, RecordedProgress

from dcgan_completion import checkpoints
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.evaluation import face_sets, methods, progress, reference
from dcgan_completion.evaluation.benchmark import Benchmark, KnownFaces
from dcgan_completion.evaluation.linear_estimate import LinearEstimate
from dcgan_completion.evaluation.methods import Method
from dcgan_completion.evaluation.results import MEASURED
from dcgan_completion.inpaint import blending
from dcgan_completion.inpaint.completer import Completer
from dcgan_completion.inpaint.direct import DirectCompleter
from dcgan_completion.masks import source as mask_source
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.evaluation import BenchmarkSettings
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SearchSettings
from dcgan_completion.utils import UserError

SIZE, NUMBER = 16, 5


@pytest.fixture
def images(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 200, [NUMBER, SIZE, SIZE, 3], np.uint8)


def brighter(calls: list[tuple[int, int]]) -> Method:
    """Takes two at a time, and adds a level for each seed plus one; twice so much by `more`."""

    def complete(images: np.ndarray, mask: Mask, seed: int) -> dict[str, np.ndarray]:
        assert len(images) == len(mask) <= 2
        calls.append((seed, len(images)))
        hole = mask.kept == 0
        return {
            name: (images + hole * by * (seed + 1)).astype(np.uint8)
            for name, by in (("some", 1), ("more", 2))
        }

    return Method(("some", "more"), complete, batch=2, seeded=True)


def db(level: float) -> float:
    """PSNR of a hole that is off by so many levels everywhere."""
    return 20 * np.log10(255 / level)


def test_metrics_are_means_over_seeds(images: np.ndarray) -> None:
    calls: list[tuple[int, int]] = []
    faces = KnownFaces.of(images, PlainReader())
    trials = Benchmark(faces, [0, 1], [brighter(calls)])
    result = trials.evaluate_mask(MaskSettings("left"), shown=3)
    assert calls == [(0, 2), (0, 2), (0, 1), (1, 2), (1, 2), (1, 1)]
    assert result.mask_type == "left"
    assert list(result.metrics) == [
        "some",
        "more",
        "mean-face",
        "telea",
        "navier-stokes",
        "biharmonic",
    ]
    assert all(tuple(values) == MEASURED for values in result.metrics.values())
    some, more = result.metrics["some"], result.metrics["more"]
    np.testing.assert_allclose(some["psnr"], (db(1) + db(2)) / 2)
    np.testing.assert_allclose(more["psnr"], (db(2) + db(4)) / 2)
    # A hole that is brighter as a whole is as sharp as it was.
    np.testing.assert_allclose(some["gradient_energy"], some["original_gradient_energy"])
    # Half of the pixels by 1 or 2 levels: 128 equal numbers, each off by so much.
    np.testing.assert_allclose(some["identity"], np.sqrt(128) * 0.75 / 255, rtol=1e-6)
    # The first batch of the first seed compiles: its first image has the second seed's time alone.
    assert np.isfinite(some["seconds"]).tolist() == [True, False, True, False, True]
    # What is shown is of the first seed.
    np.testing.assert_array_equal(result.completed["some"][:, :, :8], images[:3, :, :8] + 1)
    assert all(pixels.shape == images[:3].shape for pixels in result.completed.values())
    np.testing.assert_array_equal(result.masked[:, :, 8:], images[:3, :, 8:])
    assert (result.masked[:, :, :8] == 128).all()


def test_only_what_a_seed_does_not_change_is_measured_once_and_cached(images: np.ndarray) -> None:
    reader, recorded = PlainReader(), RecordedProgress()
    faces = KnownFaces.of(images, reader, recorded)
    assert reader.kept == [True]
    trials = Benchmark(faces, [3, 4], [brighter([])], recorded)
    trials.evaluate_mask(MaskSettings("center"), 1)  # the same mask for both seeds
    assert reader.kept[1:] == [False, False, True, True, True, True, False, False]
    # A stage to describe the faces, one to complete for each method and seed, one to measure each.
    assert recorded.totals() == [NUMBER] * (1 + (3 + 4 * 2) + 3)
    reader.kept.clear()
    trials.evaluate_mask(MaskSettings("random"), 1)  # another one for each
    assert len(reader.kept) == 2 * 6


def test_masks_without_a_kept_pixel_are_filled_by_no_inpainting(images: np.ndarray) -> None:
    trials = Benchmark(KnownFaces.of(images[:1], PlainReader()), [0], [brighter([])])
    for kind in ("full", "lowres"):
        result = trials.evaluate_mask(MaskSettings(kind), 1)
        assert list(result.metrics) == ["some", "more"]  # one face has no others to be the mean of
        np.testing.assert_allclose(result.metrics["some"]["psnr"], db(1))


def test_one_batch_alone_tells_its_time(images: np.ndarray) -> None:
    trials = Benchmark(KnownFaces.of(images[:2], PlainReader()), [0], [brighter([])])
    seconds = trials.evaluate_mask(MaskSettings("left"), 1).metrics["some"]["seconds"]
    assert np.isfinite(seconds).tolist() == [True, False]


def test_some_faces_keep_their_own_description(images: np.ndarray) -> None:
    faces = KnownFaces.of(images, PlainReader())[1::3]
    np.testing.assert_array_equal(faces.images, images[[1, 4]])
    mask = Mask(np.zeros([2, SIZE, SIZE, 1], np.float32))
    measured = faces.measure(images[[1, 4]], mask, "themselves")
    assert measured["identity"].tolist() == [0, 0]
    assert np.isinf(measured["psnr"]).all()
    assert set(measured) == set(MEASURED) - {"seconds"}


def test_baselines_are_known_by_name() -> None:
    methods.check_baselines(("mean-face", "telea", "more"), ["some", "more"])
    with pytest.raises(UserError, match=r"--baseline luck: .*mean-face, telea.* some, more"):
        methods.check_baselines(("telea", "luck"), ["some", "more"])


def test_blends_share_a_search(model: DCGAN, images: np.ndarray) -> None:
    search = SearchSettings.of("adam", n_iter=1)
    both = methods.search_method(model, search, ["none", "poisson"], 2)
    assert (both.names, both.seeded) == (("adam-none", "adam-poisson"), True)
    known = np.ones([2, SIZE, SIZE, 1], np.float32)
    known[:, 4:12, 4:12] = 0
    done = both.complete(images[:2], Mask(known), 0)
    own = methods.search_method(model, search, [], 2)
    assert own.names == ("adam",)
    np.testing.assert_array_equal(
        done["adam-none"], own.complete(images[:2], Mask(known), 0)["adam"]
    )
    assert (done["adam-poisson"] != done["adam-none"]).any()
    for pixels in done.values():
        np.testing.assert_array_equal(pixels[:, :4], images[:2, :4])


def test_the_linear_estimate_is_blended_as_our_own(images: np.ndarray) -> None:
    estimate = LinearEstimate.fit(lambda: [images[2:]])
    method = methods.linear_method(estimate, 2)
    known = np.ones([2, SIZE, SIZE, 1], np.float32)
    known[:, 4:12, 4:12] = 0
    mask = Mask(known)
    done = method.complete(images[:2], mask, 0)
    assert (method.names, method.batch, method.seeded) == (("linear",), 2, False)
    blend = SearchSettings.of("auto").blend
    expected = blending.fill(images[:2], mask, estimate.estimate(images[:2], mask), blend)
    np.testing.assert_array_equal(done["linear"], expected)
    np.testing.assert_array_equal(done["linear"][:, :4], images[:2, :4])
    trials = Benchmark(KnownFaces.of(images[:2], PlainReader()), [0], [method])
    assert "linear" in trials.evaluate_mask(MaskSettings("random"), 1).metrics
    for kind in ("full", "lowres"):  # nothing is known by which to estimate
        assert list(trials.evaluate_mask(MaskSettings(kind), 1).metrics) == ["mean-face"]


@pytest.mark.parametrize(("number", "chosen"), [(1, [0]), (3, [0, 2, 4]), (7, list(range(7)))])
def test_faces_are_thinned_out_evenly(number: int, chosen: list[int]) -> None:
    assert face_sets.evenly_spaced(range(7), number) == chosen
    assert face_sets.evenly_spaced(range(7), None) == list(range(7))
    assert face_sets.evenly_spaced(range(7), 99) == list(range(7))


def test_a_model_is_known_by_its_weights_alone(trained: Path) -> None:
    path = str(trained / "checkpoint")
    model, again = (checkpoints.load_model(path)[0] for _ in range(2))
    hashes = [checkpoints.network_hash(m.architecture, m.g, m.d) for m in (model, again)]
    assert hashes[0] == hashes[1]
    again.d["linear_bias"].assign_add([0.5])
    assert checkpoints.network_hash(again.architecture, again.g, again.d) != hashes[0]


def test_the_reference_is_measured_once_for_each_seed(
    model: DCGAN, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []

    def stub(_model: DCGAN, search: SearchSettings, *_: object) -> Method:
        own = brighter(calls)

        def complete(images: np.ndarray, mask: Mask, seed: int) -> dict[str, np.ndarray]:
            return {search.approach: own.complete(images, mask, seed)["some"]}

        return Method((search.approach,), complete, own.batch, seeded=True)

    monkeypatch.setattr(methods, "search_method", stub)
    faces, cache = KnownFaces.of(images, PlainReader()), str(tmp_path)
    recorded = RecordedProgress()
    first = reference.measure_reference(model, faces, 1, cache, recorded)
    assert recorded.totals() == [2, 2]
    assert calls == [(1, 2), (1, 2)]
    assert list(first) == ["reference-adam", "reference-pgd"]
    psnr = first["reference-adam"]["psnr"]  # of the first and the fifth face
    np.testing.assert_allclose(psnr, [db(2), np.nan, np.nan, np.nan, db(2)])
    again = reference.measure_reference(model, faces, 1, cache, recorded)
    assert len(calls) == 2
    for name, values in again.items():
        for metric in MEASURED:
            np.testing.assert_array_equal(values[metric], first[name][metric])
    reference.measure_reference(model, faces, 2, cache)
    reference.measure_reference(model, faces[::-1], 1, cache)
    assert len(calls) == 6
    next((tmp_path / "reference").iterdir()).write_text("{")  # damaged: measured anew
    for seed in (1, 2):
        reference.measure_reference(model, faces, seed, cache)
    reference.measure_reference(model, faces[::-1], 1, cache)
    assert len(calls) == 7


def test_silence_is_a_progress() -> None:
    with progress.silent(total=3, desc="nothing") as bar:
        assert bar.update(3) is None
    with contextlib.suppress(ValueError), progress.silent(total=3, desc="an error"):
        raise ValueError


# --- the approaches ---


def asked_for(folder: Path, *approaches: str, **given: object) -> BenchmarkSettings:
    return BenchmarkSettings.of(str(folder), approach=list(approaches), n_iter=2, **given)


def test_auto_is_guided_where_pixels_are_kept(
    model: DCGAN, encoder: ContextEncoder, images: np.ndarray, tmp_path: Path
) -> None:
    asked = asked_for(tmp_path, "auto", "auto-unguided", "direct")
    ours = methods.prepare(asked, model, encoder, 2, "float32")
    for kind, keeps in (("center", True), ("full", False)):
        mask = mask_source.draw_masks(MaskSettings(kind), images[:2], 0)
        found = {
            name: pixels
            for method in ours
            if method.suits(keeps)
            for name, pixels in method.complete(images[:2], mask, 0).items()
        }
        assert sorted(found) == ["auto", "auto-unguided", *(["direct"] if keeps else [])]
        same = np.array_equal(found["auto"], found["auto-unguided"])
        assert same == (not keeps)
        for name, pixels in found.items():
            if name == "direct":
                wanted = DirectCompleter(encoder, batch_size=2).complete(images[:2], mask)
            else:
                search = SearchSettings.of("auto", guided=name == "auto" and keeps, n_iter=2)
                completer = Completer(model, search, batch_size=2, encoder=encoder)
                wanted = completer.complete(images[:2], mask, 0).completed
            np.testing.assert_array_equal(pixels, wanted)


def test_without_an_encoder_auto_is_unguided(model: DCGAN, tmp_path: Path) -> None:
    (method,) = methods.prepare(asked_for(tmp_path, "auto"), model, None, 2, "float32")
    assert method.suits(True)
    assert method.suits(False)


def test_the_encoder_is_loaded_where_it_is_used(
    guided: Path, vivid: Path, model: DCGAN, encoder: ContextEncoder, tmp_path: Path
) -> None:
    prefix = str(guided / "ckpt-11")
    for names, used in (
        (("auto",), True),
        (("direct",), True),
        (("auto-unguided", "adam"), False),
    ):
        found = methods.load_encoder(asked_for(tmp_path, *names), model, prefix)
        assert (found is not None) == used
    assert methods.load_encoder(asked_for(tmp_path, "auto"), model, str(vivid / "ckpt-11")) is None
    with pytest.raises(UserError, match=r"--approach direct: there is no context encoder beside"):
        methods.load_encoder(asked_for(tmp_path, "direct"), model, str(vivid / "ckpt-11"))


def test_direct_is_blended_as_asked(
    model: DCGAN, encoder: ContextEncoder, images: np.ndarray, tmp_path: Path
) -> None:
    asked = asked_for(tmp_path, "direct", blend=["none", "smooth"], baseline=["direct-none"])
    (method,) = methods.prepare(asked, model, encoder, 2, "float32")
    assert method.names == ("direct-none", "direct-smooth")
    mask = mask_source.draw_masks(MaskSettings("center"), images[:2], 0)
    for name, pixels in method.complete(images[:2], mask, 0).items():
        blend = name.removeprefix("direct-")
        wanted = DirectCompleter(encoder, blend, batch_size=2).complete(images[:2], mask)
        np.testing.assert_array_equal(pixels, wanted)
