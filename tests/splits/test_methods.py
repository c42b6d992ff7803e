"""Leave-station-out, leave-region-out, blocked and naive splits, and the locked hold-out set."""

from __future__ import annotations

import json
from hashlib import sha256
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
    line_of_events,
    overlaps_by_force,
    sample_tables,
    touched_by_force,
)
from seismag.config import SplitConfig, build_config
from seismag.domain import DataError, UsageError
from seismag.splits import NAIVE_WARNING, SplitReport, assign_split, load_or_assign_split, report_split
from seismag.splits.folds import regions_of_stations

CODES = {"A": "SBG", "B": "GTO", "C": "TND"}  # Sumatra; Sulawesi twice, 214 km apart
METHODS = ("loeo", "loso", "region", "blocked")
NOTHING = {"clusters": 0, "events": 0, "close_windows": 0}


def placed(samples: pd.DataFrame) -> pd.DataFrame:
    """The stations of random tables at places of real ones."""
    return samples.assign(station=samples["station"].map(CODES))


def try_split(samples: pd.DataFrame, spec: SplitConfig) -> pd.DataFrame:
    """Draw a split, or give the example up where there is too little to deal."""
    try:
        return assign_split(samples, spec, REACH_H)
    except UsageError:
        assume(False)
        raise


def roles_of(split: pd.DataFrame, fold: int) -> dict[str, str]:
    rows = split[split["fold"] == fold]
    return dict(zip(rows["sample_id"], rows["role"], strict=True))


specs = st.builds(
    lambda method, n_folds, seed, embargo_d, sealed: SplitConfig(
        method=method, n_folds=n_folds, seed=seed, embargo_d=embargo_d, sealed_fraction=sealed
    ),
    st.sampled_from(METHODS),
    st.integers(2, 4),
    st.integers(0, 99),
    st.sampled_from([0.0, 2.0, 7.5]),
    st.sampled_from([0.0, 0.2]),
)


def sides_by_force(samples: pd.DataFrame, roles: dict[str, str], embargo_d: float) -> dict[str, int]:
    """Stations, UTC days and the embargo between training or validation and test, window against window."""
    rows = samples.to_dict("records")
    found = {"stations": 0, "utc_days": 0, "embargo": 0}
    by_role = {role: [row for row in rows if roles[row["sample_id"]] == role] for role in set(roles.values())}
    for kept, held in (*SIDES, ("train", "sealed"), ("val", "sealed"), ("test", "sealed")):
        inner, outer = by_role.get(kept, []), by_role.get(held, [])
        days = [{row["start_utc"].date() for row in part} for part in (inner, outer)]
        found["utc_days"] += len(days[0] & days[1])
        if held == "test":
            found["stations"] += len({row["station"] for row in inner} & {row["station"] for row in outer})
    margin = pd.Timedelta(days=embargo_d)
    stretches = [
        (min(row["start_utc"] for row in part) - margin, max(row["start_utc"] for row in part) + margin)
        for part in (by_role.get("test", []), by_role.get("sealed", []))
        if part
    ]
    for row in (*by_role.get("train", []), *by_role.get("val", [])):
        found["embargo"] += any(low <= row["start_utc"] <= high for low, high in stretches)
    return found


@settings(max_examples=40, phases=NO_SHRINKING)
@given(samples=sample_tables(), spec=specs)
def test_nothing_stands_on_two_sides_by_any_method(samples: pd.DataFrame, spec: SplitConfig) -> None:
    samples = placed(samples)
    split = try_split(samples, spec)
    for fold in split["fold"].unique():
        roles = roles_of(split, fold)
        found = overlaps_by_force(samples, roles)
        assert {name: found[name] for name in NOTHING} == NOTHING
        apart = sides_by_force(samples, roles, spec.embargo_d)
        if spec.method == "loeo":
            assert found["groups"] == 0
        if spec.method in ("loso", "region"):
            assert apart["stations"] == 0
        if spec.method == "blocked":
            assert apart["utc_days"] == apart["embargo"] == 0


