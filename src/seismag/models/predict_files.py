"""Predictions for day files: read, check, cut into windows, transform as in training, classify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.archive import survey as archives
from seismag.config import DataConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, SeismagError, Station, UsageError
from seismag.recordings import Recording, read_recording
from seismag.recordings.claims import read_claim
from seismag.recordings.days import days_of, require_one_hertz
from seismag.spectrogram.decibels import window_spectra
from seismag.training.checkpoint import LoadedModel, is_image
from seismag.training.inference import predict_power
from seismag.windows.labels import daily_windows


def predict_recording(loaded: LoadedModel, path: Path, stations: dict[str, Station]) -> list[dict[str, Any]]:
    """Predict every window of every UTC day in a recording.

    Args:
        loaded: the model; its card says how the windows are transformed.
        path: a file of any supported format, 1 Hz.
        stations: positions, for the plausibility check; the file's own position serves where the code is missing.

    Returns:
        One entry a window, in time order: station, start_utc, end_utc, p_magnitude, p_azimuth (by class, None
        where not usable), usable, reason, origin (of the recording; None where it could not be read).

    Raises:
        SeismagError: the model reads pictures.
        DataError: the file cannot be read, or is not sampled at 1 Hz.
        UsageError: the model scales windows by the weeks before them, which a file does not hold.
    """
    spec = _spec_of(loaded)
    _require_no_past(loaded)
    recording = read_recording(path)
    require_one_hertz(recording, path.name)
    station = _station(recording, path, stations)
    days = days_of(recording)
    return [entry for day in days for entry in _predict_day(loaded, recording, station, day, spec)]


def unusable_entries(
    loaded: LoadedModel, path: Path, stations: dict[str, Station], reason: str
) -> list[dict[str, Any]]:
    """Entries of an input that could not be used: the windows that it claims to hold, else one without times.

    Args:
        loaded: the model, for the length of the windows.
        path: a recording or a store.
        stations: a name may claim only one of these.
        reason: the sentence.
    """
    claim = read_claim(path)
    starts, ends = daily_windows(claim.days, _spec_of(loaded).window_h)
    if claim.station not in stations or not len(starts):
        return [_unusable(claim.station if claim.station in stations else None, None, None, reason)]
    return [
        _unusable(claim.station, f"{start.astype('M8[s]')}Z", f"{end.astype('M8[s]')}Z", reason)
        for start, end in zip(starts, ends, strict=True)
    ]


def _unusable(station: str | None, start_utc: str | None, end_utc: str | None, reason: str) -> dict[str, Any]:
    nothing = {"p_magnitude": None, "p_azimuth": None, "usable": False, "reason": reason, "origin": None}
    return {"station": station, "start_utc": start_utc, "end_utc": end_utc, **nothing}


def _require_no_past(loaded: LoadedModel) -> None:
    normalisation = loaded.card.get("normalisation", {"method": "training"})
    if normalisation["method"] == "trailing":
        raise UsageError(
            f"model {loaded.card['run_id']} scales each window by at least {normalisation['trailing_min']} windows of "
            f"its station within the {normalisation['trailing_days']:g} days before it "
            "(train.normalisation=trailing), and a day file does not hold them. Prepare the station's days into a "
            "store with 'seismag prepare --set data.controls=all' and predict that."
        )


def _spec_of(loaded: LoadedModel) -> DataConfig:
    if is_image(loaded.card["preprocessing"]):
        raise SeismagError(
            f"{loaded.path}: was trained on pictures of an earlier system, whose scale and axes are not known, so it "
            "cannot classify recordings. Train a model on a store of recordings ('seismag prepare --archive DIR')."
        )
    return DataConfig(**loaded.card["preprocessing"], **loaded.card.get("quality", {}))


def _predict_day(
    loaded: LoadedModel, recording: Recording, station: Station, day: np.datetime64, spec: DataConfig
) -> list[dict[str, Any]]:
    held = archives.cut_day([recording], station, day)
    verdict = archives.assess_stored_day(held, station, day, spec)
    reasons = archives.unusable_windows(verdict, spec)
    usable = np.array([reason == "" for reason in reasons])
    spectra = window_spectra(held.field_nt, spec, usable, cross=loaded.model.config.input == "power_cross")
    magnitude, azimuth, _ = predict_power(loaded, spectra.power_db, phasors=spectra.phasors)
    row = np.cumsum(usable) - 1
    length = np.timedelta64(spec.window_h, "h")
    entries = []
    for number, reason in enumerate(reasons):
        start = day.astype("datetime64[s]") + number * length
        entry = _unusable(recording.station, f"{start}Z", f"{start + length}Z", reason)
        entry["origin"] = recording.origin
        if not reason:
            entry |= {
                "p_magnitude": _by_class(MAGNITUDE_CLASSES, magnitude[row[number]]),
                "p_azimuth": _by_class(AZIMUTH_CLASSES, azimuth[row[number]]),
                "usable": True,
                "reason": None,
            }
        entries.append(entry)
    return entries


def predictions_table(entries: list[dict[str, Any]], run_id: str) -> pd.DataFrame:
    """Spread entries of ``predict_recording`` into columns p_magnitude_<Class>, p_azimuth_<Class>."""
    plain = ["station", "start_utc", "end_utc", "usable", "reason", "origin"]
    tasks = {"p_magnitude": MAGNITUDE_CLASSES, "p_azimuth": AZIMUTH_CLASSES}
    rows = [
        [entry[key] for key in plain]
        + [(entry[task] or {}).get(name, np.nan) for task, classes in tasks.items() for name in classes]
        for entry in entries
    ]
    columns = plain + [f"{task}_{name}" for task, classes in tasks.items() for name in classes]
    return pd.DataFrame(rows, columns=columns).assign(run_id=run_id)


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
