"""What a predicted P(event) is compared with: control windows of the test set, base rates, and the calibration.

It is computed once, after the evaluation of a run, and recorded in the model card (key ``reference``), so that a
prediction can be compared wherever the model is used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from seismag.arrays import FloatArray
from seismag.documents import Document, check_document
from seismag.scoring.calibration import Calibration
from seismag.scoring.predictions import TASK_CLASSES, task_probabilities

LEAST_CONTROLS = 20  # control windows: one of fewer moves the percentile by more than 5
ALL_STATIONS = "all stations"  # the base rate of a station that is not in the study
_METHOD = "temperature_and_prior"
_PLAIN = ("fold", "n_control_blocks", "n_calibration", "n_calibration_groups", "not_calibrated")
_EQUAL = 1e-6  # P(event) that differ by less are equal: batch and processor change the last digits


class _Calibration(Document):
    temperature: float = Field(gt=0)
    shift: dict[str, float]


class _Station(Document):
    n_events: int = Field(ge=0)
    n: int = Field(ge=1)


class _Reference(Document):
    """The key ``reference`` of a model card."""

    fold: int
    controls: list[float]
    n_control_blocks: int
    stations: dict[str, _Station] = Field(min_length=1)
    calibrations: dict[Literal["magnitude", "azimuth", "detection"], _Calibration]
    n_calibration: int
    n_calibration_groups: int
    not_calibrated: str | None

    @model_validator(mode="after")
    def _name_all_classes(self) -> _Reference:
        for task, fit in self.calibrations.items():
            if set(fit.shift) != {*TASK_CLASSES[task]}:
                raise ValueError(f"calibrations/{task}/shift with the classes {', '.join(TASK_CLASSES[task])}")
        return self


_AGAIN = "Copy the model and its model card again."


@dataclass(frozen=True)
class Placement:
    """A prediction compared with the reference of its model; None: not known, or the window is not usable.

    Attributes:
        p_event_calibrated: for the class frequencies of the study.
        percentile: 0 to 100: percentage of the control windows with a lower P(event), ties half.
        base_rate: fraction of event windows among the windows of the station in the study.
        base_rate_of: the station, or ``all stations`` where it is not in the study.
        event_likelier: P(event) above 0.5, calibrated where there is a calibration.
        magnitude_if_event, azimuth_if_event: likeliest event class; None where an event is not likelier.
        magnitude_if_event_p, azimuth_if_event_p: its probability, given an event.
    """

    p_event_calibrated: float | None = None
    percentile: float | None = None
    base_rate: float | None = None
    base_rate_of: str | None = None
    event_likelier: bool | None = None
    magnitude_if_event: str | None = None
    magnitude_if_event_p: float | None = None
    azimuth_if_event: str | None = None
    azimuth_if_event_p: float | None = None


@dataclass(frozen=True)
class PredictionReference:
    """The reference of one model.

    Attributes:
        fold: of its split, from 1.
        controls: (n,) P(event) of the control windows of its test set, ascending.
        n_control_blocks: control blocks among them.
        stations: by code the event windows and all windows of the study (without the locked hold-out set).
        calibrations: by task, fitted to the validation set of the fold; empty: nothing is calibrated.
        n_calibration, n_calibration_groups: validation windows, and event clusters and control blocks among them.
        not_calibrated: why nothing is calibrated.
    """

    fold: int
    controls: FloatArray
    n_control_blocks: int
    stations: Mapping[str, tuple[int, int]]
    calibrations: Mapping[str, Calibration]
    n_calibration: int
    n_calibration_groups: int
    not_calibrated: str | None

    def to_json(self) -> dict[str, object]:
        """The key ``reference`` of a model card."""
        calibration = {
            task: {
                "temperature": fit.temperature, "shift": dict(zip(TASK_CLASSES[task], fit.shift.tolist(), strict=True))
            }
            for task, fit in self.calibrations.items()
        }  # fmt: skip
        stations = {code: {"n_events": events, "n": n} for code, (events, n) in self.stations.items()}
        document = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return document | {"controls": self.controls.tolist(), "stations": stations, "calibrations": calibration}

    def summary(self) -> dict[str, object]:
        """The key ``reference`` of ``predict --json``: numbers of windows, without the distribution."""
        return {
            **{key: getattr(self, key) for key in _PLAIN},
            "n_controls": len(self.controls),
            "least_controls": LEAST_CONTROLS,
            "n_events": self.n_events,
            "n_windows": self.n_windows,
            "stations": sorted(self.stations),
        }

    @classmethod
    def from_json(cls, document: object, source: str = "reference of a model card") -> PredictionReference:
        """Read the key ``reference`` of a model card.

        Raises:
            DataError: it does not fit the schema; ``source`` names it.
        """
        read = check_document(_Reference, document, source, _AGAIN)
        fits: dict[str, Calibration] = {
            task: Calibration(fit.temperature, np.array([fit.shift[name] for name in TASK_CLASSES[task]]))
            for task, fit in read.calibrations.items()
        }
        stations = {code: (entry.n_events, entry.n) for code, entry in read.stations.items()}
        plain = {key: getattr(read, key) for key in _PLAIN}
        controls = np.sort(np.asarray(read.controls, dtype=float))
        return cls(**plain, controls=controls, stations=stations, calibrations=fits)

    def percentile(self, p_event: float) -> float | None:
        """Percentage of the control windows with a lower P(event), ties half; None: fewer than ``LEAST_CONTROLS``.

        Example:
            >>> controls = np.linspace(0.1, 0.9, 81)
            >>> reference = PredictionReference(1, controls, 20, {}, {}, 0, 0, "no validation windows")
            >>> round(reference.percentile(0.5), 1), reference.percentile(0.95)
            (50.0, 100.0)
        """
        if len(self.controls) < LEAST_CONTROLS:
            return None
        lower = np.searchsorted(self.controls, p_event - _EQUAL, side="left")
        not_higher = np.searchsorted(self.controls, p_event + _EQUAL, side="right")
        return float(50 * (lower + not_higher) / len(self.controls))

    @property
    def n_events(self) -> int:
        """Event windows of all stations."""
        return sum(events for events, _ in self.stations.values())

    @property
    def n_windows(self) -> int:
        """Windows of all stations."""
        return sum(n for _, n in self.stations.values())

    def base_rate(self, station: str | None) -> tuple[float, str]:
        """Fraction of event windows in the study, and whose: of the station, or of all where it is not in the study."""
        if station is not None and station in self.stations:
            events, n = self.stations[station]
            return events / n, station
        return self.n_events / self.n_windows, ALL_STATIONS

    def calibrate(self, task: str, probs: FloatArray) -> FloatArray | None:
        """Calibrate the probabilities (k,) of a window; None: nothing is calibrated."""
        fit = self.calibrations.get(task)
        return None if fit is None else fit.apply(probs[None])[0]


def build_reference(
    predictions: pd.DataFrame, samples: pd.DataFrame, split: pd.DataFrame, metrics: Mapping[str, Any]
) -> PredictionReference:
    """Build the reference of one run.

    Args:
        predictions: of the run, one fold (docs/data-formats.md, PREDICTIONS).
        samples: of the store.
        split: sample_id, fold, role.
        metrics: its metrics.json, of which the calibration is taken.
    """
    test = predictions[predictions["role"] == "test"]
    fold = int(test["fold"].iloc[0])
    controls = test[test["y_magnitude"] == "Normal"]
    studied = samples[~samples["sample_id"].isin(split.loc[split["role"] == "sealed", "sample_id"])]
    counts = (studied["magnitude_class"] != "Normal").groupby(studied["station"].astype(str)).agg(["sum", "size"])
    fits, size = {}, (0, 0)
    for task, classes in TASK_CLASSES.items():
        for entry in metrics[task]["calibration"].get("folds", []):
            if entry["fold"] == fold:
                shift = np.array([entry[_METHOD]["shift"][name] for name in classes])
                fits[task] = Calibration(entry[_METHOD]["temperature"], shift)
                size = (entry["n"], entry["n_groups"])
    return PredictionReference(
        fold=fold,
        controls=np.sort(task_probabilities(controls, "detection")[:, 1]),
        n_control_blocks=int(controls["split_group"].nunique()),
        stations={str(code): (int(events), int(n)) for code, events, n in counts.itertuples()},
        calibrations=fits,
        n_calibration=size[0],
        n_calibration_groups=size[1],
        not_calibrated=metrics["detection"]["calibration"]["reason"],
    )


def place_prediction(
    reference: PredictionReference | None,
    probs: Mapping[str, FloatArray],
    station: str | None = None,
    in_training: bool = False,
) -> Placement:
    """Compare a prediction with the reference of its model.

    Args:
        reference: None: the model has none; only ``event_likelier`` and the classes given an event are known then.
        probs: magnitude (4,) and azimuth (9,), uncalibrated.
        station: of the window; None: not known.
        in_training: the window was in the training or validation set, so that no percentile is given: the control
            windows were in neither.
    """
    p_event = float(1 - probs["magnitude"][0])
    base_rate: float | None
    base_rate, base_rate_of, percentile, calibrated = None, None, None, None
    if reference is not None:
        base_rate, base_rate_of = reference.base_rate(station)
        percentile = None if in_training else reference.percentile(p_event)
        detection = reference.calibrate("detection", np.array([1 - p_event, p_event]))
        calibrated = None if detection is None else float(detection[1])
    placement = Placement(calibrated, percentile, base_rate, base_rate_of)
    if (p_event if calibrated is None else calibrated) <= 0.5:
        return dataclasses.replace(placement, event_likelier=False)
    magnitude, azimuth = (_class_given_event(reference, task, probs[task]) for task in ("magnitude", "azimuth"))
    return Placement(calibrated, percentile, base_rate, base_rate_of, True, *magnitude, *azimuth)


def _class_given_event(reference: PredictionReference | None, task: str, probs: FloatArray) -> tuple[str, float]:
    """Return the likeliest event class and its probability given an event, calibrated where that is possible."""
    calibrated = None if reference is None else reference.calibrate(task, probs)
    of_events = np.maximum((probs if calibrated is None else calibrated)[1:], np.finfo(float).tiny)
    best = int(np.argmax(of_events))
    return TASK_CLASSES[task][1 + best], float(of_events[best] / of_events.sum())
