"""Tables that people give, with any text in a cell: nothing is lost without a row, a warning or a refusal."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.legacy_pictures import COLUMNS, event
from fixtures.prediction_table import build_table
from seismag.archive.catalogs import read_catalogs
from seismag.archive.cells import is_missing, plain_text
from seismag.archive.indices import read_index
from seismag.archive.stations import read_stations
from seismag.domain import DataError
from seismag.legacy.defects import row_defects
from seismag.legacy.metadata import read_metadata
from seismag.scoring.predictions import read_predictions

Row = dict[str, str]
USUAL = [
    "Mw 6.1", "6,1", "60 km", "8.4 S", "\u22128.4", "124.8 BT", "8\u00b024'S",
    "2021-03-04T11:59:60Z", "2021-03-04 24:00:00Z",
    "2021-03-04t12:00:00z", "4 Mar 2021 19:00 WIB", "ke", "suspected", "not reported", "explosion", "2.02103E+13", "-",
    "NaN", "unknown", "1e999", "inf", "-0", "=1+1", "#N/A", "#REF!", "0x10", "1_000", "\u0661\u0662",
    "1 234,5", "6.1.2",
]  # fmt: skip
cells = st.one_of(
    st.sampled_from(USUAL),
    st.text(alphabet="0123456789.,-+\u2212 NSEWLUBTkmMwzZ\u00b0'\"e?:/;#\u00a0", max_size=12),
    st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), max_size=6),
)
many = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write_csv(path: Path, rows: list[Row], delimiter: str = ",") -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


OURS = {
    "event_id": "e{n}", "origin_utc": "2021-01-{n:02d}T00:00:00Z", "latitude_deg": "-1.5", "longitude_deg": "120.2",
    "depth_km": "10", "magnitude": "5.5", "magnitude_type": "Mw", "place": "Palu", "type": "earthquake",
}  # fmt: skip
LAYOUTS = {
    "ours": tuple(OURS),
    "usgs": ("id", "time", "latitude", "longitude", "depth", "mag", "magType", "place", "type"),
    "bmkg": ("Event ID", "Date time", "Latitude", "Longitude", "Depth", "Magnitude", "Mag Type", "Location", "type"),
}


@many
@given(st.sampled_from(sorted(LAYOUTS)), st.sampled_from(tuple(OURS)), cells, st.sampled_from(",;"))
def test_no_earthquake_of_a_catalogue_is_lost(
    tmp_path: Path, layout: str, column: str, cell: str, delimiter: str
) -> None:
    rows = [{name: text.format(n=n) for name, text in OURS.items()} for n in (4, 5, 6)]
    rows[1][column] = cell
    names = dict(zip(OURS, LAYOUTS[layout], strict=True))
    path = write_csv(tmp_path / "c.csv", [{names[key]: text for key, text in row.items()} for row in rows], delimiter)
    try:
        catalog = read_catalogs([path])
    except DataError:
        return
    events = catalog.events
    assert len(events) + sum(catalog.dropped.values()) == 3
    if len(events) < 3:
        assert catalog.warnings
        return
    (other,) = events.index[~events["event_id"].isin(["e4", "e6"])]
    for number in ("latitude_deg", "longitude_deg", "magnitude"):
        assert np.isfinite(events.at[other, number])
    assert np.isfinite(events.at[other, "depth_km"]) or is_missing(cell) or catalog.warnings
    assert events["origin_utc"].notna().all()
    if column == "magnitude_type" and not is_missing(cell):
        assert events.at[other, column]


@many
@given(st.sampled_from(["code", "latitude_deg", "longitude_deg", "elevation_m"]), cells, st.sampled_from(",;"))
def test_no_station_is_lost(tmp_path: Path, column: str, cell: str, delimiter: str) -> None:
    rows = [
        {"code": code, "latitude_deg": "-1.5", "longitude_deg": "120.2", "elevation_m": "12"} for code in ("GTO", "ALR")
    ]
    rows[1][column] = cell
    try:
        stations = read_stations(write_csv(tmp_path / "s.csv", rows, delimiter))
    except DataError:
        return
    assert len(stations) == 2 or plain_text(cell).upper() == "GTO"
    for station in stations.values():
        assert np.isfinite([station.latitude_deg, station.longitude_deg, station.elevation_m]).all()
    if column != "elevation_m":
        assert not (column != "code" and is_missing(cell))
    elif not is_missing(cell):
        (value,) = [station.elevation_m for code, station in stations.items() if code == "ALR"]
        assert (value == 0.0) == ("0" in plain_text(cell) and not any(c in cell for c in "123456789"))


@many
@given(st.sampled_from(["kp", "dst_nt"]), st.sampled_from(["time_utc", "value"]), cells)
def test_no_value_of_an_index_is_lost(tmp_path: Path, name: str, column: str, cell: str) -> None:
    hours = ["2021-03-04T09:00:00Z", "2021-03-04T12:00:00Z", "2021-03-04T15:00:00Z"]
    rows = [{"time_utc": hour, name: "2"} for hour in hours]
    rows[1][name if column == "value" else column] = cell
    try:
        index = read_index(write_csv(tmp_path / "i.csv", rows), "kp" if name == "kp" else "dst")
    except DataError:
        return
    known = int(np.isfinite(index.values).sum())
    fill = column == "value" and plain_text(cell) in ("-1", "-1.0", "99.9", "999", "9999", "99999")
    assert known == 3 or (known == 2 and (is_missing(cell) or fill)) or (column == "time_utc" and index.warnings)


@many
@given(st.sampled_from(["station", "date", "hour", "azimuth", "magnitude", "azimuth_class", "magnitude_class",
                        "samples", "kp_index"]), cells)  # fmt: skip
def test_no_picture_of_an_earlier_system_is_lost(tmp_path: Path, column: str, cell: str) -> None:
    rows = [dict.fromkeys(COLUMNS, "") | {k: str(v) for k, v in event("SCN", "2021-02-03", hour, 47.0, 5.3).items()}
            for hour in (3, 4)]  # fmt: skip
    rows[1][column] = cell
    try:
        table, _, _ = read_metadata(write_csv(tmp_path / "t.csv", rows))
    except DataError:
        return
    assert len(table) == 2
    row = table.iloc[1]
    if pd.isna(row["start_utc"]):
        assert row_defects(table)["reason"].iloc[1] == "bad_time"
    if not is_missing(cell):
        assert column != "magnitude" or np.isfinite(row["magnitude"]) or cell.strip() in ("Normal", "Moderate")
        assert column != "kp_index" or np.isfinite(row["kp"])
        assert column != "samples" or np.isfinite(row["seconds"])
        assert column != "azimuth" or row["azimuth_text"]


@many
@given(st.sampled_from(["run_id", "fold", "role", "sample_id", "split_group", "station", "start_utc", "event_id",
                        "y_magnitude", "y_azimuth", "p_magnitude_Large", "p_azimuth_N", "magnitude", "distance_km",
                        "is_mainshock", "in_dobrovolsky"]), cells)  # fmt: skip
def test_no_cell_of_predictions_is_lost(tmp_path: Path, column: str, cell: str) -> None:
    table = build_table(2, 2).assign(magnitude=5.5, distance_km=99.0, is_mainshock=True, in_dobrovolsky=False)
    text = table.astype(object).where(table.notna(), "").astype(str)
    text.loc[1, column] = cell
    try:
        read = read_predictions(write_csv(tmp_path / "p.csv", text.to_dict("records")))
    except DataError:
        return
    assert len(read) == len(table)
    value = read[column].iloc[1]
    if cell == "":
        assert column in ("event_id", "magnitude", "distance_km", "is_mainshock", "in_dobrovolsky")
    elif column.startswith("p_") or column in ("magnitude", "distance_km", "fold"):
        assert np.isfinite(value)
    elif column in ("is_mainshock", "in_dobrovolsky"):
        assert value in (True, False)
    else:
        assert not pd.isna(value)
