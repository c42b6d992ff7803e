"""``seismag prepare``: from an archive to a store by survey, labels, choice of controls and spectrograms.

Each step leaves finished parts in ``STORE/.work``; an interrupted run continues there, and the store is the same for
any number of workers.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.archive import survey as archives
from seismag.archive.content import file_contents, require_same_content
from seismag.archive.noise import noise_floor_nt
from seismag.config import DataConfig
from seismag.disk_space import KEPT, bytes_below, require_space, space_for
from seismag.domain import MAGNITUDE_CLASSES, DataError, Station, UsageError
from seismag.files import path_of_text, short_path, write_table
from seismag.folder_lock import one_writer
from seismag.parallel import Pool, Progress, open_pool, silent
from seismag.spectrograms.compute import make_grid
from seismag.spectrograms.decibels import window_spectra
from seismag.windows import store as stores
from seismag.windows.budget import (
    describe_preparation,
    estimate_preparation,
    independent_groups,
    log_plan,
    shortage,
    window_bytes,
)
from seismag.windows.controls import choose_controls
from seismag.windows.inputs import Inputs, checksums, fingerprint_of, untested_inputs
from seismag.windows.inspect import inspect_store
from seismag.windows.labels import daily_windows, label_windows
from seismag.windows.no_sample import describe_no_sample
from seismag.windows.placebo import label_placebo_windows
from seismag.windows.unfinished import make_arrays, open_work
from seismag.windows.usable import window_reason

SURVEY_FILES = 32  # files of one survey task
_LEAST_PACKED = 0.5  # of the bytes of the windows, in a store: decibels of noise pack to 0.8
log = logging.getLogger(__name__)
_NAMED_REFUSALS = (  # errors of what is combined, or of a reader; and what is in the archive and was not read
    "wrong_position", "reader_error", "unreadable", "not_a_file", "too_large", "folder_twice", "hidden",
)  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """The result of ``prepare``."""

    store: Path
    dataset_id: str
    n_samples: int
    classes: dict[str, int]
    unmatched: int | None  # None: controls are not matched
    rejected: dict[str, int]
    files: int
    refused_days: int
    refused: dict[str, int]  # reason -> files or days
    catalog_dropped: dict[str, int]
    warnings: list[str]
    untested: list[str]  # what of the inputs nothing was at hand to test

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {**asdict(self), "store": str(self.store)}

    def describe(self) -> str:
        """Return lines for a terminal."""
        lines = [f"store       {short_path(self.store)}", f"data set    {self.dataset_id}"]
        counts = ", ".join(f"{self.classes[name]} {name}" for name in MAGNITUDE_CLASSES if name in self.classes)
        lines.append(f"samples     {self.n_samples}{f': {counts}' if counts else ''}")
        if self.unmatched:
            lines.append(f"            {self.unmatched} event windows without a matched control (column matched)")
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.rejected.items()) or "none"
        lines.append(f"rejected    {sum(self.rejected.values())}: {left_out}")
        lines.append(f"            each with its reason in {short_path(self.store) / stores.REJECTED_FILE}")
        refused = ", ".join(f"{count} {reason}" for reason, count in self.refused.items())
        lines.append(f"files       {self.files} read, {self.refused_days} files or days refused")
        if refused:
            lines.append(f"            {refused}")
        dropped = ", ".join(f"{count} {reason}" for reason, count in self.catalog_dropped.items()) or "none"
        lines.append(f"catalogue   rows left out: {dropped}")
        lines += [f"not tested  {sentence}" for sentence in self.untested]
        lines += [f"warning     {sentence}" for sentence in self.warnings]
        return "\n".join(lines)


@one_writer(whole=True)
def prepare_store(
    inputs: Inputs,
    out: Path,
    spec: DataConfig,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> Prepared:
    """Make a store from an archive.

    Args:
        out: folder of the store; created. A finished store of the same inputs is not changed.

    Raises:
        UsageError: ``out`` contains something else.
        DataError: no window becomes a sample; rejected.csv is written all the same. Or the archive was changed
            meanwhile.
        SeismagError: the disk is full.
    """
    if spec.controls == "quiet_days" and inputs.kp is None:
        raise UsageError("data.controls: quiet_days needs --kp.")
    inputs, out = replace(inputs, archive=inputs.archive.resolve()), out.resolve()  # workers have other working folders
    found = archives.find_files(inputs.archive)
    files = found.files
    contents = file_contents(inputs.archive, files, workers, progress)
    fingerprint = fingerprint_of(inputs, contents, spec)
    work, discarded = open_work(out, fingerprint)
    if work is None:
        return _summary(stores.open_store(out), inputs)
    if archives.is_simulated(inputs.archive):
        (work / archives.SIMULATION_FILE).touch()  # marks unfinished work, too
    with space_for(out, remedy=KEPT):
        if files and not (work / "survey").exists():
            log.info(describe_preparation(estimate_preparation(files, inputs, spec, workers), workers))
        with open_pool(workers, scheduler) as pool:
            batches = [files[first : first + SURVEY_FILES] for first in range(0, len(files), SURVEY_FILES)]
            arguments = (inputs.archive, inputs.stations, spec)
            survey = pool.run_parts(_survey_part, batches, arguments, work / "survey", "survey", progress)
            _require_same_content(inputs.archive, contents, survey, work)
            left_out = archives.survey_left_out(found, inputs.archive, inputs.stations)
            survey = pd.concat([survey, _survey_table(left_out)], ignore_index=True) if left_out else survey
            days = archives.resolve_days(survey, inputs.archive, inputs.stations, spec)
            plan, rejected = _plan(days, inputs, spec, out)
            log_plan(plan, spec)
            require_space(out, _LEAST_PACKED * len(plan) * window_bytes(spec) - bytes_below(out), KEPT)
            make_arrays(out, work, plan["sample_id"].tolist(), spec)
            measured = _compute(pool, plan, inputs, spec, out, work, progress)
        samples = plan.drop(columns=["paths", "day"]).merge(measured, on="sample_id", validate="one_to_one")
        dataset_id = _dataset_id(plan, days, inputs, spec)
        write_table(inputs.catalog.events, out / stores.CATALOG_FILE)
        stores.finish_store(out, samples, rejected, days, _attributes(dataset_id, fingerprint, inputs, days, spec))
    shutil.rmtree(work.parent)
    summary = _summary(stores.open_store(out), inputs)
    return replace(summary, warnings=[*discarded, *summary.warnings])


def _attributes(
    dataset_id: str, fingerprint: str, inputs: Inputs, days: pd.DataFrame, spec: DataConfig
) -> dict[str, Any]:
    origins = set(days["origin"].dropna())
    used = sorted(set(days["station"]) & set(inputs.stations))
    return {
        "dataset_id": dataset_id,
        "origin": "mixed" if len(origins) > 1 else origins.pop(),
        "fingerprint": fingerprint,
        "config": spec.model_dump(mode="json"),
        "preprocessing": {key: getattr(spec, key) for key in stores.PREPROCESSING_KEYS},
        "inputs": checksums(inputs),
        "stations": {
            code: {
                "latitude_deg": inputs.stations[code].latitude_deg,
                "longitude_deg": inputs.stations[code].longitude_deg,
            }
            for code in used
        },
        "catalog_holes": inputs.catalog.coverage.describe_holes(),
        "catalog_warnings": inputs.catalog.warnings,
        "catalog_dropped": inputs.catalog.dropped,
        "range_rule": spec.range_rule,
        "placebo": spec.placebo,
        "kp_matched": inputs.kp is not None and spec.match_kp is not None,
    }


_SURVEY_COLUMNS = {
    "path": "str", "sha256": "str", "format": "str", "origin": "str", "station": "str", "day": "datetime64[s]",
    "start_utc": "datetime64[ms]", "end_utc": "datetime64[ms]", "verdict": "str", "reason": "str", "detail": "str",
    "plausible": "object", "h_median_nt": float, "d_median_nt": float, "z_median_nt": float, "missing_s": float,
    "spikes": float, "steps": float, "h_axis_deg": float, "h_axis_source": "str", "gap_fraction": "object",
    "masked_fraction": "object", "position_error_deg": float,
}  # fmt: skip


def _survey_part(files: list[Path], archive: Path, stations: dict[str, Station], spec: DataConfig, part: Path) -> None:
    rows = [row for path in files for row in archives.survey_file(path, archive, stations, spec)]
    write_table(_survey_table(rows), part)


def _require_same_content(archive: Path, contents: dict[str, str], survey: pd.DataFrame, work: Path) -> None:
    try:
        require_same_content(archive, contents, survey)
    except DataError:
        shutil.rmtree(work / "survey")  # of other files than the store would state
        raise


def _survey_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(_SURVEY_COLUMNS)).astype(_SURVEY_COLUMNS)


def _plan(days: pd.DataFrame, inputs: Inputs, spec: DataConfig, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose the windows by quality, labels and controls; returns the plan and the rejected rest."""
    refused = days[days["verdict"] == "refused"]
    windows, sparse = _usable_windows(days[days["verdict"] != "refused"], spec)
    rejected = [sparse, _refused_windows(refused, spec), _missing_days(days, spec)]
    if windows.empty:
        raise _no_sample(_rejected_table(rejected), inputs, out)
    label = label_windows if spec.placebo == "none" else label_placebo_windows
    labels = choose_controls(
        label(windows, inputs.catalog, inputs.stations, spec, inputs.kp, inputs.dst), spec, inputs.kp
    )
    plan = labels.samples.sort_values(["station", "start_utc"], ignore_index=True)
    paths = windows.assign(path=windows["paths"].str[0])[["station", "start_utc", "path"]]
    unused = labels.rejected.merge(paths, on=["station", "start_utc"], validate="one_to_one")
    table = _rejected_table([*rejected, unused])
    if plan.empty:
        raise _no_sample(table, inputs, out)
    return plan, table


