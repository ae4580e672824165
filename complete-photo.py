#!/usr/bin/env python3
"""Repair photos: fill in what is missing of the faces in them."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("complete_photo")
