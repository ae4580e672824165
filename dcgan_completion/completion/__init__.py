"""Completion of aligned images by command: inputs, settings, the run, its output folder."""
