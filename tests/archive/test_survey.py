"""Archives with every fault we know of: each file gives a row with its reason, never a traceback or other data."""

import gzip
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.archive_files import (
    ALR,
    DAY_S,
    FIRST,
    GTO,
    KEEP_ALL,
    day_bytes,
    day_name,
    prepare_days,
    quiet_day,
    window_counts,
    without_empty_blocks,
    write_days,
    write_iaga,
)
from seismag.archive import survey as survey_module
from seismag.archive.stations import read_stations
from seismag.archive.survey import list_files, load_day, position_error, resolve_days, survey_file
from seismag.domain import DataError
from seismag.files import path_of_text
from seismag.recordings import Recording
from seismag.recordings.frg604rc import BLOCK_BYTES, FRG604RC, TRAILER
from seismag.windows.usable import unusable_windows

HALF = DAY_S // 2
STATIONS = {"GTO": GTO, "ALR": ALR}


@pytest.fixture(scope="module")
def field():
    return quiet_day(GTO, FIRST)


@pytest.fixture(scope="module")
def payload(field):
    return day_bytes(GTO, FIRST, field)


def place(archive, name, content, folder="GTO"):
    path = archive / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def survey(path, archive, spec=KEEP_ALL):
    return survey_file(path, archive, STATIONS, spec)


def blocks(payload):
    return [payload[k * BLOCK_BYTES : (k + 1) * BLOCK_BYTES] for k in range(144)]


def resolved(archive, spec=KEEP_ALL):
    rows = [row for path in list_files(archive) for row in survey(path, archive, spec)]
    return resolve_days(pd.DataFrame(rows), archive, STATIONS, spec)


