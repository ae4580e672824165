#!/usr/bin/env python3
"""Plot the distributions of the tutorial's first step."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("distributions")
