"""Reliability of probabilities: observed frequencies, calibration error, and the parts of the Brier score."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray, ratio
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters
from seismag.scoring.estimates import FEW_CLUSTERS, IntervalEstimate

PARTS = (
    "reliability", "resolution", "uncertainty", "within_bin",
    "reliability_corrected", "resolution_corrected", "uncertainty_corrected",
)  # fmt: skip
HISTOGRAM_BINS = 20


@dataclass(frozen=True)
class ReliabilityBin:
    """Mean forecast probability and observed frequency of a bin; the latter without interval below 10 groups."""

    n: int
    n_groups: int
    mean_probability: float
    observed: IntervalEstimate


@dataclass(frozen=True)
class Reliability:
    """Reliability of one probability.

    Attributes:
        of: which probability.
        ece: expected calibration error. It is never negative and its replicates lie above it, so that its interval
            may not include its value.
        brier_parts: parts of the Brier score of detection; None for the other tasks.
        histogram: windows in 20 equal steps of the probability.
        bins: bins of equal mass.
    """

    of: str
    ece: IntervalEstimate
    brier_parts: dict[str, IntervalEstimate] | None
    histogram: list[int]
    bins: list[ReliabilityBin]

    def to_json(self) -> dict[str, object]:
        """The document, without ``brier_parts`` where there are none."""
        document = dataclasses.asdict(self)
        return {key: value for key, value in document.items() if value is not None}


def evaluated_probability(task: str, probs: FloatArray, truth: IndexArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The probability whose reliability is evaluated, and whether it came true, (n,) each.

    For detection that of an event, for the other tasks that of the likeliest class.
    """
    if task == "detection":
        return probs[:, 1], truth == 1
    return probs.max(axis=1), probs.argmax(axis=1) == truth


def score_reliability(
    task: str, p: FloatArray, happened: NDArray[np.bool_], clusters: Clusters, config: EvaluateConfig
) -> Reliability:
    """Compare forecast probabilities with observed frequencies in bins of equal mass."""
    index = m.equal_mass_bins(p, config.reliability_bins)
    sums = m.cluster_bin_sums(p, happened, index, clusters.index, clusters.n)
    replicates = clusters.bootstrap(sums, config.bootstrap, config.seed)
    whole = sums.sum(axis=0)
    known = clusters.smallest > 1
    ece, replicate_ece = m.expected_calibration_error(whole), m.expected_calibration_error(replicates)
    brier_parts = None
    if task == "detection":
        parts, replicate_parts = m.brier_decomposition(whole), m.brier_decomposition(replicates)
        brier_parts = {
            name: IntervalEstimate.of(parts[name], replicate_parts[name], known, config.confidence) for name in PARTS
        }
    bins = []
    for own, drawn in zip(np.moveaxis(sums, 1, 0), np.moveaxis(replicates, 1, 0), strict=True):
        n, sum_p, sum_y = own.sum(axis=0)[:3]
        n_groups = int(np.count_nonzero(own[:, 0]))
        frequency = ratio(drawn[:, 2], drawn[:, 0])
        observed = IntervalEstimate.of(sum_y / n, frequency, n_groups >= FEW_CLUSTERS, config.confidence)
        bins.append(ReliabilityBin(int(n), n_groups, float(sum_p / n), observed))
    return Reliability(
        of="the probability of an event" if task == "detection" else "the probability of the likeliest class",
        ece=IntervalEstimate.of(ece, replicate_ece, known, config.confidence),
        brier_parts=brier_parts,
        histogram=np.histogram(p, bins=HISTOGRAM_BINS, range=(0, 1))[0].tolist(),
        bins=bins,
    )
