"""Splits as files: made once, stored with their report, and verified whenever they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from seismag.config import SplitConfig
from seismag.documents import Columns, Document, read_document, read_frame
from seismag.domain import DataError, UsageError
from seismag.files import atomic_path, file_sha256, write_json_atomic
from seismag.folder_lock import file_lock
from seismag.splits.assign import assign_split
from seismag.splits.report import SUBSETS, SplitReport, report_split

_WAIT_S = 600.0  # for another command that makes the same split
_NOT_COMPARED = ("made_for", "table_sha256", "warning")  # keys of a stored report


SPLIT_COLUMNS: Columns = {
    "sample_id": "text", "fold": "whole", "role": "|".join(SUBSETS), "split_group?": "text"
}  # fmt: skip


class _Stored(Document):
    """splits/NAME.json, whose other keys are compared with those of its table."""

    made_for: Mapping[str, Any]
    table_sha256: str


def load_or_assign_split(
    samples: pd.DataFrame, spec: SplitConfig, reach_h: float, dataset_id: str, directory: Path
) -> tuple[pd.DataFrame, SplitReport]:
    """Read ``directory/NAME.parquet`` and verify it; where there is none, make the split and store it.

    Returns:
        The split as in ``assign_split``, and its report.

    Raises:
        UsageError: a stored split belongs to another data set or was made by other rules, or a fold is of no use.
        DataError: windows overlap between the sets of a stored split, or its files are damaged.
    """
    table_path, report_path = directory / f"{spec.name}.parquet", directory / f"{spec.name}.json"
    made_for = {
        "split": spec.model_dump(mode="json", exclude={"fold", "name"}),
        "reach_h": reach_h,
        "dataset_id": dataset_id,
    }
    if not (table_path.exists() and report_path.exists()):
        with file_lock(table_path, f"Wait until it ends. ({report_path})", _WAIT_S):
            if not (table_path.exists() and report_path.exists()):
                return _store_split(table_path, report_path, samples, spec, made_for)
    return _read_split(table_path, report_path, samples, spec, made_for)


def _store_split(
    table_path: Path, report_path: Path, samples: pd.DataFrame, spec: SplitConfig, made_for: Mapping[str, Any]
) -> tuple[pd.DataFrame, SplitReport]:
    reach_h = float(made_for["reach_h"])
    split = assign_split(samples, spec, reach_h)
    report = report_split(samples, split, spec, reach_h)
    if report.has_overlaps:
        raise DataError(f"split {spec.name}: overlaps are left: {report.proof}. Please report this.")
    require_usable_folds(samples, split, spec)
    with atomic_path(table_path) as temporary:
        split.to_parquet(temporary, index=False)
    document = {**report.to_json(), "made_for": made_for, "table_sha256": file_sha256(table_path)}
    write_json_atomic(report_path, document)
    return split, report


def require_usable_folds(samples: pd.DataFrame, split: pd.DataFrame, spec: SplitConfig) -> None:
    """Refuse a split of which a fold has an empty set, or trains on events alone or on Normal windows alone.

    Raises:
        UsageError: names the fold, what it lacks and the remedy.
    """
    normal = samples.set_index("sample_id")["magnitude_class"] == "Normal"
    remedy = "Lower split.n_folds, use more data" + {
        "blocked": f", or lower split.embargo_d (now {spec.embargo_d:g} d)",
        "loso": ", or set split.method=loeo: these stations see the same earthquakes",
        "region": ", or lower split.region_km: these regions see the same earthquakes",
    }.get(spec.method, "")
    for fold, rows in split.groupby("fold", sort=True):
        counts = rows["role"].value_counts()
        where = f"split {spec.name} ({spec.method}), fold {fold}: "
        excluded = f"{int(counts.get('purged', 0))} of {rows['sample_id'].nunique()} windows excluded"
        for role in ("test", "train", "val"):
            if not counts.get(role, 0):
                raise UsageError(f"{where}no window is left in the set {role} ({excluded}). {remedy}.")
        is_normal = normal.loc[rows.loc[rows["role"] == "train", "sample_id"]]
        if is_normal.nunique() < 2:
            only = "Normal windows" if is_normal.all() else "windows before earthquakes"
            raise UsageError(f"{where}training contains only {only} ({len(is_normal)}; {excluded}). {remedy}.")


def _read_split(
    table_path: Path, report_path: Path, samples: pd.DataFrame, spec: SplitConfig, made_for: dict[str, Any]
) -> tuple[pd.DataFrame, SplitReport]:
    remedy = f"Delete it to make a new one, or choose another name with --set split.name=NAME. ({report_path})"
    document = read_document(report_path, _Stored, f"The stored split is damaged. {remedy}")
    split = read_frame(table_path, SPLIT_COLUMNS, f"The stored split is damaged. {remedy}")
    stated = document["made_for"]
    if stated != made_for:
        different = sorted(key for key in made_for if stated.get(key) != made_for[key])
        raise UsageError(
            f"{table_path}: made for another data set or by other rules ({', '.join(different)}). {remedy}"
        )
    if document["table_sha256"] != file_sha256(table_path):
        raise DataError(f"{table_path}: differs from its split report. {remedy}")
    if not _is_complete(samples, split, spec):
        raise DataError(f"{table_path}: does not give each sample its group and one role in each fold. {remedy}")
    report = report_split(samples, split, spec, made_for["reach_h"])
    if report.has_overlaps:
        raise DataError(f"{table_path}: windows overlap between the sets. {remedy}")
    found = json.loads(json.dumps(report.to_json()))
    if any(document.get(key) != found.get(key) for key in {*document, *found}.difference(_NOT_COMPARED)):
        raise DataError(f"{report_path}: the split report does not describe its table. {remedy}")
    return split, report


def _is_complete(samples: pd.DataFrame, split: pd.DataFrame, spec: SplitConfig) -> bool:
    """Tell whether each sample has one role in each fold, and is tested once unless it is locked or excluded for it.

    Naive test windows are validation windows as well.
    """
    group = samples.set_index("sample_id")["split_group"]
    main = split
    if spec.method == "naive":
        main = split[split["role"] != "val"]
        chosen = split[split["role"] == "val"]
        tested = split[split["role"] == "test"]
        if not chosen.assign(role="test").reset_index(drop=True).equals(tested.reset_index(drop=True)):
            return False
    folds = set(split["fold"])
    n_folds = len(folds)
    by_station = spec.method in ("loso", "region")  # there may be fewer stations than folds
    tests = main.loc[main["role"] == "test", "sample_id"].value_counts().reindex(group.index, fill_value=0)
    once = tests == 1
    if spec.sealed_fraction:
        in_every_fold = main["role"].isin(["sealed", "purged"]).groupby(main["sample_id"]).all()
        once |= (tests == 0) & in_every_fold.reindex(group.index, fill_value=False)
    return bool(
        folds == set(range(1, n_folds + 1))
        and (2 <= n_folds <= spec.n_folds if by_station else n_folds == spec.n_folds)
        and len(main) == n_folds * len(samples)
        and not main.duplicated(["sample_id", "fold"]).any()
        and split["role"].isin(SUBSETS).all()
        and (split["sample_id"].map(group) == split["split_group"]).all()
        and once.all()
    )
