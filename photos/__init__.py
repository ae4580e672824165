"""Photos of any size and kind: read with all that is kept, completed in place, written."""
