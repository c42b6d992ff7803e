"""Control windows, matched to event windows in station, hour, space weather and season."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.indices import SpaceWeatherIndex
from seismag.config import DataConfig
from seismag.windows.labels import Labels

NORMAL_STATIONS = 2  # of the Normal windows, with controls: other_stations
_YEAR_D = 365.25
_COMMON_YEAR_D = 365


def choose_controls(labels: Labels, spec: DataConfig, kp: SpaceWeatherIndex | None = None) -> Labels:
    """Keep all event windows and their control windows.

    Adds ``control_of`` (sample_id of the event window) and ``matched`` (an event window has all its controls; a
    control: True). Normal windows that are not controls go to ``rejected``.
    """
    samples = labels.samples
    normal = (samples["magnitude_class"] == "Normal").to_numpy()
    if spec.controls == "all":
        chosen: dict[int, str | None] = dict.fromkeys(map(int, np.flatnonzero(normal)))
    elif spec.controls == "matched":
        chosen = _matched_controls(samples, normal, spec)
    else:  # the rules of earlier systems, for comparison
        if spec.controls == "quiet_days":  # of any station, on days with Kp below 2
            if kp is None:
                raise ValueError("controls: quiet_days needs the Kp index")
            days = samples["start_utc"].to_numpy().astype("datetime64[D]").astype("datetime64[ms]")
            candidates = np.flatnonzero(normal & (kp.maximum(days, days + np.timedelta64(1, "D")) < 2.0))
        else:  # of the stations with most Normal windows, as in a published table
            counts = samples.loc[normal, "station"].value_counts().rename_axis("code").reset_index(name="n")
            ranking = counts.sort_values(["n", "code"], ascending=[False, True])["code"]
            candidates = np.flatnonzero(normal & samples["station"].isin(ranking.head(NORMAL_STATIONS)).to_numpy())
        wanted = min(int((~normal).sum()) * spec.controls_per_positive, candidates.size)
        picks = np.random.default_rng(spec.seed).choice(candidates, wanted, replace=False)
        chosen = dict.fromkeys(map(int, np.sort(picks)))
    keep = ~normal
    keep[list(chosen)] = True
    control_of = pd.Series(None, index=samples.index, dtype=object)
    for row, owner in chosen.items():
        control_of[row] = owner
    owners = control_of.value_counts()
    complete = samples["sample_id"].map(owners).fillna(0).to_numpy() >= spec.controls_per_positive
    kept = samples.assign(control_of=control_of, matched=complete | control_of.notna().to_numpy())[keep]
    unused = samples.loc[~keep, ["station", "start_utc", "end_utc"]].assign(
        reason="not_a_control", detail=f"Normal, but no control of an event window (data.controls: {spec.controls})"
    )
    return Labels(kept.reset_index(drop=True), pd.concat([labels.rejected, unused], ignore_index=True))


def _matched_controls(samples: pd.DataFrame, normal: NDArray[np.bool_], spec: DataConfig) -> dict[int, str | None]:
    """Choose controls of the same station and UTC slot, similar in Kp, season and date; each is used once.

    Event windows with few candidates come first, so that they get a control.
    """
    chosen: dict[int, str | None] = {}
    starts = samples["start_utc"].to_numpy().astype("datetime64[ms]")
    days = starts.astype("datetime64[D]").astype(int)
    day_of_year = (starts.astype("datetime64[D]") - starts.astype("datetime64[Y]")).astype(int)
    kp_max = samples["kp_max"].to_numpy()
    slot = (starts - starts.astype("datetime64[D]")).astype(int)
    for (code, _), rows in samples.groupby(["station", slot], sort=True).indices.items():
        rng = np.random.default_rng([spec.seed, zlib.crc32(str(code).encode()), int(slot[rows[0]])])
        quiet, events = rows[normal[rows]], rows[~normal[rows]]
        if not (quiet.size and events.size):
            continue
        season = np.abs(day_of_year[events][:, None] - day_of_year[quiet][None, :])
        fits = np.minimum(season, _COMMON_YEAR_D - season) <= spec.match_day_of_year
        fits &= np.abs(days[events][:, None] - days[quiet][None, :]) <= spec.match_years * _YEAR_D
        if spec.match_kp is not None and np.isfinite(kp_max[rows]).any():
            fits &= np.abs(kp_max[events][:, None] - kp_max[quiet][None, :]) <= spec.match_kp + 1e-6
        for event in np.argsort(fits.sum(axis=1), kind="stable"):
            free = np.flatnonzero(fits[event])
            for pick in rng.permutation(free)[: spec.controls_per_positive]:
                chosen[int(quiet[pick])] = str(samples["sample_id"].iat[events[event]])
                fits[:, pick] = False
    return chosen
