"""One file for each published format."""
