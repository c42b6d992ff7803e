"""Scores of tables of predictions, whoever made them; knows no model and imports no torch."""
