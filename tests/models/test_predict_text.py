"""What ``seismag predict`` prints: P(event) of each window first, its classes only where an event is likelier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seismag.cards import UNKNOWN, ModelCard
from seismag.models.predict import Predictions, WindowPrediction
from seismag.models.predict_text import describe_predictions
from seismag.models.use import intended_use, reference_missing
from seismag.scoring.calibration import Calibration
from seismag.scoring.predictions import TASK_CLASSES
from seismag.scoring.reference import PredictionReference
from seismag.text import TERMINAL_WIDTH


def window(station: str | None, hour: int, p_event: float | None, **facts: Any) -> WindowPrediction:
    times = (f"2021-03-08T{hour:02d}:00:00Z", f"2021-03-0{8 + (hour + 6) // 24}T{(hour + 6) % 24:02d}:00:00Z")
    if p_event is None:
        return WindowPrediction(station, *times, **facts)
    p_magnitude = {"Normal": 1 - p_event, "Moderate": 0.25 * p_event, "Medium": 0.75 * p_event, "Large": 0.0}
    p_azimuth = dict.fromkeys(TASK_CLASSES["azimuth"], 0.0) | {"Normal": 1 - p_event, "SW": p_event}
    return WindowPrediction(station, *times, p_magnitude, p_azimuth, **facts)


def predictions(windows: list[WindowPrediction], n_controls: int | None = 40, **facts: Any) -> Predictions:
    fits = {task: Calibration(1.0, np.zeros(len(classes))) for task, classes in TASK_CLASSES.items()}
    if n_controls is not None:
        controls = np.arange(n_controls) / n_controls
        stations = {"GTO": (10, 40), "KPY": (30, 40)}
        facts["reference"] = PredictionReference(2, controls, 12, stations, fits, 30, 11, None).to_json()
    card = ModelCard(run_id="trial", **{"data_origin": ["observed"], **facts})
    return Predictions("m.pth", card, 1, [], windows)


def skill(value: float, low: float | None, high: float | None) -> dict[str, Any]:
    score = {"value": value, "low": low, "high": high}
    return {"detection": {"skill_above_best_baseline": {"balanced_accuracy": score}}}


REASON = "S210308.GTO: 38 % of seconds are missing, the limit is 20 %. Raise data.max_gap_fraction."
WHOLE = """\
model       m.pth (trial)
P(event)    for the class frequencies of the study, calibrated on the 30
            validation windows (11 event clusters and control blocks) of fold 2
percentile  among the 40 control windows (12 control blocks) of the test set of
            fold 2
base rate   fraction of event windows among the station's windows in the study;
            its design sets it
            * station not in the study: that of GTO, KPY together

station  window (UTC)            P(event)  percentile  base rate
GTO      2021-03-08 00:00-06:00      0.81          82       0.25
GTO      2021-03-08 06:00-12:00  not usable: S210308.GTO: 38 % of seconds are
                                 missing, the limit is 20 %. Raise
                                 data.max_gap_fraction.
GTO      2021-03-08 12:00-18:00  not usable: as the window before
LUT      2021-03-08 18:00-24:00     <0.01           2      0.50*

An event is likelier than not (calibrated P(event) above 0.5) in 1 of 2 usable
windows.
station  window (UTC)            magnitude     P  azimuth  P
GTO      2021-03-08 00:00-06:00  Medium     0.75  SW       >0.99
P: of this class, given an event.

Use: ranking windows like those of the study, for research (skill in detection
+0.120 [+0.030, +0.210]); no forecast of an earthquake, and not for warnings."""


def test_the_whole_text_of_a_model_with_a_reference() -> None:
    windows = [
        window("GTO", 0, 0.81), window("GTO", 6, None, reason=REASON), window("GTO", 12, None, reason=REASON),
        window("LUT", 18, 0.001),
    ]  # fmt: skip
    text = describe_predictions(predictions(windows, metrics=skill(0.12, 0.03, 0.21)))
    assert text == WHOLE
    assert max(map(len, text.splitlines())) <= TERMINAL_WIDTH


def test_without_an_event_no_magnitude_and_no_azimuth_is_printed() -> None:
    text = describe_predictions(predictions([window("GTO", 0, 0.4)]))
    assert "in 0 of 1 usable\nwindows. No magnitude and no azimuth is given." in text
    assert "Medium" not in text
    assert "SW" not in text


def test_fewer_control_windows_than_needed_are_the_reason_for_no_percentile() -> None:
    text = " ".join(describe_predictions(predictions([window("GTO", 0, 0.4)], n_controls=19)).split())
    assert "percentile none: 19 control windows in the test set of fold 2, at least 20 are needed" in text
    assert "GTO 2021-03-08 00:00-06:00 0.40 - 0.25" in text


def test_windows_of_the_training_are_counted_and_have_no_percentile() -> None:
    result = predictions([window("GTO", 0, 0.4, in_training=True), window("GTO", 6, 0.4, in_training=False)])
    text = " ".join(describe_predictions(result).split())
    assert "training 1 of 2 windows were used in it, and have no percentile" in text
    assert "00:00-06:00 0.40 - 0.25" in text
    assert "06:00-12:00 0.40 41 0.25" in text


def test_a_model_without_a_reference_prints_p_event_and_what_is_missing() -> None:
    text = " ".join(describe_predictions(predictions([window("GTO", 0, 0.6)], n_controls=None)).split())
    assert "P(event) not calibrated: after training with class weights" in text
    assert "not known, for the model card contains no P(event) of control windows" in text
    assert "GTO 2021-03-08 00:00-06:00 0.60 - -" in text
    assert "likelier than not (P(event) above 0.5) in 1 of 1 usable windows" in text


@pytest.mark.parametrize(
    ("facts", "use"),
    [
        ({"data_origin": ["simulated"], "metrics": skill(0.5, 0.4, 0.6)}, "tests of the software"),
        ({"split": {"method": "naive"}, "metrics": skill(0.5, 0.4, 0.6)}, "nothing (split method naive"),
        ({"training_data": UNKNOWN, "metrics": skill(0.5, 0.4, 0.6)}, "nothing (the training data are unknown"),
        ({}, "nothing (the model was not evaluated"),
        ({"metrics": skill(0.1, None, None)}, "the study of the model alone (no skill in detection was shown: +0.100)"),
        (
            {"metrics": skill(0.1, -0.02, 0.2)},
            "the study of the model alone (no skill in detection was shown: +0.100 [",
        ),
        ({"metrics": skill(0.1, 0.02, 0.2)}, "ranking windows like those of the study, for research"),
    ],
)
def test_the_use_follows_the_data_and_the_evaluation_and_is_never_a_forecast(facts: Any, use: str) -> None:
    sentence = intended_use(ModelCard(**{"data_origin": ["observed"], **facts}))
    assert sentence.startswith(use)
    assert sentence.endswith("; no forecast of an earthquake, and not for warnings")


def test_a_reference_that_no_run_can_add_is_not_promised() -> None:
    assert "'seismag crossval'" in reference_missing(ModelCard())
    assert "Train a model here" in reference_missing(ModelCard(training_data=UNKNOWN))
    assert "Train with another split" in reference_missing(ModelCard(split={"method": "naive"}))
