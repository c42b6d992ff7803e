"""The calibration error by chance, and coverages of conformal sets.

    python benchmarks/coverage_calibration.py --studies 400

Simulated are clusters of 8 windows; a design names their number, the prevalence, and the correlation c of the outcomes
of a cluster (a Gaussian copula; 1: one probability and one outcome a cluster). The normal quantile of the forecast is
shifted by 0.5 or doubled. Set coverage: the interval of the coverage of a class, with the true coverage and c, and
clusters of 4 to 12 windows. Conformal sets: validation and test clusters in random order; 15 % of the clusters are
events, whose forecasts are worse.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
from coverage_row import Row, format_rows
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from seismag.config import EvaluateConfig
from seismag.scoring.clusters import Clusters, find_clusters
from seismag.scoring.conformal import conformal_sets, conformal_threshold, score_sets
from seismag.scoring.predictions import probability_columns
from seismag.scoring.proportions import proportion_interval
from seismag.scoring.reliability import Reliability, score_reliability
from seismag.text import format_table

EACH = 8
CLUSTERS = (12, 40, 100)
SPREAD = 0.7  # of the normal quantile of the probability, between clusters
CONFIG = EvaluateConfig(confidence=0.95, coverage=0.9)
Floats = NDArray[np.float64]
Table = tuple[Floats, NDArray[np.bool_], Clusters]


def correlated(n: int, correlation: float, rng: np.random.Generator) -> Floats:
    """Standard normal values of 8 windows of n clusters, flat."""
    own, common = rng.standard_normal((n, EACH)), rng.standard_normal((n, 1))
    return (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own).ravel()


def copula(n: int, prevalence: float, correlation: float, rng: np.random.Generator) -> Table:
    """Probabilities that vary between and (below correlation 1) within clusters; outcomes that happen with them."""
    within = 0.0 if correlation == 1 else 0.4
    level = ndtri(prevalence) * np.sqrt(1 + SPREAD**2 + within**2)
    quantile = level + np.repeat(SPREAD * rng.standard_normal(n), EACH) + within * rng.standard_normal(n * EACH)
    return with_clusters(ndtr(quantile), correlated(n, correlation, rng) < quantile)


def with_clusters(p: Floats, happened: NDArray[np.bool_]) -> Table:
    """Add the clusters of 8."""
    index = np.repeat(np.arange(len(p) // EACH), EACH)
    return p, happened, Clusters(index, np.bincount(index, happened) > 0)


def reliability_of(table: Table) -> Reliability:
    """Reliability as in detection."""
    return score_reliability("detection", *table, CONFIG)


def rows(studies: int, seed: int) -> list[Row]:
    """Coverage of the interval of a proportion by cluster, the one of conformal coverage; clusters of 4 to 12."""
    rng, found = np.random.default_rng(seed), []
    for n in (10, 12, 20, 40, 100):
        for proportion in (0.8, 0.9):
            for correlation in (0.2, 0.6):
                hits = 0
                for _ in range(studies):
                    sizes = rng.integers(4, 13, n)
                    common = np.sqrt(correlation) * rng.standard_normal((n, 1))
                    latent = common + np.sqrt(1 - correlation) * rng.standard_normal((n, 12))
                    covered = ((latent < ndtri(proportion)) & (np.arange(12) < sizes[:, None])).sum(axis=1)
                    low, high = proportion_interval(covered.astype(float), sizes.astype(float), CONFIG.confidence)
                    hits += low <= proportion <= high
                design = f"{n}, {proportion:g}, c {correlation:g}"
                found.append(Row("set coverage", design, "coverage", hits, studies))
    return found


def class_table(n: int, rng: np.random.Generator, events: float = 0.15) -> pd.DataFrame:
    """n clusters, a fraction of which are events; the forecast of an event is worse than that of a Normal window."""
    event = np.repeat(rng.random(n) < events, EACH)
    p = expit(correlated(n, 0.5, rng) * np.sqrt(2) + np.where(event, 0.5, -2.5))
    table = pd.DataFrame(
        {
            "fold": 1, "split_group": np.repeat(np.arange(n), EACH), "start_utc": np.datetime64("2021-01-01", "ns"),
            "y_magnitude": np.where(event, "Medium", "Normal"), "y_azimuth": np.where(event, "N", "Normal"),
        }
    )  # fmt: skip
    table[probability_columns("magnitude")] = np.column_stack([1 - p, 0 * p, p, 0 * p])
    return table


def conformal_table(studies: int, rng: np.random.Generator) -> str:
    """Mean coverage of 90 % sets by true class: one threshold for all windows, and one a class."""
    cells = []
    for n in (40, 100, 400):
        covered: dict[tuple[str, str], list[float]] = {}
        always = 0
        for _ in range(studies):
            rows, validation = class_table(n, rng), class_table(n, rng)
            scores, _ = score_sets("detection", rows, validation, find_clusters(rows), CONFIG)
            sets = conformal_sets("detection", rows, validation, CONFIG.coverage)
            event = (rows["y_magnitude"] == "Medium").to_numpy()
            always += "Event" in scores.always_contained
            given = [true_probability(table) for table in (validation, rows)]
            marginal = 1 - given[1] <= conformal_threshold(1 - given[0], np.arange(len(validation)), CONFIG.coverage)
            for k, (name, of_class) in enumerate((("Normal", ~event), ("Event", event))):
                if of_class.any():
                    covered.setdefault((name, "all"), []).append(float(marginal[of_class].mean()))
                    covered.setdefault((name, "class"), []).append(float(sets.contains[of_class, k].mean()))
        means = [f"{np.mean(covered[key]):.3f}" for key in (("Normal", "all"), ("Event", "all"), ("Normal", "class"),
                                                            ("Event", "class"))]  # fmt: skip
        cells.append([f"{n} + {n}", *means, f"{always / studies:.2f}"])
    header = ["clusters", "all: Normal", "Event", "by class: Normal", "Event", "Event in all sets"]
    return format_table(header, cells)


def true_probability(table: pd.DataFrame) -> Floats:
    """Detection's probability of the true class."""
    normal = table["p_magnitude_Normal"].to_numpy()
    return np.where(table["y_magnitude"] == "Normal", normal, 1 - normal)


def error_table(studies: int, rng: np.random.Generator) -> str:
    """Mean calibration error: estimated, by chance, corrected, and true."""
    cells = []
    for n in CLUSTERS:
        for name, factor, shift in (("calibrated", 1.0, 0.0), ("shifted by 0.5", 1.0, 0.5), ("doubled", 2.0, 0.0)):
            values = []
            for _ in range(studies):
                p, happened, clusters = copula(n, 0.5, 1.0, rng)
                given = ndtr(factor * ndtri(p) + shift)
                ece = reliability_of((given, happened, clusters)).ece
                values.append((np.mean(np.abs(given - p)), ece.value, ece.by_chance, ece.corrected))
            means = np.mean(values, axis=0)
            cells.append([f"{n}, 0.5, c 1, {name}", *(f"{mean:.3f}" for mean in means)])
    return format_table(["forecast", "true error", "ECE", "by chance", "corrected"], cells)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=400, help="Simulated studies of each row.")
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args(arguments)
    rng = np.random.default_rng([parsed.seed, 1])
    few = max(1, parsed.studies // 2)
    print(conformal_table(few, rng), error_table(few, rng), sep="\n\n", end="\n\n")
    print(format_rows(rows(parsed.studies, parsed.seed)))


if __name__ == "__main__":
    main()
