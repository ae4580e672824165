"""Write a trained model to a new folder, in a format for use elsewhere.

A SavedModel needs TensorFlow and none of our code; TFLite needs LiteRT, ONNX a runtime of ONNX.
All take any number of images at a time, and are compared with our networks before the folder
appears. TFLite needs the package ai-edge-litert for that, ONNX tf2onnx, onnx and onnxruntime. A
checkpoint is for these scripts: the averaged generator, the discriminator, config.json and
SHA256SUMS, which loading checks by; and the same of the context encoder, if there is one in the
model's folder, in 16 bits a weight. The folder of a context encoder, or one of its checkpoints, is
exported alone. docs/use-elsewhere.md has examples.

examples:
  ./export.py --format savedmodel faces
  ./export.py --format checkpoint --checkpoint-dir checkpoint/ckpt-12000 my-model
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from dcgan_completion import cli
from dcgan_completion.settings import options
from dcgan_completion.settings.export import ExportSettings


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("out", metavar="OUT", help="folder to make")
    options.add_options(parser, ExportSettings, ExportSettings.default_text)
    return parser


def size_text(folder: str) -> str:
    """The size of a folder's files, without those of folders in it."""
    return f"{sum(e.stat().st_size for e in os.scandir(folder) if e.is_file()) / 1e6:.1f} MB"


def export_checkpoint(path: str, out: str) -> None:
    """Exports for these scripts, and says what is where."""
    from dcgan_completion import checkpoints
    from dcgan_completion.training import checkpointing

    print(f"{checkpointing.export_model(path, out)}: {size_text(out)}")
    if encoder := checkpoints.encoder_folder(out):
        print(f"{encoder}: {size_text(encoder)}")


def main(argv: Sequence[str] | None = None) -> None:
    """Exports the model."""
    args = build_parser().parse_args(argv)
    settings = ExportSettings(args.out, **options.given_options(args, ExportSettings))
    settings.check()
    cli.prepare_tensorflow()
    from dcgan_completion import checkpoints

    checkpoint_dir, note = checkpoints.select_model(settings.checkpoint_dir)
    if note:
        print(note)
    if settings.format == "checkpoint":
        export_checkpoint(checkpoint_dir, settings.out)
        return
    from dcgan_completion.export import run as export_run

    for line in export_run.export(settings.format, checkpoint_dir, settings.out):
        print(os.path.join(settings.out, line))
