"""Input that is refused at the door: too large, packed without end, or no regular file; and its memory."""

from __future__ import annotations

import gzip
import json
import os
import socket
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seismag.archive.catalogs import read_catalogs
from seismag.archive.indices import read_index
from seismag.archive.stations import read_stations
from seismag.arguments import read_table_file
from seismag.arrays import read_array
from seismag.cards import require_model
from seismag.config import load_config
from seismag.domain import DataError, SeismagError
from seismag.files import read_json
from seismag.legacy.picture_files import survey_pictures
from seismag.limits import MIB, RECORDING, TABLE, read_file
from seismag.recordings import cdf_structure, read_recording
from seismag.scoring.predictions import read_predictions
from seismag.table_files import read_parquet

READERS: dict[str, Callable[[Path], object]] = {
    "day.sec": read_recording,
    "catalogue.csv": lambda path: read_catalogs([path]),
    "kp.csv": lambda path: read_index(path, "kp"),
    "dst.csv": lambda path: read_index(path, "dst"),
    "stations.csv": read_stations,
    "config.yaml": load_config,
    "card.json": read_json,
    "predictions.csv": read_predictions,
    "predictions.parquet": read_predictions,
    "windows.csv": lambda path: read_table_file(path, "windows"),
    "embeddings.npy": read_array,
    "model.pth": require_model,
}
LARGEST_GB = 1.0


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "link to a device", "link to itself", "sparse"])
def test_what_is_no_regular_file_or_too_large_is_refused_at_once(
    kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = Path(name)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(name)
    elif kind == "folder":
        path.mkdir()
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(5 << 30)
    else:
        path.symlink_to("/dev/zero" if kind == "link to a device" else name)
    message = (
        r"5,368,709,120 bytes, more than .*the limit of a"
        if kind == "sparse"
        else "not a file|cannot be read|no such file"
    )
    with pytest.raises(SeismagError, match=message):
        READERS[name](path)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "day"
    path.write_bytes(b"0" * (3 * MIB))
    status = os.stat_result((*path.stat()[:6], 10, *path.stat()[7:]))
    monkeypatch.setattr("seismag.limits.os.fstat", lambda _: status)
    with pytest.raises(DataError, match="limit of a recording") as caught:
        read_file(path, RECORDING)
    assert caught.value.reason == "too_large"


def test_more_lines_or_cells_than_a_table_has_are_refused_before_they_are_split(tmp_path: Path) -> None:
    path = tmp_path / "stations.csv"
    for payload, what in ((b"\n" * (TABLE.lines + 2), "lines"), (b"," * (TABLE.cells + 1), "separators")):
        path.write_bytes(gzip.compress(b"code,latitude,longitude\n" + payload, 1))
        with pytest.raises(DataError, match=what):
            read_stations(path)


def test_an_archive_of_very_many_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "day.gz"
    path.write_bytes(gzip.compress(b"") * 20_001)
    with pytest.raises(DataError, match="more than 20,000 gzip members"):
        read_recording(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("day", b"PK\x01\x02" * 20_001)
    with pytest.raises(DataError, match="more than 20,000 files"):
        read_recording(path)


def test_packed_values_of_a_cdf_file_are_counted_before_they_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdf_structure, "RECORDING", replace(RECORDING, unpacked=1000))
    packed = gzip.compress(bytes(1001))
    record = struct.pack(">qiiq", 24 + len(packed), 13, 0, len(packed)) + packed
    layout = cdf_structure._Layout(8, 256)
    with pytest.raises(DataError, match="limit of a recording"):
        cdf_structure._require_unpacked_size(record, [(0, len(record), 13)], layout, "day.cdf")
    with pytest.raises(DataError, match="more than 200,000 records of CDF"):
        list(
            cdf_structure._records(b"x" * 8 + struct.pack(">qi", 12, -1) * 200_001, 8 + 12 * 200_001, layout, "day.cdf")
        )


def test_quakeml_that_declares_entities_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xml"
    path.write_text('<?xml version="1.0"?><!DOCTYPE q [<!ENTITY a "ha">]><q:quakeml xmlns:q="quakeml">&a;</q:quakeml>')
    with pytest.raises(DataError, match="declares entities"):
        read_catalogs([path])


def test_a_small_parquet_file_of_many_values_or_long_texts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    pd.DataFrame({"fold": np.zeros(4_000_001, np.int8)}).to_parquet(path)
    assert path.stat().st_size < MIB
    with pytest.raises(DataError, match="4,000,001 rows"):
        read_predictions(path)
    pd.DataFrame({"station": pd.Categorical.from_codes([0] * 2000, ["A" * MIB])}).to_parquet(path)
    with pytest.raises(DataError, match="its texts have more than 512 MiB"):
        read_parquet(path)


def test_a_model_that_is_packed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(MIB))
    with pytest.raises(DataError, match=r"'archive/data/0' is packed"):
        require_model(path)


def test_a_picture_of_very_many_pixels_is_a_row_with_a_reason(tmp_path: Path) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 5000, 5000, 8, 2, 0, 0, 0)
    content = zlib.compress(bytes(15_001))
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    (tmp_path / "large.png").write_bytes(picture)
    os.mkfifo(tmp_path / "pipe.png")
    found = survey_pictures(pd.DataFrame({"paths": [["large.png"], ["pipe.png"]]}), tmp_path)
    assert found["reason"].tolist() == ["too_large", "not_a_file"]


def test_an_array_that_states_more_than_it_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "embeddings.npy"
    np.save(path, np.arange(6.0).reshape(2, 3))
    assert read_array(path).tolist() == [[0, 1, 2], [3, 4, 5]]
    for header in (b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999,), }", b"{'descr': ((((("):
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + bytes(48))
        with pytest.raises(DataError, match="not an array of numbers"):
            read_array(path)


def test_real_sizes_pass() -> None:
    assert RECORDING.unpacked >= 1.8 * 62e6  # a day at 10 Hz as text has 62 MB
    assert TABLE.unpacked >= 2 * 115e6  # all of the world's M >= 4 since 1920: 500,000 rows of USGS
    assert TABLE.lines >= 4 * 500_000
    assert TABLE.cells >= 500_000 * 22


_ALL = """
import sys
from pathlib import Path
from seismag.archive.catalogs import read_catalogs
from seismag.archive.indices import read_index
from seismag.archive.stations import read_stations
from seismag.domain import DataError
from seismag.recordings import read_recording
readers = (read_recording, read_stations, lambda path: read_catalogs([path]), lambda path: read_index(path, "kp"))
for name in sys.argv[1:]:
    for read in readers:
        try:
            read(Path(name))
        except DataError as error:
            assert error.reason == "too_large", error
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])  # ru_maxrss would include the memory of the parent
"""


def test_bombs_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    block = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = tmp_path / "bomb.gz"
    with bomb.open("wb") as file:
        for _ in range(20):  # 320 MiB in one member; more than every kind may have
            file.write(block.compress(bytes(16 * MIB)))
        file.write(block.flush())
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(3 << 30)
    done = subprocess.run(
        [sys.executable, "-c", _ALL, str(bomb), str(sparse)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) * 1024 < LARGEST_GB * 1e9


def test_a_document_of_json_within_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text(json.dumps({"a": [1] * 1000}))
    assert len(read_json(path)["a"]) == 1000
