"""Adding a field to a file: the reading changes by what was added, and not a byte changes that need not."""

import datetime as dt
import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fixtures.archive_files import without_empty_blocks
from seismag.domain import DataError
from seismag.recordings import decode_recording, read_recording
from seismag.recordings.additions import add_to_file
from seismag.recordings.frg604rc import BLOCK_BYTES, HEADER_BYTES, MARK_INJECTED, RECORD_BYTES, encode_day

COMMENT = " # seismag: an emission was injected                                 |"
DAY = Path("S250101.ALR")


def wave(n: int, amplitude_nt: float = 0.5) -> np.ndarray:
    """H, D, Z of different period, nothing in the first and last tenth."""
    t = np.arange(n)
    inside = (t >= n // 10) & (t < n - n // 10)
    return amplitude_nt * inside * np.sin(2 * np.pi * t / np.array([[37.0], [41.0], [53.0]]))


@pytest.fixture(scope="module")
def day() -> bytes:
    """A day of ALR with gaps, a missing block, an odd header and a trailer."""
    rng = np.random.default_rng(3)
    field = np.array([37_640.0, 13.0, -23_166.0])[:, None] + np.cumsum(rng.normal(0, 0.02, (3, 86_400)), axis=1)
    field[:, 40_000:40_064] = np.nan
    field[1, 50_000] = np.nan
    field[:, 60_000:60_600] = np.nan
    payload = bytearray(without_empty_blocks(encode_day("ALR", dt.date(2025, 1, 1), -8.14, 124.59, field)))
    payload[0:2], payload[26], payload[28:30] = b"\x00\x30", 7, b"\x0c\x86"
    return bytes(payload)


def iaga(
    columns: str,
    rows: list[str],
    *comments: str,
    newline: str = "\n",
    step: str = "1 second",
    source: str = "An institute",
) -> bytes:
    head = {"Format": "IAGA-2002", "Source of Data": source, "IAGA CODE": "ABC", "Geodetic Latitude": "40.1",
            "Geodetic Longitude": "254.8", "Data Interval Type": step}  # fmt: skip
    lines = [f" {key:<23}{value:<45}|" for key, value in head.items()] + [f" # {text:<66}|" for text in comments]
    lines.append("DATE       TIME         DOY     " + "".join(f"ABC{letter:<7}" for letter in columns)[:-3] + "|")
    return newline.join([*lines, *rows, ""]).encode()


def rows_of(*columns: np.ndarray, decimals: int = 2) -> list[str]:
    stamps = np.datetime64("2014-04-07", "ms") + np.arange(columns[0].size) * np.timedelta64(1, "s")
    return [
        f"{str(stamp).replace('T', ' ')} 097    " + "".join(f"{value:10.{decimals}f}" for value in values)
        for stamp, *values in zip(stamps, *columns, strict=True)
    ]


N = 600
H = 20_886.0 + np.sin(np.arange(N) / 90)
Z = 47_539.0 + np.cos(np.arange(N) / 70)
F = np.full(N, 52_460.14)


def test_the_counts_of_the_field_and_the_mark_are_the_only_bytes_that_change(day):
    recording = decode_recording(day, DAY)
    added = wave(86_400)
    changed = add_to_file(day, DAY, recording, added)
    old, new = (np.frombuffer(raw, np.uint8) for raw in (day, changed.raw))
    assert new.size == old.size
    place = np.flatnonzero(old != new)
    within = place % BLOCK_BYTES
    in_mark = (within >= 10) & (within < 18)
    in_field = (within >= HEADER_BYTES) & ((within - HEADER_BYTES) % RECORD_BYTES < 9)
    assert np.all(in_mark | in_field)
    n = len(day) // BLOCK_BYTES
    assert n == 143
    assert all(changed.raw[k * BLOCK_BYTES + 10 : k * BLOCK_BYTES + 18] == MARK_INJECTED for k in range(n))
    after = decode_recording(changed.raw, DAY)
    np.testing.assert_array_equal(np.isnan(after.field_nt), np.isnan(recording.field_nt))
    error = after.field_nt - recording.field_nt - added
    assert np.nanmax(np.abs(error)) <= 0.005 + 1e-6
    assert (recording.origin, after.origin) == ("observed", "simulated")
    quiet = added.any(axis=0) == 0
    np.testing.assert_array_equal(after.field_nt[:, quiet], recording.field_nt[:, quiet])
    steps = np.nan_to_num(after.field_nt - recording.field_nt)
    np.testing.assert_array_equal(changed.differs, steps.any(axis=0))


def test_what_rounds_to_nothing_or_falls_on_missing_samples_changes_no_byte(day):
    recording = decode_recording(day, DAY)
    gap = np.zeros((3, 86_400))
    gap[:, 60_000:60_600] = 5.0
    for added in (np.full((3, 86_400), 0.004), gap):
        changed = add_to_file(day, DAY, recording, added)
        assert changed.raw == day
        assert changed.recording.origin == "observed"
        assert not changed.differs.any()


def test_doubled_blocks_stay_identical(day):
    doubled = day[:BLOCK_BYTES] + day
    changed = add_to_file(doubled, DAY, decode_recording(doubled, DAY), np.full((3, 86_400), 1.0))
    assert changed.raw[:BLOCK_BYTES] == changed.raw[BLOCK_BYTES : 2 * BLOCK_BYTES]


def test_a_sum_beyond_24_bits_is_refused(day):
    with pytest.raises(DataError, match=r"S250101.ALR: a value exceeds ±83886\.06 nT"):
        add_to_file(day, DAY, decode_recording(day, DAY), np.full((3, 86_400), 60_000.0))


@pytest.mark.parametrize("pack", ["gzip", "zip"])
def test_the_packing_is_kept(day, pack):
    if pack == "gzip":
        raw = gzip.compress(day, 9)
    else:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__MACOSX/x", b"litter")
            archive.writestr("data/day.alr", day)
        raw = stream.getvalue()
    changed = add_to_file(raw, DAY, decode_recording(raw, DAY), wave(86_400))
    assert changed.raw[:2] == raw[:2]
    plain = add_to_file(day, DAY, decode_recording(day, DAY), wave(86_400)).raw
    if pack == "gzip":
        assert gzip.decompress(changed.raw) == plain
    else:
        with zipfile.ZipFile(io.BytesIO(changed.raw)) as archive:
            assert archive.namelist() == ["__MACOSX/x", "data/day.alr"]
            assert archive.read("data/day.alr") == plain
            assert archive.read("__MACOSX/x") == b"litter"


CASES = {
    "X, Y, Z": (iaga("XYZF", rows_of(H, H / 9, Z, F)), 0.0, (0.005, 0.005)),
    "H, E, Z": (iaga("HEZF", rows_of(H, Z / 999, Z, F), "DECBAS 5527"), 5527 / 600, (0.005, 0.005)),
    # D in minutes, relative to DECBAS: 0.005' of 20,886 nT are 0.03 nT
    "relative D": (iaga("HDZF", rows_of(H, -7 + Z / 1e5, Z, F), "DECBAS 5527"), 5527 / 600, (0.006, 0.031)),
    "H of the sensor": (
        iaga("HDZF", rows_of(H, -35 + Z / 1e5, Z, F), "DECBAS 5527", source="USGS"), 5527 / 600, (0.006, 0.031)
    ),
    "absolute D": (iaga("HDZF", rows_of(H, 545 + Z / 1e5, Z, F)), 9.0, (0.006, 0.031)),
    "D across a full turn": (iaga("HDZF", rows_of(H, np.full(N, 21_595.0), Z, F)), 0.0, (0.006, 0.031)),
    "D in degrees": (
        iaga("HDZF", rows_of(H, 9.2 + Z / 1e7, Z, F, decimals=3), "D is in degrees east"), 9.0, (0.003, 0.183)
    ),
    "carriage returns": (iaga("XYZF", rows_of(H, H / 9, Z, F), newline="\r\n"), 0.0, (0.005, 0.005)),
    "no F": (iaga("XYZ", rows_of(H, H / 9, Z)), 0.0, (0.005, 0.005)),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "axis", "rounding"), CASES.values(), ids=CASES.keys())
