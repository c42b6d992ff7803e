"""Kinds of the columns of third-party tables, by name and by value, in three languages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seismag.audit.columns import choose_features, derive_features, kind_of, to_times

N = 200
DATES = pd.Series(pd.date_range("2019-01-01", periods=N).strftime("%Y-%m-%d"))


def whole(low: int, high: int) -> pd.Series:
    return pd.Series(np.random.default_rng(0).integers(low, high, N).astype(str))


def words(*values: str) -> pd.Series:
    return pd.Series(np.random.default_rng(0).choice(values, N))


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        *((name, whole(0, 7), "calendar") for name in ("weekday", "dow", "day_of_week", "nama_hari")),
        *((name, words("Montag", "Dienstag"), "calendar") for name in ("wochentag", "Weekday", "hari")),
        *((name, whole(1, 13), "calendar") for name in ("month", "bulan", "Monat", "season", "day")),
        ("year", whole(2015, 2020), "calendar"),
        *((name, whole(0, 24), "hour") for name in ("hour", "stunde", "jam", "hour_utc", "slot")),
        *((name, words("00:00", "06:00"), "hour") for name in ("time", "waktu", "jam")),
        *((name, DATES, "era") for name in ("date", "datum", "tanggal", "start_date", "waktu", "recorded", "month")),
        ("unix_time", pd.Series((1546300800 + 86400 * np.arange(N)).astype(str)), "era"),
        ("date", DATES.str.replace("-", ""), "era"),
        *((name, whole(0, 5), "station") for name in ("station", "station_id", "stationCode", "kode_stasiun", "site")),
        *((name, whole(0, 900), "file") for name in ("file", "file_id", "file_number", "nomor_file", "dateinummer")),
        *((name, DATES, "file") for name in ("mtime", "file_date", "tanggal_file")),
        *((name, DATES + "_x.png", "name") for name in ("datei", "berkas", "path", "recording")),
        *((name, pd.Series(range(N)).astype(str), "number") for name in ("id", "index", "Unnamed: 0")),
        *((name, whole(0, 900), "other") for name in ("file_size", "filesize", "latency_s", "north_profile", "trend")),
        *((name, whole(0, 900), "field") for name in ("profile_noise", "long_period_power", "h_mean", "pc3_h")),
        *((name, whole(0, 900), "quality") for name in ("longest_gap_s", "duration_s", "n_samples")),
        *((name, whole(0, 90), "position") for name in ("lat", "station_longitude_deg", "lintang", "event_lat")),
        *((name, whole(0, 90), "label") for name in ("lead_time_h", "event_id", "magnitude", "origin_time")),
        *((name, whole(0, 9), "space_weather") for name in ("Kp", "KpMax", "f10.7", "dst_min_nt")),
        ("end_utc", DATES, "end"),
    ],
)  # fmt: skip
def test_the_kind_follows_from_words_of_the_name_and_from_values(column: str, values: pd.Series, kind: str) -> None:
    assert kind_of(column, values) == kind


def test_times_are_dates_clock_times_with_a_date_and_unix_times() -> None:
    texts = pd.Series(
        ["2019-03-01", "20190301", "2019-03-01T06:00:00Z", "1551420000", "1551420000000", "5", "March", None]
    )
    found = to_times(texts)
    assert found[:2].tolist() == [pd.Timestamp("2019-03-01")] * 2
    assert found[2:5].tolist() == [pd.Timestamp("2019-03-01 06:00")] * 3
    assert found[5:].isna().all()


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y-%m-%d", "%d-%m-%Y %H:%M"])
def test_one_order_of_day_and_month_holds_for_a_column(form: str) -> None:
    days = pd.Series(pd.date_range("2019-01-01", periods=200))
    assert (to_times(days.dt.strftime(form)) == days).all()


def test_the_length_of_a_window_and_few_positions_are_features() -> None:
    y = (np.arange(N) % 2).astype(np.intp)
    start = pd.to_datetime(DATES)
    rows = pd.DataFrame(
        {
            "start_utc": DATES, "end_utc": (start + pd.to_timedelta(5 + y, unit="h")).astype(str),
            "station_lat": np.where(np.arange(N) < 90, "-8.2", "1.5"), "event_lat": whole(-9, 5),
        }
    )  # fmt: skip
    _, uses = choose_features(rows, "start_utc_class", y, [], None)
    assert uses["end_utc"].describe() == "end: left out, identifies the row"
    derived = {feature.name: feature for feature in derive_features(rows, uses)}
    assert derived["end_utc - start_utc"].family == "quality"
    assert (derived["end_utc - start_utc"].code == y).all()
    assert derived["station_lat"].family == "station"
    assert len(np.unique(derived["station_lat"].code)) == 2


def test_a_month_column_blocks_over_three_years_only() -> None:
    y = (np.arange(N) % 2).astype(np.intp)
    for spacing, blocking in ((1, False), (8, True)):
        dates = pd.Series(pd.date_range("2018-01-01", periods=N, freq=f"{spacing}D").strftime("%Y-%m-%d"))
        features, _ = choose_features(pd.DataFrame({"date": dates, "month": whole(1, 13)}), "class", y, [], None)
        assert [feature.blocking for feature in features if feature.name == "month"] == [blocking]
