"""Stand-in: in a checkout ../utils.py is this module; a wheel has that file here."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from utils import *  # noqa: F403
else:
    from dcgan_completion import _checkout

    _checkout.load(__name__)
