"""The survey of an archive: each UTC day of each file with its quality, before windows are chosen.

``survey_file`` reads and assesses one file; ``resolve_days`` resolves duplicates and days spread over several files;
``load_day`` reads a day.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.archive.folders import Found, composed, find_below
from seismag.archive.quality import assess_day, main_field
from seismag.config import DataConfig
from seismag.domain import COMPONENTS, DataError, Station
from seismag.files import path_of_text, printable, read_json, text_of_path
from seismag.limits import RECORDING, open_file
from seismag.machine import raise_if_of_machine
from seismag.recordings import Recording, read_claim, read_recording
from seismag.recordings.days import days_of, field_of_day, require_one_hertz
from seismag.spectrograms.artefacts import blank_artefacts
from seismag.spectrograms.compute import bridge_short_gaps, masked_frames, split_windows

POSITION_TOLERANCE_DEG = 0.5  # between the file's own position and the station list
SAME_NT = 0.02  # files of one day that differ by more have different content; formats round to 0.01 nT
SIMULATION_FILE = "simulation.json"  # marks an archive that seismag simulated
TRUTH_FILE = "truth.parquet"  # its injected emissions
_TABLES = (".csv", ".json", ".jsonl", ".parquet", ".md", ".yaml")  # not recordings, at the top of an archive


@dataclass(frozen=True)
class Day:
    """One UTC day of one station.

    Attributes:
        field_nt: (3, 86400) at 1 Hz, NaN missing.
        h_axis_deg: azimuth of the H axis from geographic north.
        h_axis_source: "file", or "main field" where the file has none.
        sha256: of the files that the day was read from, in order.
    """

    field_nt: NDArray[np.float64]
    h_axis_deg: float
    h_axis_source: str
    sha256: tuple[str, ...]


def list_files(archive: Path) -> list[Path]:
    """List the files below an archive, sorted by relative path, without hidden ones and tables at its top.

    Folders that are symbolic links are followed; a folder is read once, so loops end. Broken links and folders that
    cannot be read are listed too, so that they are refused by name.

    Raises:
        DataError: the folder does not exist or contains no file.
    """
    return find_files(archive).files


def find_files(archive: Path) -> Found:
    """List the files below an archive as ``list_files``, and what else is there and is left out, with the reason.

    Raises:
        DataError: the folder does not exist, cannot be listed, or contains no file.
    """
    if not os.path.isdir(archive):
        raise DataError(f"{archive}: no such folder. --archive names the folder with <STATION>/<day files>.")
    found = find_below(archive)
    if archive in found.files:
        raise DataError(f"{archive}: the folder cannot be listed. Allow reading it, or name another folder.")
    found.files = [path for path in found.files if not (path.parent == archive and path.suffix.lower() in _TABLES)]
    if not found.files:
        others = f", apart from {len(found.left_out)} that are not read" if found.left_out else ""
        first = f" {found.left_out[0].detail}" if found.left_out else ""
        raise DataError(
            f"{archive}: contains no file{others}. --archive names the folder with <STATION>/<day files>.{first}"
        )
    return found


def survey_left_out(found: Found, archive: Path, stations: dict[str, Station]) -> list[dict[str, object]]:
    """Make the rows of the survey for what is in an archive and was left out."""
    rows = []
    for entry in found.left_out:
        row: dict[str, object] = {"path": text_of_path(entry.path.relative_to(archive))}
        row |= _refusal(archive, entry.reason, entry.detail)
        code = folder_of(entry.path, archive)
        rows.append({**row, "station": code} if code in stations else row)
    return rows


def unreadable(path: Path, archive: Path) -> dict[str, object] | None:
    """Return why a file cannot be opened, or a folder not listed: path, reason, detail; None where it can."""
    try:
        if os.path.isdir(path):
            raise DataError(f"{path}: the folder cannot be listed. Allow reading it.", "unreadable")
        open_file(path, RECORDING).close()
    except DataError as error:
        row = _refusal(archive, error.reason, str(error))
        return {**row, "path": text_of_path(path.relative_to(archive))}
    return None


def _refusal(archive: Path, reason: str, detail: str) -> dict[str, object]:
    """Make the columns of a refusal; the folder of the archive is no part of it, because stores are compared."""
    detail = detail.replace(f"{archive}{os.sep}", "")
    return {"verdict": "refused", "reason": reason, "detail": printable(detail)}


def is_simulated(archive: Path) -> bool:
    """Return whether an archive as a whole is marked as simulated; files have marks of their own."""
    return (archive / SIMULATION_FILE).is_file()


def is_unfinished(archive: Path) -> bool:
    """Return whether an archive is an interrupted simulation."""
    if not is_simulated(archive):
        return False
    try:
        facts = read_json(archive / SIMULATION_FILE)
    except DataError:  # a damaged mark is still a mark
        return False
    return isinstance(facts, dict) and facts.get("complete") is False


def survey_file(path: Path, archive: Path, stations: dict[str, Station], spec: DataConfig) -> list[dict[str, object]]:
    """Assess one file: a row for each UTC day in it, or rows with the reason why it cannot be used.

    A file that cannot be used has a row without ``start_utc`` for each day of its name or header (``read_claim``),
    or one row without a day.

    Returns:
        Rows with path, station, day, sha256, origin (missing for a file that cannot be read), verdict, reason (short
        word, "" when usable), detail, medians, and for each window of the day its gap_fraction and masked_fraction.
    """
    row: dict[str, object] = {"path": text_of_path(path.relative_to(archive))}
    recording = None
    try:
        if os.path.isdir(path):
            raise DataError(f"{path}: the folder cannot be listed. Allow reading it.", "unreadable")
        recording = read_recording(path)
        origin = "simulated" if is_simulated(archive) else recording.origin
        row |= {"sha256": recording.sha256, "format": recording.format, "origin": origin}
        station = station_of(recording, path, archive, stations)
        require_one_hertz(recording, path.name)
        if far := describe_position(recording, station, path):
            raise DataError(far, "wrong_position")
        whole = {"station": station.code, "start_utc": recording.start_utc, "end_utc": recording.end_utc}
        return [
            {**row, **whole, "day": day, "position_error_deg": position_error(recording, station)}
            | assess_stored_day(cut_day([recording], station, day), station, day, spec)
            for day in days_of(recording)
        ]
    except MemoryError:
        raise
    except Exception as error:  # one odd file never ends a preparation
        raise_if_of_machine(error, path)
        if isinstance(error, DataError):
            reason, detail = error.reason, str(error)
        else:
            reason = "reader_error"
            detail = f"{path}: {type(error).__name__}: {error}. This is an error of seismag; please report it."
        detail = detail.replace(str(path), str(row["path"]))
        row |= _refusal(archive, reason, detail)
        code, days = read_claim(path) if recording is None else (recording.station, days_of(recording))
        if (code := code or folder_of(path, archive)) not in stations:
            return [row]  # a station that is not listed has no windows
        return [{**row, "station": code, "day": day} for day in days] or [{**row, "station": code}]


def assess_stored_day(day_data: Day, station: Station, day: np.datetime64, spec: DataConfig) -> dict[str, object]:
    """Assess a day; returns columns of the survey."""
    expected = main_field(station, day, day_data.h_axis_deg)
    quality = assess_day(day_data.field_nt, spec, expected, f"{station.code} {day}")
    windows = split_windows(day_data.field_nt, spec)
    gaps = np.isnan(windows.sum(axis=1)).mean(axis=-1)
    cleaned = blank_artefacts(bridge_short_gaps(day_data.field_nt, spec.max_interpolated_gap_s), quality.artefacts)
    masked = masked_frames(split_windows(cleaned, spec), spec).any(axis=1).mean(axis=-1)
    reason = ""
    if quality.verdict == "refused":
        reason = "implausible" if quality.plausible is False else "all_missing"
    return {
        "verdict": quality.verdict,
        "reason": reason,
        "detail": " ".join(quality.reasons),
        "plausible": quality.plausible,
        **{f"{name.lower()}_median_nt": value for name, value in zip(COMPONENTS, quality.median_nt, strict=True)},
        "missing_s": int(quality.missing.max()),
        "spikes": quality.spikes,
        "steps": quality.steps,
        "h_axis_deg": day_data.h_axis_deg,
        "h_axis_source": day_data.h_axis_source,
        "gap_fraction": gaps.tolist(),
        "masked_fraction": masked.tolist(),
    }


def load_day(paths: list[Path], station: Station, day: np.datetime64) -> Day:
    """Read a UTC day of a station from its files.

    Raises:
        DataError: a file can no longer be read.
    """
    return cut_day([read_recording(path) for path in paths], station, day)


def resolve_days(survey: pd.DataFrame, archive: Path, stations: dict[str, Station], spec: DataConfig) -> pd.DataFrame:
    """Reduce the survey to one row for each station and day: resolve duplicates, merge days spread over files.

    Identical copies count once; a day with different content for the same seconds is refused. A file that cannot be
    used counts for the days that no other file contains.

    Args:
        survey: rows of ``survey_file``; ``path`` relative to ``archive``.

    Returns:
        The survey with ``paths`` (list) instead of ``path``; refused rows keep theirs.
    """
    claims = survey["day"].notna() & survey["start_utc"].isna()  # of unusable files, on days of other files
    ordered = survey.assign(claims=claims).sort_values(["claims", "path"], kind="stable")
    second = ordered["claims"] & ordered.duplicated(["station", "day"])
    survey = survey.assign(day=survey["day"].where(~second.reindex(survey.index)))
    undated = survey["day"].isna()
    spare = undated & (survey["path"].isin(survey.loc[~undated, "path"]) | survey.duplicated("path"))
    survey = survey[~spare].reset_index(drop=True)  # each file keeps at least one row
    survey = survey.assign(paths=[[path] for path in survey["path"]]).drop(columns="path")
    dated = survey["day"].notna()
    several = dated & survey.duplicated(["station", "day"], keep=False)
    rows: list[dict[str, object]] = []
    for (code, day), group in survey[several].groupby(["station", "day"], sort=True):
        rows += _resolve(group, archive, stations[str(code)], np.datetime64(day, "D"), spec)
    resolved = pd.DataFrame(rows, columns=survey.columns) if rows else survey.iloc[:0]
    whole = pd.concat([survey[~several], resolved], ignore_index=True) if rows else survey
    order = whole.assign(first=[paths[0] for paths in whole["paths"]])
    return order.sort_values(["station", "day", "first"], ignore_index=True).drop(columns="first")


def _resolve(
    group: pd.DataFrame, archive: Path, station: Station, day: np.datetime64, spec: DataConfig
) -> list[dict[str, object]]:
    group = group.assign(first=[paths[0] for paths in group["paths"]]).sort_values("first").drop(columns="first")
    copies = group[group.duplicated("sha256", keep="first")]
    unique = group.drop(copies.index)
    rows = [
        {
            **row,
            "day": pd.NaT,  # the day belongs to the file that is kept
            "verdict": "refused",
            "reason": "duplicate_file",
            "detail": f"{row['paths'][0]}: a copy of another file of this day",
        }
        for row in copies.to_dict("records")
    ]
    if len(unique) == 1:
        return [*unique.to_dict("records"), *rows]
    spans = unique.sort_values(["start_utc"], kind="stable")
    fields = np.stack([load_day([path_of_text(archive, paths[0])], station, day).field_nt for paths in spans["paths"]])
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # seconds without any file
        differ = np.nanmax(fields, axis=0) - np.nanmin(fields, axis=0) > SAME_NT
    if differ.any():
        names = ", ".join(paths[0] for paths in unique["paths"])
        detail = f"{station.code} {day}: {names} contain the same seconds with different content. Keep one of them."
        first, *others = unique.to_dict("records")
        refusal = {"verdict": "refused", "reason": "duplicate_day", "detail": detail}
        return [*rows, {**first, **refusal}, *({**row, **refusal, "day": pd.NaT} for row in others)]
    paths = [paths[0] for paths in spans["paths"]]
    merged = load_day([path_of_text(archive, path) for path in paths], station, day)
    record = {
        **spans.iloc[0].to_dict(),
        "paths": paths,
        "end_utc": spans["end_utc"].iloc[-1],
        "sha256": "+".join(merged.sha256),
        "origin": "simulated" if (spans["origin"] == "simulated").any() else "observed",
    }
    return [{**record, **assess_stored_day(merged, station, day, spec)}, *rows]


def cut_day(recordings: list[Recording], station: Station, day: np.datetime64) -> Day:
    """Place the samples of recordings on the seconds of one UTC day; NaN where there is none."""
    axis, source = recordings[0].h_axis_deg, "file"
    if np.isnan(axis):
        axis, source = main_field(station, day).declination_deg, "main field"
    return Day(field_of_day(recordings, day), float(axis), source, tuple(r.sha256 for r in recordings))


def station_of(recording: Recording, path: Path, archive: Path, stations: dict[str, Station]) -> Station:
    """Return the station by the code in the file, else by its folder; the two must not contradict each other.

    Raises:
        DataError: ``unknown_station`` or ``name_mismatch``.
    """
    folder = folder_of(path, archive)
    code = recording.station or folder
    if not code:
        raise DataError(f"{path.name}: without station code, and not in a <STATION> folder.", "unknown_station")
    if recording.station and folder in stations and folder != recording.station:
        raise DataError(f"{path.name}: station {recording.station}, but in folder {folder}.", "name_mismatch")
    if code not in stations:
        raise DataError(f"{path.name}: station {code} is not in the station file. Add it there.", "unknown_station")
    return stations[code]


def folder_of(path: Path, archive: Path) -> str:
    """Return the name of the folder of a file right below the archive, upper case; "" for a file at the top."""
    return composed(path.relative_to(archive).parts[0]).upper() if path.parent != archive else ""


def position_error(recording: Recording, station: Station) -> float:
    """Return the distance of the position in a file from the listed one, degrees; NaN where the file has none.

    Numbers that are no degrees (metres of a projection) are no position.
    """
    latitude, longitude = recording.latitude_deg, recording.longitude_deg
    if not (abs(latitude) <= 90 and -180 <= longitude <= 360):
        return np.nan
    return float(np.hypot(latitude - station.latitude_deg, (longitude - station.longitude_deg + 180) % 360 - 180))


def describe_position(recording: Recording, station: Station, path: Path) -> str:
    """Return why the position in a file does not fit the listed one; "" where it does, or where it has none."""
    error_deg = position_error(recording, station)
    if not error_deg > POSITION_TOLERANCE_DEG:
        return ""
    return (
        f"{path.name}: its own position ({recording.latitude_deg:g}, {recording.longitude_deg:g}) lies {error_deg:.1f} "
        f"degrees from that of {station.code} in the station file ({station.latitude_deg:g}, "
        f"{station.longitude_deg:g}), limit {POSITION_TOLERANCE_DEG:g}. Correct the one that is wrong."
    )
