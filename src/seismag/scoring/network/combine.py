"""Rules that combine the windows of a day to one event probability, learnt without the days that are evaluated.

The evidence of a window is its log-odds minus those of the control windows of the same model and station, calibrated as
a log-likelihood ratio on training days. Rules differ in two things:

- ``fixed``: the log-odds of a day are those of the base rate plus the total over stations of the mean evidence of their
  windows, as if stations were independent and the windows of a station one. ``learnt``: a logistic model of that total
  and of the mean evidence of all windows. (Not of the largest: it grows with the number of windows by chance.)
- ``..._with_numbers``: the numbers of windows and stations take part. In a store of matched controls they alone tell
  event days from control days. The same model without evidence is therefore a baseline, ``by_numbers``, so that the
  evidence cannot gain from them.

The rule with the best log score in folds of the training days is used.

Source: sums of log-odds of independent sources, Good (1950), Probability and the Weighing of Evidence; learning a
combination from forecasts of left-out data, Wolpert (1992), doi:10.1016/S0893-6080(05)80023-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from seismag.arrays import BoolArray, FloatArray, IndexArray, ratio
from seismag.scoring.baselines.inputs import OF_DAYS, fit_encoder
from seismag.scoring.baselines.logistic import fit_baseline
from seismag.scoring.metrics import LOG_SCORE_FLOOR
from seismag.scoring.network.days import Days

RULES = ("fixed", "fixed_with_numbers", "learnt", "learnt_with_numbers")
COUNTS = ("n_windows", "n_stations")
_INNER_FOLDS = 3  # of the training days, to choose the rule
_PSEUDO_WINDOWS = 1.0  # of the model, in the mean of the control windows of a station
_PRIOR_VARIANCE = 1.0  # of each coefficient
_NUMBERS_SPREAD = 5.0  # of the coefficients of numbers, which may be large; shrunk, evidence would gain from them
_NEWTON_STEPS = 25


@dataclass(frozen=True)
class Units:
    """What a probability is given for: a day with all its stations, or a day at one station.

    Attributes:
        of_window: (n,) unit of each window.
        day: (u,) day of each unit.
    """

    of_window: IndexArray
    day: IndexArray

    @classmethod
    def of_days(cls, days: Days) -> Units:
        """Each day with all its stations."""
        return cls(days.day, np.arange(len(days.table)))

    @property
    def weights(self) -> FloatArray:
        """(u,) weights with which each day counts once."""
        return np.asarray(1.0 / np.bincount(self.day)[self.day])

    @classmethod
    def of_stations(cls, days: Days) -> Units:
        """Each day at each station that has a window."""
        pairs, unit = np.unique(np.stack([days.day, days.station], axis=1), axis=0, return_inverse=True)
        return cls(unit.ravel(), pairs[:, 0])


@dataclass(frozen=True)
class Combined:
    """Event probabilities (u,) of units, NaN outside the days that were evaluated, and the rule."""

    p_event: FloatArray
    rule: str


@dataclass(frozen=True)
class _Learnt:
    """What was learnt on training days: evidence (n,) of all windows, and encoded numbers (d, m) of all days."""

    evidence: FloatArray
    numbers: FloatArray


def combine_days(days: Days, train: BoolArray, wanted: BoolArray, kinds: Sequence[Units]) -> list[Combined]:
    """Learn the combination on some days and apply it to others.

    Args:
        days: all days.
        train, wanted: (d,) the days to learn from, and the days to evaluate; none is in both.
        kinds: units to give probabilities for; each gets the rule and the coefficients that are best for it.
    """
    inner = [(_learn(days, part), part, left_out) for part, left_out in days.folds(train, _INNER_FOLDS)]
    whole = _learn(days, train)
    result = []
    for units in kinds:
        truth = days.is_event_day[units.day]
        loss = dict.fromkeys(RULES, 0.0)
        for learnt, part, left_out in inner:
            for rule in RULES:
                p_event = expit(_log_odds(rule, days, units, learnt, part))
                loss[rule] -= _log_score(p_event, truth, left_out[units.day], units)
        best = min(RULES, key=lambda rule: loss[rule])
        p_event = expit(_log_odds(best, days, units, whole, train))
        result.append(Combined(np.where(wanted[units.day], p_event, np.nan), best))
    return result


def forecast_by_columns(days: Days, columns: Sequence[str], train: BoolArray) -> FloatArray:
    """Event probability (d,) of all days by a logistic baseline on columns of the table of days."""
    blocks = []
    for baseline, names in (("clock", ["start_utc"]), (OF_DAYS, [name for name in columns if name != "start_utc"])):
        if set(names) <= set(columns) and names:
            inputs = days.table[names]
            blocks.append(fit_encoder(inputs[train], baseline).encode(inputs))
    features, truth = np.hstack(blocks), days.is_event_day.astype(np.intp)
    return fit_baseline(features[train], truth[train], days.clusters.index[train], 2).predict(features)[:, 1]


def log_odds_of(p_event: FloatArray) -> FloatArray:
    """ln(p / (1 - p)), p at least 1e-6 from 0 and 1."""
    clipped = np.clip(p_event, LOG_SCORE_FLOOR, 1 - LOG_SCORE_FLOOR)
    return np.asarray(np.log(clipped / (1 - clipped)))


def fit_with_offset(features: FloatArray, truth: BoolArray, offset: FloatArray, weight: FloatArray) -> FloatArray:
    """Fit a logistic model whose log-odds are offset + intercept + features @ coefficients.

    Args:
        features: (n, m), of the order of 1.
        truth, offset, weight: (n,) class, known log-odds, and weight of each row.

    Returns:
        (1 + m,) intercept and coefficients, by Newton's method; each coefficient has a normal prior of variance 1.

    Example:
        >>> two_of_three, zeros = np.array([True, True, False]), np.zeros(3)
        >>> fit_with_offset(np.zeros((3, 0)), two_of_three, zeros, np.ones(3)).round(3)
        array([0.693])
    """
    design = np.column_stack([np.ones(len(features)), features])
    prior = np.append(1e-6, np.full(features.shape[1], 1 / _PRIOR_VARIANCE))
    found = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = expit(offset + design @ found)
        gradient = design.T @ (weight * (truth - p)) - prior * found
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag(prior)
        step = np.linalg.solve(curvature, gradient)
        found = found + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-8:
            break
    return found


def by_numbers(days: Days, train: BoolArray) -> FloatArray:
    """Event probability (d,) of all days by the numbers of their windows and stations alone."""
    return np.asarray(expit(_fit_days(days, Units.of_days(days), _encode_numbers(days, train), train)))


def _learn(days: Days, train: BoolArray) -> _Learnt:
    return _Learnt(_evidence(days, train), _encode_numbers(days, train))


def _encode_numbers(days: Days, train: BoolArray) -> FloatArray:
    """The numbers, their product and their logarithms, standardised on training days: (d, 5)."""
    windows, stations = days.table[list(COUNTS)].to_numpy(dtype=float).T
    features = np.column_stack([windows, stations, windows * stations, np.log(windows), np.log(stations)])
    spread = np.maximum(features[train].std(axis=0), 1e-6)
    return np.asarray(_NUMBERS_SPREAD * (features - features[train].mean(axis=0)) / spread)


def _evidence(days: Days, train: BoolArray) -> FloatArray:
    """Calibrated log-likelihood ratio (n,) of each window, learnt on the windows of training days."""
    known = train[days.day]
    centred = days.log_odds - _control_means(days, known & ~days.is_event)
    n_stations = int(days.station.max()) + 1
    windows, events = (np.bincount(days.station[rows], minlength=n_stations) for rows in (known, known & days.is_event))
    overall = (events.sum() + 1) / (windows.sum() + 2)
    of_station = log_odds_of((events + 2 * overall) / (windows + 2))[days.station]
    weight = _group_weights(days.group[known])
    intercept, slope = fit_with_offset(centred[known, None], days.is_event[known], of_station[known], weight)
    return np.asarray(intercept + slope * centred)


def _control_means(days: Days, controls: BoolArray) -> FloatArray:
    """Mean log-odds (n,) of the control windows of each window's model and station, shrunk to that of the model."""
    overall = float(days.log_odds[controls].mean()) if controls.any() else 0.0
    of_model = _shrunk_means(days.log_odds, days.model, controls, np.full(int(days.model.max()) + 1, overall))
    first = np.unique(days.cell, return_index=True)[1]
    return _shrunk_means(days.log_odds, days.cell, controls, of_model[days.model[first]])[days.cell]


