"""Clock and places of a catalogue: errors that leave every cell readable are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seismag.archive import catalog_checks
from seismag.archive.catalog_checks import SEISMIC_CELL_DEG, require_same_clock, require_seismic_places
from seismag.archive.catalogs import read_catalogs
from seismag.domain import DataError

PATH = Path("quakes.csv")


def sumatra(rng: np.random.Generator, n: int = 200) -> pd.DataFrame:
    """Earthquakes along the trench off Sumatra."""
    along = rng.uniform(0, 1, n)
    return pd.DataFrame(
        {
            "origin_utc": np.datetime64("2020-01-01", "ms") + rng.integers(0, 365 * 86_400_000, n).astype("m8[ms]"),
            "latitude_deg": 5.5 - 11 * along,
            "longitude_deg": 94.5 + 9 * along,
            "magnitude": 4 + rng.exponential(0.4, n),
        }
    )


def test_places_in_seismic_regions_pass_and_a_wrong_sign_is_named(rng: np.random.Generator) -> None:
    events = sumatra(rng)
    require_seismic_places(events, PATH)
    for change, words in (
        (events.assign(longitude_deg=-events["longitude_deg"]), "the longitudes have the wrong sign"),
        (
            events.assign(latitude_deg=events["longitude_deg"] - 90, longitude_deg=events["latitude_deg"]),
            None,  # no change of signs makes these right, so nothing can be said
        ),
    ):
        if words is None:
            require_seismic_places(change, PATH)
        else:
            with pytest.raises(DataError, match=f"lie where earthquakes of M 5 .* 100% if {words}"):
                require_seismic_places(change, PATH)


def test_few_events_are_not_tested(rng: np.random.Generator) -> None:
    events = sumatra(rng, catalog_checks.LEAST_EVENTS)
    flipped = events.assign(longitude_deg=-events["longitude_deg"])
    with pytest.raises(DataError, match="the longitudes have the wrong sign"):
        require_seismic_places(flipped, PATH)
    assert require_seismic_places(flipped.iloc[1:], PATH) is None


@pytest.mark.parametrize("hours", [7, -9, 24, -0.5, 8.25])
def test_a_shifted_clock_is_named_with_its_shift(rng: np.random.Generator, hours: float) -> None:
    events = sumatra(rng)
    noise = rng.normal(0, 1000, len(events)).astype("m8[ms]")
    shifted = events.assign(origin_utc=events["origin_utc"] + pd.Timedelta(hours=hours) + noise)
    named = "1 d" if hours == 24 else f"{abs(hours):.3g} h"
    with pytest.raises(DataError, match=f"{named} {'earlier' if hours > 0 else 'later'}"):
        require_same_clock(shifted, events, PATH)
    require_same_clock(events.assign(origin_utc=events["origin_utc"] + noise), events, PATH)


def test_catalogues_of_other_earthquakes_have_no_shift(rng: np.random.Generator) -> None:
    assert require_same_clock(sumatra(rng), sumatra(rng), PATH) is None
    assert require_same_clock(sumatra(rng), sumatra(rng).iloc[:0], PATH) is None


def test_two_parts_of_one_swarm_have_no_shift(rng: np.random.Generator) -> None:
    swarm = sumatra(rng, 3000)  # of four days, at one place
    minutes = (rng.uniform(0, 4 * 1440, 3000) * 60_000).astype("m8[ms]")
    swarm = swarm.assign(origin_utc=np.datetime64("2020-01-01", "ms") + minutes, latitude_deg=1.0, longitude_deg=98.0)
    assert require_same_clock(swarm.iloc[:1500], swarm.iloc[1500:], PATH) is None


@pytest.mark.real
def test_the_map_of_seismic_cells_is_that_of_the_usgs_catalogue(real_data: Path) -> None:
    events = read_catalogs([real_data / "catalogs" / "usgs_global_M5_2013_2023.csv.gz"]).events
    cells = np.zeros_like(catalog_checks._seismic_cells())
    row = ((90 - events["latitude_deg"]) / SEISMIC_CELL_DEG).astype(int)
    column = ((events["longitude_deg"] + 180) / SEISMIC_CELL_DEG).astype(int)
    cells[row, column] = True
    np.testing.assert_array_equal(cells, catalog_checks._seismic_cells())


def hours_later(hours: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        times = pd.to_datetime(table["datetime"], format="ISO8601") + pd.Timedelta(hours=hours)
        return table.assign(datetime=times.dt.strftime("%Y-%m-%dT%H:%M:%S.%f"))

    return change


def flipped(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(Latitude=(-table["Latitude"].astype(float)).astype(str))


@pytest.mark.real
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (hours_later(7), "7 h earlier, [0-9] at the same time"),
        (hours_later(24), "1 d earlier, [0-9] at the same time"),
        (flipped, "69% of the epicentres .* 100% if the latitudes have the wrong sign"),
    ],
    ids=["7 h", "1 d", "flipped"],
)
def test_errors_of_the_real_bmkg_catalogue_are_named(
    real_data: Path, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], words: str
) -> None:
    wrong = tmp_path / "wrong.csv"
    change(pd.read_csv(real_data / "bmkg" / "catalog_2018_2025.csv", dtype=str)).to_csv(wrong, index=False)
    other = real_data / "catalogs" / "usgs_global_M5_2013_2023.csv.gz"
    with pytest.raises(DataError, match=words):
        read_catalogs([other, wrong])
