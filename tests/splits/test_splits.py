from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixtures.split_tables import (
    NO_SHRINKING,
    REACH_H,
    SIDES,
    count_clusters,
    line_of_events,
    sample_tables,
    touched_by_force,
)
from seismag.config import SplitConfig
from seismag.domain import DataError, SeismagError, UsageError
from seismag.splits import assign_split, load_or_assign_split, report_split


def roles_of(split: pd.DataFrame, fold: int) -> dict[str, str]:
    rows = split[split["fold"] == fold]
    return dict(zip(rows["sample_id"], rows["role"], strict=True))


@settings(max_examples=15, phases=NO_SHRINKING)
@given(samples=sample_tables(), n_folds=st.integers(2, 4), seed=st.integers(0, 99))
def test_only_what_must_leave_is_excluded(samples: pd.DataFrame, n_folds: int, seed: int) -> None:
    assume(count_clusters(samples) >= n_folds)
    split = assign_split(samples, SplitConfig(n_folds=n_folds, seed=seed), REACH_H)
    for fold in range(1, n_folds + 1):
        roles = roles_of(split, fold)
        by_role = {role: {s for s, r in roles.items() if r == role} for role in ("train", "val", "test", "purged")}
        must = touched_by_force(samples, by_role["test"] | by_role["val"])
        assert by_role["purged"] <= must
        assert not by_role["train"] & must


@settings(max_examples=15, phases=NO_SHRINKING)
@given(samples=sample_tables(), n_folds=st.integers(2, 4), seed=st.integers(0, 99))
def test_validation_is_empty_only_where_no_class_has_two_groups_left(
    samples: pd.DataFrame, n_folds: int, seed: int
) -> None:
    assume(count_clusters(samples) >= n_folds)
    split = assign_split(samples, SplitConfig(n_folds=n_folds, seed=seed), REACH_H)
    for fold in range(1, n_folds + 1):
        roles = roles_of(split, fold)
        if "val" in roles.values():
            continue
        test = {s for s, r in roles.items() if r == "test"}
        left = samples[~samples["sample_id"].isin(test | touched_by_force(samples, test))]
        assert (left.groupby("magnitude_class")["split_group"].nunique() < 2).all()


@settings(max_examples=15, phases=NO_SHRINKING)
@given(samples=sample_tables(), n_folds=st.integers(2, 6), seed=st.integers(0, 99))
def test_every_fold_tests_on_an_earthquake_cluster_of_its_own(samples: pd.DataFrame, n_folds: int, seed: int) -> None:
    assume(count_clusters(samples) >= n_folds)
    split = assign_split(samples, SplitConfig(n_folds=n_folds, seed=seed), REACH_H)
    tested = split[(split["role"] == "test") & split["split_group"].str.startswith("event:")]
    assert set(tested["fold"]) == set(range(1, n_folds + 1))


@settings(max_examples=15, phases=NO_SHRINKING)
@given(samples=sample_tables(), n_folds=st.integers(2, 4))
def test_the_report_says_what_brute_force_finds(samples: pd.DataFrame, n_folds: int) -> None:
    assume(count_clusters(samples) >= n_folds)
    spec = SplitConfig(n_folds=n_folds)
    split = assign_split(samples, spec, REACH_H)
    report = report_split(samples, split, spec, REACH_H).to_json()
    assert report["proof"] == {"groups": 0, "events": 0, "close_windows": 0, "samples": 0}
    assert report["n_samples"] == len(samples)
    assert report["n_groups"] == samples["split_group"].nunique()
    assert report["n_event_groups"] == count_clusters(samples)
    assert report["largest_group"]["samples"] == samples["split_group"].value_counts().max()
    for entry in report["folds"]:
        roles = list(roles_of(split, entry["fold"]).values())
        assert {role: entry[role] for role in set(roles)} == {role: roles.count(role) for role in set(roles)}
        assert entry["train"] + entry["val"] + entry["test"] + entry["purged"] == len(samples)


def test_another_seed_draws_another_split() -> None:
    one, two = (assign_split(line_of_events(), SplitConfig(n_folds=3, seed=seed), REACH_H) for seed in (1, 2))
    assert (one["role"] != two["role"]).any()


def test_fewer_clusters_than_folds_are_refused_with_both_numbers() -> None:
    with pytest.raises(UsageError, match=r"4 earthquake clusters cannot fill 5 folds.*n_folds"):
        assign_split(line_of_events(4), SplitConfig(n_folds=5), REACH_H)


