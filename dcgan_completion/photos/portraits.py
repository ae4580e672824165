"""Two public-domain portraits, in the packages that carry them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dcgan_completion import utils


def grace_hopper() -> np.ndarray:
    """Load Grace Hopper's portrait (US Navy, sample data of matplotlib), uint8 [H, W, 3]."""
    import matplotlib.cbook

    return utils.load_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


def eileen_collins() -> np.ndarray:
    """Load Eileen Collins' portrait (NASA, of scikit-image), uint8 [512, 512, 3]."""
    import skimage.data

    return skimage.data.astronaut()


# Name of a file -> what gives its pixels, uint8 [H, W, 3].
PORTRAITS: dict[str, Callable[[], np.ndarray]] = {
    "grace_hopper.png": grace_hopper,
    "eileen_collins.png": eileen_collins,
}
