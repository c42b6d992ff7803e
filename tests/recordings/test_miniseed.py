import builtins
import io

import numpy as np
import pytest

from seismag.domain import DataError
from seismag.recordings import read_recording
from seismag.recordings.miniseed import MINISEED

obspy = pytest.importorskip("obspy")

START = obspy.UTCDateTime(2020, 1, 6)


def trace(channel, values, start=0.0, rate_hz=1.0, station="LLO", **header):
    about = {"network": "NT", "station": station, "location": "R0", "channel": channel, "sampling_rate": rate_hz}
    return obspy.Trace(np.asarray(values), {**about, "starttime": START + start, **header})


def packed(*traces) -> bytes:
    buffer = io.BytesIO()
    obspy.Stream(list(traces)).write(buffer, format="MSEED", reclen=512)
    return buffer.getvalue()


def three(letters="UVW", prefix="LF", **keywords):
    return [trace(prefix + letter, 100.0 * k + np.arange(300.0), **keywords) for k, letter in enumerate(letters, 1)]


def refused(payload: bytes) -> DataError:
    with pytest.raises(DataError) as caught:
        MINISEED.read(payload, "day.mseed", "")
    assert str(caught.value).startswith("day.mseed")
    return caught.value


def test_three_channels_become_a_recording():
    payload = packed(*three())
    assert MINISEED.detect(payload[:4096])
    recording = MINISEED.read(payload, "day.mseed", "abc")
    np.testing.assert_array_equal(recording.field_nt[:, 5], [105, 205, 305])
    assert (recording.station, recording.rate_hz, recording.format) == ("LLO", 1.0, "miniSEED")
    assert recording.start_utc == np.datetime64("2020-01-06T00:00:00.000")
    assert np.isnan(recording.h_axis_deg)
    assert "sensor" in recording.metadata["warnings"][0]


@pytest.mark.parametrize(("letters", "axis"), [("XYZ", 0.0), ("NEZ", 0.0), ("HEZ", np.nan), ("UVW", np.nan)])
def test_the_last_letter_of_the_channel_decides(letters, axis):
    recording = MINISEED.read(packed(*reversed(three(letters)), trace("LFF", np.full(300, 51_000.0))), "day.mseed", "")
    np.testing.assert_array_equal(recording.field_nt[:, 0], [100, 200, 300])
    np.testing.assert_equal(recording.h_axis_deg, axis)


def test_ten_samples_a_second_stay_ten():
    recording = MINISEED.read(packed(*three(rate_hz=10.0, start=0.9)), "day.mseed", "")
    assert recording.rate_hz == 10.0
    assert recording.start_utc == np.datetime64("2020-01-06T00:00:00.900")


def test_a_gap_in_one_channel_is_nan_in_that_channel():
    values = np.arange(300.0)
    payload = packed(*three()[:2], trace("LFW", values[:100]), trace("LFW", values[150:], start=150))
    recording = MINISEED.read(payload, "day.mseed", "")
    np.testing.assert_array_equal(recording.field_nt[2], np.where((values >= 100) & (values < 150), np.nan, values))
    assert any("50 of 300 samples missing" in sentence for sentence in recording.metadata["warnings"])


def test_channels_of_different_length_share_the_longest_span():
    recording = MINISEED.read(packed(*three()[:2], trace("LFW", np.arange(400.0), start=-50)), "day.mseed", "")
    assert recording.samples == 400
    assert recording.start_utc == np.datetime64("2020-01-05T23:59:10.000")
    assert np.isnan(recording.field_nt[0, :50]).all()


def test_an_identical_overlap_is_kept_once():
    values = np.arange(300.0)
    payload = packed(*three()[:2], trace("LFW", values[:200]), trace("LFW", values[150:], start=150))
    recording = MINISEED.read(payload, "day.mseed", "")
    np.testing.assert_array_equal(recording.field_nt[2], values)
    assert any("50 samples twice" in sentence for sentence in recording.metadata["warnings"])


def test_a_contradicting_overlap_is_refused():
    payload = packed(*three()[:2], trace("LFW", np.zeros(200)), trace("LFW", np.ones(200), start=150))
    assert refused(payload).reason == "contradicting_samples"


def test_different_rates_are_refused():
    assert refused(packed(*three()[:2], *three(rate_hz=10.0)[2:])).reason == "mixed_rates"


def test_two_stations_in_one_file_are_refused():
    assert refused(packed(*three(), *three(station="BOU"))).reason == "mixed_headers"


def test_two_channels_of_one_component_are_refused():
    assert refused(packed(*three(), trace("UFU", np.arange(300.0)))).reason == "mixed_headers"


def test_a_piece_off_the_grid_is_refused():
    payload = packed(*three()[:2], trace("LFW", np.arange(300.0), start=0.3))
    assert refused(payload).reason == "irregular_sampling"


def test_pieces_years_apart_do_not_fill_the_memory():
    payload = packed(*three(), *three(start=86_400.0 * 365))
    assert refused(payload).reason == "irregular_sampling"


def test_a_seismometer_is_refused():
    assert refused(packed(*three("NEZ", prefix="BH"))).reason == "wrong_kind"


def test_a_channel_d_without_units_is_refused():
    error = refused(packed(*three("HDZ")))
    assert error.reason == "components_missing"
    assert "angle or nT" in str(error)


def test_a_file_cut_in_a_record_loses_no_more_than_that_record():
    payload = packed(*three())
    for kept in (100, 700, len(payload) - 100):
        try:
            recording = MINISEED.read(payload[:kept], "day.mseed", "")
        except DataError:
            continue
        known = recording.field_nt[0][np.isfinite(recording.field_nt[0])]
        np.testing.assert_array_equal(known, 100 + np.arange(known.size))


def test_detection_takes_record_headers_and_no_other_text():
    assert MINISEED.detect(b"000001D LLO  R0U  NT\x07\xe4")
    assert not MINISEED.detect(b"000001 LLO plain text")
    assert not MINISEED.detect(b"2014-04-07 00:00:00.000 097")
    assert not MINISEED.detect(b"")


def test_read_recording_knows_the_format_by_content(tmp_path):
    path = tmp_path / "day.bin"
    path.write_bytes(packed(*three()))
    assert read_recording(path).format == "miniSEED"


def test_without_obspy_the_message_says_what_to_install(monkeypatch):
    payload = packed(*three())
    original = builtins.__import__

    def without_obspy(name, *arguments, **keywords):
        if name.startswith("obspy"):
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_obspy)
    error = refused(payload)
    assert 'pip install "seismag[obspy]"' in str(error)
    assert error.reason == "missing_dependency"
