"""The options of train-dcgan.py: names, defaults, and what they take."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pytest
from helpers import Run, assert_refused, load_script, run_script
from training_runs import DEFAULTS

from dcgan_completion.model import DCGAN
from dcgan_completion.settings import training as training_settings
from dcgan_completion.settings.options import option_fields
from dcgan_completion.training import run


def parse(*arguments: object) -> argparse.Namespace:
    parser = load_script("train-dcgan.py").build_parser()
    return parser.parse_args(["--dataset", "data", *map(str, arguments)])


def test_options_have_the_references_defaults(tmp_path: Path) -> None:
    args = parse()
    given = training_settings.given_options(args, training_settings.OPTIONS)
    assert given == {"dataset": ["data"]}  # what is left out is open
    output = {f"{name}_dir": str(tmp_path / name) for name in ("checkpoint", "sample", "log")}
    settings, resumed = run.resolve_settings(given | {"dataset": [str(tmp_path)]} | output)
    assert resumed is None
    options = settings.options() | {"traceback": args.traceback}
    assert options.pop("precision_used") in ("float32", "bfloat16")
    assert options == DEFAULTS | {"dataset": [str(tmp_path)]} | output
    assert dataclasses.asdict(training_settings.Architecture()) == DCGAN().architecture


def test_every_option_but_traceback_has_its_field() -> None:
    fields = [f.name for part in training_settings.OPTIONS for f in option_fields(part)]
    assert len(fields) == len(set(fields))
    assert {*fields, "traceback"} == set(vars(parse()))


def test_the_references_spellings_are_taken() -> None:
    names = ("learning_rate", "train_size", "batch_size", "image_size", "checkpoint_dir")
    spellings = {"--epoch", "--beta1", "--sample_dir", *(f"--{name}" for name in names)}
    actions = load_script("train-dcgan.py").build_parser()._option_string_actions
    for spelling in spellings:
        assert actions[spelling] is actions["--" + spelling[2:].replace("_", "-")]
    assert parse("--diffaugment", "color,cutout").diffaugment == ["color", "cutout"]
    assert parse("--dataset", "a", "b").dataset == ["a", "b"]


def test_help_states_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    _, _, text = capsys.readouterr().out.partition("\noptions:\n")
    text = " ".join(text.split())
    for name, default in DEFAULTS.items():
        if default or name in ("seed",):
            if name == "dataset":
                continue
            _, _, after = text.partition(f"--{name.replace('_', '-')}")
            assert f"(default: {default}" in after[:330], name


# The types themselves are tested elsewhere: here is one value beyond each option's range.
BAD_VALUES = {
    "--epoch": "0",
    "--learning_rate": "0",
    "--d-learning-rate": "0",
    "--beta1": "1",
    "--decay-epochs": "-1",
    "--train_size": "some",
    "--batch_size": "0",
    "--image_size": "48",
    "--channels": "2",
    "--z-dim": "0",
    "--gf-dim": "0",
    "--df-dim": "0",
    "--g-updates": "0",
    "--seed": "-1",
    "--sample-interval": "0",
    "--checkpoint-interval": "0",
    "--minutes": "0",
    "--diffaugment": "color,blur",
    "--label-smoothing": "1",
    "--average-decay": "1",
    "--precision": "float16",
    "--keep": "0",
}


@pytest.mark.parametrize("flag", BAD_VALUES)
def test_bad_values_are_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(f"{flag}={BAD_VALUES[flag]}")
    error = capsys.readouterr().err
    assert flag in error
    assert BAD_VALUES[flag].rpartition(",")[2] in error


def test_bad_command_lines_are_refused(run_any: Run, tmp_path: Path) -> None:
    assert_refused(run_script("train-dcgan.py", cwd=tmp_path, status=2), "--dataset")
    for arguments in (("--epoc", 3), ("--wrong", 3), ("--epoch",)):
        done = run_any("train-dcgan.py", "--dataset", ".", *arguments, cwd=tmp_path)
        assert_refused(done, str(arguments[0]))
    assert list(tmp_path.iterdir()) == []
