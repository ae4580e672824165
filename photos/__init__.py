"""Photos: read with all that must be kept, faces found, placed there and back, grain."""
