"""simple-distributions.py: its pictures, and what they show."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_refused, load_script, run_script
from PIL import Image
from scipy.stats import multivariate_normal

SCRIPT = "simple-distributions.py"
NAMES = ("normal-pdf.png", "normal-samples.png", "normal-2d.png", "normal-2d-completion.png")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess]:
    folder = tmp_path_factory.mktemp("drawn")
    return folder, run_script(SCRIPT, "--out", "new/figures", cwd=folder)


def test_four_pictures_are_drawn(drawn: tuple[Path, subprocess.CompletedProcess]) -> None:
    folder, done = drawn
    figures = folder / "new" / "figures"
    assert {path.name for path in figures.iterdir()} == set(NAMES)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert done.stdout.split() == [f"new/figures/{name}" for name in NAMES]
    for name in NAMES:
        with Image.open(figures / name) as picture:
            assert picture.format == "PNG"
            pixels = np.asarray(picture.convert("L"))
        assert (pixels == 255).mean() > 0.3  # paper
        assert (pixels < 200).mean() > 0.005  # ink


def test_a_second_run_draws_the_same(
    drawn: tuple[Path, subprocess.CompletedProcess], tmp_path: Path
) -> None:
    run_script(SCRIPT, cwd=tmp_path)  # without --out: here
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES)
    for name in NAMES:
        with Image.open(tmp_path / name) as here, Image.open(drawn[0] / "new/figures" / name) as a:
            np.testing.assert_array_equal(np.asarray(here), np.asarray(a))


def test_35_samples_lie_on_a_line() -> None:
    script = load_script(SCRIPT)
    assert script.SAMPLES == 35
    figure = script.plot_samples(np.random.default_rng(5))
    (points,) = figure.axes[0].collections
    offsets = np.asarray(points.get_offsets())
    np.testing.assert_array_equal(offsets[:, 0], np.random.default_rng(5).standard_normal(35))
    assert (offsets[:, 1] == 0).all()


def test_the_density_is_the_normal_one() -> None:
    figure = load_script(SCRIPT).plot_pdf()
    x, y = figure.axes[0].lines[0].get_data()
    np.testing.assert_allclose(y, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), rtol=1e-12)
    assert x.min() <= -3
    assert x.max() >= 3


def test_samples_in_two_dimensions_have_the_mean_and_covariance() -> None:
    script = load_script(SCRIPT)
    figure = script.plot_2d(np.random.default_rng(0))
    (points,) = [c for c in figure.axes[0].collections if len(c.get_offsets()) > 1]
    x = np.asarray(points.get_offsets())
    assert len(x) == script.SAMPLES_2D
    error = 5 / np.sqrt(len(x))
    np.testing.assert_allclose(x.mean(axis=0), script.MEAN_2D, atol=error)
    np.testing.assert_allclose(np.cov(x.T), script.COVARIANCE_2D, atol=2 * error)


@pytest.mark.parametrize(
    ("x", "mean", "covariance"),
    [
        (1.0, [0, 0], [[1, 0.6], [0.6, 1]]),
        (-2.0, [0.5, -1], [[2, -0.7], [-0.7, 0.5]]),
        (3.0, [1, 2], [[0.5, 0], [0, 3]]),
        (0.3, [-1, 0.2], [[4, 1.5], [1.5, 1]]),
    ],
)
def test_the_most_probable_y_has_the_largest_density(
    x: float, mean: list[float], covariance: list[list[float]]
) -> None:
    y = np.linspace(-8, 8, 160_001)
    density = multivariate_normal(mean, covariance).logpdf(np.stack([np.full_like(y, x), y], -1))
    found = load_script(SCRIPT).most_probable_y(x, np.array(mean), np.array(covariance))
    assert found == pytest.approx(y[density.argmax()], abs=1e-4)


def test_the_completion_marks_the_most_probable_y() -> None:
    script = load_script(SCRIPT)
    assert script.KNOWN_X == 1
    left, right = script.plot_completion().axes
    curve, mark = right.lines
    y, density = curve.get_data()
    step = y[1] - y[0]
    assert mark.get_xdata()[0] == pytest.approx(y[density.argmax()], abs=step)
    assert mark.get_ydata()[0] == pytest.approx(density.max(), rel=1e-3)
    (point,) = [line for line in left.lines if len(line.get_xdata()) == 1]
    assert point.get_xdata()[0] == 1
    assert point.get_ydata()[0] == pytest.approx(y[density.argmax()], abs=step)


def test_an_unwritable_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    for place in ("file", "file/figures"):
        done = run_script(SCRIPT, "--out", place, cwd=tmp_path, status=2)
        assert_refused(done, f"--out {place}")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "here first"
