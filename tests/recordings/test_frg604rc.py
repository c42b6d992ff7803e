import datetime as dt
import gzip
import struct

import numpy as np
import pytest

from seismag.domain import DataError
from seismag.recordings import read_recording
from seismag.recordings.frg604rc import BLOCK_BYTES, FRG604RC, HEADER_BYTES, RECORD_BYTES, TRAILER, encode_day

DATE = dt.date(2025, 1, 1)
NAME = "S250101.ALR"


@pytest.fixture(scope="module")
def field_nt():
    """A day on the 0.01 nT grid with a 64 s gap and both ends of the number range."""
    rng = np.random.default_rng(604)
    counts = rng.integers(-40_000_00, 40_000_00, (3, 86_400)).astype(float)
    field = counts / 100
    field[:, 40_000:40_064] = np.nan
    field[0, 7] = np.nan
    field[:, 100] = (83886.06, -83886.06, 0.0)
    return field


@pytest.fixture(scope="module")
def payload(field_nt):
    return encode_day("ALR", DATE, -8.1444, 124.5903, field_nt)


def refused(payload: bytes, name: str = NAME) -> DataError:
    with pytest.raises(DataError) as caught:
        FRG604RC.read(payload, name, "")
    assert name in str(caught.value)
    return caught.value


def blocks_of(payload: bytes) -> list[bytes]:
    return [payload[k * BLOCK_BYTES : (k + 1) * BLOCK_BYTES] for k in range(144)]


def test_a_written_day_comes_back_exactly(payload, field_nt):
    recording = FRG604RC.read(payload, NAME, "abc")
    np.testing.assert_array_equal(recording.field_nt, field_nt)
    assert recording.field_nt.flags.c_contiguous
    assert (recording.station, recording.rate_hz, recording.format) == ("ALR", 1.0, "FRG-604RC")
    assert recording.start_utc == np.datetime64("2025-01-01T00:00:00.000")
    assert recording.end_utc == np.datetime64("2025-01-02T00:00:00.000")
    assert recording.latitude_deg == pytest.approx(-8.1444, abs=1e-6)
    assert recording.longitude_deg == pytest.approx(124.5903, abs=1e-6)
    assert np.isnan(recording.h_axis_deg)
    assert recording.metadata["missing_blocks"] == 0
    assert recording.metadata["warnings"] == []


def test_a_record_read_by_hand_agrees(payload, field_nt):
    """Second 12:34:56 lies in block 75, record 296: 75 x 600 + 296 = 45296 = 12 h 34 min 56 s."""
    offset = 75 * BLOCK_BYTES + HEADER_BYTES + 296 * RECORD_BYTES
    for component in range(3):
        raw = payload[offset + 3 * component : offset + 3 * component + 3]
        assert int.from_bytes(raw, "little", signed=True) / 100 == field_nt[component, 45_296]


def test_the_layout_is_the_published_one(payload):
    assert len(payload) == 1_473_123
    assert payload.endswith(TRAILER)
    header = payload[BLOCK_BYTES : BLOCK_BYTES + HEADER_BYTES]
    assert header[2:5] == b"ALR"
    assert tuple(header[5:10]) == (25, 1, 1, 0, 10)
    # 8.1444 deg = 8 deg 08.664 min, NMEA 0808.6640; 124.5903 deg = 124 deg 35.418 min
    assert struct.unpack("<ii", header[18:26]) == (-8_086_640, 124_354_180)
    unknown = [0, 1, *range(10, 18), 26, 28, 29]
    assert all(header[k] == 0 for k in unknown)


def test_housekeeping_is_read(payload):
    """Tilt 1.5 and -2.0 in tenths, temperatures 31.25 and 40.5 in hundredths of a degree, battery 13.4 V."""
    record = struct.pack("<hhhh", 15, -20, 3125, 4050)
    blocks = [block[:27] + bytes([134]) + block[28:39] + record + block[47:] for block in blocks_of(payload)]
    metadata = FRG604RC.read(b"".join(blocks) + TRAILER, NAME, "").metadata
    assert metadata["tilt"] == [1.5, -2.0]
    assert metadata["temperature_degc"] == [31.25, 40.5]
    assert metadata["battery_min_v"] == pytest.approx(13.4)


