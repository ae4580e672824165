"""Plot the distributions of the tutorial's first step, each as PNG and as PDF.

Files written: normal-pdf: the density of a normal distribution, with samples below; normal-samples:
the samples alone; normal-2d: a two-dimensional normal distribution, with samples;
normal-2d-completion: its most probable y, given x = 1; loss-along-z: the same idea with images, the
completion loss of a face along a line through the latent space of a trained model. Existing plots
are overwritten.

examples:
  ./simple-distributions.py
  ./simple-distributions.py --out figures --checkpoint-dir data/pretrained
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcgan_completion import cli, utils
from dcgan_completion.latent import distributions
from dcgan_completion.settings import options
from dcgan_completion.settings.completion import CompletionSettings

if TYPE_CHECKING:
    import numpy as np

    from dcgan_completion.latent.loss_line import LossLine

SEED = 0
logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Build the command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--out", metavar="DIR", default=".", help="folder for the plots")
    settings = CompletionSettings
    options.add_options(parser, settings, settings.default_text, ["checkpoint_dir"])
    return parser


def measure_line(asked: str | None, rng: np.random.Generator) -> LossLine | None:
    """Measure the loss along a line through the latent space; None if there is no model.

    Args:
      asked: folder of the model, or one of its checkpoints; None: `checkpoints.select_model`.
      rng: draws the line.

    Raises:
      UserError: a model was asked for, and cannot be loaded.
    """
    cli.prepare_tensorflow()
    from dcgan_completion import checkpoints
    from dcgan_completion.latent import loss_line

    path = checkpoints.select_model(asked)
    if asked is None and not checkpoints.holds_checkpoint(path):
        logger.warning(
            f"there is no model in ./{path}: skipped loss-along-z; name one with --checkpoint-dir"
        )
        return None
    model, _ = checkpoints.load_model(path)
    return loss_line.measure(model, rng)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the plots."""
    args = build_parser().parse_args(argv)
    utils.check_writable(args.out, "--out")
    import numpy as np

    line = measure_line(args.checkpoint_dir, np.random.default_rng(SEED))
    rng = np.random.default_rng(SEED)
    samples = rng.standard_normal(distributions.SAMPLES)
    mean, covariance = distributions.MEAN_2D, distributions.COVARIANCE_2D
    pairs = rng.multivariate_normal(mean, covariance, distributions.SAMPLES_2D)
    plots = {
        "normal-pdf": distributions.plot_pdf(samples),
        "normal-samples": distributions.plot_samples(samples),
        "normal-2d": distributions.plot_2d(pairs),
        "normal-2d-completion": distributions.plot_completion(),
    }
    if line is not None:
        plots["loss-along-z"] = distributions.plot_loss_line(line)
    os.makedirs(args.out, exist_ok=True)
    for name, plot in plots.items():
        for path in distributions.save(plot, args.out, name):
            print(path)
