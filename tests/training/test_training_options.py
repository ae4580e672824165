"""The options of train-dcgan.py: names, defaults, and what they take."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from helpers import Run, assert_refused, load_script, run_script
from training_runs import DEFAULTS

from dcgan_completion.model import DCGAN
from dcgan_completion.settings import training as settings
from dcgan_completion.training import run


def parse(*arguments: object) -> argparse.Namespace:
    parser = load_script("train-dcgan.py").build_parser()
    return parser.parse_args(["--dataset", "data", *map(str, arguments)])


def given_of(args: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for options in settings.OPTIONS:
        given |= options.given_options(args, options)
    return given


def test_options_have_the_references_defaults(tmp_path: Path) -> None:
    args = parse()
    given = given_of(args)
    assert given == {"dataset": ["data"]}  # what is left out is open
    output = {f"{name}_dir": str(tmp_path / name) for name in ("checkpoint", "sample", "log")}
    settled, resumed, note = run.settle(given | {"dataset": [str(tmp_path)]} | output)
    assert resumed is None
    assert note == ""
    options = settled.options() | {"traceback": args.traceback}
    assert options.pop("precision_used") in ("float32", "bfloat16")
    assert options == DEFAULTS | {"dataset": [str(tmp_path)]} | output
    assert settings.OutputSettings() == settings.OutputSettings("checkpoint", "samples", "logs")
    assert dataclasses.asdict(settings.Architecture()) == DCGAN().architecture


def test_every_option_but_traceback_has_its_field() -> None:
    fields = [f.name for options in settings.OPTIONS for f in options.option_fields(options)]
    assert len(fields) == len(set(fields))
    assert {*fields, "traceback"} == set(vars(parse()))


SPELLINGS = {
    "--epoch": (7, "epoch"),
    "--learning_rate": (0.5, "learning_rate"),
    "--learning-rate": (0.5, "learning_rate"),
    "--beta1": (0.25, "beta1"),
    "--train_size": (9, "train_size"),
    "--train-size": ("all", "train_size"),
    "--batch_size": (8, "batch_size"),
    "--batch-size": (8, "batch_size"),
    "--image_size": (32, "image_size"),
    "--image-size": (128, "image_size"),
    "--checkpoint_dir": ("c", "checkpoint_dir"),
    "--checkpoint-dir": ("c", "checkpoint_dir"),
    "--sample_dir": ("s", "sample_dir"),
    "--sample-dir": ("s", "sample_dir"),
    "--log-dir": ("l", "log_dir"),
    "--z-dim": (10, "z_dim"),
    "--gf-dim": (11, "gf_dim"),
    "--df-dim": (12, "df_dim"),
    "--channels": (1, "channels"),
    "--g-updates": (1, "g_updates"),
    "--seed": (0, "seed"),
    "--sample-interval": (13, "sample_interval"),
    "--checkpoint-interval": (14, "checkpoint_interval"),
    "--minutes": (0.5, "minutes"),
    "--holdout": ("names.txt", "holdout"),
    "--diffaugment": ("color,cutout", "diffaugment"),
    "--init-from": ("c", "init_from"),
    "--d-learning-rate": (0.5, "d_learning_rate"),
    "--decay-epochs": (0.5, "decay_epochs"),
    "--label-smoothing": (0.1, "label_smoothing"),
    "--average-decay": (0.0, "average_decay"),
    "--precision": ("float32", "precision"),
    "--keep": (3, "keep"),
}


@pytest.mark.parametrize("flag", SPELLINGS)
def test_options_in_both_spellings(flag: str) -> None:
    value, name = SPELLINGS[flag]
    args = parse(flag, value)
    assert getattr(args, name) == (value.split(",") if flag == "--diffaugment" else value)
    others = {key for key, other in vars(args).items() if other != getattr(parse(), key)}
    assert others <= {name}


def test_several_datasets_are_taken() -> None:
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


BAD_VALUES = {
    "--epoch": ("0", "-1", "2.5", "x"),
    "--learning_rate": ("0", "-0.1", "nan", "inf"),
    "--beta1": ("1", "-0.1"),
    "--decay-epochs": ("-1", "nan", "x"),
    "--train_size": ("0", "some"),
    "--batch_size": ("0",),
    "--image_size": ("48", "256", "8", "big"),
    "--channels": ("2", "4"),
    "--z-dim": ("0",),
    "--gf-dim": ("-4",),
    "--df-dim": ("0",),
    "--g-updates": ("0",),
    "--seed": ("-1", "1.5"),
    "--sample-interval": ("0",),
    "--checkpoint-interval": ("0",),
    "--minutes": ("0", "-1"),
    "--diffaugment": ("colour", "blur"),
    "--label-smoothing": ("1", "-0.1"),
    "--average-decay": ("1", "x"),
    "--precision": ("float16",),
    "--keep": ("0",),
}


@pytest.mark.parametrize(
    ("flag", "value"), [(flag, value) for flag, values in BAD_VALUES.items() for value in values]
)
def test_bad_values_are_refused(flag: str, value: str, run_any: Run, tmp_path: Path) -> None:
    done = run_any("train-dcgan.py", "--dataset", ".", f"{flag}={value}", cwd=tmp_path)
    assert_refused(done, flag, value)


def test_bad_command_lines_are_refused(run_any: Run, tmp_path: Path) -> None:
    assert_refused(run_script("train-dcgan.py", cwd=tmp_path, status=2), "--dataset")
    for arguments in (("--epoc", 3), ("--wrong", 3), ("--epoch",)):
        done = run_any("train-dcgan.py", "--dataset", ".", *arguments, cwd=tmp_path)
        assert_refused(done, str(arguments[0]))
    assert list(tmp_path.iterdir()) == []
