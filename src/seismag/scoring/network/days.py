"""UTC days from a table of predictions: their windows at all stations, their class, and their groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray, FloatArray, IndexArray
from seismag.scoring.baselines.inputs import NON_MAGNETIC_COLUMNS
from seismag.scoring.baselines.logistic import group_folds
from seismag.scoring.clusters import Clusters
from seismag.scoring.predictions import task_probabilities

_SMALLEST_P = 1e-6  # a probability of 0 or 1 would have infinite log-odds
_OF_DAY = {"kp_max": "max", "dst_min_nt": "min", "past_rate": "max"}  # of the windows of a day


@dataclass(frozen=True)
class Days:
    """Days and their windows.

    Attributes:
        table: one row a day: start_utc (midnight), is_event, split_group, n_windows, n_stations, ``at_<station>`` (1
            where the station has a window), and kp_max, dst_min_nt, past_rate where they are known.
        day: (n,) row of ``table`` of each window.
        station: (n,) index of the station.
        cell: (n,) index of run, fold and station: windows of one model at one station.
        model: (n,) index of run and fold.
        log_odds: (n,) of P(Event), as predicted.
        is_event: (n,) class of the window; a day is an event day where one of its windows is an event window.
        group: (n,) index of the split_group.
        left_out: days without an event window that have a window before an event of no interest (an aftershock).
    """

    table: pd.DataFrame
    day: IndexArray
    station: IndexArray
    cell: IndexArray
    model: IndexArray
    log_odds: FloatArray
    is_event: BoolArray
    group: IndexArray
    left_out: int

    @property
    def is_event_day(self) -> BoolArray:
        """(d,) whether a window of the day is an event window."""
        return self.table["is_event"].to_numpy(dtype=bool)

    @cached_property
    def clusters(self) -> Clusters:
        """Groups of the days, for intervals."""
        index = pd.factorize(self.table["split_group"], sort=True)[0]
        return Clusters(index, np.bincount(index, weights=self.is_event_day) > 0)

    def folds(self, within: BoolArray, most: int) -> list[tuple[BoolArray, BoolArray]]:
        """Divide days into folds of whole groups.

        Args:
            within: (d,) the days to divide.
            most: folds; fewer where there are fewer groups.

        Returns:
            Training and left-out days of each fold, (d,) each. Training days have no event cluster, and no Normal block
            of a control day, in common with left-out ones, so some days may be in neither.
        """
        chosen = np.flatnonzero(within)
        parts = []
        for train, left_out in group_folds(self.clusters.index[chosen], most):
            of_train, of_left_out = (self._marked(chosen[rows]) for rows in (train, left_out))
            parts.append((of_train & ~self._dependent_on(of_left_out), of_left_out))
        return parts

    def _marked(self, rows: IndexArray) -> BoolArray:
        marked = np.zeros(len(self.table), dtype=bool)
        marked[rows] = True
        return marked

    def _dependent_on(self, days: BoolArray) -> BoolArray:
        """Days (d,) with a group in common with some days, among the windows that give a day its class."""
        decides = self.is_event | ~self.is_event_day[self.day]
        groups = np.unique(self.group[decides & days[self.day]])
        return self._marked(self.day[decides & np.isin(self.group, groups)])


def find_days(rows: pd.DataFrame, of_interest: BoolArray, samples: pd.DataFrame | None = None) -> Days:
    """Collect the days of a table of predictions.

    An event day belongs to the event cluster of most of its event windows, a control day to the Normal block of most
    of its windows.

    Args:
        rows: the evaluated rows of PREDICTIONS.
        of_interest: (n,) windows that count: Normal ones and those before mainshocks. A day that has others, but no
            event window that counts, is neither an event day nor a control day, and is left out.
        samples: the store's table, which contains kp_max, dst_min_nt and past_rate.

    Returns:
        Days in order of time; there may be none.
    """
    rows = _with_columns(rows, samples)
    date = rows["start_utc"].to_numpy().astype("datetime64[D]")
    is_event = of_interest & (rows["y_magnitude"] != "Normal").to_numpy()
    unclear = np.setdiff1d(date[~of_interest], date[is_event])
    kept = of_interest & ~np.isin(date, unclear)
    rows, date, is_event = rows[kept], date[kept], is_event[kept]
    dates, day = np.unique(date, return_inverse=True)
    station, names = pd.factorize(rows["station"].astype(str), sort=True)
    p = np.clip(task_probabilities(rows, "detection")[:, 1], _SMALLEST_P, 1 - _SMALLEST_P)
    strata = [["run_id", "fold", "station"], ["run_id", "fold"]]
    cell, model = (rows.groupby(keys, observed=True, sort=True).ngroup().to_numpy() for keys in strata)
    group = pd.factorize(rows["split_group"].astype(str), sort=True)[0]
    is_event_day = np.bincount(day, weights=is_event, minlength=len(dates)) > 0
    reports = np.zeros((len(dates), len(names)), dtype=np.int64)
    reports[day, station] = 1
    table = pd.DataFrame(
        {
            "start_utc": dates.astype("datetime64[ns]"),
            "is_event": is_event_day,
            "split_group": _main_groups(rows, day, is_event | ~is_event_day[day]),
            "n_windows": np.bincount(day, minlength=len(dates)),
            "n_stations": reports.sum(axis=1),
        }
    )
    table = table.assign(**{f"at_{name}": reports[:, k] for k, name in enumerate(names)})
    for name, how in _OF_DAY.items():
        if name in rows:
            table[name] = rows[name].astype(float).groupby(day).agg(how).to_numpy()
    return Days(table, day, station, cell, model, np.log(p / (1 - p)), is_event, group, len(unclear))


def _with_columns(rows: pd.DataFrame, samples: pd.DataFrame | None) -> pd.DataFrame:
    """Add the columns of ``_OF_DAY`` from the samples; each of them is one that non-magnetic baselines may use."""
    if samples is None:
        return rows
    known = [name for name in _OF_DAY if name in samples and name in NON_MAGNETIC_COLUMNS]
    found = samples.set_index(samples["sample_id"].astype(str))[known].reindex(rows["sample_id"].astype(str))
    return rows.assign(**{name: found[name].to_numpy() for name in known})


def _main_groups(rows: pd.DataFrame, day: IndexArray, decides: BoolArray) -> list[str]:
    """The group of most of the windows that give each day its class; of equal ones the first name."""
    counts = pd.DataFrame({"day": day[decides], "group": rows["split_group"].astype(str).to_numpy()[decides]})
    sizes = counts.value_counts().reset_index(name="n")
    first = sizes.sort_values(["day", "n", "group"], ascending=[True, False, True]).drop_duplicates("day")
    return first["group"].tolist()
