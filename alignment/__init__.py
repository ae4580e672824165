"""Alignment: the faces of a folder of photos, and the report of what became of each photo."""
