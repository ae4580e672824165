"""Training: settings, dataset, augmentation, the trainer, checkpoints, logs, a run."""
