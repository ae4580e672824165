"""Masks: what is missing, drawn or read from files; 1 is the hole."""
