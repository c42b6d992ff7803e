"""ImagCDF and MagPy CDF by files that cdflib writes here; published ones are in test_real_files.py."""

import builtins
import datetime as dt
import gzip

import numpy as np
import pytest

from seismag.domain import DataError
from seismag.recordings import cdf, read_recording

cdflib = pytest.importorskip("cdflib")
from cdflib.cdfwrite import CDF  # noqa: E402

DOUBLE, TT2000, EPOCH, EPOCH16 = 45, 33, 31, 32
J2000_NS = 946_727_935_816_000_000  # 2000-01-01T11:58:55.816 UTC in ns since 1970
LEAP_SECONDS_SINCE_2000 = [
    dt.date(2006, 1, 1),
    dt.date(2009, 1, 1),
    dt.date(2012, 7, 1),
    dt.date(2015, 7, 1),
    dt.date(2017, 1, 1),
]


def tt2000(start: str, samples: int, step_s: float = 1.0) -> np.ndarray:
    """TT2000 by its definition and the list of leap seconds of IERS Bulletin C, without cdflib."""
    utc = np.datetime64(start, "ns") + np.arange(samples) * np.timedelta64(int(step_s * 1e9), "ns")
    leaps = sum(utc >= np.datetime64(day) for day in LEAP_SECONDS_SINCE_2000)
    return utc.astype(np.int64) - J2000_NS + leaps * 1_000_000_000


