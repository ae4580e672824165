#!/usr/bin/env python3
"""Export a trained model for use elsewhere."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("export")
