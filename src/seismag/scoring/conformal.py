"""Conformal sets: classes that hold the truth with a stated probability, calibrated at the window's own station.

A set holds every class whose p-value among the station's validation windows is at least ``1 - coverage`` (Vovk,
Gammerman & Shafer, 2005, Algorithmic Learning in a Random World, chapter 4; Mondrian categories: the stations). The
coverage is promised where validation and test windows are exchangeable. Windows of one earthquake are alike and time
moves on, so it is measured here, not assumed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from crepes import ConformalClassifier
from crepes.extras import hinge
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import norm

from seismag.arrays import FloatArray, IndexArray, ratio
from seismag.config import EvaluateConfig
from seismag.scoring import metrics as m
from seismag.scoring.clusters import Clusters
from seismag.scoring.estimates import FEW_CLUSTERS, number
from seismag.scoring.predictions import TASK_CLASSES, task_probabilities, truth_index

MIN_TIME_OVERLAP = 0.5  # of the test windows, inside the period of the validation windows


def conformal_threshold(scores: FloatArray, coverage: float) -> float:
    """Find the largest nonconformity score that still belongs to the set.

    The p-values are those of ``crepes``, unsmoothed: (number of scores at least as large + 1) / (n + 1). They fall with
    the score, so that a threshold says the same as a p-value for each window and class, in a single comparison.

    Args:
        scores: (n,) nonconformity of the calibration windows.
        coverage: probability with which the set is to hold the truth.

    Returns:
        The threshold; infinity where up to ``coverage / (1 - coverage)`` windows exclude nothing.
    """
    n = len(scores)
    if not n:
        return float("inf")
    ordered = np.sort(scores)
    place = int(np.floor(coverage * (n + 1)))  # n - place + 1 scores at or above make a p-value of 1 - coverage
    near = np.append(ordered[max(0, place - 2) : place + 2], np.inf)
    kept = ConformalClassifier().fit(scores).predict_p(near[:, None], smoothing=False)[:, 0] >= 1 - coverage - 1e-12
    return float(near[kept].max())


def conformal_sets(
    task: str, rows: pd.DataFrame, validation: pd.DataFrame, coverage: float
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Say which classes belong to the set of each judged row, fold by fold and station by station.

    Returns:
        (n, k), and (n,) number of calibration windows behind the row.
    """
    sets = np.ones((len(rows), len(TASK_CLASSES[task])), dtype=bool)
    behind = np.zeros(len(rows), dtype=np.intp)
    truth = truth_index(validation["y_magnitude"], validation["y_azimuth"], task)
    scores = 1 - task_probabilities(validation, task)[np.arange(len(validation)), truth]
    keys = ["fold", "station"]
    calibration = validation.groupby(keys, observed=True).indices
    for key, places in rows.groupby(keys, observed=True).indices.items():
        beside = scores[calibration.get(key, np.empty(0, dtype=np.intp))]
        sets[places] = hinge(task_probabilities(rows, task, places)) <= conformal_threshold(beside, coverage)
        behind[places] = len(beside)
    return sets, behind


def score_sets(
    task: str, rows: pd.DataFrame, validation: pd.DataFrame, clusters: Clusters, config: EvaluateConfig
) -> dict[str, Any]:
    """Measure coverage and size of the sets, over all and by station."""
    sets, behind = conformal_sets(task, rows, validation, config.coverage)
    truth = truth_index(rows["y_magnitude"], rows["y_azimuth"], task)
    covered, size = sets[np.arange(len(sets)), truth], sets.sum(axis=1)
    result = {"coverage_aimed": config.coverage, "n": len(rows), "n_classes": sets.shape[1]}
    result |= _measure(covered, size, clusters, config)
    result |= {"share_empty": float((size == 0).mean()), "share_whole": float((size == sets.shape[1]).mean())}
    groups = validation.groupby("station", observed=True)["split_group"].nunique()
    windows = validation["station"].value_counts()
    least = config.coverage / (1 - config.coverage)
    result["by_station"] = []
    for station, measured in _by_station(rows, covered, size, clusters, config).items():
        places = measured.pop("places")
        n_windows, n_groups = int(windows.get(station, 0)), int(groups.get(station, 0))
        entry = {"station": str(station), "n": len(places)} | measured
        entry |= {"n_calibration": n_windows, "n_calibration_groups": n_groups, "note": None}
        if (fewest := int(behind[places].min())) <= least + 1e-9:
            entry["note"] = f"{fewest} calibration windows (in a fold) exclude nothing, more than {least:.0f} can."
        elif n_groups < FEW_CLUSTERS:
            entry["note"] = f"{n_groups} calibration groups: windows of one event are alike, the coverage is a guess."
        result["by_station"].append(entry)
    result["n_calibration_groups"] = int(groups.sum())
    result["warnings"] = [*_missed(task, result, config), *_unpromised(result, _time_overlap(rows, validation))]
    return result


