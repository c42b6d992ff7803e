"""Integrity checks of tables, stores and predictions, each with a ``CheckResult``."""
