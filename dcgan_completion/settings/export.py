"""The settings of an export: which model, in which format, where to, and what it needs."""

from __future__ import annotations

import dataclasses
import importlib.util
import os

from dcgan_completion import utils
from dcgan_completion.settings import options
from dcgan_completion.settings.completion import CompletionSettings
from dcgan_completion.utils import UserError

FORMATS = ("savedmodel", "tflite", "onnx", "checkpoint")
EXTRAS = {  # modules that a format needs besides the toolkit's own, and their packages
    "tflite": {"ai_edge_litert": "ai-edge-litert"},
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime", "tf2onnx": "tf2onnx"},
}


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """What is exported, and how.

    Attributes:
      out: the folder to make.
      format: of FORMATS.
      checkpoint_dir: of the model; None: `checkpoints.select_model` takes one.
    """

    out: str
    format: str = options.option(
        "savedmodel: for TensorFlow alone, generator, discriminator, completion loss, context "
        "encoder; tflite: for LiteRT (32 and 16 bits), generator and context encoder; onnx: for "
        "ONNX runtimes, generator, discriminator, context encoder; checkpoint: for these scripts, "
        "what is left of a training's",
        choices=FORMATS,
        default="savedmodel",
    )
    checkpoint_dir: str | None = options.same_option(CompletionSettings, "checkpoint_dir")

    @staticmethod
    def default_text(field: dataclasses.Field[object]) -> str:
        """What the help says of a field's default."""
        return CompletionSettings.default_text(field)

    def check(self) -> None:
        """Raises UserError if `out` exists or cannot be written, or a package is not installed."""
        if os.path.lexists(self.out):
            raise UserError(f"{self.out}: exists; name another folder")
        utils.check_writable(self.out, "out")
        utils.check_name(self.out, "TensorFlow")
        packages = EXTRAS.get(self.format, {})
        missing = [p for module, p in packages.items() if importlib.util.find_spec(module) is None]
        if missing:
            raise UserError(
                f"--format {self.format}: needs {', '.join(missing)}; "
                f"pip install {' '.join(packages.values())} "
                "(a checkout's requirements-extras.txt names them, too)"
            )
