#!/usr/bin/env python3
"""Serve a local page on which photos are painted over and repaired."""

from dcgan_completion import launch

if __name__ == "__main__":
    launch.run("serve")
