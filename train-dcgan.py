#!/usr/bin/env python3
"""Train a DCGAN on a folder of images, such as aligned faces."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("train")