def test_a_text_reads_back_as_the_sum_within_its_decimals(raw, axis, rounding):
    path = Path("abc20140407vsec.sec")
    before = decode_recording(raw, path)
    assert before.h_axis_deg == pytest.approx(axis)
    added = wave(N)
    changed = add_to_file(raw, path, before, added)
    after = decode_recording(changed.raw, path)
    error = np.abs(after.field_nt - before.field_nt - added).max(axis=1)
    assert error[0] <= rounding[0] + 1e-6
    assert error[1] <= rounding[1] + 1e-6
    assert error[2] <= 0.005 + 1e-6
    assert (after.h_axis_deg, after.origin) == (before.h_axis_deg, "simulated")
    old, new = raw.decode().split("\n"), changed.raw.decode().split("\n")
    new.remove(COMMENT + ("\r" if "\r" in raw.decode() else ""))
    top = next(k for k, row in enumerate(old) if row.startswith("DATE"))
    assert new[: top + 1] == old[: top + 1]
    assert len(new) == len(old)
    for k, (row, other) in enumerate(zip(old[top + 1 :], new[top + 1 :], strict=True)):
        assert len(row) == len(other)
        assert row[:31] == other[:31]  # the stamps
        assert row[61:] == other[61:]  # F
        if k < N // 10 or k >= N - N // 10:
            assert row == other