def test_as_many_clusters_as_folds_give_each_fold_one_of_them() -> None:
    split = assign_split(line_of_events(10), SplitConfig(n_folds=10), REACH_H)
    tested = split[(split["role"] == "test") & split["split_group"].str.startswith("event:")]
    assert sorted(tested["fold"]) == sorted(2 * list(range(1, 11)))


@pytest.mark.parametrize(("hours", "purged"), [(54, True), (60, False), (-54, True), (-60, False)])
def test_windows_of_a_station_54_h_apart_do_not_stand_on_two_sides(hours: int, purged: bool) -> None:
    start = np.datetime64("2021-03-01", "ms")
    times = [start, start + np.timedelta64(hours, "h"), *(start + np.timedelta64(d, "D") for d in (40, 80, 120))]
    samples = pd.DataFrame(
        {
            "sample_id": [f"A-{i}" for i in range(5)],
            "station": "A",
            "start_utc": pd.Series(times).astype("datetime64[ms]"),
            "split_group": [f"event:c{i}" for i in range(5)],
            "cluster_ids": [[f"c{i}"] for i in range(5)],
            "magnitude_class": "Large",
        }
    )
    split = assign_split(samples, SplitConfig(n_folds=5), REACH_H)
    fold = split.loc[(split["sample_id"] == "A-0") & (split["role"] == "test"), "fold"].iloc[0]
    assert (roles_of(split, fold)["A-1"] == "purged") is purged


# stored splits --------------------------------------------------------------------------------------------------


SPEC = SplitConfig(n_folds=3, name="mine")


@pytest.fixture(scope="module")
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("splits")
    load_or_assign_split(line_of_events(), SPEC, REACH_H, "data-1", folder)
    return folder


@pytest.fixture
def stored(drawn_once: Path, tmp_path: Path) -> Path:
    """A copy of the stored split."""
    return shutil.copytree(drawn_once, tmp_path, dirs_exist_ok=True)


def load(directory: Path, spec: SplitConfig = SPEC, reach_h: float = REACH_H, dataset_id: str = "data-1"):
    return load_or_assign_split(line_of_events(), spec, reach_h, dataset_id, directory)


def rewrite(directory: Path, table: pd.DataFrame) -> None:
    """Change the table and write its new checksum into the report."""
    table.to_parquet(directory / "mine.parquet", index=False)
    report = json.loads((directory / "mine.json").read_text())
    report["table_sha256"] = hashlib.sha256((directory / "mine.parquet").read_bytes()).hexdigest()
    (directory / "mine.json").write_text(json.dumps(report))


def test_another_fold_of_the_same_split_uses_the_same_file(stored: Path) -> None:
    split, _ = load(stored, SplitConfig(n_folds=3, name="mine", fold=2))
    assert len(split) == 3 * 18


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"dataset_id": "data-2"}, "dataset_id"),
        ({"reach_h": 30.0}, "reach_h"),
        ({"spec": SplitConfig(n_folds=2, name="mine")}, "split"),
        ({"spec": SplitConfig(n_folds=3, name="mine", seed=1)}, "split"),
        ({"spec": SplitConfig(n_folds=3, name="mine", val_fraction=0.3)}, "split"),
    ],
)
def test_a_split_of_another_data_set_or_other_rules_is_refused(
    change: dict[str, object], named: str, stored: Path
) -> None:
    with pytest.raises(UsageError, match=rf"another data set or by other rules \({named}\).*split.name=NAME"):
        load(stored, **change)  # type: ignore[arg-type]


def test_a_changed_table_is_noticed(stored: Path) -> None:
    table = pd.read_parquet(stored / "mine.parquet")
    table.loc[0, "role"] = "val"
    table.to_parquet(stored / "mine.parquet", index=False)
    with pytest.raises(DataError, match="differs from its split report"):
        load(stored)


def test_a_table_with_overlaps_is_refused_even_with_a_fitting_checksum(stored: Path) -> None:
    table = pd.read_parquet(stored / "mine.parquet")
    validating = table[(table["role"] == "val") & table["split_group"].str.startswith("event:")]
    assert len(validating) % 2 == 0
    table.loc[validating.index[0], "role"] = "train"  # and the other window of its cluster still validates
    rewrite(stored, table)
    with pytest.raises(DataError, match="windows overlap between the sets"):
        load(stored)


