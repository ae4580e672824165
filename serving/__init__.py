"""The page of serve.py: its server, the photos that it holds in memory, its queue and worker."""
