"""The survey before an injection: which files of an archive can be used, and the background of each station.

The background is the horizontal power in the band, measured in half-overlapping segments of 600 s over all days of a
station; the reference is the median of the quietest half of the segments.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seismag.archive.survey import cut_day, station_of
from seismag.arrays import FloatArray
from seismag.config import DataConfig
from seismag.domain import DataError, Station
from seismag.files import write_table
from seismag.parallel import Pool, Progress
from seismag.recordings import read_recording, reader_of
from seismag.recordings.additions import WRITABLE
from seismag.recordings.compression import read_head
from seismag.recordings.days import days_of, require_one_hertz
from seismag.simulate.emission import WINDOW_H
from seismag.spectrograms.compute import make_grid
from seismag.spectrograms.decibels import window_spectra

TASK_FILES = 8
_GRID = DataConfig.model_validate(  # of the background: up to 490 mHz
    {"window_h": WINDOW_H, "segment_s": 600, "step_s": 300, "n_bins": 294}
)
LOWEST_MHZ = 1000 / _GRID.segment_s
_FOREIGN, _SIMULATED = "foreign format", "already simulated"
_SURVEY_COLUMNS = {
    "path": "str", "format": "str", "why_not": "str", "station": "str", "day": "datetime64[s]", "segments": "object",
}  # fmt: skip


def survey_archive(
    pool: Pool, files: list[Path], archive: Path, stations: dict[str, Station], band_hz: tuple[float, float],
    folder: Path, progress: Progress,
) -> pd.DataFrame:  # fmt: skip
    """Read each file once: one row for each day, or one row with the reason why the file is not used.

    Returns:
        path (relative to the archive), format, why_not ("" where the file is used), station, day, segments (of
        ``band_power_nt2``, flattened).
    """
    batches = [files[first : first + TASK_FILES] for first in range(0, len(files), TASK_FILES)]
    arguments = (archive, stations, band_hz)
    return pool.run_parts(_survey_part, batches, arguments, folder / "survey", "survey", progress)


def _survey_part(
    files: list[Path], archive: Path, stations: dict[str, Station], band_hz: tuple[float, float], part: Path
) -> None:
    rows = [row for path in files for row in _survey_file(path, archive, stations, band_hz)]
    write_table(pd.DataFrame(rows, columns=list(_SURVEY_COLUMNS)).astype(_SURVEY_COLUMNS), part)


def _survey_file(
    path: Path, archive: Path, stations: dict[str, Station], band_hz: tuple[float, float]
) -> list[dict[str, object]]:
    reader = reader_of(read_head(path))
    kind = "" if reader is None else reader.name
    row: dict[str, object] = {"path": path.relative_to(archive).as_posix(), "format": kind, "why_not": ""}
    if kind and kind not in WRITABLE:
        return [row | {"why_not": _FOREIGN}]
    try:
        recording = read_recording(path)
        if recording.origin == "simulated":
            return [row | {"why_not": _SIMULATED}]
        row["station"] = recording.station
        station = station_of(recording, path, archive, stations)
        require_one_hertz(recording, path.name)
    except DataError as error:
        return [row | {"why_not": error.reason}]
    if np.isnan(recording.field_nt).all(axis=1).any():
        return [row | {"why_not": "all_missing"}]
    row["station"] = station.code
    return [
        {**row, "day": day, "segments": band_power_nt2(cut_day([recording], station, day).field_nt, band_hz).ravel()}
        for day in days_of(recording)
    ]


def require_usable(survey: pd.DataFrame, archive: Path) -> None:
    """Refuse an archive with files of a format that cannot be written, or already simulated, or without a usable file.

    Raises:
        DataError: there are such files, or none into which an emission can be injected.
    """
    for word, what, remedy in (
        (_FOREIGN, "of formats that cannot be written", f"Convert them to {' or '.join(WRITABLE)}, or take them out"),
        (_SIMULATED, "simulated or injected already", "Take the original files"),
    ):
        rows = survey[survey["why_not"] == word]
        if len(rows):
            names = ", ".join(f"{row.path} ({row.format})" for row in rows.head(5).itertuples())
            more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
            raise DataError(f"{archive}: {len(rows)} files are {what}: {names}{more}. {remedy}; nothing was written.")
    if (survey["why_not"] == "").any():
        return
    reasons = ", ".join(f"{count} {word}" for word, count in survey["why_not"].value_counts().items())
    codes = unlisted_stations(survey)
    unknown = f" Not in the station file: {', '.join(codes)}; name a table, --set simulate.station_file=FILE."
    raise DataError(f"{archive}: no file can be used ({reasons}).{unknown if codes else ''}", "no_usable_file")


def unlisted_stations(survey: pd.DataFrame) -> list[str]:
    """Return the codes of files that are not used because their station is not in the station file."""
    return sorted(survey.loc[survey["why_not"] == "unknown_station", "station"].dropna().unique())


def band_power_nt2(field_nt: FloatArray, band_hz: tuple[float, float]) -> FloatArray:
    """Measure the horizontal power in a band by window and segment of a day (3, 86400), NaN missing.

    Returns (4, T) in nT², H and D together; NaN where a gap, a jump or a stuck value touches the segment.
    """
    frequency = make_grid(_GRID).frequency_hz
    fine = np.linspace(*band_hz, 200)
    weights = np.stack([np.interp(fine, frequency, row) for row in np.eye(frequency.size)])
    width_hz = np.trapezoid(weights, fine, axis=1)  # (F,) linear between frequency bins
    power = window_spectra(field_nt, _GRID).power[:, :2]
    return np.einsum("wcft,f->wt", power.astype(np.float64), width_hz)


def reference_nt2(segments_nt2: FloatArray) -> float:
    """Return the median of the quietest half of the segments of a station, nT²; NaN where there is none."""
    known = np.sort(segments_nt2[np.isfinite(segments_nt2)])
    return float(np.median(known[: (known.size + 1) // 2])) if known.size else np.nan


def window_means(parts: list[FloatArray]) -> FloatArray:
    """Return the mean (4,) over the known segments of each window of a day; NaN where none is known."""
    segments = np.concatenate(parts, axis=1)
    known = np.isfinite(segments)
    total = np.where(known, segments, 0.0).sum(axis=1)
    return np.divide(total, known.sum(axis=1), out=np.full(len(total), np.nan), where=known.any(axis=1))


def mean_between(segments_nt2: FloatArray, start_utc: np.datetime64, end_utc: np.datetime64) -> float:
    """Return the mean of the known segments of a day (4 T,) within a window of it; NaN where there is none."""
    slot_s = WINDOW_H * 3600
    starts = np.concatenate([slot * slot_s + make_grid(_GRID).starts for slot in range(24 // WINDOW_H)])
    first, last = ((time - start_utc.astype("M8[D]")) / np.timedelta64(1, "s") for time in (start_utc, end_utc))
    inside = (starts >= first) & (starts + _GRID.segment_s <= last) & np.isfinite(segments_nt2)
    return float(segments_nt2[inside].mean()) if inside.any() else np.nan
