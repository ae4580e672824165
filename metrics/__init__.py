"""Metrics: how good completions and generators are, beside the simplest methods."""
