"""``seismag legacy pictures``: from an image data set of an earlier system to a store.

The pictures are not power: scale and axes are unknown, so the store is marked ``legacy_image``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.domain import MAGNITUDE_CLASSES, DataError, UsageError
from seismag.files import short_path
from seismag.folder_lock import is_empty, one_writer
from seismag.legacy.defects import AUGMENTED, CORRUPTED, IDENTICAL, azimuth_defects, row_defects
from seismag.legacy.metadata import numbers, read_metadata
from seismag.legacy.picture_files import read_picture, survey_pictures
from seismag.parallel import Progress, silent
from seismag.windows import store as stores

_WINDOW_H = 6  # where the table has none, from the description of the earlier system
_HORIZON_H = 24  # an event is known by its day only, so windows of a station within a day may have the same event
_GROUP_RULE = (
    "UTC date across stations (the earlier tables have no events, and one earthquake is recorded by several stations); "
    "dates that share a picture are one group"
)
_EXAMPLES = 3
_NOT_STATED = {
    "depth_km": np.nan, "distance_km": np.nan, "lead_hours": np.nan, "in_dobrovolsky": None, "in_hattori": None,
    "es": np.nan, "past_rate": np.nan, "dst_min_nt": np.nan, "gap_fraction": np.nan, "masked_fraction": 0.0,
    "local_hour": np.nan,
    "noise_floor_nt": np.nan, "h_axis_deg": np.nan, "h_axis_source": None, "is_mainshock": False,
    "is_aftershock": False, "control_of": None, "matched": False,
}  # fmt: skip


@dataclass(frozen=True)
class PreparedImages:
    """The result of ``prepare_legacy``."""

    store: Path
    dataset_id: str
    n_samples: int
    classes: dict[str, int]
    rejected: dict[str, int]
    warnings: list[str]

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {**asdict(self), "store": str(self.store), "origin": stores.LEGACY_IMAGE}

    def describe(self) -> str:
        """Return lines for a terminal."""
        counts = ", ".join(f"{self.classes[name]} {name}" for name in MAGNITUDE_CLASSES if name in self.classes)
        refused = ", ".join(f"{count} {reason}" for reason, count in self.rejected.items()) or "none"
        return "\n".join(
            [
                f"store       {short_path(self.store)}",
                f"data set    {self.dataset_id} (pictures of an earlier system: no power, no physical axes)",
                f"samples     {self.n_samples}: {counts}",
                f"rejected    {sum(self.rejected.values())}: {refused}",
                f"            each with its reason in {short_path(self.store) / stores.REJECTED_FILE}",
                *(f"warning     {sentence}" for sentence in self.warnings),
            ]
        )


@one_writer(file=True)  # a folder beside it replaces it
def prepare_legacy(
    source: Path,
    out: Path,
    allow_augmented: bool = False,
    allow_corrupted_azimuth: bool = False,
    progress: Progress = silent,
) -> PreparedImages:
    """Make a store of the pictures whose rows have no defect.

    Args:
        source: folder of the data set, or one of its metadata tables.
        out: a new folder; a finished store of the same rows and pictures is not changed.
        allow_augmented: keep augmented and byte-identical copies, marked in the column ``augmented``.
        allow_corrupted_azimuth: keep rows of corrupted azimuth, marked in ``azimuth_fault``.

    Raises:
        UsageError: ``out`` contains something else.
        DataError: no metadata table, an unknown class, or no row that can be used.
    """
    out = out.resolve()
    rows, folder, sums = read_metadata(source)
    rows, defects = _evaluate(rows, folder, allow_augmented, allow_corrupted_azimuth, progress)
    warnings = _warnings(rows, defects, allow_augmented, allow_corrupted_azimuth)
    rejected = _rejected(rows, defects)
    samples = _samples(rows[defects["reason"].isna()].reset_index(drop=True))
    if samples.empty:
        found = ", ".join(f"{count} {reason}" for reason, count in defects["reason"].value_counts().items())
        raise DataError(" ".join([f"{source}: no row can be used ({found}).", *warnings]))
    attributes = _attributes(samples, rows, sums, allow_augmented, allow_corrupted_azimuth)
    if not _is_finished(out, attributes["fingerprint"]):
        with _whole_folder(out) as partial:
            _write(partial, samples, folder, progress)
            days = pd.DataFrame({"station": [], "day": [], "verdict": []}, dtype=object)
            stores.finish_store(partial, samples, rejected, days, attributes)
    return PreparedImages(
        store=out,
        dataset_id=attributes["dataset_id"],
        n_samples=len(samples),
        classes={str(name): int(count) for name, count in samples["magnitude_class"].value_counts().items()},
        rejected={str(name): int(count) for name, count in rejected["reason"].value_counts().items()},
        warnings=warnings,
    )


def _evaluate(
    rows: pd.DataFrame, folder: Path, allow_augmented: bool, allow_azimuth: bool, progress: Progress
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows with the properties of their pictures, and the first defect of each (None: none)."""
    defects = row_defects(rows)
    sound = defects["reason"].isna()
    rows["azimuth_fault"] = azimuth_defects(rows[sound]).reindex(rows.index)
    if not allow_augmented:
        copies = sound & rows["augmented"].notna()
        defects.loc[copies, "reason"], defects.loc[copies, "detail"] = AUGMENTED, rows.loc[copies, "augmented"]
    if not allow_azimuth:
        corrupted = defects["reason"].isna() & rows["azimuth_fault"].notna()
        defects.loc[corrupted, "reason"] = CORRUPTED
        defects.loc[corrupted, "detail"] = rows.loc[corrupted, "azimuth_fault"]
    left = rows[defects["reason"].isna()]
    pictures = survey_pictures(left, folder, progress)
    defects.update(pictures[["reason", "detail"]])
    rows = rows.join(pictures[["path", "sha256", "height", "width"]])
    # copies of a picture: originals before those marked as augmented
    order = rows[defects["reason"].isna()].sort_values("augmented", key=lambda c: c.notna(), kind="stable")
    first = order.drop_duplicates("sha256").set_index("sha256")["name"]
    again = order.index[order["sha256"].duplicated()]
    sentences = "the same bytes as " + rows.loc[again, "sha256"].map(first).astype(str)
    if allow_augmented:
        rows.loc[again, "augmented"] = rows.loc[again, "augmented"].fillna(sentences)
    else:
        defects.loc[again, "reason"], defects.loc[again, "detail"] = IDENTICAL, sentences
    return rows, defects


