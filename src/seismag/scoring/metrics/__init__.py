"""Scores as functions of arrays, and the bootstrap by cluster for their intervals.

Every score is a function of sums over rows: rows are summed by cluster once, and a bootstrap replicate is a weighted
sum of clusters.
"""

from seismag.scoring.metrics.bootstrap import bootstrap_sums, percentile_interval
from seismag.scoring.metrics.confusion import (
    accuracy,
    balanced_accuracy,
    cluster_confusion,
    confusion_matrix,
    macro_f1,
    mcc,
    per_class,
)
from seismag.scoring.metrics.direction import angular_difference_deg, mean_resultant
from seismag.scoring.metrics.multiple import holm
from seismag.scoring.metrics.probability import LOG_SCORE_FLOOR, row_brier_scores, row_log_scores, row_rps
from seismag.scoring.metrics.ranking import auc_of_sums, cluster_concordance
from seismag.scoring.metrics.reliability import (
    brier_decomposition,
    cluster_bin_sums,
    equal_mass_bins,
    expected_calibration_error,
)

__all__ = [
    "LOG_SCORE_FLOOR", "accuracy", "angular_difference_deg", "auc_of_sums",
    "balanced_accuracy", "bootstrap_sums", "brier_decomposition", "cluster_bin_sums", "cluster_concordance",
    "cluster_confusion", "confusion_matrix", "equal_mass_bins", "expected_calibration_error", "holm",
    "macro_f1", "mcc", "mean_resultant", "per_class", "percentile_interval", "row_brier_scores",
    "row_log_scores", "row_rps",
]  # fmt: skip
