#!/usr/bin/env python3
"""Train a context encoder, which estimates the missing part of an image at once."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("train_context_encoder")
