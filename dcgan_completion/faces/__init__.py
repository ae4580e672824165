"""Faces in photos: detection, landmarks, alignment, pasting back."""