@settings(max_examples=40, phases=NO_SHRINKING)
@given(samples=sample_tables(), spec=specs)
def test_each_window_is_tested_once_or_sealed_and_the_last_days_are_sealed_in_all_folds(
    samples: pd.DataFrame, spec: SplitConfig
) -> None:
    samples = placed(samples)
    split = try_split(samples, spec)
    n_folds = split["fold"].nunique()
    assert set(split["fold"]) == set(range(1, n_folds + 1))
    assert (n_folds <= spec.n_folds) if spec.method in ("loso", "region") else (n_folds == spec.n_folds)
    assert len(split) == n_folds * len(samples)
    assert not split.duplicated(["sample_id", "fold"]).any()
    group = dict(zip(samples["sample_id"], samples["split_group"], strict=True))
    assert (split["split_group"] == split["sample_id"].map(group)).all()
    roles = split.groupby("sample_id")["role"].agg(list)
    tests = roles.map(lambda own: own.count("test"))
    sealed = roles.map(lambda own: own.count("sealed"))
    closed = roles.map(lambda own: set(own) == {"purged"})
    assert set(sealed) <= {0, n_folds}
    assert (tests[(sealed == 0) & ~closed] == 1).all()
    assert (tests[(sealed > 0) | closed] == 0).all()
    if not spec.sealed_fraction:
        assert (tests == 1).all()
        return
    assert (sealed > 0).any()
    starts = samples.set_index("sample_id")["start_utc"]
    border = starts[sealed.index[sealed > 0]].min().floor("D")
    assert (starts[sealed.index[sealed == 0]] < border).all()
    held = set(sealed.index[sealed > 0])
    groups = samples.set_index("sample_id")["split_group"]
    assert touched_by_force(samples, held) - held <= set(closed.index[closed])
    assert groups[groups.isin(groups[list(held)])].index.isin([*held, *closed.index[closed]]).all()


@settings(max_examples=25, phases=NO_SHRINKING)
@given(samples=sample_tables(), spec=specs, naive=st.booleans())
def test_a_split_of_any_method_does_not_depend_on_chance_or_on_the_order_of_rows(
    samples: pd.DataFrame, spec: SplitConfig, naive: bool
) -> None:
    samples = placed(samples)
    spec = spec.model_copy(update={"method": "naive"}) if naive else spec
    split = try_split(samples, spec)
    pd.testing.assert_frame_equal(split, assign_split(samples, spec, REACH_H))
    shuffled = assign_split(samples.sample(frac=1.0, random_state=spec.seed, ignore_index=True), spec, REACH_H)
    order = ["fold", "sample_id", "role"]
    pd.testing.assert_frame_equal(
        split.sort_values(order, ignore_index=True), shuffled.sort_values(order, ignore_index=True)
    )


@settings(max_examples=40, phases=NO_SHRINKING)
@given(samples=sample_tables(), spec=specs, data=st.data())
def test_a_report_of_any_method_counts_the_overlaps_of_a_bad_split(
    samples: pd.DataFrame, spec: SplitConfig, data: st.DataObject
) -> None:
    samples = placed(samples)
    names = ["train", "val", "test", "purged", "sealed"]
    roles = data.draw(st.lists(st.sampled_from(names), min_size=len(samples), max_size=len(samples)))
    split = pd.DataFrame(
        {"sample_id": samples["sample_id"], "fold": 1, "role": roles, "split_group": samples["split_group"]}
    )
    try:
        report = report_split(samples, split, spec.model_copy(update={"sealed_fraction": 0.0}), REACH_H).to_json()
    except UsageError:  # these stations are one region
        assume(False)
    found = report["folds"][0]["overlaps"]
    expected = sides_by_force(samples, roles_of(split, 1), spec.embargo_d)
    assert found["utc_days"] == expected["utc_days"]
    if spec.method in ("loso", "region"):
        assert found["stations"] == expected["stations"]
    if spec.method == "blocked":
        assert found["embargo"] == expected["embargo"]
    everything = {**(report["proof"] or {}), **report["counted"]}
    assert {name: everything[name] for name in found} == found
    by_force = overlaps_by_force(samples, roles_of(split, 1), (*SIDES, *((r, "sealed") for r in names[:3])))
    assert {name: found[name] for name in by_force} == by_force


@settings(max_examples=25, phases=NO_SHRINKING)
@given(samples=sample_tables(), spec=specs)
def test_the_report_of_a_drawn_split_finds_nothing_and_says_why_each_window_was_purged(
    samples: pd.DataFrame, spec: SplitConfig
) -> None:
    samples = placed(samples)
    split = try_split(samples, spec)
    report = report_split(samples, split, spec, REACH_H).to_json()
    assert not any(report["proof"].values())
    assert json.loads(json.dumps(report)) == report
    for entry in report["folds"]:
        assert sum(entry[role] for role in ("train", "val", "test", "purged", "sealed")) == len(samples)
        if not spec.sealed_fraction:  # there a Normal block can be the only reason
            assert max(entry["purged_by"].values()) <= entry["purged"] <= sum(entry["purged_by"].values())