def _warnings(rows: pd.DataFrame, defects: pd.DataFrame, allow_augmented: bool, allow_azimuth: bool) -> list[str]:
    """Describe what was refused or kept, with counts, examples and the option that changes it."""
    sentences = []
    kinds = [
        ((AUGMENTED, IDENTICAL), rows["augmented"], allow_augmented, "augmented copies",
         "copies of one window on both sides of a split teach nothing and flatter the score", "--allow-augmented"),
        ((CORRUPTED,), rows["azimuth_fault"], allow_azimuth, "rows of corrupted azimuth",
         "their class is no direction to an epicentre", "--allow-corrupted-azimuth"),
    ]  # fmt: skip
    for reasons, marks, allowed, what, why, option in kinds:
        concerned = defects["reason"].isna() & marks.notna() if allowed else defects["reason"].isin(reasons)
        if not concerned.any():
            continue
        details = marks[concerned] if allowed else defects.loc[concerned, "detail"]
        examples: dict[str, str] = {}  # one of each kind
        for name, detail in zip(rows.loc[concerned, "name"], details, strict=True):
            examples.setdefault(detail, f"{name}: {detail}")
        shown = list(examples.values())[:_EXAMPLES]
        verb = f"kept by {option}, and marked" if allowed else f"refused ({why}); {option} keeps them, marked"
        sentences.append(f"{what}: {int(concerned.sum())} {verb}. For example {'; '.join(shown)}.")
    return sentences


def _rejected(rows: pd.DataFrame, defects: pd.DataFrame) -> pd.DataFrame:
    refused = defects["reason"].notna()
    table = rows.loc[refused, ["station", "start_utc"]].assign(
        end_utc=_end(rows[refused]),
        reason=defects.loc[refused, "reason"],
        detail=defects.loc[refused, "detail"],
        path=rows.loc[refused, "path"].fillna(rows.loc[refused, "paths"].map(lambda paths: paths[0] if paths else "")),
        table=rows.loc[refused, "table"],
    )
    return table.sort_values(["station", "start_utc", "path"], ignore_index=True)


def _end(rows: pd.DataFrame) -> pd.Series:
    seconds = rows["seconds"].where(rows["seconds"] > 0).fillna(_window_h(rows) * 3600.0)
    return (rows["start_utc"] + pd.to_timedelta(seconds, unit="s")).astype("datetime64[ms]")


def _window_h(rows: pd.DataFrame) -> float:
    """Length of the windows in hours: the longest in the table, else that of the description."""
    longest = rows["seconds"].max()
    return float(longest) / 3600 if longest > 0 else _WINDOW_H


