"""The rate of the past: by hand, decaying, and blind to what comes after the window."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seismag.archive.catalogs import Catalog
from seismag.archive.coverage import Coverage
from seismag.config import DataConfig
from seismag.domain import Station
from seismag.windows.criteria import energy_index, range_km
from seismag.windows.labels import events_at_station, label_windows
from seismag.windows.past_rate import past_rate, smallest_counting_magnitude

STATION = Station("GTO", 0.556, 123.141)
END = np.datetime64("2021-03-10T12:00", "ms")
DAY = np.timedelta64(1, "D")
DOBROVOLSKY = DataConfig()


def near(*rows: tuple[np.datetime64, float, float]) -> pd.DataFrame:
    """Events that count at a station: origin, magnitude, distance in km (hypocentral: the same)."""
    table = pd.DataFrame(rows, columns=["origin_utc", "magnitude", "distance_km"])
    return table.astype({"origin_utc": "datetime64[ms]"}).assign(hypocentral_km=table["distance_km"])


def rate_at(table: pd.DataFrame, end: np.datetime64 = END, spec: DataConfig = DOBROVOLSKY) -> float:
    return float(past_rate(np.array([end]), table, spec)[0])


def test_one_earthquake_gives_the_value_by_hand() -> None:
    # M 6 at 20 km one day before: 20 km is the radius of M 3.03, so m is the smallest magnitude, 4:
    # 10^(-1.67 + 0.91 x 2) x 1.05^-1.08 = 1.41254 x 0.94868
    assert rate_at(near((END - DAY, 6.0, 20.0))) == pytest.approx(1.41254 * 0.94868, rel=1e-4)


def test_rates_of_several_earthquakes_add_up() -> None:
    one, other = (END - DAY, 6.0, 20.0), (END - 30 * DAY, 7.0, 300.0)
    assert rate_at(near(one, other)) == pytest.approx(rate_at(near(one)) + rate_at(near(other)))


def test_the_rate_falls_with_time_and_with_distance() -> None:
    rates = [rate_at(near((END - days * DAY, 6.0, 100.0))) for days in (1, 10, 100)]
    assert rates == sorted(rates, reverse=True)
    # far from the mainshock the rate falls as 1/t^1.08
    assert rates[1] / rates[2] == pytest.approx((100.05 / 10.05) ** 1.08)
    # twice the distance: the smallest magnitude that counts rises by log10(2) / 0.43
    ratio = rate_at(near((END - DAY, 6.0, 100.0))) / rate_at(near((END - DAY, 6.0, 200.0)))
    assert ratio == pytest.approx(2 ** (0.91 / 0.43))


def test_nothing_in_the_past_is_a_rate_of_zero() -> None:
    assert rate_at(near()) == 0.0
    assert rate_at(near((END + DAY, 8.0, 10.0))) == 0.0
    assert rate_at(near((END, 8.0, 10.0))) == 0.0  # the first moment after the window


@pytest.mark.parametrize("rule", ["dobrovolsky", "hattori", "es"])
def test_the_smallest_counting_magnitude_solves_the_range_rule(rule: str) -> None:
    spec = DataConfig(range_rule=rule)  # type: ignore[arg-type]
    distance = np.array([60.0, 250.0, 600.0])
    smallest = smallest_counting_magnitude(distance, distance, spec)
    if rule == "es":
        assert energy_index(smallest, distance) == pytest.approx(np.full(3, spec.es_threshold))
    else:
        assert range_km(smallest, spec) == pytest.approx(distance)


def test_within_a_fixed_radius_every_magnitude_counts_and_beyond_it_none() -> None:
    spec = DataConfig(range_rule="fixed", range_km=100.0)
    assert smallest_counting_magnitude(np.array([99.0, 101.0]), np.zeros(2), spec).tolist() == [4.0, np.inf]


def test_many_windows_give_what_each_gives_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seismag.windows.past_rate._CHUNK_PAIRS", 7)
    events = near(*[(END - d * DAY, 4.0 + d / 10, 10.0 * d) for d in range(1, 6)])
    ends = END + np.arange(-6, 6) * DAY
    assert past_rate(ends, events, DOBROVOLSKY).tolist() == pytest.approx([rate_at(events, end) for end in ends])


@settings(max_examples=25)
@given(
    rule=st.sampled_from(["dobrovolsky", "hattori", "fixed", "es"]),
    hours=st.lists(st.integers(-40 * 24, 40 * 24), min_size=1, max_size=12),
    shift=st.integers(1, 500),
    seed=st.integers(0, 2**16),
)
def test_moving_any_future_earthquake_changes_no_rate(rule: str, hours: list[int], shift: int, seed: int) -> None:
    """Through ``label_windows``: what happens at or after a window's end is changed in time, place and size."""
    rng = np.random.default_rng(seed)
    spec = DataConfig(range_rule=rule, es_threshold=1e7, guard_ahead_d=0, guard_behind_d=0)  # type: ignore[arg-type]
    end = np.datetime64("2021-03-10T12:00", "ms")
    origins = end + np.array(hours) * np.timedelta64(1, "h")

    def rate(later_h: int, seed_of_future: int) -> float:
        future = origins >= end
        draws = np.random.default_rng(seed_of_future)
        moved = np.where(future, origins + later_h * np.timedelta64(1, "h"), origins)
        n = len(moved)
        place = rng_place + np.where(future[:, None], draws.uniform(-2, 2, (n, 2)), 0)
        events = pd.DataFrame(
            {
                "event_id": [f"e{i}" for i in range(n)],
                "origin_utc": moved.astype("datetime64[ms]"),
                "latitude_deg": place[:, 0],
                "longitude_deg": place[:, 1],
                "depth_km": 10.0,
                "magnitude": np.where(future, draws.uniform(4, 8, n), magnitude),
            }
        ).sort_values(["origin_utc", "event_id"], ignore_index=True)
        windows = pd.DataFrame({"station": "GTO", "start_utc": [end - np.timedelta64(6, "h")], "end_utc": [end]})
        covered = Coverage(((np.datetime64("2020-01-01", "ms"), np.datetime64("2022-01-01", "ms")),))
        corners = pd.DataFrame(
            {"event_id": ["sw", "ne"], "origin_utc": np.array(["2020-01-01", "2020-01-01"], "datetime64[ms]"),
             "latitude_deg": [-20.0, 20.0], "longitude_deg": [90.0, 145.0], "depth_km": 10.0, "magnitude": 4.0}
        )  # fmt: skip
        catalog = Catalog(pd.concat([corners, events], ignore_index=True), covered, {}, {}, [])
        samples = label_windows(windows, catalog, {"GTO": STATION}, spec).samples
        return float(samples["past_rate"].iloc[0]) if len(samples) else -1.0

    rng_place = np.array([0.556, 123.141]) + rng.uniform(-2, 2, (len(origins), 2))
    magnitude = rng.uniform(4, 7, len(origins))
    rates = [rate(later, number) for later, number in ((0, 1), (shift, 2), (48 + shift, 3))]
    known = [value for value in rates if value >= 0]  # -1: in this future the window has no label
    assert all(value == known[0] for value in known)
    past = events_at_station(
        pd.DataFrame(
            {"origin_utc": origins[origins < end], "latitude_deg": rng_place[origins < end, 0],
             "longitude_deg": rng_place[origins < end, 1], "depth_km": 10.0, "magnitude": magnitude[origins < end],
             "event_id": "e"}
        ), STATION, spec,
    )  # fmt: skip
    assert all(value == pytest.approx(rate_at(past, end, spec)) for value in known)
