"""The settings of a completion: defaults by approach, contradictions, what config.json holds."""

from __future__ import annotations

import argparse
import dataclasses

import pytest

from dcgan_completion.settings import completion as settings
from dcgan_completion.settings import options
from dcgan_completion.settings import search as search_settings
from dcgan_completion.settings.completion import CompletionSettings
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import APPROACHES, GUIDED, SEARCHES, SearchSettings
from dcgan_completion.utils import UserError

# --- search ---


def test_settings_take_what_is_given_over_the_approachs() -> None:
    assert SearchSettings.of("adam") == SearchSettings("adam", n_iter=1000)
    assert SearchSettings.of("adam", n_iter=None, lr=0.5) == SearchSettings(
        "adam", n_iter=1000, lr=0.5
    )
    assert SearchSettings.of("hmc").lr is None
    auto = SearchSettings.of("auto", blend="none")
    assert dataclasses.replace(auto, blend="smooth") == SearchSettings.of("auto")


def test_several_samples_are_of_one_search_each() -> None:
    assert SearchSettings.of("auto", samples=3) == SearchSettings.of("auto", average=1)
    assert SearchSettings.of("auto", samples=3, average=2).average == 2
    assert SearchSettings.of("auto", samples=3, n_iter=7).n_iter == 7
    assert SearchSettings.of("auto", samples=1) == SearchSettings.of("auto")
    alone, averaged = (SearchSettings.of("auto", average=k) for k in (1, 2))
    assert alone.n_iter > averaged.n_iter == SearchSettings.of().n_iter


def test_auto_is_guided_where_there_is_an_encoder() -> None:
    unguided, guided = (SearchSettings.of(guided=guided) for guided in (False, True))
    assert unguided.guide == 0 < guided.guide
    assert dataclasses.replace(unguided, **GUIDED) == guided
    assert SearchSettings.of(guided=True, guide=0.0) == unguided
    assert SearchSettings.of(guided=True, guide=2.0, n_iter=7, average=3) == dataclasses.replace(
        guided, guide=2.0, n_iter=7, average=3
    )
    with pytest.raises(UserError, match="--mix needs the estimate that --guide 0 turns off"):
        SearchSettings.of(guided=True, guide=0.0, mix=0.1)
    several = SearchSettings.of(guided=True, samples=4)
    assert 0 < several.guide <= guided.guide
    assert several.mix == 0  # the estimate would be the same in all of them
    assert several.average == 1
    for approach in ("adam", "pgd", "hmc", "direct"):
        assert SearchSettings.of(approach, guided=True) == SearchSettings.of(approach)
        assert SearchSettings.of(approach).guide == 0


def test_an_estimate_is_one_completion() -> None:
    with pytest.raises(UserError) as caught:
        SearchSettings.of("direct", samples=2)
    assert str(caught.value) == (
        "--samples 2: --approach direct makes one completion of an image; leave one of them out"
    )
    with pytest.raises(UserError, match="--out-interval belongs to --approach auto or adam"):
        CompletionSettings.of("direct", ["a.png"], out_interval=3)


@pytest.mark.parametrize("approach", APPROACHES)
def test_an_approach_has_its_own_options_alone(approach: str) -> None:
    for name, approaches in search_settings.OF_APPROACHES.items():
        if approach in approaches:
            assert getattr(SearchSettings.of(approach, **{name: 0.5}), name) == 0.5
            continue
        with pytest.raises(UserError) as caught:
            SearchSettings.of(approach, **{name: 0.5})
        flag = "--" + name.replace("_", "-")
        assert str(caught.value) == (
            f"{flag} belongs to --approach {' or '.join(approaches)} and contradicts --approach "
            f"{approach}; leave one of them out"
        )
    options = SearchSettings.of(approach).options()
    lacking = {name for name, value in options.items() if value is None}
    assert lacking == {n for n, own in search_settings.OF_APPROACHES.items() if approach not in own}
    assert "pool" not in options


# --- masks ---


