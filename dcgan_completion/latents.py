"""Latents: how a command line names them, drawn from a seed, stored in files.

Latents are float64 [N, z_dim] in [-1, 1]. Importing this needs no TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dcgan_completion import utils
from dcgan_completion.utils import UserError

SUFFIX = ".npz"
BATCH = 64  # latents that are drawn, and images that are generated, at a time
MAX_SAMPLES = 10**6  # of a seed: their numbers have six digits at most
SIGNS = ("+", "-")
HELP = (
    "latents: NUMBER or FIRST-LAST, samples of --seed, as numbered by `grid --numbers`; FILE.npz, "
    "all rows of the array z in a file that `invert` or complete.py (logs/z.npz) has written; "
    "FILE.npz:NUMBER or FILE.npz:FIRST-LAST, some of its rows"
)
_WORD = re.compile(
    r"(?:(?P<file>.+\.npz)(?P<colon>:)?)?(?:(?P<first>\d{1,6})(?:-(?P<last>\d{1,6}))?)?"
)


class Word(NamedTuple):
    """Latents that a word of the command line names.

    Attributes:
      file: path of a file of latents; empty: the seed's samples.
      first, last: their numbers; of all in a file, 0 and None.
    """

    file: str
    first: int
    last: int | None


class Name(NamedTuple):
    """One latent.

    Attributes:
      file: as in `Word`.
      number: in the file, or among the seed's samples, from 0 on.
    """

    file: str
    number: int

    def __str__(self) -> str:
        return f"{self.stem}:{self.number}" if self.file else str(self.number)

    @property
    def stem(self) -> str:
        """The file's name without folder and suffix."""
        return os.path.basename(self.file).removesuffix(SUFFIX)


def word(text: str) -> Word:
    """Parse what names latents, see HELP: an argparse type."""
    found = _WORD.fullmatch(text)
    if found:
        file, first, last = found["file"] or "", found["first"], found["last"]
        valid = (first is not None) == (not file or bool(found["colon"]))
        if valid and first is None:
            return Word(file, 0, None)
        if valid and int(last or first) >= int(first):
            return Word(file, int(first), int(last or first))
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a latent's name: NUMBER, FIRST-LAST, FILE.npz or FILE.npz:NUMBER"
    )


def term_word(text: str) -> Word | str:
    """Parse a sign, or what names latents: an argparse type."""
    return text if text in SIGNS else word(text)


def expand(words: Sequence[Word]) -> list[Name]:
    """List the latents that words name, one by one, in their order.

    Raises:
      UserError: a file cannot be read, or has fewer latents.
    """
    names: list[Name] = []
    for file, first, last in words:
        number = len(read(file)) if file else MAX_SAMPLES
        stop = number if last is None else last + 1
        if stop > number:
            raise UserError(
                f"{file}:{last}: the file has {number} latents; the last one is {number - 1}"
            )
        names += [Name(file, i) for i in range(first, stop)]
    return names


def expand_terms(words: Sequence[Word | str]) -> list[tuple[str, list[Name]]]:
    """List sign and latents of each term of a sum; the first one may have no sign.

    Raises:
      UserError: a term is empty, or as `expand`.
    """
    terms: list[tuple[str, list[Word]]] = [] if words and words[0] in SIGNS else [("+", [])]
    for item in words:
        if isinstance(item, str):
            terms.append((item, []))
        else:
            terms[-1][1].append(item)
    if not all(own for _, own in terms):
        raise UserError("Z: no latent follows a sign; write A - B + C, such as 3 17 - 4 9 + 5")
    return [(sign, expand(own)) for sign, own in terms]


def samples(count: int) -> list[Name]:
    """List the first samples of the seed."""
    return [Name("", i) for i in range(count)]


def draw(seed: int, first: int, count: int, z_dim: int, limit: float = 1.0) -> np.ndarray:
    """Draw samples number `first` to `first + count - 1` of a seed: float64 [count, z_dim].

    Uniform in [-limit, limit]. Sample number i is the same wherever drawing starts, and whatever
    the limit is, but for its scale.
    """
    bits = np.random.PCG64(seed)  # that of np.random.default_rng
    bits.advance(first * z_dim)  # each value takes one step
    return limit * np.random.Generator(bits).uniform(-1, 1, [count, z_dim])


def named(
    names: Sequence[Name],
    seed: int,
    z_dim: int,
    limit: float = 1.0,
    files: dict[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Draw or read the latents with some names: float64 [N, z_dim].

    Args:
      names: of samples, or of latents in files.
      seed, limit: of the samples, as for `draw`.
      z_dim: length of a latent.
      files: cache of the latents of files, by path.

    Raises:
      UserError: a file cannot be read, or has latents of another length.
    """
    z = np.empty([len(names), z_dim])
    files = {} if files is None else files
    for row, (file, number) in zip(z, names, strict=True):
        if not file:
            row[:] = draw(seed, number, 1, z_dim, limit)
            continue
        if file not in files:
            files[file] = read(file)
        if files[file].shape[1] != z_dim:
            raise UserError(
                f"{file}: its latents have {files[file].shape[1]} dimensions, those of the model "
                f"{z_dim}; name the model that they were found with (--checkpoint-dir)"
            )
        row[:] = files[file][number]
    return z


def batches(
    names: Sequence[Name], seed: int, z_dim: int, limit: float = 1.0
) -> Iterator[np.ndarray]:
    """Yield latents as `named` does, BATCH at a time, so that any number fits into memory."""
    files: dict[str, np.ndarray] = {}
    for first in range(0, len(names), BATCH):
        yield named(names[first : first + BATCH], seed, z_dim, limit, files)


def clip(z: np.ndarray) -> tuple[np.ndarray, float]:
    """Clip latents to the cube [-1, 1]^z_dim; returns the share of values outside of it, too."""
    return np.clip(z, -1, 1), float((np.abs(z) > 1).mean())


def read(path: str) -> np.ndarray:
    """Read the latents in a file, its array `z`: float64 [N, z_dim], N above 0.

    Raises:
      UserError: the file cannot be read, or holds no finite latents.
    """
    utils.check_regular(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            z = np.asarray(file["z"], np.float64)
    except Exception as error:  # it raises anything on damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{path}: cannot be read as latents ({reason}); ./sample-dcgan.py invert writes them"
        ) from None
    if z.ndim != 2 or 0 in z.shape or not np.isfinite(z).all():
        raise UserError(
            f"{path}: its array z is not a matrix of finite numbers with a row for each latent; "
            "./sample-dcgan.py invert writes such files"
        )
    return z


def write(path: str, z: np.ndarray, **more: np.ndarray) -> None:
    """Write latents [N, z_dim] as the array `z` of a .npz file, with more arrays beside it."""
    with utils.replacing(path) as temporary, open(temporary, "wb") as file:
        arrays: dict[str, Any] = {"z": np.asarray(z, np.float32), **more}
        np.savez(file, **arrays)