# each method by hand ----------------------------------------------------------------------------------------------


def five_stations(per_station: int = 8) -> pd.DataFrame:
    """Stations SBG, GTO, TND, ALR, JYP: one cluster and one Normal block of their own each, months apart."""
    rows = []
    for place, code in enumerate(("SBG", "GTO", "TND", "ALR", "JYP")):
        for number in range(per_station):
            start = np.datetime64("2021-01-01", "ms") + np.timedelta64(60 * place + 10 * (number // 4), "D")
            start += np.timedelta64(6 * (number % 4), "h")
            event = number >= 4
            rows.append(
                {
                    "sample_id": f"{code}-{number}",
                    "station": code,
                    "start_utc": start,
                    "split_group": f"event:{code}" if event else f"normal:{place}",
                    "cluster_ids": [code] if event else [],
                    "magnitude_class": "Large" if event else "Normal",
                }
            )
    return pd.DataFrame(rows).astype({"start_utc": "datetime64[ms]"})


def test_each_station_is_a_fold_where_there_are_enough_folds() -> None:
    samples = five_stations()
    split = assign_split(samples, SplitConfig(method="loso", n_folds=10), REACH_H)
    tested = split[split["role"] == "test"].assign(station=lambda t: t["sample_id"].str[:3])
    assert tested.groupby("fold")["station"].unique().map(list).tolist() == [
        ["ALR"],
        ["GTO"],
        ["JYP"],
        ["SBG"],
        ["TND"],
    ]


def test_more_stations_than_folds_are_dealt_into_equal_folds() -> None:
    samples = five_stations()
    spec = SplitConfig(method="loso", n_folds=2)
    report = report_split(samples, assign_split(samples, spec, REACH_H), spec, 54).to_json()
    assert sorted(len(entry["test_stations"]) for entry in report["folds"]) == [2, 3]


def test_a_cluster_that_the_test_station_shares_leaves_the_training_of_other_stations() -> None:
    samples = five_stations()
    shared = samples["sample_id"] == "GTO-7"
    samples.loc[shared, "cluster_ids"] = pd.Series([["GTO", "SBG"]], index=samples.index[shared])
    split = assign_split(samples, SplitConfig(method="loso"), REACH_H)
    fold = split.loc[(split["sample_id"] == "SBG-4") & (split["role"] == "test"), "fold"].iloc[0]
    assert roles_of(split, fold)["GTO-7"] == "purged"
    assert roles_of(split, fold)["GTO-6"] in ("train", "val")


def test_regions_hold_stations_that_lie_within_the_stated_distance() -> None:
    spec = SplitConfig(method="region", region_km=300.0)
    regions = regions_of_stations({"SBG", "GTO", "TND", "ALR"}, spec)
    # GTO and TND are 214 km apart (haversine by hand: 1.783 deg of longitude, 0.739 deg of latitude)
    assert regions == {"SBG": "SBG", "GTO": "GTO+TND", "TND": "GTO+TND", "ALR": "ALR"}
    apart = regions_of_stations({"GTO", "TND", "ALR"}, spec.model_copy(update={"region_km": 213.0}))
    assert len(set(apart.values())) == 3


def test_the_report_names_the_regions_and_their_folds() -> None:
    samples = five_stations()
    spec = SplitConfig(method="region", region_km=300.0)
    report = report_split(samples, assign_split(samples, spec, REACH_H), spec, REACH_H).to_json()
    assert report["regions"] == {"ALR": 1, "GTO+TND": 2, "JYP": 3, "SBG": 4}
    assert report["rules"]["region_km"] == 300.0
    assert report["proof"]["regions"] == report["proof"]["stations"] == 0


def test_positions_of_other_stations_come_from_the_station_file(tmp_path: Path) -> None:
    (tmp_path / "stations.csv").write_text("code,latitude_deg,longitude_deg\nAAA,0,100\nBBB,0,101\nCCC,0,130\n")
    spec = SplitConfig(method="region", station_file=str(tmp_path / "stations.csv"))
    assert regions_of_stations({"AAA", "BBB", "CCC"}, spec)["AAA"] == "AAA+BBB"
    with pytest.raises(UsageError, match=r"no position of AAA.*split\.station_file=FILE"):
        regions_of_stations({"AAA", "GTO"}, SplitConfig(method="region"))


def test_blocks_of_time_follow_one_another_and_hold_about_as_many_windows() -> None:
    samples = line_of_events(12)
    spec = SplitConfig(method="blocked", n_folds=3, embargo_d=20.0)
    split = assign_split(samples, spec, REACH_H)
    tested = split[split["role"] == "test"].merge(samples[["sample_id", "start_utc"]])
    spans = tested.groupby("fold")["start_utc"].agg(["min", "max", "size"])
    assert (spans["min"].to_numpy()[1:] > spans["max"].to_numpy()[:-1]).all()
    assert spans["size"].between(10, 14).all()
    report = report_split(samples, split, spec, REACH_H).to_json()
    assert report["folds"][1]["test_from_utc"] == str(spans["min"][2].date())
    assert report["rules"]["embargo_d"] == 20.0
    assert report["counted"]["share_of_test_events_on_a_training_day"] == 0.0


@pytest.mark.parametrize(("embargo_d", "purged"), [(9.0, False), (10.0, True)])
def test_the_embargo_reaches_as_many_days_as_it_says_for_all_stations(embargo_d: float, purged: bool) -> None:
    starts = pd.to_datetime(["2021-01-01", "2021-01-11", "2021-01-21", "2021-01-31"])
    samples = pd.DataFrame(
        {
            "sample_id": list("abcd"),
            "station": ["GTO", "ALR", "GTO", "ALR"],
            "start_utc": starts,
            "split_group": [f"event:{name}" for name in "abcd"],
            "cluster_ids": [[name] for name in "abcd"],
            "magnitude_class": "Large",
        }
    )
    split = assign_split(samples, SplitConfig(method="blocked", n_folds=4, embargo_d=embargo_d), REACH_H)
    assert (roles_of(split, 1)["b"] == "purged") is purged
    assert roles_of(split, 1)["c"] != "purged"


def test_naive_validates_on_its_test_fold_and_certifies_nothing() -> None:
    samples = line_of_events(6)
    spec = SplitConfig(method="naive", n_folds=3)
    split = assign_split(samples, spec, REACH_H)
    of_fold = split[split["fold"] == 2]
    assert set(of_fold.loc[of_fold["role"] == "val", "sample_id"]) == set(
        of_fold.loc[of_fold["role"] == "test", "sample_id"]
    )
    assert set(split["role"]) == {"train", "val", "test"}
    report = report_split(samples, split, spec, REACH_H).to_json()
    assert report["proof"] is None
    assert report["warning"] == NAIVE_WARNING
    assert report["counted"]["samples"] == len(samples)
    assert report["counted"]["clusters"] > 0


def test_the_last_share_of_the_days_is_sealed_in_all_folds_and_what_touches_it_is_purged() -> None:
    samples = line_of_events(10)  # clusters from day 0 on every 10 days, Normal from day 4 on every 30: 275 days
    across = samples["sample_id"] == "A-e1-0"
    samples.loc[across, "cluster_ids"] = pd.Series([["c1", "c9"]], index=samples.index[across])
    spec = SplitConfig(n_folds=3, sealed_fraction=0.1)  # 28 days: from 2021-09-05 on
    sealed_spec = spec.model_copy(update={"sealed_fraction": 0.35})  # 97 days: from 2021-06-28 on
    for one, expected in ((spec, {"A-n9"}), (sealed_spec, {"A-n6", "A-n7", "A-n8", "A-n9"})):
        split = assign_split(samples, one, REACH_H)
        roles = split.groupby("sample_id")["role"].agg(set)
        assert set(roles.index[roles.map(lambda own: own == {"sealed"})]) == expected
    report = report_split(samples, split, sealed_spec, REACH_H).to_json()
    assert report["sealed"]["from_utc"] == "2021-06-28"
    assert report["sealed"]["n_samples"] == 4
    assert report["sealed"]["purged_at_the_border"] == 0
    late = line_of_events(10)
    late.loc[late["sample_id"] == "A-n9", ["split_group", "magnitude_class"]] = ["event:c1", "Large"]
    roles = assign_split(late, spec, REACH_H).groupby("sample_id")["role"].agg(set)
    assert roles["A-e1-0"] == roles["A-e1-6"] == {"purged"}


# what cannot be split ---------------------------------------------------------------------------------------------


def load(samples: pd.DataFrame, directory: Path, **settings: object) -> tuple[pd.DataFrame, SplitReport]:
    return load_or_assign_split(samples, SplitConfig(**settings), REACH_H, "data-1", directory)  # type: ignore[arg-type]


def test_one_station_cannot_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"all windows are of A\. Prepare more stations, or set split\.method=loeo"):
        load(line_of_events(), tmp_path, method="loso")


def test_stations_of_one_region_cannot_be_split_by_region(tmp_path: Path) -> None:
    samples = five_stations()
    with pytest.raises(UsageError, match=r"2 stations \(GTO, TND\) are one region of split\.region_km 600 km\. Lower"):
        load(samples[samples["station"].isin(["GTO", "TND"])], tmp_path, method="region")


def test_a_short_archive_cannot_be_cut_into_many_blocks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"12 UTC days cannot fill 20 blocks of time\. Lower split\.n_folds"):
        load(line_of_events(6), tmp_path, method="blocked", n_folds=20)