def test_a_mask_that_is_named_is_a_file_s() -> None:
    assert MaskSettings.of() == MaskSettings("center", 0.25, 0.2)
    given = MaskSettings.of(mask="a.png")
    assert (given.mask_type, given.mask, given.invert_mask) == ("file", "a.png", False)
    assert MaskSettings.of(mask_type="file", mask="a.png") == given


def test_options_of_other_masks_are_not_recorded() -> None:
    nothing = {"center_scale": None, "fraction": None, "mask": None, "invert_mask": None}
    nothing |= {"dilate": None, "feather": False}
    for given, own in (
        ({}, {"mask_type": "center", "center_scale": 0.25}),
        ({"mask_type": "random"}, {"mask_type": "random", "fraction": 0.2}),
        ({"mask_type": "left", "dilate": 2}, {"mask_type": "left", "dilate": 2}),
        ({"mask": "m"}, {"mask_type": "file", "mask": "m", "invert_mask": False}),
    ):
        assert MaskSettings.of(**given).options() == nothing | own


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (
            {"fraction": 0.5},
            "--fraction belongs to --mask-type random and contradicts --mask-type center; leave "
            "one of them out",
        ),
        (
            {"mask": "a.png", "center_scale": 0.3},
            "--center-scale belongs to --mask-type center and contradicts --mask-type file; leave "
            "one of them out",
        ),
        (
            {"mask_type": "file"},
            "--mask-type file: --mask PATH must name the mask, or a folder of masks",
        ),
        (
            {"mask_type": "lowres", "dilate": 1},
            "--dilate: there is no hole to grow in --mask-type lowres",
        ),
        (
            {"feather": True},
            "--feather: ramps inside the pixels that --dilate adds; give --dilate, too",
        ),
    ],
)
def test_masks_that_contradict_themselves(given: dict[str, object], error: str) -> None:
    with pytest.raises(UserError) as caught:
        MaskSettings.of(**given)
    assert str(caught.value) == error


# --- the rest ---


def test_the_approach_decides_how_often_pictures_are_written() -> None:
    for approach in SEARCHES:
        own = CompletionSettings.of(approach, ["a.png"])
        assert own.out_interval == (10 if approach == "auto" else 50)
        assert CompletionSettings.of(approach, ["a.png"], out_interval=7).out_interval == 7
        assert own.out_interval <= SearchSettings.of(approach).n_iter or approach == "hmc"


def test_overwrite_does_not_belong_to_the_record() -> None:
    given = CompletionSettings.of("auto", ["a", "b"], overwrite=True, shard=(1, 2))
    options = given.options()
    assert "overwrite" not in options
    assert options["images"] == ("a", "b")
    assert options["shard"] == (1, 2)


@pytest.mark.parametrize(("text", "value"), [("1/1", (1, 1)), ("2/4", (2, 4)), ("10/10", (10, 10))])
def test_shards(text: str, value: tuple[int, int]) -> None:
    assert settings.shard(text) == value


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/", "/2", "a/b", "-1/2", "1.5/2"])
def test_other_shards(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not like 2/4, the second of four"):
        settings.shard(text)


def test_the_help_states_every_default() -> None:
    for kind in (SearchSettings, MaskSettings, CompletionSettings):
        for field in options.option_fields(kind):
            text = kind.default_text(field)
            stated = field.default is not None and field.default is not False
            assert bool(text) or not stated, field.name
    texts = {f.name: SearchSettings.default_text(f) for f in options.option_fields(SearchSettings)}
    assert texts["lr"] == "default: auto: 0.07; adam, pgd: 0.01"
    assert texts["n_iter"] == "default: auto: 40; adam, pgd: 1000; hmc: 20"
    assert texts["decay"] == "default: auto: 0.3; adam: 0"
    assert texts["momentum"] == "default: 0.9"
    assert texts["blend"] == "default: auto, direct: smooth; adam, pgd, hmc: none"
    assert texts["guide"] == f"default: auto: {GUIDED['guide']:g}; unguided auto: 0"
    assert texts["average"] == "default: auto, adam, pgd, hmc: 1; unguided auto: 5"


def test_settings_do_not_change() -> None:
    for value in (SearchSettings(), MaskSettings(), CompletionSettings(("a",))):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.seed = 1
