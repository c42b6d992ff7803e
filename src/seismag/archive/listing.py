"""The contents of an archive by file names and headers; no sample is read, so large archives are listed quickly."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from seismag.archive.survey import SIMULATION_FILE, TRUTH_FILE, find_files, folder_of, survey_left_out, unreadable
from seismag.documents import Columns, Document, read_document, read_frame
from seismag.domain import DataError, UsageError
from seismag.files import path_of_text, printable, text_of_path
from seismag.limits import TABLE, read_file
from seismag.recordings import Recording, read_claim, read_recording, reader_of
from seismag.recordings.compression import read_head
from seismag.recordings.days import field_of_day

_SHOWN_STATIONS = 30
_SHOWN_LEFT_OUT = 10


@dataclass(frozen=True)
class ListedFile:
    """A file of an archive, by its name and header.

    Attributes:
        path: relative to the archive.
        format: "" unknown.
        station: by name, header or folder; "" unknown.
        days: empty where unknown; only the first of a longer file without days in its name.
        marked: as made or changed by seismag.
    """

    path: str
    size: int
    format: str
    station: str
    days: NDArray[np.datetime64]
    marked: bool


def list_recordings(archive: Path) -> tuple[list[ListedFile], list[dict[str, str]]]:
    """List the files of an archive by their names and first bytes.

    Returns:
        The files, also those that cannot be read; and what is not read: path, reason, detail.

    Raises:
        DataError: the folder contains no file.
    """
    found = find_files(archive)
    listed = []
    left_out = survey_left_out(found, archive, {})
    for path in found.files:
        if (refusal := unreadable(path, archive)) is not None:
            left_out.append(refusal)
            if os.path.isdir(path):
                continue
        head = read_head(path)
        reader, (code, days) = reader_of(head), read_claim(path)
        listed.append(
            ListedFile(
                path=text_of_path(path.relative_to(archive)),
                size=_size(path),
                format="" if reader is None else reader.name,
                station=code or folder_of(path, archive),
                days=days,
                marked=reader is not None and reader.is_marked(head),
            )
        )
    return listed, [{key: str(row[key]) for key in ("path", "reason", "detail")} for row in left_out]


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # gone since it was listed
        return 0


@dataclass(frozen=True)
class StationListing:
    """Days and files of one station; days as ISO dates, None where no day is known."""

    days: int
    files: int
    first_day: str | None
    last_day: str | None


@dataclass(frozen=True)
class ArchiveSummary:
    """The contents of an archive; the fields are the keys of ``seismag inspect DIR --json`` (docs/data-formats.md).

    Attributes:
        unclear: files without station or day.
        events: in catalogue.csv.
        emissions, emission_windows, emission_stations, snr_median: of truth.parquet; None or empty without it.
        simulation: content of simulation.json.
        left_out: what is there and is not read: path, reason, detail.
    """

    archive: str
    files: int
    size_mb: float
    formats: dict[str, int]
    origin: dict[str, int]
    stations: dict[str, StationListing]
    unclear: int
    events: int | None
    emissions: int | None
    emission_windows: int | None
    emission_stations: dict[str, int]
    snr_median: float | None
    simulation: dict[str, Any] | None
    left_out: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Return lines for a terminal."""
        lines = [
            f"archive     {self.archive}",
            f"files       {self.files}, {self.size_mb:.1f} MB: {_counted(self.formats)}",
            f"origin      {_counted(self.origin)}",
        ]
        if self.unclear:
            lines.append(f"            {self.unclear} files without station or day")
        for number, (code, entry) in enumerate(self.stations.items()):
            if number == _SHOWN_STATIONS:
                lines.append(f"            and {len(self.stations) - _SHOWN_STATIONS} more")
                break
            span = f"{entry.first_day} to {entry.last_day}" if entry.days else "no day named"
            title = "" if number else "stations"
            lines.append(f"{title:<12}{code:<5}{entry.days:>6} days, {entry.files:>6} files, {span}")
        lines += _describe_scenario(self)
        if self.left_out:
            reasons = _counted(dict(Counter(entry["reason"] for entry in self.left_out).most_common()))
            lines.append(f"warning     {len(self.left_out)} files or folders are not read: {reasons}")
            lines += [f"            {entry['detail']}" for entry in self.left_out[:_SHOWN_LEFT_OUT]]
            if len(self.left_out) > _SHOWN_LEFT_OUT:
                lines.append(f"            and {len(self.left_out) - _SHOWN_LEFT_OUT} more (--json lists all)")
        return "\n".join(map(printable, lines))

    def describe_simulation(self, options: list[str]) -> str:
        """Return lines for a terminal after ``seismag simulate``, with the next command."""
        command = ["seismag", "prepare", "--archive", self.archive, "--stations", f"{self.archive}/stations.csv"]
        command += ["--catalog", f"{self.archive}/catalogue.csv"]
        if not (self.simulation or {}).get("injected"):
            command += ["--kp", f"{self.archive}/kp.csv", "--dst", f"{self.archive}/dst.csv"]
        return f"{self.describe()}\nnext        {shlex.join([*command, *options, '--out', 'STORE'])}"


