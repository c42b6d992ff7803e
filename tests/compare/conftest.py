"""A table of predictions, and baselines that only count, for the tests of this folder."""

from fixtures.prediction_table import counting_rules_only, make_table

__all__ = ["counting_rules_only", "make_table"]
