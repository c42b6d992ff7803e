"""Predictions for recordings and stores, in the form that users and other programs read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
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
from seismag.documents import check_document
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, SeismagError, Station, UsageError
from seismag.files import atomic_path, write_json_atomic
from seismag.models.use import intended_use, reference_missing
from seismag.parallel import Progress, silent
from seismag.recordings import Recording, read_claim, read_recording
from seismag.recordings.days import days_of, require_one_hertz
from seismag.scoring.reference import Placement, PredictionReference, place_prediction
from seismag.spectrograms.compute import to_decibel
from seismag.spectrograms.decibels import window_spectra
from seismag.splits.holdout import REMEDY, on_locked_days
from seismag.table_files import write_csv
from seismag.training.checkpoint import LoadedModel, is_image, load_checkpoint
from seismag.training.inference import predict_power, predict_store
from seismag.training.trailing import no_past_reason
from seismag.windows.labels import daily_windows, window_id
from seismag.windows.store import Store, open_store
from seismag.windows.usable import unusable_windows

_CLASSES = {"p_magnitude": MAGNITUDE_CLASSES, "p_azimuth": AZIMUTH_CLASSES}
_NUMBERS = ("p_event", "p_event_calibrated", "percentile", "base_rate", "magnitude_if_event_p", "azimuth_if_event_p")
_FLAGS = ("in_training", "event_likelier")


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
    in_training: bool | None = None  # in the training or validation set of the model; None: not known

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

    @cached_property
    def reference(self) -> PredictionReference | None:
        """What the predictions are compared with; None: not in the model card. SeismagError: it is damaged."""
        stored = self.card.reference
        return (
            None
            if stored is None
            else PredictionReference.from_json(stored, f"{self.model}, reference of its model card")
        )

    @cached_property
    def placements(self) -> list[Placement]:
        """Each window compared with the reference."""
        return [_place(window, self.reference) for window in self.windows]

    def to_json(self) -> dict[str, object]:
        """The document of ``predict --json``."""
        keys = ("run_id", "backbone", "dataset_id", "data_origin", "sha256")
        return {
            "model": self.model,
            "card": {key: self.card.document.get(key) for key in keys},
            "inputs": self.inputs,
            "unreadable": self.unreadable,
            "reference": None if self.reference is None else self.reference.summary(),
            "reference_missing": reference_missing(self.card) if self.reference is None else None,
            "use": intended_use(self.card),
            "predictions": [
                window.to_json() | asdict(place) for window, place in zip(self.windows, self.placements, strict=True)
            ],
        }

    def to_table(self) -> pd.DataFrame:
        """One row a window: the keys of ``predict --json``, probabilities as p_magnitude_<Class>, p_azimuth_<Class>."""
        plain = ["station", "start_utc", "end_utc", "usable", "reason", "origin", "in_training", "p_event"]
        compared = [entry.name for entry in fields(Placement)]
        names = [(task, name) for task, classes in _CLASSES.items() for name in classes]
        rows = []
        for window, place in zip(self.windows, self.placements, strict=True):
            probs = [(getattr(window, task) or {}).get(name, np.nan) for task, name in names]
            of_window = [getattr(window, key) for key in plain]
            rows.append([*of_window, *(getattr(place, key) for key in compared), *probs])
        columns = [*plain, *compared, *(f"{task}_{name}" for task, name in names)]
        table = pd.DataFrame(rows, columns=columns).assign(run_id=self.card.run_id)
        return table.astype(dict.fromkeys(_NUMBERS, float) | dict.fromkeys(_FLAGS, "boolean"))


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
    with atomic_path(out) as temporary:
        if out.suffix == ".csv":
            write_csv(table, temporary)
        else:
            table.to_parquet(temporary, index=False)


def predict_samples(loaded: LoadedModel, store: Store, progress: Progress = silent) -> list[WindowPrediction]:
    """Predict every sample of a store; windows of locked days, or without enough past, have a reason."""
    locked = on_locked_days(loaded.card.sealed_days_utc, store.samples)
    table = predict_store(loaded, store, np.flatnonzero(~locked), progress=progress)
    predicted = {row["sample_id"]: row for row in table.to_dict("records")}
    columns = ["sample_id", "station", "start_utc", "end_utc", "origin"]
    trained_on, windows = set(loaded.trained_on), []
    for sample, is_locked in zip(store.samples.reindex(columns=columns).to_dict("records"), locked, strict=True):
        row = predicted.get(sample["sample_id"])
        start, end = (f"{sample[key]:%Y-%m-%dT%H:%M:%SZ}" for key in ("start_utc", "end_utc"))
        origin = sample["origin"] if isinstance(sample["origin"], str) else None
        seen = None if loaded.card.has_unknown_training else sample["sample_id"] in trained_on
        if row is None:
            reason = f"locked hold-out set: {REMEDY}" if is_locked else no_past_reason(loaded.card.normalisation)
            windows.append(WindowPrediction(sample["station"], start, end, None, None, reason, origin, seen))
            continue
        magnitude, azimuth = ({name: row[f"{task}_{name}"] for name in classes} for task, classes in _CLASSES.items())
        windows.append(WindowPrediction(sample["station"], start, end, magnitude, azimuth, None, origin, seen))
    return windows


def _place(window: WindowPrediction, reference: PredictionReference | None) -> Placement:
    if window.p_magnitude is None or window.p_azimuth is None:
        return Placement()
    probs = {
        "magnitude": np.array([window.p_magnitude[name] for name in MAGNITUDE_CLASSES]),
        "azimuth": np.array([window.p_azimuth[name] for name in AZIMUTH_CLASSES]),
    }
    return place_prediction(reference, probs, window.station, in_training=bool(window.in_training))


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
    trained_on, predictions = set(loaded.trained_on), []
    for number, reason in enumerate(reasons):
        start = day.astype("datetime64[s]") + number * length
        of_window: tuple[Any, Any] = (None, None) if reason else next(probs)
        times = (f"{start}Z", f"{start + length}Z")
        seen = None if loaded.card.has_unknown_training else window_id(recording.station, start) in trained_on
        predictions.append(
            WindowPrediction(recording.station, *times, *of_window, reason or None, recording.origin, seen)
        )
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
    settings = {**loaded.card.preprocessing, **loaded.card.quality}
    return check_document(DataConfig, settings, f"{loaded.path}: preprocessing and quality", "Train the model again.")


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
