"""Evaluation: metrics, baselines, benchmarks and their tables."""