def _measure(
    covered: NDArray[np.bool_], size: IndexArray, clusters: Clusters, config: EvaluateConfig
) -> dict[str, Any]:
    columns = (np.ones(len(covered)), covered)
    sums = np.column_stack([clusters.sum(column) for column in columns])
    low = high = np.nan
    if clusters.smallest >= FEW_CLUSTERS:
        drawn = clusters.bootstrap(sums, config.bootstrap, config.seed)
        low, high = m.percentile_interval(ratio(drawn[:, 1], drawn[:, 0]), config.confidence)
    return {
        "coverage": {"value": float(covered.mean()), "low": number(low), "high": number(high)},
        "mean_set_size": float(size.mean()),
    }


def _by_station(
    rows: pd.DataFrame, covered: NDArray[np.bool_], size: IndexArray, clusters: Clusters, config: EvaluateConfig
) -> dict[str, dict[str, Any]]:
    """Coverage and size at each station, all on the same draws of groups."""
    stations = sorted(rows.groupby("station", observed=True).indices.items())
    number_of = np.empty(len(rows), dtype=np.intp)
    for place, (_, places) in enumerate(stations):
        number_of[places] = place
    shape = (clusters.n, len(stations))
    parts = [
        sparse.coo_array((values.astype(float), (clusters.index, number_of)), shape=shape)
        for values in (np.ones(len(rows)), covered)
    ]
    counts = parts[0].tocsr()
    n_groups = np.asarray((counts > 0).sum(axis=0))
    drawn = clusters.bootstrap([counts, parts[1].tocsr()], config.bootstrap, config.seed)
    share = ratio(drawn[:, len(stations) :], drawn[:, : len(stations)])
    result: dict[str, dict[str, Any]] = {}
    for place, (station, places) in enumerate(stations):
        known = clusters.smallest > 1 and n_groups[place] >= FEW_CLUSTERS
        low, high = m.percentile_interval(share[:, place], config.confidence) if known else (np.nan, np.nan)
        coverage = {"value": float(covered[places].mean()), "low": number(low), "high": number(high)}
        result[station] = {
            "places": places, "n_groups": int(n_groups[place]), "coverage": coverage,
            "mean_set_size": float(size[places].mean()),
        }  # fmt: skip
    return result


def _time_overlap(rows: pd.DataFrame, validation: pd.DataFrame) -> float:
    """Share of the judged windows that begin within the period of their fold's validation windows."""
    inside = 0
    for fold, places in rows.groupby("fold").indices.items():
        start = validation.loc[validation["fold"] == fold, "start_utc"]
        inside += int(rows["start_utc"].iloc[places].between(start.min(), start.max()).sum())
    return inside / len(rows)


def _missed(task: str, result: dict[str, Any], config: EvaluateConfig) -> list[str]:
    """Whether the coverage differs from what was aimed at by more than the groups of both roles explain.

    Given the calibration windows the coverage varies around its aim like a share of as many draws (Vovk, 2012,
    arXiv:1209.2673); groups are counted here, since windows of a group are alike.
    """
    coverage, aimed = result["coverage"], result["coverage_aimed"]
    if coverage["low"] is None:
        return []
    quantile = norm.ppf(0.5 + config.confidence / 2)
    of_calibration = quantile * np.sqrt(aimed * (1 - aimed) / max(1, result["n_calibration_groups"]))
    if abs(coverage["value"] - aimed) <= np.hypot((coverage["high"] - coverage["low"]) / 2, of_calibration):
        return []
    return [
        f"{task}: conformal sets hold the truth in {coverage['value']:.2f} of the windows, not in {aimed:g}, and the "
        "number of groups does not explain it: validation and test windows are not exchangeable."
    ]


def _unpromised(result: dict[str, Any], overlap: float) -> list[str]:
    warnings = []
    if overlap < MIN_TIME_OVERLAP:
        warnings.append(
            f"{100 * (1 - overlap):.0f} % of the judged windows lie outside the period of their validation "
            "windows, so no coverage of conformal sets is promised."
        )
    thin = [entry["station"] for entry in result["by_station"] if entry["note"]]
    if thin:
        warnings.append(
            f"Too few validation windows or groups for conformal sets at {len(thin)} of "
            f"{len(result['by_station'])} stations: {', '.join(thin[:6])}{' ...' if len(thin) > 6 else ''}."
        )
    return warnings
