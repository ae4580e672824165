"""Metrics: of images, of face embeddings, baselines, the benchmark, generator scores, tables."""
