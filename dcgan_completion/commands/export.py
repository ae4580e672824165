"""Export a trained model to a new folder, for use elsewhere.

A SavedModel needs TensorFlow, but not this toolkit; TFLite files need LiteRT, ONNX files an ONNX
runtime. All networks take any batch size. The folder is created once the exported networks have
been checked against the originals: for that, TFLite needs the package ai-edge-litert, and ONNX
needs tf2onnx, onnx and onnxruntime. A checkpoint holds the EMA generator, the discriminator,
config.json and SHA256SUMS, which are verified on loading, and the model's encoders in float16. To
export an encoder alone, pass its folder or one of its checkpoints as --checkpoint-dir. See
docs/use-elsewhere.md for examples.

examples:
  ./export.py --format savedmodel faces
  ./export.py --format checkpoint --checkpoint-dir checkpoint/ckpt-12000 my-model
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence

from dcgan_completion import cli
from dcgan_completion.settings import options
from dcgan_completion.settings.completion import CompletionSettings
from dcgan_completion.settings.export import ExportSettings

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Build the command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("out", metavar="OUT", help="folder to create")
    options.add_options(parser, ExportSettings, CompletionSettings.default_text)
    return parser


def export_checkpoint(path: str, out: str) -> None:
    """Export a checkpoint for this toolkit; log what was written."""
    from dcgan_completion import checkpoints
    from dcgan_completion.training import checkpointing

    written = [(checkpointing.export_model(path, out), out)]
    if encoder := checkpoints.encoder_folder(out):
        written.append((encoder, encoder))
    for name, folder in written:
        size = sum(e.stat().st_size for e in os.scandir(folder) if e.is_file())
        logger.info(f"{name}: {size / 1e6:.1f} MB")


def main(argv: Sequence[str] | None = None) -> None:
    """Export the model."""
    args = build_parser().parse_args(argv)
    settings = ExportSettings(args.out, **options.given_options(args, ExportSettings))
    settings.check()
    cli.prepare_tensorflow()
    from dcgan_completion import checkpoints

    checkpoint_dir = checkpoints.select_model(settings.checkpoint_dir)
    if settings.format == "checkpoint":
        export_checkpoint(checkpoint_dir, settings.out)
    else:
        from dcgan_completion.export import run

        run.export(settings.format, checkpoint_dir, settings.out)
