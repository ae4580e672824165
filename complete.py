#!/usr/bin/env python3
"""Fill in the missing parts of aligned face images with a trained DCGAN."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("complete")
