"""Two public-domain portraits, in the packages that carry them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dcgan_completion import utils


def _hopper() -> np.ndarray:
    """US Navy, sample data of matplotlib."""
    import matplotlib.cbook

    return utils.load_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


def _collins() -> np.ndarray:
    """NASA, of scikit-image."""
    import skimage.data

    return skimage.data.astronaut()


# Name of a file -> what gives its pixels, uint8 [H, W, 3].
PORTRAITS: dict[str, Callable[[], np.ndarray]] = {
    "grace_hopper.png": _hopper,
    "eileen_collins.png": _collins,
}
