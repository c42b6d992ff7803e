"""Classical methods, evaluated like a model: polarisation ratio and single-station transfer function.

Both use geomagnetic data, so they are compared with the model and are no baselines. Their values become probabilities
fitted on the training set of the same fold. A window without a value (no night, a disturbed day, too few undisturbed
windows) gets the class frequencies of training, and the presence of a value alone shifts no probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import i0e, i1e

from seismag.arrays import BoolArray, FloatArray, IndexArray
from seismag.domain import DataError
from seismag.scoring.baselines import MAX_FOLDS
from seismag.scoring.baselines.frequencies import class_frequencies, with_balanced
from seismag.scoring.baselines.logistic import fit_baseline, group_folds
from seismag.scoring.classical.features import COHERENCE2_LEAST, ClassicalFeatures, classical_features
from seismag.scoring.classical.spectra import band_spectra
from seismag.scoring.predictions import TASK_CLASSES, positions_of, truth_index
from seismag.windows.store import LEGACY_IMAGE, Store

NEEDED_COLUMNS = ("start_utc", "end_utc", "local_hour", "kp_max", "dst_min_nt", "h_axis_deg", "azimuth_deg")
ALARM_Z = 2.0
SECTORS_RAD = np.radians(45.0 * np.arange(8))  # centres of N, NE, ... NW
_STANDARD_ERRORS = 2.0  # subtracted from the mean cosine of training
_LARGEST_KAPPA = 200.0


@dataclass(frozen=True)
class Classical:
    """Forecasts of the classical methods by name, indexed by sample_id, with columns ``p_<task>_<Class>``; remarks."""

    tables: dict[str, pd.DataFrame]
    notes: list[str]


def classical_forecasts(store: Store, predictions: pd.DataFrame, split: pd.DataFrame | None) -> Classical:
    """Apply the classical methods to the windows of a table of predictions, in the same folds.

    Args:
        store: with ``power``, and ``cross`` for the transfer function. All of it is read.
        predictions: sample_id and fold of the evaluated rows; split_group where there is no split.
        split: sample_id, fold, role; without it group k-fold within the rows, as for the baselines.

    Raises:
        DataError: a window is not in the store, or a fold has no training windows.
    """
    samples = store.samples
    if store.attributes.get("origin") == LEGACY_IMAGE:
        return Classical({}, ["No classical methods: pictures contain no power."])
    if absent := [name for name in NEEDED_COLUMNS if name not in samples]:
        return Classical({}, [f"No classical methods: samples.parquet lacks {', '.join(absent)}."])
    spectra = band_spectra(store)
    folds = _folds(samples, predictions, split)
    evaluated = np.concatenate([test for _, test in folds])
    is_event = (samples["magnitude_class"] != "Normal").to_numpy()[evaluated]
    tables: dict[str, pd.DataFrame] = {}
    notes = []
    for ending, leave_out in (("", True), ("_all_days", False)):
        parts, coverage = [], []
        for train, test in folds:
            features = classical_features(spectra, samples, train, leave_out)
            parts.append(_forecast(features, samples, train, test))
            coverage.append(_coverage(features, test))
        for name in parts[0]:
            if leave_out or not name.endswith("_balanced"):
                tables[name + ending] = pd.concat([part[name] for part in parts])
        notes += _notes(pd.concat(coverage), is_event, ending, spectra.cross is not None)
    order = pd.Index(predictions["sample_id"].astype(str))
    return Classical({name: table.loc[order] for name, table in tables.items()}, notes)


def direction_deg(features: ClassicalFeatures, part: str) -> FloatArray:
    """Azimuth (n,) of the change of the induction arrow, from geographic north, clockwise; NaN where there is none.

    atan2(B, A) of one part, counted from the X axis towards Y, plus the azimuth of the X axis. ``quadrature`` is the
    imaginary part: Z leads a variation along this direction by a quarter period; ``in_phase`` the real one: Z (down)
    is in phase with it. ``-`` before the name rotates it by 180 degrees.
    """
    if features.arrow is None:
        return np.full(len(features.h_axis_deg), np.nan)
    values = features.arrow.imag if part.endswith("quadrature") else features.arrow.real
    sign = -1.0 if part.startswith("-") else 1.0
    return np.mod(np.degrees(np.arctan2(sign * values[:, 1], sign * values[:, 0])) + features.h_axis_deg, 360.0)


def concentration(cosine: float) -> float:
    """Concentration kappa of a von Mises distribution of the given mean cosine, I1(kappa) / I0(kappa).

    Source: Mardia & Jupp (2000), doi:10.1002/9780470316979, section 5.3.
    """
    if cosine <= 0:
        return 0.0
    if i1e(_LARGEST_KAPPA) / i0e(_LARGEST_KAPPA) <= cosine:
        return _LARGEST_KAPPA
    return float(brentq(lambda kappa: i1e(kappa) / i0e(kappa) - cosine, 0.0, _LARGEST_KAPPA))


def _folds(
    samples: pd.DataFrame, predictions: pd.DataFrame, split: pd.DataFrame | None
) -> list[tuple[IndexArray, IndexArray]]:
    """Positions in the store of the training and the evaluated windows of each fold."""
    evaluated = _positions(samples, predictions["sample_id"])
    if split is None:
        groups = pd.factorize(predictions["split_group"].astype(str), sort=True)[0]
        folds = group_folds(groups, MAX_FOLDS)
        return [(evaluated[a], evaluated[b]) for a, b in folds] or [(evaluated, evaluated)]
    by_fold = []
    for fold in np.unique(predictions["fold"]):
        training = split.loc[(split["fold"] == fold) & (split["role"] == "train"), "sample_id"]
        if training.empty:
            raise DataError(f"split: fold {fold} has no window in the training set. Use the split of the run.")
        by_fold.append((_positions(samples, training), evaluated[(predictions["fold"] == fold).to_numpy()]))
    return by_fold


def _positions(samples: pd.DataFrame, wanted: pd.Series) -> IndexArray:
    remedy = "Use the store that they were predicted from."
    return positions_of(samples["sample_id"], wanted, "", "the store", remedy)


def _forecast(
    features: ClassicalFeatures, samples: pd.DataFrame, train: IndexArray, test: IndexArray
) -> dict[str, pd.DataFrame]:
    truth = {task: truth_index(samples["magnitude_class"], samples["azimuth_class"], task) for task in TASK_CLASSES}
    groups = pd.factorize(samples["split_group"].astype(str), sort=True)[0]
    ids = pd.Index(samples["sample_id"].astype(str).to_numpy()[test], name="sample_id")
    ratio = _detect(features.ratio_z, truth["detection"], groups, train, test)
    overall = {task: class_frequencies(truth[task][train], len(classes)) for task, classes in TASK_CLASSES.items()}
    result = with_balanced("polarisation_ratio", {"detection": ratio}, overall, ids)
    if features.arrow is not None:
        # whether Z is coherent with X and Y, and if so the distance of the arrow from the quiet one
        coherent = features.coherence2 >= COHERENCE2_LEAST
        change = np.where(coherent, np.log10(1 + features.arrow_z), 0.0)
        inputs = np.where(features.has_quiet_arrow[:, None], np.column_stack([coherent, change]), np.nan)
        event = _detect(inputs, truth["detection"], groups, train, test)
        sectors = _sectors(features, samples, groups, train, test, overall["azimuth"][1:])
        azimuth = np.column_stack([event[:, :1], event[:, 1:] * sectors])
        result |= with_balanced("transfer_function", {"azimuth": azimuth, "detection": event}, overall, ids)
    return result


def _detect(
    inputs: FloatArray, truth: IndexArray, groups: IndexArray, train: IndexArray, test: IndexArray
) -> FloatArray:
    """Probabilities (n_test, 2) of Normal and Event; the frequencies of training where ``inputs`` are NaN.

    Windows with inputs may contain more events than others (they have a longer past, for instance). That is divided
    out, so that only the values of the inputs count.
    """
    overall = class_frequencies(truth[train], 2)
    probs = np.tile(overall, (len(test), 1))
    is_known: BoolArray = np.asarray(np.isfinite(inputs).all(axis=1))
    known, test_known = train[is_known[train]], is_known[test]
    if not len(known) or not test_known.any():
        return probs
    fitted = fit_baseline(inputs[known], truth[known], groups[known], 2)
    found = fitted.predict(inputs[test[test_known]]) * overall / fitted.overall
    probs[test_known] = found / found.sum(axis=1, keepdims=True)
    return probs


def _sectors(
    features: ClassicalFeatures,
    samples: pd.DataFrame,
    groups: IndexArray,
    train: IndexArray,
    test: IndexArray,
    frequencies: FloatArray,
) -> FloatArray:
    """Probabilities (n_test, 8) of the direction, given an event: frequencies of training times a von Mises density.

    Of the two parts of the arrow and its two senses the one is used that agrees best with the azimuths of the training
    events, which resolves the ambiguity of 180 degrees. Its mean cosine minus two standard errors over the groups gives
    the concentration; without agreement the probabilities are the frequencies.
    """
    azimuth = samples["azimuth_deg"].to_numpy(dtype=float)
    best_cosine, best = 0.0, np.full(len(samples), np.nan)
    for part in ("quadrature", "-quadrature", "in_phase", "-in_phase"):
        direction = direction_deg(features, part)
        cosine = np.cos(np.radians(direction - azimuth))
        rows = train[np.isfinite(cosine[train])]
        by_group = pd.Series(cosine[rows]).groupby(groups[rows]).mean()
        if len(by_group) > 1:
            lower = float(by_group.mean() - _STANDARD_ERRORS * by_group.std() / np.sqrt(len(by_group)))
            if lower > best_cosine:
                best_cosine, best = lower, direction
    angle = np.radians(best[test])
    with np.errstate(invalid="ignore"):
        density = np.exp(concentration(best_cosine) * (np.cos(angle[:, None] - SECTORS_RAD) - 1))
    probs = frequencies * np.where(np.isfinite(angle)[:, None], density, 1.0)
    return np.asarray(probs / probs.sum(axis=1, keepdims=True))


def _coverage(features: ClassicalFeatures, test: IndexArray) -> pd.DataFrame:
    """Which of the evaluated windows each method covers, and where it would raise an alarm."""
    ratio, known = features.ratio_z[test], features.has_quiet_arrow[test]
    has_ratio = np.isfinite(ratio).all(axis=1)
    coherent = known & (features.coherence2[test] >= COHERENCE2_LEAST)
    alarm = has_ratio & (ratio > ALARM_Z).any(axis=1)
    return pd.DataFrame({"has_ratio": has_ratio, "alarm": alarm, "has_arrow": known, "coherent": coherent})


def _notes(coverage: pd.DataFrame, event: BoolArray, ending: str, has_cross: bool) -> list[str]:
    def count(name: str, among: str, which: BoolArray) -> str:
        covered = coverage[among].to_numpy() & which
        return f"{int((coverage[name].to_numpy() & covered).sum())} of {int(covered.sum())}"

    ratio = (
        f"polarisation_ratio{ending} covers {int(coverage['has_ratio'].sum())} of {len(coverage)} windows; above z "
        f"{ALARM_Z:g} in a band: {count('alarm', 'has_ratio', event)} event windows, "
        f"{count('alarm', 'has_ratio', ~event)} Normal ones."
    )
    if not has_cross:
        return [ratio, "No transfer_function: the store contains no cross-spectra (data.cross_spectra)."]
    arrow = (
        f"transfer_function{ending} covers {int(coverage['has_arrow'].sum())} of {len(coverage)} windows; Z is "
        f"coherent in {count('coherent', 'has_arrow', event)} event windows, "
        f"{count('coherent', 'has_arrow', ~event)} Normal ones."
    )
    return [ratio, arrow]