def written(tmp_path, attributes, variables, compressed=False) -> bytes:
    """Bytes of a CDF file; ``variables`` is {name: (type, values, attributes)}."""
    path = tmp_path / "written.cdf"
    path.unlink(missing_ok=True)
    file = CDF(path, cdf_spec={"Encoding": 6, "Checksum": False, "Compressed": compressed, "rDim_sizes": []})
    file.write_globalattrs({name: {0: value} for name, value in attributes.items()})
    for name, (kind, values, about) in variables.items():
        spec = {"Variable": name, "Data_Type": kind, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": []}
        file.write_var(spec, var_attrs=about, var_data=values)
    file.close()
    return path.read_bytes()


def imag_cdf(tmp_path, elements, times=None, code="BOU", **keywords) -> bytes:
    """A file after the ImagCDF technical note 1.2: ``elements`` is {letter: (values, units)}."""
    attributes = {
        "Title": "Geomagnetic time series data",
        "FormatDescription": "INTERMAGNET CDF Format",
        "FormatVersion": "1.2",
        "ElementsRecorded": "".join(elements),
        "IagaCode": code,
        "ObservatoryName": "Boulder",
        "Latitude": [40.137, "CDF_DOUBLE"],
        "Longitude": [254.764, "CDF_DOUBLE"],
    }
    size = len(next(iter(elements.values()))[0])
    variables = {
        f"GeomagneticField{letter}": (
            DOUBLE,
            np.asarray(values, float),
            {"UNITS": units, "FILLVAL": [99_999.0, "CDF_DOUBLE"], "DEPEND_0": "GeomagneticVectorTimes"},
        )
        for letter, (values, units) in elements.items()
    }
    variables["GeomagneticVectorTimes"] = (TT2000, tt2000("2014-04-07", size) if times is None else times, {})
    return written(tmp_path, attributes, variables, **keywords)


def magpy_cdf(tmp_path, components="HEZ", units=("nT", "nT", "nT"), times=None, kind=TT2000, **attributes) -> bytes:
    times = tt2000("2022-08-03", 5) if times is None else times
    data = {
        axis: (DOUBLE, 100.0 * (row + 1) + np.arange(len(times)), {"units": unit} if unit else {})
        for row, (axis, unit) in enumerate(zip("xyz", units, strict=True))
    }
    stated = {
        "DataID": "FGE_1",
        "SensorID": "FGE",
        "DataSamplingRate": "1.0 sec",
        "StationIAGAcode": "WIC",
    } | attributes
    if components:
        stated["DataComponents"] = components
    return written(tmp_path, stated, {"Epoch": (kind, times, {}), **data})


def refused(payload: bytes, name: str = "day.cdf") -> DataError:
    with pytest.raises(DataError) as caught:
        cdf.CDF.read(payload, name, "")
    assert str(caught.value).startswith(name)
    return caught.value


XYZ = {"X": ([20_000.0, 20_001.0, 99_999.0], "nT"), "Y": ([3_000.0] * 3, "nT"), "Z": ([47_000.0] * 3, "nT")}


@pytest.mark.parametrize("compressed", [False, True])
def test_an_imag_cdf_file_is_read_with_its_fill_value_as_nan(tmp_path, compressed):
    payload = imag_cdf(tmp_path, XYZ, compressed=compressed)
    assert cdf.CDF.detect(payload[:4096])
    recording = cdf.CDF.read(payload, "day.cdf", "abc")
    np.testing.assert_array_equal(recording.field_nt, [[20_000, 20_001, np.nan], [3_000] * 3, [47_000] * 3])
    assert (recording.format, recording.station, recording.rate_hz) == ("ImagCDF", "BOU", 1.0)
    assert recording.start_utc == np.datetime64("2014-04-07T00:00:00.000")
    assert recording.h_axis_deg == 0.0
    assert (recording.latitude_deg, recording.longitude_deg) == (40.137, -105.236)


@pytest.mark.parametrize(("unit", "value"), [("Degrees of arc", 9.3), ("degrees", 9.3), ("Minutes of arc", 558.0)])
def test_the_units_of_d_decide_how_it_is_turned_to_nt(tmp_path, unit, value):
    payload = imag_cdf(tmp_path, {"H": ([20_000.0] * 2, "nT"), "D": ([value] * 2, unit), "Z": ([47_000.0] * 2, "nT")})
    recording = cdf.CDF.read(payload, "day.cdf", "")
    assert recording.h_axis_deg == 9.0
    np.testing.assert_allclose(recording.field_nt[1], 20_000 * np.sin(np.radians(0.3)))


def test_scalar_elements_beside_the_vector_are_left_aside(tmp_path):
    payload = imag_cdf(tmp_path, {**XYZ, "S": ([51_000.0] * 3, "nT")})
    assert cdf.CDF.read(payload, "day.cdf", "").samples == 3


def test_a_missing_time_is_nan(tmp_path):
    recording = cdf.CDF.read(imag_cdf(tmp_path, XYZ, times=np.delete(tt2000("2014-04-07", 4), 1)), "day.cdf", "")
    assert recording.samples == 4
    assert np.isnan(recording.field_nt[:, 1]).all()


@pytest.mark.parametrize(
    "start", ["2001-06-01", "2008-12-31T23:59:50", "2016-12-31T23:59:00", "2024-02-29T12:00:00.500"]
)
def test_leap_seconds_are_taken_out_of_tt2000(tmp_path, start):
    recording = cdf.CDF.read(magpy_cdf(tmp_path, times=tt2000(start, 3)), "day.cdf", "")
    assert recording.start_utc == np.datetime64(start, "ms")
    assert recording.rate_hz == 1.0


def test_a_leap_second_makes_no_gap(tmp_path):
    """TT2000 counts it: 2016-12-31T23:59:59 and 2017-01-01T00:00:00 are two seconds apart."""
    times = tt2000("2016-12-31T23:59:55", 10)
    assert set(np.diff(times)) == {1_000_000_000, 2_000_000_000}
    recording = cdf.CDF.read(magpy_cdf(tmp_path, times=times), "day.cdf", "")
    assert recording.samples == 10
    assert np.isfinite(recording.field_nt).all()


def test_cdf_epoch_counts_milliseconds_from_the_year_zero(tmp_path):
    """0000-01-01 is 719,528 days before 1970-01-01."""
    days = (dt.date(2017, 11, 2) - dt.date(1970, 1, 1)).days + 719_528
    times = days * 86_400_000.0 + np.arange(5) * 1000.0
    recording = cdf.CDF.read(magpy_cdf(tmp_path, times=times, kind=EPOCH), "day.cdf", "")
    assert recording.start_utc == np.datetime64("2017-11-02T00:00:00.000")
    assert recording.rate_hz == 1.0


def test_times_that_are_no_dates_are_refused(tmp_path):
    assert refused(magpy_cdf(tmp_path, times=np.full(5, -1e31), kind=EPOCH)).reason == "corrupt_file"
    assert refused(magpy_cdf(tmp_path, times=np.full(5, np.nan), kind=EPOCH)).reason == "corrupt_file"


def test_magpy_components_are_named_by_data_components(tmp_path):
    variation = cdf.CDF.read(magpy_cdf(tmp_path), "day.cdf", "")
    assert (variation.format, variation.station) == ("MagPyCDF", "WIC")
    np.testing.assert_array_equal(variation.field_nt[:, 0], [100, 200, 300])
    assert np.isnan(variation.h_axis_deg)
    assert cdf.CDF.read(magpy_cdf(tmp_path, "XYZ"), "day.cdf", "").h_axis_deg == 0.0


def test_magpy_components_without_a_name_are_the_sensors_own(tmp_path):
    recording = cdf.CDF.read(magpy_cdf(tmp_path, ""), "day.cdf", "")
    assert np.isnan(recording.h_axis_deg)
    assert any("DataComponents" in sentence for sentence in recording.metadata["warnings"])


def test_positions_in_metres_give_way_to_the_stations(tmp_path):
    metres = {"DataAcquisitionLatitude": "310086.6051", "DataAcquisitionLongitude": "-34833.41399"}
    recording = cdf.CDF.read(
        magpy_cdf(tmp_path, **metres, StationLatitude="47.930", StationLongitude="15.865"), "day.cdf", ""
    )
    assert (recording.latitude_deg, recording.longitude_deg) == (47.93, 15.865)
    assert np.isnan(cdf.CDF.read(magpy_cdf(tmp_path, **metres), "day.cdf", "").latitude_deg)


def test_other_units_than_nt_are_refused(tmp_path):
    assert refused(magpy_cdf(tmp_path, units=("nT", "nT", "mV"))).reason == "wrong_units"
    assert refused(magpy_cdf(tmp_path, "HDZ", units=("nT", "gon", "nT"))).reason == "wrong_units"


def test_a_file_without_three_components_is_refused(tmp_path):
    assert refused(imag_cdf(tmp_path, {"X": XYZ["X"], "S": XYZ["Z"]})).reason == "components_missing"


def test_a_cdf_file_of_another_science_is_refused(tmp_path):
    payload = written(tmp_path, {"Project": "Cluster"}, {"time": (TT2000, tt2000("2014-04-07", 3), {})})
    assert refused(payload).reason == "wrong_kind"


def test_times_and_values_of_different_length_are_refused(tmp_path):
    assert refused(imag_cdf(tmp_path, XYZ, times=tt2000("2014-04-07", 2))).reason == "corrupt_file"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kept", [20, 300, -700, -1])
def test_a_cut_file_is_refused_and_never_filled_with_zeros(tmp_path, kept, compressed):
    assert refused(imag_cdf(tmp_path, XYZ, compressed=compressed)[:kept]).reason in ("truncated", "corrupt_file")


def test_the_file_name_must_not_contradict(tmp_path):
    payload = imag_cdf(tmp_path, XYZ)
    assert cdf.CDF.read(payload, "bou_20140407_000000_PT1S_4.cdf", "").station == "BOU"
    assert refused(payload, "gua_20140407_000000_PT1S_4.cdf").reason == "name_mismatch"


def test_read_recording_reads_it_out_of_gzip(tmp_path):
    path = tmp_path / "day.cdf.gz"
    path.write_bytes(gzip.compress(imag_cdf(tmp_path, XYZ)))
    assert read_recording(path).format == "ImagCDF"


def test_without_cdflib_the_message_says_what_to_install(tmp_path, monkeypatch):
    payload = imag_cdf(tmp_path, XYZ)
    original = builtins.__import__

    def without_cdflib(name, *arguments, **keywords):
        if name == "cdflib":
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_cdflib)
    error = refused(payload)
    assert 'pip install "seismag[cdf]"' in str(error)
    assert error.reason == "missing_dependency"
