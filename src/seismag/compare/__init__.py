"""Comparison of models in identical folds."""
