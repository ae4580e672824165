"""Random numbers of a training: from its seed, the step or epoch, and what they are for."""

from __future__ import annotations

import enum


class StepPurpose(enum.IntEnum):
    """What random numbers of a step are for, besides its z; each has a stream of its own."""

    FLIP = 1  # which images are mirrored
    AUGMENT = 2  # what the discriminator sees
    STATISTICS = 3  # the z under which batch statistics are estimated


class FilePurpose(enum.IntEnum):
    """What random numbers about the files are for; each has a stream of its own."""

    SUBSET = 0  # which files are used
    ORDER = 1  # the files' order in the first epoch; in epoch n (from 0): ORDER + n