def _shrunk_means(values: FloatArray, index: IndexArray, chosen: BoolArray, towards: FloatArray) -> FloatArray:
    n = np.bincount(index[chosen], minlength=len(towards))
    sums = np.bincount(index[chosen], weights=values[chosen], minlength=len(towards))
    return np.asarray((sums + _PSEUDO_WINDOWS * towards) / (n + _PSEUDO_WINDOWS))


def _group_weights(group: IndexArray) -> FloatArray:
    """The same weight for each row; they sum to the number of groups, as groups are the independent observations."""
    return np.full(len(group), len(np.unique(group)) / len(group))


def _log_odds(rule: str, days: Days, units: Units, learnt: _Learnt, train: BoolArray) -> FloatArray:
    """Log-odds (u,) of an event by a rule."""
    numbers = learnt.numbers[units.day] if rule.endswith("with_numbers") else np.zeros((len(units.day), 0))
    summed, mean = _summarise(days, units, learnt.evidence)
    if rule.startswith("fixed"):
        return _fit_days(days, units, numbers, train) + summed
    return _fit_days(days, units, np.column_stack([numbers, summed, mean]), train)


def _fit_days(days: Days, units: Units, features: FloatArray, train: BoolArray) -> FloatArray:
    """Log-odds (u,) of a logistic model of features (u, m); days of one group count as one observation."""
    known = train[units.day]
    weight = units.weights[known]
    n_groups = len(np.unique(days.clusters.index[train]))
    truth = days.is_event_day[units.day[known]]
    found = fit_with_offset(features[known], truth, np.zeros(len(truth)), weight * n_groups / weight.sum())
    return np.asarray(found[0] + features @ found[1:])


def _summarise(days: Days, units: Units, evidence: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum over stations of the mean evidence of their windows, and mean over all windows, of each unit (u,)."""
    n_units, n_stations = len(units.day), int(days.station.max()) + 1
    part = units.of_window * n_stations + days.station
    sums, n = (np.bincount(part, weights=values, minlength=n_units * n_stations) for values in (evidence, None))
    by_station = np.nan_to_num(ratio(sums, n.astype(float))).reshape(n_units, n_stations)
    windows = np.bincount(units.of_window, minlength=n_units)
    return by_station.sum(axis=1), np.bincount(units.of_window, weights=evidence, minlength=n_units) / windows


def _log_score(p_event: FloatArray, truth: BoolArray, chosen: BoolArray, units: Units) -> float:
    p = np.clip(np.where(truth, p_event, 1 - p_event), LOG_SCORE_FLOOR, 1.0)
    return float((np.log(p) * units.weights)[chosen].sum())
