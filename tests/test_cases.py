"""Small inputs that failed in version 0.1, each with its right value; read from ../shared/cases where that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import seismag
from seismag.archive.catalogs import Catalog, read_catalogs
from seismag.archive.indices import read_index
from seismag.archive.survey import list_files, survey_file
from seismag.config import DataConfig
from seismag.domain import DataError, Station
from seismag.legacy.pictures import prepare_legacy
from seismag.recordings import read_recording

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"
ALR = {"ALR": Station("ALR", -8.142, 124.591)}

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not on this machine (see CONTRIBUTING.md)")


def classes(catalog: Catalog) -> dict[str, int]:
    """Labels of the twelve windows of ALR before an M 6.1: six of it (Large), and none that is Normal."""
    starts = pd.date_range("2021-03-01", periods=12, freq="6h", unit="ms")
    windows = pd.DataFrame({"station": "ALR", "start_utc": starts, "end_utc": starts + pd.Timedelta(hours=6)})
    return seismag.label(windows, catalog, ALR)["magnitude_class"].value_counts().to_dict()


@pytest.mark.parametrize(
    "case",
    [
        "01_quakeml_event_lost_in_silence/catalogue.xml",
        "02_origin_time_with_second_60/catalogue.csv",
        "02_origin_time_with_second_60/catalogue_good.csv",
        "03_unicode_minus_in_latitude/catalogue.csv",
        "04_magnitude_with_its_type/catalogue.csv",
        "06_quakeml_several_magnitudes/catalogue.xml",
        "16_event_type_not_reported/catalogue.csv",
        "18_catalogue_that_is_json_or_xml/fdsn.txt",
    ],
)
def test_no_window_before_the_large_earthquake_is_normal(case: str) -> None:
    if case.endswith(".xml"):
        pytest.importorskip("obspy")
    catalog = read_catalogs([CASES / case])
    assert len(catalog.events) >= 3
    assert classes(catalog) == {"Large": 6}


def test_05_ids_of_a_spreadsheet_are_no_ids() -> None:
    catalog = read_catalogs([CASES / "05_event_ids_after_a_spreadsheet" / "catalogue.csv"])
    assert len(catalog.events) == 224
    assert catalog.dropped == {}
    assert any("2.02103E+13" in note for note in catalog.warnings)


def test_06_the_scale_that_was_taken_is_said() -> None:
    pytest.importorskip("obspy")
    catalog = read_catalogs([CASES / "06_quakeml_several_magnitudes" / "catalogue.xml"])
    assert catalog.events.set_index("event_id").loc["e2", ["magnitude", "magnitude_type"]].tolist() == [6.1, "Mw"]
    assert any("several magnitudes and prefer none" in note and "Mw 1 times" in note for note in catalog.warnings)


def test_12_kp_of_gfz_is_read() -> None:
    index = read_index(CASES / "12_kp_file_of_gfz" / "Kp_ap_since_1932.txt", "kp")
    assert index.start_utc == np.datetime64("2021-01-01")
    assert len(index.values) == 697
    np.testing.assert_allclose(index.values[:4], np.array([0, 7, 14, 5]) / 3)


def test_18_json_is_named() -> None:
    with pytest.raises(DataError, match="this is JSON, not a catalogue that can be read"):
        read_catalogs([CASES / "18_catalogue_that_is_json_or_xml" / "bmkg.json"])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of ALR."""
    archive = tmp_path_factory.mktemp("case") / "a"
    done = subprocess.run([sys.executable, CASES / "mk_archive.py", archive, "2021-03-02"], check=False)
    assert done.returncode == 0
    return archive


def survey(archive: Path) -> dict[str, tuple[str, str]]:
    rows = [row for path in list_files(archive) for row in survey_file(path, archive, ALR, DataConfig())]
    return {str(row["path"]): (str(row["verdict"]), str(row["reason"])) for row in rows}


def test_07_a_linked_folder_is_followed(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "ALR").symlink_to(archive / "ALR")
    assert survey(tmp_path) == survey(archive) == {"ALR/alr20210302vsec.sec.gz": ("good", "")}


def test_08_a_log_channel_does_not_spoil_the_three_components() -> None:
    pytest.importorskip("obspy")
    recording = read_recording(CASES / "08_miniseed_with_log_channel" / "day.mseed")
    assert recording.samples == 3600
    assert np.median(recording.field_nt[0]) == pytest.approx(37_434.7, abs=0.1)


def test_09_a_rate_in_single_precision_is_1_hz() -> None:
    pytest.importorskip("obspy")
    assert read_recording(CASES / "09_miniseed_rate_of_0.99999994" / "hour.mseed").rate_hz == 1.0


def test_10_a_leap_second_is_left_out_with_a_remark() -> None:
    recording = read_recording(CASES / "10_iaga_leap_second" / "alr20161231vsec.sec")
    assert recording.samples == 600
    assert str(recording.end_utc) == "2017-01-01T00:00:00.000"
    assert "1 leap second (23:59:60) was left out." in recording.metadata["warnings"]


def test_11_a_comment_on_the_sensor_is_no_unit_of_d() -> None:
    folder = CASES / "11_iaga_comment_with_degrees"
    with_comment, plain = (read_recording(folder / name) for name in ("hour.sec", "plain.sec"))
    np.testing.assert_array_equal(with_comment.field_nt, plain.field_nt)
    assert np.nanmedian(plain.field_nt[1]) == pytest.approx(4.9, abs=0.1)


def test_14_a_name_that_is_no_utf8_is_one_refused_row(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive, tmp_path / "a")
    with open(os.fsencode(tmp_path / "a" / "ALR") + b"/catatan_\xe9.txt", "wb") as file:
        file.write(b"notes")
    assert survey(tmp_path / "a") == survey(archive) | {"ALR/catatan_\\xe9.txt": ("refused", "unknown_format")}


def test_17_decbas_in_another_spelling_is_read() -> None:
    recording = read_recording(CASES / "17_decbas_with_equals_sign" / "hour.sec")
    assert recording.h_axis_deg == pytest.approx(8.2, abs=0.01)


def test_19_two_files_in_one_are_joined() -> None:
    recording = read_recording(CASES / "19_two_iaga_files_in_one" / "two_days.sec")
    assert recording.samples == 1200
    assert str(recording.start_utc) == "2021-03-01T23:50:00.000"
    assert "2 files in one, each with its header, were joined." in recording.metadata["warnings"]


def test_15_hidden_files_of_a_mac_are_passed_over(tmp_path: Path) -> None:
    prepared = prepare_legacy(CASES / "15_legacy_folder_from_a_mac" / "dataset", tmp_path / "s")
    assert prepared.n_samples == 8


def test_20_pictures_of_another_format_are_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no row can be used \(8 wrong_format\)"):
        prepare_legacy(CASES / "20_legacy_pictures_that_are_jpeg" / "dataset", tmp_path / "s")
