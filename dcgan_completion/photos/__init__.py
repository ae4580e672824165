"""Photos of any size: read, repaired in place, written."""
