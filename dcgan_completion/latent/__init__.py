"""The latent space: walks, arithmetic, inversion, neighbours, samples."""
