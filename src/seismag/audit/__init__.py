"""Integrity checks of tables, stores and predictions: what explains a score apart from an effect of earthquakes."""
