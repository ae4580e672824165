"""The options of complete.py: spellings, defaults, what an approach and a mask decide."""

from __future__ import annotations

import argparse

import pytest
from completion_helpers import SCRIPT
from helpers import load_script

from dcgan_completion.settings.search import SearchSettings

pytest_plugins = ["completion_fixtures"]


def resolved(*options: str) -> argparse.Namespace:
    """All that the options come to, as config.json has it; and --overwrite."""
    settings, asked, mask = load_script(SCRIPT).read_settings(["a.png", *options])
    search = SearchSettings.of(samples=settings.samples, **asked)
    values = settings.options() | search.options() | mask.options()
    return argparse.Namespace(**values, overwrite=settings.overwrite)


def test_options_have_the_references_defaults() -> None:
    wanted = {
        "lr": 0.01,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "decay": 0,
        "n_iter": 1000,
        "img_size": None,
        "lam": 0.1,
        "weighted": 0,
        "blend": "none",
        "distance": "l1",
        "out_dir": "completions",
        "out_interval": 50,
        "mask_type": "center",
        "center_scale": 0.25,
        "momentum": None,
        "seed": 0,
        "samples": 1,
        "average": 1,
        "resize": False,
        "overwrite": False,
    }
    args = resolved("--approach", "adam")
    assert {name: getattr(args, name) for name in wanted} == wanted
    args = resolved("--approach", "pgd", "--maskType", "left")
    assert (args.momentum, args.beta1, args.beta2, args.eps) == (0.9, None, None, None)
    assert (args.lr, args.n_iter, args.lam, args.center_scale) == (0.01, 1000, 0.1, None)
    args = resolved("--approach", "hmc")
    assert (args.hmc_beta, args.hmc_eps, args.hmc_l, args.hmc_anneal) == (0.2, 0.001, 100, 1)
    assert (args.n_iter, args.lr, args.lam, args.blend) == (20, None, 0.1, "none")


def test_auto_is_the_default_with_values_of_its_own() -> None:
    args, adam = resolved(), resolved("--approach", "adam")
    assert (args.approach, args.blend, args.momentum) == ("auto", "smooth", None)
    assert args.n_iter <= adam.n_iter / 10
    assert args.n_iter * args.average <= adam.n_iter / 5  # of half the price: without D
    assert args.out_interval < args.n_iter
    assert args.average > 1
    args = resolved("--nIter", "7", "--lr", "0.5", "--weighted", "0.25", "--blend", "none")
    assert (args.n_iter, args.lr, args.weighted, args.blend) == (7, 0.5, 0.25, "none")


@pytest.mark.parametrize("options", [("--average", "1"), ("--samples", "3")])
def test_a_single_search_is_longer(options: tuple[str, ...]) -> None:
    args = resolved(*options)
    assert args.average == 1
    assert args.n_iter > 2 * resolved().n_iter
    assert resolved(*options, "--nIter", "7").n_iter == 7


def test_samples_may_be_averages_too() -> None:
    args = resolved("--samples", "3", "--average", "2")
    assert (args.samples, args.average, args.n_iter) == (3, 2, resolved().n_iter)


SPELLINGS = {
    "n_iter": ("--nIter", "--n-iter", "7", 7),
    "img_size": ("--imgSize", "--img-size", "32", 32),
    "checkpoint_dir": ("--checkpointDir", "--checkpoint-dir", "c", "c"),
    "out_dir": ("--outDir", "--out-dir", "o", "o"),
    "out_interval": ("--outInterval", "--out-interval", "9", 9),
    "mask_type": ("--maskType", "--mask-type", "grid", "grid"),
    "center_scale": ("--centerScale", "--center-scale", "0.3", 0.3),
    "hmc_beta": ("--hmcBeta", "--hmc-beta", "0.3", 0.3),
    "hmc_eps": ("--hmcEps", "--hmc-eps", "0.3", 0.3),
    "hmc_l": ("--hmcL", "--hmc-l", "30", 30),
    "hmc_anneal": ("--hmcAnneal", "--hmc-anneal", "0.3", 0.3),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_options_in_both_spellings(name: str) -> None:
    reference, kebab, text, value = SPELLINGS[name]
    for flag in (reference, kebab):
        args = load_script(SCRIPT).build_parser().parse_args(["a.png", flag, text])
        assert getattr(args, name) == value
