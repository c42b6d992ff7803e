"""Splits: which windows train, validate and test in each fold, and the report that proves it.

- ``loeo``: earthquake clusters (event windows) and 27-day blocks of time across all stations (Normal windows) are
  assigned to folds. ``loso``: stations. ``region``: groups of stations. ``blocked``: contiguous blocks of time.
- In each fold, training and validation exclude every window that contains an eligible event of a held-out cluster,
  and every window of the same station so close that window and horizon overlap; with ``blocked`` also those within
  the embargo. Such windows are "purged" (López de Prado, 2018, Advances in Financial Machine Learning,
  chapter 7).
- ``naive``: what earlier systems did, for comparison only.
- The last part of the time can be locked as a hold-out set that no fold reads (``split.sealed_fraction``).
"""

from seismag.splits.assign import assign_split
from seismag.splits.report import NAIVE_WARNING, SplitReport, report_split
from seismag.splits.stored import load_or_assign_split, require_usable_folds

__all__ = [
    "NAIVE_WARNING",
    "SplitReport",
    "assign_split",
    "load_or_assign_split",
    "report_split",
    "require_usable_folds",
]  # fmt: skip