class _Emission(Document):
    low_mhz: float = 0.0
    high_mhz: float = 0.0
    snr: float = 0.0


class _Settings(Document):
    emission: _Emission = Field(default_factory=_Emission)


class _Files(Document):
    unusable: dict[str, int] = Field(default_factory=dict)


class _Simulation(Document):
    """simulation.json, as far as it is read."""

    complete: bool = True
    injected: bool = False
    simulate: _Settings = Field(default_factory=_Settings)
    files: _Files = Field(default_factory=_Files)
    unlisted_stations: list[str] = Field(default_factory=list)


_TRUTH: Columns = {
    "station": "text", "start_utc": "time", "event_id": "text", "snr": "number?", "emission_start_utc?": "time",
    "emission_end_utc?": "time", "low_mhz?": "number", "high_mhz?": "number",
}  # fmt: skip


def inspect_archive(archive: Path) -> ArchiveSummary:
    """Summarise an archive.

    Raises:
        DataError: the folder contains no file, or its tables are damaged.
    """
    files, left_out = list_recordings(archive)
    simulation = None
    if (archive / SIMULATION_FILE).is_file():
        mark = archive / SIMULATION_FILE
        empty = not mark.stat().st_size  # a mark without any fact
        simulation = {} if empty else read_document(mark, _Simulation, "Simulate the archive again.")
    events, catalogue = None, archive / "catalogue.csv"
    if catalogue.is_file():
        events = max(sum(bool(line.strip()) for line in read_file(catalogue, TABLE).split(b"\n")) - 1, 0)
    truth = read_truth(archive)
    emissions = None if truth is None else truth.drop_duplicates(["station", "event_id"])
    stations: dict[str, StationListing] = {}
    for code in sorted({file.station for file in files if file.station}):
        own = [file for file in files if file.station == code]
        days = np.unique(np.concatenate([file.days for file in own]))
        first, last = (str(days[0]), str(days[-1])) if days.size else (None, None)
        stations[code] = StationListing(int(days.size), len(own), first, last)
    origins = Counter("simulated" if simulation is not None or file.marked else "observed" for file in files)
    return ArchiveSummary(
        archive=str(archive),
        files=len(files),
        size_mb=round(sum(file.size for file in files) / 1e6, 3),
        formats=dict(Counter(file.format or "unknown" for file in files).most_common()),
        origin=dict(origins.most_common()),
        stations=stations,
        unclear=sum(not (file.station and file.days.size) for file in files),
        events=events,
        emissions=None if emissions is None else len(emissions),
        emission_windows=None if truth is None else len(truth),
        emission_stations={} if emissions is None else emissions["station"].value_counts().sort_index().to_dict(),
        snr_median=None if truth is None or truth["snr"].isna().all() else round(float(truth["snr"].median()), 3),
        simulation=simulation,
        left_out=left_out,
    )


