"""Learn what faces look like and fill in the missing parts of a face photo."""

from dcgan_completion import version

__version__ = version.VERSION
