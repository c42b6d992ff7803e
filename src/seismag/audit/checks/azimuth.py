"""Where do the predicted directions come from? Collapse onto few of them, and more than the input can know.

A model that has learnt nothing of direction still scores by naming the commonest one: its predictions *collapse*. A
model that sees power alone cannot tell a source from its mirror images and its reverse (docs/method.md, Spectrogram):
with azimuths evenly spread its balanced accuracy over eight directions is at most 37.5 %, or 50 % where induced Z
tells the mirror. What exceeds that within stations is knowledge of where earthquakes lie as seen from each station,
not of the field.

Both are notes: they explain a score, and accuse no data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray, IndexArray
from seismag.config import AuditConfig
from seismag.domain import AZIMUTH_CLASSES
from seismag.estimate import CheckResult
from seismag.scoring.metrics import balanced_accuracy, bootstrap_sums, cluster_confusion
from seismag.scoring.predictions import evaluated_rows, task_probabilities, truth_index

DIRECTIONS = AZIMUTH_CLASSES[1:]
POWER_CAP, INDUCED_CAP = 0.375, 0.5
LEAST_EVENT_WINDOWS, LEAST_GROUPS = 40, 10
MINIMUM_FRACTION = 0.15  # of the commonest prediction, above that of the truth
LEAST_CELL = 5  # windows of a station and direction, for a recall within the station


def check_azimuth_collapse(predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """Compare the spread of the predicted directions with that of the true ones.

    Args:
        predictions: the table; asked are event windows, with the most probable of the eight directions.
        spec: draws, placebos, seed.

    Returns:
        ``azimuth_collapse``, a note. The statistic is the share of the commonest predicted direction; its null is
        that of the truth, drawn again by event cluster.
    """
    events = _event_windows(predictions)
    if isinstance(events, str):
        return CheckResult("azimuth_collapse", events)
    truth, predicted, group = events["truth"].to_numpy(), events["predicted"].to_numpy(), events["group"].to_numpy()
    rng = np.random.default_rng([spec.seed, 51])
    by_group = np.zeros((group.max() + 1, len(DIRECTIONS)))
    np.add.at(by_group, (group, truth), 1)
    share = float(np.bincount(predicted).max() / len(predicted))
    null = _commonest(by_group, spec.permutations, rng)
    p_value = (1 + int((null >= share).sum())) / (1 + len(null))
    place = pd.factorize(group * (1 + events["station"].max()) + events["station"].to_numpy())[0]
    placebo = _shares_of_drawn_directions(np.bincount(place), by_group.sum(axis=0), spec.placebos, rng)
    placebo_p = (1 + (null[None] >= placebo[:, None]).sum(axis=1)) / (1 + len(null))
    of_truth, commonest = float(np.bincount(truth).max() / len(truth)), DIRECTIONS[int(np.bincount(predicted).argmax())]
    spread = {name: entropy_fraction(values) for name, values in (("predicted", predicted), ("truth", truth))}
    return CheckResult(
        name="azimuth_collapse",
        sentence=(
            f"The commonest predicted direction, {commonest}, is given to {100 * share:.0f} % of {len(truth)} event "
            f"windows; the commonest true one has {100 * of_truth:.0f} % (p {p_value:.2g}). Entropy of the predictions "
            f"{spread['predicted']:.2f} of that of eight equal directions, of the truth {spread['truth']:.2f}."
        ),
        statistic=share,
        statistic_name="share of the commonest predicted direction",
        null={"mean": float(null.mean()), "low": float(np.quantile(null, 0.025)),
              "high": float(np.quantile(null, 0.975))},
        p_value=p_value,
        placebo_rate=float((placebo_p <= 0.05).mean()),
        material=share - of_truth >= MINIMUM_FRACTION,
        details={"entropy": spread, "commonest": commonest,
                 "predicted": _counts(predicted), "truth": _counts(truth)},
    )  # fmt: skip


def check_symmetry_ceiling(predictions: pd.DataFrame, model_input: str, spec: AuditConfig) -> CheckResult:
    """Ask whether a model of power alone tells more directions within stations than power can.

    Args:
        predictions: the table; asked are event windows, with the most probable of the eight directions.
        model_input: ``power``, or another input, which has no such ceiling.
        spec: draws, seed.

    Returns:
        ``symmetry_ceiling``, a note. The statistic is the mean recall over the directions of the stations; p is the
        chance of so much for a model at the ceiling of 50 %, to which clusters are known or not as a whole.
    """
    events = _event_windows(predictions)
    if isinstance(events, str):
        return CheckResult("symmetry_ceiling", events)
    truth, predicted, group = events["truth"].to_numpy(), events["predicted"].to_numpy(), events["group"].to_numpy()
    cell = events["station"].to_numpy() * len(DIRECTIONS) + truth
    recall, n_cells = cell_recall(cell, predicted == truth)
    if not n_cells:
        return CheckResult("symmetry_ceiling", f"No station has {LEAST_CELL} event windows of one direction.")
    rng = np.random.default_rng([spec.seed, 52])
    null = _recall_at_ceiling(cell, group, spec.permutations, rng)  # the windows of a cluster are known together
    p_value = (1 + int((null >= recall).sum())) / (1 + len(null))
    apart = pd.factorize(group * (1 + events["station"].max()) + events["station"].to_numpy())[0]
    placebo = _recall_at_ceiling(cell, apart, spec.placebos, rng)  # or at each station apart
    placebo_p = (1 + (null[None] >= placebo[:, None]).sum(axis=1)) / (1 + len(null))
    shares = confusion_fractions(truth, predicted)
    details: dict[str, Any] = {
        "input": model_input, "power_cap": POWER_CAP, "induced_cap": INDUCED_CAP, "cells": n_cells, **shares,
        "balanced_accuracy": float(balanced_accuracy(_confusion(truth, predicted))),
        "station_alone": _station_alone(cell, events, group),
    }  # fmt: skip
    return CheckResult(
        name="symmetry_ceiling",
        sentence=_ceiling_sentence(details, recall, p_value),
        statistic=recall,
        statistic_name="mean recall of a direction within a station",
        null={"mean": float(null.mean()), "low": float(np.quantile(null, 0.025)),
              "high": float(np.quantile(null, 0.975))},
        p_value=p_value if model_input == "power" else None,
        placebo_rate=float((placebo_p <= 0.05).mean()) if model_input == "power" else None,
        material=recall > INDUCED_CAP,
        verdict=None if model_input == "power" else "pass",
        details=details,
    )  # fmt: skip


def entropy_fraction(direction: IndexArray) -> float:
    """Shannon entropy of the directions, as a share of that of eight equal ones."""
    share = np.bincount(direction, minlength=len(DIRECTIONS)) / len(direction)
    filled = share[share > 0]
    return float(-(filled * np.log(filled)).sum() / np.log(len(DIRECTIONS)) + 0.0)


def confusion_fractions(truth: IndexArray, predicted: IndexArray) -> dict[str, float]:
    """Share of event windows given the right direction, its reverse, its mirror image in the meridian or the parallel.

    Directions are numbered from N clockwise. A direction on an axis is one of its own images; what is right counts as
    right, then as reverse.
    """
    turn = (predicted - truth) % 8
    right, reverse = turn == 0, turn == 4
    mirror = ((predicted + truth) % 8 == 0) | ((predicted + truth) % 8 == 4)  # t -> -t, t -> 180 - t
    return {
        "right": float(right.mean()), "reverse": float(reverse.mean()),
        "mirror": float((mirror & ~right & ~reverse).mean()),
    }  # fmt: skip


def cell_recall(cell: IndexArray, hit: FloatArray) -> tuple[float, int]:
    """Mean share of hits over cells of at least five windows, and the number of these cells."""
    n = np.bincount(cell)
    asked = n >= LEAST_CELL
    hits = np.bincount(cell, weights=hit.astype(float))
    return (float((hits[asked] / n[asked]).mean()) if asked.any() else float("nan")), int(asked.sum())


def _event_windows(predictions: pd.DataFrame) -> pd.DataFrame | str:
    """Truth and prediction (0 to 7, from N clockwise), station and group of the event windows; or why not."""
    judged = evaluated_rows(predictions)
    events = judged[judged["y_azimuth"] != "Normal"].reset_index(drop=True)
    table = pd.DataFrame({
        "truth": truth_index(events["y_magnitude"], events["y_azimuth"], "azimuth") - 1,
        "predicted": task_probabilities(events, "azimuth")[:, 1:].argmax(axis=1),
        "station": pd.factorize(events["station"], sort=True)[0],
        "group": pd.factorize(events["split_group"])[0],
    })  # fmt: skip
    if len(table) < LEAST_EVENT_WINDOWS or table["group"].nunique() < LEAST_GROUPS:
        return (
            f"{len(table)} event windows of {table['group'].nunique()} clusters; {LEAST_EVENT_WINDOWS} of "
            f"{LEAST_GROUPS} are needed to speak of predicted directions."
        )
    return table


def _commonest(by_group: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """Share of the commonest direction in groups drawn with replacement: (draws,)."""
    sums = bootstrap_sums(by_group, np.zeros(len(by_group), dtype=int), draws, rng)
    return np.asarray(sums.max(axis=1) / sums.sum(axis=1))


def _shares_of_drawn_directions(
    size: IndexArray, counts: FloatArray, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Share of the commonest direction where each cluster at a station gets one, drawn by these counts: (draws,)."""
    direction = rng.choice(len(DIRECTIONS), (draws, len(size)), p=counts / counts.sum())
    sums = np.stack([(size * (direction == one)).sum(axis=1) for one in range(len(DIRECTIONS))], axis=1)
    return np.asarray(sums.max(axis=1) / size.sum())


