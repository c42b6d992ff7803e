"""What a split holds, what it lost, and the proof, recomputed from the tables, of what its method claims."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from seismag.config import SplitConfig
from seismag.splits.assign import locked_from
from seismag.splits.exclusions import (
    EVENT,
    Mask,
    close_in_time,
    label_clusters,
    share_events,
    start_times,
    utc_days,
    windows_of_clusters,
    within_embargo,
)
from seismag.splits.folds import regions_of_stations

GROUP_RULE = "cluster of the label event (Gardner-Knopoff); 27-day blocks across stations for Normal"
ROLES = ("train", "val", "test", "purged", "sealed")
NAIVE_WARNING = (
    "naive: for comparison only. Windows were dealt at random and the test fold chose the epoch, as earlier systems "
    "did, so no score of this split is a result."
)
# what must not stand on two sides; the other overlaps are counted
CLAIMS = {
    "loeo": ("groups", "events", "close_windows", "samples"),
    "loso": ("stations", "clusters", "events", "close_windows", "samples"),
    "region": ("regions", "stations", "clusters", "events", "close_windows", "samples"),
    "blocked": ("utc_days", "embargo", "clusters", "events", "close_windows", "samples"),
    "naive": (),
}
_SIDES = (
    ("train", "test"), ("val", "test"), ("train", "val"), ("train", "sealed"), ("val", "sealed"), ("test", "sealed"),
)  # fmt: skip
_TESTED = _SIDES[:2]  # between which stations, regions and the embargo are held apart


def report_split(samples: pd.DataFrame, split: pd.DataFrame, spec: SplitConfig, reach_h: float) -> dict[str, Any]:
    """Count what a split holds and prove that nothing stands on two sides.

    Every proof is recomputed from the tables, not taken from the way the split was drawn.

    Returns:
        A JSON-ready dictionary; ``proof`` counts the overlaps that the method claims not to have, all zero in a valid
        split. The method naive claims nothing: its proof is None, and ``warning`` says so.
    """
    indexed = samples.set_index("sample_id", drop=False)
    regions = regions_of_stations(set(samples["station"].astype(str)), spec) if spec.method == "region" else {}
    folds = []
    for fold, rows in split.groupby("fold", sort=True):
        masks = _role_masks(indexed, rows)
        folds.append(
            {
                "fold": int(fold),
                **{name: int(mask.sum()) for name, mask in masks.items()},
                **_describe_test(samples, masks["test"], spec),
                **_losses(samples, masks, spec, reach_h),
                "overlaps": count_overlaps(samples, masks, spec, reach_h, regions),
                "test_windows_near_a_training_event": _shared_secondary(samples, masks),
                **_training_days(samples, masks),
            }
        )
    sizes = samples["split_group"].value_counts()
    claims = CLAIMS[spec.method]
    totals = {name: sum(entry["overlaps"][name] for entry in folds) for name in folds[0]["overlaps"]}
    on_training_day = sum(entry["test_events_on_a_training_day"] for entry in folds)
    tested = sum(entry["test_events"] for entry in folds)
    return {
        "method": spec.method,
        **({"warning": NAIVE_WARNING} if spec.method == "naive" else {}),
        "rules": _rules(samples, spec, reach_h),
        "n_samples": len(samples),
        "n_groups": int(sizes.size),
        "n_event_groups": int(sizes.index.str.startswith(EVENT).sum()),
        "largest_group": {"name": str(sizes.index[0]), "samples": int(sizes.iloc[0])},
        **({"regions": _fold_of_regions(samples, split, regions)} if regions else {}),
        "sealed": _describe_sealed(samples, split, spec),
        "folds": folds,
        "proof": {name: totals[name] for name in claims} if claims else None,
        "counted": {
            **{name: count for name, count in totals.items() if name not in claims},
            "share_of_test_events_on_a_training_day": round(on_training_day / tested, 4) if tested else None,
        },
    }


def count_overlaps(
    samples: pd.DataFrame, masks: dict[str, Mask], spec: SplitConfig, reach_h: float, regions: dict[str, str]
) -> dict[str, int]:
    """Count what stands on two sides of one fold, by brute comparison of the tables."""
    groups, days = samples["split_group"].astype(str).to_numpy(), utc_days(samples)
    stations = samples["station"].astype(str).to_numpy()
    rows_of_station = list(samples.groupby("station").indices.values())
    starts = start_times(samples)
    reach = np.timedelta64(round(reach_h * 3600), "s")
    twice = int(samples["sample_id"].duplicated().sum())
    found = dict.fromkeys(("groups", "clusters", "events", "close_windows"), 0) | {"samples": twice, "utc_days": 0}
    for kept, held in _SIDES:
        a, b = masks[kept], masks[held]
        if not (a.any() and b.any()):
            continue
        shared = set(groups[a]) & set(groups[b])
        found["groups"] += len(shared)
        found["clusters"] += len(label_clusters(np.array(sorted(shared), dtype=object)))
        clusters = label_clusters(np.unique(groups[b]))
        found["events"] += int(windows_of_clusters(samples[a], clusters).sum())
        found["samples"] += int((a & b).sum())
        found["utc_days"] += len(np.intersect1d(days[a], days[b]))
        for rows in rows_of_station:
            inner, outer = np.sort(starts[rows][a[rows]]), np.sort(starts[rows][b[rows]])
            if inner.size and outer.size:
                after = outer[np.minimum(np.searchsorted(outer, inner), outer.size - 1)]
                before = outer[np.maximum(np.searchsorted(outer, inner) - 1, 0)]
                nearest = np.minimum(np.abs(after - inner), np.abs(inner - before))
                found["close_windows"] += int((nearest <= reach).sum())
    for name in CLAIMS[spec.method]:
        if name == "stations":
            found[name] = sum(len(set(stations[masks[a]]) & set(stations[masks[b]])) for a, b in _TESTED)
        elif name == "regions":
            area = np.array([regions[code] for code in stations], dtype=object)
            found[name] = sum(len(set(area[masks[a]]) & set(area[masks[b]])) for a, b in _TESTED)
        elif name == "embargo":
            near_test = within_embargo(samples, masks["test"], spec.embargo_d)
            near_sealed = within_embargo(samples, masks["sealed"], spec.embargo_d)
            found[name] = int(((masks["train"] | masks["val"]) & (near_test | near_sealed)).sum())
    return found


def _role_masks(indexed: pd.DataFrame, rows: pd.DataFrame) -> dict[str, Mask]:
    return {name: indexed.index.isin(rows.loc[rows["role"] == name, "sample_id"]) for name in ROLES}


def _describe_test(samples: pd.DataFrame, test: Mask, spec: SplitConfig) -> dict[str, Any]:
    groups = samples.loc[test, "split_group"]
    facts: dict[str, Any] = {
        "test_groups": int(groups.nunique()),
        "test_event_groups": int(groups[groups.str.startswith(EVENT)].nunique()),
        "test_events": int(groups.str.startswith(EVENT).sum()),
    }
    if spec.method in ("loso", "region"):
        facts["test_stations"] = sorted(samples.loc[test, "station"].astype(str).unique())
    if spec.method == "blocked" and test.any():
        days = utc_days(samples)[test]
        facts |= {"test_from_utc": _date(days.min()), "test_to_utc": _date(days.max() + 1)}
    return facts


def _losses(samples: pd.DataFrame, masks: dict[str, Mask], spec: SplitConfig, reach_h: float) -> dict[str, Any]:
    """Purged windows and by which rules; a window that several rules purge is counted by each."""
    purged, held = masks["purged"], masks["test"] | masks["val"] | masks["sealed"]
    by = {"events": share_events(samples, held), "close_windows": close_in_time(samples, held, reach_h)}
    if spec.method == "blocked":
        by["embargo"] = within_embargo(samples, masks["test"], spec.embargo_d)
        by["embargo"] |= within_embargo(samples, masks["sealed"], spec.embargo_d)
    others = len(samples) - int((masks["test"] | masks["sealed"]).sum())
    return {
        "purged_by": {name: int((purged & mask).sum()) for name, mask in by.items()},
        "purged_share": round(float(purged.sum()) / max(1, others), 4),
    }


def _training_days(samples: pd.DataFrame, masks: dict[str, Mask]) -> dict[str, int]:
    """Test windows before an earthquake on whose UTC day another station trains."""
    days = utc_days(samples)
    event = samples["split_group"].str.startswith(EVENT).to_numpy()
    shared = masks["test"] & event & np.isin(days, days[masks["train"]])
    return {"test_events_on_a_training_day": int(shared.sum())}


def _shared_secondary(samples: pd.DataFrame, masks: dict[str, Mask]) -> int:
    """Count test windows that also hold an eligible event of a training cluster; the purge goes the other way."""
    return int(share_events(samples, masks["train"])[masks["test"]].sum())


def _rules(samples: pd.DataFrame, spec: SplitConfig, reach_h: float) -> dict[str, Any]:
    rules: dict[str, Any] = {"groups": samples.attrs.get("group_rule", GROUP_RULE)}
    if spec.method == "naive":
        return {"groups": "none: random windows", "validation": "the test fold", "seed": spec.seed}
    rules |= {
        "purge_events": "train and val hold no window with an eligible event of a held-out cluster",
        "purge_h": reach_h,
        "seed": spec.seed,
        "val_fraction": spec.val_fraction,
    }
    if spec.method == "blocked":
        rules["embargo_d"] = spec.embargo_d
    if spec.method == "region":
        rules["region_km"] = spec.region_km
    return rules


def _describe_sealed(samples: pd.DataFrame, split: pd.DataFrame, spec: SplitConfig) -> dict[str, Any] | None:
    if not spec.sealed_fraction:
        return None
    ids = sorted(split.loc[split["role"] == "sealed", "sample_id"].astype(str).unique())
    groups = samples.loc[samples["sample_id"].isin(ids), "split_group"]
    roles_by_sample = split.groupby("sample_id")["role"].agg(lambda roles: (roles == "purged").all())
    return {
        "fraction": spec.sealed_fraction,
        "from_utc": _date(locked_from(samples, spec)),
        "n_samples": len(ids),
        "n_event_groups": int(groups[groups.str.startswith(EVENT)].nunique()),
        "purged_at_the_border": int(roles_by_sample.sum()),
        "sample_ids_sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
    }


def _fold_of_regions(samples: pd.DataFrame, split: pd.DataFrame, regions: dict[str, str]) -> dict[str, int | None]:
    tested = split[split["role"] == "test"].drop_duplicates("sample_id").set_index("sample_id")["fold"]
    fold = samples["sample_id"].map(tested)
    area = samples["station"].astype(str).map(regions)
    first = fold.groupby(area).first()
    return {name: None if pd.isna(first.get(name)) else int(first[name]) for name in sorted(set(regions.values()))}


def _date(day: int) -> str:
    return str(np.datetime64(int(day), "D"))
