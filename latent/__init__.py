"""The latent space: walks, arithmetic, inversion, neighbours, plots; export for use elsewhere."""
