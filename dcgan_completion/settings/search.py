"""The settings of a search: how z is searched, and how the hole is filled.

Defaults, choices and help of the options are written here alone; command lines are built from
these classes. Importing this needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from dcgan_completion.settings import options
from dcgan_completion.utils import UserError

SEARCHES = ("auto", "adam", "pgd", "hmc")
APPROACHES = (*SEARCHES, "direct")
BLENDS = ("none", "poisson", "smooth")
DISTANCES = ("l1", "l2")
# What differs from the defaults of `SearchSettings`. adam, pgd and hmc: values of the reference and
# the tutorial; auto: what was measured to be best (docs/completion.md).
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
    "direct": {"blend": "smooth"},
}
AUTO_SINGLE = {"n_iter": 100}  # auto with one search for each sample needs more iterations
# auto where a context encoder guides it, and what differs where several samples are to differ.
GUIDED = {"guide": 0.5, "mix": 0.02, "n_iter": 40, "average": 1}
GUIDED_SAMPLES = {"guide": 0.1, "mix": 0.0}
# Options that only some approaches have.
OF_APPROACHES = {
    "guide": ("auto",),
    "mix": ("auto",),
    "n_iter": SEARCHES,
    "lam": SEARCHES,
    "distance": SEARCHES,
    "weighted": SEARCHES,
    "average": SEARCHES,
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
class SearchSettings:
    """How z is searched and the hole filled."""

    approach: str = options.option(
        "auto: latent search guided by the context encoder; adam, pgd: the optimizers of the "
        "original code and of the tutorial, ten times slower; hmc: Hamiltonian Monte Carlo, one "
        "iteration of which takes as long as 101 of the others; direct: the context encoder's "
        "estimate, without a search",
        choices=APPROACHES,
        default="auto",
    )
    guide: float = options.option(
        "weight of a pixel estimated by the context encoder, relative to a known one; 0 turns "
        "guidance off (`unguided auto`, as for a model without a context encoder)",
        type=options.non_negative_float,
        metavar="W",
        default=0.0,
    )
    mix: float = options.option(
        "frequency split of a guided search, as a fraction of the image width: coarser structure "
        "comes from the context encoder, finer detail from G(z); 0: all of it from G(z)",
        type=options.closed_fraction,
        metavar="SHARE",
        default=0.0,
    )
    lr: float | None = options.option("step size", type=options.positive_float, default=0.01)
    n_iter: int = options.option(
        "iterations; 100 for auto with --average 1; an iteration of 64 searches takes 0.1 s on 2 "
        "cores with bfloat16, or 0.2 s if --lam is not 0",
        "--nIter",
        type=options.positive_int,
        default=1000,
    )
    lam: float = options.option(
        "weight of the perceptual loss", type=options.non_negative_float, default=0.1
    )
    distance: str = options.option(
        "contextual loss: l1, absolute differences, or l2, squared ones",
        choices=DISTANCES,
        default="l1",
    )
    weighted: float = options.option(
        "strength of importance weighting, 0 to 1: how much more known pixels near the hole "
        "count; 0: all count alike",
        type=options.closed_fraction,
        default=0.0,
    )
    beta1: float = options.option(
        "Adam's beta1: decay rate of the mean gradient", type=options.decay_rate, default=0.9
    )
    beta2: float = options.option(
        "Adam's beta2: decay rate of the mean squared gradient",
        type=options.decay_rate,
        default=0.999,
    )
    eps: float = options.option("Adam's epsilon", type=options.positive_float, default=1e-8)
    decay: float = options.option(
        "decoupled weight decay of Adam, on z", type=options.non_negative_float, default=0.0
    )
    momentum: float = options.option("pgd: Nesterov momentum", type=options.decay_rate, default=0.9)
    hmc_beta: float = options.option(
        "hmc: inverse temperature", "--hmcBeta", type=options.positive_float, default=0.2
    )
    hmc_eps: float = options.option(
        "hmc: size of a leapfrog step", "--hmcEps", type=options.positive_float, default=0.001
    )
    hmc_l: int = options.option(
        "hmc: leapfrog steps per iteration", "--hmcL", type=options.picture_count, default=100
    )
    hmc_anneal: float = options.option(
        "hmc: factor by which beta is multiplied after each iteration",
        "--hmcAnneal",
        type=options.positive_float,
        default=1.0,
    )
    average: int = options.option(
        "average the results of K searches from different starts: higher PSNR, but blurrier; 1 "
        "with --samples",
        type=options.positive_int,
        metavar="K",
        default=1,
    )
    blend: str = options.option(
        "none: copy the generated pixels into the hole; poisson: match their gradients; smooth: "
        "match gradients and curvature, which also hides changes of slope at the hole boundary",
        choices=BLENDS,
        default="none",
    )
    # Generated images among which z starts at the nearest, by the known pixels; 0: anywhere.
    pool: int = 0

    @classmethod
    def of(
        cls, approach: str = "auto", samples: int = 1, guided: bool = False, **overrides: Any
    ) -> SearchSettings:
        """Make an approach's settings, changed by the overrides.

        Args:
          approach: of APPROACHES.
          samples: completions of each image. Several are meant to differ, so that each is of one
            search unless `average` is overridden.
          guided: whether there is a context encoder, and something for it to estimate.
          overrides: values of fields; None keeps the approach's own.

        Raises:
          UserError: an override belongs to another approach, or there can be one sample only.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        for name in given:
            options.check_belongs(name, "approach", approach, OF_APPROACHES)
        if samples > 1 and approach not in SEARCHES:
            raise UserError(
                f"--samples {samples}: --approach {approach} makes one completion of an image; "
                "leave one of them out"
            )
        if samples > 1:
            given.setdefault("average", 1)
        if given.get("mix") and given.get("guide") == 0:
            raise UserError(
                "--mix needs the estimate that --guide 0 turns off; leave one of them out"
            )
        own = DEFAULTS[approach]
        if approach == "auto" and guided and given.get("guide") != 0:
            own = own | GUIDED | (GUIDED_SAMPLES if samples > 1 else {})
        elif approach == "auto" and given.get("average") == 1:
            own = own | AUTO_SINGLE
        values: dict[str, Any] = {"approach": approach} | own | given
        return cls(**values)

    def options(self) -> dict[str, Any]:
        """Give the values of the options for config.json; None for those of other approaches."""
        return options.options_of(self, "approach", OF_APPROACHES)

    @staticmethod
    def default_text(field: dataclasses.Field[Any]) -> str:
        """Say in the help what a field's default is: one for all approaches, or by approach."""
        if field.name == "approach":
            return f"default: {field.default}"
        of = OF_APPROACHES.get(field.name, APPROACHES)
        settings = {approach: DEFAULTS[approach] for approach in of}
        unguided = DEFAULTS["auto"]
        own = unguided.get(field.name, field.default)
        if "auto" in of and GUIDED.get(field.name, own) != own:
            del settings["auto"]
            settings = {"auto": unguided | GUIDED, "unguided auto": unguided} | settings
        approaches: dict[str, list[str]] = {}
        for name, own in settings.items():
            value = own.get(field.name, field.default)
            text = f"{value:g}" if isinstance(value, float) else str(value)
            approaches.setdefault(text, []).append(name)
        if len(approaches) == 1:
            return f"default: {next(iter(approaches))}"
        texts = (f"{', '.join(names)}: {text}" for text, names in approaches.items())
        return f"default: {'; '.join(texts)}"
