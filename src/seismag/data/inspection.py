"""What is in a recording or a store: facts and a verdict as plain values, ready for JSON or a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.config import DataConfig
from seismag.data.archive import compare_position
from seismag.data.noise import noise_band_hz, noise_floor_of
from seismag.data.quality import DayQuality, MainField, assess_day, main_field
from seismag.data.store import DAYS_FILE, LEGACY_IMAGE, REJECTED_FILE, SAMPLES_FILE, Store, open_store, read_table
from seismag.domain import COMPONENTS, Station
from seismag.recordings import Recording, read_recording
from seismag.spectrogram.compute import make_grid


def inspect_recording(path: Path, stations: dict[str, Station], spec: DataConfig) -> dict[str, Any]:
    """Read one recording and judge it.

    Returns:
        The keys of ``seismag inspect FILE --json``: station, times, rate_hz, samples, format, components with
        median, extremes and missing samples, plausible (None: cannot be judged), verdict, reasons.

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
        "h_axis_deg": _number(recording.h_axis_deg),
        "main_field_nt": None
        if expected is None
        else {name: round(value, 1) for name, value in zip(COMPONENTS, expected.hdz, strict=True)},
        "noise_floor_nt": None if band is None else _number(noise_floor_of(recording, spec), 6),
        "noise_band_hz": band,
        "position_error_deg": _number(error_deg),
        "sha256": recording.sha256,
    }


def expected_field(recording: Recording, stations: dict[str, Station]) -> MainField | None:
    """Main field in a recording's frame: by the station list, else by the file's own position, else None."""
    station = stations.get(recording.station)
    if station is None:
        if not np.isfinite([recording.latitude_deg, recording.longitude_deg]).all():
            return None
        station = Station(recording.station, recording.latitude_deg, recording.longitude_deg)
    return main_field(station, recording.start_utc, recording.h_axis_deg)


def is_store(path: Path) -> bool:
    """Tell a store, finished or not, from another folder."""
    return (path / "zarr.json").is_file() or (path / ".work").is_dir() or (path / SAMPLES_FILE).is_file()


def inspect_store(path: Path) -> dict[str, Any]:
    """Summarise a store.

    Raises:
        DataError: it is no finished store.
    """
    store = open_store(path)
    return {"store": str(path), **store_summary(store)}


def store_summary(store: Store) -> dict[str, Any]:
    """Count what a store holds and what was left out, by reason."""
    samples = store.samples
    rejected = read_table(store.path, REJECTED_FILE)
    days = read_table(store.path, DAYS_FILE)
    pictures = store.attributes.get("origin") == LEGACY_IMAGE
    band = None if pictures else noise_band_hz(store.frequency_hz)
    return {
        "dataset_id": store.attributes["dataset_id"],
        "samples": len(samples),
        "shape": list(store.power.shape),
        "frequency_hz": None if pictures else [float(store.frequency_hz[0]), float(store.frequency_hz[-1])],
        "cross_spectra": store.cross is not None,
        "magnitude_classes": _counts(samples.get("magnitude_class")),
        "azimuth_classes": _counts(samples.get("azimuth_class")),
        "stations": _counts(samples.get("station")),
        "split_groups": int(samples["split_group"].nunique()) if len(samples) else 0,
        "events_without_control": int(((samples["magnitude_class"] != "Normal") & ~samples["matched"]).sum())
        if len(samples)
        else 0,
        "noise_floor_nt": {} if band is None else _medians(samples, "noise_floor_nt"),
        "noise_band_hz": band,
        "rejected": _counts(rejected["reason"]),
        "days": _counts(days["verdict"]),
        "range_rule": store.attributes["range_rule"],
        "origin": _counts(samples.get("origin")),
        "catalog_holes": store.attributes["catalog_holes"],
        "catalog_dropped": store.attributes.get("catalog_dropped", {}),
    }


def describe_recording(facts: dict[str, Any]) -> str:
    """Lines for a terminal: what the file holds, and the verdict."""
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
        lines.append(f"noise floor {facts['noise_floor_nt']:.4f} nT rms {_band(facts)}, median of the windows")
    lines.append(f"verdict     {facts['verdict']}; {plausible[facts['plausible']]}")
    lines += [f"            {reason}" for reason in facts["reasons"]]
    return "\n".join(lines)


def describe_store(facts: dict[str, Any]) -> str:
    """Lines for a terminal: what a store holds and what was left out."""

    def counts(name: str) -> str:
        return ", ".join(f"{count} {key}" for key, count in facts[name].items()) or "none"

    low, high = (1000 * value for value in facts["frequency_hz"] or (0, 0))
    axes = f"{low:.2f}-{high:.0f} mHz" if facts["frequency_hz"] else "pictures: levels and pixels, no physical axes"
    floors = ", ".join(
        f"{value:.4f} {station}" for station, value in facts["noise_floor_nt"].items() if value is not None
    )
    return "\n".join(
        [
            f"store       {facts['store']} (data set {facts['dataset_id']}, {counts('origin')})",
            f"samples     {facts['samples']}, each {' x '.join(map(str, facts['shape'][1:]))}, {axes}"
            f"{', with cross-spectra' if facts['cross_spectra'] else ''}",
            f"magnitude   {counts('magnitude_classes')}",
            f"azimuth     {counts('azimuth_classes')}",
            f"stations    {counts('stations')}",
            *([f"noise floor {floors} (nT rms {_band(facts)}; median)"] if floors else []),
            f"groups      {facts['split_groups']}; event windows without a control: {facts['events_without_control']}",
            f"rejected    {counts('rejected')}",
            f"days        {counts('days')}",
            *(
                [f"catalogue   rule {facts['range_rule']}; holes: {', '.join(facts['catalog_holes']) or 'none'}"]
                if facts["range_rule"]
                else []
            ),
        ]
    )


def _band(facts: dict[str, Any]) -> str:
    low, high = (1000 * edge for edge in facts["noise_band_hz"])
    return f"at {low:.0f}-{high:.0f} mHz in the quietest tenth of the columns"


def _counts(column: Any) -> dict[str, int]:
    return {} if column is None else {str(key): int(value) for key, value in column.value_counts().items()}


def _medians(samples: pd.DataFrame, column: str) -> dict[str, float | None]:
    medians = samples.groupby("station")[column].median() if column in samples else {}
    return {str(station): _number(value, 6) for station, value in medians.items()}


def _component(quality: DayQuality, index: int) -> dict[str, Any]:
    return {
        "median_nt": _number(quality.median_nt[index]),
        "min_nt": _number(quality.min_nt[index]),
        "max_nt": _number(quality.max_nt[index]),
        "missing": int(quality.missing[index]),
        "stuck_s": int(quality.flat_s[index]),
    }


def _number(value: float, digits: int = 3) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
