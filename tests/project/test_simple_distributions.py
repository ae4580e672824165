"""simple-distributions.py: its pictures, and what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import Run, assert_refused, contents, run_script
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import multivariate_normal

from dcgan_completion import checkpoints, utils
from dcgan_completion.latent import distributions, loss_line
from dcgan_completion.model import DCGAN

SCRIPT = "simple-distributions.py"
OF_NORMALS = ("normal-pdf", "normal-samples", "normal-2d", "normal-2d-completion")
NAMES = (*OF_NORMALS, "loss-along-z")
FILES = [f"{name}.{kind}" for name in NAMES for kind in ("png", "pdf")]
# Okabe and Ito (2008), "Color universal design", and black, gray and white.
OKABE_ITO = {"#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"}


@pytest.fixture(scope="module")
def line(model: DCGAN) -> loss_line.LossLine:
    return loss_line.measure(model, np.random.default_rng(1))


@pytest.fixture(scope="module")
def figures(line: loss_line.LossLine) -> dict[str, Figure]:
    random = np.random.default_rng(0)
    pairs = random.multivariate_normal(distributions.MEAN_2D, distributions.COVARIANCE_2D, 200)
    return {
        "normal-pdf": distributions.plot_pdf(random.standard_normal(35)),
        "normal-samples": distributions.plot_samples(random.standard_normal(35)),
        "normal-2d": distributions.plot_2d(pairs),
        "normal-2d-completion": distributions.plot_completion(),
        "loss-along-z": distributions.plot_loss_line(line),
    }


# --- files ---


def test_five_plots_are_drawn_and_a_second_run_draws_the_same(
    vivid: Path, run_here: Run, tmp_path: Path
) -> None:
    done = run_script(SCRIPT, "--out", "new/figures", "--checkpoint-dir", vivid, cwd=tmp_path)
    assert done.stdout.split() == [f"new/figures/{name}" for name in FILES]
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    figures = tmp_path / "new" / "figures"
    assert {path.name for path in figures.iterdir()} == set(FILES)
    for name in NAMES:
        with Image.open(figures / f"{name}.png") as picture:
            assert picture.format == "PNG"
            pixels = np.asarray(picture.convert("L"))
        assert (pixels == 255).mean() > 0.3  # paper
        assert (pixels < 200).mean() > 0.005  # ink
        pdf = (figures / f"{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF-")
        assert (b"/Subtype /Image" in pdf) == (name == "loss-along-z")  # all else is vectors
    first = contents(figures)
    (tmp_path / "again").mkdir()
    done = run_here("--checkpoint-dir", vivid, cwd=tmp_path / "again")  # without --out: here
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "again") == first


def test_without_any_model_the_others_are_drawn(
    run_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SHIPPED", str(tmp_path / "nowhere"))
    done = run_here("--out", "figures", cwd=tmp_path)
    assert done.returncode == 0
    assert "no model in ./checkpoint: skipped loss-along-z" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == set(OF_NORMALS)


def test_what_cannot_be_used_is_refused(run_here: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    for place in ("file", "file/figures"):
        assert_refused(run_here("--out", place, cwd=tmp_path), f"--out {place}")
    done = run_here("--checkpoint-dir", "nothing", "--out", "figures", cwd=tmp_path)
    assert_refused(done, "--checkpoint-dir nothing", "holds no checkpoint")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "here first"


# --- how they look ---


@pytest.mark.parametrize("name", NAMES)
def test_text_is_legible_and_colours_are_told_apart(name: str, figures: dict[str, Figure]) -> None:
    from matplotlib.colors import to_hex
    from matplotlib.text import Text

    figure = figures[name]
    assert all(text.get_fontsize() >= 9 for text in figure.findobj(Text) if text.get_text())
    for axes in figure.axes:
        for plotted in axes.lines:
            colour = to_hex(plotted.get_color())
            assert colour in OKABE_ITO or len({colour[1:3], colour[3:5], colour[5:7]}) == 1


# --- what they show ---


@pytest.mark.parametrize("name", ["normal-samples", "normal-pdf"])
def test_35_samples_lie_on_a_line(name: str) -> None:
    assert distributions.SAMPLES == 35
    samples = np.random.default_rng(5).standard_normal(35)
    plot = {"normal-samples": distributions.plot_samples, "normal-pdf": distributions.plot_pdf}
    (points,) = plot[name](samples).axes[-1].collections
    offsets = np.asarray(points.get_offsets())
    np.testing.assert_array_equal(offsets[:, 0], samples)
    assert (offsets[:, 1] == 0).all()


def test_the_density_is_the_normal_one_above_its_samples(figures: dict[str, Figure]) -> None:
    above, below = figures["normal-pdf"].axes
    x, y = above.lines[0].get_data()
    np.testing.assert_allclose(y, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), rtol=1e-12)
    assert x.min() <= -3
    assert x.max() >= 3
    assert above.get_xlim() == below.get_xlim()
    assert above.get_position().y0 > below.get_position().y1


def test_samples_in_two_dimensions_have_the_mean_and_covariance(
    figures: dict[str, Figure],
) -> None:
    axes = figures["normal-2d"].axes[0]
    (points,) = [c for c in axes.collections if len(c.get_offsets()) > 1]
    x = np.asarray(points.get_offsets())
    assert len(x) == distributions.SAMPLES_2D
    error = 5 / np.sqrt(len(x))
    np.testing.assert_allclose(x.mean(axis=0), distributions.MEAN_2D, atol=error)
    np.testing.assert_allclose(np.cov(x.T), distributions.COVARIANCE_2D, atol=2 * error)


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
    found = distributions.most_probable_y(x, np.array(mean), np.array(covariance))
    assert found == pytest.approx(y[density.argmax()], abs=1e-4)


def test_the_completion_marks_the_most_probable_y(figures: dict[str, Figure]) -> None:
    assert distributions.KNOWN_X == 1
    left, right = figures["normal-2d-completion"].axes
    curve, mark = right.lines
    y, density = curve.get_data()
    step = y[1] - y[0]
    assert mark.get_xdata()[0] == pytest.approx(y[density.argmax()], abs=step)
    assert mark.get_ydata()[0] == pytest.approx(density.max(), rel=1e-3)
    (point,) = [line for line in left.lines if len(line.get_xdata()) == 1]
    assert point.get_xdata()[0] == 1
    assert point.get_ydata()[0] == pytest.approx(y[density.argmax()], abs=step)


# --- the loss along a line ---


def test_the_losses_are_those_of_the_faces_on_the_line(
    line: loss_line.LossLine, model: DCGAN
) -> None:
    known = np.ones([16, 16], bool)
    known[4:12, 4:12] = False
    middle = len(line.faces) // 2
    assert line.faces_t[middle] == 0
    np.testing.assert_array_equal(line.known[known], line.faces[middle][known])
    assert (np.abs(line.known[~known].astype(int) - 127.5) <= 0.5).all()
    faces = utils.to_signed(line.faces)
    # The faces are rounded to levels.
    contextual = np.abs(faces - faces[middle])[:, known].sum(axis=(1, 2))
    at = [np.abs(line.t - t).argmin() for t in line.faces_t]
    np.testing.assert_allclose(line.t[at], line.faces_t, atol=1e-9)
    np.testing.assert_allclose(line.contextual[at], contextual, atol=known.sum() * 3 / 127.5)
    logits = model.discriminator(faces).numpy().astype(np.float64)
    np.testing.assert_allclose(line.perceptual[at], np.log1p(np.exp(-logits)), rtol=0.2, atol=0.05)
    np.testing.assert_allclose(line.total, line.contextual + 0.1 * line.perceptual, rtol=1e-6)


def test_the_loss_is_least_where_the_known_pixels_are_from(
    line: loss_line.LossLine, figures: dict[str, Figure]
) -> None:
    assert line.t[line.total.argmin()] == 0
    assert line.total.min() < line.total[[0, -1]].min() / 20
    above, _, below = figures["loss-along-z"].axes
    curve, mark = [plotted for plotted in above.lines if plotted.get_color() != "0.6"]
    np.testing.assert_array_equal(curve.get_ydata(), line.total)
    assert mark.get_xdata()[0] == 0
    centres = [np.mean(image.get_extent()[:2]) for image in below.images]
    np.testing.assert_allclose(centres, line.faces_t, atol=1e-9)
    assert above.get_xlim() == below.get_xlim()


def test_another_seed_is_another_line(model: DCGAN, line: loss_line.LossLine) -> None:
    same, other = (loss_line.measure(model, np.random.default_rng(s), 5, 3) for s in (1, 2))
    np.testing.assert_array_equal(same.faces, line.faces[::4])
    assert (other.faces != same.faces).any()
