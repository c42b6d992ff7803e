"""Label sanity, by rows made on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from seismag.audit.checks.labels import (
    LabelTable,
    check_azimuth_follows_magnitude,
    check_azimuth_geometry,
    check_label_values,
)
from seismag.config import AuditConfig

SPEC = AuditConfig(permutations=999)


def table(n: int = 1, **columns) -> LabelTable:
    filled = {
        "magnitude": np.full(n, 5.3), "azimuth_deg": np.full(n, 10.0),
        "magnitude_class": np.full(n, "Medium", dtype=object), "azimuth_class": np.full(n, "N", dtype=object),
        "time": np.datetime64("2021-01-01", "s") + np.arange(n) * np.timedelta64(1, "D"),
        "hour": np.full(n, 6.0), "event": np.arange(n).astype(str).astype(object),
        "positions": np.full((n, 4), np.nan),
    }  # fmt: skip
    return LabelTable(**(filled | columns))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("azimuth_deg", np.array([400.0]), "azimuth outside 0 to 360"),
        ("magnitude", np.array([63.0]), "magnitude outside -1 to 10"),
        ("hour", np.array([24.0]), "hour outside 0 to 24"),
        ("magnitude", np.array([6.1]), "magnitude class that is not that of their magnitude"),
        ("magnitude", np.array([3.9]), "of a magnitude below 4"),
        ("azimuth_deg", np.array([95.0]), "azimuth class that is not that of their azimuth"),
        ("magnitude_class", np.array(["Normal"], dtype=object), "Normal, yet have a magnitude"),
    ],
)
def test_an_impossible_value_is_named(column: str, value: np.ndarray, words: str) -> None:
    assert check_label_values(table()).verdict == "pass"
    result = check_label_values(table(**{column: value}))
    assert result.verdict == "fail"
    assert words in result.sentence


def test_azimuths_are_held_against_the_geodesic() -> None:
    positions = np.array([[0.0, 120.0, 1.0, 120.0], [0.0, 120.0, 0.0, 121.0]])  # due north, due east
    right = check_azimuth_geometry(table(2, positions=positions, azimuth_deg=np.array([0.0, 90.0])))
    wrong = check_azimuth_geometry(table(2, positions=positions, azimuth_deg=np.array([0.0, 270.0])))
    assert (right.verdict, wrong.verdict) == ("pass", "fail")
    assert wrong.statistic == 1
    assert check_azimuth_geometry(table(2)) is None


def test_azimuths_made_of_magnitudes_are_found_and_true_ones_are_not() -> None:
    rng = np.random.default_rng(3)
    magnitude = rng.uniform(5, 6, 60)
    mixed = check_azimuth_follows_magnitude(table(60, magnitude=magnitude, azimuth_deg=magnitude - 2), SPEC)
    apart = check_azimuth_follows_magnitude(table(60, magnitude=magnitude, azimuth_deg=rng.uniform(0, 22, 60)), SPEC)
    assert (mixed.statistic, mixed.p_value, mixed.above_minimum) == (pytest.approx(1), 0.001, True)
    assert apart.p_value > 0.01
    assert check_azimuth_follows_magnitude(table(5), SPEC) is None  # too few earthquakes of a class


def test_repeated_rows_of_one_earthquake_are_one_observation() -> None:
    same = np.full(40, "e", dtype=object)
    rows = table(40, event=same, magnitude=np.linspace(5, 6, 40), azimuth_deg=np.linspace(0, 20, 40))
    assert check_azimuth_follows_magnitude(rows, SPEC) is None
