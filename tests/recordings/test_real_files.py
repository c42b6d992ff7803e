"""Every reader on published files, against slow independent readings and other instruments."""

import gzip
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from seismag.domain import DataError
from seismag.recordings import read_recording

pytestmark = pytest.mark.real

USGS = [
    f"{code}201404{day}vsec.sec.gz"
    for code in ("bdt", "bou", "cmo", "frd", "gua", "hon", "sit", "sjg", "tuc")
    for day in ("07", "08")
]


def gunzipped(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("latin-1")


def slow_iaga(text: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read an IAGA-2002 file by splitting lines at blanks: names, times, values without the marks."""
    lines = text.splitlines()
    top = next(k for k, line in enumerate(lines) if line.startswith("DATE"))
    rows = [line.split() for line in lines[top + 1 :] if line.strip()]
    times = np.array([f"{row[0]}T{row[1]}" for row in rows], "datetime64[ms]")
    values = np.array([[float(value) for value in row[3:]] for row in rows]).T
    values[np.isin(values, [99999.0, 88888.0, 99999.99])] = np.nan
    return lines[top].split()[3:], times, values


@pytest.fixture(scope="module")
def observatories(real_data, tmp_path_factory):
    """The one-minute day of 91 observatories, unpacked."""
    folder = tmp_path_factory.mktemp("intermagnet")
    with tarfile.open(real_data / "intermagnet_1min_20220115" / "intermagnet_20220115_91stations.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_day_of_alor_is_what_its_physics_says(real_data):
    recording = read_recording(real_data / "bmkg" / "S250101.ALR")
    assert (recording.station, recording.start_utc) == ("ALR", np.datetime64("2025-01-01T00:00:00.000"))
    assert (recording.samples, recording.rate_hz) == (86_400, 1.0)
    np.testing.assert_array_equal(np.isnan(recording.field_nt).sum(axis=1), [64, 64, 64])
    h, d, z = recording.field_nt
    assert np.nanmedian(h) == pytest.approx(37_639, abs=1)
    assert np.nanmedian(z) == pytest.approx(-23_166, abs=1)
    assert (round(np.nanmin(h)), round(np.nanmax(h))) == (37_464, 37_809)
    assert (round(np.nanmin(d)), round(np.nanmax(d))) == (-36, 61)
    assert (recording.latitude_deg, recording.longitude_deg) == pytest.approx((-8.1444, 124.5903), abs=1e-4)
    assert recording.metadata["warnings"] == []
    assert np.diff(np.flatnonzero(np.isnan(h))).max() == 1  # one gap


@pytest.mark.parametrize("name", USGS)
def test_usgs_seconds_are_whole_days_on_the_baseline_axis(real_data, name):
    recording = read_recording(real_data / "usgs_1s_201404" / name)
    assert recording.station == name[:3].upper()
    assert recording.start_utc == np.datetime64(f"{name[3:7]}-{name[7:9]}-{name[9:11]}T00:00:00.000")
    assert (recording.samples, recording.rate_hz) == (86_400, 1.0)
    assert np.isnan(recording.field_nt).sum() <= 6
    header = gunzipped(real_data / "usgs_1s_201404" / name)
    decbas = int(header.split("DECBAS")[1].split()[0])
    assert (recording.h_axis_deg - decbas / 600) % 360 == pytest.approx(0, abs=1e-9)
    assert abs(np.nanmedian(recording.field_nt[1])) < 250  # D is what is left beside the axis
    assert recording.metadata["warnings"] == []


def test_a_day_of_seconds_agrees_with_a_line_by_line_reading(real_data):
    path = real_data / "usgs_1s_201404" / "sjg20140408vsec.sec.gz"
    names, times, (h, d, z, _) = slow_iaga(gunzipped(path))
    assert names[:4] == ["SJGH", "SJGD", "SJGZ", "SJGF"]
    recording = read_recording(path)
    np.testing.assert_array_equal(times, recording.start_utc + np.arange(86_400) * np.timedelta64(1000, "ms"))
    np.testing.assert_array_equal(recording.field_nt[2], z)
    np.testing.assert_array_equal(recording.field_nt[0], h)
    np.testing.assert_allclose(recording.field_nt[1], h * np.tan(d / 60 * np.pi / 180), rtol=1e-12, atol=1e-12)
    assert np.isnan(z).sum() == 2


def varying(values: np.ndarray) -> np.ndarray:
    """Means of 10 s, less their running mean over two hours."""
    means = np.nanmean(values.reshape(-1, 10), axis=1)
    return (means - np.convolve(means, np.full(720, 1 / 720), "same"))[720:-720]


def test_h_beside_d_is_the_sensors_own_in_variations_of_usgs(real_data):
    """The measured total field: the east variation enters it by H sin(d) / F if H is the sensor's, else not at all."""
    expected, fitted = [], []
    for name in USGS:
        _, _, (h, d, z, f) = slow_iaga(gunzipped(real_data / "usgs_1s_201404" / name))
        total, offset = np.nanmean(f), np.radians(d / 60)
        known = np.isfinite(h + d + z + f)
        h, d, z, f, east = (
            np.interp(np.arange(len(h)), np.flatnonzero(known), x[known]) for x in (h, d, z, f, h * np.sin(offset))
        )
        design = np.column_stack([varying(h) * h.mean(), varying(z) * z.mean(), varying(east) * h.mean()]) / total
        kept = np.ones(len(design), dtype=bool)
        for _ in range(4):
            weights = np.linalg.lstsq(design[kept], varying(f)[kept], rcond=None)[0]
            residual = np.abs(varying(f) - design @ weights)
            kept = residual < 6 * np.median(residual)
        expected.append(np.sin(np.radians(d.mean() / 60)))
        fitted.append(weights[2])
    slope = np.polyfit(expected, fitted, 1)[0]
    assert abs(slope - 1) < 0.5  # 0.8 +- 0.3: 1 if H is the sensor's, 0 if it is the horizontal intensity


def test_two_sensors_of_one_site_agree_better_with_h_as_the_sensors_own(real_data):
    """BOU and BDT: d is -0.07 and -0.59 degrees from the axis, so that 0.9 % of the east variation is in the latter."""
    folder = real_data / "usgs_1s_201404"
    (h, d, z, _), (other_h, other_d, _, _) = (
        slow_iaga(gunzipped(folder / f"{code}20140408vsec.sec.gz"))[2] for code in ("bou", "bdt")
    )
    design = np.column_stack([varying(x) for x in (h, z, h * np.sin(np.radians(d / 60)))])
    leak = {}
    for name, of_bou, of_bdt in (
        ("intensity", h, other_h),
        ("sensor", h / np.cos(np.radians(d / 60)), other_h / np.cos(np.radians(other_d / 60))),
    ):
        leak[name] = np.linalg.lstsq(design, varying(of_bdt) - varying(of_bou), rcond=None)[0][2]
    assert abs(leak["sensor"]) < 0.5 * abs(leak["intensity"])


def test_a_neighbouring_sensor_sees_the_same_eastward_field(real_data):
    """BOU and BDT stand on one site: the angle times H of each gives the same variation in nT."""
    one, other = (
        read_recording(real_data / "usgs_1s_201404" / f"{code}20140407vsec.sec.gz") for code in ("bou", "bdt")
    )
    difference = one.field_nt[1] - other.field_nt[1]
    assert np.std(difference) < 0.02 * np.std(one.field_nt[1])


def test_seconds_in_zip_are_read(real_data):
    wic = read_recording(real_data / "magpy_formats" / "wic20220810vsec.zip")
    assert (wic.station, wic.samples, wic.h_axis_deg) == ("WIC", 86_400, 0.0)
    assert np.isnan(wic.latitude_deg)  # the header holds projected metres
    assert "not in degrees" in wic.metadata["warnings"][0]
    with zipfile.ZipFile(real_data / "magpy_formats" / "wic20220810vsec.zip") as archive:
        _, _, values = slow_iaga(archive.read(archive.namelist()[0]).decode("latin-1"))
    np.testing.assert_array_equal(wic.field_nt, values[:3])


def test_variations_with_a_foreign_column_code_are_read(real_data):
    sxy = read_recording(real_data / "magpy_formats" / "SXY20200303vsec.zip")
    assert (sxy.station, sxy.samples) == ("SXY", 86_400)
    assert "AIA" in sxy.metadata["warnings"][0]
    assert np.abs(np.nanmedian(sxy.field_nt, axis=1)).max() < 100


def test_91_observatories_in_many_dialects_are_read(observatories):
    assert len(observatories) == 91
    for path in observatories:
        recording = read_recording(path)
        names, _, values = slow_iaga(path.read_text("latin-1"))
        assert recording.station == path.name[:3].upper()
        assert (recording.samples, recording.rate_hz) == (1_440, 1 / 60), path.name
        assert abs(recording.latitude_deg) <= 90
        assert abs(recording.longitude_deg) <= 180
        if names[0].endswith("X"):
            np.testing.assert_array_equal(recording.field_nt, values[:3], err_msg=path.name)
            assert recording.h_axis_deg == 0.0


def test_the_components_make_up_the_total_field(observatories):
    """H'^2 + D'^2 + Z^2 = F^2, with F by another instrument, in (quasi-)definitive and provisional files."""
    checked = []
    for path in observatories:
        if "vmin" in path.name:  # variations: their baseline is not final
            continue
        recording = read_recording(path)
        total = slow_iaga(path.read_text("latin-1"))[2][3]
        length = np.sqrt((recording.field_nt**2).sum(axis=0))
        difference = np.abs(length - total)
        if np.isfinite(difference).any():
            checked.append((np.nanmedian(difference), recording.h_axis_deg, path.name))
    angles = [entry for entry in checked if entry[1] != 0]
    assert len(checked) > 50
    assert len(angles) > 10
    far = {entry[2][:3] for entry in checked if entry[0] > 12}
    assert far == {"paf", "pil", "sjg"}  # their published F and components differ by 437, 285 and 102 nT
    assert np.median([entry[0] for entry in checked]) < 1.0


def test_minutes_between_the_minutes_keep_their_time(real_data, tmp_path):
    """Stamps at hh:mm:47 and, after a restart within 2011-09-16, at hh:mm:08: that day is on no grid."""
    with tarfile.open(real_data / "magpy_formats" / "lemi025_201109_iaga_1min.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    paths = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(paths) == 30
    restarted = paths.pop(15)
    with pytest.raises(DataError, match="2011-09-16T17:10:08") as caught:
        read_recording(restarted)
    assert caught.value.reason == "irregular_sampling"
    for day, path in zip([*range(1, 16), *range(17, 31)], paths, strict=True):
        recording = read_recording(path)
        late = np.timedelta64(8, "s") if day > 16 else np.timedelta64(-13, "s")
        assert recording.start_utc == np.datetime64(f"2011-09-{day:02d}") + late
        assert (recording.station, recording.samples, recording.rate_hz) == ("", 1_440, 1 / 60)
        assert np.abs(np.nanmedian(recording.field_nt)) < 500


@pytest.mark.parametrize(("name", "axis", "declination_min"), [("mmb", -9.0, -522.41), ("cbi", -4.0, -227.75)])
def test_kyoto_months_hold_an_absolute_declination(real_data, name, axis, declination_min):
    path = real_data / "wdc_kyoto_201103" / f"{name}_{'2011_march' if name == 'mmb' else 'march_2011'}.txt.gz"
    recording = read_recording(path)
    assert (recording.station, recording.samples, recording.h_axis_deg) == (name.upper(), 44_640, axis)
    h, d, z = recording.field_nt
    declination_deg = axis + np.degrees(np.arctan2(d, h))
    assert declination_deg[0] * 60 == pytest.approx(declination_min, abs=1e-6)
    total = slow_iaga(gunzipped(path))[2][3]
    np.testing.assert_allclose(np.sqrt(h**2 + d**2 + z**2), total, atol=4)  # F by another instrument


@pytest.mark.parametrize(
    ("name", "start", "samples", "rate_hz", "axis"),
    [
        ("BOU20200101_misaligned_vsec.sec.gz", "2019-12-31T23:59:31", 975, 1.0, 5527 / 600),
        ("LLO20200106vsec.sec.gz", "2020-01-06T00:00:00", 14_401, 1.0, np.nan),
        ("LLO20200106vmin.min.gz", "2020-01-06T00:00:00", 241, 1 / 60, np.nan),
        ("BOU201601vmin.min.gz", "2016-01-01T00:00:00", 41_592, 1 / 60, 5527 / 600),
        ("day_filter_min.mseed", "2020-08-27T00:00:00", 5_760, 1 / 60, np.nan),
        ("10HZ_filter_sec.mseed", "2020-01-05T23:59:53.900", 144_123, 10.0, np.nan),
    ],
)
def test_the_files_of_geomag_algorithms_keep_time_rate_and_axis(real_data, name, start, samples, rate_hz, axis):
    if name.endswith("mseed"):
        pytest.importorskip("obspy")
    recording = read_recording(real_data / "usgs_algorithms" / name)
    assert recording.start_utc == np.datetime64(start, "ms")
    assert (recording.samples, recording.rate_hz) == (samples, rate_hz)
    np.testing.assert_allclose(recording.h_axis_deg, axis)
    assert np.isfinite(recording.field_nt).all()


def test_ten_hertz_of_miniseed_filtered_are_the_published_seconds(real_data):
    """Two readers and a filter: 123 taps, Blackman, 0.25 Hz, centred on the second."""
    pytest.importorskip("obspy")
    signal = pytest.importorskip("scipy.signal")
    fast = read_recording(real_data / "usgs_algorithms" / "10HZ_filter_sec.mseed")
    seconds = read_recording(real_data / "usgs_algorithms" / "LLO20200106vsec.sec.gz")
    taps = signal.firwin(123, 0.25, window="blackman", fs=10)
    filtered = np.array([np.convolve(row, taps, "valid") for row in fast.field_nt])
    first = fast.start_utc + np.timedelta64(6_100, "ms")  # 61 samples of half a filter
    skip = int((seconds.start_utc - first) / np.timedelta64(100, "ms"))
    np.testing.assert_allclose(filtered[:, skip::10][:, : seconds.samples], seconds.field_nt, atol=0.006)


@pytest.mark.parametrize("day", ["03", "10", "31"])
def test_magpy_cdf_days_begin_at_midnight(real_data, day):
    pytest.importorskip("cdflib")
    recording = read_recording(real_data / "magpy_formats" / f"FGE_S0252_0002_0002_2022-08-{day}.cdf")
    assert recording.start_utc == np.datetime64(f"2022-08-{day}T00:00:00.000")
    assert (recording.station, recording.samples, recording.rate_hz) == ("WIC", 86_400, 1.0)
    assert (recording.latitude_deg, recording.longitude_deg) == (47.93, 15.865)


def test_two_instruments_in_two_formats_see_the_same_second(real_data):
    """A shift of one second between CDF and IAGA-2002 would show: Z needs no rotation."""
    pytest.importorskip("cdflib")
    cdf = read_recording(real_data / "magpy_formats" / "FGE_S0252_0002_0002_2022-08-10.cdf").field_nt[2]
    iaga = read_recording(real_data / "magpy_formats" / "wic20220810vsec.zip").field_nt[2]
    step = 60  # minute-to-minute changes: above the sensors' noise, sharp in time
    change = cdf[step:] - cdf[:-step]
    misfit = [np.std(np.roll(change, lag) - (iaga[step:] - iaga[:-step])) for lag in range(-30, 31)]
    assert abs(int(np.argmin(misfit)) - 30) <= 1


def test_magpy_cdf_of_version_2_and_of_minutes_are_read(real_data):
    pytest.importorskip("cdflib")
    seconds = read_recording(real_data / "magpy_formats" / "NXX_vario_2017-11-02.cdf")
    assert (seconds.start_utc, seconds.samples) == (np.datetime64("2017-11-02T00:00:00.000"), 86_400)
    minutes = read_recording(real_data / "magpy_formats" / "ex_variomin.cdf")
    assert (minutes.start_utc, minutes.rate_hz) == (np.datetime64("2022-10-31T00:00:00.000"), 1 / 60)
    assert minutes.end_utc == np.datetime64("2022-12-02T00:00:00.000")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("negative/ABG_20260424.iaga2002", "unknown_format"),
        ("indices/Dst_012022.txt.gz", "wrong_kind"),
        ("indices/WDC_Kyoto.dat.gz", "unknown_format"),
        ("indices/SW-All.csv.gz", "unknown_format"),
        ("bmkg/stations.csv", "unknown_format"),
        ("magpy_formats/NXX_scalar_2017-11-02.cdf", "components_missing"),
        ("magpy_formats/SEP0111.WIK", "unknown_format"),
        ("magpy_formats/kvalue.dka", "unknown_format"),
        ("magpy_formats/wic_2015mar_iaf.bin", "unknown_format"),
        ("usgs_algorithms/CMO2020061.min.gz", "unknown_format"),
        ("intermagnet_1min_20220115/intermagnet_20220115_91stations.tar.xz", "unknown_format"),
    ],
)
def test_what_is_no_recording_is_refused_by_its_reason(real_data, name, reason):
    if name.endswith("cdf"):
        pytest.importorskip("cdflib")
    with pytest.raises(DataError) as caught:
        read_recording(real_data / name)
    assert caught.value.reason == reason
    assert name.rsplit("/", 1)[-1] in str(caught.value)
