"""Subgroups of images, by a property in their file names."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from dcgan_completion.utils import UserError


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Images by a property in their names.

    Attributes:
      name: of the property.
      members: value of the property -> numbers of its images, in the order to show them.
      without: number of images whose names hold no value.
    """

    name: str
    members: dict[str, np.ndarray]
    without: int


def parse_bins(texts: Sequence[str]) -> dict[str, list[float]]:
    """Parse lower edges of bins by group, from texts such as age=0,10,20,40,60.

    Raises:
      UserError: a text is not like that, or its edges do not rise.
    """
    bins = {}
    for text in texts:
        name, _, edges = text.partition("=")
        try:
            bins[name] = [float(edge) for edge in edges.split(",")]
        except ValueError:
            bins[name] = []
        if not name or not bins[name] or np.any(np.diff(bins[name]) <= 0):
            raise UserError(
                f"--group-bins {text}: is not a group's name and rising edges (age=0,10,20,40,60)"
            )
    return bins


def _bin(value: str, edges: Sequence[float], where: str) -> tuple[int, str]:
    """Find the number and label of a value's bin: from its edge to below the next one."""
    try:
        place = sum(float(value) >= edge for edge in edges)
    except ValueError:
        raise UserError(f"{where}: {value!r} is not a number, as --group-bins needs it") from None
    if place == 0:
        return place, f"below {edges[0]:g}"
    if place == len(edges):
        return place, f"{edges[-1]:g} and more"
    return place, f"{edges[place - 1]:g} to below {edges[place]:g}"


def _number_or_text(value: str) -> tuple[bool, float, str]:
    """Make a key that sorts numbers by value, before all other texts."""
    return (False, float(value), value) if re.fullmatch(r"\d+", value) else (True, 0, value)


def group_images(paths: Sequence[str], pattern: str, edges: Sequence[str] = ()) -> list[Grouping]:
    """Group the images by each group of a regular expression, searched in their file names.

    Args:
      paths: of the images.
      pattern: with named groups, or groups that are called 1, 2, ...
      edges: lower edges of bins for groups of numbers, see `parse_bins`.

    Raises:
      UserError: not a regular expression with groups, one that matches no name, or bins of a
        group that it does not have, or whose values are no numbers.
    """
    bins = parse_bins(edges)
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--groups {pattern}: is no regular expression ({error})") from None
    if not compiled.groups:
        raise UserError(f"--groups {pattern}: has no group; put what to tell apart in (...)")
    names = {number: name for name, number in compiled.groupindex.items()}
    numbers = {names.get(i, str(i)): i for i in range(1, compiled.groups + 1)}
    if unknown := sorted(set(bins) - set(numbers)):
        raise UserError(
            f"--group-bins {unknown[0]}: --groups has no such group ({', '.join(numbers)})"
        )
    matches = [compiled.search(os.path.basename(path)) for path in paths]
    if not any(matches):
        raise UserError(f"--groups {pattern}: matches no file name, such as {paths[0]}")
    groupings = []
    for name, number in numbers.items():
        members: dict[Any, list[int]] = {}
        for i, match in enumerate(matches):
            value = match and match.group(number)
            if value is not None:
                own = bins.get(name)
                key = _bin(value, own, paths[i]) if own else (_number_or_text(value), value)
                members.setdefault(key, []).append(i)
        ordered = {key[-1]: np.array(members[key]) for key in sorted(members)}
        without = len(paths) - sum(map(len, ordered.values()))
        groupings.append(Grouping(name, ordered, without))
    return groupings


def by_located(found: np.ndarray) -> list[Grouping]:
    """Group photos by whether their faces were found, [N] as `MaskResult.found`.

    There is no group where all or none were.
    """
    members = {name: np.flatnonzero(found == value) for name, value in (("yes", 1), ("no", 0))}
    if not all(map(len, members.values())):
        return []
    return [Grouping("face found", members, int(np.isnan(found).sum()))]
