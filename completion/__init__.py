"""Completion: what is missing, the search for z, how a hole is filled, and what a run writes."""