def _recall_at_ceiling(cell: IndexArray, unit: IndexArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """``cell_recall`` of a model that knows a direction up to its reverse and guesses once for a unit: (draws,)."""
    n = np.bincount(cell)
    asked = n >= LEAST_CELL
    known = rng.random((draws, unit.max() + 1)) < INDUCED_CAP
    by_unit = np.zeros((unit.max() + 1, len(n)))
    np.add.at(by_unit, (unit, cell), 1)
    return np.asarray((known @ by_unit[:, asked] / n[asked]).mean(axis=1))


def _station_alone(cell: IndexArray, events: pd.DataFrame, group: IndexArray) -> float:
    """The same score for the rule that names a station's commonest direction in the other clusters."""
    station, truth = events["station"].to_numpy(), events["truth"].to_numpy()
    counts = np.zeros((station.max() + 1, len(DIRECTIONS)))
    np.add.at(counts, (station, truth), 1)
    own = np.zeros((group.max() + 1, *counts.shape))
    np.add.at(own, (group, station, truth), 1)
    predicted = (counts[station] - own[group, station]).argmax(axis=1)
    return cell_recall(cell, predicted == truth)[0]


def _confusion(truth: IndexArray, predicted: IndexArray) -> FloatArray:
    one_cluster = np.zeros(len(truth), dtype=int)
    return np.asarray(cluster_confusion(truth, predicted, one_cluster, len(DIRECTIONS))[0])


def _counts(direction: IndexArray) -> dict[str, int]:
    return dict(zip(DIRECTIONS, np.bincount(direction, minlength=len(DIRECTIONS)).tolist(), strict=True))


def _ceiling_sentence(details: dict[str, Any], recall: float, p_value: float) -> str:
    text = (
        f"Within stations the right one of eight directions is named with a mean recall of {100 * recall:.1f} % "
        f"(station alone {100 * details['station_alone']:.1f} %); its reverse in {100 * details['reverse']:.0f} % and "
        f"its mirror image in {100 * details['mirror']:.0f} % of event windows."
    )
    if details["input"] != "power":
        return f"{text} The input {details['input']} holds phases, so no ceiling applies."
    if recall > INDUCED_CAP:
        return (
            f"{text} Power alone allows {100 * POWER_CAP:.1f} %, with induced Z {100 * INDUCED_CAP:.0f} % "
            f"(p {p_value:.2g}): the rest is a prior, usually the station's."
        )
    return f"{text} Power alone allows {100 * POWER_CAP:.1f} %, with induced Z {100 * INDUCED_CAP:.0f} %."
