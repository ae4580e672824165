"""The options of evaluate.py: what is chosen if they are left out, and what contradicts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from helpers import load_script

from dcgan_completion.settings import evaluation as settings
from dcgan_completion.settings.evaluation import (
    BenchmarkSettings,
    CompletingSettings,
    EvaluationSettings,
    GeneratorSettings,
    PhotoBenchmarkSettings,
)
from dcgan_completion.utils import UserError


def test_defaults(tmp_path: Path) -> None:
    asked = BenchmarkSettings.of(str(tmp_path))
    assert (asked.seed, asked.out, asked.workers) == ((0,), "evaluation", os.cpu_count())
    assert (asked.kinds, asked.reference_kinds) == (("center",), ())
    assert (asked.baseline, asked.linear, asked.holdout) == (("telea",), (), None)
    photos = PhotoBenchmarkSettings.of(photos=str(tmp_path))
    assert photos.kinds == ("eyes", "nose", "mouth", "half", "stroke")
    generator = GeneratorSettings.of(real=["a", "b"], samples=4)
    assert (generator.real, generator.training, generator.holdout) == (("a", "b"), (), None)
    assert (generator.samples, generator.inversion) == (4, 64)
    assert GeneratorSettings(real=("a",)).samples == 2000


def test_each_choice_counts_once_and_in_its_order(tmp_path: Path) -> None:
    asked = BenchmarkSettings.of(
        str(tmp_path),
        seed=[3, 0, 3],
        mask_type=["random", "left", "random"],
        approach=["pgd", "adam", "pgd"],
        blend=["smooth", "none", "smooth"],
        baseline=["telea", "adam", "telea"],
        fraction=0.75,
    )
    assert asked.seed == (3, 0)
    assert asked.blend == ("smooth", "none")
    assert asked.baseline == ("telea", "adam")
    assert asked.kinds == ("random", "left")
    assert asked.approaches(guided=True) == ["pgd", "adam"]


def test_options_of_searches(tmp_path: Path) -> None:
    asked = BenchmarkSettings.of(str(tmp_path), n_iter=7, average=2)
    given = {"n_iter": 7, "average": 2}
    unguided = given | {"approach": "auto", "guide": 0.0}
    for approach, guided, expected in (
        ("adam", True, given | {"approach": "adam"}),
        ("auto", True, given | {"approach": "auto"}),
        ("auto", False, unguided),
        ("auto-unguided", True, unguided),
        ("direct", True, {"approach": "direct"}),
    ):
        assert asked.search_options(approach, guided) == expected
    assert BenchmarkSettings.of(str(tmp_path)).search_options("pgd", True) == {"approach": "pgd"}
    photos = PhotoBenchmarkSettings.of(photos=str(tmp_path), approach=["adam"])
    assert photos.approaches(guided=False) == ["adam"]
    assert photos.approaches(guided=True) == ["adam", "direct"]


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


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "--generator needs real faces"),
        ({"real": ["a"], "seed": [1, 2]}, "one --seed"),
        ({"real": ["a"], "seed": [1, 1]}, "one --seed"),
        ({"real": ["a"], "samples": 3}, "at least 4 --samples"),
        ({"photos": "gone"}, "--photos gone: no such folder"),
        ({"photos": ".", "seed": [1, 2]}, "--photos takes one --seed"),
        ({"photos": ".", "offset": 3}, "--offset belongs to --every N"),
        ({"photos": ".", "others": True}, "--others belongs to --every N"),
        ({"photos": ".", "every": 30, "offset": 30}, "--offset 30: is not below --every 30"),
        ({"photos": ".", "holdout": "names.txt"}, "--holdout belongs to --linear DIR"),
        ({"photos": ".", "baseline": ["linear"]}, "--baseline linear belongs to --linear DIR"),
        ({"faces": "gone"}, "FOLDER gone: no such folder"),
    ],
)
def test_contradictions_of_the_other_tasks(given: dict[str, Any], words: str) -> None:
    task = BenchmarkSettings if "faces" in given else GeneratorSettings
    with pytest.raises(UserError) as caught:
        (PhotoBenchmarkSettings if "photos" in given else task).of(**given)
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
    assert named == {"help", "traceback", "version", "faces", "generator"} | common | set(own)
    args = parser.parse_args([])
    left_out = [
        name for name in named - {"help", "version"} if getattr(args, name) not in (None, False)
    ]
    assert left_out == []  # what is left out is the settings' to choose


def test_help_tells_the_defaults() -> None:
    text = " ".join(load_script("evaluate.py").build_parser().format_help().split())
    for words in (
        "seeds of the search and of random masks (default: 0)",
        "(default: evaluation)",
        "masks (default: center)",
        "auto without the context encoder (default: auto)",
        "(default: telea)",
        "the maximum number of real ones (default: 2000)",
        "number of faces, evenly spaced among the sorted paths (default: all)",
    ):
        assert words in text
    assert "default: None" not in text
    assert "default: ()" not in text
