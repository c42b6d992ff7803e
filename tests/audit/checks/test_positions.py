"""Epicentres against stations and aftershocks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seismag.archive.catalogs import read_catalogs
from seismag.archive.stations import read_stations
from seismag.audit.checks.positions import (
    agreement,
    check_positions,
    close_pairs,
    first_of_sequences,
    label_epicentres,
    to_kilometres,
)
from seismag.config import AuditConfig
from seismag.windows.criteria import EARTH

FAST = AuditConfig(permutations=1999, placebos=40)
STATIONS = read_stations()


def make_catalog(rng: np.random.Generator, n: int = 300, aftershocks: int = 60) -> pd.DataFrame:
    """Mainshocks anywhere in Indonesia within 300 days, and aftershocks within hours and some kilometres of some."""
    start_d, parent = rng.uniform(0, 300, n), rng.integers(0, n, aftershocks)
    place = np.stack([rng.uniform(-9, 3, n), rng.uniform(96, 138, n)], axis=1)
    origin_d = np.concatenate([start_d, start_d[parent] + rng.uniform(0.01, 0.5, aftershocks)])
    place = np.concatenate([place, place[parent] + rng.normal(0, 0.08, (aftershocks, 2))])
    order = np.argsort(origin_d)
    return pd.DataFrame(
        {
            "event_id": [f"e{k}" for k in range(len(order))], "magnitude": 5.0,
            "origin_utc": np.datetime64("2021-01-01", "ms") + (origin_d[order] * 86_400_000).astype("timedelta64[ms]"),
            "latitude_deg": place[order, 0], "longitude_deg": place[order, 1],
        }
    )  # fmt: skip


def slipped(catalog: pd.DataFrame, column: str) -> pd.DataFrame:
    return catalog.assign(**{column: np.roll(catalog[column].to_numpy(), 7)})


def make_samples(catalog: pd.DataFrame, stations: tuple[str, ...] = ("GTO", "ALR")) -> pd.DataFrame:
    tables = []
    for code in stations:
        here = STATIONS[code]
        azimuth, _, distance = EARTH.inv(
            np.full(len(catalog), here.longitude_deg), np.full(len(catalog), here.latitude_deg),
            catalog["longitude_deg"].to_numpy(), catalog["latitude_deg"].to_numpy(),
        )  # fmt: skip
        tables.append(
            catalog[["event_id", "origin_utc"]].assign(
                station=code, azimuth_deg=np.mod(azimuth, 360), distance_km=distance / 1000
            )
        )
    return pd.concat(tables, ignore_index=True)


def test_pairs_within_a_time_are_those_of_a_full_comparison(rng):
    origin_d = np.sort(rng.uniform(0, 20, 60))
    expected = [(i, j) for i in range(60) for j in range(i + 1, 60) if origin_d[j] - origin_d[i] < 1.0]
    one, other = close_pairs(origin_d)
    assert list(zip(one.tolist(), other.tolist(), strict=True)) == expected


def test_agreement_by_hand():
    # km from the first: 11 north; 11 north and 222 east; 222 north and 22 east; 111 both ways, which is neither
    place = to_kilometres(np.array([[0.0, 120.0], [0.1, 120.0], [0.1, 122.0], [2.0, 120.2], [1.0, 121.0]]))
    kinds = agreement(place, (np.zeros(4, dtype=int), np.arange(1, 5)))
    assert kinds.astype(int).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]


def test_longitudes_are_close_across_the_date_line():
    place = to_kilometres(np.array([[0.0, 179.9], [0.0, -179.9]]))
    assert agreement(place, (np.array([0]), np.array([1])))[0].all()


def test_a_sequence_is_reduced_to_its_first_event():
    place = to_kilometres(np.array([[0.0, 120.0], [0.1, 120.1], [5.0, 130.0], [0.2, 120.2]]))
    pairs = close_pairs(np.array([0.0, 0.1, 0.2, 0.9]))
    assert first_of_sequences(place, pairs).tolist() == [0, 2]


def test_epicentres_come_back_from_distance_and_azimuth(rng):
    catalog = make_catalog(rng)
    found = label_epicentres(make_samples(catalog))
    assert found.event_id == catalog["event_id"].tolist()
    assert found.position_deg == pytest.approx(catalog[["latitude_deg", "longitude_deg"]].to_numpy(), abs=1e-6)
    assert found.disagreement_km.max() < 1e-3


def test_a_catalogue_in_order_passes(rng):
    result = check_positions(pd.DataFrame(), FAST, make_catalog(rng))
    assert result.p_value > 0.01
    assert result.blocking
    assert result.details["pairs"]["both"] > 40
    assert result.placebo_rate <= 0.15


def test_a_slipped_column_is_named(rng):
    result = check_positions(pd.DataFrame(), FAST, slipped(make_catalog(rng), "latitude_deg"))
    assert result.p_value == 1 / 2000
    assert result.above_minimum
    assert "slipped against each other" in result.sentence
    assert result.statistic > 3 * result.null.mean


def test_without_the_catalogue_the_label_events_are_tested(rng):
    result = check_positions(make_samples(slipped(make_catalog(rng), "longitude_deg")), FAST)
    assert result.details["of"] == "label events"
    assert result.p_value == 1 / 2000


def test_stations_that_disagree_on_an_epicentre_fail_at_once(rng):
    samples = make_samples(make_catalog(rng))
    row = samples.index[samples["station"] == "ALR"][3]
    samples.loc[row, "azimuth_deg"] += 20
    result = check_positions(samples, FAST)
    assert result.verdict == "fail"
    assert result.details["events_in_disagreement"] == [samples["event_id"][row]]
    assert "1 of 360 earthquakes have no common epicentre" in result.sentence


def test_few_aftershocks_are_inconclusive(rng):
    result = check_positions(pd.DataFrame(), FAST, make_catalog(rng, n=30, aftershocks=0))
    assert result.p_value is None
    assert "needed to detect a slipped column" in result.sentence


def test_a_station_elsewhere_than_in_the_shipped_table_is_left_out(rng):
    start = np.datetime64("2021-01-05", "ms")
    samples = make_samples(make_catalog(rng)).assign(start_utc=start, end_utc=start + np.timedelta64(6, "h"))
    local_hour = {"GTO": 3 + STATIONS["GTO"].longitude_deg / 15, "ALR": 3 + 50.0 / 15}
    found = label_epicentres(samples.assign(local_hour=samples["station"].map(local_hour)))
    assert found.disagreement_km.max() == 0  # ALR is left out
    nowhere = label_epicentres(samples.assign(station="XXX"))
    assert nowhere == (
        "inconclusive (no event window is from a station of known position, so epicentres cannot be compared)."
    )


def test_a_table_without_geometry_is_inconclusive():
    result = check_positions(pd.DataFrame({"station": ["GTO"], "event_id": ["e1"]}), FAST)
    assert result.p_value is None
    assert "no origin_utc, azimuth_deg, distance_km" in result.sentence


@pytest.mark.real
def test_the_real_catalogue_passes_and_a_slip_of_its_longitudes_is_named(real_data: Path):
    catalog = read_catalogs([real_data / "bmkg/catalog_2018_2025.csv"]).events
    assert check_positions(pd.DataFrame(), FAST, catalog).p_value > 0.05
    wrong = check_positions(pd.DataFrame(), FAST, slipped(catalog, "longitude_deg"))
    assert wrong.p_value == 1 / 2000
    assert wrong.above_minimum
