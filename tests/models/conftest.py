"""The small store, its split and a quick configuration, for the tests of this folder."""

from fixtures.training_store import config, run, single_thread, split, store

__all__ = ["config", "run", "single_thread", "split", "store"]