def test_fill_values_stay_and_silence_the_elements_that_need_them():
    d, h = np.full(N, -7.0), H.copy()
    h[100:200], d[300:400] = 99999.0, 88888.0
    raw = iaga("HDZF", rows_of(h, d, Z, F), "DECBAS 5527")
    path = Path("day.sec")
    before = decode_recording(raw, path)
    changed = add_to_file(raw, path, before, np.full((3, N), 1.0))
    old, new = (text.decode().split("\n")[-N - 1 : -1] for text in (raw, changed.raw))
    for k in (*range(100, 200), *range(300, 400)):
        assert old[k][:51] == new[k][:51]
        assert old[k][51:61] != new[k][51:61]  # Z is known, and changes
    after = decode_recording(changed.raw, path)
    np.testing.assert_array_equal(np.isnan(after.field_nt), np.isnan(before.field_nt))


def test_a_number_that_gets_longer_keeps_its_last_character_where_it_was():
    raw = iaga("XYZF", rows_of(np.full(N, 999.9), np.full(N, -9.9), np.full(N, -0.01), F))
    path = Path("day.sec")
    changed = add_to_file(raw, path, decode_recording(raw, path), np.tile([[1.0], [-1.0], [0.01]], N))
    assert changed.raw.decode().splitlines()[-1] == raw.decode().splitlines()[-1][:31] + (
        "   1000.90    -10.90      0.00  52460.14"
    )


def test_a_file_is_marked_once():
    raw = iaga("XYZF", rows_of(H, H / 9, Z, F))
    path = Path("day.sec")
    for _ in range(2):
        raw = add_to_file(raw, path, decode_recording(raw, path), wave(N)).raw
    assert raw.decode().count("seismag: an emission") == 1


def test_an_addition_that_would_turn_the_axis_is_refused():
    """The axis of absolute D is its median in whole degrees: 9.49 degrees is 9, and 0.05 degrees more is 10."""
    raw = iaga("HDZF", rows_of(H, np.full(N, 569.4), Z, F))
    path = Path("day.sec")
    added = np.zeros((3, N))
    added[1] = 20.0
    with pytest.raises(DataError, match=r"day.sec: cannot be changed .* \(H axis 9 degrees, then 10\)\. Take this"):
        add_to_file(raw, path, decode_recording(raw, path), added)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "rounding_nt"),
    [
        ("bmkg/S250101.ALR", (0.005, 0.005, 0.005)),
        ("usgs_1s_201404/bou20140407vsec.sec.gz", (0.006, 0.031, 0.005)),
        ("usgs_1s_201404/sit20140408vsec.sec.gz", (0.006, 0.024, 0.005)),
        ("magpy_formats/SXY20200303vsec.zip", (0.006, 0.06, 0.005)),
        ("magpy_formats/wic20220810vsec.zip", (0.006, 0.06, 0.005)),
    ],
)
def test_published_files_read_back_as_the_sum(real_data, name, rounding_nt):
    path = real_data / name
    before = read_recording(path)
    added = wave(before.samples)
    changed = add_to_file(path.read_bytes(), path, before, added)
    after = changed.recording
    known = ~np.isnan(before.field_nt)
    np.testing.assert_array_equal(known, ~np.isnan(after.field_nt))
    error = np.abs(np.where(known, after.field_nt - before.field_nt - added, 0)).max(axis=1)
    assert np.all(error <= np.array(rounding_nt) + 1e-6)
    assert (after.h_axis_deg == before.h_axis_deg) or np.isnan([after.h_axis_deg, before.h_axis_deg]).all()
    assert after.origin == "simulated"
