"""Emissions planted in real recordings: an archive of the same files, changed by the emissions and by nothing else.

The reference to which ``simulate.emission.snr`` refers is a station's own background: the horizontal power in the
band, measured in half-overlapping segments of 600 s over all its days in the archive; the median of the quietest
half of them. So it is one number a station, as in a simulated archive, and a storm does not raise an emission.
"""

from __future__ import annotations

import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag import __version__
from seismag.config import DataConfig, EmissionConfig, SimulateConfig
from seismag.data.archive import (
    DAY_S,
    SIMULATION_FILE,
    TRUTH_FILE,
    cut_day,
    days_of,
    is_simulated,
    list_files,
    require_one_hertz,
    split_windows,
    station_of,
)
from seismag.data.catalogs import read_catalogs
from seismag.data.parallel import Pool, Progress, open_pool, silent
from seismag.data.quality import mask_artefacts
from seismag.data.recordings import Recording, format_of, read_recording
from seismag.data.recordings.additions import WRITABLE, add_to_file
from seismag.data.recordings.compression import read_head
from seismag.data.simulate.activity import MARGIN_D
from seismag.data.simulate.earthquakes import with_parents
from seismag.data.simulate.emission import (
    TRUTH_COLUMNS,
    WINDOW_H,
    Emission,
    add_emission,
    emission_envelope,
    plan_emissions,
    window_truth,
)
from seismag.data.simulate.stage import require_empty, write_places
from seismag.data.spectrogram import make_grid, power_spectrogram
from seismag.data.stations import read_stations
from seismag.data.store import write_table
from seismag.domain import DataError, Station, UsageError
from seismag.runs import write_json_atomic

TASK_FILES = 8
_GRID = DataConfig.model_validate(  # of the background: up to 490 mHz
    {"window_h": WINDOW_H, "segment_s": 600, "step_s": 300, "n_bins": 294}
)
_LOWEST_MHZ = 1000 / _GRID.segment_s
_DAY = np.timedelta64(1, "D")
_FOREIGN, _SIMULATED = "foreign format", "already simulated"
_SURVEY_COLUMNS = {
    "path": "str", "format": "str", "why_not": "str", "station": "str", "day": "datetime64[s]", "segments": "object",
}  # fmt: skip

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """A file to be written: with the emissions that fall on it, or copied where none does.

    Attributes:
        path: relative to the archive.
        station: whose file it is; None where the file cannot be used.
        emissions: to be added.
        background_nt2: (4,) mean horizontal power in the band of each window, by day.
    """

    path: str
    station: Station | None
    emissions: tuple[Emission, ...]
    background_nt2: dict[np.datetime64, FloatArray]


def inject_archive(
    spec: SimulateConfig, archive: Path, out: Path, workers: int = 1, progress: Progress = silent
) -> Path:
    """Write an archive of real recordings with an emission before the earthquakes of ``earthquakes.catalog``.

    Files that cannot be used (unreadable, not 1 Hz, of a station that is not listed, without one component) and
    files on which no emission falls are copied byte for byte.

    Args:
        spec: section ``simulate``; ``seed``, ``station_file``, ``emission`` and ``earthquakes.catalog`` count.
        archive: folder with ``<STATION>/<recordings>``.
        out: folder, created; must be empty.
        workers: processes.
        progress: called with stage, done, total.

    Raises:
        UsageError: no catalogue, no emission, or a folder that cannot be used.
        DataError: files of formats that cannot be written, or that are simulated already; nothing to inject.
    """
    _require_settings(spec)
    require_empty(out)
    _require_apart(archive, out)
    files = list_files(archive)
    stations = read_stations(Path(spec.station_file) if spec.station_file else None)
    with tempfile.TemporaryDirectory(prefix="seismag-") as folder, open_pool(workers, None) as pool:
        survey = _survey(pool, files, archive, stations, spec, Path(folder), progress)
        _refuse_files(survey, archive)
        usable = survey[survey["why_not"] == ""]
        _require_usable(survey, archive)
        here = [stations[code] for code in sorted(usable["station"].unique())]
        events = _events(spec, usable["day"].to_numpy().astype("M8[D]"))
        reference = {station.code: reference_nt2(_segments(usable, station.code)) for station in here}
        jobs = _plan(survey, here, events, reference, spec)
        if not any(job.emissions for job in jobs):
            raise DataError(_nothing_in_range(spec, archive, usable))
        out.mkdir(parents=True, exist_ok=True)
        facts: dict[str, object] = {
            "seismag": __version__, "injected": True, "background_nt2": reference,
            "simulate": spec.model_dump(
                mode="json", include={"seed": True, "station_file": True, "emission": True, "earthquakes": {"catalog"}}
            ),
        }  # fmt: skip
        write_json_atomic(out / SIMULATION_FILE, facts)  # first: an interrupted archive is marked, too
        write_places(here, events, out)
        truth, changed = _write_files(pool, jobs, archive, out, spec, Path(folder), progress)
    if truth.empty:
        shutil.rmtree(out)
        raise DataError(
            f"{archive}: the emissions are smaller than the rounding of the files, or fall on missing samples; nothing "
            f"was written. Raise simulate.emission.snr ({spec.emission.snr:g})."
        )
    write_table(truth, out / TRUTH_FILE)
    skipped = survey.drop_duplicates("path").loc[lambda rows: rows["why_not"] != "", "why_not"].value_counts()
    counts = {"changed": changed, "copied": len(files) - changed, "unusable": skipped.to_dict()}
    write_json_atomic(out / SIMULATION_FILE, facts | {"files": counts})
    return out


