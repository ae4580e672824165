#!/usr/bin/env python3
"""Look inside a trained model: samples, walks, arithmetic, inversion, neighbours."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("sample")
