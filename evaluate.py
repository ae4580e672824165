#!/usr/bin/env python3
"""Evaluate completions, repaired photos or a generator on a folder of images."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("evaluate")
