"""The options of evaluate.py: what is chosen if they are left out, and what contradicts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, load_script

from dcgan_completion.settings import evaluation as settings
from dcgan_completion.settings.evaluation import (
    BenchmarkSettings,
    CompletingSettings,
    EvaluationSettings,
    GeneratorSettings,
    PhotoBenchmarkSettings,
)
from dcgan_completion.utils import UserError


def test_defaults_of_a_benchmark(tmp_path: Path) -> None:
    asked = BenchmarkSettings.of(str(tmp_path))
    assert (asked.seed, asked.out, asked.workers) == ((0,), "evaluation", os.cpu_count())
    (mask,) = asked.masks()
    assert (mask.mask_type, mask.keeps_pixels) == ("center", True)
    assert asked.approach == ("auto",)
    search = asked.search("auto", guided=False)
    assert (search.approach, search.average, search.guide) == ("auto", 5, 0)
    assert asked.search("auto-unguided", guided=True) == search
    assert asked.search("auto", guided=True).guide > 0
    assert (asked.baseline, asked.linear, asked.holdout) == (("telea",), (), None)


def test_each_choice_counts_once_and_in_its_order(tmp_path: Path) -> None:
    asked = BenchmarkSettings.of(
        str(tmp_path),
        seed=[3, 0, 3],
        mask_type=["random", "left", "random"],
        approach=["pgd", "adam", "pgd"],
        blend=["smooth", "none", "smooth"],
        baseline=["telea", "adam", "telea"],
        fraction=0.75,
        n_iter=7,
        average=2,
    )
    assert asked.seed == (3, 0)
    assert asked.blend == ("smooth", "none")
    assert asked.baseline == ("telea", "adam")
    assert [(m.mask_type, m.fraction) for m in asked.masks()] == [("random", 0.75), ("left", 0.2)]
    assert asked.approach == ("pgd", "adam")
    for name in asked.approach:
        search = asked.search(name, guided=True)
        assert (search.approach, search.n_iter, search.average) == (name, 7, 2)


def test_defaults_of_a_generator() -> None:
    asked = GeneratorSettings.of(real=["a", "b"], samples=4)
    assert (asked.real, asked.training, asked.holdout) == (("a", "b"), (), None)
    assert (asked.samples, asked.inversion) == (4, 64)
    assert GeneratorSettings(real=("a",)).samples == 2000


CONTRADICTIONS = {
    "a share of no random mask": ({"fraction": 0.5}, "--mask-type random"),
    "the reference elsewhere": (
        {"reference": True, "mask_type": ["left", "top"]},
        "--reference completes under --mask-type center",
    ),
    "held out of nothing": ({"holdout": "names.txt"}, "--holdout belongs to --linear DIR"),
    "differences to no estimate": (
        {"baseline": ["telea", "linear"]},
        "--baseline linear belongs to --linear DIR",
    ),
    "bins of no subgroups": ({"group_bins": ["age=1"]}, "--group-bins belongs to --groups"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradictions_of_a_benchmark(case: str, tmp_path: Path) -> None:
    given, words = CONTRADICTIONS[case]
    with pytest.raises(UserError) as caught:
        BenchmarkSettings.of(str(tmp_path), **given)
    assert words in str(caught.value)


def test_a_benchmark_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"FOLDER .*: no such folder"):
        BenchmarkSettings.of(str(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "--generator needs real faces"),
        ({"real": ["a"], "seed": [1, 2]}, "one --seed"),
        ({"real": ["a"], "seed": [1, 1]}, "one --seed"),
        ({"real": ["a"], "samples": 3}, "4 --samples at least"),
    ],
)
def test_contradictions_of_a_generator(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        GeneratorSettings.of(**given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"seed": [1, 2]}, "--photos takes one --seed"),
        ({"offset": 3}, "--offset belongs to --every N"),
        ({"others": True}, "--others belongs to --every N"),
        ({"every": 30, "offset": 30}, "--offset 30: is not below --every 30"),
        ({"holdout": "names.txt"}, "--holdout belongs to --linear DIR"),
        ({"baseline": ["linear"]}, "--baseline linear belongs to --linear DIR"),
        ({"photos": "gone"}, "--photos gone: no such folder"),
    ],
)
def test_contradictions_of_a_benchmark_of_photos(
    given: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        PhotoBenchmarkSettings.of(**{"photos": str(tmp_path)} | given)
    assert words in str(caught.value)


def test_every_nth_photo_and_the_others_are_all_photos(tmp_path: Path) -> None:
    paths = [f"{i:04d}.jpg" for i in range(6105)]

    def chosen(**given: Any) -> list[str]:
        return PhotoBenchmarkSettings.of(photos=str(tmp_path), **given).choose(paths)

    assert chosen() == paths
    first = chosen(every=30)
    assert (len(first), first[:2], first[-1]) == (204, ["0000.jpg", "0030.jpg"], "6090.jpg")
    assert chosen(every=30, offset=29)[0] == "0029.jpg"
    for offset in (0, 7):
        some, others = (chosen(every=30, offset=offset, others=o) for o in (False, True))
        assert sorted([*some, *others]) == paths
        assert others == sorted(others)
    assert chosen(every=1, others=True) == []


def test_every_option_belongs_to_one_task_or_is_shared() -> None:
    parser = load_script("evaluate.py").build_parser()
    named = {action.dest for action in parser._actions}
    bases = {
        BenchmarkSettings: CompletingSettings,
        PhotoBenchmarkSettings: CompletingSettings,
        GeneratorSettings: EvaluationSettings,
        CompletingSettings: EvaluationSettings,
    }
    own = [name for item in bases.items() for name in settings.own_options(*item)]
    assert len(own) == len(set(own))
    common = set(EvaluationSettings.__dataclass_fields__)
    assert named == {"help", "traceback", "faces", "generator"} | common | set(own)
    args = parser.parse_args([])
    left_out = [name for name in named - {"help"} if getattr(args, name) not in (None, False)]
    assert left_out == []  # what is left out is the settings' to choose


def test_help_tells_the_defaults() -> None:
    text = " ".join(load_script("evaluate.py").build_parser().format_help().split())
    for words in (
        "of the search and random masks (default: 0)",
        "(default: evaluation)",
        "masks (default: center)",
        "auto-unguided: auto without that (default: auto)",
        "(default: telea)",
        "generated and real faces (default: 2000)",
        "number of faces, evenly spaced among the sorted paths (default: all)",
    ):
        assert words in text
    assert "default: None" not in text
    assert "default: ()" not in text


def test_settings_are_readable_without_tensorflow() -> None:
    code = "import sys, dcgan_completion.settings.evaluation; print('tensorflow' in sys.modules, 'dlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