def _no_sample(rejected: pd.DataFrame, inputs: Inputs, out: Path) -> DataError:
    stores.write_rejected(rejected, out)
    return DataError(describe_no_sample(rejected, inputs.archive, short_path(out / stores.REJECTED_FILE)))


def _rejected_table(parts: list[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat(parts, ignore_index=True)
    table = table.reindex(columns=["station", "start_utc", "end_utc", "reason", "detail", "path"])
    return table.sort_values(["station", "start_utc", "reason"], ignore_index=True)


def _usable_windows(days: pd.DataFrame, spec: DataConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut usable days into windows; returns those with enough data, and the rejected rest."""
    per_day = 24 // spec.window_h
    table = days.loc[days.index.repeat(per_day)].reset_index(drop=True)
    slot = np.tile(np.arange(per_day), len(days)) * np.timedelta64(spec.window_h, "h")
    start = table["day"].to_numpy().astype("datetime64[ms]") + slot
    windows = table[["station", "paths", "day", "h_axis_deg", "h_axis_source", "origin"]].assign(
        start_utc=start,
        end_utc=start + np.timedelta64(spec.window_h, "h"),
        gap_fraction=np.concatenate([*days["gap_fraction"], []]).astype(float),
        masked_fraction=np.concatenate([*days["masked_fraction"], []]).astype(float),
        source_sha256=table["sha256"],
    )
    reasons = [
        window_reason(gaps, masked, spec)
        for gaps, masked in zip(windows["gap_fraction"], windows["masked_fraction"], strict=True)
    ]
    usable = np.array([word == "" for word, _ in reasons], dtype=bool)
    rejected = windows.loc[~usable, ["station", "start_utc", "end_utc"]].assign(
        reason=[word for word, _ in reasons if word],
        detail=[sentence for word, sentence in reasons if word],
        path=windows.loc[~usable, "paths"].str[0],
    )
    return windows[usable].reset_index(drop=True), rejected


def _refused_windows(refused: pd.DataFrame, spec: DataConfig) -> pd.DataFrame:
    """Rows for refused files: each window of a known day, or one row without times."""
    known = refused["day"].notna().to_numpy()
    per_day = 24 // spec.window_h
    table = refused.loc[refused.index.repeat(np.where(known, per_day, 1))].reset_index(drop=True)
    slot = np.concatenate([np.arange(per_day) if dated else np.zeros(1, int) for dated in known] or [np.zeros(0, int)])
    start = table["day"].to_numpy().astype("datetime64[ms]") + slot.astype(int) * np.timedelta64(spec.window_h, "h")
    return table[["station", "reason", "detail"]].assign(
        start_utc=start, end_utc=start + np.timedelta64(spec.window_h, "h"), path=table["paths"].str[0]
    )


def _missing_days(days: pd.DataFrame, spec: DataConfig) -> pd.DataFrame:
    """Rows for the windows of days without any file, between a station's first and last day."""
    tables = []
    for station, rows in days[days["day"].notna()].groupby("station"):
        present = rows["day"].to_numpy().astype("datetime64[D]")
        absent = np.setdiff1d(np.arange(present.min(), present.max()), present)
        starts, ends = daily_windows(absent, spec.window_h)
        tables.append(pd.DataFrame({"station": station, "start_utc": starts, "end_utc": ends}))
    table = pd.concat(tables) if tables else pd.DataFrame(columns=["station", "start_utc", "end_utc"])
    return table.assign(reason="no_file", detail="no file of this day")


def _dataset_id(plan: pd.DataFrame, days: pd.DataFrame, inputs: Inputs, spec: DataConfig) -> str:
    content = {
        "schema_version": stores.SCHEMA_VERSION,
        "config": spec.model_dump(mode="json", exclude={"store"}),
        "inputs": checksums(inputs),
        "days": sorted({str(value) for value in days["sha256"].dropna()}),
        "samples": plan["sample_id"].tolist(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _compute(
    pool: Pool, plan: pd.DataFrame, inputs: Inputs, spec: DataConfig, out: Path, work: Path, progress: Progress
) -> pd.DataFrame:
    columns = plan.reindex(columns=["sample_id", "station", "day", "start_utc", "paths", "source_sha256"])
    firsts = range(0, len(plan), stores.SHARD_SAMPLES)
    batches = [columns.iloc[first : first + stores.SHARD_SAMPLES] for first in firsts]
    arguments = (inputs.archive, inputs.stations, spec, out)
    return pool.run_parts(_compute_shard, batches, arguments, work / "shards", "spectrograms", progress)


def _compute_shard(
    rows: pd.DataFrame, archive: Path, stations: dict[str, Station], spec: DataConfig, out: Path, part: Path
) -> None:
    grid = make_grid(spec)
    shape = (len(rows), 3, len(grid.frequency_hz), len(grid.time_s))
    power_db = np.empty(shape, np.float16)
    phasors = np.empty((shape[0], 3, 2, *shape[2:]), np.float16) if spec.cross_spectra else None
    noise = np.empty(len(rows))
    for (code, day), positions in rows.groupby(["station", "day"], sort=False).indices.items():
        date = np.datetime64(day).astype("datetime64[D]")
        paths, sha256 = (rows[column].iat[positions[0]] for column in ("paths", "source_sha256"))
        day_data = archives.load_day([path_of_text(archive, path) for path in paths], stations[str(code)], date)
        if "+".join(day_data.sha256) != sha256:
            raise DataError(f"{code} {date}: the day file changed while the store was made. Run the command again.")
        starts = rows["start_utc"].to_numpy()[positions].astype("datetime64[h]")
        slots = (starts - date.astype("datetime64[h]")).astype(int) // spec.window_h
        spectra = window_spectra(day_data.field_nt, spec, slots, cross=spec.cross_spectra)
        power_db[positions] = spectra.power_db
        noise[positions] = noise_floor_nt(spectra.power, spec)
        if phasors is not None and spectra.phasors is not None:
            phasors[positions] = spectra.phasors
    stores.write_shard(out, int(rows.index[0]), power_db, phasors)
    write_table(pd.DataFrame({"sample_id": rows["sample_id"].to_numpy(), "noise_floor_nt": noise}), part)


def _summary(store: stores.Store, inputs: Inputs) -> Prepared:
    summary = inspect_store(store)
    warnings = list(inputs.catalog.warnings)
    if (kind := stores.placebo_of(store)) != "none":
        warnings.append(f"placebo windows ({kind}): to test a model, not for training")
    if archives.is_unfinished(inputs.archive):
        warnings.append("the archive is an interrupted simulation: days are missing. Run its command again")
    if inputs.catalog.coverage.holes:
        warnings.append(
            f"the catalogue has holes: {', '.join(summary.catalog_holes)}; windows that need them are rejected"
        )
    for index in (inputs.kp, inputs.dst):
        if index is not None:
            end_utc = index.start_utc + np.timedelta64(len(index.values) * index.step_h, "h")
            span = f"{index.name} covers {index.start_utc.astype('M8[D]')} to {end_utc.astype('M8[D]')}"
            warnings += [f"{index.name}: {sentence}" for sentence in index.warnings]
            if summary.rejected.get(f"{index.name}_missing"):
                warnings.append(f"{span}; windows outside are rejected. Use a longer file, or omit it")
    if inputs.kp is None:
        warnings.append("no --kp: kp_max is empty, and controls are not matched in activity")
    if (sentence := shortage(*independent_groups(store.samples))) is not None:
        warnings.append(sentence)
    days = stores.read_table(store.path, stores.DAYS_FILE)
    refused = days[days["verdict"] == "refused"]
    for reason, details in refused[refused["reason"].isin(_NAMED_REFUSALS)].groupby("reason")["detail"]:
        warnings.append(f"{len(details)} files or days refused ({reason}), the first: {details.iloc[0]}")
    return Prepared(
        store=store.path,
        dataset_id=summary.dataset_id,
        n_samples=summary.samples,
        classes=summary.magnitude_classes,
        unmatched=summary.events_without_control,
        rejected=summary.rejected,
        files=len({path for paths in days["paths"] for path in paths}),
        refused_days=len(refused),
        refused={str(reason): int(count) for reason, count in refused["reason"].value_counts().items()},
        catalog_dropped=inputs.catalog.dropped,
        warnings=warnings,
        untested=untested_inputs(inputs, days),
    )