NAME = day_name(GTO, FIRST)  # S210301.GTO
WRONG = {
    "truncated": (NAME, lambda p: p[:700_000], "truncated"),
    "corrupt gzip": (f"{NAME}.gz", lambda p: gzip.compress(p, 1)[:-3_000], "corrupt_archive"),
    "other date in the name": ("S210302.GTO", lambda p: p, "name_mismatch"),
    "a web page under another name": ("GTO20210301vsec.sec", lambda _: b"<html>Bad gateway</html>", "unknown_format"),
    "empty": (NAME, lambda _: b"", "empty_file"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_faulty_file_gives_one_refused_row_with_its_reason(fault, tmp_path, payload):
    name, change, reason = WRONG[fault]
    rows = survey(place(tmp_path, name, change(payload)), tmp_path)
    assert len(rows) == 1
    assert (rows[0]["verdict"], rows[0]["reason"]) == ("refused", reason)
    assert name in rows[0]["detail"]
    assert rows[0]["path"] == f"GTO/{name}"


def test_a_folder_that_contradicts_the_file_is_refused(tmp_path, payload):
    (row,) = survey(place(tmp_path, NAME, payload, folder="ALR"), tmp_path)
    assert (row["verdict"], row["reason"]) == ("refused", "name_mismatch")
    assert "station GTO, but in folder ALR" in row["detail"]


def test_folders_of_any_depth_and_name_hold_day_files(tmp_path, payload):
    (row,) = survey(place(tmp_path, NAME, payload, folder="GTO/2021/03"), tmp_path)
    assert (row["verdict"], row["station"]) == ("good", "GTO")
    (row,) = survey(place(tmp_path, NAME, payload, folder="year 2021"), tmp_path)
    assert (row["verdict"], row["station"]) == ("good", "GTO")


def test_a_file_without_a_station_takes_that_of_its_folder(tmp_path, field):
    write_iaga(tmp_path / "GTO" / "day.sec", "   ", FIRST, field[:, :7_200])
    (row,) = survey(tmp_path / "GTO" / "day.sec", tmp_path)
    assert row.get("station") == "GTO", row["detail"]


def test_an_unknown_station_is_refused(tmp_path, payload):
    (row,) = survey_file(place(tmp_path, NAME, payload), tmp_path, {"ALR": ALR}, KEEP_ALL)
    assert (row["verdict"], row["reason"]) == ("refused", "unknown_station")
    assert "station GTO" in row["detail"]


def test_another_sampling_rate_is_refused(tmp_path, field):
    write_iaga(tmp_path / "GTO" / "GTO20210301vmin.min", "GTO", FIRST, field[:, ::60], step_s=60)
    (row,) = survey(tmp_path / "GTO" / "GTO20210301vmin.min", tmp_path)
    assert (row["verdict"], row["reason"]) == ("refused", "wrong_sampling_rate")
    assert "0.0166667 samples/s" in row["detail"]


def test_samples_between_whole_seconds_are_refused(tmp_path, field):
    start = FIRST.astype("datetime64[ms]") + np.timedelta64(500, "ms")
    write_iaga(tmp_path / "GTO" / "day.sec", "GTO", start, field[:, :7_200])
    (row,) = survey(tmp_path / "GTO" / "day.sec", tmp_path)
    assert (row["verdict"], row["reason"]) == ("refused", "off_grid")


@pytest.mark.real
def test_real_minute_files_and_web_pages_are_refused(tmp_path, real_data):
    january = np.datetime64("2016-01-01") + np.arange(29)  # it ends on the 29th
    for name, reason, days in (("usgs_algorithms/BOU201601vmin.min.gz", "wrong_sampling_rate", january),
                               ("negative/ABG_20260424.iaga2002", "unknown_format", [None])):  # fmt: skip
        path = place(tmp_path, name.rsplit("/", 1)[-1], (real_data / name).read_bytes(), folder="x")
        stations = STATIONS | {"BOU": ALR}
        rows = survey_file(path, tmp_path, stations, KEEP_ALL)
        assert {(row["verdict"], row["reason"]) for row in rows} == {("refused", reason)}
        assert [row.get("day") for row in rows] == list(days)


def test_an_all_missing_day_is_refused(tmp_path):
    (row,) = survey(place(tmp_path, NAME, day_bytes(GTO, FIRST, np.full((3, DAY_S), np.nan))), tmp_path)
    assert (row["verdict"], row["reason"], row["day"]) == ("refused", "all_missing", FIRST)
    assert unusable_windows(row, KEEP_ALL) == [row["detail"]] * 4


def test_a_day_of_another_place_is_refused_as_implausible(tmp_path, payload):
    other = payload.replace(b"GTO", b"ALR")
    (row,) = survey(place(tmp_path, "S210301.ALR", other, folder="ALR"), tmp_path)
    assert (row["verdict"], row["reason"]) == ("refused", "wrong_position")
    assert "S210301.ALR: its own position (0.555972, 123.141) lies 8.8 degrees from that of ALR" in row["detail"]
    of_gto = day_bytes(ALR, FIRST, quiet_day(GTO, FIRST))
    (row,) = survey(place(tmp_path, "S210301.ALR", of_gto, folder="ALR"), tmp_path)
    assert (row["verdict"], row["reason"], row["plausible"]) == ("refused", "implausible", False)


def test_two_stations_with_swapped_longitudes_are_refused(tmp_path):
    swapped = {
        "GTO": replace(GTO, longitude_deg=ALR.longitude_deg), "ALR": replace(ALR, longitude_deg=GTO.longitude_deg)
    }  # fmt: skip
    for station in (GTO, ALR):
        day = day_bytes(station, FIRST, quiet_day(station, FIRST))
        path = place(tmp_path, day_name(station, FIRST), day, folder=station.code)
        (row,) = survey_file(path, tmp_path, swapped, KEEP_ALL)
        assert (row["verdict"], row["reason"]) == ("refused", "wrong_position")


@pytest.mark.real
def test_swapped_longitudes_in_the_list_of_bmkg_are_found_by_a_real_file(tmp_path, real_data):
    stations = read_stations(real_data / "bmkg" / "stations.csv")
    path = place(tmp_path, "S250101.ALR", (real_data / "bmkg" / "S250101.ALR").read_bytes(), folder="ALR")
    (row,) = survey_file(path, tmp_path, stations, KEEP_ALL)
    assert row["verdict"] != "refused"
    alr, trt = stations["ALR"], stations["TRT"]
    swapped = stations | {
        "ALR": replace(alr, longitude_deg=trt.longitude_deg), "TRT": replace(trt, longitude_deg=alr.longitude_deg)
    }  # fmt: skip
    (row,) = survey_file(path, tmp_path, swapped, KEEP_ALL)
    assert (row["verdict"], row["reason"]) == ("refused", "wrong_position")


def test_numbers_that_are_no_degrees_are_no_position():
    recording = Recording(
        "GTO", FIRST.astype("M8[ms]"), 1.0, np.zeros((3, 9)), "IAGA-2002", "", 0.0, -34_081.0, 310_264.0
    )
    assert np.isnan(position_error(recording, GTO))


@pytest.mark.parametrize(("step", "whose"), [("read", "the reader of FRG-604RC"), ("assess", "seismag")])
def test_an_error_of_a_reader_refuses_the_file_alone(tmp_path, payload, monkeypatch, step, whose):
    path = place(tmp_path, NAME, payload)

    def fail(*_):
        raise IndexError("list index out of range")

    if step == "read":
        monkeypatch.setattr("seismag.recordings.FORMATS", (replace(FRG604RC, read=fail),))
    else:
        monkeypatch.setattr(survey_module, "assess_stored_day", fail)
    (row,) = survey(path, tmp_path)
    assert (row["verdict"], row["reason"], row["day"]) == ("refused", "reader_error", FIRST)
    assert f"IndexError: list index out of range. This is an error of {whose}; please report it." in row["detail"]


def test_linked_folders_are_followed_and_loops_cut(tmp_path, payload):
    real, archive = tmp_path / "real", tmp_path / "archive"
    place(real, NAME, payload)
    archive.mkdir()
    (archive / "GTO").symlink_to(real / "GTO")
    (real / "GTO" / "again").symlink_to(real / "GTO")
    (real / "GTO" / "above").symlink_to(archive)
    assert [path.relative_to(archive).as_posix() for path in list_files(archive)] == [f"GTO/{NAME}"]


def test_a_broken_link_and_a_folder_that_cannot_be_read_are_refused_by_name(tmp_path, payload, monkeypatch):
    place(tmp_path, NAME, payload)
    (tmp_path / "GTO" / "S210302.GTO").symlink_to(tmp_path / "gone")
    (tmp_path / "GTO" / "locked").mkdir()
    found = Path.iterdir

    def iterdir(folder):
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return found(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    rows = [row for path in list_files(tmp_path) for row in survey(path, tmp_path)]
    assert {str(row["path"]): (row["verdict"], row["reason"]) for row in rows} == {
        f"GTO/{NAME}": ("good", ""),
        "GTO/S210302.GTO": ("refused", "unreadable"),
        "GTO/locked": ("refused", "unreadable"),
    }


def test_a_pipe_in_an_archive_is_not_opened(tmp_path, payload):
    place(tmp_path, NAME, payload)
    os.mkfifo(tmp_path / "GTO" / "pipe")
    assert [path.name for path in list_files(tmp_path)] == [NAME]


def test_names_that_are_no_utf8_are_written_with_escapes_and_found_again(tmp_path, payload):
    folder = os.fsdecode(b"caf\xe9")
    path = place(tmp_path, NAME, payload, folder=f"GTO/{folder}")
    (row,) = survey(path, tmp_path)
    assert row["path"] == f"GTO/caf\\xe9/{NAME}"
    assert row["verdict"] == "good"
    assert path_of_text(tmp_path, str(row["path"])) == path


def test_a_refusal_that_names_such_a_file_can_be_written(tmp_path, payload):
    path = place(tmp_path, os.fsdecode(b"caf\xe9"), payload, folder="ALR")  # the header says GTO
    (row,) = survey(path, tmp_path)
    assert row["reason"] in ("name_mismatch", "unknown_station")
    assert "caf\\xe9" in str(row["detail"]).encode("utf-8").decode()


def test_a_good_day_tells_its_quality(tmp_path, payload, field):
    (row,) = survey(place(tmp_path, NAME, payload), tmp_path)
    assert (row["verdict"], row["reason"], row["day"], row["plausible"]) == ("good", "", FIRST, True)
    assert row["gap_fraction"] == row["masked_fraction"] == [0, 0, 0, 0]
    assert row["h_median_nt"] == pytest.approx(np.median(field[0]))
    assert row["h_axis_source"] == "main field"
    assert abs(row["h_axis_deg"]) < 2  # declination in Sulawesi
    assert unusable_windows(row, KEEP_ALL) == [""] * 4


def test_gaps_are_counted_in_the_window_where_they_lie(tmp_path, field):
    holed = field.copy()
    holed[:, 21_600 : 21_600 + 5_400] = np.nan  # a quarter of the second window
    holed[1, 70_000:70_002] = np.nan  # bridged: missing, but no column is masked
    (row,) = survey(place(tmp_path, NAME, day_bytes(GTO, FIRST, holed)), tmp_path)
    assert row["gap_fraction"] == pytest.approx([0, 0.25, 0, 2 / 21_600])
    # segments that begin before second 5,400 of the window: 58 of 224
    assert row["masked_fraction"] == pytest.approx([0, 58 / 224, 0, 0])
    reasons = unusable_windows(row, KEEP_ALL)
    assert reasons[0] == reasons[2] == reasons[3] == ""
    assert "25.0% of its seconds missing, limit 20% (data.max_gap_fraction)" in reasons[1]


def test_missing_doubled_and_disordered_blocks_are_placed_by_their_time(tmp_path, payload, field):
    parts = blocks(payload)
    mixed = [*parts[100:], *parts[:50], parts[3], *parts[60:100]]  # blocks 50..59 (8:20 to 10:00) are absent
    path = place(tmp_path, NAME, b"".join(mixed) + TRAILER)
    (row,) = survey(path, tmp_path)
    assert row["verdict"] == "usable"
    assert row["missing_s"] == 6_000
    day = load_day([path], GTO, FIRST)
    expected = field.copy()
    expected[:, 30_000:36_000] = np.nan
    np.testing.assert_array_equal(day.field_nt, expected)


def test_two_identical_copies_count_once(tmp_path, payload):
    place(tmp_path, NAME, payload)
    place(tmp_path, NAME, payload, folder="GTO/backup")
    days = resolved(tmp_path)
    assert days["verdict"].tolist() == ["good", "refused"]
    assert days["reason"].tolist() == ["", "duplicate_file"]


def test_a_packed_copy_of_a_day_is_no_contradiction(tmp_path, payload):
    """S210301.GTO and S210301.GTO.gz side by side: the same samples, other bytes on disk."""
    place(tmp_path, NAME, payload)
    place(tmp_path, f"{NAME}.gz", gzip.compress(payload, 1))
    days = resolved(tmp_path)
    assert (days["verdict"] != "refused").sum() == 1, days["detail"].tolist()


def test_contradicting_files_of_a_day_refuse_it(tmp_path, payload):
    place(tmp_path, NAME, payload)
    place(tmp_path, NAME, day_bytes(GTO, FIRST, quiet_day(GTO, FIRST, seed=1)), folder="GTO/other")
    days = resolved(tmp_path)
    assert days["verdict"].tolist() == ["refused", "refused"]
    assert set(days["reason"]) == {"duplicate_day"}
    assert all("contain the same seconds with different content" in text for text in days["detail"])


def test_a_day_spread_over_two_files_is_merged(tmp_path, field):
    for part, name in ((slice(0, HALF), "a.sec"), (slice(HALF, DAY_S), "b.sec")):
        start = FIRST.astype("datetime64[s]") + part.start
        write_iaga(tmp_path / "GTO" / name, "GTO", start, field[:, part])
    days = resolved(tmp_path)
    assert days["verdict"].tolist() == ["good"]
    assert days["paths"].tolist() == [["GTO/a.sec", "GTO/b.sec"]]
    assert days["sha256"][0].count("+") == 1
    assert days["gap_fraction"].tolist() == [[0, 0, 0, 0]]
    merged = load_day([tmp_path / path for path in days["paths"][0]], GTO, FIRST)
    np.testing.assert_allclose(merged.field_nt, field, atol=0.02)  # E of the file is turned into H and D


def test_two_halves_of_a_day_from_the_instrument_are_merged(tmp_path, field):
    """After a restart the instrument begins a second file of the same day; both span it by their format."""
    for part, folder in ((slice(0, HALF), "GTO/1"), (slice(HALF, DAY_S), "GTO/2")):
        half = np.full_like(field, np.nan)
        half[:, part] = field[:, part]
        place(tmp_path, NAME, without_empty_blocks(day_bytes(GTO, FIRST, half)), folder=folder)
    days = resolved(tmp_path)
    assert days["verdict"].tolist() == ["good"], days["detail"].tolist()
    np.testing.assert_array_equal(load_day([tmp_path / p for p in days["paths"][0]], GTO, FIRST).field_nt, field)


def test_a_file_that_starts_before_midnight_is_laid_on_its_days(tmp_path, field):
    start = FIRST.astype("datetime64[s]") - 29
    write_iaga(tmp_path / "GTO" / "day.sec", "GTO", start, field[:, : HALF + 29])
    rows = survey(tmp_path / "GTO" / "day.sec", tmp_path)
    assert [row["day"] for row in rows] == [FIRST - 1, FIRST]
    assert rows[0]["gap_fraction"] == pytest.approx([1, 1, 1, 1 - 29 / 21_600])
    assert rows[1]["gap_fraction"] == pytest.approx([0, 0, 1, 1])
    day = load_day([tmp_path / "GTO" / "day.sec"], GTO, FIRST)
    np.testing.assert_allclose(day.field_nt[:, :HALF], field[:, 29 : HALF + 29], atol=0.02)
    assert np.isnan(day.field_nt[:, HALF:]).all()


def test_consecutive_files_that_overlap_by_identical_seconds_are_merged(tmp_path, field):
    """Files that begin 29 s before midnight repeat the end of the day before: the same values, no contradiction."""
    next_day = quiet_day(GTO, FIRST + 1)
    both = np.concatenate([field, next_day], axis=1)
    write_iaga(tmp_path / "GTO" / "a.sec", "GTO", FIRST, both[:, :DAY_S])
    write_iaga(tmp_path / "GTO" / "b.sec", "GTO", FIRST.astype("datetime64[s]") + DAY_S - 29, both[:, DAY_S - 29 :])
    days = resolved(tmp_path)
    assert days["verdict"].tolist() == ["good", "good"], days["detail"].tolist()


def test_an_archive_that_is_missing_or_empty_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        list_files(tmp_path / "nowhere")
    (tmp_path / "stations.csv").write_text("code\n")
    (tmp_path / ".hidden").write_text("x")
    with pytest.raises(DataError, match="contains no file"):
        list_files(tmp_path)


def test_files_are_listed_in_one_order(tmp_path):
    for name in ("b/2", "a/3", "a/1", "B/1"):
        place(tmp_path, name.split("/")[1], b"x", folder=name.split("/")[0])
    listed = [path.relative_to(tmp_path).as_posix() for path in list_files(tmp_path)]
    assert listed == sorted(["b/2", "a/3", "a/1", "B/1"])


# ---- the same through prepare: no window lost, none twice ----


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Twelve days of GTO with a fault on most of them."""
    folder = tmp_path_factory.mktemp("mixed")
    archive = folder / "archive"
    days = FIRST + np.arange(12)
    write_days(archive, GTO, days[[0, 2, 11]], packed=True)
    station = archive / "GTO"
    good = {n: day_bytes(GTO, days[n], quiet_day(GTO, days[n])) for n in range(4, 12)}
    # day 1: no file; day 3: two contradicting ones
    place(archive, day_name(GTO, days[3]), day_bytes(GTO, days[3], quiet_day(GTO, days[3])))
    place(archive, day_name(GTO, days[3]), day_bytes(GTO, days[3], quiet_day(GTO, days[3], 1)), folder="GTO/other")
    (station / day_name(GTO, days[4])).write_bytes(good[4][:500_000])  # truncated
    place(archive, day_name(GTO, days[5]), good[5])  # and an identical copy
    place(archive, day_name(GTO, days[5]), good[5], folder="GTO/copy")
    gaps = quiet_day(GTO, days[6])
    gaps[:, :30_000] = np.nan
    place(archive, day_name(GTO, days[6]), without_empty_blocks(day_bytes(GTO, days[6], gaps)))
    place(archive, day_name(GTO, days[7]), day_bytes(GTO, days[7], quiet_day(GTO, days[7]) * [[1], [1], [-1]]))
    place(archive, day_name(GTO, days[8]), day_bytes(GTO, days[8], np.full((3, DAY_S), np.nan)))
    place(archive, day_name(GTO, days[9]), b"<html></html>")
    place(archive, day_name(GTO, days[10]), b"".join(reversed(blocks(good[10]))) + TRAILER)
    place(archive, "readme.txt", b"Hello", folder="notes")
    return prepare_days(archive, folder)


def test_every_window_of_a_mixed_archive_is_a_sample_or_rejected_once(mixed):
    _, samples, rejected = mixed
    counts = window_counts(samples, rejected)
    starts = FIRST.astype("datetime64[h]") + np.arange(48) * np.timedelta64(6, "h")
    assert counts.index.get_level_values(0).unique().tolist() == ["GTO"]
    lost = set(starts.astype("datetime64[ms]").tolist()) - {t.to_pydatetime() for t in counts.index.get_level_values(1)}
    assert not lost
    twice = counts[counts > 1]
    assert twice.empty, twice.to_string()


def test_the_samples_of_a_mixed_archive_are_the_windows_of_its_good_days(mixed):
    _, samples, _ = mixed
    days = (samples["start_utc"].to_numpy().astype("datetime64[D]") - FIRST).astype(int)
    assert np.bincount(days, minlength=12).tolist() == [4, 0, 4, 0, 0, 4, 2, 0, 0, 0, 4, 4]


def test_the_windows_of_a_damaged_day_have_its_reason_and_path(mixed):
    _, _, rejected = mixed
    days = rejected.assign(day=rejected["start_utc"].dt.tz_localize(None).to_numpy().astype("datetime64[D]"))
    for n, reason in ((1, "no_file"), (4, "truncated"), (9, "unknown_format")):
        rows = days[days["day"] == FIRST + n]
        assert rows["reason"].tolist() == [reason] * 4
        assert rows["station"].tolist() == ["GTO"] * 4
        if n > 1:
            assert set(rows["path"]) == {f"GTO/{day_name(GTO, FIRST + n)}"}
            assert all(day_name(GTO, FIRST + n) in text for text in rows["detail"])


def test_every_faulty_file_of_a_mixed_archive_has_its_reason(mixed):
    result, _, rejected = mixed
    reasons = rejected.groupby(rejected["path"].fillna(""))["reason"].agg(set).to_dict()
    name = {n: f"GTO/{day_name(GTO, FIRST + n)}" for n in range(12)}
    assert reasons[name[3]] == {"duplicate_day"}
    assert reasons[name[4]] == {"truncated"}
    assert reasons[name[6]] == {"gaps"}
    assert reasons[name[7]] == {"implausible"}
    assert reasons[name[8]] == {"all_missing"}
    assert reasons[name[9]] == {"unknown_format"}
    assert reasons["notes/readme.txt"] == {"unknown_format"}
    assert "duplicate_file" in set(rejected["reason"])
    assert rejected["detail"].notna().all()
    assert result.files == 14
    assert sum(result.rejected.values()) == len(rejected)


def test_a_copy_of_a_used_day_does_not_reject_its_windows(mixed):
    """The copy gets a row of its own, but the windows are samples: they must not stand on both sides."""
    _, samples, rejected = mixed
    copies = rejected[rejected["reason"] == "duplicate_file"]
    assert len(copies) == 1
    assert copies["start_utc"].isna().all()
    assert len(samples) > 0


def test_damaged_first_and_last_days_have_window_rows(tmp_path):
    archive = tmp_path / "archive"
    write_days(archive, GTO, [FIRST + 2])
    place(archive, f"{day_name(GTO, FIRST)}.gz", gzip.compress(day_bytes(GTO, FIRST, quiet_day(GTO, FIRST)))[:-500])
    place(archive, day_name(GTO, FIRST + 3), b"")
    result, samples, rejected = prepare_days(archive, tmp_path)
    counts = window_counts(samples, rejected)
    assert len(counts) == 16
    assert (counts == 1).all()
    assert result.rejected == {"corrupt_archive": 4, "empty_file": 4, "no_file": 4}
    days = pd.read_parquet(result.store / "days.parquet")
    assert days["verdict"].tolist() == ["refused", "good", "refused"]
    assert days["day"].dt.day.tolist() == [1, 3, 4]


def test_damaged_files_change_neither_the_samples_nor_the_data_set(tmp_path):
    archive = tmp_path / "archive"
    write_days(archive, GTO, [FIRST + 1])
    alone, samples, _ = prepare_days(archive, tmp_path)
    shutil.rmtree(alone.store)
    place(archive, day_name(GTO, FIRST), b"")
    place(archive, f"{day_name(GTO, FIRST + 1)}.gz", b"\x1f\x8b")
    beside, same, _ = prepare_days(archive, tmp_path)
    pd.testing.assert_frame_equal(samples, same)
    assert alone.dataset_id == beside.dataset_id


def test_a_damaged_file_beside_a_good_one_is_one_row_without_times(tmp_path, payload):
    place(tmp_path, NAME, payload)
    place(tmp_path, f"{NAME}.gz", gzip.compress(payload)[:-500])
    place(tmp_path, NAME, b"", folder="GTO/other")
    days = resolved(tmp_path)
    assert days["verdict"].tolist() == ["good", "refused", "refused"]
    assert days["day"].isna().tolist() == [False, True, True]
    assert days["reason"].tolist() == ["", "corrupt_archive", "empty_file"]
    assert days["station"].tolist() == ["GTO"] * 3


def test_of_two_damaged_files_of_a_day_one_answers_for_its_windows(tmp_path, payload):
    place(tmp_path, day_name(GTO, FIRST + 1), day_bytes(GTO, FIRST + 1, quiet_day(GTO, FIRST + 1)))
    place(tmp_path, NAME, payload[:700_000])
    place(tmp_path, f"{NAME}.gz", b"\x1f\x8b")
    days = resolved(tmp_path)
    assert days["reason"].tolist() == ["truncated", "", "corrupt_archive"]
    assert days["day"].isna().tolist() == [False, False, True]


def test_a_damaged_month_answers_for_the_days_that_no_other_file_holds(tmp_path, payload):
    place(tmp_path, NAME, payload)
    place(tmp_path, "GTO202103vsec.sec.gz", b"\x1f\x8b")
    days = resolved(tmp_path)
    month = days[days["reason"] == "corrupt_archive"]
    assert month["day"].tolist() == pd.date_range("2021-03-02", "2021-03-31").tolist()
    assert (days["verdict"] == "good").sum() == 1
    assert len(days) == 31


def test_a_name_without_a_station_takes_that_of_its_folder(tmp_path):
    (row,) = survey(place(tmp_path, "20210301v.sec", b"damaged"), tmp_path)
    assert (row["station"], row["day"]) == ("GTO", FIRST)


def test_a_damaged_file_of_a_station_that_is_not_listed_claims_nothing(tmp_path):
    (row,) = survey(place(tmp_path, "S210301.XYZ", b"damaged"), tmp_path)
    assert "day" not in row
    assert "station" not in row


def test_details_hold_no_folder_of_the_machine(tmp_path):
    for name, change, _ in WRONG.values():
        (row,) = survey(place(tmp_path, name, change(day_bytes(GTO, FIRST, quiet_day(GTO, FIRST)))), tmp_path)
        assert str(tmp_path) not in row["detail"]
        assert row["detail"].startswith(f"GTO/{name}: ")
