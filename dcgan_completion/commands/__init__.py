"""Command lines: a parser and a `main` for each script."""
