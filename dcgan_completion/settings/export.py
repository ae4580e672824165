"""The settings of an export. Importing this needs no TensorFlow."""

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
    """What is exported, and how."""

    out: str  # the folder to make
    format: str = options.option(
        "savedmodel: for TensorFlow without this toolkit: generator, discriminator, completion "
        "loss, encoders; tflite: for LiteRT, in float32 and in float16: generator, encoders; onnx: "
        "for ONNX runtimes: generator, discriminator, encoders; checkpoint: for this toolkit, "
        "without optimizer state and other data that only training needs",
        choices=FORMATS,
        default="savedmodel",
    )
    checkpoint_dir: str | None = options.same_option(CompletionSettings, "checkpoint_dir")

    def check(self) -> None:
        """Raise UserError if `out` exists or cannot be written, or a package is not installed."""
        if os.path.lexists(self.out):
            raise UserError(f"{self.out}: exists; choose another folder")
        utils.check_writable(self.out, "out")
        utils.check_name(self.out, "TensorFlow")
        packages = EXTRAS.get(self.format, {})
        missing = [p for module, p in packages.items() if importlib.util.find_spec(module) is None]
        if missing:
            raise UserError(
                f"--format {self.format}: needs {', '.join(missing)}; "
                f"pip install {' '.join(packages.values())} "
                "(in a checkout: pip install -r requirements-extras.txt)"
            )
