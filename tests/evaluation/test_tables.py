"""Tables from results whose means and errors are worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dcgan_completion.evaluation import tables
from dcgan_completion.evaluation.results import METRICS, MaskResult
from dcgan_completion.evaluation.statistics import Estimate
from dcgan_completion.evaluation.subgroups import Grouping

NAN = float("nan")
NONE = np.zeros([0, 4, 4, 3], np.uint8)


def values(*psnr: float, energy: tuple[float, ...] = (1, 1, 1)) -> dict[str, np.ndarray]:
    rest = {"ssim": 0.5, "identity": 0.25, "found": 1.0, "seconds": 2.0}
    original = np.where(np.isnan(psnr), NAN, (2, 4, 4)[: len(psnr)])
    return {
        "psnr": np.array(psnr),
        "gradient_energy": np.array(energy[: len(psnr)]) * original / original,
        "original_gradient_energy": original,
    } | {name: np.full(len(psnr), value) for name, value in rest.items()}


@pytest.fixture
def result() -> MaskResult:
    metrics = {
        "auto": values(20, 22, 24, energy=(1, 2, 3)),  # mean 22, error 2 / sqrt(3) = 1.1547
        "telea": values(19, 20, 21),
        "reference-adam": values(21, NAN, NAN),
    }
    return MaskResult("left", metrics, NONE, {})


FOUND = np.array([True, True, False])
SUBGROUPS = [Grouping("age", {"9": np.array([0]), "10": np.array([1, 2])}, 4)]


def rows_of(text: str, head: str) -> list[list[str]]:
    """The rows of the first table whose head line begins so, its cells without their padding."""
    lines = text.splitlines()
    (start, *_) = [i for i, line in enumerate(lines) if line.startswith(f"| {head}")]
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        assert len(line) == len(lines[start])  # aligned
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    assert all(set(cell) == {"-"} for cell in rows[1])
    return [rows[0], *rows[2:]]


def test_json_has_null_for_what_is_not_a_number() -> None:
    assert tables.as_json(Estimate(1.5, 0.5, 3)) == {"mean": 1.5, "standard_error": 0.5, "n": 3}
    for mean, error in ((NAN, NAN), (float("inf"), NAN)):
        content = tables.as_json(Estimate(mean, error, 0))
        assert json.loads(json.dumps(content, allow_nan=False)) == {
            "mean": None,
            "standard_error": None,
            "n": 0,
        }


def test_a_summary_by_hand(result: MaskResult) -> None:
    block = tables.summary(result, FOUND, ("telea",), SUBGROUPS)
    json.dumps(block, allow_nan=False)
    assert block["mask"] == "left"
    assert block["originals_found"]["mean"] == pytest.approx(2 / 3)
    own = block["methods"]["auto"]
    assert list(own) == list(METRICS)
    assert own["psnr"] == {
        "mean": pytest.approx(22),
        "standard_error": pytest.approx(2 / np.sqrt(3)),
        "n": 3,
    }
    alone = block["methods"]["reference-adam"]["psnr"]
    assert alone == {"mean": 21, "standard_error": None, "n": 1}
    # To the chosen baseline: 1, 2, 3; to the reference, which ran: over the face that it has.
    assert list(block["differences"]) == ["telea", "reference-adam"]
    difference = block["differences"]["telea"]["auto"]["psnr"]
    assert (difference["mean"], difference["n"]) == (pytest.approx(2), 3)
    assert difference["standard_error"] == pytest.approx(1 / np.sqrt(3))
    assert block["differences"]["reference-adam"]["auto"]["psnr"]["mean"] == pytest.approx(-1)
    assert "seconds" not in block["differences"]["telea"]["auto"]
    ages = block["groups"]["age"]
    assert ages["without"] == 4
    assert {age: group["n"] for age, group in ages["values"].items()} == {"9": 1, "10": 2}
    assert ages["values"]["10"]["methods"]["auto"]["psnr"]["mean"] == pytest.approx(23)


def test_sharpness_is_the_ratio_of_sums(result: MaskResult) -> None:
    block = tables.summary(result, FOUND, ("telea", "reference-adam"), SUBGROUPS)
    # 6 / 10; residuals -0.2, -0.4, 0.6 of variance 0.28 over a mean of 10 / 3.
    assert block["methods"]["auto"]["sharpness"] == {
        "mean": pytest.approx(0.6),
        "standard_error": pytest.approx(np.sqrt(0.28 / 3) * 0.3),
        "n": 3,
    }
    # Less 3 / 10; residuals -0.6, -0.2, 0.8 of variance 0.52.
    assert block["differences"]["telea"]["auto"]["sharpness"] == {
        "mean": pytest.approx(0.3),
        "standard_error": pytest.approx(np.sqrt(0.52 / 3) * 0.3),
        "n": 3,
    }
    # The reference has the first face alone.
    alone = block["differences"]["reference-adam"]["telea"]["sharpness"]
    assert alone == {"mean": 0, "standard_error": None, "n": 1}
    group = block["groups"]["age"]["values"]["10"]["methods"]["auto"]
    assert group["sharpness"]["mean"] == pytest.approx(5 / 8)


def test_several_baselines_have_a_table_each(result: MaskResult) -> None:
    block = tables.summary(result, FOUND, ("auto", "biharmonic", "telea"), [])
    assert list(block["differences"]) == ["auto", "telea", "reference-adam"]
    text = tables.completion_markdown(block, 3, [0])
    for base, own in (("auto", "telea"), ("telea", "auto")):
        start = text.index(f"Paired differences to {base}, over 3 faces:")
        assert rows_of(text[start:], "method")[1][0] == own


def test_a_baseline_that_did_not_run_has_no_differences(result: MaskResult) -> None:
    del result.metrics["reference-adam"]
    assert tables.summary(result, FOUND, ("biharmonic",), [])["differences"] == {}


def test_markdown_rows(result: MaskResult) -> None:
    block = tables.summary(result, FOUND, ("telea",), SUBGROUPS)
    text = tables.completion_markdown(block, 3, [0, 1])
    assert text.startswith("## left\n\n3 faces, seeds 0 1;")
    assert "finds a face in 66.7 ± 33.3 % of the originals" in text
    head, *rows = rows_of(text, "method")
    assert head == [
        "method",
        "hole PSNR, dB",
        "hole SSIM",
        "identity distance",
        "faces found, %",
        "sharpness",
        "s per face",
    ]
    assert rows[0] == [
        "auto",
        "22.00 ± 1.15",
        "0.500 ± 0.000",
        "0.250 ± 0.000",
        "100.0 ± 0.0",
        "0.600 ± 0.092",
        "2.0000 ± 0.0000",
    ]
    assert [row[0] for row in rows] == ["auto", "telea", "reference-adam"]
    assert rows[2][1] == "21.00"
    assert (
        "Faces that reference-adam has a finite metric for: hole PSNR, dB 1, sharpness 1." in text
    )
    differences = text[text.index("Paired differences to telea, over 3 faces:") :]
    assert rows_of(differences, "method")[1][:2] == ["auto", "+2.00 ± 0.58"]
    groups = rows_of(text[text.index("By age; 4 names hold none:") :], "age")
    assert groups[0][:3] == ["age", "n", "method"]
    assert [row[:4] for row in groups[1:]][3] == ["10", "2", "auto", "23.00 ± 1.00"]


def test_a_metric_that_nobody_has_is_a_dash() -> None:
    metrics = {"auto": values(NAN, NAN)}
    block = tables.summary(MaskResult("full", metrics, NONE, {}), FOUND[:2], ("telea",), [])
    text = tables.completion_markdown(block, 2, [0])
    assert rows_of(text, "method")[1][1] == "-"
    assert "finite" not in text


def test_the_table_of_a_generator() -> None:
    metrics = {
        "frechet": Estimate(0.1234, 0.01, 12),
        "frechet_real_halves": Estimate(0.2, NAN, 4),
        "diversity_ratio": Estimate(0.9, 0.05, 12),
        "inversion_psnr": Estimate(float("inf"), NAN, 3),
    }
    text = tables.generator_markdown(metrics, 0, 5000)
    assert text.startswith("## Generator\n\n± standard error")
    assert "training face" not in text
    head, *rows = rows_of(text, " ")
    assert head == ["", "samples", "real faces"]
    assert rows == [
        [
            "Frechet distance to the real faces; of two real halves",
            "0.1234 ± 0.0100 (12)",
            "0.2000 (4)",
        ],
        ["diversity, as a share of the real faces'", "0.900 ± 0.050 (12)", ""],
        ["inversion of real faces, PSNR in dB", "", ""],
    ]
    assert "Nearest of 70 training faces" in tables.generator_markdown(metrics, 70, 5000)
    assert "at most 5000 by embedding" in tables.generator_markdown(metrics, 70, 5000)