def test_an_embargo_that_leaves_no_training_names_the_fold_and_the_way_out(tmp_path: Path) -> None:
    message = r"fold 1: no window is left in the set train \(11 of 18 windows excluded\).*embargo_d \(now 400 d\)"
    with pytest.raises(UsageError, match=message):
        load(line_of_events(6), tmp_path, method="blocked", n_folds=3, embargo_d=400.0)
    with pytest.raises(UsageError, match=r"fold 1: training contains only Normal windows .*embargo_d \(now 45 d\)"):
        load(line_of_events(6), tmp_path, method="blocked", n_folds=3)
    assert not list(tmp_path.iterdir())


def test_training_on_one_kind_of_window_alone_is_refused(tmp_path: Path) -> None:
    samples = line_of_events(6, kinds=("Large",))
    samples = samples[samples["magnitude_class"] != "Normal"].reset_index(drop=True)
    with pytest.raises(UsageError, match=r"fold 1: training contains only windows before earthquakes \(4; "):
        load(samples, tmp_path, n_folds=2)


def test_a_fold_without_validation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"split loeo \(loeo\), fold 1: no window is left in the set val"):
        load(line_of_events(3)[lambda t: t["magnitude_class"] != "Normal"].reset_index(drop=True), tmp_path, n_folds=2)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "loso", "n_folds": 4},
        {"method": "region", "region_km": 300.0},
        {"method": "blocked", "n_folds": 3, "embargo_d": 20.0},
        {"method": "naive", "n_folds": 3},
        {"method": "loso", "sealed_fraction": 0.2},
        {"method": "naive", "n_folds": 3, "sealed_fraction": 0.2},
    ],
)
def test_a_stored_split_of_any_method_is_read_back_and_a_changed_role_noticed(
    settings: dict[str, object], tmp_path: Path
) -> None:
    samples = five_stations()
    drawn, report = load(samples, tmp_path, **settings)
    read, again = load(samples, tmp_path, **settings)
    pd.testing.assert_frame_equal(drawn, read, check_dtype=False)
    assert again == report
    assert {path.stem for path in tmp_path.iterdir()} == {settings["method"]}  # the name follows the method
    table = pd.read_parquet(tmp_path / f"{settings['method']}.parquet")
    table.loc[table.index[table["role"] == "test"][0], "role"] = "train"
    table.to_parquet(tmp_path / f"{settings['method']}.parquet", index=False)
    stored = json.loads((tmp_path / f"{settings['method']}.json").read_text())
    stored["table_sha256"] = sha256((tmp_path / f"{settings['method']}.parquet").read_bytes()).hexdigest()
    (tmp_path / f"{settings['method']}.json").write_text(json.dumps(stored))
    with pytest.raises(DataError, match="does not give each sample its group and one role"):
        load(samples, tmp_path, **settings)


def test_an_embargo_shorter_than_the_trailing_baseline_is_refused() -> None:
    tree = {"split": {"method": "blocked", "embargo_d": 30.0}, "train": {"normalisation": "trailing"}}
    with pytest.raises(UsageError, match=r"split\.embargo_d is 30.*Set split\.embargo_d=45 or more"):
        build_config(tree)
    assert build_config({**tree, "split": {"method": "blocked"}}).split.embargo_d == 45


def test_a_seal_that_leaves_no_window_is_refused() -> None:
    start = pd.to_datetime(["2021-01-01T00", "2021-01-02T00"])
    samples = pd.DataFrame(
        {
            "sample_id": ["a", "b"], "station": "GTO", "start_utc": start, "end_utc": start + pd.Timedelta("6h"),
            "split_group": ["event:1", "event:1"], "cluster_ids": [["1"], ["1"]], "magnitude_class": "Large",
        }
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"split\.sealed_fraction 0\.4: all 2 windows are locked"):
        assign_split(samples, SplitConfig(method="loso", n_folds=2, sealed_fraction=0.4), REACH_H)
