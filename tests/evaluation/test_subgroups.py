"""Subgroups of images by their file names."""

from __future__ import annotations

import pytest

from dcgan_completion.evaluation import subgroups
from dcgan_completion.utils import UserError

UTK = r"^(?P<age>\d+)_(?P<gender>\d)_(?P<ethnicity>\d)_"
PATHS = ["a/9_0_3_2.png", "a/10_1_3_2.png", "12_0_0/25_0_0_1.png", "a/100_1_2_1.png", "a/x.png"]


def members(grouping: subgroups.Grouping) -> dict[str, list[int]]:
    return {value: numbers.tolist() for value, numbers in grouping.members.items()}


def test_each_group_tells_apart_by_its_own_values() -> None:
    age, gender, ethnicity = subgroups.group_images(PATHS, UTK)
    assert (age.name, gender.name, ethnicity.name) == ("age", "gender", "ethnicity")
    assert members(age) == {"9": [0], "10": [1], "25": [2], "100": [3]}
    assert list(age.members) == ["9", "10", "25", "100"]  # as numbers
    assert members(gender) == {"0": [0, 2], "1": [1, 3]}
    assert members(ethnicity) == {"0": [2], "2": [3], "3": [0, 1]}
    assert (age.without, gender.without) == (1, 1)


def test_bins_go_from_their_edge_to_below_the_next() -> None:
    age, *_ = subgroups.group_images(PATHS, UTK, ["age=10,25,60"])
    assert members(age) == {
        "below 10": [0],
        "10 to below 25": [1],
        "25 to below 60": [2],
        "60 and more": [3],
    }
    assert next(iter(age.members)) == "below 10"


def test_groups_without_a_name_have_their_number() -> None:
    paths = ["f-anna-1.png", "m-ben-2.png", "m-2.png"]
    first, second = subgroups.group_images(paths, r"([fm])-(?:([a-z]+)-)?")
    assert (first.name, members(first)) == ("1", {"f": [0], "m": [1, 2]})
    assert (second.name, members(second), second.without) == ("2", {"anna": [0], "ben": [1]}, 1)


REFUSED = {
    "no regex": (("(", ()), "no regular expression"),
    "no group": ((r"\d+", ()), "has no group"),
    "no match": (("(nothing)", ()), "matches no file name, such as a/9_0_3_2.png"),
    "bins of none": ((UTK, ["size=1"]), "--group-bins size: --groups has no such group (age,"),
    "bins of words": (("([a-z]+)", ["1=3"]), "'png' is not a number"),
    "falling bins": ((UTK, ["age=3,2"]), "age=3,2: is not a group's name and rising edges"),
    "no edges": ((UTK, ["age"]), "age: is not"),
    "no name": ((UTK, ["=1,2"]), "=1,2: is not"),
    "words for edges": ((UTK, ["age=young"]), "age=young: is not"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_explained(case: str) -> None:
    (pattern, edges), words = REFUSED[case]
    with pytest.raises(UserError) as caught:
        subgroups.group_images(PATHS, pattern, edges)
    assert words in str(caught.value)
