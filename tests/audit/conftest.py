"""Baselines that only count, for the tests of this folder."""

from fixtures.prediction_table import counting_rules_only

__all__ = ["counting_rules_only"]
