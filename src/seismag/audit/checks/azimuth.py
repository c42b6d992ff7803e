"""Informational checks of predicted azimuths: collapse onto few directions, and the ceiling of power spectra.

Power alone does not distinguish a source from its mirror images and its reverse (docs/method.md, Spectrogram): with
uniform azimuths the balanced accuracy over eight directions is at most 37.5 %, or 50 % where induced Z resolves the
mirror. A higher score within stations comes from the distribution of earthquakes around each station.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray, IndexArray
from seismag.config import AuditConfig
from seismag.domain import AZIMUTH_CLASSES
from seismag.estimate import CheckResult
from seismag.scoring.metrics import balanced_accuracy, bootstrap_sums, confusion_matrix
from seismag.scoring.null import Null
from seismag.scoring.predictions import evaluated_rows, task_probabilities, truth_index

DIRECTIONS = AZIMUTH_CLASSES[1:]
POWER_CAP, INDUCED_CAP = 0.375, 0.5
MIN_EVENT_WINDOWS, MIN_EVENT_CLUSTERS = 40, 10
MINIMUM_FRACTION = 0.15  # of the most frequent prediction, above that of the truth
MIN_WINDOWS_PER_DIRECTION = 5  # of a station and direction, for a recall within the station


@dataclass(frozen=True)
class _EventWindows:
    """Event windows: true and predicted direction (n,) from 0 (N) clockwise, station and event cluster (n,)."""

    truth: IndexArray
    predicted: IndexArray
    station: IndexArray
    cluster: IndexArray

    @property
    def cell(self) -> IndexArray:
        """Index of the combination of station and true direction."""
        return self.station * len(DIRECTIONS) + self.truth

    @property
    def cluster_at_station(self) -> IndexArray:
        """Index of the combination of cluster and station."""
        return pd.factorize(self.cluster * (1 + self.station.max()) + self.station)[0]


def check_azimuth_collapse(predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """``azimuth_collapse``: fraction of the most frequent predicted direction, over event windows.

    The null distribution is the fraction of the most frequent true direction, resampled by event cluster.
    """
    events = _event_windows(predictions)
    if refusal := _too_few("azimuth_collapse", events):
        return refusal
    rng = np.random.default_rng([spec.seed, 51])
    by_cluster = np.zeros((events.cluster.max() + 1, len(DIRECTIONS)))
    np.add.at(by_cluster, (events.cluster, events.truth), 1)
    fraction = float(np.bincount(events.predicted).max() / len(events.predicted))
    null = Null(_largest_fractions(by_cluster, spec.permutations, rng))
    size = np.bincount(events.cluster_at_station)
    placebo = _fractions_of_random_directions(size, by_cluster.sum(axis=0), spec.placebos, rng)
    p_value = null.p_value(fraction)
    of_truth = float(np.bincount(events.truth).max() / len(events.truth))
    commonest = DIRECTIONS[int(np.bincount(events.predicted).argmax())]
    entropy = {"predicted": entropy_fraction(events.predicted), "truth": entropy_fraction(events.truth)}
    return CheckResult(
        name="azimuth_collapse",
        sentence=(
            f"The most frequent predicted direction, {commonest}, is given to {100 * fraction:.0f} % of "
            f"{len(events.truth)} event windows; the most frequent true one has {100 * of_truth:.0f} % "
            f"(p {p_value:.2g}). Relative entropy of the predictions {entropy['predicted']:.2f}, of the truth "
            f"{entropy['truth']:.2f} (1: eight equal directions)."
        ),
        statistic=fraction,
        statistic_name="fraction of the most frequent predicted direction",
        null=null.interval(),
        p_value=p_value,
        placebo_rate=null.placebo_rate(placebo),
        above_minimum=fraction - of_truth >= MINIMUM_FRACTION,
        details={"entropy": entropy, "commonest": commonest,
                 "predicted": _counts(events.predicted), "truth": _counts(events.truth)},
    )  # fmt: skip


def check_symmetry_ceiling(predictions: pd.DataFrame, model_input: str, spec: AuditConfig) -> CheckResult:
    """``symmetry_ceiling``: whether a model of power resolves more directions within stations than power can.

    The statistic is the mean recall over the directions of the stations; the null distribution is that of a model at
    the ceiling of 50 %, which knows the directions of whole clusters. Inputs other than ``power`` have no ceiling.
    """
    events = _event_windows(predictions)
    if refusal := _too_few("symmetry_ceiling", events):
        return refusal
    recall, n_cells = cell_recall(events.cell, events.predicted == events.truth)
    if not n_cells:
        text = f"inconclusive (no station has {MIN_WINDOWS_PER_DIRECTION} event windows of one direction)."
        return CheckResult("symmetry_ceiling", text)
    rng = np.random.default_rng([spec.seed, 52])
    null = Null(_recall_at_ceiling(events.cell, events.cluster, spec.permutations, rng))
    placebo = _recall_at_ceiling(events.cell, events.cluster_at_station, spec.placebos, rng)
    p_value, station_alone = null.p_value(recall), _station_recall(events)
    fractions = confusion_fractions(events.truth, events.predicted)
    balanced = balanced_accuracy(confusion_matrix(events.truth, events.predicted, len(DIRECTIONS)))
    sentence = (
        f"Within stations the mean recall of the eight directions is {100 * recall:.1f} % "
        f"(station alone {100 * station_alone:.1f} %); {100 * fractions['reverse']:.0f} % of event windows are given "
        f"the reverse and {100 * fractions['mirror']:.0f} % the mirror image. "
    )
    ceiling = f"Power alone allows {100 * POWER_CAP:.1f} %, with induced Z {100 * INDUCED_CAP:.0f} %"
    if model_input != "power":
        sentence += f"The input {model_input} contains phases, so no ceiling applies."
    elif recall > INDUCED_CAP:
        sentence += f"{ceiling} (p {p_value:.2g}): the rest is prior information, usually on the station."
    else:
        sentence += f"{ceiling}."
    return CheckResult(
        name="symmetry_ceiling",
        sentence=sentence,
        statistic=recall,
        statistic_name="mean recall of a direction within a station",
        null=null.interval(),
        p_value=p_value if model_input == "power" else None,
        placebo_rate=null.placebo_rate(placebo) if model_input == "power" else None,
        above_minimum=recall > INDUCED_CAP,
        verdict=None if model_input == "power" else "pass",
        details={
            "input": model_input, "power_cap": POWER_CAP, "induced_cap": INDUCED_CAP, "cells": n_cells, **fractions,
            "balanced_accuracy": float(balanced), "station_alone": station_alone,
        },
    )  # fmt: skip


def entropy_fraction(direction: IndexArray) -> float:
    """Shannon entropy of the directions, relative to that of eight equal ones."""
    fraction = np.bincount(direction, minlength=len(DIRECTIONS)) / len(direction)
    filled = fraction[fraction > 0]
    return float(-(filled * np.log(filled)).sum() / np.log(len(DIRECTIONS)) + 0.0)


def confusion_fractions(truth: IndexArray, predicted: IndexArray) -> dict[str, float]:
    """Fraction of windows with the right direction (from N clockwise), its reverse, or a mirror image.

    Mirrors are the meridian and the parallel. A direction on an axis is one of its own images; it counts as right
    first, then as reverse.
    """
    difference = (predicted - truth) % 8
    right, reverse = difference == 0, difference == 4
    mirror = ((predicted + truth) % 8 == 0) | ((predicted + truth) % 8 == 4)  # t -> -t, t -> 180 - t
    return {
        "right": float(right.mean()), "reverse": float(reverse.mean()),
        "mirror": float((mirror & ~right & ~reverse).mean()),
    }  # fmt: skip


def cell_recall(cell: IndexArray, hit: FloatArray) -> tuple[float, int]:
    """Mean fraction of hits over cells of at least five windows, and the number of these cells."""
    n = np.bincount(cell)
    enough = n >= MIN_WINDOWS_PER_DIRECTION
    hits = np.bincount(cell, weights=hit.astype(float))
    return (float((hits[enough] / n[enough]).mean()) if enough.any() else float("nan")), int(enough.sum())


def _event_windows(predictions: pd.DataFrame) -> _EventWindows:
    evaluated = evaluated_rows(predictions)
    rows = evaluated[evaluated["y_azimuth"] != "Normal"].reset_index(drop=True)
    return _EventWindows(
        truth=truth_index(rows["y_magnitude"], rows["y_azimuth"], "azimuth") - 1,
        predicted=task_probabilities(rows, "azimuth")[:, 1:].argmax(axis=1),
        station=pd.factorize(rows["station"], sort=True)[0],
        cluster=pd.factorize(rows["split_group"])[0],
    )


def _too_few(name: str, events: _EventWindows) -> CheckResult | None:
    n, n_clusters = len(events.truth), len(np.unique(events.cluster))
    if n >= MIN_EVENT_WINDOWS and n_clusters >= MIN_EVENT_CLUSTERS:
        return None
    return CheckResult(
        name,
        f"inconclusive ({n} event windows of {n_clusters} event clusters; at least {MIN_EVENT_WINDOWS} of "
        f"{MIN_EVENT_CLUSTERS} are needed).",
    )


def _largest_fractions(by_cluster: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """Fraction of the most frequent direction in clusters sampled with replacement: (draws,)."""
    sums = bootstrap_sums(by_cluster, np.zeros(len(by_cluster), dtype=int), draws, rng)
    return np.asarray(sums.max(axis=1) / sums.sum(axis=1))


def _fractions_of_random_directions(
    size: IndexArray, counts: FloatArray, draws: int, rng: np.random.Generator
) -> FloatArray:
    """As above, where each cluster at a station has a random direction, sampled from these counts: (draws,)."""
    direction = rng.choice(len(DIRECTIONS), (draws, len(size)), p=counts / counts.sum())
    sums = np.stack([(size * (direction == one)).sum(axis=1) for one in range(len(DIRECTIONS))], axis=1)
    return np.asarray(sums.max(axis=1) / size.sum())


def _recall_at_ceiling(cell: IndexArray, unit: IndexArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """``cell_recall`` (draws,) of a model that knows a direction or its reverse, with one guess for each unit."""
    n = np.bincount(cell)
    enough = n >= MIN_WINDOWS_PER_DIRECTION
    known = rng.random((draws, unit.max() + 1)) < INDUCED_CAP
    by_unit = np.zeros((unit.max() + 1, len(n)))
    np.add.at(by_unit, (unit, cell), 1)
    return np.asarray((known @ by_unit[:, enough] / n[enough]).mean(axis=1))


def _station_recall(events: _EventWindows) -> float:
    """``cell_recall`` of the rule that predicts a station's most frequent direction in the other clusters."""
    counts = np.zeros((events.station.max() + 1, len(DIRECTIONS)))
    np.add.at(counts, (events.station, events.truth), 1)
    own = np.zeros((events.cluster.max() + 1, *counts.shape))
    np.add.at(own, (events.cluster, events.station, events.truth), 1)
    predicted = (counts[events.station] - own[events.cluster, events.station]).argmax(axis=1)
    return cell_recall(events.cell, predicted == events.truth)[0]


def _counts(direction: IndexArray) -> dict[str, int]:
    return dict(zip(DIRECTIONS, np.bincount(direction, minlength=len(DIRECTIONS)).tolist(), strict=True))
