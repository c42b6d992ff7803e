"""Predictions for recordings and stores, in the form that users and other programs read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive import survey as archives
from seismag.archive.stations import read_stations
from seismag.arrays import FloatArray
from seismag.cards import ModelCard
from seismag.config import DataConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, SeismagError, Station, UsageError
from seismag.files import atomic_path, write_json_atomic
from seismag.parallel import Progress, silent
from seismag.recordings import Recording, read_claim, read_recording
from seismag.recordings.days import days_of, require_one_hertz
from seismag.spectrograms.compute import to_decibel
from seismag.spectrograms.decibels import window_spectra
from seismag.splits.holdout import REMEDY, on_locked_days
from seismag.training.checkpoint import LoadedModel, is_image, load_checkpoint
from seismag.training.inference import predict_power, predict_store
from seismag.training.trailing import no_past_reason
from seismag.windows.labels import daily_windows
from seismag.windows.store import Store, open_store
from seismag.windows.usable import unusable_windows

_CLASSES = {"p_magnitude": MAGNITUDE_CLASSES, "p_azimuth": AZIMUTH_CLASSES}


@dataclass(frozen=True)
class WindowPrediction:
    """Prediction for one window."""

    station: str | None  # these three: None where they are not known
    start_utc: str | None
    end_utc: str | None
    p_magnitude: dict[str, float] | None = None  # probability by class; None where the window is not usable
    p_azimuth: dict[str, float] | None = None
    usable: bool = field(init=False)
    reason: str | None = None  # why it was not classified
    origin: str | None = None  # of the recording; None where it could not be read

    def __post_init__(self) -> None:
        object.__setattr__(self, "usable", self.reason is None)

    @property
    def p_event(self) -> float | None:
        """Probability of any event class; None where the window is not usable."""
        return None if self.p_magnitude is None else 1 - self.p_magnitude["Normal"]

    def to_json(self) -> dict[str, object]:
        """An entry of ``predict --json``."""
        return {**asdict(self), "p_event": self.p_event}


@dataclass(frozen=True)
class Predictions:
    """Predictions of one model for several inputs."""

    model: str  # path of the checkpoint
    card: ModelCard
    inputs: int  # their number
    unreadable: list[dict[str, str]]  # file and reason
    windows: list[WindowPrediction]  # of all inputs in their order

    def to_json(self) -> dict[str, object]:
        """The document of ``predict --json``."""
        keys = ("run_id", "backbone", "dataset_id", "data_origin", "sha256")
        return {
            "model": self.model,
            "card": {key: self.card.document.get(key) for key in keys},
            "inputs": self.inputs,
            "unreadable": self.unreadable,
            "predictions": [window.to_json() for window in self.windows],
        }

    def to_table(self) -> pd.DataFrame:
        """One row a window, probabilities in columns p_magnitude_<Class>, p_azimuth_<Class>."""
        plain = ["station", "start_utc", "end_utc", "usable", "reason", "origin"]
        names = [(task, name) for task, classes in _CLASSES.items() for name in classes]
        rows = []
        for window in self.windows:
            probs = [(getattr(window, task) or {}).get(name, np.nan) for task, name in names]
            rows.append([*(getattr(window, key) for key in plain), *probs])
        columns = plain + [f"{task}_{name}" for task, name in names]
        return pd.DataFrame(rows, columns=columns).assign(run_id=self.card.run_id)


def predict_inputs(model: Path, inputs: list[Path], stations: Path | None, progress: Progress = silent) -> Predictions:
    """Predict recordings and stores with one model; an input that is named twice is predicted once.

    An input that cannot be read does not stop the others: its windows are not usable, with the reason.

    Raises:
        SeismagError: the model cannot be loaded, or does not fit a store.
        UsageError: the model needs earlier windows (trailing normalisation), which a file does not contain.
    """
    loaded = load_checkpoint(model)
    positions = read_stations(stations)
    paths = list({path.resolve(): path for path in inputs}.values())
    files = sum(not path.is_dir() for path in paths)
    windows: list[WindowPrediction] = []
    unreadable: list[dict[str, str]] = []
    done = 0
    for path in paths:
        try:
            if path.is_dir():
                windows += predict_samples(loaded, open_store(path), progress)
            else:
                done += 1
                require_recordings(loaded)
                windows += predict_recording(loaded, read_recording(path), positions, path.name)
        except DataError as error:
            unreadable.append({"file": str(path), "reason": str(error)})
            windows += _unusable_windows(loaded, path, positions, str(error))
        if not path.is_dir():
            progress("files", done, files)
    return Predictions(str(model), loaded.card, len(paths), unreadable, windows)


def predict_recording(
    loaded: LoadedModel, recording: Recording, stations: dict[str, Station], name: str = "recording"
) -> list[WindowPrediction]:
    """Predict every window of every UTC day in a recording, in time order.

    Args:
        loaded, recording: the model, and a recording at 1 Hz.
        stations: positions, for the plausibility check; where the code is missing, the recording's own position.
        name: of the file, for messages.

    Raises:
        SeismagError: the model reads pictures.
        DataError: the recording is not sampled at 1 Hz, or the position of its station is not known.
        UsageError: the model needs earlier windows, which a file does not contain.
    """
    spec = require_recordings(loaded)
    require_one_hertz(recording, name)
    station = _station(recording, name, stations)
    windows = []
    for day in days_of(recording):
        windows += _predict_day(loaded, recording, station, day, spec)
    return windows


def predict_spectrogram(loaded: LoadedModel, power: FloatArray) -> WindowPrediction:
    """Predict one window from its power.

    Args:
        loaded: a model whose input is power alone.
        power: (3, F, T) of H, D, Z in nT²/Hz on the grid of the model; NaN masked.

    Raises:
        SeismagError: the model takes cross-spectra too, or another grid.
    """
    expected = (3, len(loaded.card.frequency_hz), len(loaded.card.time_s))
    if loaded.model.config.input == "power_cross":
        raise SeismagError(f"model {loaded.card.run_id} takes cross-spectra too; predict a recording or a store.")
    if power.shape != expected:
        raise SeismagError(f"model {loaded.card.run_id} takes one window of shape {expected}, not {power.shape}.")
    (probs,) = _by_class(loaded, to_decibel(power.astype(np.float32))[None], None)
    return WindowPrediction(None, None, None, *probs)


def require_readable(result: Predictions) -> None:
    """Refuse a result of which no input could be read (DataError); a day that is read but unusable is a result."""
    unreadable = result.unreadable
    if len(unreadable) == result.inputs:
        more = f" ({len(unreadable) - 1} more reasons in the predictions)" if len(unreadable) > 1 else ""
        raise DataError(f"nothing could be read: {unreadable[0]['reason']}{more}")


def require_table_ending(out: Path) -> None:
    """Refuse, before anything is computed, a file that ``write_predictions`` does not support (UsageError)."""
    if out.suffix not in (".csv", ".parquet", ".json"):
        raise UsageError(f"--out {out}: end it in .csv, .parquet or .json.")


def write_predictions(result: Predictions, out: Path) -> None:
    """Write predictions as .csv, .parquet or .json, whole or not at all; UsageError: another ending."""
    require_table_ending(out)
    if out.suffix == ".json":
        write_json_atomic(out, result.to_json())
        return
    table = result.to_table()
    write = table.to_csv if out.suffix == ".csv" else table.to_parquet
    with atomic_path(out) as temporary:
        write(temporary, index=False)


def describe_predictions(result: Predictions) -> str:
    """Write predictions as lines: the window, and the most probable class of each task."""
    lines = [f"model       {result.model} ({result.card.run_id})"]
    if "simulated" in result.card.data_origin:
        lines.append("            trained on SIMULATED data: on real files its numbers mean nothing")
    origins = [window.origin for window in result.windows]
    if "simulated" in origins:
        count = f"{origins.count('simulated')} of {len(origins)} windows"
        lines.append(f"inputs      {count} are SIMULATED, or were changed on purpose")
    for window in result.windows:
        start = "?" if window.start_utc is None else f"{window.start_utc[:16]}Z"
        line = f"{window.station or '?':<4} {start:<17}"
        if window.p_magnitude is None or window.p_azimuth is None:
            lines.append(f"{line}  not usable: {window.reason}")
        else:
            lines.append(f"{line}  magnitude {_best(window.p_magnitude, 8)}   azimuth {_best(window.p_azimuth, 6)}")
    lines.append("Probabilities are those of the training, with weighted classes; they are not alarm rates.")
    return "\n".join(lines)


def _best(probabilities: dict[str, float], width: int) -> str:
    name, value = max(probabilities.items(), key=lambda item: item[1])
    return f"{name:<{width}} {value:.2f}"


def predict_samples(loaded: LoadedModel, store: Store, progress: Progress = silent) -> list[WindowPrediction]:
    """Predict every sample of a store; windows of locked days, or without enough past, have a reason."""
    locked = on_locked_days(loaded.card.sealed_days_utc, store.samples)
    table = predict_store(loaded, store, np.flatnonzero(~locked), progress=progress)
    predicted = {row["sample_id"]: row for row in table.to_dict("records")}
    columns = ["sample_id", "station", "start_utc", "end_utc", "origin"]
    windows = []
    for sample, is_locked in zip(store.samples.reindex(columns=columns).to_dict("records"), locked, strict=True):
        row = predicted.get(sample["sample_id"])
        start, end = (f"{sample[key]:%Y-%m-%dT%H:%M:%SZ}" for key in ("start_utc", "end_utc"))
        origin = sample["origin"] if isinstance(sample["origin"], str) else None
        if row is None:
            reason = f"locked hold-out set: {REMEDY}" if is_locked else no_past_reason(loaded.card.normalisation)
            windows.append(WindowPrediction(sample["station"], start, end, reason=reason, origin=origin))
            continue
        magnitude, azimuth = ({name: row[f"{task}_{name}"] for name in classes} for task, classes in _CLASSES.items())
        windows.append(WindowPrediction(sample["station"], start, end, magnitude, azimuth, origin=origin))
    return windows


def _predict_day(
    loaded: LoadedModel, recording: Recording, station: Station, day: np.datetime64, spec: DataConfig
) -> list[WindowPrediction]:
    of_day = archives.cut_day([recording], station, day)
    quality = archives.assess_stored_day(of_day, station, day, spec)
    reasons = unusable_windows(quality, spec)
    usable = np.array([reason == "" for reason in reasons])
    spectra = window_spectra(of_day.field_nt, spec, usable, cross=loaded.model.config.input == "power_cross")
    probs = iter(_by_class(loaded, spectra.power_db, spectra.phasors))
    length = np.timedelta64(spec.window_h, "h")
    predictions = []
    for number, reason in enumerate(reasons):
        start = day.astype("datetime64[s]") + number * length
        of_window: tuple[Any, Any] = (None, None) if reason else next(probs)
        times = (f"{start}Z", f"{start + length}Z")
        predictions.append(WindowPrediction(recording.station, *times, *of_window, reason or None, recording.origin))
    return predictions


def _unusable_windows(
    loaded: LoadedModel, path: Path, stations: dict[str, Station], reason: str
) -> list[WindowPrediction]:
    # those that the input should contain by its name
    code, days = read_claim(path)
    station = code if code in stations else None
    starts, ends = daily_windows(days, _spec_of(loaded).window_h)
    if station is None or not len(starts):
        return [WindowPrediction(station, None, None, reason=reason)]
    return [
        WindowPrediction(station, f"{start.astype('M8[s]')}Z", f"{end.astype('M8[s]')}Z", reason=reason)
        for start, end in zip(starts, ends, strict=True)
    ]


def require_recordings(loaded: LoadedModel) -> DataConfig:
    """Return the grid of a model that predicts recordings; for the errors see ``predict_recording``."""
    spec = _spec_of(loaded)
    normalisation = loaded.card.normalisation
    if normalisation.method == "trailing":
        raise UsageError(
            f"model {loaded.card.run_id} scales each window by at least {normalisation.trailing_min} windows of its "
            f"station within the {normalisation.trailing_days:g} days before it (train.normalisation=trailing), and a "
            "day file does not contain them. Prepare the days of the station into a store with 'seismag prepare --set "
            "data.controls=all' and predict that."
        )
    return spec


def _spec_of(loaded: LoadedModel) -> DataConfig:
    if is_image(loaded.card.preprocessing):
        raise SeismagError(
            f"{loaded.path}: was trained on pictures of an earlier system, whose scale and axes are not known, so it "
            "cannot classify recordings. Train a model on a store of recordings ('seismag prepare --archive DIR')."
        )
    return DataConfig(**loaded.card.preprocessing, **loaded.card.quality)


def _by_class(loaded: LoadedModel, power_db: NDArray[Any], phasors: NDArray[Any] | None) -> list[Any]:
    """Return the probabilities by class of each window: magnitude, azimuth."""
    magnitude, azimuth, _ = predict_power(loaded, power_db, phasors=phasors)
    return [
        (dict(zip(MAGNITUDE_CLASSES, of_magnitude, strict=True)), dict(zip(AZIMUTH_CLASSES, of_azimuth, strict=True)))
        for of_magnitude, of_azimuth in zip(magnitude.tolist(), azimuth.tolist(), strict=True)
    ]


def _station(recording: Recording, name: str, stations: dict[str, Station]) -> Station:
    if recording.station in stations:
        return stations[recording.station]
    if np.isfinite([recording.latitude_deg, recording.longitude_deg]).all():
        return Station(recording.station, recording.latitude_deg, recording.longitude_deg)
    raise DataError(
        f"{name}: the position of station {recording.station or '(none named)'} is unknown, so its data cannot be "
        "checked. Name it in a station file (--stations).",
        "unknown_station",
    )
