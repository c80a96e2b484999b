"""Hyperparameter search through Ray Tune."""
