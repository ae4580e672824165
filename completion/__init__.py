"""Completion: settings, masks, latent search, blending, the completer, a run, its folder."""
