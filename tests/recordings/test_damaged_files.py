"""Whatever is wrong with a file, the answer is a recording or a DataError, and nothing else.

Hypothesis damages one sound file of each format: cuts it, changes bytes, takes some out, repeats some.
"""

import datetime as dt
import gzip
import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.archive_files import without_empty_blocks
from seismag.domain import DataError
from seismag.recordings import Recording, frg604rc, read_recording

IAGA = "".join(
    [
        " Format                 IAGA-2002                                    |\n",
        " IAGA CODE              BOU                                          |\n",
        " Geodetic Latitude      40.137                                       |\n",
        " Geodetic Longitude     254.764                                      |\n",
        " Data Interval Type     Average 1-Second                             |\n",
        " # DECBAS               5527    (Baseline declination value in       |\n",
        "DATE       TIME         DOY     BOUH      BOUD      BOUZ      BOUF   |\n",
        *(
            f"2014-04-07 00:00:{s:02d}.000 097     208{s:02d}.60     -7.{s:02d}  47539.03  52460.14\n"
            for s in range(30)
        ),
    ]
).encode()


def frg_file() -> bytes:
    field = np.full((3, 86_400), np.nan)
    field[:, :1_200] = np.random.default_rng(7).normal(0, 100, (3, 1_200))
    return without_empty_blocks(frg604rc.encode_day("ALR", dt.date(2025, 1, 1), -8.1, 124.6, field))


def zip_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bou.sec", IAGA)
    return buffer.getvalue()


def cdf_file(folder, compressed: bool) -> bytes:
    cdfwrite = pytest.importorskip("cdflib.cdfwrite")
    path = folder / "whole.cdf"
    path.unlink(missing_ok=True)
    file = cdfwrite.CDF(path, cdf_spec={"Encoding": 6, "Checksum": False, "Compressed": compressed, "rDim_sizes": []})
    file.write_globalattrs({"FormatDescription": {0: "INTERMAGNET CDF Format"}, "IagaCode": {0: "BOU"}})
    rows = {f"GeomagneticField{letter}": (45, 1000.0 + np.arange(40)) for letter in "HEZ"}
    rows["GeomagneticVectorTimes"] = (33, 450_187_267_184_000_000 + np.arange(40) * 1_000_000_000)
    for name, (kind, values) in rows.items():
        spec = {
            "Variable": name,
            "Data_Type": kind,
            "Num_Elements": 1,
            "Rec_Vary": True,
            "Dim_Sizes": [],
            "Compress": 6,
        }
        file.write_var(spec, var_attrs={"UNITS": "nT", "DEPEND_0": "GeomagneticVectorTimes"}, var_data=values)
    file.close()
    return path.read_bytes()


def mseed_file() -> bytes:
    obspy = pytest.importorskip("obspy")
    walk = np.cumsum(np.random.default_rng(8).integers(-20, 20, 900)).astype("i4")
    header = {"network": "NT", "station": "LLO", "sampling_rate": 1.0}
    stream = obspy.Stream([obspy.Trace(walk, {**header, "channel": f"LF{letter}"}) for letter in "UVW"])
    buffer = io.BytesIO()
    stream.write(buffer, format="MSEED", reclen=512)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def sound_files(folder):
    return {
        "frg604rc": frg_file(),
        "iaga2002": IAGA,
        "iaga2002, line by line": IAGA.replace(b"20805.60", b"20805.6 "),
        "gzip": gzip.compress(IAGA),
        "zip": zip_file(),
        "cdf": cdf_file(folder, compressed=False),
        "compressed cdf": cdf_file(folder, compressed=True),
        "miniseed": mseed_file(),
    }


@st.composite
def damages(draw):
    """A function that damages bytes. Places are fractions of the length, so that they fit any file."""
    place = st.floats(0, 1, exclude_max=True)
    kind = draw(st.sampled_from(["cut", "change", "change", "change", "remove", "repeat"]))
    first, second, length = draw(place), draw(place), draw(st.integers(1, 200))
    changes = draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=12))

    def damage(sound: bytes) -> bytes:
        data = bytearray(sound)
        a, b = int(first * len(data)), int(second * len(data))
        if kind == "cut":
            del data[max(a, 1) :]
        elif kind == "remove":
            del data[a : a + length]
        elif kind == "repeat":
            data[a:a] = data[b : b + length]
        else:
            for where, value in changes:
                data[int(where * len(data))] = value
        return bytes(data)

    return damage


def check(folder, content: bytes) -> None:
    path = folder / "file.bin"
    path.write_bytes(content)
    recording, refusal = None, None
    try:
        recording = read_recording(path)
    except DataError as error:
        refusal = error
    if refusal is not None:
        assert str(refusal).startswith(str(path))
        assert refusal.reason != "unreadable"
        return
    assert isinstance(recording, Recording)
    assert recording.field_nt.shape == (3, recording.samples)
    assert recording.field_nt.dtype == np.float64
    assert not np.isinf(recording.field_nt).any()
    assert recording.rate_hz > 0
    assert recording.start_utc.dtype == "datetime64[ms]"
    assert isinstance(recording.metadata["warnings"], list)


KINDS = ["frg604rc", "iaga2002", "iaga2002, line by line", "gzip", "zip", "cdf", "compressed cdf", "miniseed"]


# ObsPy decodes libmseed's messages, which quote the damaged header, inside a ctypes callback.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=250, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages())
def test_a_damaged_file_gives_a_recording_or_a_data_error(folder, sound_files, kind, damage):
    check(folder, damage(sound_files[kind]))


MAGICS = [b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"\xcd\xf3\x00\x01\x00\x00\xff\xff", b"\xcd\xf2\x60\x02\xcc\xcc\x00\x01"]
MAGICS += [b" Format IAGA-2002\n", b"000001D LLO  R0U  NT", b"\0\0ALR\x19\x01\x01\0\0"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(max_examples=300, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(magic=st.sampled_from(MAGICS), rest=st.binary(max_size=600))
def test_random_bytes_behind_any_magic_number_give_a_data_error(folder, magic, rest):
    path = folder / "random.bin"
    path.write_bytes(magic + rest)
    with pytest.raises(DataError):
        read_recording(path)


def test_the_sound_files_are_sound(folder, sound_files):
    for kind in KINDS:
        path = folder / "sound.bin"
        path.write_bytes(sound_files[kind])
        assert np.isfinite(read_recording(path).field_nt).any(), kind
