"""Points of the latent space: how a command line names them, drawn from a seed, kept in files.

Latents are float64 [N, z_dim] in [-1, 1]. Importing this needs no TensorFlow.
"""

from __future__ import annotations

import argparse
import enum
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dcgan_completion import utils
from dcgan_completion.utils import UserError

SUFFIX = ".npz"
BATCH = 64  # latents that are drawn, and images that are generated, at a time
MOST = 10**6  # samples of a seed that can be named
HELP = (
    "latents: NUMBER or FIRST-LAST, samples of --seed, from 0 on, as `grid --numbers` shows them; "
    "FILE.npz, all of a file with an array z, such as `invert` writes, and complete.py "
    "(logs/z.npz); FILE.npz:NUMBER or FILE.npz:FIRST-LAST, some of them"
)
_WORD = re.compile(
    r"(?:(?P<file>.+\.npz)(?P<colon>:)?)?(?:(?P<first>\d{1,6})(?:-(?P<last>\d{1,6}))?)?"
)


class Purpose(enum.IntEnum):
    """What random numbers of the seed are for, besides the samples (see `draw`).

    Above those of completion.randomness, whose streams are of the same kind.
    """

    NOISE = 16  # around the result of an arithmetic


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
    """argparse type: see HELP."""
    found = _WORD.fullmatch(text)
    if found:
        file, first, last = found["file"] or "", found["first"], found["last"]
        valid = (first is not None) == (not file or bool(found["colon"]))
        if valid and first is None:
            return Word(file, 0, None)
        if valid and int(last or first) >= int(first):
            return Word(file, int(first), int(last or first))
    raise argparse.ArgumentTypeError(
        f"{text!r} is not the z of a sample: name NUMBER, FIRST-LAST, FILE.npz or FILE.npz:NUMBER"
    )


def expand(words: Sequence[Word]) -> list[Name]:
    """The latents that words name, one by one, in their order.

    Raises:
      UserError: a file cannot be read, or has fewer latents.
    """
    names = []
    for file, first, last in words:
        if file:
            number = len(read_latents(file))
            if last is None:
                last = number - 1
            elif last >= number:
                raise UserError(f"{file}:{last}: the file has {number} latents, from 0 on")
        names += [Name(file, i) for i in range(first, last + 1)]
    return names


def samples(count: int) -> list[Name]:
    """The first samples of the seed."""
    return [Name("", i) for i in range(count)]


def draw(seed: int, first: int, count: int, z_dim: int, limit: float = 1.0) -> np.ndarray:
    """Samples number `first` to `first + count - 1` of a seed, float64 [count, z_dim].

    Uniform in [-limit, limit]. Sample number i is the same, wherever drawing starts, and whatever
    the limit, but for its scale.
    """
    random = np.random.default_rng(seed)
    random.bit_generator.advance(first * z_dim)  # each value takes one step of the generator
    return limit * random.uniform(-1, 1, [count, z_dim])


def latents(
    names: Sequence[Name],
    seed: int,
    z_dim: int,
    limit: float = 1.0,
    files: dict[str, np.ndarray] | None = None,
) -> np.ndarray:
    """The latents of some names, float64 [N, z_dim]; those of files as they are there.

    Args:
      names: of samples, or of latents in files.
      seed, limit: of the samples, as for `draw`.
      z_dim: length of a latent.
      files: latents of files that have been read, by path; those that are read are added.

    Raises:
      UserError: a file cannot be read, or has latents of another length.
    """
    z = np.empty([len(names), z_dim])
    files = {} if files is None else files
    # Runs of consecutive numbers of one file, or of the seed.
    for (file, _), run in itertools.groupby(
        enumerate(names), key=lambda item: (item[1].file, item[1].number - item[0])
    ):
        places = [place for place, _ in run]
        first, count = names[places[0]].number, len(places)
        rows = slice(places[0], places[0] + count)
        if not file:
            z[rows] = draw(seed, first, count, z_dim, limit)
            continue
        stored = files.get(file)
        if stored is None:
            stored = files[file] = read_latents(file)
        if stored.shape[1] != z_dim:
            raise UserError(
                f"{file}: its latents have {stored.shape[1]} values, those of the model {z_dim}; "
                "name the model that they were found with (--checkpoint-dir)"
            )
        z[rows] = stored[first : first + count]
    return z


def batches(
    names: Sequence[Name], seed: int, z_dim: int, limit: float = 1.0
) -> Iterator[np.ndarray]:
    """As `latents`, BATCH at a time: memory does not grow with their number."""
    files: dict[str, np.ndarray] = {}
    for first in range(0, len(names), BATCH):
        yield latents(names[first : first + BATCH], seed, z_dim, limit, files)


def clip(z: np.ndarray) -> tuple[np.ndarray, float]:
    """Latents clipped to the cube [-1, 1]^z_dim, and the share of their values outside of it."""
    return np.clip(z, -1, 1), float((np.abs(z) > 1).mean())


def read_latents(path: str) -> np.ndarray:
    """The latents in a file, its array `z`: float64 [N, z_dim], N above 0.

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
            f"{path}: its array z is no table of finite numbers, a row for each latent; "
            "./sample-dcgan.py invert writes such files"
        )
    return z


def write_latents(path: str, z: np.ndarray, **more: np.ndarray) -> None:
    """Writes latents [N, z_dim] as the array `z` of a .npz file, with more arrays beside it."""
    with utils.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, z=np.asarray(z, np.float32), **more)
