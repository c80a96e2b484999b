"""Network blocks that families share."""
