"""Placebo windows: labels without a precursor before them, otherwise made like the true ones.

- ``after_event``: the catalogue is shifted later by window and horizon, so that "event" windows begin after the origin
  of their earthquake, within the horizon.
- ``shifted``: the catalogue is shifted earlier by ``data.placebo_shift_d``, and "event" windows with it.
- ``wrong_station``: each station has the labels of another position.

No placebo event window lies before an eligible earthquake, and Normal windows are Normal by the true labels, too,
with their exclusion intervals. A model with skill only before earthquakes has none here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from seismag.archive.catalogs import Catalog
from seismag.archive.coverage import Coverage
from seismag.archive.indices import SpaceWeatherIndex
from seismag.config import DataConfig
from seismag.domain import Station, UsageError
from seismag.windows.labels import Labels, label_windows

_KEYS = ["station", "start_utc"]


def label_placebo_windows(
    windows: pd.DataFrame,
    catalog: Catalog,
    stations: dict[str, Station],
    spec: DataConfig,
    kp: SpaceWeatherIndex | None = None,
    dst: SpaceWeatherIndex | None = None,
) -> Labels:
    """Label windows by ``data.placebo``; arguments and result as in ``label_windows``.

    Windows before an eligible earthquake, and Normal ones that are not Normal by the true catalogue, are rejected as
    ``true_event`` and ``guard``.

    Raises:
        UsageError: wrong_station with a single station.
    """
    true = label_windows(windows, catalog, stations, spec, kp, dst)
    moved, places = catalog, stations
    if spec.placebo == "wrong_station":
        places = swap_positions(stations, sorted(windows["station"].unique()), spec.seed)
    else:
        after_event = spec.placebo == "after_event"
        moved = move_in_time(catalog, spec.window_h + spec.horizon_h if after_event else -24.0 * spec.placebo_shift_d)
    placebo = label_windows(windows, moved, places, spec, kp, dst)
    samples = placebo.samples
    moved_h = {
        code: (stations[code].longitude_deg - places[code].longitude_deg) / 15 for code in samples["station"].unique()
    }
    local_hour = np.mod(samples["local_hour"] + samples["station"].map(moved_h).astype(float), 24)
    samples = samples.assign(local_hour=local_hour)  # of the true longitude
    reason, detail = _true_objections(samples, true)
    kept = (reason == "").to_numpy()
    objected = samples.loc[~kept, ["station", "start_utc", "end_utc"]].assign(
        reason=reason[~kept], detail=detail[~kept]
    )
    return Labels(samples[kept].reset_index(drop=True), pd.concat([placebo.rejected, objected], ignore_index=True))


def move_in_time(catalog: Catalog, shift_h: float) -> Catalog:
    """Shift all earthquakes, and the coverage, by a number of hours (later: positive)."""
    shift = np.timedelta64(round(shift_h * 3_600_000), "ms")
    events = catalog.events.assign(origin_utc=catalog.events["origin_utc"] + shift)
    coverage = Coverage(tuple((start + shift, end + shift) for start, end in catalog.coverage.intervals))
    return replace(catalog, events=events, coverage=coverage)


def swap_positions(stations: dict[str, Station], used: list[str], seed: int) -> dict[str, Station]:
    """Assign each used station the position of another one by a random cycle, so that none keeps its own.

    Raises:
        UsageError: fewer than two stations are used.
    """
    if len(used) < 2:
        raise UsageError(
            f"data.placebo: wrong_station swaps the positions of stations, but the archive has only {', '.join(used)}."
            " Use after_event or shifted, or add a station."
        )
    cycle = [used[number] for number in np.random.default_rng([seed, 61]).permutation(len(used))]
    return stations | {
        code: replace(stations[other], code=code, name=stations[code].name)
        for code, other in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
    }


def _true_objections(samples: pd.DataFrame, true: Labels) -> tuple[pd.Series, pd.Series]:
    """Reasons and details why a window is excluded by the true catalogue ("": it is not)."""
    events = true.samples[true.samples["magnitude_class"] != "Normal"]
    sentence = "the true catalogue has " + events["event_id"].astype(str) + " in the horizon of this window"
    said = pd.concat([
        events[_KEYS].assign(reason="true_event", detail=sentence), true.rejected[[*_KEYS, "reason", "detail"]],
    ])  # fmt: skip
    known = samples[_KEYS].merge(said, how="left", on=_KEYS, validate="one_to_one").fillna("")
    # exclusion intervals concern Normal windows; event windows may follow an earthquake here
    wanted = (samples["magnitude_class"] != "Normal").to_numpy() & (known["reason"] == "guard").to_numpy()
    known.loc[wanted, ["reason", "detail"]] = ""
    return known["reason"].set_axis(samples.index), known["detail"].set_axis(samples.index)
