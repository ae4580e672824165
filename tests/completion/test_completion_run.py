"""A run of complete.py in parts: shards, batch sizes, its record, in which precision it goes on."""

from __future__ import annotations

import itertools

import pytest

from dcgan_completion import inputs, resuming
from dcgan_completion.completion import run as completion_run
from dcgan_completion.devices import Precision
from dcgan_completion.settings.completion import CompletionSettings
from dcgan_completion.settings.masks import MaskSettings
from dcgan_completion.settings.search import SearchSettings
from dcgan_completion.utils import UserError

# --- shards and batches ---


@pytest.mark.parametrize(("number", "parts"), [(1, 1), (5, 2), (7, 3), (3, 3)])
def test_shards_divide_the_images(number: int, parts: int) -> None:
    paths = [f"/{i % 2}/{i // 2}.png" for i in range(number)]
    shards = [inputs.names_of_shard(paths, (i + 1, parts)) for i in range(parts)]
    together = list(itertools.chain(*shards))
    assert sorted(together) == sorted(paths)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    whole = inputs.names_of_shard(paths, None)
    assert list(whole) == paths
    for shard in shards:
        assert shard.items() <= whole.items()


def test_an_empty_shard_is_refused() -> None:
    with pytest.raises(UserError, match=r"^--shard 3/3: there are only 2 images to divide$"):
        inputs.names_of_shard(["a.png", "b.png"], (3, 3))


@pytest.mark.parametrize(
    ("samples", "images", "size"),
    [(1, 100, 64), (1, 3, 3), (8, 100, 8), (8, 2, 2), (64, 9, 1), (100, 9, 1), (10, 9, 6)],
)
def test_a_batch_holds_at_most_64_samples(samples: int, images: int, size: int) -> None:
    assert completion_run.default_batch_size(samples, images) == size


# --- the record ---

# The keys of config.json's options before precision_used was added.
KEYS = [
    "approach",
    "average",
    "batch_size",
    "beta1",
    "beta2",
    "blend",
    "center_scale",
    "checkpoint",
    "checkpoint_dir",
    "context_encoder",
    "photo_encoder",
    "decay",
    "dilate",
    "distance",
    "eps",
    "feather",
    "fraction",
    "guide",
    "hmc_anneal",
    "hmc_beta",
    "hmc_eps",
    "hmc_l",
    "images",
    "img_size",
    "invert_mask",
    "lam",
    "lr",
    "mask",
    "mask_type",
    "mix",
    "momentum",
    "n_iter",
    "out_dir",
    "out_interval",
    "precision",
    "resize",
    "samples",
    "seed",
    "shard",
    "weighted",
]


def recorded(approach: str = "auto", **changes: object) -> dict[str, object]:
    return resuming.recorded_options(
        CompletionSettings.of(approach, ["a.png"], shard=(1, 2), **changes),
        SearchSettings.of(approach),
        MaskSettings.of(),
        "checkpoint/ckpt-1",
    )


def test_the_record_has_all_options_but_those_that_change_no_result() -> None:
    options = recorded("hmc")
    assert sorted([*options, "precision"]) == sorted(KEYS)
    assert options["shard"] == [1, 2]  # as JSON gives it back
    assert options["images"] == ["a.png"]
    assert (options["lr"], options["hmc_l"], options["beta1"]) == (None, 100, None)
    assert options["checkpoint"] == "checkpoint/ckpt-1"
    assert recorded(overwrite=True) == recorded()


# --- going on ---

FLOAT32, BFLOAT16 = Precision("float32", "float32"), Precision("bfloat16", "bfloat16")
AUTO32, AUTO16 = Precision("auto", "float32"), Precision("auto", "bfloat16")


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (AUTO16, AUTO16, True),
        (AUTO16, AUTO32, True),  # on another machine
        (AUTO32, AUTO16, True),
        (FLOAT32, FLOAT32, True),
        (FLOAT32, AUTO32, True),  # another way to ask for the same
        (AUTO16, BFLOAT16, True),
        (BFLOAT16, AUTO32, False),
        (FLOAT32, AUTO16, False),
        (AUTO16, FLOAT32, False),
        (AUTO32, BFLOAT16, False),
        (FLOAT32, BFLOAT16, False),
    ],
)
def test_a_run_goes_on_by_the_same_options(before: Precision, now: Precision, same: bool) -> None:
    earlier = recorded() | {"precision": before.asked, "precision_used": before.used}
    found = resuming.earlier_precision(earlier, recorded(), now)
    assert found == (before if same else None)
    assert resuming.earlier_precision(earlier, recorded(seed=1), now) is None
    assert resuming.earlier_precision(earlier | {"new": 1}, recorded(), now) is None


@pytest.mark.parametrize(
    ("used", "now", "same"),
    [
        ("bfloat16", AUTO16, True),
        ("bfloat16", AUTO32, True),
        ("float32", AUTO16, True),
        ("float32", FLOAT32, True),
        ("bfloat16", BFLOAT16, True),
        ("bfloat16", FLOAT32, False),
        ("float32", BFLOAT16, False),
    ],
)
def test_so_does_one_of_an_earlier_version(used: str, now: Precision, same: bool) -> None:
    earlier = recorded() | {"precision": used}  # the one used, whatever was asked for
    for name in ("guide", "mix", "context_encoder"):  # there was none
        del earlier[name]
    found = resuming.earlier_precision(earlier, recorded(), now)
    assert found == (Precision("auto", used) if same else None)
