"""Learn what faces look like and fill in the missing parts of a face photo.

Example:
  >>> from dcgan_completion import Inpainter
  >>> inpainter = Inpainter.from_pretrained()  # the model that ships; or a checkpoint folder
  >>> inpainter.image_size
  64

TensorFlow is loaded by the first call, not by the import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dcgan_completion import version

if TYPE_CHECKING:
    from dcgan_completion.faces.aligner import align
    from dcgan_completion.inpaint.inpainter import Inpainter, Inpainting
    from dcgan_completion.latent.generator import Generator
    from dcgan_completion.masks.mask import Mask
    from dcgan_completion.photos.photo_inpainter import PhotoInpainter, RepairedPhoto
    from dcgan_completion.utils import UserError

__version__ = version.VERSION
__all__ = [
    "Generator",
    "Inpainter",
    "Inpainting",
    "Mask",
    "PhotoInpainter",
    "RepairedPhoto",
    "UserError",
    "align",
]
_MODULES = {
    "Generator": "latent.generator",
    "Inpainter": "inpaint.inpainter",
    "Inpainting": "inpaint.inpainter",
    "Mask": "masks.mask",
    "PhotoInpainter": "photos.photo_inpainter",
    "RepairedPhoto": "photos.photo_inpainter",
    "UserError": "utils",
    "align": "faces.aligner",
}


def __getattr__(name: str) -> Any:
    """Import what is public when it is first asked for, so that the import alone is fast."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
