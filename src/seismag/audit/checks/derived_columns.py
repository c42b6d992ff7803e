"""Columns that are derived from others and contain no geomagnetic data: calendar, order, file names, and pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.arrays import FloatArray
from seismag.audit.checks.class_by import Feature, count_epochs, epoch_codes, is_constant, quantile_codes
from seismag.audit.checks.out_of_fold import Index
from seismag.audit.checks.permutation import cross_codes

MIN_YEARS = 3  # in fewer a month is an instrument epoch too short to test (a quiet month is no error)
OWN_FAMILIES = ("calendar", "edges", "file", "instrument", "lowest_bins", "order", "pairs")  # of no column
PAIRED_FAMILIES = ("station", "hour", "space_weather", "era", "calendar", "quality", "source", "file")
PAIRED_WITH_STATION = ("hour", "calendar", "file")
_NOT_PAIRED = ("season of", "day of the month of", "minute of", "second of")
_PAIR_BINS, _PAIR_LEVELS = 4, 20  # bins of a number in a pair, and categories (the rarer ones are one)
_FILE_DAYS = 27.0  # files written within so many days have no date of their own
_MIN_NAMES = 0.9  # fraction of the names with so many numbers
_DATE_FORMS = {
    "%Y%m%d": 8, "%y%m%d": 6, "%Y%j": 7, "%y%j": 5, "%Y%m%d%H": 10, "%Y%m%d%H%M": 12, "%Y%m%d%H%M%S": 14,
}  # fmt: skip
_DATE_IN_PARTS = r"(?<!\d)((?:19|20)\d\d)[-_.](\d\d)[-_.](\d\d)(?!\d)"


def calendar_features(column: str, times: NDArray[np.datetime64]) -> list[Feature]:
    """Weekday, minute and second of times (n,), and over three years or more day of the month, month and season."""
    time = pd.DatetimeIndex(times.astype("datetime64[s]"))
    parts = {"weekday": time.day_of_week, "minute": time.minute, "second": time.second}
    if spans_years(times):
        parts |= {"day of the month": time.day, "month": time.month, "season": time.month % 12 // 3}
    found = []
    for name, values in parts.items():
        code = quantile_codes(np.asarray(values, dtype=float), 12 if name == "month" else 7)
        found.append(Feature(f"{name} of {column}", "calendar", code))
    return [feature for feature in found if not is_constant(feature.code)]


def spans_years(times: NDArray[np.datetime64]) -> bool:
    """Whether times (n,) span so many years that a month is more than an instrument epoch."""
    time = pd.DatetimeIndex(times.astype("datetime64[s]"))
    return bool(time.year.nunique() > MIN_YEARS or (time.max() - time.min()).days >= MIN_YEARS * 365)


def order_features(times: NDArray[np.datetime64] | None, n_rows: int, blocking: bool) -> list[Feature]:
    """Position of the row (n,), in as many bins as there are instrument epochs; none where there is one epoch only.

    A table may be sorted by its class, so there the order is informational.
    """
    n_bins = 6 if times is None else count_epochs(times)
    if n_bins < 2:
        return []
    code = quantile_codes(np.arange(n_rows, dtype=float), n_bins)
    return [Feature("order of the rows", "order", code, blocking=blocking)]


def name_features(column: str, names: pd.Series, times: pd.Series | None = None) -> list[Feature]:
    """Length, folder, extension and letters of names, and the numbers that nearly all of them contain.

    A date among the numbers is tested by epochs; where the times of the rows are known and it is theirs, it is not
    tested again.
    """
    text = names.astype(object).where(names.notna(), "").astype(str).str.replace("\\", "/")
    stem = text.str.rsplit("/", n=1).str.get(-1)
    values = [(f"length of {column}", quantile_codes(text.str.len().to_numpy(dtype=float)))]
    parts = {
        "folder": text.str.rpartition("/")[0], "extension": stem.str.extract(r"(\.[^.]*)$")[0].fillna(""),
        "letters": stem.str.replace(r"\d+", "#", regex=True),
    }  # fmt: skip
    for name, part in parts.items():
        if part.nunique() <= _PAIR_LEVELS * 3:
            values.append((f"{name} of {column}", np.unique(part, return_inverse=True)[1].astype(np.intp)))
    joined = stem.str.replace(_DATE_IN_PARTS, r"\1\2\3", regex=True)
    numbers = joined.str.findall(r"\d+")
    counts = numbers.str.len()
    n_numbers = int(counts.mode().iloc[0])
    if (counts == n_numbers).mean() >= _MIN_NAMES:
        for position in range(n_numbers):
            values.append((f"number {position + 1} of {column}", number_codes(numbers.str.get(position), times)))
    else:
        values.append((f"numbers in {column}", quantile_codes(counts.to_numpy(dtype=float))))
    return _distinct([Feature(name, "file", code) for name, code in values])


def number_codes(texts: pd.Series, times: pd.Series | None = None) -> Index:
    """Bins (n,) of numbers given as text: of dates by epochs, of others between quantiles.

    ``times`` are those of the rows: one bin for numbers that are their dates, since the times themselves are tested.
    """
    for form, n_digits in _DATE_FORMS.items():
        if (texts.str.len() == n_digits).mean() < _MIN_NAMES:
            continue
        dates = pd.to_datetime(texts, format=form, errors="coerce")
        if dates.between("1970-01-01", "2100-01-01").mean() < _MIN_NAMES:
            continue
        if times is None:
            return epoch_codes(dates.to_numpy())
        if ((dates.dt.normalize() - times.dt.normalize()).abs() <= pd.Timedelta(days=1)).mean() >= _MIN_NAMES:
            return np.zeros(len(texts), dtype=np.intp)
    return quantile_codes(pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float))


def file_time_codes(times: NDArray[np.datetime64]) -> Index:
    """Bins (n,) of the times at which files were written; of files as old as their recordings by epochs."""
    seconds = times.astype("datetime64[s]").astype(float)
    seconds[np.isnat(times)] = np.nan
    is_short = np.isfinite(seconds).any() and np.nanmax(seconds) - np.nanmin(seconds) < _FILE_DAYS * 86400
    return quantile_codes(seconds) if is_short else epoch_codes(times)


def pair_features(features: Sequence[Feature]) -> list[Feature]:
    """Pairs of blocking columns of different families, in coarse bins; of a date weekday and month only.

    The station is paired with hour, calendar and file names: ``skill_above_station`` combines it with the others, but
    permutes within stations, where a time that many stations have in common would count as often. File names are
    paired with the station only.
    """
    members = [
        feature for feature in features
        if feature.blocking and feature.family in PAIRED_FAMILIES and not is_constant(feature.code)
        and not feature.name.startswith(_NOT_PAIRED)
    ]  # fmt: skip
    pairs = []
    for one, other in combinations(members, 2):
        families = {one.family, other.family}
        others = families - {"station"}
        is_pair = others <= set(PAIRED_WITH_STATION) if "station" in families else "file" not in families
        if len(families) < 2 or not is_pair:
            continue
        code = cross_codes(coarse_codes(one), coarse_codes(other))
        pairs.append(Feature(f"{one.name} x {other.name}", "pairs", code))
    return pairs


def coarse_codes(feature: Feature) -> Index:
    """Bins (n,) of a feature for a pair: neighbouring bins of a number together, rare categories together."""
    n_bins = int(feature.code.max()) + 1
    if not feature.levels:
        return feature.code if n_bins <= _PAIR_BINS else feature.code * _PAIR_BINS // n_bins
    counts: FloatArray = np.bincount(feature.code, minlength=n_bins).astype(float)
    rank = np.argsort(np.argsort(-counts, kind="stable"))
    return np.minimum(rank[feature.code], _PAIR_LEVELS).astype(np.intp)


def _distinct(features: Sequence[Feature]) -> list[Feature]:
    """Features that vary, without those that repeat the bins of an earlier one."""
    seen: set[bytes] = set()
    kept = []
    for feature in features:
        if not is_constant(feature.code) and feature.code.tobytes() not in seen:
            seen.add(feature.code.tobytes())
            kept.append(feature)
    return kept