def _samples(rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        return rows
    rows = rows.sort_values(["station", "start_utc", "name"], ignore_index=True)
    normal = (rows["magnitude_class"] == "Normal").to_numpy()
    day = rows["start_utc"].dt.strftime("%Y-%m-%d")
    cluster = day.map(_merge_days(day, rows["sha256"]))
    event_days = set(cluster[~normal])
    table = pd.DataFrame(
        {
            "sample_id": _unique(rows["name"].str.replace(r"\.png$", "", case=False, regex=True)),
            "station": rows["station"],
            "start_utc": rows["start_utc"],
            "end_utc": _end(rows),
            "split_group": [f"{'event' if name in event_days else 'normal'}:{name}" for name in cluster],
            "event_id": day.where(~normal, None),
            "event_ids": [[] if quiet else [name] for name, quiet in zip(day, normal, strict=True)],
            "cluster_ids": [[] if quiet else [name] for name, quiet in zip(cluster, normal, strict=True)],
            "origin_utc": pd.Series(pd.NaT, index=rows.index, dtype="datetime64[ms]"),
            "magnitude": rows["magnitude"],
            "azimuth_deg": numbers(rows["azimuth_text"]),
            "magnitude_class": rows["magnitude_class"].astype(str),
            "azimuth_class": rows["azimuth_class"].astype(str),
            "kp_max": rows["kp"],
            "source_sha256": rows["sha256"].astype(str),
            "image_file": rows["path"].astype(str),
            "augmented": rows["augmented"].notna(),
            "azimuth_fault": rows["azimuth_fault"],
            "origin": stores.LEGACY_IMAGE,
        }
    )
    return table.assign(**_NOT_STATED)


def _merge_days(day: pd.Series, sha256: pd.Series) -> dict[str, str]:
    """Assign a group to each day, named by its first day; days with a common picture are one group."""
    group = {name: name for name in sorted(day.unique())}
    for _, days in day.groupby(sha256):
        merged = {group[name] for name in days}
        if len(merged) > 1:
            group = {name: min(merged) if first in merged else first for name, first in group.items()}
    return group


def _unique(names: pd.Series) -> pd.Series:
    """Number repeated names: x, x-2, x-3; never a name that exists already."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate)
        result.append(candidate)
    return pd.Series(result, index=names.index)


def _attributes(
    samples: pd.DataFrame, rows: pd.DataFrame, sums: dict[str, str], allow_augmented: bool, allow_azimuth: bool
) -> dict[str, Any]:
    pictures = rows.dropna(subset="height")
    height, width = (int(pictures[name].mode().iloc[0]) for name in ("height", "width"))
    content = {
        "schema_version": stores.SCHEMA_VERSION,
        "tables": sums,
        "allow": [allow_augmented, allow_azimuth],
        "samples": samples[["sample_id", "source_sha256", "magnitude_class", "azimuth_class"]].values.tolist(),
    }
    identity = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {
        "dataset_id": identity[:16],
        "fingerprint": identity,
        "origin": stores.LEGACY_IMAGE,
        "config": {"window_h": _window_h(rows), "horizon_h": _HORIZON_H},
        "preprocessing": stores.image_preprocessing(height, width),
        "components": list(stores.IMAGE_CHANNELS),
        "inputs": {"metadata": sums},
        "allow_augmented": allow_augmented,
        "allow_corrupted_azimuth": allow_azimuth,
        "group_rule": _GROUP_RULE,
        "range_rule": None,
        "catalog_holes": [],
        "kp_matched": False,
    }


def _is_finished(out: Path, fingerprint: str) -> bool:
    if not out.exists() or (out.is_dir() and is_empty(out)):
        return False
    try:
        same = (out / stores.SAMPLES_FILE).is_file() and stores.open_store(out).attributes["fingerprint"] == fingerprint
    except (DataError, KeyError) as error:
        raise DataError(f"{error} For a store of pictures: delete it, or choose another --out.") from error
    if not same:
        raise UsageError(f"{out}: exists, and is not the store of these pictures. Choose another --out, or delete it.")
    return True


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """Yield a folder that replaces ``out`` when the block ends without an error; a dead run's is removed before."""
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(out)  # an empty folder there is replaced
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error}). Choose another --out.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(partial: Path, samples: pd.DataFrame, folder: Path, progress: Progress) -> None:
    shape = read_picture(folder / samples["image_file"].iloc[0]).shape[1:]
    stores.create_image_arrays(partial, samples["sample_id"].tolist(), *shape)
    for first in range(0, len(samples), stores.SHARD_SAMPLES):
        names = samples["image_file"].iloc[first : first + stores.SHARD_SAMPLES]
        levels = np.stack([read_picture(folder / name) for name in names]).astype(np.float16)  # 0 to 255: exact
        stores.write_shard(partial, first, levels, None)
        progress("samples", first + len(names), len(samples))
