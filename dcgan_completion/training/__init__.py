"""Training: data, augmentation, trainers, checkpoints, logs."""
