"""``seismag inspect``: the keys that others rely on, for day files and for stores."""

import dataclasses
import json

import numpy as np
import pytest

from fixtures.archive_files import (
    ALR,
    FIRST,
    GTO,
    KEEP_ALL,
    day_bytes,
    day_name,
    prepare_days,
    quiet_day,
    write_days,
    write_iaga,
)
from seismag.archive.inspect import inspect_recording
from seismag.archive.quality import main_field
from seismag.domain import DataError
from seismag.recordings.frg604rc import MARK_SIMULATED
from seismag.windows.inspect import inspect_store
from seismag.windows.store import open_store

STATIONS = {"GTO": GTO, "ALR": ALR}
FILE_KEYS = {"station", "start_utc", "end_utc", "rate_hz", "samples", "format", "components", "plausible", "reasons"}


@pytest.fixture
def day(tmp_path):
    field = quiet_day(GTO, FIRST)
    field[:, 1_000:1_064] = np.nan
    field[1, 50] = np.nan
    path = tmp_path / day_name(GTO, FIRST)
    path.write_bytes(day_bytes(GTO, FIRST, field))
    return path, field


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect")
    write_days(folder / "archive", GTO, [FIRST, FIRST + 2])
    (folder / "archive" / "GTO" / "x.bin").write_bytes(b"?")
    return prepare_days(folder / "archive", folder)[0]


def test_a_file_has_the_keys_of_the_design(day):
    path, field = day
    facts = inspect_recording(path, STATIONS, KEEP_ALL)
    assert set(facts.to_json()) >= FILE_KEYS
    assert facts.station == "GTO"
    assert facts.start_utc == "2021-03-01T00:00:00Z"
    assert facts.end_utc == "2021-03-02T00:00:00Z"
    assert (facts.rate_hz, facts.samples, facts.format) == (1.0, 86_400, "FRG-604RC")
    assert facts.plausible is True
    assert list(facts.components) == ["H", "D", "Z"]
    for index, (name, values) in enumerate(facts.components.items()):
        assert values.median_nt == pytest.approx(np.nanmedian(field[index]), abs=1e-3), name
        assert values.min_nt == pytest.approx(np.nanmin(field[index]), abs=1e-3)
        assert values.max_nt == pytest.approx(np.nanmax(field[index]), abs=1e-3)
        assert values.missing == (65 if name == "D" else 64)
    assert any("missing" in reason for reason in facts.reasons)
    assert facts.main_field_nt["H"] == pytest.approx(main_field(GTO, FIRST).hdz[0], abs=0.1)


def test_a_file_says_whether_it_was_simulated(day, tmp_path):
    path, field = day
    assert inspect_recording(path, STATIONS, KEEP_ALL).origin == "observed"
    made = tmp_path / "made" / path.name
    made.parent.mkdir()
    made.write_bytes(day_bytes(GTO, FIRST, field, mark=MARK_SIMULATED))
    facts = inspect_recording(made, STATIONS, KEEP_ALL)
    assert facts.origin == "simulated"
    assert "(FRG-604RC, SIMULATED)" in facts.describe()


def test_facts_are_strict_json_even_for_an_empty_day(tmp_path):
    path = tmp_path / day_name(GTO, FIRST)
    path.write_bytes(day_bytes(GTO, FIRST, np.full((3, 86_400), np.nan)))
    summary = inspect_recording(path, STATIONS, KEEP_ALL)
    facts = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert facts["components"]["H"]["median_nt"] is None
    assert facts["components"]["H"]["missing"] == 86_400
    assert (facts["verdict"], facts["plausible"]) == ("refused", None)
    assert summary.describe()


def test_the_files_own_position_judges_a_station_that_is_not_listed(day):
    assert inspect_recording(day[0], {}, KEEP_ALL).plausible is True


def test_a_station_at_an_unknown_position_is_not_judged(tmp_path):
    field = quiet_day(GTO, FIRST)
    content = bytearray(day_bytes(GTO, FIRST, field))
    for block in range(144):
        content[block * 10_230 + 18 : block * 10_230 + 26] = bytes(8)  # latitude and longitude: zero
    path = tmp_path / day_name(GTO, FIRST)
    path.write_bytes(content)
    facts = inspect_recording(path, {}, KEEP_ALL)
    assert facts.plausible is None
    assert facts.main_field_nt is None
    assert any("position is unknown" in reason for reason in facts.reasons)
    assert inspect_recording(path, STATIONS, KEEP_ALL).plausible is True


def test_the_noise_floor_is_shown_with_its_band(day):
    """Noise of 0.012 nT has 0.0089 nT in 165 of 300 mHz bins; the random walk and the rounding add to it."""
    facts = inspect_recording(day[0], STATIONS, KEEP_ALL)
    assert 0.008 < facts.noise_floor_nt < 0.03
    assert facts.noise_band_hz == pytest.approx([0.1, 224 / 600])
    assert f"noise floor {facts.noise_floor_nt:.4f} nT rms at 100-373 mHz" in facts.describe()


