"""A generator's metrics from sets whose relation is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from metrics_helpers import PlainReader, RecordedProgress

from dcgan_completion import utils
from dcgan_completion.evaluation import face_sets, generator_scores, nearest_faces
from dcgan_completion.evaluation.embeddings import FaceReader
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.evaluation import GeneratorSettings
from dcgan_completion.utils import UserError

SIZE = 16


def save_pictures(folder: Path, number: int, seed: int) -> list[str]:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    paths = [str(folder / f"{i:04d}.png") for i in range(number)]
    for path in paths:
        utils.save_image(path, random.integers(0, 256, [SIZE, SIZE, 3], np.uint8))
    return paths


def test_holdout_takes_some_and_keeps_them_from_training(tmp_path: Path) -> None:
    a = save_pictures(tmp_path / "a", 6, 0)
    b = save_pictures(tmp_path / "b", 6, 1)
    (tmp_path / "c").symlink_to(tmp_path / "b")
    names = tmp_path / "names.txt"
    names.write_text("0001.png\n0002.png\n\n0005.png\nelsewhere.png\n")
    folders = [str(tmp_path / name) for name in "ab"]
    real, training = face_sets.list_sets(folders, folders, str(names))
    assert real == [paths[i] for paths in (a, b) for i in (1, 2, 5)]
    assert training == [paths[i] for paths in (a, b) for i in (0, 3, 4)]
    # Without a list: what is real is not of training, by whatever path.
    real, training = face_sets.list_sets([str(tmp_path / "c")], folders, None)
    assert (len(real), training) == (6, a)
    with pytest.raises(UserError, match=r"--training .* besides those that are held out"):
        face_sets.list_sets(folders, [str(tmp_path / "c")], None)


def test_copies_of_training_faces_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest_faces, "BLOCK", 7)  # several blocks of the 30 files
    monkeypatch.setattr(generator_scores, "NEAREST_DRAWN", 12)
    training = save_pictures(tmp_path / "training", 30, 0)
    copied = [29, 0, 13]
    images = np.stack([utils.load_image(training[i]) for i in copied])
    brighter = (images[2].astype(int) + 4).clip(0, 255).astype(np.uint8)
    queries = np.concatenate([images, brighter[np.newaxis]])
    progress = RecordedProgress()
    with FaceReader(2) as reader:
        found = generator_scores.nearest_training(queries, training, 8, reader, progress)
    assert progress.totals() == [30, 12, 4]
    np.testing.assert_array_equal(found.by_pixels, images[[0, 1, 2, 2]])
    squares = np.square((brighter.astype(float) - images[2]) / 255).mean()
    np.testing.assert_allclose(found.pixels, [0, 0, 0, np.sqrt(squares)], atol=1e-12)
    drawn = set(np.random.default_rng(8).permutation(30)[:12].tolist())
    for i, number in enumerate(copied):
        assert (found.identity[i] == 0) == (number in drawn)
        assert (found.by_identity[i] == images[i]).all() == (number in drawn)
    assert {0, 13, 29} & drawn
    assert {0, 13, 29} - drawn


def test_a_set_like_the_real_one_is_as_near_and_as_diverse(random: np.random.Generator) -> None:
    rows = random.normal(size=[3, 400, 8])
    alike = generator_scores.compare_sets(rows[0], rows[1], seed=0)
    assert alike["diversity_ratio"].mean == pytest.approx(1, abs=0.05)
    assert alike["diversity_ratio"].error < 0.03
    # Half the faces: twice the distance that chance makes.
    assert alike["frechet"].mean < alike["frechet_real_halves"].mean
    poorer = generator_scores.compare_sets(0.5 * rows[0] + 1, rows[1], seed=0)
    assert poorer["diversity_ratio"].mean == pytest.approx(0.5, abs=0.03)
    # Eight dimensions: 8 (1 - 0)^2 + 8 (1 - 0.5)^2
    assert poorer["frechet"].mean == pytest.approx(10, rel=0.1)


def test_every_stage_of_a_score_reaches_its_total(
    tmp_path: Path, model: DCGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(generator_scores.INVERSION, "n_iter", 1)
    real, training = save_pictures(tmp_path / "a", 7, 0), save_pictures(tmp_path / "b", 9, 1)
    settings = GeneratorSettings(real=("a",), training=("b",), samples=6, inversion=3, seed=(2,))
    progress, reader = RecordedProgress(), PlainReader()
    sets = face_sets.FaceSets(real, training)
    score = generator_scores.score(model, sets, settings, reader, progress)
    # Samples, as many real faces, the inverted, training by pixels and by embedding, all compared.
    assert progress.totals() == [6, 6, 3, 9, 9, 12]
    assert reader.kept == [False, True, False, True, True]  # what is drawn anew is not cached
    numbers = {name: value.n for name, value in score.metrics.items()}
    assert numbers["frechet"] == numbers["found_real"] == 6
    assert numbers["inversion_psnr"] == numbers["inversion_identity"] == 3
    assert numbers["nearest_pixels"] == numbers["nearest_identity_real"] == 6
    assert list(score.sheets) == ["samples", "inversion", "nearest-sample", "nearest-held-out"]
    progress = RecordedProgress()
    alone = generator_scores.score(model, sets._replace(training=[]), settings, reader, progress)
    assert progress.totals() == [6, 6, 3]
    for name, value in alone.metrics.items():
        assert (value.mean, value.n) == (score.metrics[name].mean, score.metrics[name].n)
