"""The latent space: samples, walks, arithmetic, inversion, neighbours; networks exported."""
