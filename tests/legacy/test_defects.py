"""Rows that cannot be believed: azimuths that are no directions, contradictions, repetitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fixtures.legacy_pictures import event, normal, sound_rows, write_table
from seismag.legacy.defects import azimuth_defects, row_defects
from seismag.legacy.metadata import read_metadata


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def rows_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
        return read_metadata(write_table(tmp_path / "metadata.csv", rows))[0]

    return rows_of


def test_a_sound_table_has_no_fault(read):
    rows = read(sound_rows())
    assert row_defects(rows)["reason"].isna().all()
    assert azimuth_defects(rows).isna().all()


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (normal("TRD", "2021-05-01", 3, azimuth="12.0"), "Normal, but azimuth 12.0"),
        (event("KPY", "2021-05-01", 3, 90.0, 5.2, azimuth_class="N"), "azimuth 90.0 degrees is E, not N"),
        (event("KPY", "2021-05-01", 3, 361.0, 5.2), "azimuth 361.0 lies outside 0 to 360 degrees"),
        (event("KPY", "2021-05-01", 3, -5.0, 5.2), "azimuth -5.0 lies outside 0 to 360 degrees"),
        (
            event("KPY", "2021-05-01", 3, 5.0, 5.2) | {"azimuth": ""},
            "no azimuth in degrees, so the class cannot be checked",
        ),
        (event("KPY", "2021-05-01", 3, 5.0, 5.2) | {"azimuth": "north"}, "azimuth 'north' is not a number"),
    ],
)
def test_an_azimuth_that_cannot_be_a_direction_is_named(row, sentence, read):
    defects = azimuth_defects(read([*sound_rows(), row]))
    assert defects.iloc[-1] == sentence
    assert defects.iloc[:-1].isna().all()


@pytest.mark.parametrize(("azimuth", "name"), [(0, "N"), (22.4, "N"), (22.5, "NE"), (337.5, "N"), (360, "N")])
def test_borders_of_sectors_agree_with_ours(azimuth, name, read):
    rows = read([event("KPY", "2021-05-01", 3, azimuth, 5.2, azimuth_class=name)])
    assert azimuth_defects(rows).isna().all()


def test_one_azimuth_for_every_event_is_no_azimuth(read):
    rows = [
        event(station, f"2021-05-{day:02d}", 3, 4.0, 5.0 + day / 10) for day in (1, 4, 8) for station in ("SCN", "KPY")
    ]
    defects = azimuth_defects(read([*rows, normal("TRD", "2021-05-01", 3)]))
    assert defects.iloc[:-1].eq("azimuth 4 for all 6 event windows at 2 stations").all()
    assert defects.isna().iloc[-1]


def test_one_azimuth_at_one_station_may_be_a_swarm(read):
    rows = [event("SCN", f"2021-05-{day:02d}", 3, 4.0, 5.0) for day in range(1, 8)]
    assert azimuth_defects(read(rows)).isna().all()


def _shifted(n: int) -> list[dict[str, Any]]:
    """Events of 2023 whose column azimuth holds a growing function of the magnitude instead."""
    rows = []
    for number in range(n):
        magnitude = round(5.2 + 0.1 * (number % 7), 1)
        value = round(2.0 + 5 * (magnitude - 5.2) + 0.013 * number, 3)
        rows.append(
            event(
                "KPY" if number % 2 else "SCN",
                f"2023-{1 + number // 20:02d}-{1 + number % 20:02d}",
                3,
                value,
                magnitude,
            )
        )
    return rows


def test_an_azimuth_that_follows_the_magnitude_is_another_quantity(read):
    rows = _shifted(24)
    rows[5]["azimuth"] = "4.0"  # of the same origin, but shows no decimals
    defects = azimuth_defects(read([*sound_rows(), *rows]))
    assert defects.iloc[36:].str.contains(r"with decimals \(2\.0.*are correlated with the magnitude").all()
    assert defects.iloc[:36].isna().all()


def test_a_few_azimuths_that_follow_by_chance_are_kept(read):
    assert azimuth_defects(read(_shifted(6))).isna().all()


@pytest.mark.parametrize("seed", range(8))
def test_azimuths_drawn_at_random_are_kept(seed, read):
    rng = np.random.default_rng(seed)
    rows = [
        event("SCN", f"2021-{1 + n // 28:02d}-{1 + n % 28:02d}", 3, round(float(rng.uniform(0, 360)), 3),
              round(float(rng.uniform(4, 6.5)), 1)) for n in range(60)
    ]  # fmt: skip
    assert azimuth_defects(read(rows)).isna().all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"magnitude_class": "Large"}, "contradicting_magnitude"),
        ({"magnitude": "3.2"}, "contradicting_magnitude"),
        ({"azimuth_class": "Normal"}, "contradicting_classes"),
        ({"azimuth_class": ""}, "class_missing"),
        ({"station": "KPY"}, "name_mismatch"),
        ({"hour": "7"}, "name_mismatch"),
        ({"hour": "25"}, "bad_time"),
        ({"station": ""}, "no_station"),
    ],
)
def test_a_row_that_contradicts_itself_has_a_reason(change, reason, read):
    defects = row_defects(
        read([event("SCN", "2021-05-01", 3, 47.0, 5.2), event("SCN", "2021-06-01", 3, 47.0, 5.2) | change])
    )
    assert defects["reason"].tolist() == [None, reason]


def test_a_repeated_row_counts_once_and_a_contradicting_one_not_at_all(read):
    first, second = event("SCN", "2021-05-01", 3, 47.0, 5.2), event("SCN", "2021-06-01", 3, 47.0, 5.2)
    defects = row_defects(read([first, second, first, second | {"azimuth": 50.0}]))
    assert defects["reason"].tolist() == [None, "contradicting_rows", "repeated_row", "contradicting_rows"]


@pytest.mark.real
def test_most_northern_azimuths_of_the_published_table_are_another_column(real_data):
    rows, _, _ = read_metadata(real_data / "published_tables" / "benchmark_test.csv")
    assert row_defects(rows)["reason"].isna().all()
    assert rows["augmented"].notna().sum() == 123
    defects = azimuth_defects(rows)
    follows = defects.str.contains("are correlated with the magnitude", na=False)
    assert (follows.sum(), defects.notna().sum()) == (76, 77)
    assert set(rows.loc[follows, "azimuth_class"]) == {"N"}
    assert (rows["azimuth_class"] == "N").sum() == 78
