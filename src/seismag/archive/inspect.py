"""The contents of one recording, with an assessment, for JSON or a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from seismag.archive.noise import describe_noise_band, noise_band_hz, noise_floor_of
from seismag.archive.quality import assess_day, main_field
from seismag.archive.survey import describe_position, position_error
from seismag.arrays import rounded
from seismag.config import DataConfig
from seismag.domain import COMPONENTS, Station
from seismag.recordings import read_recording
from seismag.spectrograms.compute import make_grid


@dataclass(frozen=True)
class ComponentSummary:
    """Values of one component: median and extremes in nT (None: no value), missing samples, longest stuck stretch."""

    median_nt: float | None
    min_nt: float | None
    max_nt: float | None
    missing: int
    stuck_s: int


@dataclass(frozen=True)
class RecordingSummary:
    """The contents and the assessment of a recording; the fields are the keys of ``seismag inspect FILE --json``.

    Attributes:
        plausible: by the main field; None where it cannot be assessed.
        verdict: good, usable or refused, with ``reasons``.
        main_field_nt: of H, D, Z in the frame of the recording; None where the position is unknown.
        noise_floor_nt, noise_band_hz: None where the rate is not 1 Hz.
    """

    file: str
    station: str
    start_utc: str
    end_utc: str
    rate_hz: float
    samples: int
    format: str
    origin: str
    components: dict[str, ComponentSummary]
    plausible: bool | None
    verdict: str
    reasons: list[str]
    spikes: int
    steps: int
    h_axis_deg: float | None
    main_field_nt: dict[str, float] | None
    noise_floor_nt: float | None
    noise_band_hz: tuple[float, float] | None
    position_error_deg: float | None
    sha256: str

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Return lines for a terminal."""
        plausible = {True: "fits the main field", False: "DOES NOT FIT the main field", None: "level cannot be checked"}
        lines = [
            f"file        {self.file} ({self.format}{', SIMULATED' if self.origin == 'simulated' else ''})",
            f"station     {self.station or '(none named)'}",
            f"time        {self.start_utc} to {self.end_utc}",
            f"samples     {self.samples} at {self.rate_hz:.4g} Hz",
            f"{'':<12}{'median':>11}{'min':>11}{'max':>11}{'missing':>9}   main field   (nT)",
        ]
        for name, component in self.components.items():
            values = (component.median_nt, component.min_nt, component.max_nt)
            cells = "".join(f"{'-' if value is None else format(value, '.1f'):>11}" for value in values)
            reference = "-" if self.main_field_nt is None else format(self.main_field_nt[name], ".1f")
            lines.append(f"{name:<12}{cells}{component.missing:>9}{reference:>13}")
        if self.noise_floor_nt is not None and self.noise_band_hz is not None:
            band = describe_noise_band(self.noise_band_hz)
            lines.append(f"noise floor {self.noise_floor_nt:.4f} nT rms {band}, median of the windows")
        lines.append(f"conclusion  {self.verdict}; {plausible[self.plausible]}")
        lines += [f"            {reason}" for reason in self.reasons]
        return "\n".join(lines)


def inspect_recording(path: Path, stations: dict[str, Station], spec: DataConfig) -> RecordingSummary:
    """Read and assess one recording.

    Raises:
        DataError: the file cannot be read.
    """
    recording = read_recording(path)
    where = f"{recording.station or path.name} {recording.start_utc.astype('datetime64[D]')}"
    station = place = stations.get(recording.station)
    if place is None and np.isfinite([recording.latitude_deg, recording.longitude_deg]).all():
        place = Station(recording.station, recording.latitude_deg, recording.longitude_deg)
    expected = None if place is None else main_field(place, recording.start_utc, recording.h_axis_deg)
    quality = assess_day(recording.field_nt, spec, expected, where, recording.rate_hz)
    far = "" if station is None else describe_position(recording, station, path)
    band = noise_band_hz(make_grid(spec).frequency_hz) if abs(recording.rate_hz - 1.0) <= 1e-9 else None
    main_field_nt = None
    if expected is not None:
        main_field_nt = {name: round(value, 1) for name, value in zip(COMPONENTS, expected.hdz, strict=True)}
    components = {
        name: ComponentSummary(
            median_nt=rounded(quality.median_nt[index]),
            min_nt=rounded(quality.min_nt[index]),
            max_nt=rounded(quality.max_nt[index]),
            missing=int(quality.missing[index]),
            stuck_s=int(quality.flat_s[index]),
        )
        for index, name in enumerate(COMPONENTS)
    }
    return RecordingSummary(
        file=str(path),
        station=recording.station,
        start_utc=f"{recording.start_utc.astype('datetime64[s]')}Z",
        end_utc=f"{recording.end_utc.astype('datetime64[s]')}Z",
        rate_hz=recording.rate_hz,
        samples=recording.samples,
        format=recording.format,
        origin=recording.origin,
        components=components,
        plausible=quality.plausible,
        verdict="refused" if far else quality.verdict,
        reasons=[*quality.reasons, *([far] if far else []), *recording.metadata.get("warnings", [])],
        spikes=quality.spikes,
        steps=quality.steps,
        h_axis_deg=rounded(recording.h_axis_deg),
        main_field_nt=main_field_nt,
        noise_floor_nt=None if band is None else rounded(noise_floor_of(recording, spec), 6),
        noise_band_hz=band,
        position_error_deg=None if station is None else rounded(position_error(recording, station)),
        sha256=recording.sha256,
    )
