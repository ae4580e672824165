"""The latent space: samples, walks, arithmetic, inversion, neighbours; `Generator`."""
