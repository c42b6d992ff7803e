"""Split report: what each set contains, what was excluded, and the leakage check recomputed from the tables."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray, TimeArray
from seismag.config import SplitConfig
from seismag.splits.assign import locked_from
from seismag.splits.exclusions import (
    EVENT_PREFIX,
    close_in_time,
    label_clusters,
    share_events,
    start_times,
    utc_days,
    windows_of_clusters,
    within_embargo,
)
from seismag.splits.folds import regions_of_stations

SUBSETS = ("train", "val", "test", "purged", "sealed")  # values of the column role
NAIVE_WARNING = (
    "naive: for comparison only. Windows were assigned at random and the test fold chose the epoch, as in earlier "
    "systems, so no score of this split is a result."
)
_GROUP_RULE = "cluster of the label event (Gardner-Knopoff); 27-day blocks across stations for Normal"
# overlaps between sets that a method excludes; the others are only counted
_EXCLUDED_OVERLAPS = {
    "loeo": ("groups", "events", "close_windows", "samples"),
    "loso": ("stations", "clusters", "events", "close_windows", "samples"),
    "region": ("regions", "stations", "clusters", "events", "close_windows", "samples"),
    "blocked": ("utc_days", "embargo", "clusters", "events", "close_windows", "samples"),
    "naive": (),
}
_PAIRS = (
    ("train", "test"), ("val", "test"), ("train", "val"), ("train", "sealed"), ("val", "sealed"), ("test", "sealed"),
)  # fmt: skip
_PAIRS_WITH_TEST = _PAIRS[:2]  # stations, regions and the embargo are kept apart between these


@dataclass(frozen=True)
class FoldReport:
    """Windows, exclusions and overlaps of one fold; the fields are explained in docs/data-formats.md.

    ``windows`` counts by role; a field is None where the method has no such fact.
    """

    fold: int
    windows: dict[str, int]
    test_groups: int
    test_event_groups: int
    test_events: int
    test_stations: list[str] | None
    test_from_utc: str | None
    test_to_utc: str | None
    purged_by: dict[str, int]
    purged_share: float
    overlaps: dict[str, int]
    test_windows_near_a_training_event: int
    test_events_on_a_training_day: int

    def to_json(self) -> dict[str, object]:
        """One entry of ``folds`` in the split report; facts that the method does not have are left out."""
        facts = {name: value for name, value in asdict(self).items() if value is not None}
        return {"fold": facts.pop("fold"), **facts.pop("windows"), **facts}


@dataclass(frozen=True)
class SplitReport:
    """Content of ``splits/NAME.json`` (docs/data-formats.md), but for the keys that identify data set and table.

    ``proof`` counts the overlaps that the method excludes, all zero in a valid split (None: naive excludes none), and
    ``counted`` the others.
    """

    method: str
    warning: str | None
    rules: dict[str, str | float]
    n_samples: int
    n_groups: int
    n_event_groups: int
    largest_group: dict[str, str | int]
    regions: dict[str, int | None] | None
    locked: dict[str, str | float] | None
    folds: tuple[FoldReport, ...]
    proof: dict[str, int] | None
    counted: dict[str, float | None]

    @property
    def has_overlaps(self) -> bool:
        """Whether an overlap was found that the method excludes."""
        return any((self.proof or {}).values())

    def to_json(self) -> dict[str, object]:
        """Key by key as in the file."""
        facts = asdict(self) | {"folds": [fold.to_json() for fold in self.folds]}
        stated = {key: value for key, value in facts.items() if value is not None or key not in ("warning", "regions")}
        return {"sealed" if key == "locked" else key: value for key, value in stated.items()}


def report_split(samples: pd.DataFrame, split: pd.DataFrame, spec: SplitConfig, reach_h: float) -> SplitReport:
    """Count what the sets of a split contain and check that nothing is on two sides.

    Every overlap is recomputed from the tables, not taken from the way the split was made.
    """
    indexed = samples.set_index("sample_id", drop=False)
    regions = regions_of_stations(set(samples["station"].astype(str)), spec) if spec.method == "region" else {}
    folds = tuple(
        _report_fold(samples, int(fold), _masks_by_role(indexed, rows), spec, reach_h, regions)
        for fold, rows in split.groupby("fold", sort=True)
    )
    sizes = samples["split_group"].value_counts()
    excluded = _EXCLUDED_OVERLAPS[spec.method]
    totals = {name: sum(fold.overlaps[name] for fold in folds) for name in folds[0].overlaps}
    on_training_day = sum(fold.test_events_on_a_training_day for fold in folds)
    tested = sum(fold.test_events for fold in folds)
    counted: dict[str, float | None] = {name: count for name, count in totals.items() if name not in excluded}
    counted["share_of_test_events_on_a_training_day"] = round(on_training_day / tested, 4) if tested else None
    return SplitReport(
        method=spec.method,
        warning=NAIVE_WARNING if spec.method == "naive" else None,
        rules=_rules(samples, spec, reach_h),
        n_samples=len(samples),
        n_groups=int(sizes.size),
        n_event_groups=int(sizes.index.str.startswith(EVENT_PREFIX).sum()),
        largest_group={"name": str(sizes.index[0]), "samples": int(sizes.iloc[0])},
        regions=_fold_of_regions(samples, split, regions) if regions else None,
        locked=_describe_locked(samples, split, spec),
        folds=folds,
        proof={name: totals[name] for name in excluded} if excluded else None,
        counted=counted,
    )


def _report_fold(
    samples: pd.DataFrame,
    fold: int,
    masks: dict[str, BoolArray],
    spec: SplitConfig,
    reach_h: float,
    regions: dict[str, str],
) -> FoldReport:
    test, excluded = masks["test"], masks["purged"]
    groups, days = samples.loc[test, "split_group"], utc_days(samples)
    held_out = test | masks["val"] | masks["sealed"]
    by_rule = {"events": share_events(samples, held_out), "close_windows": close_in_time(samples, held_out, reach_h)}
    if spec.method == "blocked":
        by_rule["embargo"] = _within_any_embargo(samples, masks, spec)
    others = len(samples) - int((test | masks["sealed"]).sum())
    is_event = samples["split_group"].str.startswith(EVENT_PREFIX).to_numpy()
    by_station, in_blocks = spec.method in ("loso", "region"), spec.method == "blocked" and test.any()
    return FoldReport(
        fold=fold,
        windows={name: int(mask.sum()) for name, mask in masks.items()},
        test_groups=int(groups.nunique()),
        test_event_groups=int(groups[groups.str.startswith(EVENT_PREFIX)].nunique()),
        test_events=int(groups.str.startswith(EVENT_PREFIX).sum()),
        test_stations=sorted(samples.loc[test, "station"].astype(str).unique()) if by_station else None,
        test_from_utc=_date(days[test].min()) if in_blocks else None,
        test_to_utc=_date(days[test].max() + 1) if in_blocks else None,
        purged_by={name: int((excluded & mask).sum()) for name, mask in by_rule.items()},
        purged_share=round(float(excluded.sum()) / max(1, others), 4),
        overlaps=_count_overlaps(samples, masks, spec, reach_h, regions),
        test_windows_near_a_training_event=int(share_events(samples, masks["train"])[test].sum()),
        test_events_on_a_training_day=int((test & is_event & np.isin(days, days[masks["train"]])).sum()),
    )


def _count_overlaps(
    samples: pd.DataFrame, masks: dict[str, BoolArray], spec: SplitConfig, reach_h: float, regions: dict[str, str]
) -> dict[str, int]:
    """Count what is on two sides of one fold, by brute comparison of the tables."""
    groups, days = samples["split_group"].astype(str).to_numpy(), utc_days(samples)
    stations = samples["station"].astype(str).to_numpy()
    rows_of_station = list(samples.groupby("station").indices.values())
    starts = start_times(samples)
    reach = np.timedelta64(round(reach_h * 3600), "s")
    twice = int(samples["sample_id"].duplicated().sum())
    found = dict.fromkeys(("groups", "clusters", "events", "close_windows"), 0) | {"samples": twice, "utc_days": 0}
    for one, other in _PAIRS:
        a, b = masks[one], masks[other]
        if not (a.any() and b.any()):
            continue
        shared = set(groups[a]) & set(groups[b])
        found["groups"] += len(shared)
        found["clusters"] += len(label_clusters(shared))
        clusters = label_clusters(np.unique(groups[b]))
        found["events"] += int(windows_of_clusters(samples[a], clusters).sum())
        found["samples"] += int((a & b).sum())
        found["utc_days"] += len(np.intersect1d(days[a], days[b]))
        for rows in rows_of_station:
            found["close_windows"] += _count_close(starts[rows][a[rows]], starts[rows][b[rows]], reach)
    for name in _EXCLUDED_OVERLAPS[spec.method]:
        if name == "stations":
            found[name] = sum(len(set(stations[masks[a]]) & set(stations[masks[b]])) for a, b in _PAIRS_WITH_TEST)
        elif name == "regions":
            area = np.array([regions[code] for code in stations], dtype=object)
            found[name] = sum(len(set(area[masks[a]]) & set(area[masks[b]])) for a, b in _PAIRS_WITH_TEST)
        elif name == "embargo":
            found[name] = int(((masks["train"] | masks["val"]) & _within_any_embargo(samples, masks, spec)).sum())
    return found


def _count_close(ours: TimeArray, theirs: TimeArray, reach: np.timedelta64) -> int:
    """Count the starts among ``ours`` that lie within ``reach`` of one of ``theirs``."""
    inner, outer = np.sort(ours), np.sort(theirs)
    if not (inner.size and outer.size):
        return 0
    after = outer[np.minimum(np.searchsorted(outer, inner), outer.size - 1)]
    before = outer[np.maximum(np.searchsorted(outer, inner) - 1, 0)]
    nearest = np.minimum(np.abs(after - inner), np.abs(inner - before))
    return int((nearest <= reach).sum())


def _within_any_embargo(samples: pd.DataFrame, masks: dict[str, BoolArray], spec: SplitConfig) -> BoolArray:
    near_test = within_embargo(samples, masks["test"], spec.embargo_d)
    return near_test | within_embargo(samples, masks["sealed"], spec.embargo_d)


def _masks_by_role(indexed: pd.DataFrame, rows: pd.DataFrame) -> dict[str, BoolArray]:
    return {name: indexed.index.isin(rows.loc[rows["role"] == name, "sample_id"]) for name in SUBSETS}


def _rules(samples: pd.DataFrame, spec: SplitConfig, reach_h: float) -> dict[str, str | float]:
    # these sentences are compared with those of stored splits: a new wording would invalidate them
    rules: dict[str, str | float] = {"groups": samples.attrs.get("group_rule", _GROUP_RULE)}
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


def _describe_locked(samples: pd.DataFrame, split: pd.DataFrame, spec: SplitConfig) -> dict[str, str | float] | None:
    if not spec.sealed_fraction:
        return None
    ids = sorted(split.loc[split["role"] == "sealed", "sample_id"].astype(str).unique())
    groups = samples.loc[samples["sample_id"].isin(ids), "split_group"]
    excluded_in_all = (split["role"] == "purged").groupby(split["sample_id"]).all()
    return {
        "fraction": spec.sealed_fraction,
        "from_utc": _date(locked_from(samples, spec)),
        "n_samples": len(ids),
        "n_event_groups": int(groups[groups.str.startswith(EVENT_PREFIX)].nunique()),
        "purged_at_the_border": int(excluded_in_all.sum()),
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
