"""The map: coasts without a network, codes that can be read, and a reason where positions are unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyproj import Geod

from fixtures.drawn_text import Drawing, assert_readable, draw_and_note
from fixtures.study_store import make_store
from seismag.archive.stations import read_stations
from seismag.domain import DataError
from seismag.files import write_table
from seismag.report.figures.station_map import Places, coastlines, draw_station_map, extent_of, places_of
from seismag.windows.store import CATALOG_FILE, Store, open_store

JAPAN = {"KAK": (36.23, 140.19), "MMB": (43.91, 144.19), "KNY": (31.42, 130.88)}
POLAR = {"THL": (77.47, -69.23), "NAQ": (61.16, -45.44)}
BMKG = {code: (station.latitude_deg, station.longitude_deg) for code, station in read_stations().items()}


def make_places(positions: dict[str, tuple[float, float]], n_events: int, rng: np.random.Generator) -> Places:
    stations = pd.DataFrame.from_dict(positions, orient="index", columns=["latitude_deg", "longitude_deg"])
    near = stations.iloc[rng.integers(len(stations), size=n_events)].reset_index(drop=True)
    events = (near + rng.normal(0, 1.2, near.shape)).assign(
        magnitude_class=rng.choice(["Moderate", "Medium", "Large"], n_events),
        is_mainshock=rng.random(n_events) < 0.8,
    )
    return Places(stations, events)


def draw(places: Places, tmp_path: Path) -> Drawing:
    return draw_and_note(lambda path: draw_station_map(places, path), tmp_path / "map.png")


@pytest.mark.parametrize(("positions", "n_events"), [(BMKG, 200), (JAPAN, 30), (POLAR, 5), ({"GTO": BMKG["GTO"]}, 0)])
def test_map_is_readable_wherever_the_stations_are(
    positions: dict[str, tuple[float, float]], n_events: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    drawing = draw(make_places(positions, n_events, rng), tmp_path)
    assert_readable(drawing)
    assert set(positions) <= {text for text, _, _ in drawing.texts}
    assert any(text.endswith(" km") for text, _, _ in drawing.texts)
    assert any(text.endswith(("°E", "°W")) for text, _, _ in drawing.texts)


@pytest.fixture(scope="module")
def indonesia(tmp_path_factory: pytest.TempPathFactory) -> tuple[Places, Drawing]:
    places = make_places(BMKG, 200, np.random.default_rng(20260205))
    return places, draw(places, tmp_path_factory.mktemp("indonesia"))


def test_code_lies_nearest_to_its_own_station_and_covers_none(indonesia: tuple[Places, Drawing]) -> None:
    places, drawing = indonesia
    axes = drawing.figure.axes[0]
    drawing.figure.set_dpi(300)  # as it was written
    xy = axes.transData.transform(places.stations[["longitude_deg", "latitude_deg"]])
    for number, code in enumerate(places.stations.index):
        box = drawing.box_of(str(code))
        gap = np.maximum(0, np.maximum(box.min - xy, xy - box.max))
        assert np.argmin(np.hypot(*gap.T)) == number, code
        assert not box.count_contains(xy), code


def test_scale_bar_is_as_long_as_it_says(indonesia: tuple[Places, Drawing]) -> None:
    _, drawing = indonesia
    stated = next(float(text.removesuffix(" km")) for text, _, _ in drawing.texts if text.endswith(" km"))
    bar = next(line for line in drawing.figure.axes[0].lines if line.get_linewidth() == 1.6)
    (x0, x1), (y0, _) = bar.get_data()
    metres = Geod(ellps="WGS84").inv(x0, y0, x1, y0)[2]
    assert metres / 1000 == pytest.approx(stated, rel=0.01)


def test_aftershocks_are_hollow(tmp_path: Path, rng: np.random.Generator) -> None:
    places = make_places(JAPAN, 30, rng)
    drawing = draw(places, tmp_path)
    hollow = sum(len(c.get_offsets()) for c in drawing.figure.axes[0].collections[1:] if not len(c.get_facecolors()))
    assert hollow == int((~places.events["is_mainshock"]).sum())
    assert "aftershock" in {text for text, _, _ in drawing.texts}
    alone = replace(places, events=places.events.assign(is_mainshock=True))
    assert "aftershock" not in {text for text, _, _ in draw(alone, tmp_path).texts}


def test_extent_holds_everything_and_is_never_narrow(rng: np.random.Generator) -> None:
    places = make_places(BMKG, 50, rng)
    west, east, south, north = extent_of(places)
    for table in (places.stations, places.events):
        assert table["longitude_deg"].between(west, east).all()
        assert table["latitude_deg"].between(south, north).all()
    west, east, south, north = extent_of(make_places({"GTO": BMKG["GTO"]}, 0, rng))
    assert (east - west, north - south) == pytest.approx((4, 4))


def test_coasts_are_fine_in_the_region_and_coarse_elsewhere() -> None:
    steps = {}
    for name, box in {"java": (105, 115, -9, -5), "japan": (129, 146, 30, 46)}.items():
        lines = coastlines(*box)
        assert all(line.shape[1] == 2 and len(line) > 1 for line in lines)
        steps[name] = np.median(np.concatenate([np.hypot(*np.diff(line, axis=0).T) for line in lines]))
    assert steps["java"] < 0.1
    assert 0.1 < steps["japan"] < 2


def test_coast_runs_past_harbours() -> None:
    harbours = {"Jakarta": (106.9, -6.1), "Makassar": (119.4, -5.14), "Ambon": (128.17, -3.7), "Aceh": (95.32, 5.58)}
    for name, (longitude_deg, latitude_deg) in harbours.items():
        lines = coastlines(longitude_deg - 1, longitude_deg + 1, latitude_deg - 1, latitude_deg + 1)
        points = np.concatenate(lines)
        off = np.hypot(points[:, 0] - longitude_deg, points[:, 1] - latitude_deg).min()
        assert off < 0.15, f"{name} lies {off:.2f} degrees from the coast"


def test_coast_file_is_small_and_names_its_source() -> None:
    path = files("seismag.report.figures").joinpath("coastlines.json")
    document = json.loads(path.read_text("utf-8"))
    assert "Natural Earth (public domain)" in document["source"]
    assert len(path.read_bytes()) < 260_000
    assert np.abs(np.concatenate([np.asarray(line) for line in document["world"]])).max() <= 180


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(make_store(tmp_path_factory.mktemp("map") / "store"))


def with_catalog(store: Store, **attributes: object) -> Store:
    events = store.samples["event_id"].dropna().unique()
    catalog = pd.DataFrame({"event_id": [*events, "unused"], "latitude_deg": -1.0, "longitude_deg": 123.0})
    catalog = catalog.assign(origin_utc=pd.Timestamp("2021-03-01"), magnitude=5.0)
    write_table(catalog, store.path / CATALOG_FILE)
    return replace(store, attributes={**store.attributes, **attributes})


def test_store_without_catalogue_says_what_is_missing(store: Store) -> None:
    (store.path / CATALOG_FILE).unlink(missing_ok=True)
    with pytest.raises(DataError, match=r"keeps no catalogue \(catalog.parquet\)\. Prepare it again"):
        places_of(store)


def test_unknown_station_is_named(store: Store) -> None:
    elsewhere = {"KAK": {"latitude_deg": 36.23, "longitude_deg": 140.19}}
    with pytest.raises(DataError, match="positions of GTO are not in the store"):
        places_of(with_catalog(store, stations=elsewhere))


def test_places_come_from_the_store_before_the_shipped_table(store: Store) -> None:
    here = {"GTO": {"latitude_deg": 40.0, "longitude_deg": 15.0}}
    assert places_of(with_catalog(store, stations=here)).stations.loc["GTO", "latitude_deg"] == 40.0
    places = places_of(with_catalog(store))
    assert places.stations.loc["GTO", "latitude_deg"] == BMKG["GTO"][0]
    assert len(places.events) == store.samples["event_id"].nunique()
    assert places.events["is_mainshock"].all()
