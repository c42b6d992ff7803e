"""CSV that a spreadsheet does not execute and that seismag reads back unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seismag.archive.stations import read_stations
from seismag.archive.tables import split_text
from seismag.domain import DataError, Station
from seismag.runs import read_history
from seismag.simulate.synthetic_archive import write_places
from seismag.table_files import inert, original, read_csv, write_csv
from seismag.windows.store import REJECTED_FILE, read_table, write_rejected

RISKY = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\rx", "'=x", "''=x", "\uff1d1", "-", "--"]
PLAIN = ["LUT", "'tis", "-12.5", "+3", "-1e-3", "3-4", "", "a=b"]


@pytest.mark.parametrize("text", [*RISKY, *PLAIN])
def test_a_cell_is_read_back_unchanged(text: str) -> None:
    assert original(inert(text)) == text


def test_only_what_a_spreadsheet_executes_gets_an_apostrophe() -> None:
    assert [text for text in RISKY if inert(text) == text] == ["-"]
    assert [inert(text) for text in PLAIN] == PLAIN
    assert inert(-12.5) == -12.5


def test_a_table_is_written_and_read_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"=name": RISKY, "value": [-1.5] * len(RISKY), "kind": pd.Categorical(RISKY)})
    write_csv(table, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text()
    assert not any(cell.lstrip('"').startswith(tuple("=+@\t")) for cell in text.replace("\n", ",").split(","))
    assert ",-1.5," in text
    again = read_csv(tmp_path / "t.csv")
    assert again["=name"].tolist() == RISKY
    assert again["value"].tolist() == [-1.5] * len(RISKY)


def test_rejected_files_of_any_name_are_written_and_read_back(tmp_path: Path) -> None:
    rows = pd.DataFrame({"station": ["=A", None], "reason": ["x"] * 2, "detail": ["@x", "y"], "path": ["-a|b", "+c"]})
    write_rejected(rows, tmp_path)
    again = read_table(tmp_path, REJECTED_FILE)
    assert again["path"].tolist() == ["-a|b", "+c"]
    assert again["station"][0] == "=A"
    assert ",'-a|b" in (tmp_path / REJECTED_FILE).read_text()


def test_places_of_a_catalogue_are_written_for_a_spreadsheet_and_read_back(tmp_path: Path) -> None:
    events = pd.DataFrame(
        {"event_id": ["=1"], "origin_utc": pd.to_datetime(["2021-03-04"]), "latitude_deg": [-8.4],
         "longitude_deg": [115.0], "depth_km": [10.0], "magnitude": [5.0], "magnitude_type": ["Mw"]}
    )  # fmt: skip
    write_places([Station("LUT", -8.0, 115.0, "=HYPERLINK(1)")], events, tmp_path)
    text = (tmp_path / "catalogue.csv").read_text()
    assert "'=1" in text
    assert ",-8.4," in text
    table = split_text(text, Path("catalogue.csv"))
    assert table.rows[0][table.columns.index("event_id")] == "=1"
    assert read_stations(tmp_path / "stations.csv")["LUT"].name == "=HYPERLINK(1)"


@pytest.mark.parametrize(
    "code",
    ["A/B", "../A", "A..B", "=A1", "@A", "-A", "+A", "<b>A</b>", "A\x1b[1m", "A" * 17, "A|B", "A`B", "$A$", ".A"],
)
def test_a_station_code_that_is_a_path_a_formula_or_markup_is_refused_with_its_line(code: str, tmp_path: Path) -> None:
    path = tmp_path / "stations.csv"
    path.write_text(f"code,latitude,longitude\nLUT,-8,115\n{code},-8,116\n")
    with pytest.raises(DataError, match=r"stations\.csv: line 3: .* is no station code"):
        read_stations(path)


def test_codes_with_composed_letters_are_one_code(tmp_path: Path) -> None:
    path = tmp_path / "stations.csv"
    path.write_text("code,latitude,longitude\nE\u0301T,-8,115\n\u00c9T,-8,115\nA.B-1,1,2\n", encoding="utf-8")
    assert list(read_stations(path)) == ["\u00c9T", "A.B-1"]


def test_rows_with_more_cells_than_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,val_loss\n1,0.5,3\n2,0.4,3\n")
    with pytest.raises(ValueError, match="more cells than the header has names"):
        read_csv(path)
    with pytest.raises(DataError, match=r"history\.csv.*more cells than the header has names"):
        read_history(path)


def test_a_stray_text_among_many_numbers_is_read_without_a_warning(tmp_path: Path, recwarn: Any) -> None:
    path = tmp_path / "many.csv"
    path.write_text("p\n" + "0.25\n" * 300_000 + "zero\n")
    assert read_csv(path)["p"].iloc[-1] == "zero"
    assert [str(entry.message) for entry in recwarn] == []