def test_a_position_unlike_the_station_list_is_refused(day):
    moved = {"GTO": dataclasses.replace(GTO, longitude_deg=GTO.longitude_deg + 0.8)}
    facts = inspect_recording(day[0], moved, KEEP_ALL)
    assert facts.position_error_deg == pytest.approx(0.8, abs=1e-3)
    assert any(
        f"{day[0].name}: its own position (0.555972, 123.141) lies 0.8 degrees" in text for text in facts.reasons
    )
    assert facts.verdict == "refused"
    assert inspect_recording(day[0], STATIONS, KEEP_ALL).position_error_deg < 0.001
    assert inspect_recording(day[0], {}, KEEP_ALL).position_error_deg is None


def test_living_components_have_medians_when_one_is_dead(tmp_path):
    field = quiet_day(GTO, FIRST)
    field[1] = np.nan
    field[2, :10] = np.nan
    path = tmp_path / day_name(GTO, FIRST)
    path.write_bytes(day_bytes(GTO, FIRST, field))
    facts = inspect_recording(path, STATIONS, KEEP_ALL)
    assert (facts.verdict, facts.plausible, facts.noise_floor_nt) == ("refused", None, None)
    assert facts.components["D"].median_nt is None
    for index, name in ((0, "H"), (2, "Z")):
        values = facts.components[name]
        assert values.median_nt == pytest.approx(np.nanmedian(field[index]), abs=1e-3)
        assert values.min_nt == pytest.approx(np.nanmin(field[index]), abs=1e-3)
        assert values.max_nt == pytest.approx(np.nanmax(field[index]), abs=1e-3)


def test_minute_files_can_be_inspected(tmp_path):
    path = tmp_path / "GTO20210301vmin.min"
    write_iaga(path, "GTO", FIRST, quiet_day(GTO, FIRST)[:, ::60], step_s=60)
    facts = inspect_recording(path, STATIONS, KEEP_ALL)
    assert facts.rate_hz == pytest.approx(1 / 60)
    assert facts.noise_floor_nt is facts.noise_band_hz is None
    assert "noise floor" not in facts.describe()
    assert facts.samples == 1_440
    assert facts.plausible is True


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        inspect_recording(tmp_path / "none", STATIONS, KEEP_ALL)


def test_the_summary_states_the_conclusion(day):
    text = inspect_recording(day[0], STATIONS, KEEP_ALL).describe()
    assert "fits the main field" in text
    assert "GTO" in text
    assert "64" in text


def test_the_summary_states_a_misfit_in_capitals(tmp_path):
    path = tmp_path / day_name(GTO, FIRST)
    path.write_bytes(day_bytes(GTO, FIRST, quiet_day(GTO, FIRST)[[2, 1, 0]]))
    text = inspect_recording(path, STATIONS, KEEP_ALL).describe()
    assert "refused; DOES NOT FIT the main field" in text
    assert "Wrong decoder" in text


@pytest.mark.real
def test_the_real_day_of_alor(real_data):
    facts = inspect_recording(real_data / "bmkg" / "S250101.ALR", STATIONS, KEEP_ALL)
    assert facts.plausible is True
    assert facts.components["H"].median_nt == pytest.approx(37_639.31, abs=0.01)
    assert facts.components["Z"].median_nt == pytest.approx(-23_166.26, abs=0.01)
    assert facts.components["H"].min_nt == pytest.approx(37_464, abs=1)
    assert facts.components["H"].max_nt == pytest.approx(37_809, abs=1)
    assert {name: values.missing for name, values in facts.components.items()} == {"H": 64, "D": 64, "Z": 64}


def test_a_store_tells_its_counts_and_what_was_left_out(prepared):
    facts = inspect_store(open_store(prepared.store))
    assert facts.dataset_id == prepared.dataset_id
    assert facts.samples == 8
    assert facts.shape == [8, 3, 224, 224]
    assert facts.frequency_hz == pytest.approx([1 / 600, 224 / 600])
    assert facts.magnitude_classes == {"Normal": 8}
    assert facts.stations == {"GTO": 8}
    assert facts.origin == {"observed": 8}
    assert facts.rejected == {"no_file": 4, "unknown_format": 1}
    assert facts.days == {"good": 2, "refused": 1}
    assert facts.cross_spectra is False
    assert 0.008 < facts.noise_floor_nt["GTO"] < 0.03
    assert "GTO (nT rms at 100-373 mHz" in facts.describe()
    json.dumps(facts.to_json(), allow_nan=False)
    text = facts.describe()
    assert "8, each 3 x 224 x 224, 1.67-373 mHz" in text
    assert "4 no_file" in text