@pytest.mark.parametrize("what", ["lost rows", "doubled rows", "unknown role", "no test", "other groups"])
def test_a_table_that_does_not_give_each_sample_its_role_is_refused_even_with_a_fitting_checksum(
    what: str, stored: Path
) -> None:
    table = pd.read_parquet(stored / "mine.parquet")
    if what == "lost rows":
        table = table[table["sample_id"] != table["sample_id"].iloc[0]]
    elif what == "doubled rows":
        table = pd.concat([table, table.iloc[:1]])
    elif what == "unknown role":
        table.loc[0, "role"] = "training"
    elif what == "no test":
        table.loc[table["role"] == "test", "role"] = "purged"
    else:
        table["split_group"] = "event:c0"
    rewrite(stored, table)
    with pytest.raises(DataError, match="mine"):
        load(stored)


@pytest.mark.parametrize("name", ["mine.parquet", "mine.json"])
def test_a_damaged_file_is_named_with_the_remedy(name: str, stored: Path) -> None:
    content = (stored / name).read_bytes()
    (stored / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"damaged.*Delete it"):
        load(stored)


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"made_for": null}', '{"made_for": []}', '"a"'])
def test_a_report_of_another_shape_is_refused(text: str, stored: Path) -> None:
    (stored / "mine.json").write_text(text)
    with pytest.raises(SeismagError, match="mine"):
        load(stored)


@pytest.mark.parametrize("key", ["proof", "n_samples", "folds", "rules"])
def test_a_changed_report_is_noticed(key: str, stored: Path) -> None:
    report = json.loads((stored / "mine.json").read_text())
    if key == "proof":
        report["proof"]["groups"] = 3
    elif key == "n_samples":
        report["n_samples"] += 1
    elif key == "folds":
        report["folds"][0]["purged"] = 0
        report["folds"][0]["purged_share"] = 0.5
    else:
        report["rules"]["purge_h"] = 1.0
    (stored / "mine.json").write_text(json.dumps(report))
    with pytest.raises(DataError, match="split report does not describe"):
        load(stored)


# the real labels ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_split(bmkg_samples: pd.DataFrame) -> pd.DataFrame:
    return assign_split(bmkg_samples, SplitConfig(), REACH_H)


@pytest.mark.real
def test_ten_folds_of_the_real_labels_are_balanced_and_lose_little(
    bmkg_samples: pd.DataFrame, real_split: pd.DataFrame
) -> None:
    report = report_split(bmkg_samples, real_split, SplitConfig(), REACH_H).to_json()
    assert report["n_event_groups"] == pytest.approx(778, rel=0.02)
    assert report["largest_group"]["samples"] < 0.03 * len(bmkg_samples)
    for entry in report["folds"]:
        assert entry["test"] == pytest.approx(len(bmkg_samples) / 10, rel=0.05)
        assert entry["purged_share"] < 0.05
        assert 0.1 < entry["val"] / (entry["val"] + entry["train"]) < 0.25


@pytest.mark.real
def test_every_class_stands_in_every_role_of_the_real_split(
    bmkg_samples: pd.DataFrame, real_split: pd.DataFrame
) -> None:
    kinds = real_split["sample_id"].map(bmkg_samples.set_index("sample_id")["magnitude_class"])
    counts = real_split.assign(kind=kinds).groupby(["fold", "role", "kind"]).size().unstack(["role", "kind"])
    for role in ("train", "val", "test"):
        assert counts[role].notna().all(axis=None)


@pytest.mark.real
def test_nothing_of_the_real_split_stands_on_two_sides_by_brute_force(
    bmkg_samples: pd.DataFrame, real_split: pd.DataFrame
) -> None:
    groups = bmkg_samples["split_group"].to_numpy()
    hours = bmkg_samples["start_utc"].to_numpy().astype("datetime64[h]").astype(np.int64)
    near = []  # pairs of windows of one station that start within reach
    for rows in bmkg_samples.groupby("station").indices.values():
        a, b = np.nonzero(np.abs(hours[rows][:, None] - hours[rows][None, :]) <= REACH_H)
        near.append((rows[a], rows[b]))
    first, second = (np.concatenate(side) for side in zip(*near, strict=True))
    owner = np.repeat(np.arange(len(bmkg_samples)), bmkg_samples["cluster_ids"].str.len())
    seen = np.array([f"event:{c}" for ids in bmkg_samples["cluster_ids"] for c in ids])
    place = {name: i for i, name in enumerate(bmkg_samples["sample_id"])}
    for _, rows in real_split.groupby("fold"):
        role = np.empty(len(bmkg_samples), dtype=object)
        role[[place[name] for name in rows["sample_id"]]] = rows["role"]
        for kept, held in SIDES:
            assert not set(groups[role == kept]) & set(groups[role == held])
            assert not set(seen[role[owner] == kept]) & {g for g in groups[role == held] if g.startswith("event:")}
            assert not ((role[first] == kept) & (role[second] == held)).any()
