"""The local web server and its page."""