def choose_day(archive: Path, station: str | None, day: str | None) -> tuple[Recording, pd.DataFrame | None]:
    """Choose a day of an archive to plot, and read it.

    Args:
        station: code; None: the first one.
        day: UTC date; None: the first one with an injected emission, else the first one.

    Returns:
        The day as one recording, and the rows of truth.parquet that touch it (None: no such table).

    Raises:
        UsageError: ``day`` is not a date, or the archive has no such station.
        DataError: no file of that day, or it cannot be read.
    """
    try:
        wanted = None if day is None else np.datetime64(pd.Timestamp(day).date(), "D")
    except ValueError:
        raise UsageError(f"--day {day}: not a date. Write it as 2014-04-07.") from None
    holders: dict[tuple[np.datetime64, str], list[str]] = {}
    for file in list_recordings(archive)[0]:
        for date in file.days:
            holders.setdefault((date, file.station), []).append(file.path)
    codes = sorted({code for _, code in holders})
    if station is not None and (station := station.upper()) not in codes:
        raise UsageError(f"--station {station}: {archive} has {', '.join(codes[:30]) or 'no station with a day'}.")
    fitting = [key for key in holders if station in (None, key[1]) and wanted in (None, key[0])]
    if not fitting:
        known = sorted(date for date, code in holders if station in (None, code))
        span = f"its days run from {known[0]} to {known[-1]}" if known else "no file names its day"
        raise DataError(f"{archive}: no file of {station or 'any station'}{f' on {wanted}' if day else ''}; {span}.")
    truth = read_truth(archive)
    injected = set() if truth is None else set(zip(truth["start_utc"].to_numpy("M8[D]"), truth["station"], strict=True))
    date, code = min([key for key in fitting if key in injected] or fitting)
    recordings = [read_recording(path_of_text(archive, path)) for path in holders[date, code]]
    merged = recordings[0]
    if abs(merged.rate_hz - 1.0) <= 1e-9:
        merged = replace(merged, start_utc=date.astype("M8[ms]"), field_nt=field_of_day(recordings, date))
    if truth is not None:
        truth = truth[(truth["station"] == code) & (truth["start_utc"].to_numpy("M8[D]") == date)]
    return merged, truth


def read_truth(archive: Path) -> pd.DataFrame | None:
    """Read the injected emissions of an archive; None where it has no truth.parquet.

    Raises:
        DataError: the table cannot be read.
    """
    path = archive / TRUTH_FILE
    if not path.is_file():
        return None
    return read_frame(path, _TRUTH, "Simulate the archive again.")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _describe_scenario(summary: ArchiveSummary) -> list[str]:
    lines = []
    scenario = summary.simulation
    settings = (scenario or {}).get("simulate", {})
    emission = settings.get("emission", {})
    band = f"{emission.get('low_mhz', 0):g}-{emission.get('high_mhz', 0):g} mHz"
    if scenario is not None and scenario.get("injected"):
        counts = scenario.get("files", {})
        lines.append(
            f"injected    {counts.get('changed', '?')} files changed, {counts.get('copied', '?')} copied as they are; "
            f"seed {settings.get('seed')}, SNR {emission.get('snr', 0):g} at M 5 and 100 km"
        )
        if counts.get("unusable"):
            lines.append(f"            of those copied, not usable: {_counted(counts['unusable'])}")
        if codes := scenario.get("unlisted_stations"):
            lines.append(
                f"            stations not listed: {', '.join(codes[:_SHOWN_STATIONS])}; "
                "name a table with them, --set simulate.station_file=FILE"
            )
    elif scenario is not None:
        lines.append(
            f"scenario    seed {settings.get('seed')}, defect {settings.get('defect')}, emission SNR "
            f"{emission.get('snr', 0):g} at M 5 and 100 km"
        )
    if (scenario or {}).get("complete") is False:
        lines.append("            UNFINISHED: give the command that made it again, and it goes on")
    if summary.events is not None:
        lines.append(f"catalogue   {summary.events} earthquakes")
    if summary.emissions is not None:
        where = _counted(summary.emission_stations) or "none"
        snr = "" if summary.snr_median is None else f", {band}, SNR {summary.snr_median:.3g} (median)"
        lines.append(f"injected    {summary.emissions} emissions in {summary.emission_windows} windows{snr}: {where}")
    return lines
