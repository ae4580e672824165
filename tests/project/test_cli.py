"""Command lines: what they accept, how they refuse, with which status they end."""

from __future__ import annotations

import argparse
import dataclasses
import math
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from helpers import ROOT

from dcgan_completion import cli
from dcgan_completion.settings import options
from dcgan_completion.version import VERSION

# --- options ---

ACCEPTED = {
    "positive_int": {"1": 1, "64": 64},
    "seed": {"0": 0, "4294967295": 2**32 - 1},
    "positive_float": {"1e-8": 1e-8, "2": 2},
    "non_negative_float": {"0": 0, "0.1": 0.1},
    "decay_rate": {"0": 0, "0.999": 0.999},
    "open_fraction": {"0.5": 0.5},
    "image_size": {"16": 16, "32": 32, "64": 64, "128": 128},
    "edge": {"1": 1, "4096": 4096},
    "picture_count": {"1": 1, "1000000": 10**6},
    "worker_count": {"1": 1, "1024": 1024},
    "update_count": {"1": 1, "1000": 1000},
}
REFUSED = {
    "positive_int": (["0", "-1", "1.5", "x", "", "inf", "nan"], "a whole number above 0"),
    "seed": (["-1", "4294967296", "0.5", "x"], "a whole number from 0 to 4294967295"),
    "positive_float": (["0", "-1", "x", "inf", "nan"], "a number above 0"),
    "non_negative_float": (["-0.1", "x", "inf", "nan"], "a number from 0"),
    "decay_rate": (["1", "-0.1", "x", "nan"], "a number from 0 to below 1"),
    "open_fraction": (["0", "1", "x", "nan"], "a number between 0 and 1"),
    "edge": (["0", "4097", "1.5", "x"], "a whole number from 1 to 4096"),
    "picture_count": (["0", "1000001", "x"], "a whole number from 1 to 1000000"),
    "worker_count": (["0", "1025", "x"], "a whole number from 1 to 1024"),
    "update_count": (["0", "1001", "x"], "a whole number from 1 to 1000"),
    "image_size": (["0", "17", "48", "256", "64.0", "x"], "one of 16, 32, 64, 128"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_values_are_taken(name: str) -> None:
    for text, value in ACCEPTED[name].items():
        assert getattr(options, name)(text) == value


@pytest.mark.parametrize("name", REFUSED)
def test_other_values_are_refused_with_what_is_wanted(name: str) -> None:
    texts, wanted = REFUSED[name]
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            getattr(options, name)(text)
        assert str(caught.value) == f"{text!r} is not {wanted}"


def test_the_parser_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    parser = cli.ArgumentParser("What it does.\n\nexamples:\n  ./it.py\n")
    parser.prog = "it.py"
    parser.add_argument("--learning-rate", type=options.positive_float, default=3.5, help="a rate")
    for arguments in (["--learning-rate", "0"], ["--learning", "1"], ["extra"]):
        with pytest.raises(SystemExit) as caught:
            parser.parse_args(arguments)
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("it.py: error: ")
        assert error.count("\n") == 1
        assert "--help" in error
    text = parser.format_help()
    assert "What it does." in text
    assert "  ./it.py" in text
    assert "(default: 3.5)" in text
    assert "show the full traceback of an error\n" in text  # a switch's default goes without saying
    assert math.isclose(parser.parse_args([]).learning_rate, 3.5)


@pytest.mark.parametrize("words", [["--version"], ["paint", "--version"]])
def test_every_parser_tells_the_version(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    parser = cli.CommandParser("What it does.", "draw")
    for name in ("draw", "paint"):
        parser.add_command(name, "Do it.")
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(words)
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"dcgan-completion {VERSION}\n"


# --- settings classes ---


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of a program that does not exist."""

    batch_size: int = options.option(
        "images in a batch", "--batchSize", "--batch_size", type=options.positive_int, default=64
    )
    rate: float | None = options.option("step size", type=options.positive_float)
    kind: str = options.option("what to make", choices=("plain", "fancy"), default="plain")
    folders: Sequence[str] = options.option("where to look", nargs="+", default=list)
    quiet: bool = options.option("say nothing", action="store_true", default=False)
    internal: int = 7


def settings_parser(names: Collection[str] | None = None) -> cli.ArgumentParser:
    parser = cli.ArgumentParser("What it does.")
    options.add_options(
        parser, Settings, lambda f: f"default: {f.default}" if f.name == "batch_size" else "", names
    )
    return parser


def given(*words: str) -> dict[str, object]:
    return options.given_options(settings_parser().parse_args(words), Settings)


def test_the_fields_of_a_settings_class_have_their_defaults() -> None:
    settings = Settings()
    assert dataclasses.astuple(settings) == (64, None, "plain", [], False, 7)
    assert settings.folders is not Settings().folders
    assert [field.name for field in options.option_fields(Settings)] == [
        "batch_size",
        "rate",
        "kind",
        "folders",
        "quiet",
    ]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("batch_size", [64, 1], [0, -1, 1.5, "8", None, True, [8], {}]),
        ("rate", [0.5, 2, None], [0, -0.5, "0.5", False, float("nan")]),
        ("kind", ["plain", "fancy"], ["other", "", None, 1, ["plain"]]),
        ("folders", [[], ["a"]], ["a", [1], None]),
        ("quiet", [True, False], [0, 1, "yes", None]),
    ],
)
def test_a_stored_value_is_one_that_the_option_could_have(
    name: str, good: list[object], bad: list[object]
) -> None:
    (field,) = (f for f in options.option_fields(Settings) if f.name == name)
    assert [value for value in good if not options.could_be_given(field, value)] == []
    assert [value for value in bad if options.could_be_given(field, value)] == []


@pytest.mark.parametrize("spelling", ["--batch-size", "--batchSize", "--batch_size"])
def test_an_option_has_all_its_spellings(spelling: str) -> None:
    assert given(spelling, "8") == {"batch_size": 8}
    assert given(f"{spelling}=8") == {"batch_size": 8}


def test_options_left_out_are_none_and_not_given() -> None:
    args = settings_parser().parse_args([])
    for name in ("batch_size", "rate", "kind", "folders", "quiet"):
        assert getattr(args, name) is None
    assert not hasattr(args, "internal")
    assert given() == {}


def test_given_values_are_those_of_the_options_types() -> None:
    words = ("--rate", "0.5", "--kind", "fancy", "--folders", "a", "b", "--quiet")
    values = given(*words)
    assert values == {"rate": 0.5, "kind": "fancy", "folders": ["a", "b"], "quiet": True}
    assert Settings(**values) == Settings(rate=0.5, kind="fancy", folders=["a", "b"], quiet=True)
    # A value that is the default is given all the same: a conflict with another can be named.
    assert given("--batch-size", "64") == {"batch_size": 64}


def test_the_last_of_a_repeated_option_counts() -> None:
    assert given("--batch-size", "8", "--batchSize", "16") == {"batch_size": 16}


def test_the_help_has_spellings_texts_and_defaults() -> None:
    text = " ".join(settings_parser().format_help().split())
    value = "" if sys.version_info >= (3, 13) else " BATCH_SIZE"  # behind the last one alone
    assert f"--batch-size{value}, --batchSize{value}, --batch_size BATCH_SIZE" in text
    assert "images in a batch (default: 64)" in text
    assert "step size --kind {plain,fancy} what to make --folders" in text  # no default is told
    assert "None" not in text


def test_only_the_named_options_are_added() -> None:
    parser = settings_parser({"rate"})
    args = parser.parse_args(["--rate", "1"])
    assert options.given_options(args, Settings) == {"rate": 1}
    assert not hasattr(args, "kind")
    with pytest.raises(SystemExit):
        parser.parse_args(["--kind", "fancy"])


@pytest.mark.parametrize("words", [("--batch-size", "0"), ("--kind", "odd"), ("--internal", "1")])
def test_options_of_a_settings_class_refuse_in_one_line(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        settings_parser().parse_args(words)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words[0] in error


def test_a_flag_is_the_fields_name_with_hyphens() -> None:
    assert options.flag("batch_size") == "--batch-size"
    assert options.flag("rate") == "--rate"


# --- exit statuses ---

PROGRAM = """
import errno, sys, time
from dcgan_completion import cli, utils

def main(argv):
    {}

sys.exit(cli.run_main(main))
"""


def run_program(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(body), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("value", "status"), [("None", 0), ("0", 0), ("1", 1), ("130", 130)])
def test_the_status_is_what_main_returns(value: str, status: int) -> None:
    done = run_program(f"return {value}")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_a_user_error_is_one_line_and_status_2() -> None:
    body = "raise utils.UserError('mend this')"
    done = run_program(body)
    assert done.returncode == 2
    assert done.stderr == "-c: error: mend this\n"
    assert done.stdout == ""
    done = run_program(body, "--traceback")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.strip().endswith("UserError: mend this")


def test_a_path_that_cannot_be_used_is_one_line_and_status_2() -> None:
    for body, words in {
        "open('/etc/passwd/a')": ("/etc/passwd/a", "Not a directory"),
        "open('a' * 300)": ("File name too long",),
        "raise OSError(errno.ENOSPC, 'No space left on device', 'b.png')": ("b.png", "No space"),
    }.items():
        done = run_program(body)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert all(word in done.stderr for word in words)
        assert "Traceback" in run_program(body, "--traceback").stderr


def test_a_full_disk_is_one_line_and_status_2_whoever_found_it_full() -> None:
    body = "raise RuntimeError('writing a.ckpt:\\n No space left on device')"
    done = run_program(body)
    assert done.returncode == 2
    assert (
        done.stderr == "-c: error: writing a.ckpt: No space left on device; free some disk space\n"
    )
    assert "Traceback" in run_program(body, "--traceback").stderr


@pytest.mark.parametrize(
    ("first", "stream"), [("", "stdout"), ("cli.keep_stdout_for_results()", "stderr")]
)
def test_the_packages_log_is_shown_once(first: str, stream: str) -> None:
    body = f"""{first}
    import logging
    logging.basicConfig()  # as some libraries do
    logging.getLogger("dcgan_completion.rooms").info("a note")
    logging.getLogger("dcgan_completion.rooms").warning("a warning")"""
    done = run_program(body)
    assert "a note\n" in getattr(done, stream)
    assert done.stderr.endswith("a warning\n")
    assert done.stdout + done.stderr == "a note\na warning\n"


@pytest.mark.parametrize("body", ["1 / 0", "open('missing')", "raise ValueError('odd')"])
def test_a_bug_is_a_traceback_and_status_1(body: str) -> None:
    done = run_program(body)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_quietly_after_clearing_up(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    body = f"""
    with utils.replacing({str(tmp_path / "a.png")!r}) as temporary:
        open(temporary, "w").close()
        print("ready", flush=True)
        time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body.strip())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (status, "", "")
    assert list(tmp_path.iterdir()) == []


def test_numbers_beyond_floating_point_are_refused_like_any_other() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number"):
        options.positive_int("1" + 400 * "0")
