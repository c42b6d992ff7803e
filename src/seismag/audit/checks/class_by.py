"""Does the station, the clock, the era, space weather, source or quality alone tell the class?

Columns of one family are asked together: their test takes the strongest of them, over the same shuffles.
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
from seismag.audit.checks.permutation import (
    PLACEBO_LIMIT,
    Draws,
    GroupedLabels,
    Index,
    NullTest,
    Scores,
    compare_codes,
    cross_codes,
    draw_folds,
    out_of_fold,
)
from seismag.config import AuditConfig
from seismag.estimate import CheckResult

# of accuracy or balanced accuracy over their means where the class is shuffled, below which a small p fails no gate
MINIMUM_GAIN = 0.03
N_BINS = 6
MAX_ERAS, MIN_ERA_DAYS = 8, 54.0  # an era holds at least two of the 27-day blocks of Normal windows
_MIN_ROWS = 10
_FEW_PLACES = 2  # a class from this many stations or sources, where others have more, is named
_NAMED_PLACES = 4


@dataclass(frozen=True)
class Feature:
    """A column as bins.

    Attributes:
        name: of the column.
        family: station, era, hour, space_weather, source, quality, or the column's own name.
        code: (n,) bin of each row, from 0.
        levels: names of the bins where they are categories.
        gates: the column is no measurement of the field, so that a class told by it is a fault.
    """

    name: str
    family: str
    code: Index
    levels: tuple[str, ...] = ()
    gates: bool = True


@dataclass(frozen=True)
class Labelled:
    """The labelled rows of an audit and the folds that all its tests share."""

    labels: GroupedLabels
    classes: tuple[str, ...]
    folds: Index
    spec: AuditConfig

    @classmethod
    def build(cls, y: Index, group: Index, classes: Sequence[str], spec: AuditConfig) -> Labelled:
        """Draw the partitions of the groups into folds."""
        labels = GroupedLabels(y.astype(np.intp), group.astype(np.intp), len(classes))
        rng = np.random.default_rng(spec.seed)
        return cls(labels, tuple(classes), draw_folds(labels.n_groups, spec.folds, spec.partitions, rng), spec)

    def draws(self, name: str) -> Draws:
        """The draws of one test; its generator depends on the seed and the test's name only."""
        rng = np.random.default_rng([self.spec.seed, zlib.crc32(name.encode())])
        return Draws(self.spec.permutations, self.spec.placebos, self.folds, rng)

    def scores(self, code: Index) -> Scores:
        """Out-of-fold scores of one column alone."""
        return out_of_fold(code, self.labels, self.folds)


def category_codes(values: pd.Series) -> tuple[Index, tuple[str, ...]]:
    """Number the values of a category, the missing one last, and name them."""
    text = values.astype(object).where(values.notna(), None)
    code, levels = pd.factorize(text, sort=True)
    names = tuple(str(level) for level in levels)
    if (code < 0).any():
        code, names = np.where(code < 0, len(names), code), (*names, "missing")
    return code.astype(np.intp), names


def quantile_codes(values: FloatArray, n_bins: int = N_BINS) -> Index:
    """Bin numbers at their quantiles, or each by itself where few differ; missing ones have a bin of their own."""
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    distinct = np.unique(values[known])
    if len(distinct) <= n_bins:
        code = np.searchsorted(distinct, values)
    else:
        edges = np.unique(np.quantile(values[known], np.arange(1, n_bins) / n_bins))
        code = np.searchsorted(edges, values, side="right")
    return np.unique(np.where(known, code, -1), return_inverse=True)[1].reshape(-1).astype(np.intp)