def test_values_are_rounded_to_the_nearest_count():
    field = np.full((3, 86_400), 37_639.314_9)
    field[1] = 0.29  # 29 x 0.01 is 0.29000000000000004: the reader must divide
    recording = FRG604RC.read(encode_day("ALR", DATE, -8, 124, field), NAME, "")
    assert recording.field_nt[0, 0] == 37_639.31
    assert recording.field_nt[1, 0] == 0.29


def test_a_day_without_any_sample_is_a_recording_of_nan():
    recording = FRG604RC.read(encode_day("ALR", DATE, -8, 124, np.full((3, 86_400), np.nan)), NAME, "")
    assert recording.samples == 86_400
    assert np.isnan(recording.field_nt).all()


def test_blocks_are_placed_by_their_time_and_not_by_position(payload, field_nt, rng):
    shuffled = [blocks_of(payload)[k] for k in rng.permutation(144)]
    recording = FRG604RC.read(b"".join(shuffled) + TRAILER, NAME, "")
    np.testing.assert_array_equal(recording.field_nt, field_nt)
    assert any("out of order" in sentence for sentence in recording.metadata["warnings"])


def test_a_missing_block_is_ten_minutes_of_nan(payload, field_nt):
    blocks = blocks_of(payload)
    del blocks[5]
    recording = FRG604RC.read(b"".join(blocks) + TRAILER, NAME, "")
    expected = field_nt.copy()
    expected[:, 3000:3600] = np.nan
    np.testing.assert_array_equal(recording.field_nt, expected)
    assert recording.metadata["missing_blocks"] == 1
    assert recording.metadata["warnings"] == ["1 of 144 ten-minute blocks are missing."]


def test_an_identical_double_is_kept_once(payload, field_nt):
    blocks = blocks_of(payload)
    recording = FRG604RC.read(b"".join([*blocks, blocks[3], blocks[3]]) + TRAILER, NAME, "")
    np.testing.assert_array_equal(recording.field_nt, field_nt)
    assert any("2 blocks are doubled" in sentence for sentence in recording.metadata["warnings"])


def test_a_contradicting_double_is_refused(payload):
    blocks = blocks_of(payload)
    other = blocks[3][:100] + bytes([blocks[3][100] ^ 1]) + blocks[3][101:]
    error = refused(b"".join([*blocks, other]) + TRAILER)
    assert error.reason == "contradicting_blocks"
    assert "00:30 UTC" in str(error)


@pytest.mark.parametrize("extra", [1, 9, 15, 5_000, BLOCK_BYTES - 1])
def test_a_file_cut_within_a_block_is_refused(payload, extra):
    assert refused(payload[: 20 * BLOCK_BYTES + extra]).reason == "truncated"


def test_a_file_cut_within_the_first_block_is_refused(payload):
    assert refused(payload[:500]).reason == "truncated"


@pytest.mark.parametrize("kept", [1, 2])
def test_a_cut_trailer_is_refused(payload, kept):
    assert refused(payload[: 144 * BLOCK_BYTES + kept]).reason == "truncated"


def test_a_file_that_ends_with_a_block_is_read_with_a_warning(payload, field_nt):
    recording = FRG604RC.read(payload[: 20 * BLOCK_BYTES], NAME, "")
    np.testing.assert_array_equal(recording.field_nt[:, :12_000], field_nt[:, :12_000])
    assert np.isnan(recording.field_nt[:, 12_000:]).all()
    assert "trailer" in recording.metadata["warnings"][0]
    assert recording.metadata["missing_blocks"] == 124


@pytest.mark.parametrize("garbage", [b"\0\0\0", b"x" * 50, b"\xff" * BLOCK_BYTES])
def test_garbage_behind_the_last_block_is_refused(payload, garbage):
    assert refused(payload + garbage).reason == "trailing_garbage"
    assert refused(payload[:-3] + garbage[:50]).reason == "trailing_garbage"


@pytest.mark.parametrize(("at", "value"), [(2, b"GTO"), (5, bytes([24])), (7, bytes([2]))])
def test_blocks_of_another_station_or_day_are_refused(payload, at, value):
    begin = 7 * BLOCK_BYTES + at
    assert refused(payload[:begin] + value + payload[begin + len(value) :]).reason == "mixed_headers"


