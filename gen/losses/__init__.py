"""Losses of more than one family: pure functions of tensors."""
