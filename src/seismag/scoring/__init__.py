"""Scores of tables of predictions, of any source; imports no model and no torch."""
