"""Inpainting: context encoder's estimate, latent search, candidates, blending."""
