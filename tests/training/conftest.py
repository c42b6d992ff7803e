"""The small store, its split and a quick configuration, for the tests of this folder."""

from fixtures.prediction_table import counting_rules_only
from fixtures.training_store import config, run, single_thread, split, store

__all__ = ["config", "counting_rules_only", "run", "single_thread", "split", "store"]
