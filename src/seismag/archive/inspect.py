"""The contents of one recording, with an assessment, for JSON or a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seismag.archive.noise import describe_noise_band, noise_band_hz, noise_floor_of
from seismag.archive.quality import DayQuality, MainField, assess_day, main_field
from seismag.archive.survey import compare_position
from seismag.arrays import rounded
from seismag.config import DataConfig
from seismag.domain import COMPONENTS, Station
from seismag.recordings import Recording, read_recording
from seismag.spectrograms.compute import make_grid


def inspect_recording(path: Path, stations: dict[str, Station], spec: DataConfig) -> dict[str, Any]:
    """Read and assess one recording.

    Returns:
        The keys of ``seismag inspect FILE --json``: station, times, rate_hz, samples, format, components with
        median, extremes and missing samples, plausible (None: cannot be assessed), verdict, reasons.

    Raises:
        DataError: the file cannot be read.
    """
    recording = read_recording(path)
    where = f"{recording.station or path.name} {recording.start_utc.astype('datetime64[D]')}"
    expected = expected_field(recording, stations)
    quality = assess_day(recording.field_nt, spec, expected, where, recording.rate_hz)
    station = stations.get(recording.station)
    error_deg, remark = (np.nan, "") if station is None else compare_position(recording, station, path)
    verdict = "usable" if remark and quality.verdict == "good" else quality.verdict
    band = noise_band_hz(make_grid(spec).frequency_hz) if abs(recording.rate_hz - 1.0) <= 1e-9 else None
    return {
        "file": str(path),
        "station": recording.station,
        "start_utc": f"{recording.start_utc.astype('datetime64[s]')}Z",
        "end_utc": f"{recording.end_utc.astype('datetime64[s]')}Z",
        "rate_hz": recording.rate_hz,
        "samples": recording.samples,
        "format": recording.format,
        "origin": recording.origin,
        "components": {name: _component(quality, index) for index, name in enumerate(COMPONENTS)},
        "plausible": quality.plausible,
        "verdict": verdict,
        "reasons": [*quality.reasons, *([remark] if remark else []), *recording.metadata.get("warnings", [])],
        "spikes": quality.spikes,
        "steps": quality.steps,
        "h_axis_deg": rounded(recording.h_axis_deg),
        "main_field_nt": None
        if expected is None
        else {name: round(value, 1) for name, value in zip(COMPONENTS, expected.hdz, strict=True)},
        "noise_floor_nt": None if band is None else rounded(noise_floor_of(recording, spec), 6),
        "noise_band_hz": band,
        "position_error_deg": rounded(error_deg),
        "sha256": recording.sha256,
    }


def expected_field(recording: Recording, stations: dict[str, Station]) -> MainField | None:
    """Return the main field in the frame of a recording: at the listed position, else that in the file, else None."""
    station = stations.get(recording.station)
    if station is None:
        if not np.isfinite([recording.latitude_deg, recording.longitude_deg]).all():
            return None
        station = Station(recording.station, recording.latitude_deg, recording.longitude_deg)
    return main_field(station, recording.start_utc, recording.h_axis_deg)


def describe_recording(facts: dict[str, Any]) -> str:
    """Return lines for a terminal."""
    plausible = {True: "fits the main field", False: "DOES NOT FIT the main field", None: "level cannot be checked"}
    lines = [
        f"file        {facts['file']} ({facts['format']}{', SIMULATED' if facts['origin'] == 'simulated' else ''})",
        f"station     {facts['station'] or '(none named)'}",
        f"time        {facts['start_utc']} to {facts['end_utc']}",
        f"samples     {facts['samples']} at {facts['rate_hz']:.4g} Hz",
        f"{'':<12}{'median':>11}{'min':>11}{'max':>11}{'missing':>9}   main field   (nT)",
    ]
    for name, values in facts["components"].items():
        cells = "".join(
            f"{'-' if values[key] is None else format(values[key], '.1f'):>11}"
            for key in ("median_nt", "min_nt", "max_nt")
        )
        reference = "-" if facts["main_field_nt"] is None else format(facts["main_field_nt"][name], ".1f")
        lines.append(f"{name:<12}{cells}{values['missing']:>9}{reference:>13}")
    if facts["noise_floor_nt"] is not None:
        lines.append(
            f"noise floor {facts['noise_floor_nt']:.4f} nT rms {describe_noise_band(facts)}, median of the windows"
        )
    lines.append(f"verdict     {facts['verdict']}; {plausible[facts['plausible']]}")
    lines += [f"            {reason}" for reason in facts["reasons"]]
    return "\n".join(lines)


def _component(quality: DayQuality, index: int) -> dict[str, Any]:
    return {
        "median_nt": rounded(quality.median_nt[index]),
        "min_nt": rounded(quality.min_nt[index]),
        "max_nt": rounded(quality.max_nt[index]),
        "missing": int(quality.missing[index]),
        "stuck_s": int(quality.flat_s[index]),
    }