def era_codes(times: NDArray[np.datetime64]) -> Index:
    """Bin times into at most eight eras of as many rows, each of 54 days at least on average; one where time is short.

    An era is longer than two blocks of Normal windows, so that a quiet month is none.
    """
    days = times.astype("datetime64[s]").astype(float) / 86400.0
    days[np.isnat(times)] = np.nan
    span = np.nanmax(days) - np.nanmin(days) if np.isfinite(days).any() else 0.0
    n_eras = int(np.clip(span // MIN_ERA_DAYS, 1, MAX_ERAS))
    return quantile_codes(days, n_eras) if n_eras > 1 else np.zeros(len(days), dtype=np.intp)


def is_constant(code: Index) -> bool:
    """Whether all rows lie in one bin."""
    return bool((code == code[0]).all())


def check_class_by(family: str, features: Sequence[Feature], data: Labelled, name: str | None = None) -> CheckResult:
    """Ask whether the columns of one family, each alone or (of two or three) together, tell the class.

    Args:
        family: of the columns.
        features: its columns, none constant.
        data: classes, groups, folds.
        name: of the test; ``class_by_<family>`` where not given.

    Returns:
        A result with an open verdict; it gates where all its columns do.
    """
    name = name or f"class_by_{family}"
    codes = {feature.name: feature.code for feature in features}
    if 2 <= len(codes) <= 3:
        codes[" and ".join(codes)] = cross_codes(*codes.values())
    found = compare_codes(codes, data.labels, data.draws(name))
    sentence = f"{found.strongest} alone predicts the class out of fold with {_against_null(found, 'between groups')}."
    for feature in features:
        sentence += _places_text(feature, data)
    return _result(name, sentence, found, gates=all(feature.gates for feature in features))


def check_skill_above_station(station: Feature, others: Sequence[Feature], data: Labelled) -> CheckResult:
    """Ask what the other columns tell beyond the station: the class is shuffled within each station only.

    The statistic is that of the strongest other column crossed with the station.
    """
    name = "skill_above_station"
    labels = dataclasses.replace(data.labels, stratum=station.code)
    codes = {f.name: cross_codes(station.code, f.code) for f in others}
    found = compare_codes(codes, labels, data.draws(name))
    table = pd.crosstab(station.code, data.labels.y).to_numpy()
    varied = int(((table > 0).sum(axis=1) > 1).sum())
    alone = data.scores(station.code)
    sentence = (
        f"With {found.strongest}, the station predicts the class out of fold with "
        f"{_against_null(found, 'within stations')}. The class varies at {varied} of {len(table)} stations; "
        f"the station alone reaches accuracy {alone.accuracy:.3f}."
    )
    return _result(name, sentence, found, gates=all(f.gates for f in others), stations_where_the_class_varies=varied)


def _result(name: str, sentence: str, found: NullTest, gates: bool, **details: float) -> CheckResult:
    if found.placebo_rate > PLACEBO_LIMIT:
        sentence += (
            f" On tables without association p falls to 0.05 in {100 * found.placebo_rate:.0f} % of cases, not 5 %: "
            "this p is too small."
        )
    return CheckResult(
        name,
        sentence,
        statistic=found.statistic,
        statistic_name="information gain, out of fold (nat a row)",
        null=found.interval(),
        p_value=found.p_value,
        placebo_rate=found.placebo_rate,
        material=found.accuracy_gain >= MINIMUM_GAIN,
        gates=gates,
        details={
            "column": found.strongest,
            "accuracy": found.scores.accuracy,
            "balanced_accuracy": found.scores.balanced_accuracy,
            "accuracy_gain": found.accuracy_gain,
            "draws": len(found.null),
            **details,
        },
    )


def _against_null(found: NullTest, where: str) -> str:
    scores, shuffled = found.scores, found.shuffled_scores
    return (
        f"accuracy {scores.accuracy:.3f} and balanced accuracy {scores.balanced_accuracy:.3f}; classes shuffled "
        f"{where} give {shuffled.accuracy:.3f} and {shuffled.balanced_accuracy:.3f}"
    )


def _places_text(feature: Feature, data: Labelled) -> str:
    """Name the classes that come from one or two places only, where there are more."""
    if not feature.levels or not feature.gates or feature.family not in ("station", "source"):
        return ""
    counts = np.zeros((len(feature.levels), len(data.classes)), dtype=int)
    np.add.at(counts, (feature.code, data.labels.y), 1)
    noun = "stations" if feature.family == "station" else f"values of {feature.name}"
    text = ""
    for c, class_name in enumerate(data.classes):
        places = np.flatnonzero(counts[:, c])
        if len(feature.levels) >= 2 * _FEW_PLACES and len(places) <= _FEW_PLACES and counts[:, c].sum() >= _MIN_ROWS:
            ranked = sorted(places, key=lambda place: -counts[place, c])[:_NAMED_PLACES]
            listed = " and ".join(f"{feature.levels[place]} ({counts[place, c]})" for place in ranked)
            text += (
                f" {class_name} ({counts[:, c].sum()} rows) comes from {len(places)} of {len(feature.levels)} {noun}: "
                f"{listed}."
            )
    return text
