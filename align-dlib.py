#!/usr/bin/env python3
"""Find the largest face in every photo of a folder and align it."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("align")
