"""The version of the toolkit."""

VERSION = "1.0.0"
