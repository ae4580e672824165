"""Training: what the networks see, the steps they take, and what a run leaves on disk."""
