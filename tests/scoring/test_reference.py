"""A prediction compared with control windows, base rates and the calibration of its model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seismag.domain import SeismagError
from seismag.scoring.calibration import Calibration
from seismag.scoring.predictions import TASK_CLASSES
from seismag.scoring.reference import (
    ALL_STATIONS,
    LEAST_CONTROLS,
    Placement,
    PredictionReference,
    build_reference,
    place_prediction,
)

UNIFORM = np.full(9, 1 / 9)


def shifted(shift: float) -> dict[str, Calibration]:
    """Calibrations that lower the odds of an event by exp(2 shift); magnitude and azimuth stay."""
    fits = {task: Calibration(1.0, np.zeros(len(classes))) for task, classes in TASK_CLASSES.items()}
    return fits | {"detection": Calibration(1.0, np.array([shift, -shift]))}


def make_reference(controls: Any, shift: float | None = None) -> PredictionReference:
    fits = {} if shift is None else shifted(shift)
    stations = {"GTO": (10, 40), "KPY": (30, 40)}
    reason = "No validation rows" if shift is None else None
    return PredictionReference(1, np.sort(np.asarray(controls, float)), 12, stations, fits, 30, 11, reason)


def event(p_event: float, moderate: float = 0.5) -> dict[str, Any]:
    """Probabilities with P(event); of it ``moderate`` goes to Moderate, the rest to Large."""
    return {
        "magnitude": np.array([1 - p_event, p_event * moderate, 0, p_event * (1 - moderate)]),
        "azimuth": np.array([1 - p_event, 0, p_event, 0, 0, 0, 0, 0, 0]),
    }


def slow_percentile(controls: list[float], p_event: float) -> float:
    halves = [1.0 if value < p_event else 0.5 if value == p_event else 0.0 for value in controls]
    return 100 * sum(halves) / len(halves)


@pytest.mark.parametrize("p_event", [0.0, 0.1, 0.25, 0.3, 0.9, 1.0])
def test_the_percentile_is_the_fraction_of_lower_controls_with_ties_half(p_event: float) -> None:
    controls = [0.1, 0.2, 0.3, 0.3, 0.3, 0.4] * 5
    assert make_reference(controls).percentile(p_event) == pytest.approx(slow_percentile(controls, p_event))


def test_controls_that_are_all_equal_but_for_the_last_digits_give_the_middle() -> None:
    controls = 0.75 + np.random.default_rng(0).normal(0, 1e-9, 50)
    reference = make_reference(controls)
    assert [reference.percentile(p) for p in (0.7, 0.75, 0.8)] == [0.0, 50.0, 100.0]


def test_controls_above_every_event_give_the_percentile_zero() -> None:
    assert place_prediction(make_reference(np.linspace(0.9, 0.99, 30)), event(0.6), "GTO").percentile == 0.0


def test_few_controls_give_no_percentile() -> None:
    assert make_reference([0.5] * (LEAST_CONTROLS - 1)).percentile(0.5) is None
    assert make_reference([0.5] * LEAST_CONTROLS).percentile(0.5) == 50.0


def test_the_base_rate_is_that_of_the_station_or_of_all_where_it_is_unknown() -> None:
    reference = make_reference([0.5] * 30)
    assert reference.base_rate("GTO") == (0.25, "GTO")
    assert reference.base_rate("XXX") == reference.base_rate(None) == (0.5, ALL_STATIONS)


def test_an_event_is_likelier_by_the_calibrated_probability_where_there_is_one() -> None:
    plain = place_prediction(make_reference([0.5] * 30), event(0.7), "GTO")
    assert (plain.p_event_calibrated, plain.event_likelier) == (None, True)
    assert (plain.magnitude_if_event, plain.azimuth_if_event, plain.azimuth_if_event_p) == ("Moderate", "NE", 1.0)
    shift = np.log(4) / 2  # the odds 7 : 3 become 7 : 12
    calibrated = place_prediction(make_reference([0.5] * 30, shift), event(0.7), "GTO")
    assert calibrated.p_event_calibrated == pytest.approx(7 / 19)
    assert calibrated == Placement(calibrated.p_event_calibrated, 100.0, 0.25, "GTO", False)
    assert place_prediction(make_reference([0.5] * 30, -shift), event(0.3), "GTO").event_likelier is True


def test_classes_are_given_an_event_although_normal_is_the_likeliest_class() -> None:
    probs = {"magnitude": np.array([0.45, 0.2, 0.25, 0.1]), "azimuth": np.array([0.92, *[0.01] * 8])}
    placement = place_prediction(None, probs)
    assert (placement.magnitude_if_event, placement.azimuth_if_event) == ("Medium", "N")
    assert placement.magnitude_if_event_p == pytest.approx(25 / 55)
    assert placement.azimuth_if_event_p == pytest.approx(1 / 8)


def test_probabilities_of_zero_give_no_class_a_probability_that_is_not_a_number() -> None:
    probs = {"magnitude": np.array([0.0, 1.0, 0.0, 0.0]), "azimuth": np.array([1.0, *[0.0] * 8])}
    assert place_prediction(None, probs).azimuth_if_event_p == pytest.approx(1 / 8)


def test_a_window_of_the_training_has_no_percentile_and_a_model_without_a_reference_invents_nothing() -> None:
    seen = place_prediction(make_reference([0.5] * 30), event(0.2), "GTO", in_training=True)
    assert (seen.percentile, seen.base_rate) == (None, 0.25)
    assert place_prediction(None, event(0.2), "GTO") == Placement(event_likelier=False)


def test_a_reference_is_read_back_as_it_was_written_and_a_damaged_one_is_refused() -> None:
    reference = make_reference(np.linspace(0.1, 0.9, 40), 0.3)
    document = json.loads(json.dumps(reference.to_json()))
    again = PredictionReference.from_json(document)
    assert again.to_json() == reference.to_json()
    assert place_prediction(again, event(0.7), "KPY") == place_prediction(reference, event(0.7), "KPY")
    del document["calibrations"]["detection"]["shift"]["Event"]
    with pytest.raises(
        SeismagError, match=r"expected is calibrations/detection/shift with the classes Normal, Event\. Copy"
    ):
        PredictionReference.from_json(document)


def test_it_is_built_of_the_controls_of_the_test_set_and_without_locked_windows() -> None:
    names = ["Normal", "Normal", "Large", "Normal", "Large", "Normal"]
    roles = ["test", "test", "test", "val", "train", "sealed"]
    samples = pd.DataFrame(
        {"sample_id": list("abcdef"), "station": ["GTO"] * 5 + ["KPY"], "magnitude_class": names, "role": roles}
    )
    predictions = samples[:4].assign(
        fold=2, y_magnitude=names[:4], split_group=["n1", "n2", "e1", "n3"], p_magnitude_Normal=[0.7, 0.9, 0.2, 0.6]
    )
    fit = {"temperature": 2.0, "shift": {"Normal": 0.5, "Event": -0.5}}
    absent = {"calibration": {"reason": "none"}}
    calibration = {"reason": None, "folds": [{"fold": 2, "n": 1, "n_groups": 1, "temperature_and_prior": fit}]}
    metrics = {"magnitude": absent, "azimuth": absent, "detection": {"calibration": calibration}}
    reference = build_reference(predictions, samples, samples.assign(fold=2), metrics)
    np.testing.assert_allclose(reference.controls, [0.1, 0.3])
    assert (reference.fold, reference.n_control_blocks, reference.stations) == (2, 2, {"GTO": (2, 5)})
    assert reference.calibrations["detection"].temperature == 2.0
    assert reference.summary()["n_calibration"] == 1
