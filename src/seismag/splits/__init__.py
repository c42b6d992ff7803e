"""Who trains, who validates, who tests: grouped by cause, purged at fold time, with a certificate.

- ``loeo``: earthquake clusters (event windows) and 27-day blocks of time across all stations (Normal windows) are
  dealt into folds. ``loso``: stations. ``region``: groups of stations. ``blocked``: contiguous blocks of time.
- For each fold, training and validation lose every window that holds an eligible event of a held-out cluster, and
  every window of the same station so close that window and horizon overlap; by ``blocked`` also those within the
  embargo.
- ``naive``: what earlier systems did, for comparison only.
- The last share of the time can be sealed: no fold reads it.
"""

from seismag.splits.assign import assign_split
from seismag.splits.folds import regions_of_stations
from seismag.splits.report import CLAIMS, GROUP_RULE, NAIVE_WARNING, ROLES, report_split
from seismag.splits.stored import load_or_assign_split, require_usable_folds

__all__ = [
    "CLAIMS",
    "GROUP_RULE",
    "NAIVE_WARNING",
    "ROLES",
    "assign_split",
    "load_or_assign_split",
    "regions_of_stations",
    "report_split",
    "require_usable_folds",
]  # fmt: skip