def band_power_nt2(field_nt: FloatArray, band_hz: tuple[float, float]) -> FloatArray:
    """Measure the horizontal power in a band, window by window and segment by segment.

    Args:
        field_nt: (3, 86400) H, D, Z of a day, NaN missing.
        band_hz: its edges.

    Returns:
        (4, T) in nT², H and D together; NaN where a gap, a jump or a stuck value touches the segment.
    """
    frequency = make_grid(_GRID).frequency_hz
    fine = np.linspace(*band_hz, 200)
    shares = np.stack([np.interp(fine, frequency, row) for row in np.eye(frequency.size)])
    width_hz = np.trapezoid(shares, fine, axis=1)  # (F,) linear between the rows
    power = power_spectrogram(split_windows(mask_artefacts(field_nt, _GRID), _GRID), _GRID)[:, :2]
    return np.einsum("wcft,f->wt", power.astype(np.float64), width_hz)


def reference_nt2(segments_nt2: FloatArray) -> float:
    """Median of the quietest half of a station's segments, nT²; NaN where there is none."""
    known = np.sort(segments_nt2[np.isfinite(segments_nt2)])
    return float(np.median(known[: (known.size + 1) // 2])) if known.size else np.nan


def emission_of_file(
    recording: Recording, station: Station, emissions: tuple[Emission, ...], spec: EmissionConfig, seed: int
) -> FloatArray:
    """Give the field (3, n) of emissions at the samples of a recording, nT.

    The waveform depends on seed, station, earthquake and day: two files that hold the same seconds get the same.
    """
    added = np.zeros((3, recording.samples))
    for day in days_of(recording):
        axis_deg = cut_day([recording], station, day).h_axis_deg
        field = np.zeros((3, DAY_S))
        for emission in emissions:
            now, before = (_stream(seed, emission, date) for date in (day, day - 1))
            add_emission(field, day, emission, axis_deg, spec, now, before)
        offset = int((recording.start_utc - day.astype("M8[ms]")) // np.timedelta64(1000, "ms"))
        low, high = max(0, offset), min(DAY_S, offset + recording.samples)
        added[:, low - offset : high - offset] = field[:, low:high]
    return added


def _stream(seed: int, emission: Emission, day: np.datetime64) -> np.random.Generator:
    names = (zlib.crc32(text.encode()) for text in (emission.station, emission.event_id))
    since_1800 = int((day - np.datetime64("1800-01-01")) // _DAY)  # streams are numbered from 0 up
    return np.random.default_rng([seed, 6, *names, since_1800])


def _require_settings(spec: SimulateConfig) -> None:
    if spec.earthquakes.catalog is None:
        raise UsageError(
            "--inject needs real earthquakes: name a catalogue, --set simulate.earthquakes.catalog=FILE (a file of "
            "'seismag fetch-catalog', for instance)."
        )
    if spec.emission.snr == 0:
        raise UsageError("--inject: simulate.emission.snr is 0, so nothing would be injected. Set it above 0.")
    if spec.emission.low_mhz < _LOWEST_MHZ:
        raise UsageError(
            f"--inject: simulate.emission.low_mhz is {spec.emission.low_mhz:g}; the background is measured from "
            f"{_LOWEST_MHZ:.2f} mHz on. Raise it."
        )


def _require_apart(archive: Path, out: Path) -> None:
    if out.resolve().is_relative_to(archive.resolve()):
        raise UsageError(f"--out {out}: lies within the archive {archive}. Choose a folder outside.")
    if is_simulated(archive):
        raise DataError(
            f"{archive}: is simulated itself ({SIMULATION_FILE}), and its own truth would be lost. Name real "
            "recordings, or plant emissions with simulate.emission and without --inject."
        )


def _survey(
    pool: Pool, files: list[Path], archive: Path, stations: dict[str, Station], spec: SimulateConfig, folder: Path,
    progress: Progress,
) -> pd.DataFrame:  # fmt: skip
    """Read every file once: a row for each day in it with its segments, or a row that says why it is not used."""
    band = spec.emission.low_mhz / 1000, spec.emission.high_mhz / 1000
    parts = [folder / f"survey{first:08d}.parquet" for first in range(0, len(files), TASK_FILES)]
    tasks = [
        (files[number * TASK_FILES : (number + 1) * TASK_FILES], archive, stations, band, part)
        for number, part in enumerate(parts)
    ]
    pool.run(_survey_part, tasks, "survey", progress)
    return pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)


def _survey_part(
    files: list[Path], archive: Path, stations: dict[str, Station], band_hz: tuple[float, float], part: Path
) -> None:
    rows = [row for path in files for row in _survey_file(path, archive, stations, band_hz)]
    write_table(pd.DataFrame(rows, columns=list(_SURVEY_COLUMNS)).astype(_SURVEY_COLUMNS), part)


def _survey_file(
    path: Path, archive: Path, stations: dict[str, Station], band_hz: tuple[float, float]
) -> list[dict[str, object]]:
    kind = format_of(read_head(path))
    row: dict[str, object] = {"path": path.relative_to(archive).as_posix(), "format": kind, "why_not": ""}
    if kind and kind not in WRITABLE:
        return [row | {"why_not": _FOREIGN}]
    try:
        recording = read_recording(path)
        if recording.origin == "simulated":
            return [row | {"why_not": _SIMULATED}]
        row["station"] = recording.station
        station = station_of(recording, path, archive, stations)
        require_one_hertz(recording, path)
    except DataError as error:
        return [row | {"why_not": error.reason}]
    if np.isnan(recording.field_nt).all(axis=1).any():
        return [row | {"why_not": "all_missing"}]
    row["station"] = station.code
    return [
        {**row, "day": day, "segments": band_power_nt2(cut_day([recording], station, day).field_nt, band_hz).ravel()}
        for day in days_of(recording)
    ]


def _refuse_files(survey: pd.DataFrame, archive: Path) -> None:
    for word, what, way_out in (
        (_FOREIGN, "of formats that cannot be written", f"Convert them to {' or '.join(WRITABLE)}, or take them out"),
        (_SIMULATED, "simulated or injected already", "Take the original files"),
    ):
        rows = survey[survey["why_not"] == word]
        if len(rows):
            names = ", ".join(f"{row.path} ({row.format})" for row in rows.head(5).itertuples())
            more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
            raise DataError(f"{archive}: {len(rows)} files are {what}: {names}{more}. {way_out}; nothing was written.")


def _require_usable(survey: pd.DataFrame, archive: Path) -> None:
    if (survey["why_not"] == "").any():
        return
    reasons = ", ".join(f"{count} {word}" for word, count in survey["why_not"].value_counts().items())
    codes = sorted(survey.loc[survey["why_not"] == "unknown_station", "station"].dropna().unique())
    unknown = f" Not in the station file: {', '.join(codes)}; name a table, --set simulate.station_file=FILE."
    raise DataError(f"{archive}: no file can be used ({reasons}).{unknown if codes else ''}", "no_usable_file")


def _segments(usable: pd.DataFrame, code: str) -> FloatArray:
    rows = usable.loc[usable["station"] == code, "segments"]
    return np.concatenate([np.asarray(row, dtype=float) for row in rows])


def _events(spec: SimulateConfig, days: NDArray[np.datetime64]) -> pd.DataFrame:
    """Rows of the catalogue over the recordings, 30 days on either side and the lead time, with parent_id."""
    events = read_catalogs([str(spec.earthquakes.catalog)]).events
    margin = np.timedelta64(MARGIN_D, "D")
    lead = np.timedelta64(round(spec.emission.lead_h), "h")
    origins = events["origin_utc"].to_numpy().astype("M8[ms]")
    kept = (origins >= days.min() - margin) & (origins < days.max() + _DAY + margin + lead)
    return with_parents(events[kept].reset_index(drop=True))


def _plan(
    survey: pd.DataFrame, stations: list[Station], events: pd.DataFrame, reference: dict[str, float],
    spec: SimulateConfig,
) -> list[Job]:  # fmt: skip
    known = {station.code: station for station in stations}
    emissions = {
        code: plan_emissions(spec.emission, events, known[code], level)
        for code, level in reference.items()
        if np.isfinite(level)
    }
    background: dict[tuple[str, np.datetime64], list[FloatArray]] = {}
    usable = survey[survey["why_not"] == ""]
    for row in usable.itertuples():
        key = (str(row.station), np.datetime64(row.day, "D"))
        background.setdefault(key, []).append(np.asarray(row.segments, dtype=float).reshape(24 // WINDOW_H, -1))
    jobs = []
    for path, rows in survey.groupby("path", sort=True):
        code = str(rows["station"].iloc[0])
        days = rows["day"].dropna().to_numpy().astype("M8[D]")
        here = tuple(e for e in emissions.get(code, []) if days.size and _touches(e, days.min(), days.max()))
        means = {day: _window_means(background[code, day]) for day in days} if here else {}
        jobs.append(Job(str(path), known.get(code), here, means))
    return jobs


def _touches(emission: Emission, first: np.datetime64, last: np.datetime64) -> bool:
    return bool(emission.start_utc < last + _DAY and emission.end_utc > first)


def _window_means(parts: list[FloatArray]) -> FloatArray:
    """Mean (4,) over the known segments of each window, from the files that hold the day; NaN where none is known."""
    segments = np.concatenate(parts, axis=1)
    known = np.isfinite(segments)
    total = np.where(known, segments, 0.0).sum(axis=1)
    return np.divide(total, known.sum(axis=1), out=np.full(len(total), np.nan), where=known.any(axis=1))


def _nothing_in_range(spec: SimulateConfig, archive: Path, usable: pd.DataFrame) -> str:
    first, last = (str(np.datetime64(day, "D")) for day in (usable["day"].min(), usable["day"].max()))
    codes = sorted(usable["station"].unique())
    emission = spec.emission
    return (
        f"{spec.earthquakes.catalog}: no earthquake within its Dobrovolsky radius of a station of {archive} "
        f"({', '.join(codes[:10])}{', ...' if len(codes) > 10 else ''}) has its emission (from {emission.lead_h:g} h "
        f"before the origin on, for {emission.duration_h:g} h) on a recorded day, {first} to {last}; nothing was "
        "written. Take a catalogue of that time and place."
    )


def _write_files(
    pool: Pool, jobs: list[Job], archive: Path, out: Path, spec: SimulateConfig, folder: Path, progress: Progress
) -> tuple[pd.DataFrame, int]:
    """Write every file; gives the truth and the number of files that changed."""
    parts = [folder / f"truth{first:08d}.parquet" for first in range(0, len(jobs), TASK_FILES)]
    tasks = [
        (jobs[number * TASK_FILES : (number + 1) * TASK_FILES], archive, out, spec, part)
        for number, part in enumerate(parts)
    ]
    pool.run(_write_part, tasks, "inject", progress)
    rows = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    changed = rows["path"].nunique()
    truth = rows[list(TRUTH_COLUMNS)].drop_duplicates(["station", "start_utc", "event_id"])
    return truth.sort_values(["station", "start_utc", "event_id"], ignore_index=True), changed


def _write_part(jobs: list[Job], archive: Path, out: Path, spec: SimulateConfig, part: Path) -> None:
    rows = [row for job in jobs for row in _write_file(job, archive, out, spec)]
    columns = TRUTH_COLUMNS | {"path": "str"}
    write_table(pd.DataFrame(rows, columns=list(columns)).astype(columns), part)


def _write_file(job: Job, archive: Path, out: Path, spec: SimulateConfig) -> list[dict[str, object]]:
    """Write one file; gives the rows of truth.parquet of what was added to it, each with the path."""
    source, target = archive / job.path, out / job.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if job.station is None or not job.emissions:
        shutil.copyfile(source, target)
        return []
    recording = read_recording(source)
    added = emission_of_file(recording, job.station, job.emissions, spec.emission, spec.seed)
    changed = add_to_file(source.read_bytes(), source, recording, added)
    target.write_bytes(changed.raw)
    return [
        {**row, "path": job.path}
        for day, background in job.background_nt2.items()
        for emission in job.emissions
        for row in window_truth(emission, day, np.repeat(background, WINDOW_H * 60), spec.emission)
        if _differs_within(changed.differs, recording, emission, row, spec.emission)
    ]


def _differs_within(
    differs: NDArray[np.bool_], recording: Recording, emission: Emission, row: dict[str, object], spec: EmissionConfig
) -> bool:
    """Tell whether a sample of a window, within the emission, reads otherwise than before."""
    start = np.datetime64(str(row["start_utc"]), "ms")
    day = start.astype("M8[D]")
    heard = emission_envelope(day, emission, spec) > 0
    shift = int((recording.start_utc - day.astype("M8[ms]")) // np.timedelta64(1000, "ms"))
    first = int((start - day.astype("M8[ms]")) // np.timedelta64(1000, "ms"))
    seconds = np.flatnonzero(heard[first : first + WINDOW_H * 3600]) + first - shift
    seconds = seconds[(seconds >= 0) & (seconds < differs.size)]
    return bool(differs[seconds].any())
