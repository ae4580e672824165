"""Logs of earlier runs that are damaged: what is whole is kept, and what is lost is named."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT, Run
from training_runs import COLUMNS, rows_of

from dcgan_completion.training import logs
from dcgan_completion.utils import UserError

GOLDEN = ROOT / "tests" / "golden"


def row(step: int) -> str:
    return f"{step},{(step + 1) // 2},1.4,0.7,0.7,0.8,0.5,0.5\r\n"


HEAD = ",".join(COLUMNS) + "\r\n"
ROWS = [row(step) for step in range(1, 9)]  # a run that was stopped after its checkpoint of step 6


def kept(path: Path, data: bytes, caplog: pytest.LogCaptureFixture) -> tuple[list[int], str]:
    """The steps that are kept of a scalars.csv, and the warning."""
    caplog.clear()
    path.write_bytes(data)
    logs.keep_rows(str(path), COLUMNS, 6)
    with open(path, newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head == COLUMNS
    assert len(caplog.messages) <= 1
    return [int(cells[0]) for cells in rows], "".join(caplog.messages)


# --- scalars.csv ---


def test_whole_tables_and_those_that_a_crash_cut_lose_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (HEAD + "".join(ROWS)).encode()
    after = len((HEAD + "".join(ROWS[:6])).encode())
    for end in range(after, len(whole) + 1):
        steps, said = kept(tmp_path / "scalars.csv", whole[:end], caplog)
        assert (steps, said) == ([1, 2, 3, 4, 5, 6], "")


@pytest.mark.parametrize(
    ("rows", "steps", "lost"),
    [
        ([*ROWS[:4]], [1, 2, 3, 4], "2 of the rows of steps 1 to 6 are lost"),
        ([*ROWS[:2], "3,2,9\r\n", *ROWS[3:]], [1, 2, 4, 5, 6], "1 of the rows of steps 1 to 6"),
        ([*ROWS[:2], "x" + ROWS[2], *ROWS[3:]], [1, 2, 4, 5, 6], "1 of the rows"),
        ([*ROWS[:2], "\0\n" * 3, *ROWS[3:]], [1, 2, 4, 5, 6], "1 of the rows"),
        ([*ROWS[:2], ROWS[2].replace("1.4", "a"), *ROWS[3:]], [1, 2, 4, 5, 6], "1 of the rows"),
        ([row(4), row(5), "?\r\n", row(7)], [4, 5], "1 of the rows of steps 4 to 6"),
    ],
    ids=["cut", "short", "no step", "zeros", "no number", "a later start"],
)
def test_damaged_rows_are_left_out_and_counted(
    rows: list[str], steps: list[int], lost: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scalars.csv"
    found, said = kept(path, (HEAD + "".join(rows)).encode(), caplog)
    assert found == steps
    assert said.startswith(f"{path}: is damaged; {lost}")


def test_an_empty_table_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    steps, said = kept(tmp_path / "scalars.csv", b"", caplog)
    assert steps == []
    assert "scalars.csv: is empty; the rows up to step 6 are lost" in said


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"\xff\xfe\x00", HEAD[:20].encode(), b"step\n"])
def test_another_table_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "scalars.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"{path}: is not of this training; move it away"):
        logs.keep_rows(str(path), COLUMNS, 6)
    assert path.read_bytes() == data


# --- TensorBoard's files ---


@pytest.fixture
def events(tmp_path: Path) -> Path:
    writer = tf.summary.create_file_writer(str(tmp_path / "training"))
    for step in range(1, 9):
        with writer.as_default(step):
            tf.summary.scalar("loss", float(step))
    writer.close()
    (path,) = (tmp_path / "training").iterdir()
    return path


def records(path: Path) -> list[bytes]:
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path))]


def test_damaged_events_are_kept_up_to_the_damage(
    events: Path, random: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    whole, everything = events.read_bytes(), records(events)
    wanted = len(everything) - 2  # the last are of steps 7 and 8
    ends = np.cumsum([len(record) + 16 for record in everything])  # a record's length and sums
    assert ends[-1] == len(whole)
    for place in range(0, len(whole), 19):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(random.integers(8))
        for data, cut in ((bytes(damaged), False), (whole[:place], True)):
            events.write_bytes(data)
            caplog.clear()
            logs.keep_events(str(events), 6)
            left = min(wanted, int((ends <= place).sum()))
            assert records(events) == everything[:left]
            said = "".join(caplog.messages)
            between = cut and place in (0, *ends)  # as if no more had been written
            if left < wanted and not between:
                assert said.startswith(f"{events}: is damaged; the events after step ")
            elif cut:
                assert said == ""


def test_records_of_another_program_are_named(
    events: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tf.io.TFRecordWriter(str(events)) as writer:
        writer.write(b"\xff\xff\xff")
    logs.keep_events(str(events), 6)
    assert records(events) == []
    assert f"{events}: is damaged" in caplog.text


# --- a run ---


def test_a_run_goes_on_with_damaged_logs(run_any: Run, tmp_path: Path) -> None:
    for name in ("faces", "checkpoint"):
        shutil.copytree(GOLDEN / name, tmp_path / name)
    (tmp_path / "logs" / "training").mkdir(parents=True)
    table = tmp_path / "logs" / "scalars.csv"
    table.write_text(HEAD + "".join(row(i) if i != 300 else "300,?\r\n" for i in range(1, 601)))
    broken = tmp_path / "logs" / "training" / "events.out.tfevents.1.x"
    broken.write_bytes(bytes(100))
    (tmp_path / "logs" / "training" / "events.out.tfevents.2.x").mkdir()
    done = run_any("train-dcgan.py", "--dataset", "faces", "--epoch", 301, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "logs/scalars.csv: is damaged; 1 of the rows of steps 1 to 600 are lost" in done.stderr
    assert "events.out.tfevents.1.x: is damaged; the events after" in done.stderr
    steps = [int(cells[0]) for cells in rows_of(tmp_path / "logs")]
    assert steps == [*range(1, 300), *range(301, 603)]
    table.write_text("of,something,else\n1,2,3\n")
    again = run_any("train-dcgan.py", "--dataset", "faces", "--epoch", 302, cwd=tmp_path)
    assert again.returncode == 2
    assert "logs/scalars.csv: is not of this training" in again.stderr.splitlines()[-1]
    assert "Traceback" not in again.stderr
