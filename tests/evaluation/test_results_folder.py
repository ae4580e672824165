"""The folder of an evaluation: what it refuses and removes, and what its sheets look like."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import contents
from PIL import Image

from dcgan_completion import utils
from dcgan_completion.evaluation import results_folder
from dcgan_completion.evaluation.results import MEASURED, METRICS, MaskResult
from dcgan_completion.evaluation.results_folder import ResultsFolder
from dcgan_completion.utils import UserError


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """The folder of a finished evaluation."""
    folder = ResultsFolder(str(tmp_path / "out"), overwrite=False)
    folder.start(["a.png", "b.png"])
    folder.write_sheet("left", {"before": np.zeros([2, 8, 8, 3], np.uint8)})
    folder.write({"images": 2}, "a table\n", finished=True)
    return tmp_path / "out"


def test_nothing_is_made_before_the_start(tmp_path: Path) -> None:
    folder = ResultsFolder(str(tmp_path / "new" / "out"), overwrite=False)
    assert contents(tmp_path) == {}
    folder.start(["x.png"])
    out = tmp_path / "new" / "out"
    assert set(contents(out)) == {"results.json", "images.txt"}
    assert (out / "images.txt").read_text() == "x.png\n"
    assert json.loads((out / "results.json").read_text())["finished"] is False


def test_results_are_written_and_returned(done: Path) -> None:
    text = ResultsFolder(str(done), overwrite=True).write({"images": 3}, "new\n", finished=True)
    assert (done / "results.json").read_text() == text
    assert json.loads(text) == {"program": "dcgan-completion", "finished": True, "images": 3}
    assert (done / "results.md").read_text() == "new\n"
    with pytest.raises(ValueError, match="JSON"):
        ResultsFolder(str(done), overwrite=True).write({"images": float("nan")}, "", True)


def test_an_evaluation_is_replaced_only_on_request(done: Path) -> None:
    (done / "notes.txt").write_text("mine")
    for name in ("metrics.csv", "figures.csv", "photos.csv"):  # the second until 1.0
        (done / name).write_text("")
    before = contents(done)
    with pytest.raises(UserError, match=r"holds an evaluation; .*--overwrite"):
        ResultsFolder(str(done), overwrite=False)
    folder = ResultsFolder(str(done), overwrite=True)
    assert contents(done) == before
    folder.start(["c.png"])
    assert set(contents(done)) == {"notes.txt", "results.json", "images.txt"}
    assert (done / "images.txt").read_text() == "c.png\n"


@pytest.mark.parametrize(
    "text", ['{"program": "other", "finished": true}', '{"program": "dcgan-completion"}', "{", "[]"]
)
def test_others_files_are_refused_even_with_overwrite(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    before = contents(tmp_path)
    with pytest.raises(UserError, match="holds files, not an evaluation"):
        ResultsFolder(str(tmp_path), overwrite=True)
    assert contents(tmp_path) == before


def test_an_empty_folder_is_taken_and_a_file_is_not(tmp_path: Path) -> None:
    ResultsFolder(str(tmp_path), overwrite=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--out .*is a file"):
        ResultsFolder(str(tmp_path / "file"), overwrite=True)


def test_a_row_for_each_metric_of_each_image(done: Path) -> None:
    shown = np.zeros([0, 4, 4, 3], np.uint8)
    results = [
        MaskResult(
            mask,
            {"auto": {name: np.array([k + i, np.nan]) for k, name in enumerate(MEASURED)}},
            shown,
            {},
        )
        for i, mask in enumerate(("left", "top"))
    ]
    results[0].metrics["auto"]["psnr"][0] = np.inf
    results[1].metrics["auto"]["ssim"][0] = 1 / 3
    ResultsFolder(str(done), overwrite=True).write_metrics(["a,1.png", "b.png"], results)
    with open(done / "metrics.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            [
                "mask",
                "method",
                "image",
                *METRICS,
                "gradient_energy",
                "original_gradient_energy",
            ],
            ["left", "auto", "a,1.png", "inf", "1", "2", "3", "0.8", "6", "4", "5"],
            ["left", "auto", "b.png", *8 * [""]],
            ["top", "auto", "a,1.png", "1", "0.333333", "3", "4", "0.833333", "7", "5", "6"],
            ["top", "auto", "b.png", *8 * [""]],
        ]


# --- contact sheets ---


def flat(levels: list[int], size: int, channels: int = 3) -> np.ndarray:
    """Images of one level each, uint8 [n, size, size, channels]."""
    rows = np.array(levels, np.uint8).reshape(-1, 1, 1, 1)
    return np.broadcast_to(rows, [len(levels), size, size, channels]).copy()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_for_each_image_under_two_lines_of_text(channels: int) -> None:
    columns = {"before": flat([10, 20], 16, channels), "mean-face": flat([30, 40], 16, channels)}
    sheet = results_folder.contact_sheet(columns)
    assert sheet.shape == (28 + 2 * 64, 2 * 64, 3)  # 16 pixels are shown four times as large
    assert sheet.dtype == np.uint8
    for row, levels in enumerate(([10, 30], [20, 40])):
        for column, level in enumerate(levels):
            cell = sheet[28 + 64 * row :][:64, 64 * column :][:, :64]
            assert (cell == level).all()
    for column in range(2):  # each has a heading, black on white
        heading = sheet[:28, 64 * column : 64 * (column + 1)]
        assert heading.min() < 64
        assert (heading == 255).mean() > 0.5


def test_many_rows_are_put_side_by_side() -> None:
    # Eight rows of two pictures: about square in two blocks of four.
    levels = list(range(0, 160, 20))
    sheet = results_folder.contact_sheet({"a": flat(levels, 64), "b": flat(levels, 64)})
    assert sheet.shape == (28 + 4 * 64, 2 * 128 + 16, 3)
    assert (sheet[28:, 128:144] == 255).all()  # the gap
    for i, level in enumerate(levels):
        top, left = 28 + 64 * (i % 4), (128 + 16) * (i // 4)
        assert (sheet[top : top + 64, left : left + 128] == level).all()


def test_large_pictures_are_not_scaled(done: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, [1, 80, 80, 3], np.uint8)
    ResultsFolder(str(done), overwrite=True).write_sheet("random", {"before": picture})
    with Image.open(done / "contact-random.png") as sheet:
        np.testing.assert_array_equal(np.asarray(sheet)[28:], picture[0])
    assert utils.load_image(done / "contact-random.png").shape == (108, 80, 3)
