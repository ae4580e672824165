"""The ways to complete an image, and the options that each of them has."""

from __future__ import annotations

import dataclasses
from typing import Any

APPROACHES = ("auto", "adam", "pgd", "hmc")
BLENDS = ("none", "poisson", "smooth")
# What differs from the defaults of `Settings`. adam, pgd and hmc: the reference's values and the
# tutorial's; auto: what was measured to be best (docs/completion.md).
DEFAULTS: dict[str, dict[str, Any]] = {
    "auto": {
        "n_iter": 40,
        "average": 5,
        "lr": 0.07,
        "decay": 0.3,
        "lam": 0.0,
        "weighted": 0.25,
        "blend": "smooth",
        "pool": 2048,
    },
    "adam": {"n_iter": 1000},
    "pgd": {"n_iter": 1000},
    "hmc": {"n_iter": 20, "lr": None},
}
AUTO_ALONE = {"n_iter": 100}  # what auto needs where an image is searched only once
# Options of some approaches alone.
BELONGS = {
    "lr": ("auto", "adam", "pgd"),
    "beta1": ("auto", "adam"),
    "beta2": ("auto", "adam"),
    "eps": ("auto", "adam"),
    "decay": ("auto", "adam"),
    "momentum": ("pgd",),
    "hmc_beta": ("hmc",),
    "hmc_eps": ("hmc",),
    "hmc_l": ("hmc",),
    "hmc_anneal": ("hmc",),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """How z is searched and the hole filled.

    Attributes:
      approach: one of APPROACHES.
      n_iter: iterations.
      lr: step size of the search (adam, pgd, auto).
      lam, distance: of `DCGAN.completion_loss`.
      weighted: share of the importance weights in how much a known pixel counts, 0 to 1
        (masks.blend_weights).
      average: a completion is the mean of so many searches from different starts.
      blend: of BLENDS: `none`, the hole is G(z)'s; the others: completion.fill.
      pool: z starts at the best of so many generated images, by the known pixels; 0: anywhere.
      beta1, beta2, eps, decay: of search.adam (adam, auto).
      momentum: of pgd.
      hmc_beta, hmc_eps, hmc_l, hmc_anneal: of search.HamiltonianMonteCarlo.
    """

    approach: str
    n_iter: int
    lr: float | None = 0.01
    lam: float = 0.1
    distance: str = "l1"
    weighted: float = 0.0
    average: int = 1
    blend: str = "none"
    pool: int = 0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    decay: float = 0.0
    momentum: float = 0.9
    hmc_beta: float = 0.2
    hmc_eps: float = 0.001
    hmc_l: int = 100
    hmc_anneal: float = 1.0

    @classmethod
    def of(cls, approach: str, **overrides: Any) -> Settings:
        """The approach's settings; None for an override leaves it as the approach has it."""
        given = {name: value for name, value in overrides.items() if value is not None}
        own = DEFAULTS[approach]
        if approach == "auto" and given.get("average") == 1:
            own = own | AUTO_ALONE
        return cls(**{"approach": approach} | own | given)
