"""Finished models measured: how samples are drawn, what they are held against, and what real data would have."""
