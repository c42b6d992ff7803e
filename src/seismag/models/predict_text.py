"""Predictions as lines for a terminal: P(event) of each window first, magnitude and azimuth where an event is likelier.

"Likelier" means P(event) above 0.5, calibrated where there is a calibration.
"""

from __future__ import annotations

import pandas as pd

from seismag.models.predict import Predictions, WindowPrediction
from seismag.models.use import intended_use, reference_missing
from seismag.scoring.reference import ALL_STATIONS, LEAST_CONTROLS, Placement, PredictionReference
from seismag.text import format_table, wrap_text

_INDENT = 12  # of the head
_WINDOW = len("2021-03-08 00:00-06:00")
_UNCALIBRATED = (
    "not calibrated: after training with class weights it is a probability under equal class frequencies (0.75 without "
    "any information), not a rate"
)


def describe_predictions(result: Predictions) -> str:
    """Write what the numbers refer to, a line for each window, its classes where an event is likelier, and the use."""
    lines = [*_head(result), ""]
    lines += _window_lines(result)
    lines += ["", *_class_lines(result), "", wrap_text(f"Use: {intended_use(result.card)}.")]
    return "\n".join(lines)


def _head(result: Predictions) -> list[str]:
    lines = [f"model       {result.model} ({result.card.run_id})"]
    if "simulated" in result.card.data_origin:
        lines.append("            trained on SIMULATED data: on real files its numbers mean nothing")
    origins = [window.origin for window in result.windows]
    if "simulated" in origins:
        count = f"{origins.count('simulated')} of {len(origins)} windows"
        lines.append(f"inputs      {count} are SIMULATED, or were changed on purpose")
    if seen := sum(bool(window.in_training) for window in result.windows):
        lines.append(f"training    {seen} of {len(origins)} windows were used in it, and have no percentile")
    if result.reference is None:
        lines.append(wrap_text(f"P(event)    {_UNCALIBRATED}", _INDENT))
        lines.append(wrap_text(f"percentile  and base rate: not known, for {reference_missing(result.card)}", _INDENT))
        return lines
    return lines + _reference_lines(result.reference, result.placements)


def _reference_lines(reference: PredictionReference, placements: list[Placement]) -> list[str]:
    """Write what P(event), percentile and base rate refer to."""
    p_event = _UNCALIBRATED
    if "detection" in reference.calibrations:
        p_event = (
            f"for the class frequencies of the study, calibrated on the {reference.n_calibration} validation windows "
            f"({reference.n_calibration_groups} event clusters and control blocks) of fold {reference.fold}"
        )
    n, blocks = len(reference.controls), reference.n_control_blocks
    percentile = f"among the {n} control windows ({blocks} control blocks) of the test set of fold {reference.fold}"
    if n < LEAST_CONTROLS:
        percentile = f"none: {n} control windows in the test set of fold {reference.fold}, at least {LEAST_CONTROLS}"
        percentile += " are needed"
    base_rate = "fraction of event windows among the station's windows in the study; its design sets it"
    lines = [f"P(event)    {p_event}", f"percentile  {percentile}", f"base rate   {base_rate}"]
    if any(place.base_rate_of == ALL_STATIONS for place in placements):
        text = f"            * station not in the study: that of {', '.join(reference.stations)} together"
        lines.append(text)
    return [wrap_text(line, _INDENT) for line in lines]


def _window_lines(result: Predictions) -> list[str]:
    width = max([len("station"), *(len(window.station or "?") for window in result.windows)])
    lines = [f"{'station':<{width}}  {'window (UTC)':<{_WINDOW}}  P(event)  percentile  base rate"]
    before = [None, *(window.reason for window in result.windows[:-1])]
    for window, place, reason_before in zip(result.windows, result.placements, before, strict=False):
        line = f"{window.station or '?':<{width}}  {_times(window):<{_WINDOW}}  "
        if window.p_event is None:
            repeated = window.reason == reason_before
            text = "not usable: as the window before" if repeated else f"not usable: {window.reason}"
            lines.append(wrap_text(line + text, len(line)))
            continue
        p_event = window.p_event if place.p_event_calibrated is None else place.p_event_calibrated
        percentile = "-" if place.percentile is None else str(int(place.percentile))  # 100: above all control windows
        mark = "*" if place.base_rate_of == ALL_STATIONS else ""
        base_rate = "-" if place.base_rate is None else f"{place.base_rate:.2f}{mark}"
        lines.append(f"{line}{_probability(p_event):>8}  {percentile:>10}  {base_rate:>9}")
    return lines


def _class_lines(result: Predictions) -> list[str]:
    usable = sum(window.usable for window in result.windows)
    by = "P(event)" if result.reference is None or not result.reference.calibrations else "calibrated P(event)"
    rows = [
        (window.station or "?", _times(window), place.magnitude_if_event, _probability(place.magnitude_if_event_p),
         place.azimuth_if_event, _probability(place.azimuth_if_event_p))
        for window, place in zip(result.windows, result.placements, strict=True) if place.event_likelier
    ]  # fmt: skip
    title = f"An event is likelier than not ({by} above 0.5) in {len(rows)} of {usable} usable windows."
    if not rows:
        return [wrap_text(f"{title} No magnitude and no azimuth is given.")]
    header = ["station", "window (UTC)", "magnitude", "P", "azimuth", "P"]
    return [wrap_text(title), format_table(header, rows), "P: of this class, given an event."]


def _times(window: WindowPrediction) -> str:
    """Write a window as day and hours, 24:00 for its end at midnight."""
    if window.start_utc is None or window.end_utc is None:
        return "?"
    start, end = pd.Timestamp(window.start_utc), pd.Timestamp(window.end_utc)
    until = "24:00" if end == start.normalize() + pd.Timedelta(days=1) else f"{end:%H:%M}"
    return f"{start:%Y-%m-%d %H:%M}-{until}"


def _probability(value: float | None) -> str:
    if value is None:
        return "-"
    return "<0.01" if value < 0.01 else ">0.99" if value > 0.99 else f"{value:.2f}"
