"""Input columns of the fitted baselines, and their encoding as numbers.

The allow-list of this module is the only path from a table of samples to a baseline, so that nothing derived from
recordings (noise floor, gaps, masks, checksums) reaches a non-magnetic baseline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray

# baseline -> its columns; other than station and start_utc they are optional, and a baseline without any is absent
BASELINE_COLUMNS: dict[str, tuple[str, ...]] = {
    "clock": ("start_utc", "local_hour"),
    "space_weather": ("kp_max", "dst_min_nt"),
    "era": ("start_utc", "station"),
    "catalogue_rate": ("past_rate",),
    "all_no_signal": ("station", "start_utc", "local_hour", "kp_max", "dst_min_nt", "past_rate"),
    "quality": ("gap_fraction", "masked_fraction", "noise_floor_nt", "h_axis_source", "origin"),
}
NON_MAGNETIC_COLUMNS = tuple(
    sorted({name for base, names in BASELINE_COLUMNS.items() if base != "quality" for name in names})
)
QUALITY_COLUMNS = BASELINE_COLUMNS["quality"]
OF_DAYS = "days"  # a baseline of all columns that it is given: those of the days of seismag.scoring.network
_PARTS_OF_ALL = ("station", "clock", "space_weather", "era", "catalogue_rate")  # of all_no_signal
_KNOTS = 6  # of a number: its minimum, quintiles and maximum in training
_ERA_KNOTS = 5  # quarters of the time of training
_DAY_H, _YEAR_D = 24.0, 365.25
_LOG_COLUMNS = ("past_rate", "noise_floor_nt")  # they span decades


def baseline_inputs(samples: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Select the allowed columns of a baseline; those without any value are left out."""
    names = [name for name in BASELINE_COLUMNS[baseline] if name in samples and samples[name].notna().any()]
    return samples[names]


@dataclass(frozen=True)
class Encoder:
    """Encoding of the columns of a baseline, fixed by the training windows.

    A number is encoded as linear hat functions on the quantiles of training, constant beyond them, so a logistic
    model on them is piecewise linear. A missing value is a category of its own: all hats are 0 and a flag is 1.

    Attributes:
        baseline: name of the baseline, or ``OF_DAYS``.
        knots: column -> knots of its hats.
        levels: column of names -> the names of training; another name is encoded as 0.
    """

    baseline: str
    knots: dict[str, FloatArray]
    levels: dict[str, pd.Index]

    def encode(self, inputs: pd.DataFrame) -> FloatArray:
        """Encode the windows as (n, number of features)."""
        parts = _PARTS_OF_ALL if self.baseline == "all_no_signal" else (self.baseline,)
        return np.hstack([block for part in parts for block in self._part(part, inputs)])

    def _part(self, part: str, inputs: pd.DataFrame) -> list[FloatArray]:
        if part == "station":
            return [self._one_hot(inputs, "station")]
        if part == "clock":
            return _clock(inputs)
        if part == "era":
            time = _hats(_days(inputs["start_utc"]), self.knots["start_utc"])
            station = self._one_hot(inputs, "station")
            return [time, (station[:, :, None] * time[:, None, :]).reshape(len(inputs), -1)]
        names = [name for name in (inputs if part == OF_DAYS else BASELINE_COLUMNS[part]) if name in inputs]
        return [self._one_hot(inputs, n) if n in self.levels else self._number(inputs, n) for n in names]

    def _one_hot(self, inputs: pd.DataFrame, name: str) -> FloatArray:
        code = self.levels[name].get_indexer(pd.Index(inputs[name].astype(str)))
        return (code[:, None] == np.arange(len(self.levels[name]))).astype(float)

    def _number(self, inputs: pd.DataFrame, name: str) -> FloatArray:
        values = _number_of(inputs, name)
        return np.column_stack([_hats(values, self.knots[name]), np.isnan(values).astype(float)])


def fit_encoder(train: pd.DataFrame, baseline: str) -> Encoder:
    """Take knots and names from the training windows (columns of ``baseline_inputs``)."""
    knots, levels = {}, {}
    for name in train:
        if name == "start_utc":
            knots[name] = _quantiles(_days(train[name]), _ERA_KNOTS)
        elif name == "local_hour":
            continue
        elif pd.api.types.is_numeric_dtype(train[name]):
            knots[name] = _quantiles(_number_of(train, name), _KNOTS)
        else:
            levels[name] = pd.Index(sorted(train[name].astype(str).unique()))
    return Encoder(baseline, knots, levels)


def _clock(inputs: pd.DataFrame) -> list[FloatArray]:
    """Two harmonics of the UTC hour of the start, of the local hour, and of the day of the year."""
    start = pd.to_datetime(inputs["start_utc"])
    hour = (start.dt.hour + start.dt.minute / 60).to_numpy(dtype=float)
    blocks = [_harmonics(hour / _DAY_H), _harmonics(start.dt.day_of_year.to_numpy(dtype=float) / _YEAR_D)]
    if "local_hour" in inputs:
        local = inputs["local_hour"].to_numpy(dtype=float)
        missing = np.isnan(local)
        waves = np.where(missing[:, None], 0.0, _harmonics(np.where(missing, 0.0, local) / _DAY_H))
        blocks += [waves, missing[:, None].astype(float)]
    return blocks


def _harmonics(phase: FloatArray) -> FloatArray:
    angle = 2 * np.pi * phase[:, None] * np.array([1.0, 2.0])
    return np.hstack([np.sin(angle), np.cos(angle)])


def _days(times: pd.Series) -> FloatArray:
    days: FloatArray = pd.to_datetime(times).to_numpy().astype("datetime64[ms]").astype(float) / 86_400_000
    return days


def _number_of(inputs: pd.DataFrame, name: str) -> FloatArray:
    values = inputs[name].to_numpy(dtype=float, na_value=np.nan)
    if name not in _LOG_COLUMNS:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(values)
    return np.where(np.isneginf(logs), np.nan, logs)  # a rate of 0 (no earthquake in the past) is a category of its own


def _quantiles(values: FloatArray, n: int) -> FloatArray:
    """Distinct knots; none where training has no value."""
    known = values[np.isfinite(values)]
    return np.unique(np.quantile(known, np.linspace(0, 1, n))) if known.size else np.zeros(0)


def _hats(values: FloatArray, knots: FloatArray) -> FloatArray:
    """Linear B-splines on the knots, constant beyond the outer ones; all 0 where the value is missing."""
    missing = np.isnan(values)
    filled = np.where(missing, 0.0, values)
    hats = [np.interp(filled, knots, unit) for unit in np.eye(len(knots))]
    return np.where(missing[:, None], 0.0, np.column_stack(hats)) if hats else np.zeros((len(values), 0))
