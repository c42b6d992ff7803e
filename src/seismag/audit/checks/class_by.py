"""Tests whether station, hour, instrument epoch, space weather, source or quality alone predict the class.

The columns of one family are tested together: the statistic is that of the strongest, over common permutations.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import FloatArray
from seismag.audit.checks.out_of_fold import GroupedLabels, Index, Scores, assign_folds, out_of_fold
from seismag.audit.checks.permutation import ColumnTest, compare_codes, cross_codes
from seismag.config import AuditConfig
from seismag.estimate import CheckResult

MINIMUM_GAIN = 0.03  # of accuracy or balanced accuracy over their means under permutation
MAX_EPOCHS, MIN_EPOCH_DAYS = 8, 54.0  # an epoch contains at least two of the 27-day blocks of control windows
_MIN_ROWS = 10
_PAIR_DRAWS = 2999  # of pairs, of which there are many: the smallest p is rejected among up to 30 checks
_INFORMATIONAL_DRAWS = 1999  # permutations of a check whose p-value is not corrected for the others
_FEW_SITES = 2  # a class from at most this many stations or sources, of twice as many, is named


@dataclass(frozen=True)
class Feature:
    """A binned column."""

    name: str  # of the column
    family: str  # as in docs/method.md, "era" for instrument epochs, or the column's own name
    code: Index  # (n,) bin of each row, from 0
    levels: tuple[str, ...] = ()  # names of the bins where they are categories
    blocking: bool = True  # the column contains no geomagnetic data, so that it must not predict the class


@dataclass(frozen=True)
class Labelled:
    """The labelled rows of an audit and the folds that all its tests use."""

    labels: GroupedLabels
    classes: tuple[str, ...]
    folds: Index
    spec: AuditConfig

    @classmethod
    def build(cls, y: Index, group: Index, classes: Sequence[str], spec: AuditConfig) -> Labelled:
        """Assign the groups to the folds of each partition."""
        labels = GroupedLabels(y.astype(np.intp), group.astype(np.intp), len(classes))
        rng = np.random.default_rng(spec.seed)
        return cls(labels, tuple(classes), assign_folds(labels.n_groups, spec.folds, spec.partitions, rng), spec)

    def compare(
        self, test: str, codes: dict[str, Index], labels: GroupedLabels, draws: int | None = None
    ) -> ColumnTest:
        """``compare_codes`` with a generator that depends on the seed and the name of the test only.

        ``draws`` is the largest number of permutations; None: as configured.
        """
        rng = np.random.default_rng([self.spec.seed, zlib.crc32(test.encode())])
        n_draws = min(draws or self.spec.permutations, self.spec.permutations)
        return compare_codes(codes, labels, self.folds, self.spec.model_copy(update={"permutations": n_draws}), rng)

    def scores(self, code: Index) -> Scores:
        """Out-of-fold scores of one column alone."""
        return out_of_fold(code, self.labels, self.folds)


def category_codes(values: pd.Series) -> tuple[Index, tuple[str, ...]]:
    """Code (n,) and names of the categories, a missing value last."""
    text = values.astype(object).where(values.notna(), None)
    code, levels = pd.factorize(text, sort=True)
    names = tuple(str(level) for level in levels)
    if (code < 0).any():
        code, names = np.where(code < 0, len(names), code), (*names, "missing")
    return code.astype(np.intp), names


def quantile_codes(values: FloatArray, n_bins: int = 6) -> Index:
    """Bin (n,) between quantiles, or of each value where few differ; missing values have a bin of their own."""
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    distinct = np.unique(values[known])
    if len(distinct) <= n_bins:
        code = np.searchsorted(distinct, values)
    else:
        edges = np.unique(np.quantile(values[known], np.arange(1, n_bins) / n_bins))
        code = np.searchsorted(edges, values, side="right")
    return np.unique(np.where(known, code, -1), return_inverse=True)[1].reshape(-1).astype(np.intp)


def epoch_codes(times: NDArray[np.datetime64]) -> Index:
    """Epoch (n,): at most eight of equal numbers of rows, 54 days long on average, so that no month is an epoch."""
    n_epochs = count_epochs(times)
    return quantile_codes(_days(times), n_epochs) if n_epochs > 1 else np.zeros(len(times), dtype=np.intp)


def count_epochs(times: NDArray[np.datetime64]) -> int:
    """Number of instrument epochs of times (n,), 1 to 8."""
    days = _days(times)
    span = np.nanmax(days) - np.nanmin(days) if np.isfinite(days).any() else 0.0
    return int(np.clip(span // MIN_EPOCH_DAYS, 1, MAX_EPOCHS))


def is_constant(code: Index) -> bool:
    """Whether all rows lie in one bin."""
    return bool((code == code[0]).all())


def check_class_by(name: str, features: Sequence[Feature], data: Labelled, combined: bool = True) -> CheckResult:
    """Test whether the columns of one family predict the class, each alone or, where ``combined``, two or three."""
    codes = {feature.name: feature.code for feature in features}
    if combined and 2 <= len(codes) <= 3:
        codes[" and ".join(codes)] = cross_codes(*codes.values())
    draws = None if all(feature.blocking for feature in features) else _INFORMATIONAL_DRAWS
    found = data.compare(name, codes, data.labels, draws if combined else _PAIR_DRAWS)
    sentence = f"{found.strongest} alone predicts the class out of fold with {against_null(found, 'between groups')}."
    for feature in features:
        sentence += _sites_text(feature, data)
    return result_of(name, sentence, found, features)


def check_skill_above_station(station: Feature, others: Sequence[Feature], data: Labelled) -> CheckResult:
    """Test what other columns add to the station: each is combined with it, and permutations stay within stations."""
    name = "skill_above_station"
    labels = dataclasses.replace(data.labels, stratum=station.code)
    codes = {feature.name: cross_codes(station.code, feature.code) for feature in others}
    found = data.compare(name, codes, labels)
    table = pd.crosstab(station.code, data.labels.y).to_numpy()
    varied = int(((table > 0).sum(axis=1) > 1).sum())
    sentence = (
        f"With {found.strongest}, the station predicts the class out of fold with "
        f"{against_null(found, 'within stations')}. The class varies at {varied} of {len(table)} stations; "
        f"the station alone reaches accuracy {data.scores(station.code).accuracy:.3f}."
    )
    return result_of(name, sentence, found, others, stations_where_the_class_varies=varied)


def _days(times: NDArray[np.datetime64]) -> FloatArray:
    days = times.astype("datetime64[s]").astype(float) / 86400.0
    days[np.isnat(times)] = np.nan
    return days


def result_of(
    name: str, sentence: str, found: ColumnTest, features: Sequence[Feature], **details: object
) -> CheckResult:
    """Open check of the strongest of several columns; ``details`` are added to its own."""
    return CheckResult(
        name,
        sentence,
        statistic=found.statistic,
        statistic_name="information gain, out of fold (nat per row)",
        null=found.null.interval(),
        p_value=found.p_value,
        placebo_rate=found.placebo_rate,
        above_minimum=found.accuracy_gain >= MINIMUM_GAIN,
        blocking=all(feature.blocking for feature in features),
        details={
            "column": found.strongest, "accuracy": found.scores.accuracy,
            "balanced_accuracy": found.scores.balanced_accuracy, "accuracy_gain": found.accuracy_gain,
            "balanced_accuracy_null": found.null_scores.balanced_accuracy,
            "balanced_accuracy_spread": found.null_spread.balanced_accuracy, "smallest_p": found.smallest_p,
            "draws": len(found.null.values), **details,
        },
    )  # fmt: skip


def against_null(found: ColumnTest, where: str) -> str:
    """Scores of the strongest column, and their means under permutation."""
    scores, null = found.scores, found.null_scores
    return (
        f"accuracy {scores.accuracy:.3f} and balanced accuracy {scores.balanced_accuracy:.3f}; classes permuted "
        f"{where} give {null.accuracy:.3f} and {null.balanced_accuracy:.3f}"
    )


def _sites_text(feature: Feature, data: Labelled) -> str:
    """Sentences on the classes that come from one or two stations or sources only, where there are more."""
    if not feature.blocking or feature.family not in ("station", "source") or len(feature.levels) < 2 * _FEW_SITES:
        return ""
    noun = "stations" if feature.family == "station" else f"values of {feature.name}"
    text = ""
    for c, class_name in enumerate(data.classes):
        counts = np.bincount(feature.code[data.labels.y == c], minlength=len(feature.levels))
        sites = np.flatnonzero(counts)
        if len(sites) <= _FEW_SITES and counts.sum() >= _MIN_ROWS:
            ranked = sorted(sites, key=lambda site: -counts[site])
            listed = " and ".join(f"{feature.levels[site]} ({counts[site]})" for site in ranked)
            n_levels = len(feature.levels)
            text += f" {class_name} ({counts.sum()} rows) comes from {len(sites)} of {n_levels} {noun}: {listed}."
    return text
