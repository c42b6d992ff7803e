"""Who trains, who validates, who tests: grouped by cause, purged at fold time, with a certificate.

Groups are earthquake clusters (event windows) and 27-day blocks of time across all stations (Normal
windows). For each fold, training and validation lose every window that holds an eligible event of a
held-out cluster, and every window of the same station so close that window and horizon overlap.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.config import SplitConfig
from seismag.domain import DataError, UsageError
from seismag.runs import write_json_atomic

GROUP_RULE = "cluster of the label event (Gardner-Knopoff); 27-day blocks across stations for Normal"
ROLES = ("train", "val", "test", "purged")


def draw_split(samples: pd.DataFrame, spec: SplitConfig, reach_h: float) -> pd.DataFrame:
    """Draw all folds of a leave-one-event-out split.

    Args:
        samples: sample_id, station, start_utc, split_group, cluster_ids, magnitude_class.
        spec: number of folds, validation share, seed.
        reach_h: window length plus horizon; two windows of a station that start this close share raw seconds
            or an event's horizon.

    Returns:
        One row per fold and sample: sample_id, fold (from 1), role, split_group.

    Raises:
        UsageError: fewer groups than folds.
    """
    groups = _group_table(samples)
    fold_of = _assign_folds(groups, spec)
    tables = []
    for fold in range(1, spec.n_folds + 1):
        test_groups = {group for group, number in fold_of.items() if number == fold}
        role = _fold_roles(samples, groups, test_groups, spec, reach_h, fold)
        tables.append(
            pd.DataFrame(
                {
                    "sample_id": samples["sample_id"].to_numpy(),
                    "fold": fold,
                    "role": role,
                    "split_group": samples["split_group"].to_numpy(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def certify(samples: pd.DataFrame, split: pd.DataFrame, spec: SplitConfig, reach_h: float) -> dict[str, Any]:
    """Count what a split holds and prove that nothing stands on two sides.

    Every proof is recomputed from the tables, not taken from the way the split was drawn.

    Returns:
        A JSON-ready dictionary; ``proof`` counts the overlaps found, all zero in a valid split.
    """
    indexed = samples.set_index("sample_id")
    folds = []
    totals = dict.fromkeys(("groups", "events", "close_windows", "samples"), 0)
    for fold, rows in split.groupby("fold", sort=True):
        role = rows.set_index("sample_id")["role"].reindex(indexed.index)
        overlaps = _overlaps(indexed, role.to_numpy(), reach_h)
        for key, count in overlaps.items():
            totals[key] += count
        counts = role.value_counts()
        folds.append(
            {
                "fold": int(fold),
                **{name: int(counts.get(name, 0)) for name in ROLES},
                "test_groups": int(rows.loc[rows["role"] == "test", "split_group"].nunique()),
                "test_event_groups": int(
                    rows.loc[
                        (rows["role"] == "test") & rows["split_group"].str.startswith("event:"), "split_group"
                    ].nunique()
                ),
                "purged_share": round(float(counts.get("purged", 0)) / max(1, len(rows) - counts.get("test", 0)), 4),
                "overlaps": overlaps,
                "test_windows_near_a_training_event": _shared_secondary(indexed, role.to_numpy()),
            }
        )
    sizes = samples["split_group"].value_counts()
    return {
        "method": spec.method,
        "rules": {
            "groups": samples.attrs.get("group_rule", GROUP_RULE),
            "purge_events": "train and val hold no window with an eligible event of a held-out cluster",
            "purge_h": reach_h,
            "seed": spec.seed,
            "val_fraction": spec.val_fraction,
        },
        "n_samples": len(samples),
        "n_groups": int(sizes.size),
        "n_event_groups": int(sizes.index.str.startswith("event:").sum()),
        "largest_group": {"name": str(sizes.index[0]), "samples": int(sizes.iloc[0])},
        "folds": folds,
        "proof": totals,
    }


def load_or_draw_split(
    samples: pd.DataFrame, spec: SplitConfig, reach_h: float, dataset_id: str, directory: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read ``directory/NAME.parquet``, or draw, certify and store it when it does not exist yet.

    Raises:
        UsageError: a stored split belongs to another data set or was drawn by other rules.
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
    split = draw_split(samples, spec, reach_h)
    certificate = {**certify(samples, split, spec, reach_h), "made_for": rules}
    if any(certificate["proof"].values()):
        raise DataError(f"split {spec.name}: the purge left overlaps: {certificate['proof']}. Please report this.")
    directory.mkdir(parents=True, exist_ok=True)
    split.to_parquet(table_path.with_suffix(".partial"), index=False)
    certificate["table_sha256"] = _sha256(table_path.with_suffix(".partial"))
    table_path.with_suffix(".partial").replace(table_path)
    write_json_atomic(certificate_path, certificate)
    return split, certificate


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
    if not _is_complete(samples, split, spec.n_folds):
        raise DataError(f"{table_path}: does not give each sample its group and one role in each fold. {way_out}")
    found = certify(samples, split, spec, rules["reach_h"])
    if any(found["proof"].values()):
        raise DataError(f"{table_path}: windows overlap between roles, so it proves nothing. {way_out}")
    stated = {key: certificate[key] for key in certificate if key not in ("made_for", "table_sha256")}
    if stated != json.loads(json.dumps(found)):
        raise DataError(f"{certificate_path}: the certificate does not describe its table. {way_out}")
    return split, certificate


def _is_complete(samples: pd.DataFrame, split: pd.DataFrame, n_folds: int) -> bool:
    group = samples.set_index("sample_id")["split_group"]
    return bool(
        len(split) == n_folds * len(samples)
        and set(split["fold"]) == set(range(1, n_folds + 1))
        and not split.duplicated(["sample_id", "fold"]).any()
        and split["role"].isin(ROLES).all()
        and (split["sample_id"].map(group) == split["split_group"]).all()
        and (split.loc[split["role"] == "test", "sample_id"].value_counts().reindex(group.index) == 1).all()
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _group_table(samples: pd.DataFrame) -> pd.DataFrame:
    """One row a group: size, whether it is an event group, and its class for balance."""
    table = samples.groupby("split_group", sort=True).agg(
        n=("sample_id", "size"), label=("magnitude_class", lambda c: c.value_counts().index[0])
    )
    return table.assign(cluster=table.index.str.removeprefix("event:").where(table.index.str.startswith("event:"), ""))


def _assign_folds(groups: pd.DataFrame, spec: SplitConfig) -> dict[str, int]:
    """Deal groups into folds, class by class, largest first into the emptiest fold (ties: drawn)."""
    n_events = int((groups["cluster"] != "").sum())
    if n_events < spec.n_folds:
        raise UsageError(
            f"{n_events} earthquake clusters cannot fill {spec.n_folds} folds. "
            "Lower split.n_folds or add data (each fold tests on clusters of its own)."
        )
    rng = np.random.default_rng(spec.seed)
    order = rng.permutation(spec.n_folds)
    clusters = np.zeros(spec.n_folds, dtype=int)  # of all classes: a fold without any comes first
    fold_of: dict[str, int] = {}
    for _, rows in groups.groupby("label", sort=True):
        load = np.zeros(spec.n_folds, dtype=int)
        shuffled = rows.iloc[rng.permutation(len(rows))].sort_values("n", ascending=False, kind="stable")
        for name, size, cluster in zip(shuffled.index, shuffled["n"], shuffled["cluster"], strict=True):
            fold = order[np.lexsort((clusters[order], load[order]))[0]]
            load[fold] += int(size)
            clusters[fold] += cluster != ""
            fold_of[str(name)] = int(fold) + 1
        order = np.roll(order, 1)
    return fold_of


def _fold_roles(
    samples: pd.DataFrame, groups: pd.DataFrame, test_groups: set[str], spec: SplitConfig, reach_h: float, fold: int
) -> NDArray[np.object_]:
    """Roles of one fold: test by group, validation drawn from the rest, each purged from training."""
    role = np.full(len(samples), "train", dtype=object)
    names = samples["split_group"].to_numpy()
    role[np.isin(names, list(test_groups))] = "test"
    role[(role == "train") & _touched(samples, groups, role == "test", reach_h)] = "purged"
    rng = np.random.default_rng([spec.seed, fold])
    val_groups: list[str] = []
    left = groups.loc[sorted(set(names[role == "train"]))]
    for _, rows in left.groupby("label", sort=True):
        drawn = rows.iloc[rng.permutation(len(rows))]
        before = np.cumsum(drawn["n"].to_numpy()) - drawn["n"].to_numpy()
        wanted = before < spec.val_fraction * drawn["n"].sum()
        if len(drawn) > 1:  # leave at least one group of the class to training
            wanted &= np.arange(len(drawn)) < len(drawn) - 1
            val_groups += list(drawn.index[wanted])
    role[(role == "train") & np.isin(names, val_groups)] = "val"
    role[(role == "train") & _touched(samples, groups, role == "val", reach_h)] = "purged"
    return role


def _touched(
    samples: pd.DataFrame, groups: pd.DataFrame, held_out: NDArray[np.bool_], reach_h: float
) -> NDArray[np.bool_]:
    """Windows that share an eligible event of a held-out cluster, or raw time of a station, with held-out ones."""
    clusters = set(groups.loc[sorted(set(samples.loc[held_out, "split_group"])), "cluster"]) - {""}
    shares_event = np.array([not clusters.isdisjoint(ids) for ids in samples["cluster_ids"]], dtype=bool)
    return shares_event | _close_in_time(samples, held_out, reach_h)


def _close_in_time(samples: pd.DataFrame, held_out: NDArray[np.bool_], reach_h: float) -> NDArray[np.bool_]:
    """Windows of the same station that start within ``reach_h`` of a held-out window."""
    reach = np.timedelta64(round(reach_h * 3600), "s")
    starts = samples["start_utc"].to_numpy().astype("datetime64[s]")
    close = np.zeros(len(samples), dtype=bool)
    for rows in samples.groupby("station").indices.values():
        held = np.sort(starts[rows][held_out[rows]])
        if held.size:
            low = np.searchsorted(held, starts[rows] - reach, side="left")
            high = np.searchsorted(held, starts[rows] + reach, side="right")
            close[rows] = high > low
    return close


def _shared_secondary(indexed: pd.DataFrame, role: NDArray[np.object_]) -> int:
    """Count test windows that also hold an eligible event of a training cluster; the purge goes the other way."""
    trained = {g.removeprefix("event:") for g in indexed["split_group"][role == "train"] if g.startswith("event:")}
    return sum(not trained.isdisjoint(ids) for ids in indexed["cluster_ids"][role == "test"])


def _overlaps(indexed: pd.DataFrame, role: NDArray[np.object_], reach_h: float) -> dict[str, int]:
    """Count what stands on two sides of one fold, by brute comparison of the tables."""
    reach = np.timedelta64(round(reach_h * 3600), "s")
    starts = indexed["start_utc"].to_numpy().astype("datetime64[s]")
    groups = indexed["split_group"].to_numpy()
    found = {"groups": 0, "events": 0, "close_windows": 0, "samples": int(indexed.index.duplicated().sum())}
    for kept, held in (("train", "test"), ("val", "test"), ("train", "val")):
        a, b = role == kept, role == held
        found["groups"] += len(set(groups[a]) & set(groups[b]))
        clusters = {g.removeprefix("event:") for g in groups[b] if g.startswith("event:")}
        found["events"] += sum(not clusters.isdisjoint(ids) for ids in indexed["cluster_ids"][a])
        for rows in indexed.reset_index().groupby("station").indices.values():
            inner, outer = np.sort(starts[rows][a[rows]]), np.sort(starts[rows][b[rows]])
            if inner.size and outer.size:
                after = outer[np.minimum(np.searchsorted(outer, inner), outer.size - 1)]
                before = outer[np.maximum(np.searchsorted(outer, inner) - 1, 0)]
                nearest = np.minimum(np.abs(after - inner), np.abs(inner - before))
                found["close_windows"] += int((nearest <= reach).sum())
    return found
