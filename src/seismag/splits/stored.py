"""Splits as files: drawn once, certified, stored, and believed only after their proof was found again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from seismag.config import SplitConfig
from seismag.domain import DataError, UsageError
from seismag.files import write_json_atomic
from seismag.splits.assign import assign_split
from seismag.splits.report import ROLES, report_split


def load_or_assign_split(
    samples: pd.DataFrame, spec: SplitConfig, reach_h: float, dataset_id: str, directory: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read ``directory/NAME.parquet``, or draw, certify and store it when it does not exist yet.

    Raises:
        UsageError: a stored split belongs to another data set or was drawn by other rules, or a fold is of no use.
        DataError: a stored split fails its proof, or the files are damaged.
    """
    table_path, certificate_path = directory / f"{spec.name}.parquet", directory / f"{spec.name}.json"
    rules = {
        "split": spec.model_dump(mode="json", exclude={"fold", "name"}),
        "reach_h": reach_h,
        "dataset_id": dataset_id,
    }
    if table_path.exists() and certificate_path.exists():
        return _read_split(table_path, certificate_path, samples, spec, rules)
    split = assign_split(samples, spec, reach_h)
    certificate = {**report_split(samples, split, spec, reach_h), "made_for": rules}
    if any((certificate["proof"] or {}).values()):
        raise DataError(f"split {spec.name}: the purge left overlaps: {certificate['proof']}. Please report this.")
    require_usable_folds(samples, split, spec)
    directory.mkdir(parents=True, exist_ok=True)
    split.to_parquet(table_path.with_suffix(".partial"), index=False)
    certificate["table_sha256"] = _sha256(table_path.with_suffix(".partial"))
    table_path.with_suffix(".partial").replace(table_path)
    write_json_atomic(certificate_path, certificate)
    return split, certificate


def require_usable_folds(samples: pd.DataFrame, split: pd.DataFrame, spec: SplitConfig) -> None:
    """Refuse a split in which a fold has an empty role, or trains on events alone or on Normal windows alone.

    Raises:
        UsageError: names the fold, what it lacks and the way out.
    """
    normal = samples.set_index("sample_id")["magnitude_class"] == "Normal"
    ways = "Lower split.n_folds, use more data" + {
        "blocked": f", or lower split.embargo_d (now {spec.embargo_d:g} d)",
        "loso": ", or set split.method=loeo: these stations see the same earthquakes",
        "region": ", or lower split.region_km: these regions see the same earthquakes",
    }.get(spec.method, "")
    for fold, rows in split.groupby("fold", sort=True):
        counts = rows["role"].value_counts()
        where = f"split {spec.name} ({spec.method}), fold {fold}: "
        lost = f"{int(counts.get('purged', 0))} of {rows['sample_id'].nunique()} windows purged"
        for role in ("test", "train", "val"):
            if not counts.get(role, 0):
                raise UsageError(f"{where}no window is left with the role {role} ({lost}). {ways}.")
        kinds = normal.loc[rows.loc[rows["role"] == "train", "sample_id"]]
        if kinds.nunique() < 2:
            only = "Normal windows" if kinds.all() else "windows before earthquakes"
            raise UsageError(f"{where}training holds only {only} ({len(kinds)}; {lost}). {ways}.")


def _read_split(
    table_path: Path, certificate_path: Path, samples: pd.DataFrame, spec: SplitConfig, rules: dict[str, Any]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    way_out = f"Delete it to draw a new one, or choose another name with --set split.name=NAME. ({certificate_path})"
    try:
        certificate = json.loads(certificate_path.read_text(encoding="utf-8"))
        split = pd.read_parquet(table_path)
    except (OSError, ValueError) as error:
        raise DataError(f"{table_path}: the stored split is damaged ({error}). {way_out}") from error
    made = certificate.get("made_for") if isinstance(certificate, dict) else None
    if not isinstance(made, dict):
        raise DataError(f"{table_path}: its certificate is damaged (made_for is missing). {way_out}")
    if made != rules:
        different = sorted(k for k in rules if made.get(k) != rules[k])
        raise UsageError(
            f"{table_path}: drawn for another data set or by other rules ({', '.join(different)}). {way_out}"
        )
    if certificate.get("table_sha256") != _sha256(table_path):
        raise DataError(f"{table_path}: differs from its certificate. {way_out}")
    if not _is_complete(samples, split, spec):
        raise DataError(f"{table_path}: does not give each sample its group and one role in each fold. {way_out}")
    found = report_split(samples, split, spec, rules["reach_h"])
    if any((found["proof"] or {}).values()):
        raise DataError(f"{table_path}: windows overlap between roles, so it proves nothing. {way_out}")
    stated = {key: certificate[key] for key in certificate if key not in ("made_for", "table_sha256")}
    if stated != json.loads(json.dumps(found)):
        raise DataError(f"{certificate_path}: the certificate does not describe its table. {way_out}")
    return split, certificate


def _is_complete(samples: pd.DataFrame, split: pd.DataFrame, spec: SplitConfig) -> bool:
    """Whether each sample has one role in each fold, and those that are not sealed off test once.

    Naive windows have the role val beside test.
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
    most = spec.method in ("loso", "region")  # at most n_folds: there may be fewer stations
    tests = main.loc[main["role"] == "test", "sample_id"].value_counts().reindex(group.index, fill_value=0)
    once = tests == 1
    if spec.sealed_fraction:
        in_every_fold = main["role"].isin(["sealed", "purged"]).groupby(main["sample_id"]).all()
        once |= (tests == 0) & in_every_fold.reindex(group.index, fill_value=False)
    return bool(
        folds == set(range(1, n_folds + 1))
        and (2 <= n_folds <= spec.n_folds if most else n_folds == spec.n_folds)
        and len(main) == n_folds * len(samples)
        and not main.duplicated(["sample_id", "fold"]).any()
        and split["role"].isin(ROLES).all()
        and (split["sample_id"].map(group) == split["split_group"]).all()
        and once.all()
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
