"""Predictions for day files: read, check, cut into windows, transform as in training, classify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.config import DataConfig
from seismag.data import archive as archives
from seismag.data.quality import mask_artefacts
from seismag.data.recordings import Recording, read_recording
from seismag.data.spectrogram import power_spectrogram, to_decibel
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, Station
from seismag.learning.checkpoint import LoadedModel
from seismag.learning.inference import predict_power


def predict_recording(loaded: LoadedModel, path: Path, stations: dict[str, Station]) -> list[dict[str, Any]]:
    """Predict every window of every UTC day in a recording.

    Args:
        loaded: the model; its card says how the windows are transformed.
        path: a file of any supported format, 1 Hz.
        stations: positions, for the plausibility check; the file's own position serves where the code is missing.

    Returns:
        One entry a window, in time order: station, start_utc, end_utc, p_magnitude, p_azimuth (by class, None
        where not usable), usable, reason.

    Raises:
        DataError: the file cannot be read, or is not sampled at 1 Hz.
    """
    recording = read_recording(path)
    archives.require_one_hertz(recording, path)
    spec = DataConfig(**loaded.card["preprocessing"], **loaded.card.get("quality", {}))
    station = _station(recording, path, stations)
    days = archives.days_of(recording)
    return [entry for day in days for entry in _predict_day(loaded, recording, station, day, spec)]


def _predict_day(
    loaded: LoadedModel, recording: Recording, station: Station, day: np.datetime64, spec: DataConfig
) -> list[dict[str, Any]]:
    held = archives.cut_day([recording], station, day)
    verdict = archives.judge_day(held, station, day, spec)
    windows = archives.split_windows(mask_artefacts(held.field_nt, spec), spec)
    reasons = archives.unusable_windows(verdict, spec)
    usable = np.array([reason == "" for reason in reasons])
    power = to_decibel(power_spectrogram(windows[usable], spec))
    magnitude, azimuth, _ = predict_power(loaded, power)
    row = np.cumsum(usable) - 1
    length = np.timedelta64(spec.window_h, "h")
    entries = []
    for number, reason in enumerate(reasons):
        start = day.astype("datetime64[s]") + number * length
        entries.append(
            {
                "station": recording.station,
                "start_utc": f"{start}Z",
                "end_utc": f"{start + length}Z",
                "p_magnitude": None if reason else _by_class(MAGNITUDE_CLASSES, magnitude[row[number]]),
                "p_azimuth": None if reason else _by_class(AZIMUTH_CLASSES, azimuth[row[number]]),
                "usable": not reason,
                "reason": reason or None,
            }
        )
    return entries


def predictions_table(entries: list[dict[str, Any]], run_id: str) -> pd.DataFrame:
    """Spread entries of ``predict_recording`` into columns p_magnitude_<Class>, p_azimuth_<Class>."""
    rows = []
    for entry in entries:
        row = {key: entry[key] for key in ("station", "start_utc", "end_utc", "usable", "reason")}
        for task, classes in (("p_magnitude", MAGNITUDE_CLASSES), ("p_azimuth", AZIMUTH_CLASSES)):
            row |= {f"{task}_{name}": (entry[task] or {}).get(name, np.nan) for name in classes}
        rows.append(row)
    return pd.DataFrame(rows).assign(run_id=run_id)


def _by_class(classes: tuple[str, ...], probabilities: Any) -> dict[str, float]:
    return {name: float(value) for name, value in zip(classes, probabilities, strict=True)}


def _station(recording: Recording, path: Path, stations: dict[str, Station]) -> Station:
    if recording.station in stations:
        return stations[recording.station]
    if np.isfinite([recording.latitude_deg, recording.longitude_deg]).all():
        return Station(recording.station, recording.latitude_deg, recording.longitude_deg)
    raise DataError(
        f"{path}: the position of station {recording.station or '(none named)'} is unknown, so its field cannot be "
        "checked. Name it in a station file (--stations).",
        "unknown_station",
    )
