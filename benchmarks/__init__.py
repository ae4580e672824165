"""Measurements, each run as `python -m benchmarks.NAME` in the folder of a checkout."""