@pytest.mark.parametrize(("at", "value"), [(9, 7), (9, 60), (8, 24), (6, 13), (7, 0), (2, 0x20)])
def test_an_impossible_header_is_refused(payload, at, value):
    begin = 7 * BLOCK_BYTES + at
    assert refused(payload[:begin] + bytes([value]) + payload[begin + 1 :]).reason == "bad_header"


def test_a_day_that_is_in_no_calendar_is_refused(payload):
    blocks = [block[:6] + bytes([2, 30]) + block[8:] for block in blocks_of(payload)]
    error = refused(b"".join(blocks) + TRAILER)
    assert error.reason == "bad_header"
    assert "2025-02-30" in str(error)


@pytest.mark.parametrize("name", ["S250102.ALR", "S250101.GTO", "s240101.alr.gz", "S251301.ALR"])
def test_a_file_name_that_differs_from_the_header_is_refused(payload, name):
    assert refused(payload, name).reason == "name_mismatch"


@pytest.mark.parametrize("name", ["s250101.alr", "S250101.ALR.gz", "download.bin", "2025-01-01_GTO.dat"])
def test_other_file_names_are_not_looked_at(payload, name):
    assert FRG604RC.read(payload, name, "").station == "ALR"


@pytest.mark.parametrize("position", [(0, 0), (95_000_000, 1_243_541_98), (-8_086_650, 1_900_000_000), (8_990_000, 1)])
def test_an_impossible_position_is_nan_with_a_warning(payload, position):
    blocks = [block[:18] + struct.pack("<ii", *position) + block[26:] for block in blocks_of(payload)]
    recording = FRG604RC.read(b"".join(blocks) + TRAILER, NAME, "")
    assert np.isnan([recording.latitude_deg, recording.longitude_deg]).all()
    assert "position" in recording.metadata["warnings"][0]


@pytest.mark.parametrize("position", [(-8.1444, 124.5903), (0.5, -179.9999), (89.99999, -0.25), (-0.0001, 180.0)])
def test_positions_come_back_to_a_tenth_of_an_arc_second(position):
    recording = FRG604RC.read(encode_day("ALR", DATE, *position, np.zeros((3, 86_400))), NAME, "")
    assert (recording.latitude_deg, recording.longitude_deg) == pytest.approx(position, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"station": "ALOR"}, "three ASCII"),
        ({"station": "Ä12"}, "three ASCII"),
        ({"date": dt.date(1999, 1, 1)}, "2000 to 2099"),
        ({"latitude": 91.0}, "outside"),
        ({"longitude": float("nan")}, "outside"),
        ({"field_nt": np.zeros((3, 86_399))}, "shape"),
        ({"field_nt": np.full((3, 86_400), 83_886.07)}, "24 bits"),
        ({"field_nt": np.full((3, 86_400), np.inf)}, "24 bits"),
    ],
)
def test_the_writer_refuses_what_does_not_fit(change, message):
    arguments = {
        "station": "ALR",
        "date": DATE,
        "latitude": -8.0,
        "longitude": 124.0,
        "field_nt": np.zeros((3, 86_400)),
    }
    with pytest.raises(ValueError, match=message):
        encode_day(**{**arguments, **change})


def test_detection_takes_the_header_and_never_text(payload):
    assert FRG604RC.detect(payload[:4096])
    assert FRG604RC.detect(b"\x00\x30ALR\x19\x01\x01\x00\x00\x08bC.\x00")
    assert not FRG604RC.detect(payload[:9])
    assert not FRG604RC.detect(b"")
    assert not FRG604RC.detect(b" 0ALR\x0a\x0a\x0d\x0a\x0aplain text with odd line ends")
    assert not FRG604RC.detect(b"\x00\x30ALR\x19\x0d\x01\x00\x00\x08bC.\x00")


def test_read_recording_knows_the_format_by_content(tmp_path, payload, field_nt):
    path = tmp_path / "S250101.ALR.gz"
    path.write_bytes(gzip.compress(payload, 1))
    recording = read_recording(path)
    np.testing.assert_array_equal(recording.field_nt, field_nt)
    assert len(recording.sha256) == 64
