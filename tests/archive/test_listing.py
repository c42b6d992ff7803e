"""``seismag inspect DIR``: what an archive holds, without reading a sample, and one of its days as a picture."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fixtures.archive_files import ALR, FIRST, GTO, KEEP_ALL, day_bytes, day_name, quiet_day, write_days, write_iaga
from seismag.archive.listing import choose_day, inspect_archive
from seismag.domain import DataError, UsageError
from seismag.recordings.figure import draw_day
from seismag.recordings.frg604rc import MARK_INJECTED
from seismag.windows.inspect import is_store


def truth_rows(station, day, slots=(2, 3), event="e1", snr=(3.0, 250.0)):
    """Rows of truth.parquet: windows of a day, one emission."""
    starts = [day.astype("M8[ms]") + np.timedelta64(6 * slot, "h") for slot in slots]
    ends = [start + np.timedelta64(6, "h") for start in starts]
    return pd.DataFrame(
        {"station": station, "start_utc": starts, "end_utc": ends, "event_id": event, "magnitude": 5.4,
         "distance_km": 139.2, "azimuth_deg": 127.0, "lead_hours": 6.0, "emission_start_utc": starts,
         "emission_end_utc": ends, "low_mhz": 10.0, "high_mhz": 40.0, "emission_nt2": 1.0, "background_nt2": 0.1,
         "snr": snr[: len(slots)]}
    )  # fmt: skip


@pytest.fixture
def archive(tmp_path):
    """GTO three days, one of them packed and marked; ALR one day; one file that says nothing."""
    folder = tmp_path / "archive"
    write_days(folder, GTO, [FIRST, FIRST + 1])
    write_days(folder, ALR, [FIRST + 1])
    payload = day_bytes(GTO, FIRST + 2, quiet_day(GTO, FIRST + 2), mark=MARK_INJECTED)
    (folder / "GTO" / f"{day_name(GTO, FIRST + 2)}.gz").write_bytes(gzip.compress(payload, 1))
    (folder / "GTO" / "x.bin").write_bytes(b"<html>")
    (folder / "stations.csv").write_text("a table at the top is no recording")
    return folder


def simulated(archive):
    (archive / "simulation.json").write_text(
        json.dumps(
            {"simulate": {"seed": 7, "defect": "clock", "emission": {"snr": 30.0, "low_mhz": 10.0, "high_mhz": 40.0}}}
        )
    )
    (archive / "catalogue.csv").write_text("event_id\na\nb\n")
    rows = [truth_rows("GTO", FIRST + 1), truth_rows("GTO", FIRST + 1, (3,), "e2"), truth_rows("ALR", FIRST + 1)]
    pd.concat(rows).to_parquet(archive / "truth.parquet")
    return archive


def test_files_days_formats_and_origins_are_counted(archive):
    facts = inspect_archive(archive)
    assert facts.files == 5
    assert facts.formats == {"FRG-604RC": 4, "unknown": 1}
    assert facts.origin == {"observed": 4, "simulated": 1}
    assert facts.to_json()["stations"] == {
        "ALR": {"days": 1, "files": 1, "first_day": "2021-03-02", "last_day": "2021-03-02"},
        "GTO": {"days": 3, "files": 4, "first_day": "2021-03-01", "last_day": "2021-03-03"},
    }
    assert facts.unclear == 1
    assert facts.size_mb == pytest.approx(4.9, abs=0.5)
    assert facts.simulation is facts.emissions is facts.events is None
    text = facts.describe()
    assert "origin      4 observed, 1 simulated" in text
    assert "GTO       3 days,      4 files, 2021-03-01 to 2021-03-03" in text
    assert "1 files without station or day" in text


def test_the_scenario_and_the_injected_emissions_are_listed(archive):
    summary = inspect_archive(simulated(archive))
    facts = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert facts["origin"] == {"simulated": 5}
    assert (facts["emissions"], facts["emission_windows"], facts["events"]) == (3, 5, 2)
    assert facts["emission_stations"] == {"ALR": 1, "GTO": 2}
    assert facts["simulation"]["simulate"]["seed"] == 7
    text = summary.describe()
    assert "scenario    seed 7, defect clock, emission SNR 30 at M 5 and 100 km" in text
    assert "injected    3 emissions in 5 windows, 10-40 mHz, SNR 3 (median): 1 ALR, 2 GTO" in text


def test_tables_that_cannot_be_read_are_named(archive):
    (archive / "truth.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match=r"truth\.parquet: cannot be read"):
        inspect_archive(archive)
    (archive / "simulation.json").write_text("{")
    with pytest.raises(DataError, match=r"simulation\.json: not valid JSON"):
        inspect_archive(archive)


def test_a_store_is_told_from_an_archive_by_its_content(archive, tmp_path):
    assert not is_store(archive)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "zarr.json").write_text("{}")
    assert is_store(tmp_path / "store")
    (tmp_path / "unfinished" / ".work").mkdir(parents=True)
    assert is_store(tmp_path / "unfinished")


def test_the_first_day_is_chosen_and_the_first_with_an_emission_before_it(archive):
    recording, injected = choose_day(archive, None, None)
    assert (recording.station, recording.start_utc, injected) == ("GTO", FIRST, None)
    recording, injected = choose_day(simulated(archive), None, None)
    assert (recording.station, recording.start_utc) == ("ALR", FIRST + 1)
    assert set(injected["station"]) == {"ALR"}
    recording, injected = choose_day(archive, "gto", None)
    assert (recording.station, recording.start_utc, len(injected)) == ("GTO", FIRST + 1, 3)
    recording, injected = choose_day(archive, None, "2021-03-03")
    assert (recording.station, len(injected)) == ("GTO", 0)


def test_a_day_in_several_files_is_put_together(tmp_path):
    field = quiet_day(GTO, FIRST)[:, :7200]
    for number in (0, 1):
        start = FIRST.astype("M8[s]") + np.timedelta64(3600 * number, "s")
        part = field[:, 3600 * number : 3600 * (number + 1)]
        write_iaga(tmp_path / "a" / "GTO" / f"gto20210301_{number}.sec", "GTO", start, part)
    recording, _ = choose_day(tmp_path / "a", None, None)
    assert recording.samples == 86_400
    np.testing.assert_array_equal(recording.field_nt[:, :7200], field)
    assert np.isnan(recording.field_nt[:, 7200:]).all()


def test_a_station_or_day_that_is_not_there_is_answered_with_what_is(archive):
    with pytest.raises(UsageError, match=r"--station XXX: .* has ALR, GTO\."):
        choose_day(archive, "XXX", None)
    with pytest.raises(UsageError, match=r"--day tomorrow: not a date"):
        choose_day(archive, None, "tomorrow")
    with pytest.raises(DataError, match=r"no file of ALR on 2021-03-01; its days run from 2021-03-02 to 2021-03-02"):
        choose_day(archive, "ALR", "2021-03-01")


def test_the_emission_is_marked_in_the_picture(archive, tmp_path):
    """Its orange shade and frame lie between 12 and 24 hours, in the right half of every panel."""
    recording, injected = choose_day(simulated(archive), "ALR", None)
    draw_day(recording, KEEP_ALL, tmp_path / "with.png", injected)
    draw_day(recording, KEEP_ALL, tmp_path / "without.png", injected.iloc[:0])

    def orange(name):
        pixels = np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)
        red, green, blue = np.moveaxis(pixels, -1, 0)
        return np.argwhere((red > 200) & (green > 130) & (green < 240) & (blue < 205) & (red - blue > 40))

    marked = orange("with.png")
    width = Image.open(tmp_path / "with.png").size[0]
    left = marked[marked[:, 1] < 0.85 * width, 1].min()  # beyond it lies the colour bar
    assert 0.4 * width < left < 0.55 * width
    assert len(marked) > 10 * len(orange("without.png"))
